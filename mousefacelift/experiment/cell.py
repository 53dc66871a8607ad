"""One cell: train from its start, watched by the detectors, then judge; and the objects-pretrained starts.

    mousefacelift experiment start --experiment FILE --constraint small_plain --objects OBJECTS.npz --out FOLDER
    mousefacelift experiment cells --experiment FILE --animal 0 ... --out results/experiment/NAME/animal0.json

A finished cell is a folder `CELL/` with `cell.json` (written last), `curve.csv` (what the detectors saw), `photos.csv`
and `truth.csv` (a row per judged frame), and `show.png`. It is skipped when the key in its cell.json is the same.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mousefacelift.check.collapse import diagnose
from mousefacelift.config import config_hash
from mousefacelift.core.files import file_hash, json_text, read_json, write_text
from mousefacelift.core.images import contact_sheet, write_png
from mousefacelift.core.provenance import code_version
from mousefacelift.dataset.config import ArmConfig
from mousefacelift.experiment.bed import Bed, Views, read_bed, read_views
from mousefacelift.experiment.config import Cell, ExperimentConfig
from mousefacelift.experiment.constraints import LEVELS
from mousefacelift.experiment.film import evenly
from mousefacelift.experiment.judge import answer, judged_set, photo_rows, rung_rows, truth_rows
from mousefacelift.experiment.pools import Pools, cell_arm, cell_pools, cell_steps
from mousefacelift.experiment.training import Plan, train_network
from mousefacelift.locks import one_writer
from mousefacelift.lrm.config import OptimizerConfig
from mousefacelift.lrm.model import GSLRM
from mousefacelift.lrm.validation import ValidationSet, validate
from mousefacelift.lrm.weights import read_model, write_model

START_SEED = 2**20  # the starts draw other objects orders than any cell
TABLES = ("curve.csv", "photos.csv", "truth.csv")
MODULES = ("mousefacelift.experiment.cell",)


@dataclass(frozen=True)
class Upstream:
    """What cells share: the animals by number, the objects, the folder of starts, and the hashes of the files."""

    beds: dict[int, Bed]
    objects: Views
    starts: Path
    hashes: dict[str, str]


def gather_upstream(bed: Path, starts: Path, animals: list[int], constraints: set[str]) -> Upstream:
    """Everything that cells of these animals and constraints need.

    Raises:
        DataError, MissingWeights: a file is missing.
    """
    files = {f"animal {number}": bed / f"animal{number}.npz" for number in animals}
    beds = {number: read_bed(files[f"animal {number}"]) for number in animals}
    files["objects"] = bed / "objects.npz"
    objects = read_views(files["objects"])
    for constraint in sorted(constraints):
        read_model(starts / constraint)
        files[f"start {constraint}"] = starts / constraint / "model.safetensors"
    return Upstream(beds, objects, starts, {name: file_hash(path)[:16] for name, path in files.items()})


def train_start(constraint: str, objects: Views, config: ExperimentConfig, out: Path) -> Path:
    """The objects-pretrained start of a constraint as a model folder: what fine-tuning starts from."""
    training, level = config.training, LEVELS[constraint]
    torch.manual_seed(config.bed.seed)
    model = GSLRM(level.sizes(training, config.bed.size))
    optimizer = OptimizerConfig(
        learning_rate=training.start_learning_rate, warmup_steps=training.warmup_steps, batch=training.batch
    )
    arm = ArmConfig("objects-only", {"object": 1.0}, curriculum=False)
    plan = Plan(
        arm, level, training.start_steps, 4, training.targets, config.bed.size, optimizer, START_SEED + config.bed.seed
    )
    began = time.perf_counter()
    facts = train_network(model, Pools({"object": objects}), plan, lambda step, terms: None)
    facts |= {"seconds": round(time.perf_counter() - began, 1), "steps": training.start_steps, "arm": "objects-only"}
    write_model(out, model.state_dict(), model.config, facts)
    return out


def run_cells(cells: list[Cell], upstream: Upstream, config: ExperimentConfig, folder: Path) -> list[dict]:
    """Run those of the cells that are not finished, one after another in this process; returns their facts."""
    facts = []
    for cell in cells:
        where = folder / cell.name
        key = cell_key(cell, upstream, config)
        with one_writer(where):
            done = read_json(where / "cell.json") if (where / "cell.json").is_file() else {}
            if done.get("key") != key:
                done = run_cell(cell, upstream, config, where, key)
        facts.append(done)
    return facts


def cell_key(cell: Cell, upstream: Upstream, config: ExperimentConfig) -> str:
    """16 hexadecimal digits of everything that decides a cell's numbers, code included."""
    settings = [asdict(cell), asdict(config.training), config.bed.size]
    return config_hash([settings, shared_hashes(cell, upstream), code_version(MODULES)])


def shared_hashes(cell: Cell, upstream: Upstream) -> dict[str, str]:
    """Hashes of the shared files that a cell uses."""
    names = [f"animal {cell.animal}", "objects"] + ([f"start {cell.constraint}"] if cell.start == "objects" else [])
    return {name: upstream.hashes[name] for name in names}


def first_network(cell: Cell, upstream: Upstream, config: ExperimentConfig) -> GSLRM:
    """The network that a cell begins with."""
    if cell.start == "objects":
        return read_model(upstream.starts / cell.constraint)[0]
    torch.manual_seed(cell.animal)
    return GSLRM(LEVELS[cell.constraint].sizes(config.training, config.bed.size))


def run_cell(cell: Cell, upstream: Upstream, config: ExperimentConfig, folder: Path, key: str) -> dict:
    """Train and judge one cell into `folder`; returns its facts."""
    began, training, bed, size = time.perf_counter(), config.training, upstream.beds[cell.animal], config.bed.size
    model = first_network(cell, upstream, config)
    arm, rate = cell_arm(cell.data)
    steps = cell_steps(cell.data, training.steps)
    optimizer = OptimizerConfig(
        learning_rate=training.learning_rate * rate, warmup_steps=training.warmup_steps, batch=training.batch
    )
    plan = Plan(
        arm, LEVELS[cell.constraint], steps, cell.inputs, training.targets, size, optimizer, seed=1 + cell.animal
    )
    watched = evenly(len(bed.tests), training.validation_frames)
    watch = Watch(judged_set(bed, cell, size, watched, exact=False), {*training.validate_at, steps}, model)
    late = train_network(model, cell_pools(cell, bed, upstream.objects, size), plan, watch.look)
    trained = time.perf_counter()
    frames = np.arange(len(bed.tests))
    judge_cell(model, bed, cell, size, frames, folder)
    pd.DataFrame(watch.rows).to_csv(folder / "curve.csv", index=False, float_format="%.5g")
    facts = {
        "key": key,
        "cell": asdict(cell),
        "name": cell.name,
        "steps": steps,
        "trained": late,
        "final": watch.rows[-1],
        "hashes": shared_hashes(cell, upstream),
        "tables": {name: file_hash(folder / name)[:16] for name in TABLES},
        "seconds": {"train": round(trained - began, 1), "all": round(time.perf_counter() - began, 1)},
    }
    write_text(folder / "cell.json", json_text(facts, indent=1))
    return facts


class Watch:
    """The detectors at chosen steps: rows of metrics with the names of what tripped.

    `tripped` judges what a picture shows: its foreground is how far it is from white, so that the mean image covers as
    much as the photos do. `tripped_alpha` counts opacity instead,
    which a network without alpha in its loss may spread over the background in white without any loss noticing.
    """

    def __init__(self, data: ValidationSet, steps: set[int], model: GSLRM) -> None:
        self.data, self.steps, self.model, self.rows = data, steps, model, []

    def look(self, step: int, terms: dict[str, float]) -> None:
        """Judge the network if this is one of the steps."""
        if step not in self.steps:
            return
        metrics, names, pictures = validate(self.model, self.data)
        shown, area = ((1 - part).amax(2).sum() for part in (pictures, self.data.targets[0]))
        visible = {"picture_coverage": float(shown / area)}
        by_picture = diagnose(metrics | {"coverage": visible["picture_coverage"]})
        row = {"step": step, "tripped": " ".join(by_picture), "tripped_alpha": " ".join(names)}
        row |= {name: terms.get(name, float("nan")) for name in ("loss", "grad_norm")}
        self.rows.append(row | metrics | visible)


def judge_cell(model: GSLRM, bed: Bed, cell: Cell, size: int, frames: np.ndarray, folder: Path) -> None:
    """Write photos.csv, truth.csv and show.png of a trained cell."""
    model.eval()
    told_set = judged_set(bed, cell, size, frames, exact=False)
    seen, photos = answer(model, told_set), []
    exact_set, exact = told_set, seen
    if cell.cameras != "exact":
        exact_set = judged_set(bed, cell, size, frames, exact=True)
        exact = answer(model, exact_set)
    for method, data, found in (("told", told_set, seen), ("exact", exact_set, exact)):
        photos += [row | {"asked": method} for row in photo_rows(data, found.rgb, found.alpha, frames)]
    for name, rows in rung_rows(told_set, frames).items():
        photos += [row | {"asked": name} for row in rows]
    folder.mkdir(parents=True, exist_ok=True)
    truth = truth_rows(seen, bed, frames)
    pd.DataFrame(photos).to_csv(folder / "photos.csv", index=False, float_format="%.5g")
    pd.DataFrame(truth).to_csv(folder / "truth.csv", index=False, float_format="%.5g")
    tiles = []
    for i in evenly(len(frames), 4):
        for t in range(2):
            tiles += [told_set.image[i, told_set.inputs + t, :3], seen.rgb[i, t]]
    write_png(folder / "show.png", contact_sheet([tile.permute(1, 2, 0).numpy() for tile in tiles], 4))
