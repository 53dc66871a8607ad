"""Training pictures on disk: one folder of plain .npy files per chunk of individuals, read through memory maps.

    rgba.npy [V, S, S, 4] uint8      facts.npy [V, 3]   heading.npy [V] radians relative to the view
    anchor.npy [V, 3] mm             unit.npy [V] mm    pose.npy [V] row of points and colours
    points.npy [P, N, 3] float16 mm, heading frame      colours.npy [P, N, 3] uint8      individual.npy [P]

Written by `mousefacelift prior data`; a folder appears whole or not at all and is never made twice.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mousefacelift.core.files import replace_folder
from mousefacelift.errors import DataError
from mousefacelift.prior.config import DataConfig
from mousefacelift.prior.individuals import KEY, draw_individual
from mousefacelift.prior.paint import make_pose, paint_view
from mousefacelift.prior.template import build_template

NAMES = ("rgba", "facts", "heading", "anchor", "unit", "pose", "points", "colours", "individual")


def write_shard(folder: Path, individuals: Sequence[int], config: DataConfig) -> int:
    """Paint the pictures of the individuals into `folder`; returns how many it holds."""
    template = build_template()
    columns: dict[str, list] = {name: [] for name in NAMES}
    for index in individuals:
        individual = draw_individual(index, config.strands)
        for number in range(config.poses):
            pose = make_pose(individual, number, template)
            rng = np.random.default_rng([KEY, index, 4, number])
            for _ in range(config.views):
                view = paint_view(pose, rng, config.size, config.elevation)
                for name in ("rgba", "facts", "heading", "anchor", "unit"):
                    columns[name].append(getattr(view, name))
                columns["pose"].append(len(columns["points"]))
            columns["points"].append(pose.points.astype(np.float16))
            columns["colours"].append(np.rint(pose.colours * 255).astype(np.uint8))
            columns["individual"].append(index)
    work = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(work, ignore_errors=True)  # of a killed run
    work.mkdir(parents=True)
    for name, values in columns.items():
        array = np.stack(values) if np.ndim(values[0]) else np.array(values)
        np.save(work / f"{name}.npy", array.astype(np.float32) if array.dtype == np.float64 else array)
    replace_folder(work, folder)
    return len(columns["pose"])


class Shards:
    """All pictures of some shard folders, as one list; rows are read when asked for."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._shards = [_open_shard(Path(folder)) for folder in folders]
        counts = [len(shard["pose"]) for shard in self._shards]
        self._starts = np.concatenate([[0], np.cumsum(counts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def rows(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Arrays of the asked rows, in their order, points and colours gathered per picture."""
        shard = np.searchsorted(self._starts, indices, "right") - 1
        found = []
        for s, i in zip(shard, indices - self._starts[shard]):
            data = self._shards[s]
            pose = int(data["pose"][i])
            row = {name: data[name][i] for name in ("rgba", "facts", "heading", "anchor", "unit")}
            found.append(row | {name: data[name][pose] for name in ("points", "colours")})
        return {name: np.stack([row[name] for row in found]) for name in found[0]}

    def poses(self, step: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points [P, N, 3] mm, colours [P, N, 3] in [0, 1] and the mean unit of its views [P] of every `step`-th
        pose."""
        points, colours, units = [], [], []
        for shard in self._shards:
            unit = np.bincount(shard["pose"], shard["unit"]) / np.bincount(shard["pose"])
            points.append(np.asarray(shard["points"][::step], np.float32))
            colours.append(np.asarray(shard["colours"][::step], np.float32) / 255)
            units.append(unit[::step])
        return np.concatenate(points), np.concatenate(colours), np.concatenate(units)


def _open_shard(folder: Path) -> dict[str, np.ndarray]:
    missing = [name for name in NAMES if not (folder / f"{name}.npy").is_file()]
    if missing:
        raise DataError(
            f"shard {folder} is not complete", got=f"no {', '.join(missing)}", hint="rerun `mousefacelift prior data`"
        )
    big = ("rgba", "points", "colours")
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r" if name in big else None) for name in NAMES}
