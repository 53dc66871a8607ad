"""The black, curved border that an undistortion leaves around pictures when it keeps all pixels.

It gives away videos that were undistorted after their calibration, also where silhouettes cannot tell. Part of the
audit.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from mousefacelift.capture.lens import Lens
from mousefacelift.capture.sources import open_film

BLACK = 4  # of 255: what codecs leave of black
LEAST_SHARE = 0.002  # of the picture that a border must cover to say anything
SAME = (
    0.5  # IoU of the visible border with the predicted one; 0.75 to 0.94 on real videos, 0.01 without an undistortion
)


def predicted_border(lens: Lens, new: Lens, size: tuple[int, int]) -> np.ndarray:
    """bool [H, W]: pixels of the undistorted picture (lens `new`) that no pixel of the distorted one (`lens`) fills."""
    width, height = size
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    fx, fy, cx, cy = new.fxfycxcy
    source = lens.distort(np.stack([(u - cx) / fx, (v - cy) / fy], -1))
    return ((source < -0.5) | (source > [width + 0.5, height + 0.5])).any(-1)  # nearer ones are blended, not black


def visible_border(video: str, frames: Sequence[int]) -> np.ndarray:
    """bool [H, W]: pixels that are black in all `frames` of a video and hang together with its edge."""
    reader = open_film(video)
    try:
        black = np.all([reader.read(int(f)).luma() <= BLACK for f in frames if f < reader.frames], axis=0)
    finally:
        reader.close()
    _, labels = cv2.connectedComponents(black.astype(np.uint8), connectivity=4)
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return np.isin(labels, np.setdiff1d(edge, 0)) & black


def border_agreement(
    videos: Sequence[str], lenses: Sequence[Lens], new: Sequence[Lens], sizes: Sequence, frames: Sequence[int]
) -> float:
    """Median IoU over the cameras of the border that is seen with the one that `new` instead of `lenses` predicts; 0
    where that would hardly be visible."""
    found = []
    for video, lens, other, size in zip(videos, lenses, new, sizes):
        expected = predicted_border(lens, other, size)
        if expected.mean() < LEAST_SHARE:
            continue
        seen = visible_border(video, frames)
        found.append((seen & expected).sum() / (seen | expected).sum())
    return float(np.median(found)) if len(found) >= 2 else 0.0
