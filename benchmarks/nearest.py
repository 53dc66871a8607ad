"""Time and memory of finding the nearest filmed pose: a query of 51,200 views, and render-and-compare.

    python benchmarks/nearest.py                                        # toy codes: index alone
    python benchmarks/nearest.py --library results/distill/library      # also whole answers, on a recording's splats

Bars: a query of 51,200 views under 50 ms on 2 cores, the index under 50 MB.
"""

import argparse
import resource
import time
from pathlib import Path

import numpy as np
import torch

from mousefacelift.core.cameras import ring
from mousefacelift.core.render import render_pictures
from mousefacelift.distill.config import NearestConfig
from mousefacelift.distill.nearest.descriptor import LENGTH
from mousefacelift.distill.nearest.find import find_nearest
from mousefacelift.distill.nearest.library import COMPONENTS, Library, Pose


def toy_library(views: int, per_pose: int = 32, seed: int = 0) -> Library:
    """A library of random codes: the time of a query does not depend on what they mean."""
    rng = np.random.default_rng(seed)
    poses = tuple(Pose(f"{i}.npz", "m", i) for i in range(views // per_pose))
    return Library(
        Path("."),
        poses,
        rng.normal(size=(views, COMPONENTS)).astype(np.float32),
        np.repeat(np.arange(len(poses), dtype=np.int32), per_pose),
        np.tile(np.arange(per_pose, dtype=np.float32) * 360 / per_pose, len(poses)),
        np.full(views, 20.0, np.float32),
        np.zeros(LENGTH, np.float32),
        rng.normal(size=(LENGTH, COMPONENTS)).astype(np.float32) / 20,
        np.linspace(0, 10, 101).astype(np.float32),
        128,
    )


def timed(function, repeats: int) -> tuple[float, float]:
    """Median and largest time of a call in ms, after one that warms up."""
    function()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        times.append(1000 * (time.perf_counter() - started))
    return float(np.median(times)), float(np.max(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--views", type=int, default=51_200)
    parser.add_argument("--library", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(2)
    picture = np.zeros((128, 128, 4), np.float32)
    picture[50:80, 30:95] = (0.2, 0.2, 0.2, 1.0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    library = toy_library(args.views)
    median, worst = timed(lambda: library.find(picture, 8), 30)
    held = sum(array.nbytes for array in vars(library).values() if isinstance(array, np.ndarray))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        f"{args.views} views: query {median:.1f} ms (worst of 30: {worst:.1f}), arrays {held / 1e6:.1f} MB, "
        f"peak growth {grown:.0f} MB"
    )
    if args.library:
        library = Library.read(args.library)
        gaussians = library.gaussians(len(library.poses) // 2)
        camera = ring(7, library.size)[3]
        rgba = render_pictures(gaussians, [camera])[0]
        median, worst = timed(lambda: find_nearest(library, rgba, camera, NearestConfig()), 5)
        print(
            f"{len(library.poses)} poses: an answer with render-and-compare {median:.0f} ms (worst of 5: {worst:.0f})"
        )
        median, worst = timed(lambda: find_nearest(library, rgba, camera, NearestConfig(), knows_camera=False), 5)
        print(f"unknown camera: {median:.0f} ms (worst of 5: {worst:.0f})")


if __name__ == "__main__":
    main()
