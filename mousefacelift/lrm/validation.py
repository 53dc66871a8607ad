"""The fixed validation set of a training run, and the collapse alarm judged on it.

Every frame is seen with the same input cameras and the same target cameras (never inputs, never the held-out camera),
so that the mean image of a camera, the spread between frames and retrieval mean something.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mousefacelift.check.collapse import CollapseThresholds, collapse_metrics, diagnose
from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.cameras import circular_difference
from mousefacelift.core.spread import spread
from mousefacelift.dataset.loader import load_views
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.errors import DataError
from mousefacelift.lrm.infer import predict_gaussians, render_white

MEAN_FRAMES = 64  # training frames behind a mean image


@dataclass(frozen=True)
class ValidationSet:
    """N frames with I input and T target views on white.

    image [N, I+T, 4, H, W] (colour, then alpha), c2w [N, I+T, 4, 4], fxfycxcy [N, I+T, 4]; mean [T, 3, H, W] is the
    mean training image of each target camera. The inputs come first; nearest [T] is the input nearest to each target.
    """

    image: Tensor
    c2w: Tensor
    fxfycxcy: Tensor
    inputs: int
    mean: Tensor
    nearest: Tensor

    @property
    def targets(self) -> tuple[Tensor, Tensor]:
        """Colours [N, T, 3, H, W] and masks [N, T, H, W] of the target views."""
        return self.image[:, self.inputs :, :3], self.image[:, self.inputs :, 3]


def build_validation(manifest: Manifest, source: str, frames: int, inputs: int, size: int) -> ValidationSet:
    """The validation set of a dataset: `frames` samples of the val split of `source`, evenly spread.

    Raises:
        DataError: fewer than two samples, or no view left for a target.
    """
    rows = _complete_rows(manifest, source, "val", inputs + 1)
    chosen = rows[spread(len(rows), frames)] if len(rows) else rows
    if len(chosen) < 2:
        raise DataError(
            "there is nothing to validate on",
            got=f"{len(chosen)} '{source}' samples in the val split",
            expected=f"at least 2 with {inputs + 1} usable views",
            hint="a longer recording, a larger dataset.splits.val, or train.validation_source",
        )
    usable = _usable_indices(manifest, chosen[0])
    order = spread_order(manifest.views_of(chosen[0]).azimuth[usable], inputs)
    views = [usable[i] for i in order] + [usable[i] for i in range(len(usable)) if i not in order][:8]
    data = [load_views(manifest.folder_of(row), views, size) for row in chosen]
    train_rows = _complete_rows(manifest, source, "train", inputs + 1)
    picked = train_rows[spread(len(train_rows), MEAN_FRAMES)]
    mean = torch.stack(
        [load_views(manifest.folder_of(row), views[inputs:], size)["image"][:, :3] for row in picked]
    ).mean(0)
    azimuth = manifest.views_of(chosen[0]).azimuth[views]
    gap = torch.from_numpy(np.abs(circular_difference(azimuth[inputs:, None], azimuth[None, :inputs])))
    stacked = {key: torch.stack([item[key] for item in data]) for key in ("image", "c2w", "fxfycxcy")}
    return ValidationSet(**stacked, inputs=inputs, mean=mean, nearest=gap.argmin(1))


def _complete_rows(manifest: Manifest, source: str, split: str, views: int) -> np.ndarray:
    """Sample rows of a source and split, in time order, that have every view that most of them have."""
    rows, _ = manifest.pool(source, split, views)
    if not len(rows):
        return rows
    table = manifest.samples.iloc[rows]
    rows = rows[np.lexsort([table["frame"].to_numpy(), table["recording"].astype(str).to_numpy()])]
    sets = [tuple(_usable_indices(manifest, row)) for row in rows]
    usual = max(set(sets), key=sets.count)
    return np.array([row for row, views in zip(rows, sets) if views == usual])


def _usable_indices(manifest: Manifest, row: int) -> list[int]:
    """Views of a sample's own folder that training may see."""
    views = manifest.views_of(row)
    return [int(i) for i in np.flatnonzero(views.usable & (views.owner == row))]


def spread_order(azimuths: np.ndarray, count: int) -> list[int]:
    """`count` views far apart in azimuth: the first, then always the one farthest from those chosen."""
    gap = np.abs(circular_difference(azimuths[:, None], azimuths[None]))
    chosen = [0]
    while len(chosen) < count:
        nearest = gap[:, chosen].min(1)
        nearest[chosen] = -1
        chosen.append(int(nearest.argmax()))
    return sorted(chosen)


@torch.no_grad()
def predict_set(model: nn.Module, data: ValidationSet, shift: int = 0) -> tuple[Tensor, Tensor]:
    """Renders [N, T, 3, H, W] (clamped) and alphas [N, T, H, W] of the target cameras over white, on the CPU.

    With a `shift`, frame i is shown the images of frame i + shift and its own cameras: the input-swap test.
    """
    colors, alphas = [], []
    for i in range(len(data.image)):
        j = (i + shift) % len(data.image)
        gaussians = predict_gaussians(
            model,
            data.image[j : j + 1, : data.inputs],
            data.c2w[i : i + 1, : data.inputs],
            data.fxfycxcy[i : i + 1, : data.inputs],
        )
        height, width = data.image.shape[-2:]
        cameras = CameraTensors.from_c2w(
            data.c2w[i : i + 1, data.inputs :], data.fxfycxcy[i : i + 1, data.inputs :], width, height
        )
        out = render_white(gaussians, cameras)
        colors.append(out.rgb[0].permute(0, 3, 1, 2).clamp(0, 1).float().cpu())
        alphas.append(out.alpha[0].float().cpu())
    return torch.stack(colors), torch.stack(alphas)


def validate(
    model: nn.Module, data: ValidationSet, thresholds: CollapseThresholds | None = None
) -> tuple[dict[str, float], tuple[str, ...], Tensor]:
    """Collapse metrics, the names of the collapses they show, and the renders [N, T, 3, H, W]."""
    training = model.training
    model.eval()
    prediction, alpha = predict_set(model, data)
    shift = max(len(data.image) // 2, 1)
    swapped, _ = predict_set(model, data, shift)
    model.train(training)
    target, mask = data.targets
    metrics = collapse_metrics(
        prediction,
        target,
        mask > 0.5,
        alpha,
        data.mean,
        input_image=data.image[:, data.nearest, :3],
        swapped=(swapped, target.roll(-shift, 0), target),
    )
    return metrics, diagnose(metrics, thresholds or CollapseThresholds()), prediction


def validation_sheet(data: ValidationSet, prediction: Tensor, rows: int = 4) -> np.ndarray:
    """Picture [H, W, 3]: per frame the inputs, then each target beside its prediction."""
    from mousefacelift.core.images import contact_sheet

    tiles: list[np.ndarray] = []
    target, _ = data.targets
    shown = min(2, target.shape[1])
    for n in np.linspace(0, len(prediction) - 1, min(rows, len(prediction))).round().astype(int):
        images = [*data.image[n, : data.inputs, :3]]
        for t in range(shown):
            images += [target[n, t], prediction[n, t]]
        tiles += [image.permute(1, 2, 0).numpy() for image in images]
    return contact_sheet(tiles, data.inputs + 2 * shown)
