"""Cameras of samples (pinholes) as the file formats hold cameras, and back."""

from __future__ import annotations

import numpy as np

from mousefacelift.core.cameras import Camera
from mousefacelift.errors import DataError
from mousefacelift.formats.axes import orthonormal
from mousefacelift.formats.raw_camera import RawCamera, w2c_of


def raw_of(camera: Camera, name: str) -> RawCamera:
    """The camera of a view for a file."""
    fx, fy, cx, cy = camera.fxfycxcy.tolist()
    K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    return RawCamera(name, K, camera.R, np.asarray(camera.t), width=camera.width, height=camera.height)


def pinhole_of(camera: RawCamera, where: str, hint: str, size: tuple[int, int] = (0, 0)) -> Camera:
    """The pinhole of a file's camera; its rotation is made exact (files hold rounded numbers).

    Args:
        size: (width, height) of the picture, for files that leave it out.
    Raises:
        DataError: a lens with distortion or skew, or no size.
    """
    K = np.asarray(camera.K)
    if np.any(camera.distortion) or camera.model != "brown" or K[0, 1] != 0:
        raise DataError(
            f"{where} has lens distortion",
            got=f"{camera.model} {np.trim_zeros(np.asarray(camera.distortion), 'b').tolist()}",
            expected="a pinhole camera",
            hint=hint,
        )
    width, height = camera.width or size[0], camera.height or size[1]
    if not width or not height:
        raise DataError(f"{where} has no picture size")
    return Camera(orthonormal(w2c_of(camera)), K[[0, 1, 0, 1], [0, 1, 2, 2]], width, height)
