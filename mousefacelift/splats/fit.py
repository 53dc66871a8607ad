"""Fit one Gaussian splat to each of B frames at once: fixed N, all views in every step, one Adam over [B, N, ...]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.render import Render, render
from mousefacelift.errors import DataError
from mousefacelift.splats import corrections as camera_corrections
from mousefacelift.splats.between import between_cameras
from mousefacelift.splats.config import CameraConfig, FitConfig, OptimiseConfig
from mousefacelift.splats.frames import FrameViews, crop_together
from mousefacelift.splats.heldout import HeldOut
from mousefacelift.splats.parameters import (
    Parameters,
    activate,
    make_optimiser,
    relocate_dead,
    set_rates,
    stack_parameters,
)
from mousefacelift.splats.result import Fit, score_fit, why_diverged
from mousefacelift.splats.start import carve_body, doubt_masks, hull_start
from mousefacelift.splats.targets import Targets, fit_loss, make_targets


def fit_frames(
    frames: Sequence[FrameViews],
    config: FitConfig,
    seed: int,
    device: str = "cpu",
    starts: Sequence[Gaussians] | None = None,
    steps: int | None = None,
) -> list[Fit]:
    """Fit every frame (equal numbers of views, equal image sizes), independently of each other.

    A frame whose fit diverges is reported in its `diverged`; the others are not touched by it.

    Args:
        seed: decides the start, the backgrounds and the held-out pixels.
        starts: Gaussians to start from; by default on the rounded visual hull of each frame.
    Raises:
        DataError: the views of a frame see no common volume.
    """
    rng = np.random.default_rng(seed)
    if starts is None:
        bodies = [carve_body(frame, config.hull) for frame in frames]
        frames = [doubt_masks(frame, body) for frame, body in zip(frames, bodies, strict=True)]
        starts = [hull_start(f, body, config.count, rng) for f, body in zip(frames, bodies, strict=True)]
    cut = crop_together(frames)
    targets = make_targets(cut, config.optimise.heldout, rng, device)
    run = _Run(
        stack_parameters(starts, device), targets, config.optimise, config.cameras, steps or config.optimise.steps, seed
    )
    run.go()
    return [_finish(run, frame, index) for index, frame in enumerate(frames)]


def fit_frame(frame: FrameViews, config: FitConfig, seed: int, device: str = "cpu") -> Fit:
    """Fit one frame.

    Raises:
        DataError: the fit diverged, or the frame cannot be fitted.
    """
    fit = fit_frames([frame], config, seed, device)[0]
    if fit.diverged:
        raise DataError(
            f"the fit of frame '{frame.name}' diverged",
            got=fit.diverged,
            likely="cameras and images that do not belong together, or learning rates that are too high",
            hint="mousefacelift capture audit; lower splats.fit.optimise.lr_means",
        )
    return fit


class _Run:
    """The state of one batch of fits."""

    def __init__(
        self,
        parameters: Parameters,
        targets: Targets,
        config: OptimiseConfig,
        cameras: CameraConfig,
        steps: int,
        seed: int,
    ):
        self.parameters, self.targets, self.config, self.cameras, self.steps = (
            parameters,
            targets,
            config,
            cameras,
            steps,
        )
        self.optimiser = make_optimiser(parameters, config)
        self.random = torch.Generator().manual_seed(seed)
        self.device = targets.rgb.device
        self.corrections = torch.zeros(targets.rgb.shape[1], camera_corrections.SIZE, device=self.device)
        if cameras.refine:
            self.corrections.requires_grad_()
            self.optimiser.add_param_group({"params": [self.corrections], "lr": 0.0, "name": "corrections"})
        self.best = {name: value.detach().clone() for name, value in parameters.items()}
        self.heldout = HeldOut(targets)
        self.best_blocks = self._blocks()
        self.first_error = self.heldout.mean(self.best_blocks)
        self.worse = torch.zeros_like(self.first_error, dtype=torch.bool)
        self.center = parameters["means"].detach().mean(1)
        self.unusable: dict[int, str] = {}
        self.curve: list[np.ndarray] = []
        self.taken = 0

    def go(self) -> None:
        stale = 0
        for step in range(self.steps):
            loss = self._step(step)
            self.taken = step + 1
            if self.taken % self.config.check_every == 0 or self.taken == self.steps:
                self.curve.append(loss.cpu().numpy())
                self._check(loss)
                stale = stale + 1 if bool(self.worse.all()) and self.taken >= self.steps / 2 else 0
                if (self.config.heldout > 0 and stale >= self.config.patience) or len(self.unusable) == len(loss):
                    break

    def _step(self, step: int) -> torch.Tensor:
        progress = step / max(1, self.steps - 1)
        set_rates(self.optimiser, progress, self.config)
        self._set_camera_rate(progress)
        background = torch.rand((*self.targets.rgb.shape[:2], 3), generator=self.random).to(self.device)
        gaussians = self._dropped(activate(self.parameters), self.config.dropout * progress)
        picture = self._render(gaussians, background)
        loss = fit_loss(picture, background, self.targets, gaussians, self.config, progress >= self.config.ssim_from)
        total = loss.sum() + self._solid_loss(gaussians, progress)
        if self.cameras.refine:
            total = total + self.cameras.weight * 1e-3 * camera_corrections.penalty(
                self.corrections, self.cameras.scale
            )
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        self.optimiser.step()
        if (
            self.steps > self.config.relocate_from_steps
            and (step + 1) % self.config.relocate_every == 0
            and progress < 0.8
        ):
            relocate_dead(self.parameters, self.optimiser, self.random)
        return loss.detach()

    def _solid_loss(self, gaussians: Gaussians, progress: float) -> torch.Tensor | float:
        """How far from covered or free the pixels of random views between the cameras are, summed over the frames."""
        config = self.config
        if config.between_views < 1 or progress < config.between_from:
            return 0.0
        cameras = between_cameras(self.targets.cameras, self.center, config.between_views, self.random)
        alpha = render(gaussians, cameras).alpha
        return config.solid_weight * (alpha * (1 - alpha)).mean((1, 2, 3)).sum()

    def _set_camera_rate(self, progress: float) -> None:
        if self.cameras.refine:
            moving = progress >= self.cameras.start
            self.optimiser.param_groups[-1]["lr"] = self.cameras.lr * self.config.lr_decay**progress if moving else 0.0

    def _dropped(self, gaussians: Gaussians, share: float) -> Gaussians:
        if share <= 0:
            return gaussians
        keep = (torch.rand(gaussians.opacities.shape, generator=self.random) >= share).to(self.device)
        gaussians.opacities = (gaussians.opacities * keep / (1 - share)).clamp(max=1.0)
        return gaussians

    def _render(self, gaussians: Gaussians, background: torch.Tensor | None = None) -> Render:
        cameras = self.targets.cameras
        if self.cameras.refine:
            moved, single = camera_corrections.move_to_views(gaussians, cameras, self.corrections)
            background = None if background is None else background[:, :, None]
            picture = render(moved, single, background=background)
            return Render(picture.rgb.squeeze(2), picture.alpha.squeeze(2), picture.depth.squeeze(2))
        return render(gaussians, cameras, background=background)

    @torch.no_grad()
    def _blocks(self) -> torch.Tensor:
        return self.heldout.errors(self._render(activate(self.parameters)))

    @torch.no_grad()
    def _check(self, loss: torch.Tensor) -> None:
        """Keep the best state of every frame; note those that are clearly worse by now, and those that diverged."""
        blocks = self._blocks()
        error = self.heldout.mean(blocks)
        finite = torch.isfinite(error) & torch.isfinite(loss)
        for (
            value
        ) in self.parameters.values():  # renderers drop Gaussians that are not finite, so the picture does not tell
            finite &= torch.isfinite(value).flatten(1).all(1)
        for index in range(len(error)):
            if index in self.unusable:
                continue
            if not finite[index]:
                self.unusable[index] = f"NaN or infinite Gaussians at step {self.taken}"
            elif why := why_diverged(float(error[index]), float(self.first_error[index]), self.taken):
                self.unusable[index] = why
        better = finite & (error < self.heldout.mean(self.best_blocks))
        for name, value in self.parameters.items():
            self.best[name][better] = value.detach()[better]
        self.best_blocks[better] = blocks[better]
        self.worse = ~finite | self.heldout.clearly_worse(blocks, self.best_blocks)

    @torch.no_grad()
    def result(self, index: int) -> Gaussians:
        """The last state of a frame, or the best one when the last is clearly worse on held-out pixels."""
        source = self.best if bool(self.worse[index]) and self.config.heldout > 0 else self.parameters
        return activate({name: value[index].detach() for name, value in source.items()}).to("cpu").detach()


def _finish(run: _Run, frame: FrameViews, index: int) -> Fit:
    curve = [float(losses[index]) for losses in run.curve]
    refined = run.corrections.detach().cpu().numpy().copy() if run.cameras.refine else None
    return score_fit(frame, run.result(index), run.taken, run.unusable.get(index), curve, run.device, refined)
