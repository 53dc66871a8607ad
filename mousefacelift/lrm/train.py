"""Training of a reconstructor on the mixture: one arm, one run, resumable to the exact step.

    mousefacelift lrm train --arm 80-20 --dataset results/dataset --out results/train/80-20

Reads a verified dataset. Writes model.safetensors and config.json when it is finished; before that curriculum.png,
metrics.csv, validation.csv, validation.png, mixture.json, checkpoints/ and logs/ (tensorboard). A step draws its
samples, views, background and augmentation from (seed, step), so a run that was killed goes on as if nothing had
happened.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from accelerate.utils import broadcast_object_list
from tqdm import tqdm

from mousefacelift.core.files import json_text, write_text
from mousefacelift.core.images import write_png
from mousefacelift.core.render import published_render
from mousefacelift.core.training import check_applied
from mousefacelift.dataset.arms import schedule
from mousefacelift.dataset.loader import make_loader
from mousefacelift.errors import GateFailure
from mousefacelift.lrm.launch import is_worker, leave
from mousefacelift.lrm.plots import plot_curriculum, plot_mixture, plot_run
from mousefacelift.lrm.run import Run, TrainRequest, prepare
from mousefacelift.lrm.runlog import RunTable
from mousefacelift.lrm.step import take_step
from mousefacelift.lrm.trainable import merged_state
from mousefacelift.lrm.validation import validate, validation_sheet
from mousefacelift.lrm.weights import write_model


def train(request: TrainRequest) -> Path:
    """Train, or go on training, and return the folder with the finished model.

    Raises:
        DataError: an unverified dataset, a missing or changed file, or a disk that is full (checkpoints are kept).
        GateFailure: too few steps could be applied, or the collapse alarm stopped the run.
    """
    run = prepare(request)
    out, config, main = Path(request.out), request.train, run.accelerator.is_main_process
    if main:
        metrics, validations = (
            RunTable(out / "metrics.csv", run.state.step),
            RunTable(out / "validation.csv", run.state.step),
        )
        plot_curriculum(out / "curriculum.png", run.sampler.shares, request.arm)
    check_updates(run)  # a run that was stopped is not trained on by starting it again
    check_alarm(run)
    run.accelerator.init_trackers("lrm", config={"arm": request.arm, "steps": run.steps})
    loader = make_loader(run.manifest, run.sampler, request.loader, workers=config.workers, start_step=run.state.step)
    bar = tqdm(
        initial=run.state.step,
        total=run.steps,
        desc=f"train {request.arm}",
        unit="step",
        file=sys.stderr,
        mininterval=2.0,
        disable=not main,
    )
    for batch in timed(loader, run):
        take_step(run, batch)
        step, last = run.state.step, run.state.step == run.steps
        if last or step % config.log_every == 0:
            row = log_row(run)
            bar.set_postfix_str(f"loss {row['loss']:.4f} fg {row['fg_psnr']:.1f} dB", refresh=False)
            run.accelerator.log({k: v for k, v in row.items() if k != "step"}, step=step)
            if main:
                metrics.add(row)
        bar.update()
        check_updates(run)
        notable = False
        if last or step % config.validate_every == 0:
            if main:
                validations.add(run_validation(run))
            notable = share_validation(run)
        if last or notable or step % config.save_every == 0:
            save(run)
        check_alarm(run)
    bar.close()
    run.accelerator.end_training()
    if main:
        finish(run, metrics, validations)
    if is_worker():
        leave(out)
    return out


def timed(loader: Iterable[dict], run: Run) -> Iterator[dict]:
    """The batches of a loader; the time until each is there is added to `run.waited`."""
    batches, asked = iter(loader), time.perf_counter()
    for batch in batches:
        run.waited += time.perf_counter() - asked
        yield batch
        asked = time.perf_counter()


def log_row(run: Run) -> dict[str, float]:
    """Means since the last row over the steps and the processes, as a row of metrics.csv."""
    now, config = time.perf_counter(), run.request.train.optimizer
    names = sorted(run.sums)
    means = run.accelerator.reduce(torch.stack([run.sums[name] for name in names]) / run.since, "mean").tolist()
    row = {"step": run.state.step, **dict(zip(names, means, strict=True))}
    samples = run.since * config.batch * config.accumulate * run.accelerator.num_processes
    row |= {
        "learning_rate": run.optimizer.param_groups[0]["lr"],
        "applied_ratio": run.state.applied_ratio,
        "skipped": run.state.skipped,
        "samples_per_s": samples / max(now - run.clock, 1e-9),
        "wait_share": run.waited / max(now - run.clock, 1e-9),
    }
    for source, facts in run.sampler.realised(run.state.step).items():
        row |= {f"count_{source}": facts["count"], f"epochs_{source}": facts["epochs"]}
    run.sums, run.since, run.clock, run.waited = {}, 0, now, 0.0
    return row


def run_validation(run: Run) -> dict:
    """Judge the model on the validation set (main process), write the picture, remember best and alarms, return the
    row."""
    started = time.perf_counter()
    values, collapses, prediction = validate(run.accelerator.unwrap_model(run.model), run.validation)
    state = run.state
    state.validation = {"step": state.step, **values, "collapses": list(collapses)}
    if values["fg_psnr"] > state.best_value:
        state.best_step, state.best_value = state.step, values["fg_psnr"]
    if collapses:
        state.alarms.append({"step": state.step, "collapses": list(collapses)})
    write_png(Path(run.request.out) / "validation.png", validation_sheet(run.validation, prediction))
    run.accelerator.log({f"validation/{name}": value for name, value in values.items()}, step=state.step)
    run.clock += time.perf_counter() - started
    return {"step": state.step, **values, "collapses": " ".join(collapses)}


def share_validation(run: Run) -> bool:
    """Tell all processes what the main process found, so that they stop together; whether it is worth a checkpoint of
    its own."""
    (run.state,) = broadcast_object_list([run.state])
    noticed = [run.state.best_step, *(alarm["step"] for alarm in run.state.alarms[-1:])]
    return run.state.step in noticed


def save(run: Run) -> None:
    """Write the checkpoint of the current step (main process)."""
    if run.accelerator.is_main_process:
        scaler = run.accelerator.scaler
        run.checkpoints.save(
            run.state,
            {
                "model": run.accelerator.unwrap_model(run.model).state_dict(),
                "optimizer": run.optimizer.state_dict(),
                "scaler": scaler.state_dict() if scaler is not None else None,
                "rng": torch.get_rng_state(),
            },
        )
    run.accelerator.wait_for_everyone()


def check_updates(run: Run) -> None:
    """Raise GateFailure when too many updates were skipped."""
    guards, state = run.request.train.guards, run.state
    hint = "look at metrics.csv; lower train.optimizer.learning_rate or lengthen warmup_steps"
    check_applied(state.applied, state.skipped, min(guards.after, run.steps), guards.applied_ratio_min, hint)


def check_alarm(run: Run) -> None:
    """Raise GateFailure when the alarm tripped in the last `patience` validations and the configuration says stop."""
    guards, state, every = run.request.train.guards, run.state, run.request.train.validate_every
    if not guards.stop_on_collapse or state.step % every or state.step < guards.alarm_after * run.steps:
        return
    recent = [alarm for alarm in state.alarms if alarm["step"] > state.step - every * guards.patience]
    if len(recent) >= guards.patience:
        names = ", ".join(recent[-1]["collapses"])
        raise GateFailure(
            f"the reconstructor has collapsed ({names})",
            where=f"step {state.step} of arm '{run.request.arm}'",
            got=f"alarm at {len(recent)} validations in a row",
            expected="no alarm",
            hint=f"look at {Path(run.request.out) / 'validation.png'} and validation.csv",
        )


def finish(run: Run, metrics: RunTable, validations: RunTable) -> None:
    """Write what a finished run gives out: mixture, plots, model.safetensors and, last, config.json."""
    request, out, state = run.request, Path(run.request.out), run.state
    model = run.accelerator.unwrap_model(run.model)
    given = state.step
    if request.train.keep == "best" and state.best_step not in (-1, state.step):
        model.load_state_dict(run.checkpoints.load(state.best_step)[1]["model"])
        given = state.best_step
    realised = run.sampler.realised(run.steps)
    planned = schedule(run.sampler.arm, request.mixture, run.steps).mean(0).tolist()
    write_text(
        out / "mixture.json",
        json_text(
            {
                "arm": request.arm,
                "steps": run.steps,
                "batch": run.sampler.batch_size,
                "shares": run.sampler.arm.shares,
                "planned": planned,
                "realised": realised,
            },
            indent=1,
        ),
    )
    plot_mixture(out / "mixture.png", run.sampler, request.arm)
    plot_run(out / "training.png", metrics, validations, request.arm)
    facts = {
        "arm": request.arm,
        "seed": request.seed,
        "steps": run.steps,
        "step": given,
        "key": state.key,
        "init": request.train.init,
        "layers": request.train.layers,
        "dataset_build": run.manifest.header["build"],
        "applied_ratio": state.applied_ratio,
        "best_step": state.best_step,
        "validation": state.validation,
        "alarms": state.alarms,
        "render": dataclasses.asdict(published_render(run.accelerator.device)),
        "licence": inherited_licence(request.train.init, out),
    }
    write_model(out, merged_state(model), run.sizes, facts)


def inherited_licence(init: str, out: Path) -> str:
    """Copy the licence of the weights a run started from, which its result inherits; '' when it started from
    nothing."""
    source = Path(init) / "LICENSE.txt"
    if not init or not source.is_file():
        return ""
    write_text(out / "LICENSE.txt", source.read_text())
    return "LICENSE.txt"
