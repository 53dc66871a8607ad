"""The numbers that a fit optimises: B scenes of N Gaussians before activation, and their Adam."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from mousefacelift.core.adam import Adam
from mousefacelift.core.gaussians import SH_C0, Gaussians
from mousefacelift.splats.config import OptimiseConfig

DEAD_OPACITY = 0.01
SCALE_RANGE = (1e-4, 0.3)  # world units; keeps a runaway Gaussian from blinding the whole frame

Parameters = dict[str, torch.Tensor]


def stack_parameters(starts: Sequence[Gaussians], device: str | torch.device = "cpu") -> Parameters:
    """Leaf tensors [B, N, ...] of B scenes: means, log_scales, quats, opacity logits, colour logits."""
    stacked = {
        name: torch.stack([getattr(g, name) for g in starts]).to(device, torch.float32)
        for name in ("means", "quats", "scales", "opacities")
    }
    rgb = torch.stack([g.sh[..., 0, :] * SH_C0 + 0.5 for g in starts]).to(device, torch.float32)
    parameters = {
        "means": stacked["means"],
        "log_scales": stacked["scales"].clamp(*SCALE_RANGE).log(),
        "quats": torch.nn.functional.normalize(stacked["quats"], dim=-1),
        "opacity_logits": torch.logit(stacked["opacities"].clamp(1e-4, 1 - 1e-4)),
        "color_logits": torch.logit(rgb.clamp(0.01, 0.99)),
    }
    return {name: value.detach().clone().requires_grad_() for name, value in parameters.items()}


def activate(parameters: Parameters) -> Gaussians:
    """The Gaussians [B, N, ...] of the parameters (degree 0: six views cannot support more)."""
    low, high = (math.log(edge) for edge in SCALE_RANGE)
    return Gaussians.from_rgb(
        parameters["means"],
        parameters["quats"],
        parameters["log_scales"].clamp(low, high).exp(),
        parameters["opacity_logits"].sigmoid(),
        parameters["color_logits"].sigmoid(),
    )


def make_optimiser(parameters: Parameters, config: OptimiseConfig) -> Adam:
    """One Adam over all scenes (element-wise, so the scenes stay independent)."""
    rates = {
        "means": config.lr_means,
        "log_scales": config.lr_scales,
        "quats": config.lr_quats,
        "opacity_logits": config.lr_opacities,
        "color_logits": config.lr_colors,
    }
    groups = [
        {"params": [value], "lr": rates[name], "initial": rates[name], "name": name}
        for name, value in parameters.items()
    ]
    return Adam(groups, eps=1e-15)


def set_rates(optimiser: Adam, progress: float, config: OptimiseConfig, factor: float = 1.0) -> None:
    """Set the learning rates for `progress` in [0, 1]: exponential decay, the means to their own final rate."""
    for group in optimiser.param_groups:
        if group["name"] == "corrections":
            continue
        final = config.lr_means_final / config.lr_means if group["name"] == "means" else config.lr_decay
        group["lr"] = factor * group["initial"] * final**progress


@torch.no_grad()
def relocate_dead(parameters: Parameters, optimiser: Adam, generator: torch.Generator) -> int:
    """Move Gaussians of opacity under 0.01 onto live ones drawn by opacity, in each scene; returns how many moved.

    The pair together looks like the one that was there (opacity and scale correction for two copies: Kheradmand et al.,
    "3D Gaussian Splatting as Markov Chain Monte Carlo", NeurIPS 2024, eq. 9).
    """
    opacities = parameters["opacity_logits"].sigmoid()
    moved = 0
    for scene in range(len(opacities)):
        dead = (opacities[scene] < DEAD_OPACITY).nonzero()[:, 0]
        if len(dead) == 0 or len(dead) == opacities.shape[1]:
            continue
        weights = torch.where(opacities[scene] < DEAD_OPACITY, 0.0, opacities[scene])
        chosen = torch.multinomial(
            weights.cpu(), len(dead), replacement=len(dead) > int((weights > 0).sum()), generator=generator
        )
        chosen = chosen.to(dead.device)
        old = opacities[scene, chosen]
        new = 1 - (1 - old).sqrt()
        shrink = old / (2 * new - new**2 / math.sqrt(2))
        parameters["opacity_logits"][scene, chosen] = torch.logit(new.clamp(2 * DEAD_OPACITY, 1 - 1e-4))
        parameters["log_scales"][scene, chosen] += shrink.log()[:, None]
        for value in parameters.values():
            value[scene, dead] = value[scene, chosen]
        for value in parameters.values():
            for moment in ("exp_avg", "exp_avg_sq"):
                if moment in optimiser.state[value]:
                    optimiser.state[value][moment][scene, torch.cat([dead, chosen])] = 0
        moved += len(dead)
    return moved
