"""Rungs below every cell that need no network: white, the mean training image, and the visual hull of the inputs
(of one input its cone, as deep as it is wide).

The hull is carved and coloured with the cameras as the recording tells them: what wrong cameras cost by themselves.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from mousefacelift.check.fidelity import fg_psnr, full_psnr, mask_iou
from mousefacelift.check.ladder import input_hull, silhouette_cone, visual_hull
from mousefacelift.core.cameras import Camera
from mousefacelift.core.samples import View
from mousefacelift.experiment.bed import Bed
from mousefacelift.experiment.config import Cell
from mousefacelift.experiment.film import evenly
from mousefacelift.experiment.judge import PROTOCOLS, judged_set
from mousefacelift.lrm.validation import ValidationSet

FRAMES = 8  # judged frames of an animal


def rungs_table(cells: list[Cell], beds: dict[int, Bed], size: int) -> pd.DataFrame:
    """A row per rung, protocol, level of cameras, number of inputs and animal that the cells have.

    A hull needs cameras that face the animal, so there is none of mirrored ones.
    """
    rows = []
    for cell in {(cell.cameras, cell.inputs, cell.animal): cell for cell in cells}.values():
        data = judged_set(beds[cell.animal], cell, size, evenly(len(beds[cell.animal].tests), FRAMES), exact=False)
        target, mask = data.targets
        shade = (1 - data.mean).amax(1).expand_as(mask)
        answers = {
            "white": (torch.ones_like(target), torch.zeros_like(mask)),
            "mean_image": (data.mean.expand_as(target), shade),
        }
        if cell.cameras != "mirrored":
            answers["visual_hull" if cell.inputs > 1 else "one_silhouette"] = hull_pictures(data)
        for name, (rgb, alpha) in answers.items():
            values = {"fg_psnr": fg_psnr(rgb, target, mask), "full_psnr": full_psnr(rgb, target)}
            values["iou"] = mask_iou(alpha, mask)
            for t, protocol in enumerate(PROTOCOLS):
                row = {"rung": name, "protocol": protocol, "cameras": cell.cameras, "inputs": cell.inputs}
                means = {key: float(value[:, t].nanmean()) for key, value in values.items()}
                rows.append(row | {"animal": cell.animal, "n": len(target)} | means)
    return pd.DataFrame(rows)


def hull_pictures(data: ValidationSet) -> tuple[torch.Tensor, torch.Tensor]:
    """Colours [N, T, 3, H, W] over white and alphas [N, T, H, W] of the hull of every frame's inputs."""
    colours, alphas = [], []
    for i in range(len(data.image)):
        views = [view_of(data, i, k) for k in range(data.image.shape[1])]
        inputs, targets = views[: data.inputs], views[data.inputs :]
        hull = input_hull(inputs) if len(inputs) > 1 else silhouette_cone(inputs[0])
        shown = np.stack([visual_hull(hull, inputs, view.camera) for view in targets])
        colours.append(shown[..., :3] * shown[..., 3:] + 1 - shown[..., 3:])
        alphas.append(shown[..., 3])
    rgb = torch.from_numpy(np.stack(colours)).float().permute(0, 1, 4, 2, 3)
    return rgb, torch.from_numpy(np.stack(alphas)).float()


def view_of(data: ValidationSet, frame: int, view: int) -> View:
    """One view of a set with its camera; the colours stay composited on white."""
    rgba = data.image[frame, view].permute(1, 2, 0).numpy()
    w2c = np.linalg.inv(data.c2w[frame, view].double().numpy())
    w2c[:3, :3] = orthonormal(w2c[:3, :3])
    return View(rgba, Camera(w2c, data.fxfycxcy[frame, view].numpy(), rgba.shape[1], rgba.shape[0]))


def orthonormal(rotation: np.ndarray) -> np.ndarray:
    """The nearest rotation to one that single precision has rounded."""
    u, _, vt = np.linalg.svd(rotation)
    return u @ vt
