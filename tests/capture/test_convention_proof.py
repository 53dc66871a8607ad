"""Scrambled conventions and bad cameras are told on filmed animals: the procedural recording, and the sample recording
beside the checkout.

Random rigs with a toy animal are in test_rig_proof.py.
"""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mousefacelift.capture.audit import audit
from mousefacelift.capture.config import AuditConfig, RecordingSource
from mousefacelift.capture.conventions import CONVENTIONS, raw_lenses, score_conventions
from mousefacelift.capture.recording import open_recording
from mousefacelift.capture.sampling import read_silhouettes
from mousefacelift.capture.suspects import find_suspect
from mousefacelift.capture.tangency import Poses
from mousefacelift.virtual.config import NO_DEFECTS, VirtualConfig
from mousefacelift.virtual.record import write_recording
from tests.capture.scenes import scramble

FRAMES = 10


@pytest.fixture(scope="module")
def procedural(tmp_path_factory):
    """(recording, its source, size) of the procedural mouse, seen through the real lenses."""
    config = VirtualConfig(
        frames=FRAMES,
        fps=2.0,
        variants="distorted",
        strands=3000,
        truth_vertices=False,
        degradations=NO_DEFECTS,
    )
    folder = write_recording(tmp_path_factory.mktemp("procedural"), "conventions", config, 3)
    source = RecordingSource(variant="distorted")
    return open_recording("conventions", folder, source), source, (288, 256)


@pytest.fixture(scope="module")
def sample(shared):
    """(recording, its source, size) of the sample recording: another mesh, real motion, real size."""
    folder = shared / "data/virtual_capture_sample"
    if not folder.is_dir():
        pytest.skip(f"the sample recording {folder} is not there")
    source = RecordingSource(videos="cam{camera}.mp4", masks="mask{camera}.mp4", calibration="cameras.json")
    return open_recording("sample", folder, source), source, (1152, 1024)


@pytest.fixture(scope="module", params=["procedural", "sample"])
def filmed(request):
    """(cameras, size, silhouettes read through the true lenses)."""
    recording, _, size = request.getfixturevalue(request.param)
    lenses, _ = raw_lenses(recording.cameras)
    return recording.cameras, size, read_silhouettes(recording.masks, lenses, [size] * len(lenses), range(FRAMES))


def is_recovered(filmed, convention, transpose_k, views):
    cameras, (width, _), silhouettes = filmed
    stored = scramble([cameras[v] for v in views], convention, transpose_k)
    lenses, transposed = raw_lenses(stored)
    for lens, v in zip(lenses, views):  # so that the silhouettes above are those that these lenses would give
        np.testing.assert_allclose(lens.K, np.asarray(cameras[v].K))
    scores = score_conventions(stored, lenses, [width] * len(views), silhouettes.views(views))
    clear = scores[1].tangency > AuditConfig().clear_factor * scores[0].tangency
    return scores[0].convention == convention and clear and transposed == transpose_k


@pytest.mark.parametrize("transpose_k", [False, True])
def test_every_convention_is_recovered(filmed, transpose_k):
    assert all(is_recovered(filmed, convention, transpose_k, range(6)) for convention in CONVENTIONS)


def test_scrambled_conventions_of_4_to_6_cameras_are_recovered_in_99_of_100_cases(filmed):
    rng, found = np.random.default_rng(0), 0
    for _ in range(100):
        views = np.sort(rng.permutation(6)[: rng.integers(4, 7)])
        found += is_recovered(filmed, CONVENTIONS[rng.integers(8)], bool(rng.integers(2)), views)
    assert found >= 99


def spoil(w2c, kind, bad, rng):
    """Poses [V, 4, 4] with one copied, taken from elsewhere about the animal, or turned by 5 degrees about its own
    centre."""
    spoiled = w2c.copy()
    if kind == "copied":
        spoiled[bad] = w2c[(bad + 1) % len(w2c)]
    elif kind == "wrong":
        pivot = np.append(-np.einsum("vji,vj->vi", w2c[:, :3, :3], w2c[:, :3, 3]).mean(0)[:2], 0)
        about = np.eye(4)
        about[:3, :3] = cv2.Rodrigues(np.array([0, 0, np.radians(rng.uniform(15, 90) * rng.choice([-1, 1]))]))[0]
        about[:3, 3] = about[:3, :3] @ pivot - pivot
        spoiled[bad] = w2c[bad] @ about
    else:
        axis = rng.normal(size=3)
        turn = np.eye(4)
        turn[:3, :3] = cv2.Rodrigues(axis / np.linalg.norm(axis) * np.radians(5))[0]
        spoiled[bad] = turn @ w2c[bad]
    return spoiled


def suspect_of(filmed, w2c, views):
    cameras, (width, _), silhouettes = filmed
    poses = Poses.of(w2c, [np.asarray(cameras[v].K)[[0, 1], [0, 1]].mean() for v in views])
    return find_suspect(silhouettes.views(views), poses, width, AuditConfig().max_shift)


def poses_of(filmed, views):
    return np.stack([CONVENTIONS[0].w2c(filmed[0][v].R, filmed[0][v].t) for v in views])


@pytest.mark.parametrize("kind", ["copied", "wrong", "turned"])
def test_a_copied_wrong_or_turned_camera_is_named(filmed, kind):
    rng = np.random.default_rng(1)
    for bad in range(6):
        suspect = suspect_of(filmed, spoil(poses_of(filmed, range(6)), kind, bad, rng), range(6))
        assert suspect is not None and suspect.camera == bad


def test_a_bad_camera_among_4_to_6_is_named_in_95_of_100_cases(filmed):
    rng, found = np.random.default_rng(2), 0
    for case in range(100):
        views = np.sort(rng.permutation(6)[: rng.integers(4, 7)])
        bad = int(rng.integers(len(views)))
        suspect = suspect_of(
            filmed, spoil(poses_of(filmed, views), ("copied", "wrong", "turned")[case % 3], bad, rng), views
        )
        found += suspect is not None and suspect.camera == bad
    assert found >= 95


def test_good_cameras_have_no_suspect(filmed):
    for leave_out in (None, *range(6)):
        views = [v for v in range(6) if v != leave_out]
        assert suspect_of(filmed, poses_of(filmed, views), views) is None


def test_the_sample_recording_passes_the_audit(sample):
    recording, source, _ = sample
    rig = audit(recording, source, AuditConfig())
    assert rig.report["refinement"]["kind"] == "off"
    assert min(row["hull_iou"] for row in rig.report["cameras"]) > 0.95
    assert 80 < rig.report["animal"]["length_mm"] < 160
    turned = [replace(camera, R=np.asarray(camera.R).T) for camera in recording.cameras]
    again = audit(replace(recording, cameras=tuple(turned)), source, AuditConfig())
    assert again.report["convention"] == "R^T w2c OpenCV"
