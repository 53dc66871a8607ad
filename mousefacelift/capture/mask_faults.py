"""What is wrong with the masks of a camera, told from what the other cameras claim.

The visual hull of the other views, seen from a camera, must cover that camera's mask. What of a mask it leaves over is
*excess* if it stays unexplained whichever second camera is also left out, and is *missing* in the second camera whose
absence explains it. Where the excess lies and whether it moves says what it is: bedding, the floor's reflection, a
second animal; what is missing at one place of the picture is behind an occluder. Part of the audit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import label

from mousefacelift.capture.body_facts import rough_center, rough_extent
from mousefacelift.capture.distinct import distinct_frames
from mousefacelift.capture.silhouettes import Silhouettes
from mousefacelift.core.cameras import Camera, project
from mousefacelift.core.hull import Votes, cast_silhouettes, project_hull

FRAMES = 8
RESOLUTION = 64
TELLING = 0.06  # of a mask's area: less excess or missing area is the grid's and the codec's
BROAD = 0.5  # of the excess that has a property, for the property to name it
ALWAYS = 0.98  # of the frames in which a pixel is foreground that never moves
STATIC = 0.08  # of a mask's area that never moves, while the rest goes elsewhere
SPREAD = 1.4  # times its own area that a thing which never moves may cover in one frame
ALONE = 0.15  # of the frames in which it stands apart from the animal
SECOND_BODY = 0.25  # of the largest body, in volume or in the picture
MEND = "capture audit --complete, or capture.mask_backend: complete, adds what of them the pictures show"
IN_PIECES = 0.25  # of the frames, when there are two animals (which touch in many); wrong cameras break the hull alone


@dataclass(frozen=True)
class MaskFaults:
    """Faults per view.

    Attributes:
        excess, missing, static: [V] share of the mask that no other view allows; that the others claim and this one
            lacks (relative to their masks); that never moves while the rest does.
        says: per view what that means, or "".
        bodies: number of separate bodies that all views agree on in frames in which most masks are in two pieces; 1
            where such frames are few.
        poses: distinct poses among the frames.
        claims: {position: [V] bool pictures or None}, what the other views claim, for drawing.
    """

    excess: np.ndarray
    missing: np.ndarray
    static: np.ndarray
    says: list[str]
    bodies: int
    poses: int
    claims: dict[int, list[np.ndarray | None]]


def find_mask_faults(cameras: Sequence[Camera], silhouettes: Silhouettes) -> MaskFaults:
    """Faults of the masks of V views, `cameras` on the silhouettes' working grid."""
    views = len(cameras)
    whole = np.flatnonzero((silhouettes.area > 0).all(1))
    poses = distinct_frames(silhouettes, whole)
    picked = poses[np.linspace(0, len(poses) - 1, min(FRAMES, len(poses))).round().astype(int)] if len(poses) else []
    rows = [_ask_frame(cameras, silhouettes.masks[t], silhouettes.center[t]) for t in picked]
    found = {int(t): row for t, row in zip(picked, rows) if row is not None}
    static = np.array([static_share(silhouettes.masks[poses, v]) for v in range(views)])
    if not found:
        nothing = np.full(views, np.nan)
        return MaskFaults(nothing, nothing, static, _named_static(static), 0, len(poses), {})
    excess = np.median([row["excess"] for row in found.values()], axis=0)
    missing = np.median([row["missing"] for row in found.values()], axis=0)
    says = _named_static(static)
    for view in range(views):
        if not says[view] and missing[view] > 0.5 * TELLING:
            says[view] = _name_missing(view, found, silhouettes)
        if not says[view] and excess[view] > TELLING:
            says[view] = _name_excess(view, found, silhouettes)
    apart = [t for t in found if np.mean([_pieces(mask) > 1 for mask in silhouettes.masks[t]]) > 0.5]
    bodies = int(np.median([found[t]["bodies"] for t in apart])) if len(apart) >= IN_PIECES * len(found) else 1
    claims = {t: row["claims"] for t, row in found.items()}
    return MaskFaults(excess, missing, static, says, bodies, len(poses), claims)


def _ask_frame(cameras: Sequence[Camera], masks: np.ndarray, plane_centers: np.ndarray) -> dict | None:
    """Excess and missing shares [V] of one frame, what the others claim, and the number of bodies."""
    views, center = len(cameras), rough_center(cameras, plane_centers)
    if any(project(camera, center)[1] <= 0 for camera in cameras):
        return None
    votes = cast_silhouettes(masks, cameras, center, 1.4 * rough_extent(cameras, masks, center), RESOLUTION, 0.5, 2)
    area = masks.sum((1, 2))
    claims = [_claim(votes, cameras, view, ()) for view in range(views)]
    left = np.stack([mask & ~claim for mask, claim in zip(masks, claims)])
    missing, explained = np.zeros((views, views)), np.zeros_like(masks)
    if views >= 4:  # with three, two are left, and two views never contradict each other enough to blame a third
        for view in np.flatnonzero(left.sum((1, 2)) > 0.5 * TELLING * area):
            for other in [v for v in range(views) if v != view]:
                part = left[view] & _claim(votes, cameras, view, (other,))
                missing[view, other] = part.sum() / area[view]
                explained[view] |= part
    blamed = np.array([np.delete(missing[:, v], v).mean() for v in range(views)])
    excess = (left & ~explained).sum((1, 2)) / area
    if views < 4 or blamed.max() <= 0.5 * TELLING:
        excess = (
            left.sum((1, 2)) / area
        )  # nobody is blamed by the others together, so each keeps what it holds too much of
        blamed = np.zeros(views)
    hull = votes.hull(0, min(3, views))
    sizes = np.sort(np.bincount(label(hull.occupancy, np.ones((3, 3, 3)))[0].ravel())[1:])[::-1]
    bodies = int((sizes > SECOND_BODY * sizes[0]).sum()) if len(sizes) else 0
    return {"excess": excess, "missing": blamed, "claims": claims, "bodies": bodies, "left": left}


def _pieces(mask: np.ndarray) -> int:
    """Parts of a mask that are at least SECOND_BODY of the largest."""
    sizes = np.bincount(label(mask, np.ones((3, 3)))[0].ravel())[1:]
    return int((sizes >= SECOND_BODY * sizes.max(initial=1)).sum())


def _claim(votes: Votes, cameras: Sequence[Camera], view: int, without: Sequence[int]) -> np.ndarray:
    """Silhouette in `view` of the hull of the other views but those `without`, a pixel fat."""
    rest = len(cameras) - 1 - len(without)
    claim = project_hull(votes.hull(0, min(2, rest), leave_out=(view, *without)), cameras[view])
    return cv2.dilate(claim.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0


def static_share(masks: np.ndarray) -> float:
    """Share of a view's masks [N, h, w] that is always there, and stands alone while the animal is elsewhere.

    An animal that turns on the spot covers some pixels in every frame too, but never leaves them.
    """
    fixed = masks.mean(0) >= ALWAYS if len(masks) >= 3 else np.zeros(masks.shape[1:], bool)
    pieces, count = label(cv2.morphologyEx(fixed.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)))
    alone = np.zeros(count + 1)
    for mask in masks if count else ():
        parts, _ = label(mask, np.ones((3, 3)))
        sizes = np.bincount(parts.ravel())
        for piece in range(1, count + 1):
            own = np.bincount(parts[pieces == piece]).argmax()
            area = (pieces == piece).sum()
            alone[piece] += sizes[own] < SPREAD * area and mask.sum() - sizes[own] > 0.5 * area
    stays = [piece for piece in range(1, count + 1) if alone[piece] > ALONE * len(masks)]
    return float(np.isin(pieces, stays).sum() / np.median(masks.sum((1, 2)))) if stays else 0.0


def _named_static(static: np.ndarray) -> list[str]:
    text = "its masks hold something that never moves (bedding, a wall, a reflection of the arena)"
    return [text if share > STATIC else "" for share in static]


def _name_missing(view: int, found: dict, silhouettes: Silhouettes) -> str:
    """An occluder stays at one place of the picture, where the others see the animal pass now and then and this view
    never does."""
    lacking = np.stack([row["claims"][view] & ~silhouettes.masks[t, view] for t, row in found.items()])
    never = ~silhouettes.masks[:, view].any(0) & (lacking.sum(0) >= max(2, len(found) // 4))
    behind = (lacking & never).sum() / max(lacking.sum(), 1)
    shares = [row["missing"][view] for row in found.values()]
    if behind > BROAD and min(shares) < 0.3 * max(shares):
        return "something stands in front of the animal (an occluder at a fixed place of the picture)"
    return f"its masks lack parts of the animal that the other cameras see ({MEND})"


def _name_excess(view: int, found: dict, silhouettes: Silhouettes) -> str:
    below = apart = total = 0.0
    for t, row in found.items():
        left, claim, mask = row["left"][view], row["claims"][view], silhouettes.masks[t, view]
        parts, _ = label(mask, np.ones((3, 3)))
        touching = np.isin(parts, np.unique(parts[mask & claim]))
        rows = np.flatnonzero(claim.any(1))
        bottom = rows[0] + 0.6 * (rows[-1] - rows[0]) if len(rows) else 0
        total += left.sum()
        apart += (left & ~touching).sum()
        below += left[int(bottom) :].sum()
    if apart > BROAD * total:
        return "its masks hold a second body beside the animal (another animal, a hand, an object)"
    if below > 1.4 * BROAD * total:
        return "its masks hold something below the animal (the floor's reflection, or its shadow)"
    return "its masks hold something that the other cameras do not see"
