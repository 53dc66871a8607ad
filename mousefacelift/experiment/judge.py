"""Judging a network on an animal's later frames: photos of a seen and of the held-out camera, and the true body.

Two protocols of photos. A: a seen camera that was no input, at new times. C: the held-out camera at new times. Each is
asked with the cameras as the recording tells them (what a lab sees), and with the exact ones (what was learnt).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mousefacelift.check.consistency import depth_warp_error, silhouette_consistency
from mousefacelift.check.fidelity import coverage, fg_psnr, full_psnr, mask_iou
from mousefacelift.check.health import floater_share, gaussian_health
from mousefacelift.check.solid import depth_normals, normal_error, surface_points, surface_scores, volume_iou
from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.render import render_published
from mousefacelift.dataset.loader import to_tensors
from mousefacelift.experiment.bed import Bed, Views
from mousefacelift.experiment.config import Cell
from mousefacelift.experiment.film import HELD_OUT, SEEN, evenly
from mousefacelift.experiment.pools import told
from mousefacelift.experiment.synthetic import as_float, cameras_of
from mousefacelift.lrm.infer import predict_gaussians, render_white
from mousefacelift.lrm.validation import ValidationSet, spread_order

MEAN_FRAMES = 64  # training photos behind a mean image
PROTOCOLS = ("A", "C")  # the targets of a set, in order
HULL_RESOLUTION = 32


def judged_set(bed: Bed, cell: Cell, size: int, frames: np.ndarray, exact: bool) -> ValidationSet:
    """Later frames of an animal as one set: the inputs of the cell, a seen camera that is none of them, the held-out
    one.

    Args:
        frames: positions in `bed.tests`. exact: with true cameras in place of the cell's.
    """
    tests = bed.tests
    if not exact:
        tests = Views(tests.rgba, *told(cell, tests, size))
    centers = np.linalg.inv(bed.tests.w2c[0, list(SEEN)])[:, :3, 3]
    azimuth = np.degrees(np.arctan2(centers[:, 1], centers[:, 0]))
    inputs = spread_order(azimuth, cell.inputs)
    views = [*inputs, next(view for view in SEEN if view not in inputs), HELD_OUT]
    white = np.ones(3)
    data = [
        to_tensors(tests.rgba[i, views], tests.w2c[i, views], tests.fxfycxcy[i, views], white, True) for i in frames
    ]
    mean = [
        to_tensors(bed.photos.rgba[i, views[-2:]], tests.w2c[0, views[-2:]], tests.fxfycxcy[0, views[-2:]], white, True)
        for i in evenly(len(bed.photos), MEAN_FRAMES)
    ]
    all_centers = np.linalg.inv(bed.tests.w2c[0])[:, :3, 3]
    gap = np.linalg.norm(all_centers[views[-2:], None] - all_centers[None, inputs], axis=-1)
    return ValidationSet(
        *(torch.stack([item[key] for item in data]) for key in ("image", "c2w", "fxfycxcy")),
        inputs=cell.inputs,
        mean=torch.stack([item["image"][:, :3] for item in mean]).mean(0),
        nearest=torch.from_numpy(gap.argmin(1)),
    )


@dataclass(frozen=True)
class Seen:
    """Gaussians of every frame [1, N], renders [N, T, 3, H, W] over white and alphas [N, T, H, W] of its targets."""

    gaussians: list[Gaussians]
    rgb: Tensor
    alpha: Tensor


@torch.no_grad()
def answer(model: nn.Module, data: ValidationSet) -> Seen:
    """What the network makes of a set."""
    gaussians, colours, alphas = [], [], []
    height, width = data.image.shape[-2:]
    for i in range(len(data.image)):
        one = slice(i, i + 1)
        made = predict_gaussians(
            model, data.image[one, : data.inputs], data.c2w[one, : data.inputs], data.fxfycxcy[one, : data.inputs]
        )
        cameras = CameraTensors.from_c2w(data.c2w[one, data.inputs :], data.fxfycxcy[one, data.inputs :], width, height)
        out = render_white(made, cameras)
        gaussians.append(made)
        colours.append(out.rgb[0].permute(0, 3, 1, 2).clamp(0, 1))
        alphas.append(out.alpha[0])
    return Seen(gaussians, torch.stack(colours), torch.stack(alphas))


def photo_rows(data: ValidationSet, rgb: Tensor, alpha: Tensor, frames: np.ndarray) -> list[dict]:
    """One row per frame and protocol: fidelity, shape, and the gain over the mean image of that camera."""
    target, mask = data.targets
    mean = data.mean.expand_as(target)
    values = {
        "fg_psnr": fg_psnr(rgb, target, mask),
        "full_psnr": full_psnr(rgb, target),
        "iou": mask_iou(alpha, mask),
        "coverage": coverage(alpha, mask),
        "gain_over_mean": full_psnr(rgb, target) - full_psnr(mean, target),
    }
    return [
        {"frame": int(frame), "protocol": protocol} | {name: float(value[i, t]) for name, value in values.items()}
        for i, frame in enumerate(frames)
        for t, protocol in enumerate(PROTOCOLS)
    ]


def rung_rows(data: ValidationSet, frames: np.ndarray) -> dict[str, list[dict]]:
    """`photo_rows` of two answers that need no network: the mean training image of the camera, and white."""
    target, mask = data.targets
    shade = (1 - data.mean.mean(1)).clamp(0, 1).expand_as(mask)  # how much a mean image is not white
    white = torch.ones_like(target)
    return {
        "mean_image": photo_rows(data, data.mean.expand_as(target), (shade > 0.2).float(), frames),
        "white": photo_rows(data, white, torch.zeros_like(mask), frames),
    }


@torch.no_grad()
def truth_rows(seen: Seen, bed: Bed, frames: np.ndarray) -> list[dict]:
    """One row per frame with truth: the splat against the true body, its own health, and the worst elevation.

    Args:
        frames: positions in `bed.tests` of the Gaussians of `seen`.
    """
    rows = []
    for k, frame in enumerate(bed.truth_index):
        place = np.flatnonzero(frames == frame)
        if not len(place):
            continue
        splat = seen.gaussians[int(place[0])].map(lambda part: part[0].float())
        cameras = cameras_of(bed.around, k)
        rgba, depth = render_published(splat, cameras)
        truth, alpha = as_float(bed.around.rgba[k]), rgba[..., 3]
        points = surface_points(alpha, depth, cameras)
        place_of, normals = depth_normals(alpha, depth, cameras)
        rows.append(
            {"frame": int(frame)}
            | surface_scores(points, bed.points[k])
            | {"normal_error": normal_error(place_of, normals, bed.points[k], bed.normals[k])}
            | {"volume_iou": volume_iou(alpha, truth[..., 3], cameras)}
            | elevation_scores(rgba, truth, bed.elevations)
            | depth_warp_error(over_white(rgba), alpha, depth, cameras)
            | silhouettes(alpha, cameras)
            | gaussian_health(splat.means, splat.scales, splat.opacities)
            | {"floaters": floater_share(alpha, truth[..., 3], grow=1)}
        )
    return rows


def silhouettes(alpha: np.ndarray, cameras: list) -> dict[str, float]:
    """Containment of the splat's own silhouettes: below 1 they are no views of one body; NaN where one is empty."""
    if not all((image > 0.5).any() for image in alpha):
        return {"containment_worst": float("nan")}
    scores = silhouette_consistency(list(alpha > 0.5), cameras, 1.2, HULL_RESOLUTION)
    return {"containment_worst": scores["containment_worst"]}


def elevation_scores(rgba: np.ndarray, truth: np.ndarray, elevations: np.ndarray) -> dict[str, float]:
    """Foreground PSNR and IoU against exact views [V, H, W, 4], over all and at the worst elevation, and which that
    is."""
    shown, target = (torch.from_numpy(over_white(part)).permute(0, 3, 1, 2) for part in (rgba, truth))
    mask = torch.from_numpy(truth[..., 3])
    psnr = fg_psnr(shown, target, mask).numpy()
    iou = mask_iou(torch.from_numpy(rgba[..., 3]), mask).numpy()
    means = {float(up): float(np.nanmean(psnr[elevations == up])) for up in np.unique(elevations)}
    worst = min(means, key=means.get)
    return {
        "around_fg_psnr": float(np.nanmean(psnr)),
        "around_iou": float(iou.mean()),
        "worst_elevation": worst,
        "worst_elevation_fg_psnr": means[worst],
    } | {f"fg_psnr_at_{up:+.0f}": value for up, value in means.items()}


def over_white(rgba: np.ndarray) -> np.ndarray:
    """[..., 3] of straight rgba over white."""
    return rgba[..., :3] * rgba[..., 3:] + (1 - rgba[..., 3:])
