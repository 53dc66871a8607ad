"""Time per item and peak memory of every stage against the size of the recording or collection.

    python benchmarks/growth.py [--counts 100,1000,10000] [--results RESULTS] [--out growth.json --plot growth.svg]
    python benchmarks/growth.py --counts 1600,20000 --stages audit,locate,split,build,verify        memory alone

A toy recording of six small cameras is filmed for 40 frames, whose coded pictures are repeated; one chunk of its
samples is normalised and stands, by links, for all others. Every stage runs as the pipeline runs it, in a process of
its own. CPU seconds count the process and its children, imports included, which is why few items look dear; peak
memory is that of the largest process. What a job does for one chunk is measured on the last of the recording
(`growth_chunks.py`). With `--results` (of a finished run) its networks paint
and predict, and its report is made longer.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from dataclasses import replace
from itertools import chain
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.audit_long import repeat
from benchmarks.growth_chunks import ALWAYS, OF_RUN, Place, Step, chunk_steps, words_of
from benchmarks.report import lengthen as lengthen_run
from benchmarks.report import report_of
from benchmarks.timed import Used, run_timed
from mousefacelift.capture.readers import opencv_json
from mousefacelift.chunks import frame_chunks
from mousefacelift.core.files import json_by_rows
from tests.capture.conftest import even
from tests.capture.scenes import random_rig, raw, write_recording

ROOT = Path(__file__).resolve().parents[1]
FILMED, CHUNK, CAMERAS, OBJECTS = 40, 32, 6, 8
OF_RECORDING = ("audit", "locate", "normalise", "list", "quality", "split", "build", "verify", *ALWAYS, *OF_RUN)
STAGES = (*OF_RECORDING, "objects", "report", "plan")


def run(command: list[str]) -> dict[str, float]:
    """CPU and wall seconds and peak MB of a command."""
    return run_timed(command, ROOT)._asdict()


def film(folder: Path, width: int) -> None:
    """The toy recording of FILMED frames."""
    cameras = even([replace(camera) for camera in random_rig(5, CAMERAS, width)])
    write_recording(folder, cameras, FILMED, seed=5)
    opencv_json.write(folder / "cameras.json", raw(cameras))


def lengthen(short: Path, long: Path, frames: int) -> None:
    """The recording whose videos repeat those of `short`, whole turns of them, at least `frames` frames."""
    for part in ("videos", "masks"):
        (long / part).mkdir(parents=True)
        for path in sorted((short / part).glob("*.mp4")):
            repeat(path, long / part / path.name, -(-frames // FILMED))
    shutil.copy(short / "cameras.json", long)


def spread_chunk(made: Path, folder: Path, chunks: list[tuple[str, list[int]]]) -> None:
    """Chunks of all frames whose samples are those of the chunk `made`, pictures by links, frame numbers their own."""
    document = json.loads((made / "index.json").read_text())
    items, fps = document["items"], document["header"].get("fps")
    for name, frames in chunks:
        if name == made.name:
            continue
        rows = []
        for item, frame in zip(items * len(frames), frames):
            row = item | {"name": f"{frame:06d}", "frame": frame} | ({"time_s": frame / fps} if fps else {})
            target = folder / name / row["name"]
            (target / "images").mkdir(parents=True)
            for picture in (made / item["name"] / "images").iterdir():
                os.link(picture, target / "images" / picture.name)
            cameras = json.loads((made / item["name"] / "opencv_cameras.json").read_text())
            cameras["id"], cameras["meta"]["frame"] = row["name"], frame
            (target / "opencv_cameras.json").write_text(json_by_rows(cameras))
            rows.append(row)
        (folder / name / "index.json").write_text(json_by_rows(document | {"items": rows}))


def capture_steps(folder: Path, results: Path, frames: int) -> tuple[Place, list[Step]]:
    """The steps from the audit of a recording to its verified dataset."""
    source = {"path": str(folder), "frames": [0, frames], "unit": "mm"}
    config = {"recordings": {"long": source}, "capture": {"size": 64}}
    rig, track, samples = results / "rig.json", results / "track.json", results / "samples"
    chunks = frame_chunks(0, frames, 1, CHUNK)
    last = chunks[-1] if len(chunks[-1][1]) == CHUNK else chunks[-2]
    index, span = samples / last[0] / "index.json", f"{last[1][0]}:{last[1][-1] + 1}"
    listed, splits, data = samples / "chunks.json", results / "splits.json", results / "dataset"
    place = Place(results, samples, listed, splits, data, chunks, last[0])

    def capture(name: str, *words: object) -> list[str]:
        return words_of("capture", name, folder, "--recording", "long", *words, config=config)

    def spread() -> None:
        spread_chunk(index.parent, samples, chunks)

    tracked = ["--rig", rig, "--track", track, "--frames", span, "--out", index]
    listing = ["--frames", f"0:{frames}:1", "--size", CHUNK, "--out", listed]
    building = ["--index", listed, "--splits", splits, "--out", data, "--jobs", "2"]
    commands = {
        "audit": capture("audit", "--out", rig),
        "locate": capture("locate", "--rig", rig, "--out", track),
        "normalise": capture("normalise", *tracked),
        "list": words_of("dataset", "list", *listing),
        "quality": words_of("capture", "quality", listed, "--out", results / "quality.csv"),
        "split": words_of("dataset", "split", "--track", track, "--out", splits),
        "build": words_of("dataset", "build", *building),
        "verify": words_of("dataset", "verify", data, "--jobs", "2"),
    }
    of_chunk = {"normalise": (lambda: CHUNK, spread)}
    return place, [Step(name, words, *of_chunk.get(name, (lambda: frames, None))) for name, words in commands.items()]


def recording_stages(root: Path, short: Path, frames: int, finished: Path | None, wanted: list[str]) -> dict[str, dict]:
    """Figures of the wanted stages of a recording of so many frames; what they need is run too."""
    folder, results = root / "long", root / "results"
    lengthen(short, folder, frames)
    results.mkdir()
    place, steps = capture_steps(folder, results, frames)
    behind = chunk_steps(place, finished, spread_chunk) if {*ALWAYS, *OF_RUN} & set(wanted) else ()
    found = {}
    for step in chain(steps, behind):
        used = run(step.words) | {"items": step.items()}
        if step.name in wanted:
            found[step.name] = used
            say(step.name, used)
        if step.then:
            step.then()
    return found


def say(name: str, row: dict) -> None:
    """Print a row."""
    print(
        f"{name:>10} {row['items']:>7}: {1000 * row['cpu_s'] / row['items']:9.3f} CPU ms an item, "
        f"{row['cpu_s']:7.1f} CPU s, {row['wall_s']:7.1f} s, {row['peak_mb']:6.0f} MB",
        flush=True,
    )


def other_stages(root: Path, count: int, results: Path | None, wanted: list[str]) -> dict[str, dict]:
    """Figures of the last objects of so many, of the report of so many frames (from a finished run), and of planning so
    many frames and objects."""
    found = {}
    if "objects" in wanted:
        config = ["--config-json", json.dumps({"objects": {"size": 64}, "seed": 0})]
        command, selection = ["-m", "mousefacelift", "objects"], str(root / "selection.json")
        chosen = run_timed([*command, "select", "--out", selection, "--count", str(count), *config], ROOT)
        span = ["--objects", f"{count - OBJECTS}:{count}", "--out", str(root / "objects" / "index.json")]
        made = run_timed([*command, "render", "--selection", selection, *span, *config], ROOT)
        both = Used(chosen.wall_s + made.wall_s, chosen.cpu_s + made.cpu_s, max(chosen.peak_mb, made.peak_mb))
        found["objects"] = both._asdict() | {"items": OBJECTS}
    if results and "report" in wanted:
        longer = root / "finished"
        lengthen_run(results, longer, count)
        found["report"] = run(report_of(longer, longer / "report/index.html")) | {"items": count}
    if "plan" in wanted:
        found["plan"] = run(["benchmarks/planning.py", f"{count}:{count}"]) | {"items": 2 * count}
    for name, row in found.items():
        say(name, row)
    return found


def table(rows: dict[str, dict[str, dict]]) -> str:
    """Markdown: CPU ms an item at every count, ms of each further item between the last two, and peak MB."""
    counts = sorted({int(count) for of_count in rows.values() for count in of_count})
    lines = [f"| stage | {' | '.join(f'of {count:,}' for count in counts)} | each further one | peak MB |"]
    lines.append("|---" * (len(counts) + 3) + "|")
    for stage, of_count in rows.items():
        own = [of_count.get(str(count)) for count in counts]
        cells = [f"{1000 * row['cpu_s'] / row['items']:.2f}" if row else "" for row in own]
        first, last = [row for row in own if row][-2:] if len(of_count) > 1 else (None, None)
        more = last["items"] - first["items"] if first and last else 0
        grows = more > counts[-1] / 2  # and not a chunk, which holds a frame more or less
        further = f"{1000 * (last['cpu_s'] - first['cpu_s']) / more:.2f}" if grows else "0"
        peaks = " / ".join(f"{row['peak_mb']:.0f}" for row in own if row)
        lines.append(f"| {stage} | {' | '.join(cells)} | {further} | {peaks} |")
    return "\n".join(lines)


def plot(rows: dict[str, dict[str, dict]], path: Path) -> None:
    """CPU time per item and peak memory against the number of items, a line a stage."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    time_axis, memory_axis = figure.subplots(1, 2)
    for number, (stage, of_count) in enumerate(rows.items()):
        counts = sorted(map(int, of_count))
        own = [of_count[str(count)] for count in counts]
        look = {"marker": "o", "ms": 3, "color": f"C{number % 10}", "ls": "-" if number < 10 else "--"}
        time_axis.loglog(counts, [1000 * row["cpu_s"] / row["items"] for row in own], label=stage, **look)
        memory_axis.semilogx(counts, [row["peak_mb"] for row in own], **look)
    time_axis.set(xlabel="frames (plan: and objects)", ylabel="CPU ms an item")
    memory_axis.set(xlabel="frames (plan: and objects)", ylabel="peak memory (MB)", ylim=(0, None))
    figure.legend(loc="outside right center", fontsize=8)
    figure.savefig(path, dpi=90)


def main() -> None:
    """Measure every stage at every count; print a table, write numbers and plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", default="100,1000,10000", help="numbers of frames, separated by commas")
    parser.add_argument("--stages", default=",".join(STAGES), help="to print and keep, separated by commas")
    parser.add_argument("--width", type=int, default=160, help="px of the pictures")
    parser.add_argument("--results", type=Path, help="of a finished run: its report is made longer, its networks used")
    parser.add_argument("--out", type=Path, help="JSON of the figures; figures of other counts in it stay")
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    wanted = args.stages.split(",")
    rows: dict[str, dict] = json.loads(args.out.read_text()) if args.out and args.out.exists() else {}
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        film(Path(folder) / "short", args.width)
        for count in map(int, args.counts.split(",")):
            root = Path(folder) / str(count)
            root.mkdir()
            found = other_stages(root, count, args.results, wanted)
            if set(wanted) & set(OF_RECORDING):
                found = recording_stages(root, Path(folder) / "short", count, args.results, wanted) | found
            for name, row in found.items():
                rows.setdefault(name, {})[str(count)] = row
            if args.out:
                args.out.write_text(json.dumps(rows, indent=1))
            shutil.rmtree(root)
    print(table(rows))
    if args.plot:
        plot(rows, args.plot)


if __name__ == "__main__":
    main()
