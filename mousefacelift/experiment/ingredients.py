"""Which procedural objects earn their place: networks trained on objects alone, judged on assets that people made.

    snakemake ingredients --config assets=FOLDER

A cell is one level of the collection (the eighteen families, the families with every fifth object one ingredient, or
all ingredients) and one seed, which decides objects, first weights and draws. It trains `small` on that collection
alone and is asked for views of the assets in FOLDER (glTF, OBJ, PLY, STL) from four input views and from one. Assets
are the units of an interval; seeds are averaged first and their spread stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mousefacelift.check.fidelity import fg_psnr, mask_iou
from mousefacelift.check.statistics import student_interval
from mousefacelift.core.files import json_text, read_json, write_text
from mousefacelift.dataset.config import ArmConfig
from mousefacelift.dataset.loader import to_tensors
from mousefacelift.errors import DataError
from mousefacelift.experiment.bed import Views
from mousefacelift.experiment.config import INGREDIENTS, IngredientsConfig, find_assets
from mousefacelift.experiment.constraints import LEVELS
from mousefacelift.experiment.film import render_mesh, render_objects, stack
from mousefacelift.experiment.judge import answer
from mousefacelift.experiment.pools import Pools
from mousefacelift.experiment.training import Plan, train_network
from mousefacelift.lrm.config import OptimizerConfig
from mousefacelift.lrm.model import GSLRM
from mousefacelift.lrm.validation import ValidationSet
from mousefacelift.objects.load import load_mesh

RING_INPUTS = (0, 2, 4, 6)  # of the eight ring views; the others and the random ones are judged
METRICS = ("fg_psnr", "iou")


@dataclass(frozen=True)
class Assets:
    """What the networks are asked about: names, and twelve views of each (eight of a ring, then four at random)."""

    names: list[str]
    views: Views


def render_assets(folder: Path, size: int) -> Assets:
    """Views of every mesh file under `folder`, from the cameras and under the lights of the training objects.

    Raises:
        ConfigError: no mesh file. DataError: one that cannot be read.
    """
    files = find_assets(folder)
    names = [str(path.relative_to(folder)) for path in files]
    return Assets(names, stack([render_mesh(load_mesh(path), size, [7, i]) for i, path in enumerate(files)]))


def run_ingredients(collection: str, seed: int, assets: Path, config: IngredientsConfig) -> list[dict]:
    """Train on one collection and judge; one row per asset and number of inputs: fg_psnr and iou, means over views."""
    made = INGREDIENTS if collection == "all" else () if collection == "families" else (collection,)
    level, training, size = LEVELS[config.constraint], config.training, config.bed.size
    judged = render_assets(assets, size)
    objects = render_objects(config.bed, made, seed)
    torch.manual_seed(seed)
    model = GSLRM(level.sizes(training, size))
    optimizer = OptimizerConfig(
        learning_rate=training.start_learning_rate, warmup_steps=training.warmup_steps, batch=training.batch
    )
    arm = ArmConfig("objects-only", {"object": 1.0}, curriculum=False)
    plan = Plan(arm, level, training.start_steps, 4, training.targets, size, optimizer, seed, fewest=1)
    train_network(model, Pools({"object": objects}), plan, lambda step, terms: None)
    model.eval()
    rows = []
    for count in (4, 1):
        for name, scores in zip(judged.names, judge(model, judged.views, RING_INPUTS[:count]), strict=True):
            rows.append({"collection": collection, "seed": seed, "inputs": count, "asset": name} | scores)
    return rows


def judge(model: GSLRM, views: Views, inputs: Sequence[int]) -> list[dict[str, float]]:
    """Scores of every asset over the views that are never inputs."""
    order = [*inputs, *(i for i in range(views.rgba.shape[1]) if i not in RING_INPUTS)]
    white = np.ones(3)
    data = [
        to_tensors(views.rgba[i, order], views.w2c[i, order], views.fxfycxcy[i, order], white, True)
        for i in range(len(views))
    ]
    parts = [torch.stack([item[key] for item in data]) for key in ("image", "c2w", "fxfycxcy")]
    targets = len(order) - len(inputs)
    nothing = torch.zeros(targets, 3, *parts[0].shape[-2:])
    found = ValidationSet(*parts, len(inputs), nothing, torch.zeros(targets, dtype=torch.long))
    seen = answer(model, found)
    target, mask = found.targets
    psnr, iou = fg_psnr(seen.rgb, target, mask), mask_iou(seen.alpha, mask)
    return [{"fg_psnr": float(p.nanmean()), "iou": float(i.mean())} for p, i in zip(psnr, iou)]


def write_ingredients(cells: Sequence[Path], out: Path) -> pd.DataFrame:
    """Write `ingredients_cells.csv` (every row) and `out`: one row per collection, number of inputs and metric, with
    the paired difference from the families alone over assets (seeds averaged), and that of every seed.

    Raises:
        DataError: a file that is no cell.
    """
    rows = pd.DataFrame([row for path in cells for row in read_json(path, [dict], "cell")])
    if "families" not in set(rows["collection"]):
        raise DataError("no cell of the families alone to compare with", got=", ".join(map(str, cells)))
    table = []
    for (collection, inputs), group in rows.groupby(["collection", "inputs"], sort=False):
        base = rows[(rows["collection"] == "families") & (rows["inputs"] == inputs)]
        for metric in METRICS:
            own, other = (part.pivot(index="asset", columns="seed", values=metric) for part in (group, base))
            gain = (own - other).dropna(axis=1, how="all")
            low, high = student_interval(gain.mean(1).to_numpy())
            row = {"collection": collection, "inputs": inputs, "metric": metric, "mean": own.to_numpy().mean()}
            row |= {"gain": gain.to_numpy().mean(), "gain_low": low, "gain_high": high, "assets": len(gain)}
            table.append(row | {"gain_by_seed": " ".join(f"{value:+.3f}" for value in gain.mean(0))})
    write_text(out.with_name("ingredients_cells.csv"), rows.to_csv(index=False, float_format="%.5g"))
    result = pd.DataFrame(table)
    write_text(out, result.to_csv(index=False, float_format="%.5g"))
    return result


def write_cell(path: Path, rows: list[dict]) -> None:
    """The rows of a cell as a file."""
    write_text(path, json_text(rows, indent=1))
