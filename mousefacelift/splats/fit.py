"""Fit one Gaussian splat to each of B frames at once: fixed N, a few views in every step, one Adam over [B, N, ...]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.render import Render, render
from mousefacelift.errors import DataError
from mousefacelift.splats import corrections as camera_corrections
from mousefacelift.splats.between import between_cameras
from mousefacelift.splats.config import CameraConfig, FitConfig, OptimiseConfig
from mousefacelift.splats.descent import PlaneTargets, Request
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
from mousefacelift.splats.start import find_body, hull_start
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
        starts: Gaussians to start from, of frames that are ready (`find_body`); by default on the rounded visual hull
            of each frame.
    Raises:
        DataError: the views of a frame see no common volume.
    """
    rng = np.random.default_rng(seed)
    if starts is None:
        bodies = [find_body(frame, config.hull) for frame in frames]
        frames = [body.frame for body in bodies]
        starts = [hull_start(b.frame, b.hull, config.count, rng, b.depths) for b in bodies]
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
        by_hand = self.device.type == "cpu" and not cameras.refine  # else by autograd
        self.planes = PlaneTargets(targets) if by_hand else None
        self.used = torch.zeros(targets.rgb.shape[1])
        self.between = self._draw_between()
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

    def _draw_between(self) -> CameraTensors | None:
        """Cameras between those of the fit for all steps, [B, steps * K]."""
        count, center = self.steps * self.config.between_views, self.parameters["means"].detach().mean(1)
        return between_cameras(self.targets.cameras, center, count, self.random) if count else None

    def _step(self, step: int) -> torch.Tensor:
        progress = step / max(1, self.steps - 1)
        set_rates(self.optimiser, progress, self.config)
        self._set_camera_rate(progress)
        request = self._request(step, progress)
        if self.planes is not None:
            loss = self.planes.descend(self.parameters, request, self.config)
        else:
            loss = self._descend_by_autograd(request)
        self.optimiser.step()
        if (
            self.steps > self.config.relocate_from_steps
            and (step + 1) % self.config.relocate_every == 0
            and progress < 0.8
        ):
            relocate_dead(self.parameters, self.optimiser, self.random)
        return loss

    def _request(self, step: int, progress: float) -> Request:
        """What a step asks: the views that were asked the least, and now and then some between the cameras."""
        config, batch = self.config, len(self.targets.rgb)
        views = (self.used + torch.rand(len(self.used), generator=self.random)).argsort()[: config.views or None]
        self.used[views] += 1
        background = torch.rand((batch, len(views), 3), generator=self.random).to(self.device)
        share, between = config.dropout * progress, None
        kept = torch.rand(self.parameters["opacity_logits"].shape, generator=self.random) >= share
        keep = (kept / (1 - share)).to(self.device)
        if self.between is not None and progress >= config.between_from and step % config.between_every == 0:
            between = self.between.select(slice(step * config.between_views, (step + 1) * config.between_views))
        return Request(sorted(views.tolist()), background, keep, between, progress >= config.ssim_from)

    def _descend_by_autograd(self, request: Request) -> torch.Tensor:
        """What `PlaneTargets.descend` does by hand, on any device and with cameras that are learned."""
        gaussians = activate(self.parameters)
        gaussians.opacities = (gaussians.opacities * request.keep).clamp(max=1.0)
        picture = self._render(gaussians, request.background, request.views)
        targets = self.targets.select(request.views)
        loss = fit_loss(picture, request.background, targets, gaussians, self.config, request.with_ssim)
        total = loss.sum()
        if request.between is not None:
            alpha = render(gaussians, request.between).alpha
            total = total + self.config.solid_weight * (alpha * (1 - alpha)).mean((1, 2, 3)).sum()
        if self.cameras.refine:
            total = total + self.cameras.weight * 1e-3 * camera_corrections.penalty(
                self.corrections, self.cameras.scale
            )
        self.optimiser.zero_grad()
        total.backward()
        return loss.detach()

    def _set_camera_rate(self, progress: float) -> None:
        if self.cameras.refine:
            moving = progress >= self.cameras.start
            self.optimiser.param_groups[-1]["lr"] = self.cameras.lr * self.config.lr_decay**progress if moving else 0.0

    def _render(
        self, gaussians: Gaussians, background: torch.Tensor | None = None, views: Sequence[int] | None = None
    ) -> Render:
        """Pictures of some views, or of all."""
        chosen = list(range(self.targets.rgb.shape[1]) if views is None else views)
        cameras = self.targets.cameras.select(chosen)
        if self.cameras.refine:
            moved, single = camera_corrections.move_to_views(gaussians, cameras, self.corrections[chosen])
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
