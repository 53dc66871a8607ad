"""What the Snakefile needs at parse time: chunk names, per-stage parameters and code versions.

SLURM jobs parse the Snakefile twice each, so nothing here imports numpy or torch, and nothing in the library imports
Snakemake.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from mousefacelift.core.provenance import code_version

LONGEST = 60_000  # characters; Linux gives one argument 131,072 bytes, and the shell command is one
PACKAGE = Path(__file__).resolve().parent


def use_checkout() -> None:
    """Let `python -m mousefacelift` in jobs be this interpreter and this checkout, whether or not a venv is active."""
    paths = os.environ.get("PATH", "").split(os.pathsep)
    interpreter = str(Path(sys.executable).parent)
    if paths[0] != interpreter:
        os.environ["PATH"] = os.pathsep.join([interpreter, *paths])
    roots = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    if str(PACKAGE.parent) not in roots:
        os.environ["PYTHONPATH"] = os.pathsep.join([str(PACKAGE.parent), *roots])


def expand_keys(text: str) -> list[str]:
    """Dotted keys of a text with blanks between them; `a.{b,c.d}` stands for `a.b` and `a.c.d`."""
    keys = []
    for word in text.split():
        head, brace, inner = word.partition("{")
        keys += [head + name for name in inner.removesuffix("}").split(",")] if brace else [word]
    return keys


def stage_params(config: dict, keys: Iterable[str], modules: Iterable[str]) -> dict[str, str]:
    """Parameters of a rule: the keys of config.yaml that it reads, and the version of the code that it runs.

    Snakemake reruns a job whose params changed: a change to another key, to a comment or to a module that the stage
    does not import reruns nothing.

    Args:
        config: the validated config.yaml.
        keys: dotted names (`splats.fit.count`); the name of a section or part of one stands for all below it.
        modules: modules of this package that hold the stage's logic; what they import is followed.
    Returns:
        {"config": JSON of those keys, nested as in the file, with "exact": no others may be read, or @FILE,
        "code": hash, or "off" with `jobs.rerun_on_code: false`}.
    Raises:
        KeyError: config.yaml has no such key.
    """
    chosen: dict = {"exact": True}
    for key in keys:
        *parents, last = key.split(".")
        source, target = config, chosen
        for name in parents:
            source, target = source[name], target.setdefault(name, {})
        target[last] = source[last]
    follow = config["jobs"]["rerun_on_code"]
    return {
        "config": _short(json.dumps(chosen, sort_keys=True)),
        "code": code_version(tuple(modules)) if follow else "off",
    }


def _short(text: str) -> str:
    """`text`, or `@FILE` that holds it where the command line would be too long (20,000 excluded frames)."""
    if len(text) <= LONGEST:
        return text
    path = Path(f"results/config/{hashlib.sha256(text.encode()).hexdigest()[:16]}.json")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        making = path.with_suffix(f".{os.getpid()}")
        making.write_text(text)
        making.replace(path)
    return f"@{path}"


def frame_numbers(frames: list[int]) -> range:
    """range of a recording's `frames: [start, stop]` or `[start, stop, step]`."""
    return range(frames[0], frames[1], frames[2] if len(frames) == 3 else 1)


def frame_ranges(frames: list[int], size: int) -> dict[str, str]:
    """{chunk name: 'START:STOP:STEP'} of a recording's frames in chunks of `size` frames.

    Names hold the first and last frame number: '000000-000019'.
    """
    numbers = frame_numbers(frames)
    parts = [numbers[i : i + size] for i in range(0, len(numbers), size)]
    return {f"{part[0]:06d}-{part[-1]:06d}": f"{part[0]}:{part[-1] + 1}:{numbers.step}" for part in parts}


def run_names(config: dict, arms: list[str], seeds: list[int]) -> list[str]:
    """Names of the training runs of all arms with all seeds: the arm's own with the pipeline's seed, else
    `ARM.seedN`."""
    return [arm if seed == config["seed"] else f"{arm}.seed{seed}" for arm in arms for seed in seeds]


def arm_and_seed(config: dict, run: str) -> dict:
    """{"arm", "seed"} of a training run by its name."""
    arm, _, seed = run.partition(".seed")
    return {"arm": arm, "seed": int(seed) if seed else config["seed"]}


MOST_CAMERAS = 6  # of a recording whose calibration nobody has read yet
PAINTED_VIEWS = 12  # of a frame, at most
# of one thread for a picture, and for each of its pixels: twice what one of 128 and of 512 px took, and a millisecond
# to open a file of a distant disk
VIEW_SECONDS = {"build": (0.004, 2.8e-8), "verify": (0.001, 1.2e-8), "pack": (0.001, 2.4e-8)}
PROTOCOLS, JUDGED_SECONDS = 2, (0.4, 1e-5)  # of a frame with its swap, and of each of its pixels
# of one thread for a picture of 1152x1024
MASK_SECONDS = {"given": 0.0, "complete": 0.25, "median": 0.08, "unet": 0.8, "sam2": 8.0}


def gpus(config: dict, step: str) -> dict[str, int]:
    """What a step asks of a scheduler, `gpu`, and what its command is told, `node_gpus`: a cluster that takes no --gpus
    gets `gres` and `gpu: 0` in its profile, and the job still knows its devices."""
    count = config["jobs"]["gpus"][step]
    return {"gpu": count, "node_gpus": count}


def mask_minutes(config: dict, recording: str, threads: int) -> int:
    """Minutes to ask a scheduler for the masks of a recording: as measured on slow cores, and half as much again."""
    source, capture = config["recordings"][recording], config["capture"]
    start, stop = source["frames"][:2]
    pictures = (stop - start) * MOST_CAMERAS
    return 15 + round(1.5 * pictures * MASK_SECONDS[capture["mask_backend"]] / threads / 60)


def planned_views(config: dict) -> int:
    """Pictures that the manifest of a configuration will list, at most: what every frame, object and scan becomes."""
    frames = sum(len(frame_numbers(recording["frames"])) for recording in config["recordings"].values())
    novel, views = config["splats"]["novel"], config["objects"]["views"]
    between = len(novel["relative_azimuths"]) * len(novel["elevations"]) + MOST_CAMERAS
    objects = config["objects"]["count"] * (views["ring"] + views["random"])
    scans = sum(len(frame_numbers(scan["frames"])) for scan in scan_sequences(config).values())
    return (
        frames * (MOST_CAMERAS + PAINTED_VIEWS + between + novel["ring_views"])
        + objects
        + scans * config["objects"]["scans"]["views"]
    )


def manifest_minutes(config: dict, step: str, threads: int) -> int:
    """Minutes to ask a scheduler for a step that goes over every picture: `build`, `verify` or `pack`; as measured on
    slow cores and disks, and half as much again."""
    seconds, per_pixel = VIEW_SECONDS[step]
    size = max(config["capture"]["size"], config["objects"]["size"], config["splats"]["novel"]["size"])
    return 30 + round(1.5 * planned_views(config) * (seconds + per_pixel * size**2) / threads / 60)


def judging_minutes(config: dict) -> int:
    """Minutes to ask a scheduler for predictions of the frames that are judged, or for judging them."""
    frames = sum(len(frame_numbers(recording["frames"])) for recording in config["recordings"].values())
    predict = config["predict"]
    judged = min(predict["max_frames"] * len(predict["splits"]), frames) + min(predict["train_frames"], frames)
    size = config["loader"]["image_size"]
    return 60 + round(1.5 * PROTOCOLS * judged * (JUDGED_SECONDS[0] + JUDGED_SECONDS[1] * size**2) / 60)


def training_resources(config: dict) -> dict:
    """What the training rule asks of a scheduler: GPUs of one node, or of each of several nodes that one launch fills.

    `mpi` tells the SLURM executor that the job starts its own processes with srun; `gres` counts per node, `gpu` per
    job. `node_gpus` is what the command is given; a resource, because it does not change the result.
    """
    nodes, gpus = config["train"]["launch"]["nodes"], config["jobs"]["gpus"]["train"]
    if nodes == 1:
        return {"node_gpus": gpus, "gpu": gpus}
    several = {"node_gpus": gpus, "nodes": nodes, "tasks": nodes, "tasks_per_gpu": 0, "mpi": "srun"}
    return several | ({"gres": f"gpu:{gpus}"} if gpus else {})


def chunk_ranges(config: dict, scans: dict[str, dict]) -> dict[str, tuple[list[int], int]]:
    """{folder of chunks of samples below results/: (start, stop[, step]; items of a chunk)}, of all sources.

    Args:
        scans: `scan_sequences` of the configuration.
    """
    frames, found = config["jobs"]["frames_per_job"], {}
    for name, recording in config["recordings"].items():
        for folder in ("capture/{}/samples", "distill/{}/samples", "splats/{}/samples", "splats/{}/ring"):
            found[folder.format(name)] = (recording["frames"], frames)
    found["objects/samples"] = ([0, config["objects"]["count"]], config["jobs"]["objects_per_job"])
    return found | {f"objects/scans/{name}": (scan["frames"], frames) for name, scan in scans.items()}


def vector_ranges(config: dict) -> dict[str, tuple[list[int], int]]:
    """The same of the chunks that hold a recording's embedding."""
    frames = config["jobs"]["frames_per_job"]
    return {f"embed/{name}/chunks": (recording["frames"], frames) for name, recording in config["recordings"].items()}


def scan_sequences(config: dict) -> dict[str, dict]:
    """{name: {"path", "poses", "frames", "is_virtual"}} of every mesh sequence that becomes scans.

    A virtual recording gives every `objects.scans.every`-th of its frames; a sequence of the same name takes its place.
    """
    scans, found = config["objects"]["scans"], {}
    for name, recording in config["recordings"].items():
        if recording["path"] == "virtual" and scans["every"]:
            numbers = frame_numbers(recording["frames"])[:: scans["every"]]
            found[name] = {
                "path": f"results/recordings/{name}/truth",
                "poses": "",
                "is_virtual": True,
                "frames": [numbers.start, numbers.stop, numbers.step],
            }
    for name, sequence in scans["sequences"].items():
        found[name] = {"poses": "", **sequence, "is_virtual": False}
    return found
