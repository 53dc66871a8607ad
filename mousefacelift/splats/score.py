"""How well a fit explains views: the numbers by which fits are compared, flagged and trusted."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.images import composite, mask_bbox, mask_iou
from mousefacelift.core.psnr import psnr_of_error
from mousefacelift.core.render import render, straight_rgba
from mousefacelift.splats import corrections as camera_corrections
from mousefacelift.splats.frames import FrameViews
from mousefacelift.splats.scene import Scene, render_scene

WHITE = (1.0, 1.0, 1.0)
DILATE = 0.02  # of the image width: how far outside the silhouette alpha may lie


@torch.no_grad()
def render_views(scene: Scene, cameras, device="cpu", corrections: np.ndarray | None = None):
    """Straight-alpha rgba float32 [V, H, W, 4] and expected depth [V, H, W] (0 where there is nothing).

    Args:
        corrections: [V, 8] of the cameras, learned with Gaussians.
    """
    tensors, moved = CameraTensors.from_cameras(list(cameras), device), scene.to(device)
    if corrections is None:
        return straight_rgba(render_scene(moved, tensors))
    batch = CameraTensors(tensors.w2c[None], tensors.fxfycxcy[None], tensors.width, tensors.height)
    one = moved.map(lambda tensor: tensor[None])
    moved, single = camera_corrections.move_to_views(one, batch, torch.from_numpy(corrections).to(device))
    rgba, depth = straight_rgba(render(moved, single))
    return rgba.reshape(len(cameras), *rgba.shape[-3:]), depth.reshape(len(cameras), *depth.shape[-2:])


def score_views(scene: Scene, frame: FrameViews, device="cpu", corrections: np.ndarray | None = None):
    """Scores [V] of the scene rendered into the cameras of `frame`, see `compare_views`."""
    rgba, _ = render_views(scene, frame.cameras, device, corrections)
    return compare_views(rgba, frame.rgba)


def compare_views(rendered: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """Scores [V] of straight-alpha images [V, H, W, 4] against the truth.

    Returns:
        psnr: over the truth's mask, both over white (a dark animal: an error of shape costs the most), dB.
        psnr_black: the same over black.
        iou: of the masks.
        error: mean absolute colour error over white where either image has foreground, 0 to 1.
        outside: share of the rendered alpha outside the dilated mask of the truth.
    """
    rows = [_compare(a, b) for a, b in zip(rendered, truth, strict=True)]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _compare(rendered: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    radius = max(1, round(DILATE * truth.shape[1]))
    something = ~(rendered[..., 3] <= 0) | (truth[..., 3] > 0)  # NaN is something
    if something.any():  # the rest is empty in both and counts for nothing
        x0, y0, x1, y1 = mask_bbox(something)
        rendered, truth = rendered[y0:y1, x0:x1], truth[y0:y1, x0:x1]
    mask, drawn = truth[..., 3] > 0.5, rendered[..., 3] > 0.5
    either = mask | drawn
    white = np.abs(composite(rendered, WHITE) - composite(truth, WHITE))
    black = np.abs(composite(rendered, (0, 0, 0)) - composite(truth, (0, 0, 0)))
    allowed = cv2.dilate((truth[..., 3] > 0.02).astype(np.uint8), np.ones((2 * radius + 1,) * 2, np.uint8)) > 0
    alpha = rendered[..., 3]
    return {
        "psnr": float(psnr_of_error(np.square(white[mask], dtype=np.float64).mean())),
        "psnr_black": float(psnr_of_error(np.square(black[mask], dtype=np.float64).mean())),
        "iou": mask_iou(mask, drawn),
        "error": float(white[either].mean()) if either.any() else 0.0,
        "outside": float(alpha[~allowed].sum() / max(alpha.sum(), 1e-9)),
    }
