"""What one picture is worth to the single-picture prior: unseen procedural mice, and optionally the posed MAMMAL mesh.

    python benchmarks/prior.py --weights mousefacelift/prior/weights/prior.safetensors --animals 24 [--mammal FOLDER]

The animals and their pictures are those of protocol S (`mousefacelift/single/animals.py`: other seeds than any training
data, coats in turn, 32 exact views of 128 px); every method is judged as protocol S judges. Methods: the network's
guess, and render-and-compare after it. Prints a table and the quantiles of residual and pose distance.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from mousefacelift.check.solid import part_recall, read_truth, surface_points, surface_scores, swaps, volume_iou
from mousefacelift.core.images import composite, mask_iou
from mousefacelift.core.render import render_published
from mousefacelift.core.samples import read_sample
from mousefacelift.prior.familiar import describe_familiarity
from mousefacelift.prior.fit import FitConfig
from mousefacelift.prior.model import SHIPPED, load_prior
from mousefacelift.prior.reconstruct import reconstruct
from mousefacelift.single.animals import film_animal, pose_animal
from mousefacelift.single.config import SingleConfig

METHODS = {"guess": None, "fit 30": FitConfig(30, 10), "fit 60": FitConfig(60, 12)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=SHIPPED)
    parser.add_argument("--animals", type=int, default=24)
    parser.add_argument("--mammal", default="", help="folder of MAMMAL text files and poses.npz")
    parser.add_argument("--poses", type=int, default=12, help="of the MAMMAL mesh")
    parser.add_argument("--views", type=int, default=8, help="that judge")
    parser.add_argument("--out", type=Path, help="also write the table as JSON")
    args = parser.parse_args()
    network, tables = load_prior(args.weights), {}
    config = SingleConfig(animals=args.animals, views=args.views, mammal=args.mammal, mammal_frames=args.poses)
    for bed, count in (("animals", args.animals), ("mammal", args.poses if args.mammal else 0)):
        if count:
            tables[bed] = measure(network, bed, count, config)
            print_table(bed, tables[bed])
    if args.out:
        args.out.write_text(json.dumps(tables, indent=1))


def measure(network, bed: str, count: int, config: SingleConfig) -> dict[str, dict[str, float]]:
    """{method: {measure: mean over animals and views}}; residual and distance also as their 99% quantiles."""
    rows: dict[str, list[dict]] = {method: [] for method in METHODS}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            place = Path(folder) / f"{number:06d}"
            film_animal(pose_animal(bed, number, config, 1), bed, number, config, 1, place)
            sample, truth = read_sample(place), read_truth(place / "truth.npz")
            for method, fit in METHODS.items():
                rows[method].append(judge(network, sample, truth, fit))
    return {method: summarise(found) for method, found in rows.items()}


def judge(network, sample, truth, fit: FitConfig | None) -> dict[str, float]:
    """Every measure of one picture's answer, by the truth views of its sample."""
    picture, targets = sample.views[0], sample.views[1:]
    started = time.process_time()
    found = reconstruct(picture.rgba, picture.camera, network, fit)
    seconds = time.process_time() - started
    cameras = [view.camera for view in targets]
    rgba, depth = render_published(found.gaussians, cameras)
    points = surface_points(rgba[..., 3], depth, cameras)
    return {
        **view_scores(rgba, np.stack([view.rgba for view in targets])),
        **part_recall(rgba[..., 3], truth.own),
        "volume_iou": volume_iou(rgba[..., 3], np.stack([view.rgba[..., 3] for view in targets]), cameras),
        **surface_scores(points, truth.points),
        **{name: float(value) for name, value in swaps(points, truth).items()},
        "residual": found.residual,
        "distance": describe_familiarity(found)["pose_distance"],
        "cpu_s": seconds,
    }


def view_scores(rgba: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """IoU, coverage, full and foreground PSNR on white, each the mean over the views."""
    error = (composite(rgba) - composite(truth)) ** 2
    mask = truth[..., 3] > 0.5
    return {
        "iou": float(np.mean([mask_iou(a > 0.5, b) for a, b in zip(rgba[..., 3], mask)])),
        "coverage": float((rgba[..., 3].sum((1, 2)) / truth[..., 3].sum((1, 2))).mean()),
        "psnr": float(np.mean(-10 * np.log10(error.mean((1, 2, 3))))),
        "fg_psnr": float(np.mean([-10 * np.log10(e[m].mean()) for e, m in zip(error, mask)])),
    }


def summarise(rows: list[dict]) -> dict[str, float]:
    """Means over pictures, and the 99% quantiles that `prior/familiar.py` takes its limits from."""
    result = {name: float(np.nanmean([row[name] for row in rows])) for name in rows[0]}
    for name in ("residual", "distance"):
        result[f"{name}_q99"] = float(np.nanquantile([row[name] for row in rows], 0.99))
    return result


def print_table(bed: str, table: dict[str, dict[str, float]]) -> None:
    """One row per measure, one column per method."""
    print(f"{bed:<16}" + "".join(f"{method:>10}" for method in table))
    for name in next(iter(table.values())):
        print(f"{name:<16}" + "".join(f"{row[name]:>10.3f}" for row in table.values()))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
