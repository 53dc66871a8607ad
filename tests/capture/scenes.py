"""A toy animal of convex parts and random rigs: exact silhouettes for the capture tests, made in milliseconds."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from mousefacelift.capture.conventions import Convention
from mousefacelift.capture.lens import Lens
from mousefacelift.capture.rig import RigCamera
from mousefacelift.capture.silhouettes import SilhouetteMaker, stack_silhouettes
from mousefacelift.core.cameras import look_at
from mousefacelift.core.video import write_mp4
from mousefacelift.formats.axes import FLIP
from mousefacelift.formats.raw_camera import RawCamera

SPHERE = np.random.default_rng(0).normal(size=(160, 3))
SPHERE /= np.linalg.norm(SPHERE, axis=1, keepdims=True)


def animal(time_s: float, seed: int = 0) -> list[np.ndarray]:
    """Convex parts (points [P, 3] mm) of a walking, looking animal."""
    blobs, turn, place = _pose(time_s, seed)
    return [(SPHERE * np.array(radius) + np.array(at)) @ turn.T + place for at, radius in blobs]


def animal_center(time_s: float, seed: int = 0) -> np.ndarray:
    """[3] mm: the animal's centre of volume without the tail."""
    blobs, turn, place = _pose(time_s, seed)
    return _center_of_volume(blobs[:9]) @ turn.T + place


def _pose(time_s: float, seed: int) -> tuple[list[tuple], np.ndarray, np.ndarray]:
    """Blobs (centre, radii) in the animal's axes, its rotation [3, 3] and its place [3]."""
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0, 2 * np.pi, 4)
    angle = 0.7 * time_s + phase[0]
    heading = angle + np.pi / 2 + 0.4 * np.sin(1.3 * time_s + phase[1])
    place = np.array([48 + 45 * np.cos(angle), 52 + 45 * np.sin(angle), 15 + 4 * np.sin(2 * time_s + phase[2])])
    c, s = np.cos(heading), np.sin(heading)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    nod = 8 * np.sin(3 * time_s + phase[3])
    blobs = [
        ((0, 0, 0), (32, 14, 13)),
        ((36, 0.4 * nod, 6 + nod), (15, 9, 9)),
        ((26, 0, 2), (14, 12, 11)),
        ((20, 9, -10), (5, 4, 7)),
        ((20, -9, -10), (5, 4, 7)),
        ((-18, 11, -10), (9, 4, 6)),
        ((-18, -11, -10), (9, 4, 6)),
        ((34, 8, 17 + nod), (4, 3, 6)),
        ((34, -8, 17 + nod), (4, 3, 6)),
    ]
    bend = 10 * np.sin(2 * time_s)
    blobs += [((-30 - 8 * k, bend * (k / 6) ** 2, -3 + 0.4 * k), (6, 2.6 - 0.2 * k, 2.6 - 0.2 * k)) for k in range(7)]
    return blobs, turn, place


def _center_of_volume(blobs: list[tuple]) -> np.ndarray:
    """[3] centroid of the union of axis-aligned ellipsoids (centre, radii), on a 2 mm grid."""
    grid = np.stack(np.meshgrid(*[np.arange(-60.0, 61.0, 2.0)] * 3, indexing="ij"), -1).reshape(-1, 3)
    inside = np.any([(((grid - at) / radius) ** 2).sum(1) < 1 for at, radius in blobs], axis=0)
    return grid[inside].mean(0)


def draw_mask(camera: RigCamera, parts: list[np.ndarray]) -> np.ndarray:
    """uint8 0/1 [H, W] silhouette, each part the convex hull of its projected points."""
    return (draw_coverage(camera, parts) > 127).astype(np.uint8)


def draw_coverage(camera: RigCamera, parts: list[np.ndarray]) -> np.ndarray:
    """uint8 0..255 [H, W]: how much of each pixel the silhouette covers."""
    pixels = [camera.project(part)[0] for part in parts]
    return draw_polygons([p for p in pixels if np.isfinite(p).all()], camera.width, camera.height)


def draw_polygons(parts: list[np.ndarray], width: int, height: int, scale: int = 4) -> np.ndarray:
    """uint8 0..255 [H, W] coverage of the convex hulls of pixel sets [P, 2], supersampled: OpenCV fills half a pixel
    too much."""
    corner = np.clip(np.floor(np.min([p.min(0) for p in parts], 0)) - 2, 0, [width - 1, height - 1]).astype(int)
    end = np.clip(np.ceil(np.max([p.max(0) for p in parts], 0)) + 2, 1, [width, height]).astype(int)
    w, h = np.maximum(end - corner, 1)
    fine = np.zeros((h * scale, w * scale), np.uint8)
    for part in parts:
        hull = cv2.convexHull(((part - corner) * scale).astype(np.float32))
        cv2.fillConvexPoly(fine, np.round((hull - 0.5) * 16).astype(np.int32), 255, shift=4)
    mask = np.zeros((height, width), np.uint8)
    mask[corner[1] : corner[1] + h, corner[0] : corner[0] + w] = cv2.resize(
        fine, (int(w), int(h)), interpolation=cv2.INTER_AREA
    )
    return mask


def random_rig(seed: int, count: int | None = None, width: int = 576, distortion: bool = True) -> list[RigCamera]:
    """Cameras at irregular angles and distances, looking roughly at the arena, with skew and mild distortion."""
    rng = np.random.default_rng(seed)
    count = count or int(rng.integers(4, 9))
    azimuths = (
        np.linspace(0, 360, count, endpoint=False) + rng.uniform(-0.25, 0.25, count) * 360 / count + rng.uniform(0, 360)
    )
    cameras = []
    for index, azimuth in enumerate(np.radians(azimuths)):
        elevation, distance = np.radians(rng.uniform(4, 40)), rng.uniform(300, 420)
        target = np.array([48, 52, 20]) + rng.normal(0, 8, 3)
        center = target + distance * np.array(
            [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
        )
        w2c = look_at(center, target)
        roll = np.eye(4)
        roll[:3, :3] = cv2.Rodrigues(np.array([0, 0, rng.normal(0, 0.05)]))[0]
        height = int(width * rng.uniform(0.75, 1.0))
        f = width * rng.uniform(1.15, 1.3)
        K = np.array(
            [
                [f, rng.normal(0, 1) * distortion, width / 2 + rng.normal(0, 10)],
                [0, f * rng.uniform(0.99, 1.01), height / 2 + rng.normal(0, 10)],
                [0, 0, 1],
            ]
        )
        k = np.array([rng.normal(0, 0.08), rng.normal(0, 0.05), *rng.normal(0, 1e-3, 2), 0.0]) * distortion
        cameras.append(RigCamera(f"c{index}", roll @ w2c, Lens(K, k), width, height))
    return cameras


def raw(cameras: list[RigCamera], unit: float | None = 1.0) -> list[RawCamera]:
    """The cameras as a calibration file would state them."""
    return [
        RawCamera(c.name, c.lens.K, c.R, c.w2c[:3, 3], c.lens.distortion, c.lens.model, c.width, c.height, unit)
        for c in cameras
    ]


def scramble(cameras: list[RawCamera], convention: Convention, transpose_k: bool = False) -> list[RawCamera]:
    """Cameras (x_cam = R x + t) as a file would hold them that was written under `convention`, without size and
    unit."""
    out = []
    for camera in cameras:
        w2c = np.eye(4)
        w2c[:3, :3], w2c[:3, 3] = camera.R, camera.t
        matrix = FLIP @ w2c if convention.opengl else w2c
        matrix = np.linalg.inv(matrix) if convention.camera_to_world else matrix
        R = matrix[:3, :3].T if convention.transposed else matrix[:3, :3]
        K = np.asarray(camera.K).T if transpose_k else camera.K
        out.append(RawCamera(camera.name, K, R, matrix[:3, 3], camera.distortion))
    return out


def silhouettes_of(cameras: list[RigCamera], times: np.ndarray, seed: int = 0, lenses: list[Lens] | None = None):
    """Silhouettes of the animal at `times`; `lenses` are those the reader believes in (the true ones by default)."""
    makers = [SilhouetteMaker(lens, c.width, c.height) for c, lens in zip(cameras, lenses or [c.lens for c in cameras])]
    rows = [
        [maker.make(draw_mask(camera, animal(time, seed))) for maker, camera in zip(makers, cameras)] for time in times
    ]
    return stack_silhouettes(np.arange(len(times)), rows)


def write_recording(
    folder: Path,
    cameras: list[RigCamera],
    frames: int,
    fps: float = 10.0,
    seed: int = 0,
    delays: dict[int, int] | None = None,
    colours: np.ndarray | None = None,
) -> None:
    """Videos and masks of the toy animal as {camera}.mp4 in `videos/` and `masks/`; sizes must be even. `colours`
    [V, 3] are offsets of the cameras' blue, green and red, of full range."""
    for v, camera in enumerate(cameras):
        delay = (delays or {}).get(v, 0)
        masks = [draw_coverage(camera, animal((t - delay) / fps, seed)) for t in range(frames)]
        shade = np.linspace(60, 200, camera.width)[None, :, None] * np.array([0.5, 0.7, 1.0])
        offset = 0 if colours is None else 255 * colours[v]
        pictures = (
            np.clip(np.where(mask[..., None] > 127, shade, 20) + offset, 0, 255).astype(np.uint8) for mask in masks
        )
        write_mp4(folder / "videos" / f"{v}.mp4", pictures, fps, crf=12)
        write_mp4(folder / "masks" / f"{v}.mp4", (np.repeat(m[..., None], 3, 2) for m in masks), fps, crf=12)
