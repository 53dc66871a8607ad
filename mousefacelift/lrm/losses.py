"""Losses of GS-LRM training: foreground-balanced colour, alpha, SSIM inside the mask, optional perceptual distance.

On a rig 85-98% of the pixels are background: a plain mean teaches white first, and a loss on the mask alone leaves
opaque background-coloured splats free. Averaging the two regions by themselves makes a background pixel of a small
animal worth a fiftieth of a foreground pixel, and silhouettes grow. So errors are summed and divided by the
foreground's area, and alpha is supervised too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from mousefacelift.check.health import effective_rank_of_scales
from mousefacelift.core.ssim import ssim_map
from mousefacelift.lrm.config import LossConfig


def balanced_mean(error: Tensor, mask: Tensor, foreground_share: float | None) -> Tensor:
    """Weighted sum of `error` [B, C, H, W] over the pixels, in units of the foreground's area, per image [B].

    A foreground pixel weighs `foreground_share`, a background pixel the rest. Both are divided by the *foreground's*
    area, so an animal of 2% of the image counts as much as an object that fills it, and a silhouette that is one pixel
    too wide costs what one that is a pixel too narrow costs. (Means of the two regions by themselves would make a halo
    nearly free.)

    Args:
        mask: [B, 1, H, W] soft foreground in [0,1]; an area below 1% of the image counts as 1%.
        foreground_share: None takes the plain mean over all pixels.
    """
    error = error.mean(1, keepdim=True)
    if foreground_share is None:
        return error.mean((1, 2, 3))
    weight = foreground_share * mask + (1 - foreground_share) * (1 - mask)
    return (error * weight).sum((1, 2, 3)) / mask.sum((1, 2, 3)).clamp(min=0.01 * mask[0].numel())


def masked_ssim_loss(render: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """1 - mean SSIM per image [B] over the windows whose centre is foreground, in fp32.

    The map is computed on the whole images and averaged afterwards: constants painted into the background would raise
    it.
    """
    values = ssim_map(render.float().contiguous(), target.float().contiguous()).mean(1, keepdim=True)
    border = [(a - b) // 2 for a, b in zip(mask.shape[-2:], values.shape[-2:])]  # a valid-padding map is smaller
    weight = (
        mask[..., border[0] : border[0] + values.shape[-2], border[1] : border[1] + values.shape[-1]] > 0.5
    ).float()
    return 1 - (values * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp(min=1.0)


def needle_charge(scales: Tensor, opacities: Tensor) -> Tensor:
    """Charge on Gaussians that are longer than wide, mean over them by (fixed) opacity: -log(rank - 1), or 0 for discs
    and balls. A scalar.

    rank is the effective rank of a Gaussian (1 needle, 2 disc, 3 ball), and the formula that of Hyung et al. 2024,
    "Effective Rank Analysis and Regularization for Enhanced 3D Gaussian Splatting".

    Args:
        scales: [..., N, 3] linear. opacities: [..., N].
    """
    weight = opacities.detach()
    charge = F.relu(-torch.log(effective_rank_of_scales(scales) - 1 + 1e-5))
    return (charge * weight).sum() / weight.sum().clamp(min=1e-6)


def render_loss(
    rgb: Tensor,
    alpha: Tensor,
    target: Tensor,
    mask: Tensor,
    config: LossConfig,
    extra: dict[str, Callable[[Tensor, Tensor], Tensor]] | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss per image [B], and its unweighted terms (detached, each [B]).

    Args:
        rgb: [B, 3, H, W] render over the target's background. alpha: [B, 1, H, W] rendered.
        target: [B, 3, H, W] composited on the same background. mask: [B, 1, H, W] its alpha.
        extra: further terms by name (`perceptual`, `lpips`), each a function of render and target, scalar.
    """
    terms = {
        "l2": balanced_mean((rgb - target).square(), mask, config.foreground_share),
        "alpha": balanced_mean((alpha - mask).square(), mask, None if config.foreground_share is None else 0.5),
    }
    if config.ssim:
        terms["ssim"] = masked_ssim_loss(rgb, target, mask)
    for name, function in (extra or {}).items():
        terms[name] = function(rgb, target).expand(len(rgb))
    total = sum(getattr(config, name) * value for name, value in terms.items())
    return total, {name: value.detach() for name, value in terms.items()}


def extra_terms(config: LossConfig, device: torch.device) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """The terms that need weights of another network, by name: those with a positive weight.

    Raises:
        MissingWeights: a term is asked for whose weights are not there.
    """
    terms: dict[str, Callable[[Tensor, Tensor], Tensor]] = {}
    if config.perceptual > 0:
        from mousefacelift.lrm.perceptual import PerceptualLoss

        terms["perceptual"] = PerceptualLoss.from_file(Path(config.perceptual_weights)).to(device)
    if config.lpips > 0:
        from mousefacelift.core.lpips import load_lpips

        terms["lpips"] = load_lpips().to(device)
    return terms
