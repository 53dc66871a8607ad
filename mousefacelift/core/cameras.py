"""Cameras as this project means them: OpenCV axes, Z-up world, pixel centres at +0.5.

x_cam = R x_world + t with x right, y down, z forward; u = fx x/z + cx in pixels, pixel (i, j) covers [i, i+1) and
`cx = W/2` is the middle of the image. Azimuth runs from +x toward +y in [0, 360), elevation from the XY plane, up
positive. Readers of other conventions convert at the border (`capture/readers`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from mousefacelift.errors import CameraError

# Published set of 32 Objaverse views (FaceLift sample scene): radius, elevation, focal length for 50 degrees at 512 px.
CANONICAL_DISTANCE = 2.7
RING_ELEVATION = 20.0
CANONICAL_FOCAL_512 = 256.0 / np.tan(np.radians(25.0))  # 548.9938


@dataclass(frozen=True)
class Camera:
    """One pinhole camera.

    Args:
        w2c: [4, 4] float64, world to camera.
        fxfycxcy: [4] pixels.
        width, height: pixels.
    Raises:
        CameraError: not finite, not a rigid transform, mirrored (det R = -1), or no positive focal length.
    """

    w2c: np.ndarray
    fxfycxcy: np.ndarray
    width: int
    height: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "w2c", np.array(self.w2c, np.float64))
        object.__setattr__(self, "fxfycxcy", np.array(self.fxfycxcy, np.float64))
        object.__setattr__(self, "width", int(self.width))
        object.__setattr__(self, "height", int(self.height))
        check_camera(self)
        self.w2c.setflags(write=False)
        self.fxfycxcy.setflags(write=False)

    @property
    def R(self) -> np.ndarray:  # noqa: N802 - the field's name
        return self.w2c[:3, :3]

    @property
    def t(self) -> np.ndarray:
        return self.w2c[:3, 3]

    @property
    def center(self) -> np.ndarray:
        """[3] optical centre in the world."""
        return -self.R.T @ self.t

    @property
    def c2w(self) -> np.ndarray:
        """[4, 4] camera to world, exactly orthonormal inverse of w2c."""
        c2w = np.eye(4)
        c2w[:3, :3], c2w[:3, 3] = self.R.T, self.center
        return c2w

    @property
    def K(self) -> np.ndarray:  # noqa: N802 - the field's name
        fx, fy, cx, cy = self.fxfycxcy
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])

    def scaled_to(self, width: int, height: int) -> Camera:
        """The same camera seen through an image resized to width x height (plain ratios, +0.5 convention)."""
        sx, sy = width / self.width, height / self.height
        return replace(self, fxfycxcy=self.fxfycxcy * [sx, sy, sx, sy], width=width, height=height)

    def to_frame(self, file_path: str) -> dict:
        """The camera as one entry of FaceLift's `opencv_cameras.json`."""
        fx, fy, cx, cy = self.fxfycxcy.tolist()
        return {
            "w": self.width,
            "h": self.height,
            "fx": fx,
            "fy": fy,
            "cx": cx,
            "cy": cy,
            "w2c": self.w2c.tolist(),
            "file_path": file_path,
        }

    @classmethod
    def from_frame(cls, frame: dict) -> Camera:
        """Camera of one entry of `opencv_cameras.json`."""
        missing = [key for key in ("w", "h", "fx", "fy", "cx", "cy", "w2c") if key not in frame]
        if missing:
            raise CameraError("a frame of opencv_cameras.json is not complete", got=f"no {', '.join(missing)}")
        return cls(
            np.asarray(frame["w2c"]), np.array([frame[k] for k in ("fx", "fy", "cx", "cy")]), frame["w"], frame["h"]
        )


_IDENTITY, _LAST_ROW = np.eye(3), np.array([0.0, 0.0, 0.0, 1.0])


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Vector product [3] of two vectors [3]; for single vectors ten times as fast as NumPy's, bit for bit the same."""
    (a0, a1, a2), (b0, b1, b2) = a.tolist(), b.tolist()
    return np.array([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0])


def check_camera(camera: Camera) -> None:
    """Raise CameraError unless `camera` is finite, rigid, right-handed and has positive focal lengths."""
    w2c, fxfycxcy = camera.w2c, camera.fxfycxcy
    if w2c.shape != (4, 4) or fxfycxcy.shape != (4,):
        raise CameraError(
            "camera arrays have wrong shapes",
            got=f"w2c {w2c.shape}, fxfycxcy {fxfycxcy.shape}",
            expected="w2c (4, 4), fxfycxcy (4,)",
        )
    if not (np.isfinite(w2c).all() and np.isfinite(fxfycxcy).all()):
        raise CameraError("camera holds numbers that are not finite")
    if fxfycxcy[:2].min() <= 0 or min(camera.width, camera.height) < 1:
        raise CameraError(
            "camera has no positive focal length or size", got=f"{fxfycxcy}, {camera.width}x{camera.height}"
        )
    rotation = w2c[:3, :3]
    if np.abs(rotation @ rotation.T - _IDENTITY).max() > 1e-4 or np.abs(w2c[3] - _LAST_ROW).max() > 1e-6:
        raise CameraError(
            "w2c is not a rigid transform",
            got=np.array2string(w2c, precision=4),
            likely="scaled rotation, transposed 4x4, or rounded numbers",
        )
    if cross(rotation[0], rotation[1]) @ rotation[2] < 0:
        raise CameraError(
            "w2c mirrors the world (det R = -1)",
            got=-1,
            expected="det R = +1",
            likely="an OpenGL backward axis where OpenCV forward is meant",
        )


def project(camera: Camera, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [..., 2] and depths [...] of world points [..., 3]. Points at or behind the camera have depth <= 0."""
    local = points @ camera.R.T + camera.t
    depth = local[..., 2]
    safe = np.where(np.abs(depth) < 1e-12, 1e-12, depth)
    fx, fy, cx, cy = camera.fxfycxcy
    return np.stack([fx * local[..., 0] / safe + cx, fy * local[..., 1] / safe + cy], -1), depth


class Pixels(NamedTuple):
    """Where points fall in a picture: rows, columns [...] (0 outside), whether they are inside it and in front of its
    camera [...], and depths [...]."""

    rows: np.ndarray
    columns: np.ndarray
    inside: np.ndarray
    depth: np.ndarray


def find_pixels(camera: Camera, points: np.ndarray) -> Pixels:
    """The pixels that world points [..., 3] fall into."""
    pixels, depth = project(camera, points)
    column, row = np.moveaxis(np.floor(pixels), -1, 0)
    inside = (depth > 0) & (column >= 0) & (row >= 0) & (column < camera.width) & (row < camera.height)
    rows, columns = (np.where(inside, index, 0).astype(np.int64) for index in (row, column))
    return Pixels(rows, columns, inside, depth)


def unproject(camera: Camera, pixels: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """World points [..., 3] of pixels [..., 2] at camera depth [...]; the inverse of `project`."""
    fx, fy, cx, cy = camera.fxfycxcy
    local = np.stack([(pixels[..., 0] - cx) / fx * depth, (pixels[..., 1] - cy) / fy * depth, depth], -1)
    return (local - camera.t) @ camera.R


def rays(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Origin [3] and unit directions [H, W, 3] in the world through the pixel centres."""
    u, v = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    fx, fy, cx, cy = camera.fxfycxcy
    local = np.stack([(u - cx) / fx, (v - cy) / fy, np.ones_like(u)], -1)
    world = local @ camera.R
    return camera.center, world / np.linalg.norm(world, axis=-1, keepdims=True)


def look_at(center: np.ndarray, target: np.ndarray, up=(0.0, 0.0, 1.0)) -> np.ndarray:
    """[4, 4] w2c of a camera at `center` whose optical axis passes through `target`, roll 0 with respect to `up`.

    Raises:
        CameraError: `center` and `target` coincide, or the view runs along `up`.
    """
    center, target, up = (np.asarray(a, np.float64) for a in (center, target, up))
    forward = target - center
    right = cross(forward, up)
    if np.linalg.norm(forward) < 1e-12 or np.linalg.norm(right) < 1e-9 * np.linalg.norm(forward):
        raise CameraError(
            "camera cannot look at its target",
            got=f"center {center}, target {target}",
            likely="both in one place, or straight along the up axis",
        )
    forward, right = forward / np.linalg.norm(forward), right / np.linalg.norm(right)
    w2c = np.eye(4)
    w2c[:3, :3] = np.stack([right, cross(forward, right), forward])
    w2c[:3, 3] = -w2c[:3, :3] @ center
    return w2c


def orbit(
    azimuth: float,
    elevation: float,
    distance: float,
    fxfycxcy: np.ndarray,
    width: int,
    height: int,
    target=(0.0, 0.0, 0.0),
) -> Camera:
    """Camera at azimuth and elevation (degrees) and distance about `target`, looking at it."""
    a, e = np.radians(azimuth), np.radians(elevation)
    direction = np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
    target = np.asarray(target, np.float64)
    return Camera(look_at(target + distance * direction, target), fxfycxcy, width, height)


def ring(
    count: int, size: int, elevation: float = RING_ELEVATION, distance: float = CANONICAL_DISTANCE, start: float = 0.0
) -> list[Camera]:
    """`count` cameras at equal azimuth steps from `start`; the published set is count 32, elevation 20, distance
    2.7."""
    step = 360.0 / count
    return [orbit(start + i * step, elevation, distance, canonical_fxfycxcy(size), size, size) for i in range(count)]


def canonical_fxfycxcy(size: int) -> np.ndarray:
    """[4] intrinsics of the canonical square image: fx = fy = 548.99 at 512 px, principal point in the middle."""
    focal = CANONICAL_FOCAL_512 * size / 512.0
    return np.array([focal, focal, size / 2.0, size / 2.0])


def azimuth_elevation(camera: Camera | np.ndarray, about=(0.0, 0.0, 0.0)) -> tuple[float, float, float]:
    """Azimuth [0, 360), elevation and distance of a camera (or a centre [3]) about a point; degrees, world units."""
    center = camera.center if isinstance(camera, Camera) else np.asarray(camera, np.float64)
    offset = center - np.asarray(about, np.float64)
    distance = float(np.linalg.norm(offset))
    azimuth = float(np.degrees(np.arctan2(offset[1], offset[0])) % 360.0)
    return azimuth, float(np.degrees(np.arcsin(np.clip(offset[2] / max(distance, 1e-12), -1, 1)))), distance


def signed_degrees(angle: float) -> float:
    """`angle` in (-180, 180]."""
    turned = (angle + 180.0) % 360.0 - 180.0
    return 180.0 if turned == -180.0 else turned


def circular_difference(a, b):
    """Signed difference a - b of angles in degrees, in [-180, 180)."""
    return (np.asarray(a, np.float64) - b + 180.0) % 360.0 - 180.0


def angle_between(a: Camera | np.ndarray, b: Camera | np.ndarray, about=(0.0, 0.0, 0.0)) -> float:
    """Angle in degrees between the directions from `about` to two camera centres."""
    u, v = ((c.center if isinstance(c, Camera) else np.asarray(c, np.float64)) - np.asarray(about) for c in (a, b))
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(u, v)), u @ v)))


def aim_at(
    camera: Camera,
    target: np.ndarray,
    fxfycxcy: np.ndarray | None = None,
    width: int | None = None,
    height: int | None = None,
) -> tuple[Camera, np.ndarray]:
    """Re-aim a camera at `target` by rotating it about its own optical centre (roll 0, Z up).

    A pure rotation is an exact image homography H = K' R' R^T K^-1: no depth is needed and parallax is untouched.

    Args:
        target: [3] world point, in the unit of the w2c translation.
        fxfycxcy, width, height: of the new image; by default the old ones.
    Returns:
        The new camera and the homography [3, 3] from old to new pixels.
    Raises:
        CameraError: `target` is behind the camera.
    """
    if project(camera, np.asarray(target, np.float64))[1] <= 0:
        raise CameraError(
            "cannot aim a camera at a point behind it",
            got=f"target {np.asarray(target)}",
            likely="a wrong axis convention or a wrong unit",
        )
    new = Camera(
        look_at(camera.center, target),
        camera.fxfycxcy if fxfycxcy is None else fxfycxcy,
        width or camera.width,
        height or camera.height,
    )
    return new, new.K @ new.R @ camera.R.T @ np.linalg.inv(camera.K)
