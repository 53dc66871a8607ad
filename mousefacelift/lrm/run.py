"""A training run between its steps: what it is made from, how it starts, how it resumes."""

from __future__ import annotations

import dataclasses
import datetime
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator, InitProcessGroupKwargs
from accelerate.tracking import get_available_trackers
from torch import Tensor, nn

from mousefacelift.config import config_hash
from mousefacelift.core.files import file_hash
from mousefacelift.dataset.arms import parse_arm, planned_steps
from mousefacelift.dataset.config import LoaderConfig, MixtureConfig
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.dataset.mixture import MixtureSampler
from mousefacelift.errors import ConfigError
from mousefacelift.lrm.config import TrainConfig
from mousefacelift.lrm.losses import extra_terms
from mousefacelift.lrm.models import Sizes
from mousefacelift.lrm.say import say_lowered
from mousefacelift.lrm.state import Checkpoints, RunState
from mousefacelift.lrm.trainable import choose_trainable, parameter_groups, start_model
from mousefacelift.lrm.validation import ValidationSet, build_validation

OPERATIONAL = ("launch", "trackers", "log_every", "save_every", "keep_last", "workers")  # do not change what is learnt


@dataclass(frozen=True)
class TrainRequest:
    """One training run: which arm, from where, to where, and the configuration sections it reads."""

    arm: str
    dataset: Path
    out: Path
    train: TrainConfig = TrainConfig()
    mixture: MixtureConfig = MixtureConfig()
    loader: LoaderConfig = LoaderConfig()
    seed: int = 0


@dataclass
class Run:
    """What a training loop holds between steps."""

    request: TrainRequest
    accelerator: Accelerator
    manifest: Manifest
    sampler: MixtureSampler
    model: nn.Module
    sizes: Sizes
    optimizer: torch.optim.Optimizer
    validation: ValidationSet
    extra: dict[str, Callable[[Tensor, Tensor], Tensor]]
    checkpoints: Checkpoints
    state: RunState
    sums: dict[str, Tensor] = field(default_factory=dict)  # of this process, since the last row of metrics.csv
    since: int = 0
    clock: float = field(default_factory=time.perf_counter)
    waited: float = 0.0  # seconds for batches, since then

    @property
    def steps(self) -> int:
        return self.sampler.steps

    def add(self, name: str, value: Tensor | float) -> None:
        """Add to the sum of a logged number; it stays on its device, so that a step waits for nothing."""
        value = torch.as_tensor(value, dtype=torch.float64, device=self.accelerator.device)
        self.sums[name] = self.sums[name] + value if name in self.sums else value


def prepare(request: TrainRequest) -> Run:
    """Everything that a run needs before its first or next step: data, model, optimiser, the newest checkpoint."""
    config, optimizer_config = request.train, request.train.optimizer
    check_request(request)
    accelerator = make_accelerator(config, Path(request.out))
    manifest = Manifest.open_verified(request.dataset)
    sampler = make_sampler(request, manifest, accelerator.process_index, accelerator.num_processes)
    model, sizes = start_model(config, request.seed)
    sizes = dataclasses.replace(sizes, image_size=check_image_size(request.loader.image_size, sizes))
    cast(Any, model).checkpoints_activations = config.checkpoint_activations
    if config.compile:
        for layer in cast(nn.ModuleList, model.layers):
            layer.compile()
    model = choose_trainable(model, config)
    optimizer = torch.optim.AdamW(
        parameter_groups(model, optimizer_config.weight_decay),
        lr=optimizer_config.learning_rate,
        betas=optimizer_config.betas,
        fused=True,
    )
    model, optimizer = accelerator.prepare(model, optimizer)
    validation = build_validation(
        manifest,
        config.validation_source,
        config.validation_frames,
        request.loader.inputs[0],
        request.loader.image_size,
    )
    if accelerator.is_main_process:
        say_lowered(sampler, config, len(validation.image))
    checkpoints = Checkpoints(Path(request.out) / "checkpoints", config.keep_last)
    run = Run(
        request,
        accelerator,
        manifest,
        sampler,
        model,
        sizes,
        optimizer,
        validation,
        extra_terms(config.loss, accelerator.device),
        checkpoints,
        first_state(request, manifest, sampler),
    )
    resume(run)
    return run


def make_accelerator(config: TrainConfig, out: Path) -> Accelerator:
    """Devices, precision and trackers of a run. The other processes may have to wait long while the first one
    validates."""
    precision = chosen_precision(config.precision, torch.cuda.is_available(), torch.cpu.get_capabilities())
    return Accelerator(
        mixed_precision="no" if precision == "fp32" else precision,
        cpu=not torch.cuda.is_available(),
        log_with=list(config.trackers) or None,
        project_dir=str(out / "logs"),
        kwargs_handlers=[InitProcessGroupKwargs(timeout=datetime.timedelta(hours=2))],
    )


def chosen_precision(precision: str, has_gpu: bool, processor: Mapping[str, bool]) -> str:
    """`precision`; for auto bf16 on a GPU and on a processor that multiplies it fast, else fp32.

    Raises:
        ConfigError: fp16, which only a GPU trains in.
    """
    if precision == "fp16" and not has_gpu:
        raise ConfigError("fp16 needs a GPU", where="train.precision", got="no GPU", expected="auto, fp32 or bf16")
    if precision != "auto":
        return precision
    return "bf16" if has_gpu or processor.get("avx512_bf16") or processor.get("amx_bf16") else "fp32"


def make_sampler(request: TrainRequest, manifest: Manifest, rank: int = 0, processes: int = 1) -> MixtureSampler:
    """The sampler of a run: which samples stand in which step."""
    arm, optimizer = parse_arm(request.arm, request.mixture), request.train.optimizer
    return MixtureSampler(
        manifest,
        arm,
        request.seed,
        steps=planned_steps(arm, request.mixture, request.train.steps),
        batch_size=optimizer.batch * optimizer.accumulate * processes,
        mixture=request.mixture,
        inputs=request.loader.inputs,
        unseen_targets=request.loader.unseen_targets,
        min_views=request.loader.inputs[0] + request.loader.unseen_targets,
        rank=rank,
        world_size=processes,
    )


def plan_sampler(request: TrainRequest) -> MixtureSampler:
    """The sampler that a run would use, of a dataset that need not be verified yet."""
    check_request(request)
    return make_sampler(request, Manifest.open(request.dataset))


def check_request(request: TrainRequest) -> None:
    """Raise ConfigError for settings that cannot work together."""
    config = request.train
    if (
        min(
            config.steps,
            config.log_every,
            config.validate_every,
            config.save_every,
            config.keep_last,
            config.optimizer.batch,
            config.optimizer.accumulate,
        )
        < 1
    ):
        raise ConfigError(
            "a count in train must be at least 1",
            where="train: steps, log_every, validate_every, save_every, "
            "keep_last, optimizer.batch, optimizer.accumulate",
        )
    if not request.loader.keep_alpha:
        raise ConfigError(
            "training needs the alpha of its targets", where="loader.keep_alpha", got=False, expected=True
        )
    known = [tracker.value for tracker in get_available_trackers()]
    missing = [name for name in config.trackers if name not in known]
    if missing:
        raise ConfigError(
            f"tracker '{missing[0]}' is not installed or not known",
            where="train.trackers",
            expected=f"of {', '.join(known)}",
            hint="pip install 'mousefacelift[track]' brings wandb",
        )


def check_image_size(size: int, sizes: Sizes) -> int:
    """`size` in pixels, if the network's patches divide it; the finished model remembers it as the size it was trained
    at."""
    if size % sizes.multiple:
        raise ConfigError(
            "the network cannot take images of this size",
            where="loader.image_size",
            got=size,
            expected=f"a multiple of {sizes.multiple}",
        )
    return size


def first_state(request: TrainRequest, manifest: Manifest, sampler: MixtureSampler) -> RunState:
    """The state of a run before its first step, on this number of processes and threads."""
    return RunState(
        run_key(request, manifest, sampler),
        settings=settings_key(request, manifest, sampler),
        batch=sampler.batch_size,
        processes=sampler.world_size,
        threads=torch.get_num_threads(),
    )


def settings_key(request: TrainRequest, manifest: Manifest, sampler: MixtureSampler) -> str:
    """As `run_key`, without the sizes of batches, steps and launch: runs that differ in these alone share it."""
    sizes = dataclasses.replace(request.train.optimizer, batch=1, accumulate=1)
    alike = dataclasses.replace(request, train=dataclasses.replace(request.train, optimizer=sizes))
    return run_key(alike, manifest, make_sampler(alike, manifest))


def run_key(request: TrainRequest, manifest: Manifest, sampler: MixtureSampler) -> str:
    """16 hexadecimal digits of everything that decides what is learnt; a checkpoint of another key is not resumed."""
    settings = {k: v for k, v in dataclasses.asdict(request.train).items() if k not in OPERATIONAL}
    del settings["optimizer"]["accumulate"]  # the sampler's fingerprint has the samples of a step
    start = file_hash(Path(request.train.init) / "model.safetensors") if request.train.init else ""
    return config_hash(
        [settings, dataclasses.asdict(request.loader), sampler.fingerprint(), manifest.header["build"], start]
    )


def resume(run: Run) -> None:
    """Load the newest checkpoint of this configuration into `run`, if there is one."""
    with run.accelerator.main_process_first():  # it may set the checkpoints of another configuration aside
        Path(run.request.out).mkdir(parents=True, exist_ok=True)
        found = run.checkpoints.resume(run.state)
    if found is None:
        return
    now, (run.state, tensors) = run.state, found
    if run.state.threads and run.state.threads != now.threads:
        torch.set_num_threads(run.state.threads)
        print(f"{run.state.threads} threads as when the run began (not {now.threads})", file=sys.stderr)
    run.accelerator.unwrap_model(run.model).load_state_dict(tensors["model"])
    run.optimizer.load_state_dict(tensors["optimizer"])
    if run.accelerator.scaler is not None and tensors.get("scaler"):
        run.accelerator.scaler.load_state_dict(tensors["scaler"])
    torch.set_rng_state(tensors["rng"])
    if run.accelerator.is_main_process:
        print(f"resumed at step {run.state.step} of {run.steps}", file=sys.stderr)
