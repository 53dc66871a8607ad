"""The loss of a step on the CPU with its gradients by hand: rendered planes are compared where they lie.

Equal to `fit_loss` and autograd (tests) and nearly twice as fast: autograd goes over the pixels some twenty times.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.render.cpu_buffers import Sizes, flat_array
from mousefacelift.core.render.jit import run
from mousefacelift.core.render.passes import draw, pull_back
from mousefacelift.core.render.residual import compare_planes, lay_side_by_side
from mousefacelift.core.render.seam import DEFAULT
from mousefacelift.core.ssim import ssim_per_image
from mousefacelift.splats.config import OptimiseConfig
from mousefacelift.splats.parameters import SCALE_RANGE, Parameters
from mousefacelift.splats.targets import Targets

LOW, HIGH = (math.log(edge) for edge in SCALE_RANGE)


@dataclass(frozen=True)
class Request:
    """What one step asks of the Gaussians.

    Attributes:
        views: [B, V] of the targets that are compared, V numbers.
        background: [B, V, 3] behind them.
        keep: [B, N], what opacities are multiplied by (0: left out of this step).
        between: [B, K] cameras whose pixels should be covered or free, or None.
        with_ssim: whether structural similarity counts.
    """

    views: Sequence[int]
    background: torch.Tensor
    keep: torch.Tensor
    between: CameraTensors | None
    with_ssim: bool


class PlaneTargets:
    """Targets as the kernels read them: planes [B, G, 5, H, W] of colours times alpha, alpha, and what counts."""

    def __init__(self, targets: Targets):
        self.cameras = targets.cameras
        planes = [*targets.rgb.unbind(-1), targets.alpha, targets.keep * targets.sure]
        self.goals = torch.stack(planes, 2).contiguous()
        if self.goals[0, 0, 0].numel() % 64:
            raise ValueError(f"pictures of whole tiles of 8 px are needed, got {tuple(self.goals.shape[-2:])}")

    @torch.no_grad()
    def descend(self, parameters: Parameters, request: Request, config: OptimiseConfig) -> torch.Tensor:
        """Loss of each frame [B], without what is asked between the cameras; the gradients go to `parameters`."""
        solid = parameters["opacity_logits"].sigmoid()
        raised = solid * request.keep
        opacities, scales = raised.clamp(max=1.0), parameters["log_scales"].clamp(LOW, HIGH).exp()
        colors = parameters["color_logits"].sigmoid()
        raw = (parameters["means"].detach(), parameters["quats"].detach(), scales, opacities)
        loss, grads = self._through_pixels(raw, colors, request, config)
        count = scales.shape[1]
        inside = (parameters["log_scales"] >= LOW) & (parameters["log_scales"] <= HIGH)
        for name, gradient in (
            ("means", grads.means[:, :count]),
            ("quats", grads.quats[:, :count]),
            ("log_scales", (grads.scales[:, :count] + config.scale_weight / (3 * count)) * scales * inside),
            (
                "opacity_logits",
                (grads.opacities[:, :count] + config.opacity_weight / count)
                * (request.keep * solid * (1 - solid) * (raised <= 1)),
            ),
            ("color_logits", grads.colors[:, 0, :count] * colors * (1 - colors)),
        ):
            parameters[name].grad = gradient.contiguous()
        return loss + config.opacity_weight * opacities.mean(1) + config.scale_weight * scales.mean((1, 2))

    def _through_pixels(self, raw, colors: torch.Tensor, request: Request, config: OptimiseConfig):
        """Loss [B] of the pixels and the gradients of the raw Gaussians by it and by what is asked between."""
        batch, count, views = *raw[3].shape, len(request.views)
        height, width = self.goals.shape[-2:]
        cameras, background = self.cameras.select(list(request.views)), request.background
        w2c, lens, extra = cameras.w2c, cameras.fxfycxcy, 0
        if request.between is not None:
            extra = request.between.w2c.shape[1]
            w2c, lens = torch.cat([w2c, request.between.w2c], 1), torch.cat([lens, request.between.fxfycxcy], 1)
            background = torch.cat([background, torch.zeros(batch, extra, 3)], 1)
        shown, over = views + extra, background.reshape(-1, 3).contiguous()
        sizes = Sizes(batch, shown, count, width, height)
        cameras = (w2c.flatten(0, 1), lens.flatten(0, 1))
        images, drawing = draw(sizes, DEFAULT, raw, colors[:, None].contiguous(), cameras, over)
        pixels = height * width
        share = 1 - config.ssim_weight if request.with_ssim else 1.0
        factors = torch.tensor(
            [
                share / (3 * views * pixels),
                config.alpha_weight / (views * pixels),
                config.solid_weight / (max(extra, 1) * pixels),
                (config.alpha_weight + config.bare_weight) / (views * pixels),
            ]
        )
        chosen, counts = np.array(request.views, np.int64), (self.goals.shape[1], views, shown)
        places = (*map(flat_array, (images, self.goals)), chosen, flat_array(over))
        ssim_loss, slopes = 0.0, torch.empty(0)
        if request.with_ssim:
            ssim_loss, slopes = self._ssim(places, counts, batch, config)
        v_rgb, v_alpha = torch.empty(batch * shown, 3, height, width), torch.empty(batch * shown, height, width)
        sums = torch.empty(batch, shown, 2)
        out = tuple(map(flat_array, (v_rgb, v_alpha, sums)))
        run(compare_planes, batch * shown, *places, flat_array(slopes), flat_array(factors), counts, pixels, *out)
        loss = sums[:, :views].sum((1, 2)) + ssim_loss
        return loss, pull_back(drawing, images, over, (v_rgb, v_alpha, torch.zeros_like(v_alpha)))

    def _ssim(self, places, counts: tuple[int, int, int], batch: int, config: OptimiseConfig):
        """Loss [B] by structural similarity and its gradients [B, E, 3, H, W] by the colours."""
        _, views, shown = counts
        shape = (batch * shown, 3, *self.goals.shape[-2:])
        pictures, wanted = torch.empty(shape), torch.empty(shape)
        out = tuple(map(flat_array, (pictures, wanted)))
        run(lay_side_by_side, batch * shown, *places, counts, shape[2] * shape[3], *out)
        with torch.enable_grad():
            similarity = ssim_per_image(pictures.requires_grad_(), wanted).unflatten(0, (batch, shown))[:, :views]
            loss = config.ssim_weight * (1 - similarity.mean(1))
            (slopes,) = torch.autograd.grad(loss.sum(), pictures)
        return loss.detach(), slopes
