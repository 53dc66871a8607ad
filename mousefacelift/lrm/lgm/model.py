"""LGM as a reconstructor of this package: the same call as GS-LRM, posed images in, Gaussians in our world out."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mousefacelift.config import section
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.errors import ConfigError, DataError
from mousefacelift.lrm.lgm.unet import GROUPS, UNet
from mousefacelift.lrm.lgm.world import World, gaussians_of, resized, show, world_of, zoomed
from mousefacelift.lrm.tokens import remove_background

CHANNELS = 14  # xyz, opacity, scale, quaternion, colour


@section
class LGMConfig:
    """Sizes of an LGM; the defaults are the published `big`.

    Args:
        image_size: edge of the pictures the network sees, pixels; other sizes are resized to it.
        down, up: widths of the levels, multiples of 32; up is the first entries of down reversed.
        down_attention, up_attention: which levels attend over views.
        fovy: degrees; pictures are zoomed to a centred camera of this field of view, which published weights need.
            0 keeps the pixels and shows their true rays.
        rotates: off for weights of before the published fix of quaternions (those files hold no usable rotations).
    """

    image_size: int = 256
    down: tuple[int, ...] = (64, 128, 256, 512, 1024, 1024)
    down_attention: tuple[bool, ...] = (False, False, False, True, True, True)
    middle_attention: bool = True
    up: tuple[int, ...] = (1024, 1024, 512, 256, 128)
    up_attention: tuple[bool, ...] = (True, True, True, False, False)
    fovy: float = 49.1
    rotates: bool = True

    @property
    def multiple(self) -> int:
        """Number of pixels that an image's edge must be a multiple of."""
        return 2 ** (len(self.down) - 1)

    @property
    def splat_size(self) -> int:
        """Edge of the map of Gaussians of one view."""
        return self.image_size // 2 ** (len(self.down) - len(self.up))


PRESETS = {
    # Published, 415.0 M parameters.
    "big": LGMConfig(),
    # 5.0 M parameters, 16,384 Gaussians of four views of 128 px, for two CPU cores: attention at 16 px alone (at 32 px,
    # 90% of a step of 10.4 CPU seconds were the exponentials of sixteen heads; 1.3 now, measured 2026-11-29).
    "small": LGMConfig(
        image_size=128,
        down=(32, 64, 96, 128),
        down_attention=(False, False, False, True),
        up=(128, 96, 64),
        up_attention=(True, False, False),
        fovy=0.0,
    ),
    # For tests of the pipeline itself, not for pictures.
    "tiny": LGMConfig(
        image_size=32,
        down=(32, 32, 32),
        down_attention=(False, False, True),
        up=(32, 32),
        up_attention=(True, False),
        fovy=0.0,
    ),
}


class RawLGM(NamedTuple):
    """Activated numbers [B, N, 14] in LGM's world (view, row, column order) and the map back to ours."""

    numbers: Tensor
    world: World

    def activated(self) -> Gaussians:
        """The Gaussians in our world."""
        return gaussians_of(self.numbers, self.world)


class LGM(nn.Module):
    """The network: any number of views. View 0 sets its world, so the order of the views matters.

    With `checkpoints_activations` set, a level's activations are recomputed in the backward pass.
    """

    def __init__(self, config: LGMConfig):
        super().__init__()
        check_sizes(config)
        self.config, self.checkpoints_activations = config, False
        self.unet = UNet(
            config.down, config.down_attention, config.middle_attention, config.up, config.up_attention, (9, CHANNELS)
        )
        self.conv = nn.Conv2d(CHANNELS, CHANNELS, 1)

    @property
    def layers(self) -> list[nn.Module]:
        """The layers in the order in which a picture passes them."""
        unet = self.unet
        return [*unet.down_blocks, unet.mid_block, *unet.up_blocks]

    def stem(self) -> list[nn.Module]:
        """What comes before the layers."""
        return [self.unet.conv_in]

    def forward(self, image: Tensor, c2w: Tensor, fxfycxcy: Tensor) -> RawLGM:
        """Gaussians of B scenes from V posed views each.

        Args:
            image: [B, V, 3 or 4, H, H] in [0,1], colour composited on the background, then alpha. With alpha the
                background is taken away and white put there; without, the pictures must be on white.
            c2w: [B, V, 4, 4], OpenCV axes, world units. fxfycxcy: [B, V, 4] pixels of the H x H image.
        """
        with torch.autocast(image.device.type, enabled=False):
            world, cameras = world_of(c2w.float())
            picture, fxfycxcy = self._pictures(image.float(), fxfycxcy.float())
            seen = show(picture, cameras, fxfycxcy).flatten(0, 1)
        raw = self.numbers(seen, image.shape[1])
        with torch.autocast(image.device.type, enabled=False):
            return RawLGM(activate(raw.float(), image.shape[1], self.config.rotates), world)

    def numbers(self, seen: Tensor, views: int) -> Tensor:
        """The 14 raw numbers [B*V, 14, h, h] of what the network sees [B*V, 9, H, H]."""
        run = None
        if self.checkpoints_activations and torch.is_grad_enabled():
            run = lambda function, *args: checkpoint(function, *args, use_reentrant=False)  # noqa: E731
        return self.conv(self.unet(seen, views, run))

    def _pictures(self, image: Tensor, fxfycxcy: Tensor) -> tuple[Tensor, Tensor]:
        if image.ndim != 5 or image.shape[-1] != image.shape[-2] or image.shape[2] not in (3, 4):
            raise DataError(
                "LGM cannot take these images", got=tuple(image.shape), expected="[B, V, 3 or 4, H, H], square"
            )
        if image.shape[2] == 4:
            straight = remove_background(image)
            alpha = straight[:, :, 3:]
            image = straight[:, :, :3] * alpha + 1 - alpha
        if self.config.fovy:
            image, fxfycxcy = zoomed(image, fxfycxcy, self.config.fovy)
        return resized(image, fxfycxcy, self.config.image_size)


def activate(raw: Tensor, views: int, rotates: bool = True) -> Tensor:
    """Raw maps [B*V, 14, h, h] -> activated numbers [B, V*h*h, 14], Gaussians in the order view, row, column."""
    raw = raw.permute(0, 2, 3, 1).reshape(len(raw) // views, -1, CHANNELS)
    xyz, opacity, scale, quats, rgb = raw.split([3, 1, 3, 4, 3], dim=-1)
    quats = F.normalize(quats, dim=-1, eps=1e-12)
    if not rotates:
        quats = torch.zeros_like(quats) + quats.new_tensor([1.0, 0.0, 0.0, 0.0])
    parts = [xyz.clamp(-1, 1), torch.sigmoid(opacity), 0.1 * F.softplus(scale), quats, 0.5 * torch.tanh(rgb) + 0.5]
    return torch.cat(parts, dim=-1)


def check_sizes(config: LGMConfig) -> None:
    """Raise ConfigError for sizes that make no network."""
    wrong = [width for width in (*config.down, *config.up) if width % GROUPS]
    if wrong:
        raise ConfigError(
            "a width of LGM is not a whole number of groups", where="model", got=wrong, expected="multiples of 32"
        )
    if config.up != config.down[::-1][: len(config.up)] or not config.up:
        raise ConfigError(
            "the way up of LGM does not mirror the way down",
            where="model.up",
            got=config.up,
            expected=f"the first entries of {config.down[::-1]}",
        )
    if (len(config.down_attention), len(config.up_attention)) != (len(config.down), len(config.up)):
        raise ConfigError("LGM needs one attention switch per level", where="model.down_attention")
    if config.image_size % config.multiple:
        raise ConfigError(
            "LGM cannot halve this picture on every level",
            where="model.image_size",
            got=config.image_size,
            expected=f"a multiple of {config.multiple}",
        )
