"""Size and time of the report of a long recording, made from a finished run by repeating its frames.

    python benchmarks/report.py --results results [--frames 1600]

Every chunk of capture, distill and splats is repeated with later frame numbers (items are links) until the recording
has so many frames, and so are the rows of its track, its quality table and the manifest; what was judged stays as it
is, for its number is bounded by config.yaml. Prints seconds of CPU and of the clock of `report build`, megabytes of the
page, and megabytes of memory at most.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.timed import run_timed

REPEATED = ("capture/*/samples", "distill/*/samples", "splats/*/fits", "splats/*/samples", "splats/*/ring")


def lengthen(results: Path, target: Path, frames: int) -> int:
    """Copy `results` (as links) to `target` with its chunks repeated; returns the frames of the capture there."""
    shutil.copytree(results, target, symlinks=True, ignore=lambda folder, names: {"recordings", "logs"} & set(names))
    longest = 0
    for folder in (f for pattern in REPEATED for f in target.glob(pattern)):
        chunks = sorted(index.parent for index in folder.glob("*/index.json"))
        span = max(int(chunk.name.split("-")[1]) for chunk in chunks) + 1
        for turn in range(1, -(-frames // span)):
            for chunk in chunks:
                first, last = (int(number) + turn * span for number in chunk.name.split("-"))
                repeat_chunk(chunk, folder / f"{first:06d}-{last:06d}", turn * span)
        longest = max(longest, span * max(1, -(-frames // span)))
    for track in target.glob("capture/*/track.json"):
        document = json.loads(track.read_text())
        turns = -(-frames // max(1, len(document["frames"])))
        document["frames"] = [*range(turns * len(document["frames"]))]
        document |= {key: document[key] * turns for key in ("centers_raw", "centers")}
        rewrite(track, json.dumps(document, indent=1))
        quality = track.with_name("quality.csv")
        head, rows = quality.read_text().split("\n", 1)
        rewrite(quality, head + "\n" + rows * turns)
    for table in (target / "dataset/samples.parquet", target / "dataset/views.parquet"):
        found = pq.read_table(table)
        table.unlink()
        pq.write_table(pa.concat_tables([found] * turns).combine_chunks(), table)
    return longest


def rewrite(path: Path, text: str) -> None:
    """Put another text in the place of a file, which may be a link."""
    path.unlink()
    path.write_text(text)


def repeat_chunk(chunk: Path, copy: Path, later: int) -> None:
    """The chunk with frame numbers that much later; its items are links."""
    document, items = json.loads((chunk / "index.json").read_text()), []
    copy.mkdir()
    for item in document["items"]:
        name = f"{item['frame'] + later:06d}"
        if (chunk / item["name"]).is_dir():
            (copy / name).symlink_to((chunk / item["name"]).resolve())
        items.append(item | {"name": name, "frame": item["frame"] + later})
    (copy / "index.json").write_text(json.dumps(document | {"items": items}))


def report_of(results: Path, page: Path) -> list[str]:
    """Arguments of python that build the report."""
    return ["-m", "mousefacelift", "report", "build", "--results", str(results), "--out", str(page)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--frames", type=int, default=1600)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "results"
        frames = lengthen(args.results, target, args.frames)
        page = target / "report/index.html"
        used = run_timed(report_of(target, page), Path(__file__).resolve().parents[1])
        times = f"{used.wall_s:.1f} s ({used.cpu_s:.1f} s of CPU)"
        print(f"{frames} frames: {times}, page of {page.stat().st_size / 1e6:.1f} MB, peak {used.peak_mb:.0f} MB")


if __name__ == "__main__":
    main()
