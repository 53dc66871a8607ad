"""Named sizes of the model: `facelift` as published, `base` for one GPU, `small` for two CPU cores."""

from __future__ import annotations

from mousefacelift.errors import ConfigError
from mousefacelift.lrm.model import ModelConfig

PRESETS = {
    # Published: FaceLift configs/gslrm.yaml, 303.6 M parameters.
    "facelift": ModelConfig(),
    # 85 M parameters at 256 px: trains on one 24 GB card.
    "base": ModelConfig(image_size=256, dim=768, layers=12),
    # 7.9 M parameters at 128 px. Few wide layers, because small matrices waste a CPU. A budget of minutes pays for no lesson
    # that alpha, colour and silhouettes of the input already hold; Gaussians start with a deviation of 0.4 pixels.
    "small": ModelConfig(image_size=128, dim=320, layers=6, depth_range=1.0, depth_logit_offset=-1.0,
                         scale_log_offset=-0.9, opacity_logit_offset=0.0, head_init_std=0.005, uses_alpha=True,
                         color_from_pixel=True, scale_from_pixel=True, depth_from_silhouettes=True),
    # 0.2 M parameters at 32 px: for tests of the pipeline itself, not for pictures.
    "tiny": ModelConfig(image_size=32, dim=64, head_dim=32, layers=2, depth_range=1.0, depth_logit_offset=-1.0,
                        scale_log_offset=-0.9, opacity_logit_offset=0.0, head_init_std=0.005, uses_alpha=True,
                        color_from_pixel=True, scale_from_pixel=True, depth_from_silhouettes=True),
}


def preset(name: str) -> ModelConfig:
    """The model sizes called `name`.

    Raises:
        ConfigError: no preset has that name.
    """
    if name not in PRESETS:
        raise ConfigError("unknown model preset", where="train.preset", got=name, expected=", ".join(PRESETS))
    return PRESETS[name]
