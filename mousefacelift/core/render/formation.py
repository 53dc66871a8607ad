"""What both renderers share: the constants of the image formation and the images they return."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mousefacelift.errors import ConfigError


@dataclass(frozen=True)
class RenderConfig:
    """Every constant of the image formation, gsplat 1.5.3's values by default.

    Args:
        eps2d: px^2 added to the diagonal of the projected covariance.
        near: depth below which a Gaussian is dropped, world units (0.2 matches the published reconstructor).
        alpha_min: a Gaussian's contribution to a pixel below this alpha is dropped.
        alpha_max: alpha is clamped here (gsplat 1.5.3: 0.999; the original 3DGS and gsplat 1.6: 0.99).
        t_stop: the Gaussian that would bring the transmittance to this value or below ends the pixel unblended.
        antialiased: multiply opacities by sqrt(det(cov) / det(cov + eps2d)).
    """

    eps2d: float = 0.3
    near: float = 0.01
    alpha_min: float = 1 / 255
    alpha_max: float = 0.999
    t_stop: float = 1e-4
    antialiased: bool = False

    def __post_init__(self) -> None:
        good = self.eps2d >= 0 and self.near > 0 and 0 < self.alpha_min < self.alpha_max < 1 and 0 <= self.t_stop < 1
        if not good:
            raise ConfigError(
                "the render configuration is out of range",
                got=self,
                expected="eps2d >= 0, near > 0, 0 < alpha_min < alpha_max < 1, 0 <= t_stop < 1",
            )


@dataclass(frozen=True)
class Render:
    """Images of V views, channels last.

    Args:
        rgb: [..., V, H, W, 3] over the background.
        alpha: [..., V, H, W] in [0, 1].
        depth: [..., V, H, W] sum of weight * camera depth; divide by alpha for the expected depth. World units.
        means2d_probe: [..., V, N, 2] whose `.grad` after backward is the gradient with respect to the projected means
            in pixels, when `render` was asked for it, else None. Its values are the backend's own: zeros on the CPU.
    """

    rgb: torch.Tensor
    alpha: torch.Tensor
    depth: torch.Tensor
    means2d_probe: torch.Tensor | None = None
