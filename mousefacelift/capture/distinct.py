"""Which frames tell something new: a resting animal, or a picture that was copied, proves nothing twice."""

from __future__ import annotations

import cv2
import numpy as np

from mousefacelift.capture.silhouettes import Silhouettes

SAME = 0.96  # mean IoU of two frames' silhouettes above which they are one pose: codec noise leaves 0.97 to 0.99
WIDTH = 144  # px of the masks that are compared


def distinct_frames(silhouettes: Silhouettes, among: np.ndarray | None = None) -> np.ndarray:
    """Positions of frames of which no two show the same pose, the first of each kept.

    Args:
        among: positions that count; all by default.
    """
    among = np.arange(len(silhouettes.frames)) if among is None else np.asarray(among, int)
    overlap, kept = pose_overlap(silhouettes, among), []
    for position in range(len(among)):
        if not kept or overlap[position, kept].max() < SAME:
            kept.append(position)
    return among[kept]


def pose_overlap(silhouettes: Silhouettes, among: np.ndarray) -> np.ndarray:
    """[N, N] mean IoU over the views of the silhouettes of two frames; a view empty in both has no say."""
    total, counted = np.zeros((len(among),) * 2), np.zeros((len(among),) * 2)
    for view in range(silhouettes.masks.shape[1]):
        flat = _cropped(silhouettes.masks[among, view]).reshape(len(among), -1).astype(np.float32)
        area, both = flat.sum(1), flat @ flat.T
        union = area[:, None] + area[None] - both
        total += np.where(union > 0, both / np.maximum(union, 1e-9), 0)
        counted += union > 0
    return total / np.maximum(counted, 1)


def _cropped(masks: np.ndarray) -> np.ndarray:
    """Masks [N, h, w] cut to where any of them is, at WIDTH px."""
    rows, columns = np.flatnonzero(masks.any((0, 2))), np.flatnonzero(masks.any((0, 1)))
    if not len(rows):
        return masks[:, :1, :1]
    cut = masks[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    step = max(1, round(masks.shape[2] / WIDTH))
    if step == 1:
        return cut
    size = (max(1, cut.shape[2] // step), max(1, cut.shape[1] // step))
    return np.stack([cv2.resize(m.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA) > 127 for m in cut])
