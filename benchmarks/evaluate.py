"""Peak memory and time of an evaluation: toy predictions of many frames, six views each, with swaps.

    python benchmarks/evaluate.py [--frames 200] [--size 512] [--distinct 20]
    python benchmarks/evaluate.py --gather-only       what many frames add, without judging each
    python benchmarks/evaluate.py --unjudged --size 64 --frames 20000       read and gathered, with random metrics
    python benchmarks/evaluate.py --predict --size 32         of making the predictions, by a small random network

Writes a dataset of toy photos and a predictions folder (the renders are the photos themselves; files of equal content
are links), runs `check evaluate` on it in a process of its own, and prints the peak of its resident memory, what
of it the imports alone take, and the seconds; then those of `check decide`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.timed import run_timed
from mousefacelift.check.predictions import Item, Reference
from mousefacelift.core.files import json_by_rows
from mousefacelift.core.records import SampleFacts, ViewFacts
from mousefacelift.core.samples import CAMERAS_FILE, Sample, View, read_document, write_sample
from mousefacelift.lrm.model import GSLRM
from mousefacelift.lrm.model_config import PRESETS
from mousefacelift.lrm.weights import write_model
from tests.lrm.toy import cast_balls, rig, view_rows, write_tables

INPUTS, JUDGED = (0, 2, 4), (1, 3, 5)
RUN = """
import re, sys, time
from pathlib import Path
from mousefacelift.check.config import EvaluateConfig
from mousefacelift.check.evaluate import evaluate_arm
def peak_kb():  # of this process alone: getrusage also knows the one that forked it, which wrote the frames
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
imported = peak_kb()
start = time.perf_counter()
if sys.argv[1:]:
    root = Path(sys.argv[1])
    evaluate_arm(root / "predictions/index.json", root / "dataset", root / "out", EvaluateConfig(bootstrap=100))
peak = peak_kb()
print(f"{imported / 1e6:.2f} GB after the imports, peak {peak / 1e6:.2f} GB, {time.perf_counter() - start:.0f} s")
"""

UNJUDGED = """
import numpy as np
import mousefacelift.check.evaluate as judging
def judge(prediction, means, config, drawn):
    item, rng, rows = prediction.item, np.random.default_rng(prediction.item.frame), []
    shared = {name: getattr(item, name) for name in ("protocol", "split", "recording", "frame")}
    names = ("angle", "stretch", "pitch", "fg_psnr", "full_psnr", "fg_ssim", "fg_l1", "fg_psnr_shared", "iou")
    for method in judging.METHODS:
        for target in item.targets:
            given = {"camera": target.camera, "is_input": target.is_input}
            numbers = dict(zip((*names, "soft_iou", "coverage"), rng.random(11).tolist()))
            rows.append({"method": method, **shared, **given, **numbers})
    return rows, [judging._small(prediction.truth[0].rgba, config)] * (1 + len(judging.METHODS)) if drawn else []
judging.judge = judge
"""

GATHER = """
import resource, sys, time
import numpy as np
from mousefacelift.check.gather import CollapseGatherer
from mousefacelift.check.predictions import Item, Prediction, Reference
from mousefacelift.core.records import SampleFacts
from mousefacelift.core.samples import Sample, View
from tests.lrm.toy import rig
frames, size = int(sys.argv[1]), int(sys.argv[2])
imported = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start, rng = time.perf_counter(), np.random.default_rng(0)
gatherer = CollapseGatherer(1.0, lambda recording, camera: np.zeros((size, size, 4), np.float32))
targets = tuple(Reference("s", i, i, "h", i < 3) for i in range(6))
for frame in range(frames):
    rows = [rng.random((size, 1, 4), np.float32) * np.ones((1, size, 1), np.float32) for _ in range(6)]
    views = tuple(View(rgba, camera) for rgba, camera in zip(rows, rig(size)))
    item = Item("a", "target", "A", "test", "toy", frame, None, targets[:3], targets, {})
    gatherer.add(Prediction(item, Sample(views), views, views[:3]))
    swap = Item("b", "swap", "A", "test", "toy", frame, (frame + frames // 2) % frames, targets[:3], targets, {})
    gatherer.add_swap(swap, [view.rgba for view in views])
held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
gatherer.summary()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(f"{imported / 1e6:.2f} GB after the imports, {held / 1e6:.2f} GB with all frames held, peak of the summary "
      f"{peak / 1e6:.2f} GB, {time.perf_counter() - start:.0f} s")
"""


def write_frames(folder: Path, frames: int, size: int, distinct: int) -> list[list[str]]:
    """Photos of `frames` training and as many test frames; returns the hashes of the test frames' views."""
    rows, views, hashes, first = [], [], [], []
    for frame in range(2 * frames):
        target = folder / f"real/{frame:06d}"
        if frame < distinct:
            cameras = rig(size)
            images = [
                View(cast_balls(c, 360 * frame / distinct, (0.8, 0.3, 0.2)), c, ViewFacts(i))
                for i, c in enumerate(cameras)
            ]
            facts = SampleFacts("real", "toy", frame=frame, config_hash="benchmark")
            first.append((images, write_sample(target, Sample(tuple(images), facts))))
        else:
            link_sample(folder / f"real/{frame % distinct:06d}", target, range(6))
        images, known = first[frame % distinct]
        split = "train" if frame < frames else "test"
        view_rows(rows, views, f"real/{frame:06d}", "real", split, frame, images, known)
        if split == "test":
            hashes.append(known)
    write_tables(folder, rows, views)
    return hashes


def link_sample(source: Path, target: Path, views) -> None:
    """The chosen views of a sample as another sample folder, images as links."""
    document = read_document(source)
    (target / "images").mkdir(parents=True)
    chosen = []
    for place, view in enumerate(views):
        frame = document["frames"][view] | {"file_path": f"images/cam_{place:03d}.png"}
        os.link(source / document["frames"][view]["file_path"], target / frame["file_path"])
        chosen.append(frame)
    (target / CAMERAS_FILE).write_text(json.dumps(document | {"frames": chosen}))


def write_predictions(root: Path, hashes: list[list[str]], size: int) -> None:
    """A prediction and a swap of every test frame, protocol A."""
    items, count = [], len(hashes)
    for number in range(count):
        for other in (number, (number + count // 2) % count):
            frame, swap = count + number, count + other
            name = f"A-toy-{frame:06d}" + ("" if other == number else f"-swap-{swap:06d}")
            link_sample(root / f"dataset/real/{swap:06d}", root / "predictions" / name, (*INPUTS, *JUDGED))

            def refer(of: int, view: int, is_input: bool = False) -> Reference:
                return Reference(f"../dataset/real/{of:06d}", view, view, hashes[of - count][view], is_input)

            targets = (*(refer(frame, i, True) for i in INPUTS), *(refer(frame, i) for i in JUDGED))
            kind, shown = ("target", None) if other == number else ("swap", swap)
            inputs = tuple(refer(swap, i) for i in INPUTS)
            item = Item(name, kind, "A", "test", "toy", frame, shown, inputs, targets, {})
            items.append({"name": name} | item.to_row())
    header = {"arm": "toy", "seed": 0, "size": size, "background": "alpha"}
    (root / "predictions/index.json").write_text(json_by_rows({"key": "k", "header": header, "items": items}))


def measure_predict(root: Path, frames: int) -> None:
    """Print what predicting protocol A and its swaps for all test frames of the dataset takes."""
    sizes = PRESETS["tiny"]
    write_model(root / "model", GSLRM(sizes).state_dict(), sizes, {"arm": "random"})
    config = {"predict": {"splits": ["test"], "max_frames": frames, "train_frames": 0, "splats_kept": 0}}
    words = ["lrm", "predict", "--model", str(root / "model"), "--dataset", str(root / "dataset")]
    say("predict", [*words, "--out", str(root / "made"), "--config-json", json.dumps(config)])


def measure_decide(root: Path) -> None:
    """Print what deciding on the evaluation takes."""
    say("decide", ["check", "decide", "--evaluations", str(root / "out/summary.json"), "--out", str(root / "d/d.json")])


def say(name: str, words: list[str]) -> None:
    used = run_timed(["-m", "mousefacelift", *words], Path(__file__).resolve().parents[1])
    print(f"{name}: peak {used.peak_mb:.0f} MB, {used.cpu_s:.1f} CPU s, {used.wall_s:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--distinct", type=int, default=20, help="frames that differ; the others are links to them")
    parser.add_argument("--gather-only", action="store_true", help="only gather and summarise collapse")
    parser.add_argument("--unjudged", action="store_true", help="random numbers in place of every picture's metrics")
    parser.add_argument("--predict", action="store_true", help="make the predictions in place of judging any")
    args = parser.parse_args()
    if args.gather_only:
        root = str(Path(__file__).resolve().parents[1])
        command = [sys.executable, "-c", GATHER, str(args.frames), str(args.size)]
        subprocess.run(command, check=True, cwd=root, env=os.environ | {"PYTHONPATH": root})
        return
    with tempfile.TemporaryDirectory() as folder:
        root, start = Path(folder), time.perf_counter()
        hashes = write_frames(root / "dataset", args.frames, args.size, min(args.distinct, args.frames))
        if args.predict:
            return measure_predict(root, args.frames)
        write_predictions(root, hashes, args.size)
        written = time.perf_counter() - start
        print(f"{args.frames} frames x 6 views of {args.size} px and swaps, written in {written:.0f} s")
        command = (UNJUDGED if args.unjudged else "") + RUN
        subprocess.run([sys.executable, "-c", command, folder], check=True)
        measure_decide(root)


if __name__ == "__main__":
    main()
