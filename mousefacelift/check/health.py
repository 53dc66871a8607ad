"""Health of a cloud of Gaussians, without any truth: needles, floaters, strays and fog.

Pure functions; torch tensors or arrays in, plain floats out.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch

from mousefacelift.check.fidelity import as_tensor
from mousefacelift.errors import DataError

ALIVE_OPACITY = 0.05


def gaussian_health(means, scales, opacities, half_extent: float = 1.0) -> dict[str, float]:
    """Counts and shapes of N Gaussians.

    Args:
        means: [N, 3]; scales: [N, 3] linear; opacities: [N] in [0, 1].
    Returns:
        count, alive (opacity above 0.05), and of the alive: outside_share of [-half_extent, half_extent]^3,
        anisotropy_median and anisotropy_p95 (largest over smallest scale), effective_rank (1 needle, 2 disc, 3 ball;
        median), needle_share (effective rank under 1.2), largest_scale.
    Raises:
        DataError: values that are not finite.
    """
    means, scales, opacities = as_tensor(means), as_tensor(scales), as_tensor(opacities).flatten()
    if not (means.isfinite().all() and scales.isfinite().all() and opacities.isfinite().all()):
        raise DataError("Gaussians hold values that are not finite", likely="a diverged training run")
    alive = opacities > ALIVE_OPACITY
    values = {"count": float(len(means)), "alive": float(alive.sum())}
    if not alive.any():
        names = (
            "outside_share",
            "anisotropy_median",
            "anisotropy_p95",
            "effective_rank",
            "needle_share",
            "largest_scale",
        )
        return values | dict.fromkeys(names, float("nan"))
    kept, places = scales[alive].double().clamp_min(1e-12), means[alive]
    anisotropy = kept.amax(1) / kept.amin(1)
    rank = effective_rank_of_scales(kept)
    return values | {
        "outside_share": float((places.abs() > half_extent).any(1).float().mean()),
        "anisotropy_median": float(anisotropy.median()),
        "anisotropy_p95": float(anisotropy.quantile(0.95)),
        "effective_rank": float(rank.median()),
        "needle_share": float((rank < 1.2).float().mean()),
        "largest_scale": float(kept.max()),
    }


def effective_rank_of_scales(scales: torch.Tensor) -> torch.Tensor:
    """exp(entropy of the normalised squared scales) [N] of scales [N, 3]: 1 needle, 2 disc, 3 ball."""
    share = scales.square() / scales.square().sum(-1, keepdim=True)
    return torch.exp(-(share * share.clamp_min(1e-30).log()).sum(-1))


def alpha_entropy(alpha) -> float:
    """Mean binary entropy, bits, of rendered alpha [...] over pixels that are not empty: fog is near 1, solid is near
    0."""
    alpha = as_tensor(alpha).double()
    alpha = alpha[alpha > 1e-3].clamp(1e-6, 1 - 1e-6)
    if not len(alpha):
        return 0.0
    return float(-(alpha * alpha.log2() + (1 - alpha) * (1 - alpha).log2()).mean())


def floater_share(alpha, masks, grow: int = 2) -> float:
    """Share of rendered alpha mass [V, H, W] outside the silhouettes [V, H, W] grown by `grow` pixels."""
    alpha = as_tensor(alpha).numpy()
    masks = as_tensor(masks).numpy() > 0.5
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * grow + 1, 2 * grow + 1))
    grown = np.stack([cv2.dilate(mask.astype(np.uint8), kernel) for mask in masks]) > 0
    total = float(alpha.sum())
    return float(alpha[~grown].sum() / total) if total > 0 else 0.0
