"""Mode collapse: does a model answer its input, or does it paint the average image?

Pure functions, tensors (or arrays) in, plain floats out. A set has N frames and V views: images [N, V, 3, H, W] in
[0, 1] on one background, masks [N, V, H, W]. PSNR alone prefers half a mean image to a sharp answer one pixel off, so
several detectors look from different sides, and `diagnose` names the collapse that explains what they see:

| diagnosis | sign |
|---|---|
| black_out | what should be background is dark |
| white_out | foreground area under half of the target's |
| overfilled | foreground area over one and a half of the target's |
| view_copy | predictions lie nearer to the input image than to their own targets |
| mean_image | next to no variation between frames |
| half_mean | variation there, but shrunk toward the mean |
| wrong_frame | right variation, wrong answer: input not followed, or targets not found by retrieval |
| no_skill | no better than the mean image by PSNR, without any of the signs above |
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from mousefacelift.check.fidelity import as_mask, as_tensor, fg_psnr, full_psnr, soft_coverage
from mousefacelift.errors import DataError

RANK_COLUMNS = 1 << 14  # numbers of every image that `effective_rank` holds in double precision at a time


@dataclass(frozen=True)
class CollapseThresholds:
    """Where a detector trips; defaults from a synthetic study of 60 poses in 6 views.

    Args:
        background_dark: mean darkness of the background, of full range, that no shadow or floater explains.
        coverage_min, coverage_max: predicted over true foreground area.
        copy_margin_db: PSNR to the input above PSNR to the target by more than this is copying.
        variance_mean: variance ratio below which the output is the mean image.
        variance_half: below this it is shrunk toward it.
        skill_db: PSNR gain over the mean image that a working model exceeds.
        retrieval_over_chance: retrieval@1 as a multiple of chance, capped at 0.5.
        swap_db: what following the swapped input must gain.
    """

    background_dark: float = 0.5
    coverage_min: float = 0.5
    coverage_max: float = 1.5
    copy_margin_db: float = 0.0
    variance_mean: float = 0.1
    variance_half: float = 0.3
    skill_db: float = 1.0
    retrieval_over_chance: float = 5.0
    swap_db: float = 0.0


DEFAULTS = CollapseThresholds()


def skill_over_mean(prediction, target, mean) -> float:
    """PSNR gain G in dB over the mean image, same pixels, mean over images; 0 or less is no skill."""
    target = as_tensor(target)
    baseline = full_psnr(as_tensor(mean).expand_as(target), target)
    return float((full_psnr(prediction, target) - baseline).mean())


def skill_over_white(prediction, target) -> float:
    """PSNR gain in dB over an all-white image, mean over images."""
    target = as_tensor(target)
    return float((full_psnr(prediction, target) - full_psnr(target.new_ones(()).expand_as(target), target)).mean())


def variance_ratio(prediction, target) -> float:
    """Spread of the predictions between frames over that of the targets, pooled over views; 1 right, 0 collapse."""
    prediction, target = as_tensor(prediction), as_tensor(target)
    _needs_frames(target)
    varied, spread = (sum(float(part.square_().sum()) for part in _deviations(x)) for x in (prediction, target))
    return varied / max(spread, 1e-12)


def anomaly_correlation(prediction, target) -> float:
    """Correlation of the deviations from each one's mean image, pooled over views; 0 when the prediction never
    varies."""
    prediction, target = as_tensor(prediction), as_tensor(target)
    _needs_frames(target)
    own, true, shared = 0.0, 0.0, 0.0
    for p, y in zip(_deviations(prediction), _deviations(target), strict=True):
        own, true, shared = own + float(p.square().sum()), true + float(y.square().sum()), shared + float((p * y).sum())
    scale = math.sqrt(own * true)
    return shared / scale if scale > 1e-9 else 0.0


def _deviations(images: torch.Tensor) -> Iterator[torch.Tensor]:
    """[N, 3, H, W] of each view in turn, since hundreds of frames are large, minus its mean over the N frames."""
    for view in images.unbind(1):
        yield view - view.mean(0)


def retrieval(prediction, target) -> dict[str, float]:
    """How often the nearest target (L2) of a prediction is its own, among the N frames of the same view.

    Ties share the credit, so a constant prediction scores chance. Frames should lie further apart than the correlation
    time.

    Returns:
        retrieval_at_1, retrieval_mrr (mean reciprocal rank), retrieval_chance = 1 / N.
    """
    prediction, target = as_tensor(prediction), as_tensor(target)
    _needs_frames(target)
    frames, views = target.shape[:2]
    hits, reciprocal = 0.0, 0.0
    for view in range(views):
        distance = torch.cdist(
            prediction[:, view].flatten(1).double(),
            target[:, view].flatten(1).double(),
            compute_mode="donot_use_mm_for_euclid_dist",
        )
        own = distance.diagonal()[:, None]
        tolerance = 1e-6 * own.clamp_min(1e-6)
        nearer = (distance < own - tolerance).sum(1)
        ties = ((distance - own).abs() <= tolerance).sum(1)  # at least 1: itself
        hits += float(((nearer == 0) / ties).sum())
        ranks = nearer + (ties + 1) / 2
        reciprocal += float((1.0 / ranks).sum())
    count = frames * views
    return {"retrieval_at_1": hits / count, "retrieval_mrr": reciprocal / count, "retrieval_chance": 1.0 / frames}


def view_copy(prediction, target, input_image) -> float:
    """PSNR of the predicted views to the input image minus that to their targets, dB; above 0 means copying.

    Args:
        prediction, target: [N, V, 3, H, W], views other than the input.
        input_image: [N, 3, H, W], or [N, V, 3, H, W] with the input nearest to each view.
    """
    prediction = as_tensor(prediction)
    image = as_tensor(input_image)
    image = (image[:, None] if image.dim() == 4 else image).expand_as(prediction)
    return float((full_psnr(prediction, image) - full_psnr(prediction, target)).mean())


def background_darkness(prediction, target, mask) -> float:
    """By how much predictions are darker than their targets [..., 3, H, W] where masks [..., H, W] show background."""
    prediction, target, outside = as_tensor(prediction), as_tensor(target), ~as_mask(mask)
    darker = (target - prediction).mean(-3) * outside
    return float(darker.sum() / outside.sum().clamp_min(1))


def loss_jump(steps, losses, factor: float = 20.0, within: int = 2000) -> int | None:
    """The step from which a run's loss stays `factor` times what it was before; None for a run that has no such step.

    Runs of others broke down like this after a long healthy phase, and none recovered.

    Args:
        steps, losses: [n] in order. within: steps before the jump whose median is the level that is left.
    """
    for i in range(1, len(steps)):
        before = [loss for step, loss in zip(steps[:i], losses[:i]) if steps[i] - step <= within]
        if before and all(loss >= factor * sorted(before)[len(before) // 2] for loss in losses[i:]):
            return int(steps[i])
    return None


def view_variance_ratio(prediction, target) -> float:
    """Spread of the predictions between *views* of a frame over that of the targets; 0 when every view is the same
    picture."""
    prediction, target = as_tensor(prediction), as_tensor(target)
    spread = (target - target.mean(1, keepdim=True)).square_().sum()
    return float((prediction - prediction.mean(1, keepdim=True)).square_().sum() / spread.clamp_min(1e-12))


def input_swap(swapped_prediction, target_of_input, target_of_cameras) -> float:
    """Causal evidence D in dB that the output follows its input: near 0 the input is ignored.

    Args:
        swapped_prediction: [N, V, 3, H, W], made from frame j's input images with frame i's cameras.
        target_of_input: frame j's targets, `target_of_cameras`: frame i's targets.
    """
    return float(
        (full_psnr(swapped_prediction, target_of_input) - full_psnr(swapped_prediction, target_of_cameras)).mean()
    )


def effective_rank(images) -> float:
    """exp(entropy) of the spectrum of the covariance of images [N, ...]: how many directions they really vary in."""
    flat = as_tensor(images).flatten(1)
    products = torch.zeros(len(flat), len(flat), dtype=torch.float64)
    for columns in flat.split(RANK_COLUMNS, 1):  # in double precision a few at a time: hundreds of frames are large
        part = columns.double()
        part -= part.mean(0)
        products += part @ part.T
    values = torch.linalg.eigvalsh(products).clamp_min(0)
    if values.sum() <= 1e-12:
        return 0.0
    share = values / values.sum()
    return float(torch.exp(-(share * share.clamp_min(1e-30).log()).sum()))


def laplacian_energy(image, mask) -> float:
    """Sum of the squared Laplacian of images [..., 3, H, W] inside masks [..., H, W]."""
    image, mask = as_tensor(image), as_mask(mask)
    if image.dim() > 4:  # hundreds of frames are large
        return sum(laplacian_energy(*pair) for pair in zip(image, mask, strict=True))
    around = image[..., :-2, 1:-1] + image[..., 2:, 1:-1] + image[..., 1:-1, :-2] + image[..., 1:-1, 2:]
    laplacian = around - 4 * image[..., 1:-1, 1:-1]
    return float((laplacian.square().mean(-3) * mask[..., 1:-1, 1:-1]).sum())


def sharpness_ratio(prediction, target, mask) -> float:
    """Laplacian energy of the prediction over that of the target inside the target's mask; below 1 is blur."""
    return laplacian_energy(prediction, mask) / max(laplacian_energy(target, mask), 1e-12)


def collapse_metrics(
    prediction, target, mask, predicted_alpha, mean, *, input_image=None, swapped=None
) -> dict[str, float]:
    """Everything the alarm looks at, on one fixed validation set.

    Args:
        prediction, target: [N, V, 3, H, W] in [0, 1] on one background; N frames further apart than the correlation
            time.
        mask, predicted_alpha: [N, V, H, W]; alpha soft, so that a mean image is not taken for a white-out.
        mean: [V, 3, H, W] or [3, H, W], mean *training* image of each view.
        input_image: [N, 3, H, W] or [N, V, 3, H, W], for the copy score; V must then not contain the input views.
        swapped: (swapped_prediction, target_of_input, target_of_cameras) for the input-swap test.
    Returns:
        fg_psnr, full_psnr, iou-free floats: skill_over_mean, skill_over_white, variance_ratio, anomaly_correlation,
        view_variance_ratio, retrieval_at_1, retrieval_mrr, retrieval_chance, background_darkness, coverage,
        sharpness_ratio, rank_ratio and, when asked, view_copy and input_swap.
    """
    prediction, target = as_tensor(prediction), as_tensor(target)
    if prediction.dim() != 5 or prediction.shape != target.shape:
        raise DataError(
            "collapse metrics need predictions and targets [N, V, 3, H, W]",
            got=f"{tuple(prediction.shape)} and {tuple(target.shape)}",
        )
    values = {
        "fg_psnr": float(fg_psnr(prediction, target, mask).nanmean()),
        "full_psnr": float(full_psnr(prediction, target).mean()),
        "skill_over_mean": skill_over_mean(prediction, target, mean),
        "skill_over_white": skill_over_white(prediction, target),
        "variance_ratio": variance_ratio(prediction, target),
        "anomaly_correlation": anomaly_correlation(prediction, target),
        "view_variance_ratio": view_variance_ratio(prediction, target),
        **retrieval(prediction, target),
        "background_darkness": background_darkness(prediction, target, mask),
        "coverage": float(soft_coverage(predicted_alpha, mask).nanmean()),
        "sharpness_ratio": sharpness_ratio(prediction, target, mask),
        "rank_ratio": effective_rank(prediction) / max(effective_rank(target), 1e-9),
    }
    if input_image is not None:
        values["view_copy"] = view_copy(prediction, target, input_image)
    if swapped is not None:
        values["input_swap"] = input_swap(*swapped)
    return values


def diagnose(metrics: dict[str, float], thresholds: CollapseThresholds = DEFAULTS) -> tuple[str, ...]:
    """Names of the collapses that `metrics` (of `collapse_metrics`) show; empty for a healthy model.

    The most specific explanation wins: a white image also has no variance, no skill and no retrieval, but the finding
    is `white_out` (`overfilled` when far too much is foreground). More than one name is returned only for signs that do
    not explain each other.
    """
    t, m = thresholds, metrics
    if m.get("background_darkness", 0.0) > t.background_dark:
        return ("black_out",)
    if not t.coverage_min <= m["coverage"] <= t.coverage_max:
        return ("white_out",) if m["coverage"] < t.coverage_min else ("overfilled",)
    if m.get("view_copy", -1.0) > t.copy_margin_db and m["variance_ratio"] >= t.variance_mean:
        return ("view_copy",)
    if m["variance_ratio"] < t.variance_mean:
        return ("mean_image",)
    if m["variance_ratio"] < t.variance_half:
        return ("half_mean",)
    lost = m["retrieval_at_1"] < min(t.retrieval_over_chance * m["retrieval_chance"], 0.5)
    ignored = m.get("input_swap", 1.0 + t.swap_db) <= t.swap_db
    if m["skill_over_mean"] <= t.skill_db and (lost or ignored):
        return ("wrong_frame",)
    return tuple(
        name
        for name, tripped in (("wrong_frame", lost or ignored), ("no_skill", m["skill_over_mean"] <= t.skill_db))
        if tripped
    )


def _needs_frames(target: torch.Tensor) -> None:
    if target.dim() != 5 or target.shape[0] < 2:
        raise DataError(
            "collapse is judged between frames",
            got=f"images {tuple(target.shape)}",
            expected="[N, V, 3, H, W] with N >= 2",
        )
