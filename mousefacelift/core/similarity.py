"""Similarity transforms of the world: the only move that leaves every pixel of every camera unchanged."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mousefacelift.core.cameras import Camera
from mousefacelift.errors import CameraError


@dataclass(frozen=True)
class Similarity:
    """x_new = scale * rotation @ x + translation.

    Args:
        scale: positive.
        rotation: [3, 3], det +1.
        translation: [3] in new units.
    """

    scale: float = 1.0
    rotation: np.ndarray = field(default_factory=lambda: np.eye(3))
    translation: np.ndarray = field(default_factory=lambda: np.zeros(3))

    def __post_init__(self) -> None:
        object.__setattr__(self, "rotation", np.array(self.rotation, np.float64))
        object.__setattr__(self, "translation", np.array(self.translation, np.float64))
        orthonormal = np.abs(self.rotation @ self.rotation.T - np.eye(3)).max() < 1e-6
        if not (self.scale > 0 and orthonormal and np.linalg.det(self.rotation) > 0):
            raise CameraError(
                "not a similarity",
                got=f"scale {self.scale}, rotation {self.rotation.tolist()}",
                expected="scale > 0 and a right-handed rotation",
            )

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 3] moved into the new world."""
        return self.scale * np.asarray(points) @ self.rotation.T + self.translation

    def apply_camera(self, camera: Camera) -> Camera:
        """The camera in the new world; it sees the moved scene in exactly the same pixels."""
        rotation = camera.R @ self.rotation.T
        w2c = np.eye(4)
        w2c[:3, :3] = rotation
        w2c[:3, 3] = self.scale * camera.t - rotation @ self.translation
        return Camera(w2c, camera.fxfycxcy, camera.width, camera.height)

    def inverse(self) -> Similarity:
        """The similarity that undoes this one."""
        return Similarity(1 / self.scale, self.rotation.T, -self.rotation.T @ self.translation / self.scale)

    def then(self, after: Similarity) -> Similarity:
        """First this one, then `after`."""
        return Similarity(self.scale * after.scale, after.rotation @ self.rotation, after.apply(self.translation))
