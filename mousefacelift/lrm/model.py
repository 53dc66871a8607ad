"""GS-LRM: posed images in, one Gaussian per pixel out, in a single forward pass.

Zhang et al., "GS-LRM: Large Reconstruction Model for 3D Gaussian Splatting", ECCV 2024, in the form published with
FaceLift (Lyu et al., 2025). Parameter names are those of the published checkpoint, so its weights load without a
mapping. The network sees rays in world coordinates: it is permutation-equivariant over views, and not invariant to
moving, turning or scaling the world. Expected world: Z up, subject at the origin, cameras at a distance of about 2.7.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mousefacelift.core.gaussians import SH_C0, Gaussians
from mousefacelift.core.linear import Linear
from mousefacelift.errors import ConfigError, DataError
from mousefacelift.lrm.model_config import ModelConfig
from mousefacelift.lrm.raycast import offset_within
from mousefacelift.lrm.tokens import PixelRays, show_views


class RawGaussians(NamedTuple):
    """Gaussians before their activations, as the published files store them; free ones first, then pixel-aligned ones.

    xyz [B,N,3] world; sh [B,N,K,3]; scale_log [B,N,3]; quats [B,N,4] wxyz of any length; opacity_logit [B,N,1];
    alpha [B,N,1] is the factor on the opacity (None: 1 everywhere).
    """

    xyz: Tensor
    sh: Tensor
    scale_log: Tensor
    quats: Tensor
    opacity_logit: Tensor
    alpha: Tensor | None = None

    def activated(self) -> Gaussians:
        """The Gaussians that the renderer takes: linear scales, opacities in [0,1]."""
        opacities = torch.sigmoid(self.opacity_logit)
        if self.alpha is not None:
            opacities = opacities * self.alpha
        return Gaussians(
            means=self.xyz,
            quats=F.normalize(self.quats, dim=-1, eps=1e-12),
            scales=torch.exp(self.scale_log),
            opacities=opacities.squeeze(-1),
            sh=self.sh,
        )


class Attention(nn.Module):
    """Full self-attention over all tokens of all views."""

    def __init__(self, dim: int, head_dim: int):
        super().__init__()
        self.head_dim = head_dim
        self.to_qkv = Linear(dim, 3 * dim, bias=False)
        self.fc = Linear(dim, dim, bias=False)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        b, n, d = x.shape
        qkv = self.to_qkv(x).reshape(b, n, 3, d // self.head_dim, self.head_dim)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each [B, heads, n, head_dim]
        return self.fc(F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(b, n, d))


class MLP(nn.Module):
    """Two linear layers with the exact GELU between them."""

    def __init__(self, dim: int):
        super().__init__()
        self.mlp = nn.Sequential(Linear(dim, 4 * dim, bias=False), nn.GELU(), Linear(4 * dim, dim, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(x)


class TransformerLayer(nn.Module):
    """Pre-norm transformer layer."""

    def __init__(self, dim: int, head_dim: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, bias=False)
        self.attn = Attention(dim, head_dim)
        self.norm2 = nn.LayerNorm(dim, bias=False)
        self.mlp = MLP(dim)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = x + self.attn(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


class FreeHead(nn.Module):
    """Raw parameters of the Gaussians that no pixel owns."""

    def __init__(self, dim: int, channels: int):
        super().__init__()
        self.layernorm = nn.LayerNorm(dim, bias=False)
        self.linear = Linear(dim, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.layernorm(x))


class GSLRM(nn.Module):
    """The network: any number of views, any resolution that the patch divides.

    With `checkpoints_activations` set, a layer's activations are recomputed in the backward pass.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        if config.dim % config.head_dim:
            raise ConfigError(
                "the model's width is not a whole number of heads",
                where="model.dim",
                got=config.dim,
                expected=f"a multiple of head_dim = {config.head_dim}",
            )
        self.config, self.checkpoints_activations = config, False
        dim, patch, channels = config.dim, config.patch_size, config.gaussian_channels
        self.gaussian_position_embeddings = nn.Parameter(torch.empty(config.free_gaussians, dim))
        self.patch_embedder = nn.Sequential(
            nn.Flatten(2), Linear(config.input_channels * patch * patch, dim, bias=False)
        )
        self.input_layer_norm = nn.LayerNorm(dim, bias=False)
        self.transformer_layers = nn.ModuleList(TransformerLayer(dim, config.head_dim) for _ in range(config.layers))
        self.gaussian_upsampler = FreeHead(dim, channels)
        self.pixel_gaussian_decoder = nn.Sequential(
            nn.LayerNorm(dim, bias=False), Linear(dim, channels * patch * patch, bias=False)
        )
        self.init_weights()

    @property
    def layers(self) -> list[nn.Module]:
        """The layers in the order in which tokens pass them."""
        return list(self.transformer_layers)

    def stem(self) -> list[nn.Module | nn.Parameter]:
        """What comes before the layers."""
        return [self.patch_embedder, self.input_layer_norm, self.gaussian_position_embeddings]

    def init_weights(self) -> None:
        """Linear layers N(0, init_std), the two heads N(0, head_init_std), free tokens truncated normal.

        Nothing on the meta device, where weights come from a file: to draw them there, torch imports its compiler.
        """
        if self.gaussian_position_embeddings.is_meta:
            return
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=self.config.init_std)
        heads: tuple[Any, ...] = (self.gaussian_upsampler.linear, self.pixel_gaussian_decoder[1])
        for head in heads:
            nn.init.normal_(head.weight, std=self.config.head_init_std)
        nn.init.trunc_normal_(self.gaussian_position_embeddings, std=0.02)

    def forward(self, image: Tensor, c2w: Tensor, fxfycxcy: Tensor) -> RawGaussians:
        """Gaussians of B scenes from V posed views each.

        Args:
            image: [B, V, 3 or 4, H, W] in [0,1], colour already composited on the background, then alpha.
            c2w: [B, V, 4, 4], OpenCV axes, world units.
            fxfycxcy: [B, V, 4] pixels of the H x W image.
        """
        self._check(image, c2w, fxfycxcy)
        with torch.autocast(image.device.type, enabled=False):  # half precision would move rays by a third of a pixel
            seen, rays, mask = show_views(image, c2w, fxfycxcy, self.config)
        tokens = self._transform(self.patch_embedder(seen), mask)
        with torch.autocast(image.device.type, enabled=False):  # a half-precision sigmoid would quantise depth
            return self._decode(tokens.float(), rays)

    def _check(self, image: Tensor, c2w: Tensor, fxfycxcy: Tensor) -> None:
        patch, shape = self.config.patch_size, tuple(image.shape)
        if image.ndim != 5 or shape[-1] % patch or shape[-2] % patch or c2w.shape[:2] != image.shape[:2]:
            raise DataError(
                "GS-LRM cannot take these images",
                got=f"image {shape}, c2w {tuple(c2w.shape)}",
                expected=f"[B, V, C, H, W] with H and W multiples of {patch}, one camera per view",
            )
        if self.config.uses_alpha and shape[2] != 4:
            raise DataError(
                "this GS-LRM reads alpha and got images without it",
                got=f"{shape[2]} channels",
                expected="4 channels, RGBA",
                hint="give RGBA images, or weights trained without uses_alpha",
            )

    def _transform(self, patches: Tensor, mask: Tensor | None) -> Tensor:
        free = self.gaussian_position_embeddings.expand(len(patches), -1, -1)
        tokens = self.input_layer_norm(torch.cat([free.to(patches.dtype), patches], dim=1))
        for layer in self.transformer_layers:
            if self.checkpoints_activations and torch.is_grad_enabled():
                tokens = checkpoint(layer, tokens, mask, use_reentrant=False)
            else:
                tokens = layer(tokens, mask)
        return tokens

    def _decode(self, tokens: Tensor, rays: PixelRays) -> RawGaussians:
        cfg, b, free = self.config, len(tokens), self.config.free_gaussians
        pixels = self.pixel_gaussian_decoder(tokens[:, free:]).reshape(b, -1, cfg.gaussian_channels)
        raw = torch.cat([self.gaussian_upsampler(tokens[:, :free]), pixels], dim=1)
        xyz, sh, scale, quats, opacity = raw.split([3, 3 * (cfg.sh_degree + 1) ** 2, 3, 4, 1], dim=-1)
        share = torch.sigmoid(xyz[:, free:].mean(-1, keepdim=True) + cfg.depth_logit_offset)
        if rays.pixels is not None:
            offset = offset_within(rays.pixels.allowed, share, cfg.depth_range)
        elif rays.framed is not None:
            offset = rays.framed[0] + share * (rays.framed[1] - rays.framed[0])
        else:
            offset = (2 * share - 1) * cfg.depth_range
        depth = rays.nearest + offset
        xyz = torch.cat([xyz[:, :free], rays.origin + depth * rays.direction], dim=1)
        sh, alpha = sh.reshape(b, -1, (cfg.sh_degree + 1) ** 2, 3), None
        if rays.pixels is not None:
            width = (depth * rays.pixels.pitch).clamp(min=1e-4).log()
            scale = scale + torch.cat([width.mean(1, keepdim=True).expand(-1, free, -1), width], dim=1)
            color = F.pad((rays.pixels.color - 0.5) / SH_C0, (0, 0, free, 0))[:, :, None]
            sh = torch.cat([sh[:, :, :1] + color, sh[:, :, 1:]], dim=2)
            alpha = F.pad(rays.pixels.alpha, (0, 0, free, 0), value=1.0)
        scale = (scale + cfg.scale_log_offset).clamp(max=cfg.scale_log_max)
        return RawGaussians(xyz, sh, scale, quats, opacity + cfg.opacity_logit_offset, alpha)
