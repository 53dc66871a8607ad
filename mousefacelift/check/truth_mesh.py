"""The true surface of a filmed animal, where there is one: the mesh of a virtual recording, in a real sample's world.

The objects stage keeps the mesh of every scan frame beside its renders, in the scan's own world; similarities to the
rig's millimetres are stored with both the scan and the real sample of the frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mousefacelift.core.records import SampleFacts
from mousefacelift.core.samples import TRUTH_FILE, read_document, sample_facts
from mousefacelift.core.similarity import Similarity
from mousefacelift.dataset.manifest import Manifest

FORM = "truth"  # scans of a virtual recording's own meshes: the one form whose unit and world are the rig's
POINTS = 4000  # drawn from the surface, evenly by area


@dataclass(frozen=True)
class TruthMeshes:
    """Surface points of the frames of a dataset that have a true mesh."""

    manifest: Manifest

    @cached_property
    def _rows(self) -> dict[tuple[str, int], int]:
        table = self.manifest.samples
        scans = table[table["source"] == "scan"]
        return {(str(name), int(frame)): row for row, name, frame in zip(scans.index, scans.recording, scans.frame)}

    def points(self, real: SampleFacts) -> tuple[np.ndarray, float] | None:
        """Points [POINTS, 3] of the true surface in the world of a real sample, and millimetres per unit; None without.

        Args:
            real: facts of the real sample of the frame, with its similarity from the rig's millimetres.
        """
        row = self._rows.get((real.recording, real.frame))
        if row is None or "similarity" not in real.details:
            return None
        folder = self.manifest.folder_of(row)
        scan = sample_facts(read_document(folder), folder)
        path = folder / TRUTH_FILE
        if scan.details.get("collection") != FORM or not path.is_file():
            return None
        with np.load(path) as content:
            surface = sample_surface(content["vertices"], content["faces"], POINTS, seed=real.frame)
        to_scan = Similarity(scan.details["similarity"]["scale"], np.eye(3), scan.details["similarity"]["translation"])
        stored = real.details["similarity"]
        to_real = Similarity(stored["scale"], np.array(stored["rotation"]), np.array(stored["translation"]))
        return to_scan.inverse().then(to_real).apply(surface), 1.0 / to_real.scale


def sample_surface(vertices: np.ndarray, faces: np.ndarray, count: int, seed: int) -> np.ndarray:
    """`count` points [count, 3] of a triangle mesh, drawn evenly by area."""
    import trimesh

    mesh = trimesh.Trimesh(vertices, faces, process=False)
    return np.asarray(trimesh.sample.sample_surface(mesh, count, seed=seed)[0])
