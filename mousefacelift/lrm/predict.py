"""Predictions of a trained model on real frames, in the form that `check evaluate` reads (see `check.predictions`).

    mousefacelift lrm predict --model results/train/80-20 --dataset results/dataset --out
    results/evaluate/80-20/predictions

One folder per (protocol, frame): a FaceLift sample whose view i is the render for target i, straight alpha, with its
camera; index.json names the inputs, the targets and their hashes.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mousefacelift.check.health import gaussian_health
from mousefacelift.check.predictions import Item, Reference
from mousefacelift.chunks import run_chunk
from mousefacelift.config import config_hash
from mousefacelift.core.files import file_hash, relative_path
from mousefacelift.core.records import SampleFacts, ViewFacts
from mousefacelift.core.render import published_render, render_pictures
from mousefacelift.core.samples import Sample, View, read_sample, write_sample
from mousefacelift.core.splat_files import write_ply
from mousefacelift.core.spread import spread
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.errors import DataError
from mousefacelift.lrm.config import PredictConfig
from mousefacelift.lrm.filters import FILTERS, rows_to_keep
from mousefacelift.lrm.infer import predict_gaussians, stack_views
from mousefacelift.lrm.validation import spread_order
from mousefacelift.lrm.weights import read_facts, read_model

AUTO_INPUTS = 4  # what GS-LRM was published with
KEPT = dataclasses.replace(FILTERS["body"], opacity_min=1 / 255)  # of a splat on disk: all that a render shows


@dataclass(frozen=True)
class FrameViews:
    """A real sample as prediction needs it: its row, and view index and rig camera of its inputs and other views."""

    row: int
    split: str
    recording: str
    frame: int
    inputs: tuple[int, ...]
    others: tuple[int, ...]
    held_out: tuple[int, ...]
    cameras: dict[int, int]


@dataclass(frozen=True)
class Task:
    """One prediction: the cameras of `at`, the images of `shown` (the same frame, but for a swap)."""

    protocol: str
    at: FrameViews
    shown: FrameViews

    @property
    def kind(self) -> str:
        return "target" if self.at.row == self.shown.row else "swap"

    @property
    def name(self) -> str:
        base = f"{self.protocol}-{self.at.recording}-{self.at.frame:06d}"
        return base if self.kind == "target" else f"{base}-swap-{self.shown.frame:06d}"

    @property
    def targets(self) -> tuple[int, ...]:
        """View indices to render: the inputs, then the views that the protocol judges."""
        return self.at.inputs + (self.at.others if self.protocol == "A" else self.at.held_out)


def predict(model_folder: Path, dataset: Path, out: Path, config: PredictConfig, device: str = "cpu") -> dict:
    """Write the predictions folder `out` and return its index, whose rows are read as they are asked for.

    Raises:
        MissingWeights: no model there. DataError: no frame has the views that the protocols need.
    """
    model, sizes = read_model(model_folder, device)
    model.eval()
    manifest = Manifest.open_verified(dataset)
    tasks = plan(manifest, config)
    facts, digest = read_facts(model_folder), file_hash(Path(model_folder) / "model.safetensors")
    kept = splats_to_keep(tasks, config.splats_kept)
    header = {
        "arm": facts.get("arm", Path(model_folder).name),
        "seed": facts.get("seed"),
        "model_hash": digest,
        "step": facts.get("step"),
        "size": sizes.image_size,
        "background": "alpha",
        "dataset_build": manifest.header["build"],
        "render": dataclasses.asdict(published_render(device)),
    }
    make = functools.partial(
        make_prediction, model=model, manifest=manifest, size=sizes.image_size, kept=kept, out=Path(out)
    )
    return run_chunk(
        Path(out) / "index.json",
        config_hash([digest, manifest.header["build"], config]),
        [(task.name, task) for task in tasks],
        make,
        header,
        "predictions",
        keep_rows=False,
    )


def splats_to_keep(tasks: list[Task], count: int) -> set[str]:
    """Names of one judged prediction of each of `count` moments, evenly spread: they keep their Gaussians."""
    first: dict[int, str] = {}
    for task in tasks:
        if task.kind == "target":
            first.setdefault(task.at.row, task.name)
    names = [first[row] for row in sorted(first)]
    return {names[int(i)] for i in np.linspace(0, len(names) - 1, min(count, len(names))).round()}


def plan(manifest: Manifest, config: PredictConfig) -> list[Task]:
    """Every prediction to make, in order."""
    tasks: list[Task] = []
    for split in config.splits:
        frames = frames_of(manifest, split, config.inputs, config.max_frames)
        for i, frame in enumerate(frames):
            other = frames[(i + max(len(frames) // 2, 1)) % len(frames)]
            for protocol, judged in (("A", frame.others), ("C", frame.held_out)):
                if judged:
                    tasks.append(Task(protocol, frame, frame))
                    if config.swaps and len(frames) > 1 and other.recording == frame.recording:
                        tasks.append(Task(protocol, frame, other))
    seen = frames_of(manifest, "train", config.inputs, config.train_frames) if config.train_frames else []
    tasks += [Task("B", frame, frame) for frame in seen if frame.held_out]
    if not tasks:
        raise DataError(
            "there is no real frame to predict",
            got=f"splits {', '.join(config.splits)}",
            expected=f"frames with {1 if config.inputs == 'auto' else config.inputs} seen cameras and one more view",
            hint="lower predict.inputs, or lengthen dataset.splits.val and test",
        )
    return tasks


def frames_of(manifest: Manifest, split: str, inputs: int | str, limit: int) -> list[FrameViews]:
    """At most `limit` real frames of a split, evenly spread in time, whose seen cameras suffice for `inputs` inputs.

    All frames of a recording use the same cameras as inputs, if they have them: those of its first frame. "auto" takes
    AUTO_INPUTS of them, and of a recording with fewer all but one, so that one is left to judge.
    """
    rows, _ = manifest.pool("real", split, inputs if isinstance(inputs, int) else 2)
    if not len(rows):
        return []
    table = manifest.samples.iloc[rows]
    rows = rows[np.lexsort([table["frame"].to_numpy(), table["recording"].astype(str).to_numpy()])]
    cameras = camera_numbers(manifest)
    chosen: dict[str, tuple[int, ...]] = {}
    frames, lacking = [], 0
    for row in rows[spread(len(rows), limit)]:
        views = manifest.views_of(row)
        own = np.flatnonzero(views.owner == row)
        first = int(manifest.samples["first_view"].iat[row])
        numbers = {int(views.index[i]): int(cameras[first + i]) for i in own}
        seen = [int(i) for i in own if views.usable[i]]
        recording = str(manifest.samples["recording"].iat[row])
        if recording not in chosen:
            count = inputs if isinstance(inputs, int) else min(AUTO_INPUTS, len(seen) - 1)
            chosen[recording] = tuple(numbers[seen[i]] for i in spread_order(views.azimuth[seen], count))
        given = tuple(i for i in seen if numbers[i] in chosen[recording])
        if len(given) < len(chosen[recording]):
            lacking += 1  # a camera of the fixed inputs is missing in this frame
            continue
        frames.append(
            FrameViews(
                int(row),
                split,
                recording,
                int(manifest.samples["frame"].iat[row]),
                given,
                tuple(i for i in seen if i not in given),
                tuple(int(i) for i in own if views.held_out[i]),
                numbers,
            )
        )
    if lacking:
        print(f"{split}: {lacking} frames are passed over, a camera of the inputs is missing in them", file=sys.stderr)
    return frames


def camera_numbers(manifest: Manifest) -> np.ndarray:
    """Rig camera of every view row (-1: none)."""
    return manifest.view_table(["camera"])["camera"].to_numpy()


def make_prediction(
    name: str, task: Task, folder: Path, *, model: nn.Module, manifest: Manifest, size: int, kept: set[str], out: Path
) -> dict:
    """Reconstruct one task, write its renders as a sample into `folder`, and return its row of the index."""
    at, shown = (read_sample(manifest.folder_of(frame.row)) for frame in (task.at, task.shown))
    image, _, _ = stack_views([shown.views[i] for i in task.shown.inputs], size)
    _, c2w, fxfycxcy = stack_views([at.views[i] for i in task.at.inputs], size)
    gaussians = predict_gaussians(model, image[None], c2w[None], fxfycxcy[None]).map(lambda tensor: tensor[0])
    cameras = [at.views[i].camera.scaled_to(size, size) for i in task.targets]
    images = render_pictures(gaussians, cameras)
    views = tuple(
        View(rgba, camera, ViewFacts(task.at.cameras[i])) for rgba, camera, i in zip(images, cameras, task.targets)
    )
    write_sample(folder, Sample(views, SampleFacts("prediction", task.at.recording, frame=task.at.frame)), into=True)
    if name in kept:
        visible = rows_to_keep(gaussians, KEPT)
        write_ply(folder / "splat.ply", gaussians.select(visible).map(torch.Tensor.cpu))
    return Item(
        name,
        task.kind,
        task.protocol,
        task.at.split,
        task.at.recording,
        task.at.frame,
        task.shown.frame if task.kind == "swap" else None,
        tuple(reference(manifest, task.shown, i, out) for i in task.shown.inputs),
        tuple(reference(manifest, task.at, i, out, i in task.at.inputs) for i in task.targets),
        gaussian_health(gaussians.means, gaussians.scales, gaussians.opacities),
    ).to_row()


def reference(manifest: Manifest, frame: FrameViews, view: int, out: Path, is_input: bool = False) -> Reference:
    """A view of a frame as the index in the folder `out` names it."""
    folder = relative_path(manifest.folder_of(frame.row), out)
    return Reference(folder, view, frame.cameras[view], manifest.views_of(frame.row).hash[view], is_input)
