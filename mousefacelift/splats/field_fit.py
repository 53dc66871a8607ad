"""Fit a voxel radiance field to each of B frames: random rays of all views in every step, one Adam over the voxels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mousefacelift.core.adam import Adam
from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.field import EMPTY, Field, Rays, march, pixel_rays
from mousefacelift.core.field.smooth import count_pairs, smoothness
from mousefacelift.splats.between import between_cameras
from mousefacelift.splats.config import FitConfig
from mousefacelift.splats.field_start import start_field
from mousefacelift.splats.frames import FrameViews, crop_together
from mousefacelift.splats.result import Fit, score_fit, why_diverged
from mousefacelift.splats.start import find_body
from mousefacelift.splats.targets import Targets, make_targets

FULL = 12.0  # raw density, against runaway


def fit_fields(frames: Sequence[FrameViews], config: FitConfig, seed: int, device: str = "cpu") -> list[Fit]:
    """Fit every frame by itself; one that diverges is reported in its `diverged`.

    Args:
        seed: decides rays, backgrounds and the held-out pixels.
    Raises:
        DataError: the views of a frame see no common volume.
    """
    return [_fit_one(frame, config, seed, device) for frame in frames]


def _fit_one(frame: FrameViews, config: FitConfig, seed: int, device: str) -> Fit:
    rng = np.random.default_rng(seed)
    body = find_body(frame, config.hull)
    frame = body.frame
    run = _Run(start_field(frame, body.hull, config.field), crop_together([frame])[0], config, rng, seed, device)
    why = run.go()
    return score_fit(frame, run.field().to("cpu"), config.field.steps, why, run.curve, device)


@dataclass(frozen=True)
class _Pixels:
    """R rays through pixels' centres, and what they should see: rgb [R, 3] multiplied by alpha [R]."""

    rays: Rays
    rgb: torch.Tensor
    alpha: torch.Tensor

    @classmethod
    def of(cls, rays: Rays, targets: Targets, chosen: torch.Tensor, device: str) -> _Pixels:
        rgb, alpha = targets.rgb.reshape(-1, 3)[chosen], targets.alpha.reshape(-1)[chosen]
        return cls(rays.select(chosen).to(device), rgb.to(device), alpha.to(device))

    def __len__(self) -> int:
        return len(self.alpha)

    def select(self, chosen: torch.Tensor) -> _Pixels:
        return _Pixels(self.rays.select(chosen), self.rgb[chosen], self.alpha[chosen])


class _Run:
    """The state of one fit."""

    def __init__(self, start: Field, cut: FrameViews, fit: FitConfig, rng, seed: int, device: str):
        config = fit.field
        self.start, self.live, self.config, self.device = start, start.live, config, device
        self.random = torch.Generator().manual_seed(seed)
        targets = make_targets([cut], fit.optimise.heldout, rng)
        rays = pixel_rays(start, CameraTensors.from_cameras(cut.cameras))
        hit, keep = (rays.count > 0) & (targets.sure.reshape(-1) > 0), targets.keep.reshape(-1) > 0
        self.seen, self.unseen = (_Pixels.of(rays, targets, hit & kept, device) for kept in (keep, ~keep))
        self.between = self._between(targets.cameras) if config.between_rays else None
        self.active = torch.from_numpy(start.active).to(device)[..., None]
        values = start.values.to(device)
        self.density = values[..., :1].clone().requires_grad_()
        self.color = values[..., 1:].clone().requires_grad_()
        self.optimiser = Adam([{"params": [self.density], "lr": 0.0}, {"params": [self.color], "lr": 0.0}], eps=1e-15)
        pairs = max(1, count_pairs(start.active))
        self.curve: list[float] = []
        self.smooth = torch.tensor([config.smooth_density] + 3 * [config.smooth_color / 3]) / pairs

    def _between(self, cameras: CameraTensors) -> Rays:
        center = torch.tensor(self.start.origin + 0.5 * self.start.voxel * np.array(self.start.active.shape))
        made = between_cameras(cameras, center.float()[None], self.config.between_views, self.random)
        rays = pixel_rays(self.start, CameraTensors(made.w2c[0], made.fxfycxcy[0], made.width, made.height))
        return rays.select(rays.count > 0).to(self.device)

    def go(self) -> str | None:
        """Take all steps; returns why the result is unusable, or None."""
        first, every = self._error(), self.config.check_every
        for step in range(self.config.steps):
            loss = self.step(step)
            if (step + 1) % every == 0 or step + 1 == self.config.steps:
                self.curve.append(loss)
                error = self._error()
                if not np.isfinite(error):
                    return f"NaN or infinite densities or colours at step {step + 1}"
                if why := why_diverged(error, first, step + 1):
                    return why
        return None

    @torch.no_grad()
    def _error(self) -> float:
        """Mean absolute error over black on the pixels that no step sees (on all, if none is held out)."""
        pixels = self.unseen if len(self.unseen) else self.seen
        return float((march(self.field(), pixels.rays, self.live).rgb - pixels.rgb).abs().mean())

    def step(self, step: int) -> float:
        progress = step / max(1, self.config.steps - 1)
        for group, rate in zip(self.optimiser.param_groups, (self.config.lr_density, self.config.lr_colors)):
            group["lr"] = rate * self.config.lr_decay**progress
        values = torch.cat([self.density.detach(), self.color.detach()], -1).requires_grad_()
        field = self.start.with_values(values)
        loss = self._loss(field, progress)
        loss.backward()
        gradient = values.grad + smoothness(field, self.smooth)
        gradient *= self.active
        self.density.grad, self.color.grad = (g.contiguous() for g in gradient.split([1, 3], -1))
        self.optimiser.step()
        with torch.no_grad():
            self.density.clamp_(EMPTY, FULL)
            self.color.clamp_(0, 1)
        return float(loss.detach())

    def _loss(self, field: Field, progress: float) -> torch.Tensor:
        pixels = self.seen.select(self._draw(len(self.seen), self.config.rays))
        background = torch.rand(len(pixels), 3, generator=self.random).to(self.device)
        live = self._dropped(self.config.dropout * progress)
        seen = march(field, pixels.rays, live)
        missing = pixels.alpha - seen.alpha
        difference = seen.rgb - pixels.rgb + missing[:, None] * background
        loss = difference.abs().mean() + self.config.alpha_weight * missing.abs().mean()
        loss = loss + self.config.bare_weight * missing.clamp_min(0).mean()
        if self.between is not None and progress >= self.config.between_from:
            other = march(field, self.between.select(self._draw(len(self.between), self.config.between_rays)), live)
            loss = loss + self.config.solid_weight * (other.alpha * (1 - other.alpha)).mean()
        return loss

    def _dropped(self, share: float) -> np.ndarray:
        """The live cells but for a random share of them."""
        return self.live * (torch.rand(self.live.shape, generator=self.random).numpy() >= share)

    def _draw(self, total: int, wanted: int) -> torch.Tensor:
        return torch.randint(total, (min(wanted, total),), generator=self.random).to(self.device)

    def field(self) -> Field:
        """The state so far, on the fit's device."""
        return self.start.with_values(torch.cat([self.density.detach(), self.color.detach()], -1))
