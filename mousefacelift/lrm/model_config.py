"""Sizes of the model, and those with a name: `facelift` as published, `base` for one GPU, `small` for two CPU cores."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from mousefacelift.config import section


@section
class ModelConfig:
    """Sizes and activations of a GS-LRM; the defaults are the published ones.

    Args:
        image_size: at which the weights were trained, pixels (no weight depends on it).
        depth_range: world units each side of the ray's closest approach to the origin.
        uses_alpha: off in the published model. What alpha and colour of an input pixel say is not learnt but taken: the
            network sees alpha and the colours without their background, and only patches that show foreground become
            tokens; it sees, and predicts depth within, the pieces of the pixel's ray that lie in the visual hull of the
            input silhouettes; it predicts colour as the difference to the pixel's, size relative to the pixel's width
            at that depth (so that neither zoom nor resolution changes how far a Gaussian spreads in its own image), and
            opacity as a share of its alpha.
        within_frusta: off in the published model. Depth is kept to the piece of the ray that all input pictures frame,
            as BEAST3D bounds its points; it needs no alpha.
    """

    LEAST: ClassVar = {"depth_logit_offset": -math.inf}

    image_size: int = 512
    patch_size: int = 8
    dim: int = 1024
    head_dim: int = 64
    layers: int = 24
    free_gaussians: int = 2
    sh_degree: int = 0
    depth_range: float = 1.8
    depth_logit_offset: float = 0.0
    scale_log_offset: float = -2.3
    scale_log_max: float = -1.2
    opacity_logit_offset: float = -2.0
    init_std: float = 0.02
    head_init_std: float = 0.02
    uses_alpha: bool = False
    within_frusta: bool = False

    @property
    def multiple(self) -> int:
        """Number of pixels that an image's edge must be a multiple of."""
        return self.patch_size

    @property
    def input_channels(self) -> int:
        """Numbers per pixel that the network sees: colour, ray, nearest point; alpha and both ends of the ray in the
        hull."""
        return 12 if self.uses_alpha else 9

    @property
    def gaussian_channels(self) -> int:
        """Raw numbers per Gaussian: xyz, SH, log scale, rotation, opacity logit (14 for degree 0)."""
        return 3 + 3 * (self.sh_degree + 1) ** 2 + 3 + 4 + 1


# What every size of this project's own shares: a budget pays for no lesson that the input already holds, and depth
# starts in the nearer part of the hull, Gaussians with a deviation of 0.4 pixels.
OWN: dict[str, Any] = {
    "uses_alpha": True,
    "depth_range": 1.0,
    "depth_logit_offset": -1.0,
    "scale_log_offset": -0.9,
    "opacity_logit_offset": 0.0,
    "head_init_std": 0.005,
}

PRESETS = {
    # Published: FaceLift configs/gslrm.yaml, 303.6 M parameters.
    "facelift": ModelConfig(),
    # 85 M parameters at 256 px: meant for one GPU of 24 GB, not yet tried there.
    "base": ModelConfig(image_size=256, dim=768, layers=12, **OWN),
    # 7.9 M parameters at 128 px. Few wide layers, because small matrices waste a CPU.
    "small": ModelConfig(image_size=128, dim=320, layers=6, **OWN),
    # The published contract (colours and rays alone, depth anywhere in +-1.8 units) at the size of `small`: what can
    # collapse where `small` cannot. `bounded` keeps depth to what all inputs frame; both are for the experiment.
    "small_plain": ModelConfig(image_size=128, dim=320, layers=6),
    "small_plain_bounded": ModelConfig(image_size=128, dim=320, layers=6, within_frusta=True),
    # 0.2 M parameters at 32 px: for tests of the pipeline itself, not for pictures.
    "tiny": ModelConfig(image_size=32, dim=64, head_dim=32, layers=2, **OWN),
}
