"""The Gaussians of another build of this project, fitted to the same frames at that build's own settings.

`fit_quality.py --before CHECKOUT` asks for them; the other build runs in a process of its own.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from mousefacelift.core.gaussians import Gaussians
from mousefacelift.splats.frames import FrameViews

BEFORE = """
import pickle, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1] + "/benchmarks")
import fit_quality
from dataclasses import replace
out = Path(sys.argv[2])
fit_quality.torch.set_num_threads(int(sys.argv[3]))
frames = [fit_quality.FrameViews(*parts) for parts in pickle.loads((out / "frames.pickle").read_bytes())]
config = fit_quality.load(fit_quality.SplatsConfig, {"fit": fit_quality.REAL_SIZE}, where="before").fit
fit = fit_quality.METHODS["gaussians"]
fit(frames[:1], replace(config, optimise=replace(config.optimise, steps=6)), 0)  # kernels are loaded
begin, fits = time.process_time(), []
for first in range(0, len(frames), config.batch):
    fits += fit(frames[first : first + config.batch], config, 0)
print(time.process_time() - begin)
for index, made in enumerate(fits):
    made.scene.save(out / f"{index}.npz")
"""


def fit_before(checkout: Path, frames: Sequence[FrameViews]) -> tuple[float, list[Gaussians]]:
    """CPU seconds and Gaussians of the same frames by another checkout of this project, in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="fit-before-") as folder:
        parts = [(frame.name, frame.rgba, frame.cameras) for frame in frames]
        (Path(folder) / "frames.pickle").write_bytes(pickle.dumps(parts))
        made = subprocess.run(
            [sys.executable, "-c", BEFORE, str(checkout), folder, str(torch.get_num_threads())],
            env=os.environ | {"PYTHONPATH": str(checkout)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        scenes = [Gaussians.read(Path(folder) / f"{index}.npz") for index in range(len(frames))]
        return float(made.stdout.split()[-1]), scenes
