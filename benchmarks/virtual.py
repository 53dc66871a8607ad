"""CPU seconds per view of the virtual recording, at the real rig's size and at the demo's, and where they go.

python benchmarks/virtual.py [--frames 4]
Lights and fur are made once per frame and shared by six cameras; `shared` is a sixth of that. `view` is projection,
shading, sorting, painting, shadow, compositing and sensor noise of one camera. Encoding is measured on its own.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from mousefacelift.core.video import write_mp4
from mousefacelift.virtual import arena, degrade, painter
from mousefacelift.virtual.config import NO_DEFECTS, VirtualConfig
from mousefacelift.virtual.stage import build_stage


def measure(config: VirtualConfig, frames: int) -> dict:
    """Milliseconds of CPU time per view, as medians over frames and the six undistorted cameras."""
    stage = build_stage(config, "benchmark", 0)
    backdrops = [arena.make_backdrop(lens) for lens in stage.undistorted]
    shared, view, images = [], [], []
    film_frame(stage, backdrops, 0)  # compile or load the kernels
    for frame in range(1, frames + 1):
        start = time.thread_time()
        scene = stage.scene(stage.vertices(stage.pose(frame)))
        shared.append((time.thread_time() - start) / len(backdrops))
        for lens, backdrop in zip(stage.undistorted, backdrops):
            start = time.thread_time()
            images.append(film(scene, lens, backdrop, config))
            view.append(time.thread_time() - start)
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        write_mp4(Path(folder) / "x.mp4", images, 10.0, crf=config.video_crf)
    encode = (time.process_time() - start) / len(images)
    ms = {"shared": np.median(shared), "view": np.median(view), "slowest_view": np.max(view), "encode": encode}
    row = {f"{key}_ms": round(1000 * float(value), 1) for key, value in ms.items()}
    return {
        "size": f"{config.width}x{config.height}",
        "strands": len(stage.strands.face),
        "cpu_s_per_view": round(float(np.median(shared) + np.median(view)), 4),
        **row,
    }


def film_frame(stage, backdrops, frame: int) -> None:
    """One frame from every camera, thrown away."""
    scene = stage.scene(stage.vertices(stage.pose(frame)))
    for lens, backdrop in zip(stage.undistorted, backdrops):
        film(scene, lens, backdrop, stage.config)


def film(scene, lens, backdrop, config: VirtualConfig) -> np.ndarray:
    """One finished 8-bit picture."""
    patch, (x, y) = painter.paint(scene, lens, config.supersample)
    image = arena.cast_shadow(backdrop, scene.lighting)
    window = image[y : y + patch.shape[0], x : x + patch.shape[1]]
    window *= 1 - patch[..., 3:]
    window += patch[..., :3]
    return degrade.sense(image, 1.0, config.noise, np.random.Generator(np.random.SFC64(0)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=4)
    args = parser.parse_args()
    base = VirtualConfig(frames=args.frames + 1, fps=10.0, variants="both", degradations=NO_DEFECTS)
    for config in (replace(base, width=1152, height=1024, strands=70_000), base):
        print(json.dumps(measure(config, args.frames)))


if __name__ == "__main__":
    main()
