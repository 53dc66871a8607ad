"""Image fidelity on a small dark animal: how close is a prediction to its target, decided on the foreground.

Pure functions, torch tensors (or numpy arrays) in, tensors per image or plain floats out. Images are [..., 3, H, W] in
[0, 1], both composited on the same background; masks are [..., H, W], soft or bool, foreground above 0.5. "Foreground"
is the mask of the *target*, so an error of shape counts as an error of colour there. Full PSNR of a white image is
flattering on a small animal: it exceeds the foreground value by -10 log10(foreground share) when the background is
right.
"""

from __future__ import annotations

import torch

from mousefacelift.core.psnr import foreground_psnr, psnr_of_error
from mousefacelift.core.ssim import ssim
from mousefacelift.errors import DataError

SSIM_WINDOW = 11  # pixels, Gaussian window of Wang et al. 2004
BOX_MARGIN = 10  # pixels around the mask's bounding box in which SSIM is taken


def as_tensor(array) -> torch.Tensor:
    """float32 tensor of an array or tensor, without its graph."""
    return torch.as_tensor(array).detach().to(torch.float32)


def as_mask(array) -> torch.Tensor:
    """Bool tensor: foreground above 0.5."""
    tensor = torch.as_tensor(array).detach()
    return tensor if tensor.dtype == torch.bool else tensor > 0.5


def full_psnr(prediction, target) -> torch.Tensor:
    """PSNR [...] in dB over every pixel of images [..., 3, H, W]."""
    prediction, target = as_tensor(prediction), as_tensor(target)
    _same_shape(prediction, target)
    return psnr_of_error((prediction - target).square_().mean((-3, -2, -1)))


def fg_psnr(prediction, target, mask, predicted_mask=None) -> torch.Tensor:
    """PSNR [...] in dB over the target's foreground; NaN where an image has none.

    Args:
        prediction, target: [..., 3, H, W].
        mask: [..., H, W] of the target.
        predicted_mask: when given, only pixels that are foreground in both count: colour without shape.
    """
    prediction, target, mask = as_tensor(prediction), as_tensor(target), as_mask(mask)
    _same_shape(prediction, target, mask)
    if predicted_mask is not None:
        mask = mask & as_mask(predicted_mask)
    return foreground_psnr(prediction, target, mask)


def fg_l1(prediction, target, mask) -> torch.Tensor:
    """Sum of absolute errors over the whole image per foreground pixel [...] (Pose Splatter's L1; it can exceed 1)."""
    prediction, target, mask = as_tensor(prediction), as_tensor(target), as_mask(mask)
    _same_shape(prediction, target, mask)
    count = mask.sum((-2, -1))
    total = (prediction - target).abs().mean(-3).sum((-2, -1))
    return torch.where(count > 0, total / count.clamp_min(1), torch.nan)


def fg_ssim(prediction, target, mask, margin: int = BOX_MARGIN) -> torch.Tensor:
    """SSIM [...] on the bounding box of the target's mask grown by `margin` pixels; NaN where an image has no
    foreground.

    Nothing is filled with a constant: structure is compared on the pixels as they are.
    """
    prediction, target, mask = as_tensor(prediction), as_tensor(target), as_mask(mask)
    _same_shape(prediction, target, mask)
    lead, (height, width) = mask.shape[:-2], mask.shape[-2:]
    flat_prediction, flat_target = (t.reshape(-1, *t.shape[-3:]) for t in (prediction, target))
    values = torch.full((flat_target.shape[0],), torch.nan)
    for item, item_mask in enumerate(mask.reshape(-1, height, width)):
        box = mask_box(item_mask, margin)
        if box is not None:
            top, bottom, left, right = box
            crop = (slice(item, item + 1), slice(None), slice(top, bottom), slice(left, right))
            values[item] = float(
                ssim(flat_prediction[crop].double(), flat_target[crop].double())
            )  # flat areas cancel badly in fp32
    return values.reshape(lead)


def mask_box(mask: torch.Tensor, margin: int) -> tuple[int, int, int, int] | None:
    """(top, bottom, left, right) of a mask [H, W] grown by `margin`, at least one SSIM window wide; None when empty."""
    box: list[int] = []
    for axis, size in ((1, mask.shape[0]), (0, mask.shape[1])):
        index = torch.nonzero(mask.any(axis)).flatten()
        if not len(index):
            return None
        low, high = max(int(index[0]) - margin, 0), min(int(index[-1]) + 1 + margin, size)
        missing = max(SSIM_WINDOW - (high - low), 0)
        low = max(low - missing, 0)
        box += [low, min(max(high, low + SSIM_WINDOW), size)]
    return box[0], box[1], box[2], box[3]


def mask_iou(predicted_mask, mask) -> torch.Tensor:
    """Intersection over union [...] of masks [..., H, W]; 1 where both are empty."""
    predicted, mask = as_mask(predicted_mask), as_mask(mask)
    _same_shape(predicted, mask)
    union = (predicted | mask).sum((-2, -1))
    return torch.where(union > 0, (predicted & mask).sum((-2, -1)) / union.clamp_min(1), 1.0)


def soft_iou(predicted_alpha, alpha) -> torch.Tensor:
    """Soft intersection over union [...]: sum of minima over sum of maxima of alphas [..., H, W]."""
    predicted, alpha = as_tensor(predicted_alpha), as_tensor(alpha)
    _same_shape(predicted, alpha)
    union = torch.maximum(predicted, alpha).sum((-2, -1))
    return torch.where(union > 0, torch.minimum(predicted, alpha).sum((-2, -1)) / union.clamp_min(1e-9), 1.0)


def coverage(predicted_mask, mask) -> torch.Tensor:
    """Foreground area of the prediction over that of the target [...]: 0 is a white-out, 1/share is all foreground."""
    predicted, mask = as_mask(predicted_mask), as_mask(mask)
    _same_shape(predicted, mask)
    area = mask.sum((-2, -1))
    return torch.where(area > 0, predicted.sum((-2, -1)) / area.clamp_min(1), torch.nan)


def soft_coverage(predicted_alpha, mask) -> torch.Tensor:
    """Sum of the predicted alpha over the target's foreground area [...]: the mean image scores about 1, white-out
    0."""
    predicted, mask = as_tensor(predicted_alpha), as_mask(mask)
    _same_shape(predicted, mask)
    area = mask.sum((-2, -1))
    return torch.where(area > 0, predicted.sum((-2, -1)) / area.clamp_min(1), torch.nan)


def per_image(prediction, target, mask, predicted_alpha=None) -> dict[str, torch.Tensor]:
    """Every fidelity metric for every image.

    Args:
        prediction, target: [..., 3, H, W] in [0, 1] on the same background.
        mask: [..., H, W] of the target.
        predicted_alpha: [..., H, W] of the prediction; without it the shape metrics are left out.
    Returns:
        name -> [...]: fg_psnr, full_psnr, fg_ssim, fg_l1 and with `predicted_alpha` fg_psnr_shared, iou, soft_iou,
        coverage.
    """
    values = {
        "fg_psnr": fg_psnr(prediction, target, mask),
        "full_psnr": full_psnr(prediction, target),
        "fg_ssim": fg_ssim(prediction, target, mask),
        "fg_l1": fg_l1(prediction, target, mask),
    }
    if predicted_alpha is not None:
        values |= {
            "fg_psnr_shared": fg_psnr(prediction, target, mask, predicted_alpha),
            "iou": mask_iou(predicted_alpha, mask),
            "soft_iou": soft_iou(predicted_alpha, torch.as_tensor(mask).to(torch.float32)),
            "coverage": coverage(predicted_alpha, mask),
        }
    return values


def _same_shape(first: torch.Tensor, second: torch.Tensor, mask: torch.Tensor | None = None) -> None:
    expected = second.shape[:-3] + second.shape[-2:]
    if first.shape != second.shape or (mask is not None and mask.shape != expected):
        raise DataError(
            "images and masks to compare do not fit",
            got=f"{tuple(first.shape)} against {tuple(second.shape)}"
            + ("" if mask is None else f", mask {tuple(mask.shape)}"),
            likely="a render at another resolution than its target",
        )
