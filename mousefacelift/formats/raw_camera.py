"""A camera as a file states it, before anything is proven about it, and what every camera of a file must fulfil."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mousefacelift.errors import CalibrationError


@dataclass(frozen=True)
class RawCamera:
    """A camera as a calibration file states it, moved to column vectors and +0.5 pixels, conventions not yet proven.

    Args:
        name: of the camera.
        K: [3, 3] pixels.
        R, t: [3, 3] and [3]; the format documents x_cam = R x + t, the audit checks it.
        distortion, model: see `capture.lens.Lens`.
        width, height: pixels, 0 where the format does not say.
        unit: millimetres per unit of t, or None where the format does not say.
    """

    name: str
    K: np.ndarray
    R: np.ndarray
    t: np.ndarray
    distortion: np.ndarray = field(default_factory=lambda: np.zeros(8))
    model: str = "brown"
    width: int = 0
    height: int = 0
    unit: float | None = None


def w2c_of(camera: RawCamera) -> np.ndarray:
    """[4, 4] matrix of the camera's R and t."""
    w2c = np.eye(4)
    w2c[:3, :3], w2c[:3, 3] = camera.R, camera.t
    return w2c


def check_raw_cameras(cameras: list[RawCamera], where: str) -> list[RawCamera]:
    """The same cameras, or an error that names the one that is no camera.

    Raises:
        CalibrationError: none at all, NaN, two of one name, a rotation that is not orthonormal or mirrors.
    """
    if not cameras:
        raise CalibrationError(f"calibration {where} holds no cameras")
    names = [camera.name for camera in cameras]
    if len(set(names)) != len(names):
        raise CalibrationError(f"calibration {where} names two cameras alike", got=", ".join(names))
    for camera in cameras:
        _check_shapes(camera, where)
        numbers = np.concatenate([np.ravel(v) for v in (camera.K, camera.R, camera.t, camera.distortion)])
        if not np.isfinite(numbers).all():
            raise CalibrationError(
                f"calibration {where} holds NaN or infinite numbers",
                where=f"camera {camera.name}",
                likely="a calibration that did not converge",
            )
        _check_rotation(camera, where)
    return cameras


def _check_shapes(camera: RawCamera, where: str) -> None:
    shapes = [np.shape(camera.K), np.shape(camera.R), np.shape(camera.t), np.ndim(camera.distortion)]
    if shapes != [(3, 3), (3, 3), (3,), 1] or min(camera.width, camera.height) < 0:
        raise CalibrationError(
            f"camera {camera.name} in {where} has matrices of a wrong shape",
            got=f"K {shapes[0]}, R {shapes[1]}, t {shapes[2]}, size {camera.width}x{camera.height}",
            expected="K (3, 3), R (3, 3), t (3,)",
        )


def _check_rotation(camera: RawCamera, where: str) -> None:
    R = np.asarray(camera.R)
    if np.abs(R @ R.T - np.eye(3)).max() > 1e-3:
        raise CalibrationError(
            f"rotation of camera {camera.name} in {where} is not orthonormal",
            got=np.array2string(R, precision=4),
            likely="a rotation vector read as a matrix, or scaled",
        )
    if np.linalg.det(R) < 0:
        raise CalibrationError(
            f"rotation of camera {camera.name} in {where} mirrors the world (det R = -1)",
            got="det R = -1",
            expected="det R = +1",
            likely="one axis flipped by hand, or an image flipped left to right",
            hint="export the calibration again; a mirrored rig has no fix",
        )
