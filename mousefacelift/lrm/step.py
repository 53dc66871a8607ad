"""One step of training: loss of a batch, gradients, guards, update."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from torch import Tensor, nn

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.psnr import foreground_psnr
from mousefacelift.core.reconstructors import SKIP_NORM
from mousefacelift.core.render import published_render, render
from mousefacelift.core.training import cosine_fall, guarded_step, set_rate, warm_up
from mousefacelift.lrm.config import LossConfig, OptimizerConfig
from mousefacelift.lrm.gradients import StepGradients
from mousefacelift.lrm.losses import needle_charge, render_loss
from mousefacelift.lrm.run import Run


def learning_rate(config: OptimizerConfig, step: int, steps: int) -> float:
    """Linear warm-up to the peak, then cosine to zero at the end of the run; `step` counts finished steps."""
    warmup = min(config.warmup_steps, max(steps - 1, 1))
    falling = max(step - warmup, 0) / max(steps - warmup, 1)
    return config.learning_rate * warm_up(step, warmup) * cosine_fall(falling)


def take_step(run: Run, batch: dict) -> None:
    """One optimiser step: gradients over all batches of the step, guards, update. The step counts even when it is
    skipped."""
    config, accelerator, state = run.request.train.optimizer, run.accelerator, run.state
    processes, rank = accelerator.num_processes, accelerator.process_index
    set_rate(run.optimizer, learning_rate(config, state.step, run.steps))
    count = len(batch["image"])
    parts = [slice(i, i + config.batch) for i in range(0, count, config.batch)]
    gradients = StepGradients(list(run.model.parameters()), rank * len(parts), len(parts), processes)
    for part in parts:
        with accelerator.no_sync(run.model):
            loss, terms = batch_loss(run, {k: v[part] for k, v in batch.items()})
            share = (min(part.stop, count) - part.start) / count
            accelerator.backward(loss * (config.batch / run.sampler.batch_size))
        gradients.took()
        for name, value in terms.items():
            run.add(name, value * share)
    gradients.finish()
    limit = SKIP_NORM[run.request.train.model] if config.skip_norm is None else config.skip_norm
    norm, applied = guarded_step(run.optimizer, run.model.parameters(), config.clip_norm, limit, accelerator)
    state.applied += applied
    state.skipped += not applied
    run.add("grad_norm", norm if norm < 1e9 else 0.0)  # false for NaN
    run.since += 1
    state.step += 1


def batch_loss(run: Run, batch: dict) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean loss of one batch (scalar) and its terms."""
    device, loss_config = run.accelerator.device, run.request.train.loss
    tensors = {k: v.to(device, non_blocking=True) for k, v in batch.items() if isinstance(v, Tensor)}
    extra = run.extra if run.state.step >= loss_config.warmup_steps else {}
    return views_loss(run.model, tensors, loss_config, run.accelerator.autocast, extra)


def views_loss(
    model: nn.Module,
    tensors: dict[str, Tensor],
    loss_config: LossConfig,
    autocast: Callable[[], AbstractContextManager] = nullcontext,
    extra: dict[str, Callable[[Tensor, Tensor], Tensor]] | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean loss of a network on a batch (scalar) and its terms.

    Args:
        tensors: as the loader collates them, on the network's device. autocast: precision of the network's own part.
        extra: further terms of the loss, see `render_loss`.
    """
    inputs = tensors["input_image"].shape[1]
    with autocast():
        gaussians = model(tensors["input_image"], tensors["input_c2w"], tensors["fxfycxcy"][:, :inputs]).activated()
    target = tensors["image"][:, inputs:].flatten(0, 1)  # [B*T, 4, H, W]
    count, height, width = tensors["image"].shape[1] - inputs, *target.shape[-2:]
    cameras = CameraTensors.from_c2w(tensors["c2w"][:, inputs:], tensors["fxfycxcy"][:, inputs:], width, height)
    background = tensors["bg_color"][:, None].expand(-1, count, -1)
    out = render(gaussians.map(Tensor.float), cameras, published_render(target.device), background)
    rgb = out.rgb.flatten(0, 1).permute(0, 3, 1, 2)
    alpha = out.alpha.flatten(0, 1)[:, None]
    loss, terms = render_loss(rgb, alpha, target[:, :3], target[:, 3:], loss_config, extra)
    if loss_config.rank:
        terms["rank"] = needle_charge(gaussians.scales.float(), gaussians.opacities.float())
        loss = loss + loss_config.rank * terms["rank"]
    terms = {name: value.detach().mean() for name, value in terms.items()}
    unseen = tensors["unseen"].flatten()
    psnr = foreground_psnr(rgb.detach().clamp(0, 1), target[:, :3], target[:, 3])
    terms |= {"loss": loss.mean().detach(), "fg_psnr": psnr[unseen].nanmean(), "fg_psnr_all": psnr.nanmean()}
    return loss.mean(), terms
