"""Each camera of a real recording left out in turn: how well splats of the others show what it filmed.

    mousefacelift capture audit FOLDER --complete --out rig.json         then `capture locate` and `capture normalise`
    python benchmarks/fit_left_out.py CHUNK [--only 0,10,20] [--without CameraU] [--against CHUNK]

CHUNK is a folder of samples (`index.json`, or that of `normalise --out`). A left-out view is scored against its own
picture and mask, beside the visual hull with projected colours; with `--against` also against the pictures of another
chunk in the same cameras, whose masks are others. The columns are those of `fit_quality.py`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]

from fit_quality import Arms, left_out_rows, print_table  # noqa: E402

from mousefacelift.core.samples import read_sample  # noqa: E402
from mousefacelift.splats.config import SplatsConfig  # noqa: E402
from mousefacelift.splats.frames import FrameViews, frame_views  # noqa: E402


def read_frame(folder: Path, size: int, dropped: set[str]) -> FrameViews:
    """The views of a sample at the splats' size, without those of the named cameras."""
    sample = read_sample(folder)
    out = [i for i, view in enumerate(sample.views) if view.facts.camera_name in dropped]
    frame = frame_views(folder.name, sample, size)
    return frame.without(out) if out else frame


def main() -> None:
    """Fit, score, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chunk", type=Path, help="folder of samples")
    parser.add_argument("--against", type=Path, help="folder of the same frames and cameras with other masks")
    parser.add_argument("--only", default="", help="positions of the frames to use, with commas")
    parser.add_argument("--without", default="", help="names of cameras that are not used at all, with commas")
    parser.add_argument("--method", default="gaussians", help="names of `splats.method`, with commas; two also blend")
    args = parser.parse_args()
    torch.set_num_threads(1)
    config, dropped = SplatsConfig(), set(args.without.split(",")) - {""}
    items = json.loads((args.chunk / "index.json").read_text())["items"]
    names = [item["name"] for item in items if not item.get("excluded")]
    if args.only:
        names = [names[int(k)] for k in args.only.split(",")]
    arms, rows, other_rows = Arms(tuple(args.method.split(",")), config), [], []
    for name in names:
        frame = read_frame(args.chunk / name, config.fit.size, dropped)
        truth = None
        if args.against:
            other = read_frame(args.against / name, config.fit.size, dropped)
            if not all(np.allclose(a.w2c, b.w2c) for a, b in zip(frame.cameras, other.cameras, strict=True)):
                sys.exit(f"sample {name}: the cameras of {args.against} are not those of {args.chunk}")
            truth = other.rgba
        own, others = left_out_rows(frame, arms, {}, truth)
        rows, other_rows = rows + own, other_rows + others
    print_table("left-out cameras against their own pictures", rows)
    print_table(f"the same renders against {args.against}", other_rows)


if __name__ == "__main__":
    main()
