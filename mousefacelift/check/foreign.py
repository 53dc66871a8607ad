"""Reconstructions of any other method on the same ladder: laid onto the true cameras, judged by the same protocols.

    mousefacelift check foreign --predictions FOLDER --dataset results/dataset --inputs 0 --out results/foreign/NAME

Reads splats, meshes or rendered views (`foreign_read`) of moments of a dataset. A solid is moved by the best similarity
(`similarity_search`), which is a gift of seven numbers per moment taken from the truth: what it was worth, and how far
the moments' similarities lie apart, is reported. Writes predictions (as `lrm predict` does), what `check evaluate`
writes, and foreign.json: the cost of the alignment, and MoReMouse's own protocol beside white and mean image.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from mousefacelift.check import ladder
from mousefacelift.check.config import EvaluateConfig
from mousefacelift.check.evaluate import Means, evaluate_arm, mean_images
from mousefacelift.check.fidelity import full_psnr, mask_iou
from mousefacelift.check.foreign_read import Entry, list_entries, read_pictures, read_solid
from mousefacelift.check.foreign_views import lay_views
from mousefacelift.check.gather import stack
from mousefacelift.check.health import gaussian_health
from mousefacelift.check.moremouse import full_frame, orthogonal_views
from mousefacelift.check.predictions import Item, Reference
from mousefacelift.check.similarity_search import find_similarity, render_moved
from mousefacelift.check.single import load_perceptual
from mousefacelift.check.single_items import resized
from mousefacelift.chunks import run_chunk
from mousefacelift.config import config_hash
from mousefacelift.core.files import json_text, read_json, write_text
from mousefacelift.core.images import resize_rgba
from mousefacelift.core.records import SampleFacts, ViewFacts
from mousefacelift.core.samples import Sample, View, read_sample, write_sample
from mousefacelift.core.similarity import Similarity
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.errors import DataError

FACTS = "foreign.json"  # beside the renders of an item, and over all of them


@dataclass(frozen=True)
class Moment:
    """A real moment that a prediction answers.

    Args:
        views: all rig views at the judged size. hashes: of the photos. held_out: [V] the camera that training never
            sees. inputs: places of the views that the method was given.
    """

    entry: Entry
    folder: Path
    split: str
    views: tuple[View, ...]
    hashes: tuple[str, ...]
    held_out: np.ndarray
    inputs: tuple[int, ...]

    @property
    def cameras(self) -> tuple[int, ...]:
        """Rig camera of every view."""
        return tuple(-1 if view.facts.camera is None else view.facts.camera for view in self.views)

    def judged(self, protocol: str) -> tuple[int, ...]:
        """Places of the views that a protocol judges."""
        hidden = protocol in ("B", "C")
        return tuple(i for i in range(len(self.views)) if i not in self.inputs and bool(self.held_out[i]) == hidden)

    @property
    def protocols(self) -> tuple[str, ...]:
        """Protocols of the moment's split that have a view to judge."""
        names = {"train": ("B",), "val": ("A", "C"), "test": ("A", "C")}.get(self.split, ())
        return tuple(name for name in names if self.judged(name))


@dataclass(frozen=True)
class Answer:
    """What a method shows of a moment: rgba by place of the view, as it came where that is known, and facts."""

    images: dict[int, np.ndarray]
    unaligned: dict[int, np.ndarray]
    alignment: dict
    health: dict


def score_foreign(
    folder: Path,
    dataset: Path,
    out: Path,
    inputs: Sequence[int],
    config: EvaluateConfig,
    white_is_empty: bool = False,
) -> dict:
    """Judge every moment that `folder` answers; returns the content of foreign.json with the summary of `evaluate_arm`.

    Args:
        inputs: rig cameras whose pictures the method was given; they are judged apart.
        white_is_empty: pictures without alpha are foreground where they are not white.
    Raises:
        DataError: unreadable predictions, moments that the dataset does not have, or nothing to judge.
    """
    manifest = Manifest.open(dataset)
    moments = find_moments(folder, manifest, inputs)
    size = moments[0].views[0].camera.width
    means = mean_images(manifest, {moment.entry.recording for moment in moments}, size)
    answer = lru_cache(1)(lambda place: answer_moment(moments[place], white_is_empty))
    tasks = [
        (f"{protocol}-{moment.entry.recording}-{moment.entry.frame:06d}", (protocol, place))
        for place, moment in enumerate(moments)
        for protocol in moment.protocols
    ]
    if not tasks:
        raise DataError(
            "none of the predicted moments can be judged",
            got=f"splits {', '.join(sorted({moment.split for moment in moments}))}",
            expected="validation or test frames with a camera that was not given, or the held-out camera",
        )

    def make(name: str, task: tuple[str, int], folder: Path) -> dict:
        protocol, place = task
        return write_item(name, protocol, moments[place], answer(place), means, folder, out)

    header = {"arm": folder.name, "seed": None, "size": size, "background": "alpha", "inputs": list(inputs)}
    stamps = [(str(path), path.stat().st_mtime_ns) for path in sorted(folder.rglob("*")) if path.is_file()]
    key = config_hash([manifest.header["build"], list(inputs), white_is_empty, stamps])
    index = out / "predictions" / "index.json"
    run_chunk(index, key, tasks, make, header, "predictions")
    summary = evaluate_arm(index, dataset, out, config)
    result = gather_facts(index.parent, [name for name, _ in tasks])
    write_text(out / FACTS, json_text(result, indent=1))
    return result | {"summary": summary}


def find_moments(folder: Path, manifest: Manifest, inputs: Sequence[int]) -> list[Moment]:
    """The real moments of every entry of a folder."""
    table = manifest.samples
    real = table[(table["source"] == "real") & (table["decision"] == "accepted")]
    rows = {(str(name), int(frame)): row for row, name, frame in zip(real.index, real["recording"], real["frame"])}
    entries = list_entries(folder, sorted({name for name, _ in rows}))
    unknown = [entry for entry in entries if (entry.recording, entry.frame) not in rows]
    if unknown:
        raise DataError(
            f"prediction {unknown[0].path} answers a moment that the dataset does not have",
            got=f"{unknown[0].recording}, frame {unknown[0].frame}",
            expected="a frame of the dataset that capture accepted",
        )
    return [_moment(entry, rows[entry.recording, entry.frame], manifest, inputs) for entry in entries]


def _moment(entry: Entry, row: int, manifest: Manifest, inputs: Sequence[int]) -> Moment:
    folder, rows = manifest.folder_of(row), manifest.views_of(row)
    own = np.flatnonzero(rows.owner == row)
    sample = read_sample(folder, [int(i) for i in rows.index[own]])
    cameras = [view.facts.camera for view in sample.views]
    missing = [camera for camera in inputs if camera not in cameras]
    if missing:
        raise DataError(
            f"{entry.recording}, frame {entry.frame} has no picture of an input camera", got=f"no camera {missing[0]}"
        )
    size = max(view.camera.width for view in sample.views)
    return Moment(
        entry,
        folder,
        str(manifest.samples["split"].iat[row]),
        tuple(resized(view, size) for view in sample.views),
        tuple(rows.hash[i] for i in own),
        rows.held_out[own],
        tuple(cameras.index(camera) for camera in inputs),
    )


def answer_moment(moment: Moment, white_is_empty: bool) -> Answer:
    """What an entry shows from the moment's cameras."""
    entry, places = moment.entry, {camera: i for i, camera in enumerate(moment.cameras)}
    if entry.kind == "solid":
        gaussians = read_solid(entry.path)
        found = find_similarity(gaussians, moment.views)
        shown, as_it_came = (render_moved(gaussians, move, moment.views) for move in (found.move, Similarity()))
        health = gaussian_health(gaussians.means, gaussians.scales * found.move.scale, gaussians.opacities)
        return Answer(dict(enumerate(shown)), dict(enumerate(as_it_came)), found.facts(), health)
    if entry.kind == "rendered":
        images, facts = lay_views(read_sample(entry.path), moment.views, entry.path)
        return Answer(images, {}, facts, {})
    pictures = read_pictures(entry.path, white_is_empty)
    strangers = sorted(set(pictures) - set(places))
    if strangers:
        raise DataError(
            f"pictures {entry.path} show cameras that the rig does not have",
            got=", ".join(map(str, strangers)),
            expected=f"numbers among {sorted(places)}",
        )
    size = moment.views[0].camera
    images = {places[camera]: resize_rgba(rgba, size.width, size.height) for camera, rgba in pictures.items()}
    return Answer(images, {}, {}, {})


def write_item(name: str, protocol: str, moment: Moment, answer: Answer, means: Means, folder: Path, out: Path) -> dict:
    """Write the views of one protocol as a sample with its facts into `folder`; returns the row of the index."""
    targets = tuple(i for i in (*moment.inputs, *moment.judged(protocol)) if i in answer.images)
    if not set(targets) - set(moment.inputs):
        raise DataError(f"prediction {moment.entry.path} shows no view that protocol {protocol} judges")
    views = [
        View(answer.images[i].astype(np.float32), moment.views[i].camera, ViewFacts(moment.views[i].facts.camera))
        for i in targets
    ]
    facts = SampleFacts("prediction", moment.entry.recording, frame=moment.entry.frame)
    write_sample(folder, Sample(tuple(views), facts), into=True)
    write_text(folder / FACTS, json_text(_facts(moment, answer, means, [i for i in targets if i not in moment.inputs])))
    relative = os.path.relpath(moment.folder.resolve(), (out / "predictions").resolve())

    def refer(place: int, is_input: bool = False) -> Reference:
        return Reference(relative, place, moment.cameras[place], moment.hashes[place], is_input)

    return Item(
        name,
        "target",
        protocol,
        moment.split,
        moment.entry.recording,
        moment.entry.frame,
        None,
        tuple(refer(i) for i in moment.inputs),
        tuple(refer(i, i in moment.inputs) for i in targets),
        answer.health,
    ).to_row()


def _facts(moment: Moment, answer: Answer, means: Means, judged: list[int]) -> dict:
    """Alignment, its cost on the judged views, and MoReMouse's protocol, of one moment."""
    facts: dict = {"moment": [moment.entry.recording, moment.entry.frame], "alignment": answer.alignment}
    if answer.unaligned:
        truth = [moment.views[i].rgba for i in judged]
        facts["as_it_came"] = _scores([answer.unaligned[i] for i in judged], truth)
        facts["aligned"] = _scores([answer.images[i] for i in judged], truth)
    shown = sorted(answer.images)
    chosen, off = orthogonal_views([moment.views[i].camera for i in shown])
    four = [shown[i] for i in chosen]
    truth = [moment.views[i].rgba for i in four]
    rungs = {
        "model": [answer.images[i] for i in four],
        "white": [ladder.white(moment.views[i].camera) for i in four],
        "mean_image": [means[moment.entry.recording, moment.cameras[i]] for i in four],
    }
    facts["moremouse"] = {name: full_frame(images, truth, _lpips()[0]) for name, images in rungs.items()}
    facts["moremouse_cameras"] = [moment.cameras[i] for i in four]
    facts["moremouse_off_degrees"] = off
    return facts


@lru_cache(1)
def _lpips():
    """LPIPS and "reported", or None and why not."""
    return load_perceptual()


def _scores(shown: list[np.ndarray], truth: list[np.ndarray]) -> dict[str, float]:
    left, right = (torch.from_numpy(np.stack([rgba[..., 3] for rgba in part])) for part in (shown, truth))
    return {
        "full_psnr": float(full_psnr(stack(shown, 1.0), stack(truth, 1.0)).mean()),
        "iou": float(mask_iou(left, right).mean()),
    }


def gather_facts(root: Path, names: list[str]) -> dict:
    """Over all moments: alignment (means, and spread between moments), its cost, MoReMouse's table."""
    by_moment = {tuple(facts["moment"]): facts for facts in (read_json(root / name / FACTS) for name in names)}
    items = list(by_moment.values())
    result: dict = {"moments": len(items), "lpips": _lpips()[1]}
    aligned = [facts for facts in items if facts["alignment"]]
    if aligned:
        names = aligned[0]["alignment"]
        result["alignment"] = {
            name: {"mean": float(np.mean(values)), "spread": float(np.std(values))}
            for name in names
            if (values := [facts["alignment"][name] for facts in aligned])
        }
    for part in ("as_it_came", "aligned"):
        scored = [facts[part] for facts in items if part in facts]
        if scored:
            result[part] = {name: float(np.mean([s[name] for s in scored])) for name in scored[0]}
    result["moremouse"] = {
        method: {name: float(np.mean([f["moremouse"][method][name] for f in items])) for name in numbers}
        for method, numbers in items[0]["moremouse"].items()
    }
    result["moremouse_cameras"] = items[0]["moremouse_cameras"]
    result["moremouse_off_degrees"] = max(facts["moremouse_off_degrees"] for facts in items)
    return result
