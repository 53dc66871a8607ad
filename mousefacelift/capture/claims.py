"""What the other cameras allow an animal to be, seen from each camera: the space into which a mask may be completed.

Masks are asked in full resolution and through the lens, camera by camera as the calibration states them: an animal that
covers a twelfth of the picture's width is twenty pixels wide on the audit's working grid. Used by `complete_masks`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numba
import numpy as np

from mousefacelift.capture import audit_gates as gates
from mousefacelift.capture.audit_files import audited_frames, common_timeline
from mousefacelift.capture.body_facts import rough_center
from mousefacelift.capture.clip import Clip
from mousefacelift.capture.config import AuditConfig, RecordingSource
from mousefacelift.capture.conventions import raw_lenses, score_conventions
from mousefacelift.capture.lens import Lens, distort_point
from mousefacelift.capture.mask_faults import find_mask_faults
from mousefacelift.capture.recording import Recording
from mousefacelift.capture.sampling import read_silhouettes
from mousefacelift.capture.silhouettes import working_cameras
from mousefacelift.capture.suspects import find_copies
from mousefacelift.capture.sync import find_offsets
from mousefacelift.capture.tangency import Poses
from mousefacelift.capture.timeline import Runs, compose, offset_at
from mousefacelift.core.cameras import Camera, project

GRID = 64  # voxels along an edge
REACH = 1.5  # times the masks' reach: half the edge of the grid; masks that lack parts reach less far than the animal
TOLERANCE = 1  # of the others may lack a part, too
MIN_MASKS = 3  # silhouettes that say where an animal is
THIN = 0.02  # of the animal's size: thinner seams along a mask are another opinion about its edge, not a lost part


@dataclass(frozen=True)
class RoughRig:
    """The cameras as their calibration states them, in the convention that the masks confirm; not audited.

    Attributes:
        cameras: V pinholes, without their lenses. lenses: V. offsets: [V] runs; file frame = common frame + offset.
    """

    cameras: tuple[Camera, ...]
    lenses: tuple[Lens, ...]
    offsets: tuple[Runs, ...]

    def file_frame(self, view: int, frame: int) -> int:
        """The number that common frame `frame` has in the files of `view`."""
        return frame + offset_at(self.offsets[view], frame)

    def pixels(self, view: int, points: np.ndarray) -> np.ndarray:
        """Pixels [P, 2] of world points [P, 3] in the pictures of `view`."""
        local = points @ self.cameras[view].R.T + self.cameras[view].w2c[:3, 3]
        return self.lenses[view].distort(local[:, :2] / local[:, 2:])


@dataclass(frozen=True)
class Claim:
    """What the other cameras say of one picture, bool [H, W].

    Attributes:
        tolerant: where all but TOLERANCE of them see the animal.
        wanted: what of it the mask denies although another's mask holds what only it explains.
        strict: what of that all others see.
    """

    tolerant: np.ndarray
    wanted: np.ndarray
    strict: np.ndarray


def rough_rig(recording: Recording, source: RecordingSource, config: AuditConfig, clip: Clip) -> RoughRig:
    """The cameras before any audit, as far as the silhouettes confirm how they are to be read.

    Raises:
        CalibrationError: no convention is confirmed, or a camera is a copy of another: completed masks would differ and
            hide it.
        DataError: masks that hold what never moves, or two bodies: nothing may be completed towards them.
    """
    lenses, _ = raw_lenses(recording.cameras)
    stamped, total, config = common_timeline(recording, lenses, clip, config)
    picked = audited_frames(source, total, config)
    silhouettes = read_silhouettes(recording.masks, lenses, clip.sizes, picked, None, stamped)
    gates.require_silhouettes(silhouettes, recording, clip.sizes)
    widths = [width for width, _ in clip.sizes]
    scores = score_conventions(recording.cameras, lenses, widths, silhouettes)
    convention = gates.choose_convention(scores, recording, config)
    w2c = np.stack([convention.w2c(c.R, c.t) for c in recording.cameras])
    poses = Poses.of(w2c, [lens.fxfycxcy[:2].mean() for lens in lenses])
    cameras = tuple(Camera(m, lens.fxfycxcy, *size) for m, lens, size in zip(w2c, lenses, clip.sizes))
    faults = find_mask_faults(working_cameras(cameras)[0], silhouettes)
    gates.require_nothing_static(faults, recording)
    gates.require_one_body(faults, recording)
    if find_copies(poses, silhouettes):
        gates.require_no_suspect(silhouettes, poses, float(np.mean(widths)), config, recording, faults)
    found, _ = find_offsets(silhouettes, poses, config.max_offset)
    return RoughRig(cameras, tuple(lenses), tuple(compose(runs, inner) for runs, inner in zip(found, stamped)))


def claim_views(masks: Sequence[np.ndarray], rig: RoughRig) -> list[Claim] | None:
    """What the others claim in every view of one frame's masks (uint8 0/1 [H, W]); None where too few masks tell.

    A mask is bare where the hull of all leaves it uncovered: another mask lacks what would be seen there. Masks that
    explain each other want nothing. A view without mask is not asked.
    """
    have = [view for view, mask in enumerate(masks) if mask.any()]
    found = _place_grid(masks, have, rig) if len(have) >= MIN_MASKS else None
    if found is None:
        return None
    center, half, depths = found
    missed = _ask_grid(masks, have, rig, center, half)
    few = np.argwhere(np.bitwise_count(missed) <= TOLERANCE + 1)
    missed, points = missed[tuple(few.T)], center - half + (few + 0.5) * (2 * half / GRID)
    voxel = 2 * half / GRID
    # half a voxel's diagonal
    radii = [math.ceil(0.87 * voxel * c.fxfycxcy[0] / depth) for c, depth in zip(rig.cameras, depths)]
    pixels = [np.floor(rig.pixels(view, points)).astype(np.int64) for view in range(len(masks))]
    explains = np.zeros((len(masks), len(points)), bool)
    for view in have:
        covered = _draw(pixels[view][missed == 0], radii[view], masks[view].shape)
        explains[view] = _look_up(_bare(masks[view], covered), pixels[view]) & (missed & (1 << view) == 0)
    tolerance, claims = min(TOLERANCE, len(have) - 3), []
    for view, mask in enumerate(masks):
        others = np.bitwise_count(missed & ~np.int64(1 << view))
        wanted = (others <= tolerance) & (missed & (1 << view) != 0) & explains.any(0)
        kinds = (others <= tolerance, wanted, wanted & (others == 0))
        claims.append(Claim(*(_draw(pixels[view][kind], radii[view], mask.shape) for kind in kinds)))
    return claims


def _place_grid(masks: Sequence[np.ndarray], have: list[int], rig: RoughRig) -> tuple | None:
    """Centre [3] and half edge of a cube that holds the animal, and its depth [V] in every view; None if it is behind
    one."""
    centers = np.full((len(masks), 2), np.nan)
    boxes = {view: cv2.boundingRect(masks[view]) for view in have}
    for view, (x, y, w, h) in boxes.items():
        centers[view] = rig.lenses[view].undistort(np.array([x + 0.5 * w, y + 0.5 * h]))
    if not np.isfinite(centers[have]).all():
        return None
    center = rough_center(rig.cameras, centers)
    depths = np.array([project(camera, center)[1] for camera in rig.cameras])
    if (depths <= 0).any():
        return None
    reach = [0.5 * math.hypot(*boxes[v][2:]) * depths[v] / rig.cameras[v].fxfycxcy[0] for v in have]
    return center, REACH * float(np.median(reach)), depths


def _bare(mask: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """bool [H, W]: what of a mask is not covered, without seams."""
    bare = mask & ~covered
    return cv2.morphologyEx(bare, cv2.MORPH_OPEN, disc(thin_px(mask))) > 0


def thin_px(mask: np.ndarray) -> int:
    """Half the width, px, of seams along a mask that are another opinion about its edge and no lost part."""
    return max(1, round(THIN * math.sqrt(cv2.countNonZero(mask))))


def disc(radius: int) -> np.ndarray:
    """uint8 0/1 [2 radius + 1, 2 radius + 1] disc."""
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))


def _ask_grid(masks: Sequence[np.ndarray], have: list[int], rig: RoughRig, center: np.ndarray, half: float):
    """int64 [GRID, GRID, GRID]: a bit per view whose mask misses the voxel; outside of a picture nothing is missed."""
    height, width = max(m.shape[0] for m in masks), max(m.shape[1] for m in masks)
    stack = np.ones((len(masks), height, width), np.uint8)
    for view in have:
        h, w = masks[view].shape
        stack[view, :h, :w] = masks[view]
    w2c = np.stack([camera.w2c[:3] for camera in rig.cameras])
    lenses = np.stack([lens.parameters for lens in rig.lenses])
    return _cast(stack, w2c, lenses, np.asarray(center, np.float64), half, GRID)


@numba.njit(cache=True, nogil=True)
def _cast(masks, w2c, lenses, center, half, grid):
    views, height, width = masks.shape
    missed = np.zeros((grid, grid, grid), np.int64)
    step = 2 * half / grid
    for i in range(grid):
        x = center[0] - half + (i + 0.5) * step
        for j in range(grid):
            y = center[1] - half + (j + 0.5) * step
            for k in range(grid):
                z = center[2] - half + (k + 0.5) * step
                for v in range(views):
                    m = w2c[v]
                    depth = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
                    if depth <= 0:
                        continue
                    a = (m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]) / depth
                    b = (m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]) / depth
                    u, w = distort_point(a, b, lenses[v])
                    column, row = int(np.floor(u)), int(np.floor(w))
                    if 0 <= column < width and 0 <= row < height and masks[v, row, column] == 0:
                        missed[i, j, k] |= 1 << v
    return missed


def _look_up(picture: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """bool [P]: the picture at whole pixels [P, 2]; False outside of it."""
    height, width = picture.shape
    inside = (pixels >= 0).all(1) & (pixels[:, 0] < width) & (pixels[:, 1] < height)
    out = np.zeros(len(pixels), bool)
    out[inside] = picture[pixels[inside, 1], pixels[inside, 0]]
    return out


def _draw(pixels: np.ndarray, radius: int, shape: tuple[int, int]) -> np.ndarray:
    """bool [H, W]: discs of `radius` about whole pixels [P, 2]."""
    out = np.zeros(shape, np.uint8)
    places = pixels[(pixels >= 0).all(1) & (pixels[:, 0] < shape[1]) & (pixels[:, 1] < shape[0])]
    if len(places) == 0:
        return out > 0
    out[places[:, 1], places[:, 0]] = 1
    x, y, w, h = cv2.boundingRect(out)
    box = np.s_[max(0, y - radius) : y + h + radius, max(0, x - radius) : x + w + radius]
    out[box] = cv2.dilate(out[box], disc(radius))
    return out > 0
