"""The pixels that a batch of fits is pulled towards, the loss, and which pixels are kept out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.images import premultiply
from mousefacelift.core.render import Render
from mousefacelift.core.ssim import ssim_per_image
from mousefacelift.splats.config import OptimiseConfig
from mousefacelift.splats.frames import FrameViews

BLOCK = 8  # px, edge of the blocks that are held out together; wider than most of the SSIM window's weight


@dataclass(frozen=True)
class Targets:
    """B frames of V views.

    Attributes:
        rgb: [B, V, H, W, 3] colours multiplied by alpha.
        alpha: [B, V, H, W].
        keep: [B, V, H, W], 1 where a pixel counts in the loss, 0 where it is held out.
        sure: [B, V, H, W], 0 where a pixel counts neither in the loss nor when it is held out (`FrameViews.sure`).
        cameras: CameraTensors [B, V].
    """

    rgb: torch.Tensor
    alpha: torch.Tensor
    keep: torch.Tensor
    sure: torch.Tensor
    cameras: CameraTensors

    def select(self, views: Sequence[int]) -> Targets:
        """Only some views of every frame."""
        chosen = list(views)
        parts = (a[:, chosen] for a in (self.rgb, self.alpha, self.keep, self.sure))
        return Targets(*parts, self.cameras.select(chosen))

    def over(self, background: torch.Tensor) -> torch.Tensor:
        """The images over a background colour per view [B, V, 3]."""
        return self.rgb + (1 - self.alpha).unsqueeze(-1) * background[:, :, None, None]


def make_targets(frames: Sequence[FrameViews], heldout: float, rng: np.random.Generator, device="cpu") -> Targets:
    """Targets of frames with equal numbers of views and equal image sizes."""
    pixels = torch.from_numpy(np.stack([premultiply(frame.even_rgba) for frame in frames])).to(device)
    keep = np.stack([_keep(frame, heldout, rng) for frame in frames])
    sure = [np.ones(f.masks.shape, np.float32) if f.sure is None else f.sure.astype(np.float32) for f in frames]
    cameras = CameraTensors.from_cameras([camera for frame in frames for camera in frame.cameras], device)
    shape = (len(frames), len(frames[0].cameras))
    cameras = CameraTensors(
        cameras.w2c.reshape(*shape, 4, 4), cameras.fxfycxcy.reshape(*shape, 4), cameras.width, cameras.height
    )
    return Targets(
        pixels[..., :3].contiguous(),
        pixels[..., 3].contiguous(),
        torch.from_numpy(keep).to(device),
        torch.from_numpy(np.stack(sure)).to(device),
        cameras,
    )


def _keep(frame: FrameViews, heldout: float, rng: np.random.Generator) -> np.ndarray:
    """1 but for a random share of the 8 x 8 blocks that hold foreground, float32 [V, H, W]."""
    views, height, width = frame.masks.shape
    rows, columns = -(-height // BLOCK), -(-width // BLOCK)
    padded = np.pad(frame.masks, ((0, 0), (0, rows * BLOCK - height), (0, columns * BLOCK - width)))
    occupied = padded.reshape(views, rows, BLOCK, columns, BLOCK).any((2, 4))
    out = occupied & (rng.random(occupied.shape) < heldout)
    return 1.0 - np.kron(out, np.ones((1, BLOCK, BLOCK)))[:, :height, :width].astype(np.float32)


def fit_loss(
    picture: Render,
    background: torch.Tensor,
    targets: Targets,
    gaussians: Gaussians,
    config: OptimiseConfig,
    with_ssim: bool,
) -> torch.Tensor:
    """Loss of each frame [B]: L1 and SSIM over the background, L1 of alpha (missing alpha costs more), mean opacity and
    scale."""
    goal, counts = targets.over(background), targets.keep * targets.sure
    difference = (picture.rgb - goal) * counts.unsqueeze(-1)
    loss = difference.abs().mean((1, 2, 3, 4))
    if with_ssim and config.ssim_weight > 0:
        pictures = (
            (goal + difference).flatten(0, 1).permute(0, 3, 1, 2)
        )  # held-out pixels agree and so count for nothing
        similarity = (
            ssim_per_image(pictures, goal.flatten(0, 1).permute(0, 3, 1, 2)).unflatten(0, goal.shape[:2]).mean(1)
        )
        loss = (1 - config.ssim_weight) * loss + config.ssim_weight * (1 - similarity)
    missing = (targets.alpha - picture.alpha) * counts
    loss = loss + config.alpha_weight * missing.abs().mean((1, 2, 3))
    loss = loss + config.bare_weight * missing.clamp_min(0).mean((1, 2, 3))
    loss = loss + config.opacity_weight * gaussians.opacities.mean(1)
    return loss + config.scale_weight * gaussians.scales.mean((1, 2))
