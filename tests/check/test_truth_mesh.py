"""The true surface comes into the world of a real sample through both similarities."""

import numpy as np
import pandas as pd
import pytest

from mousefacelift.check.truth_mesh import POINTS, TruthMeshes, sample_surface
from mousefacelift.core.cameras import ring
from mousefacelift.core.records import SampleFacts
from mousefacelift.core.samples import TRUTH_FILE, Sample, View, write_sample
from mousefacelift.core.similarity import Similarity

TETRAHEDRON = np.array([[0.0, 0, 0], [30, 0, 0], [0, 20, 0], [0, 0, 10]])  # mm
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
TO_SCAN = Similarity(0.02, np.eye(3), np.array([0.1, 0.0, -0.2]))
TO_REAL = Similarity(0.01, np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]]), np.array([0.3, 0.2, 0.1]))


class Dataset:
    """What of a manifest is read here."""

    def __init__(self, folder):
        self.folder, self.samples = folder, pd.DataFrame([{"source": "scan", "recording": "m1", "frame": 4}])

    def folder_of(self, row):
        return self.folder


def write_scan(folder, form):
    stored = {"scale": TO_SCAN.scale, "translation": TO_SCAN.translation.tolist()}
    facts = SampleFacts(
        "scan", "m1", "m1", frame=4, config_hash="c", details={"collection": form, "similarity": stored}
    )
    views = tuple(View(np.zeros((8, 8, 4), np.float32), camera) for camera in ring(2, 8))
    write_sample(folder, Sample(views, facts))
    np.savez(folder / TRUTH_FILE, vertices=TO_SCAN.apply(TETRAHEDRON), faces=FACES)
    return Dataset(folder)


def real(frame=4):
    stored = {
        "scale": TO_REAL.scale,
        "rotation": TO_REAL.rotation.tolist(),
        "translation": TO_REAL.translation.tolist(),
    }
    return SampleFacts("real", "m1", frame=frame, details={"similarity": stored})


def test_points_lie_on_the_mesh_in_the_real_world(tmp_path):
    points, mm = TruthMeshes(write_scan(tmp_path / "s", "truth")).points(real())
    back = TO_REAL.inverse().apply(points)
    assert points.shape == (POINTS, 3) and mm == pytest.approx(100)
    plane = (back @ (1 / np.array([30.0, 20, 10]))) - 1  # of the face away from the corner
    distance = np.minimum(np.abs(back).min(1), np.abs(plane) / np.linalg.norm(1 / np.array([30.0, 20, 10])))
    assert distance.max() < 1e-4


def test_meshes_of_other_worlds_and_other_frames_are_no_truth(tmp_path):
    assert TruthMeshes(write_scan(tmp_path / "s", "files")).points(real()) is None
    assert TruthMeshes(write_scan(tmp_path / "t", "truth")).points(real(frame=5)) is None
    assert TruthMeshes(write_scan(tmp_path / "u", "truth")).points(SampleFacts("real", "m1", frame=4)) is None


def test_points_are_even_by_area():
    square = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    points = sample_surface(square, np.array([[0, 1, 2], [0, 2, 3]]), 4000, 0)
    assert points[:, :2].mean(0) == pytest.approx([0.5, 0.5], abs=0.02) and np.abs(points[:, 2]).max() == 0
