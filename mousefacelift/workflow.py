"""What the Snakefile needs at parse time: chunk names, per-stage parameters and code versions.

SLURM jobs parse the Snakefile twice each, so nothing here imports numpy or torch, and nothing in the library imports
Snakemake.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

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
        {"config": JSON of those keys, nested as in the file, with "exact": no others may be read,
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
    return {"config": json.dumps(chosen, sort_keys=True), "code": code_version(tuple(modules)) if follow else "off"}


@cache
def code_version(modules: tuple[str, ...]) -> str:
    """12 hexadecimal digits of the code (comments, docstrings and layout left out) of modules and all they import
    here."""
    seen: dict[str, str] = {}
    pending = list(modules)
    while pending:
        module = pending.pop()
        if module in seen:
            continue
        seen[module], imported = _read_module(module)
        pending += imported
    text = "\n".join(f"{name} {seen[name]}" for name in sorted(seen))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@cache
def _read_module(module: str) -> tuple[str, list[str]]:
    path = _module_path(module)
    if path is None:
        raise FileNotFoundError(f"rule names module {module}, which does not exist")
    tree = ast.parse(path.read_text())
    imported = sorted({name for node in ast.walk(tree) for name in _imports(node, module, path)})
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(body, list)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
            and isinstance(body[0].value.value, str)
        ):
            body[0] = ast.Pass()
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), imported


def _imports(node: ast.AST, module: str, path: Path) -> list[str]:
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parts = module.split(".")
            keep = len(parts) - node.level + (path.name == "__init__.py")
            base = ".".join(parts[:keep] + ([node.module] if node.module else []))
        names = [base] + [f"{base}.{alias.name}" for alias in node.names]
    else:
        return []
    return [
        name for name in names if name.startswith("mousefacelift") and name != "mousefacelift" and _module_path(name)
    ]


def _module_path(module: str) -> Path | None:
    base = PACKAGE.parent.joinpath(*module.split("."))
    if base.with_suffix(".py").is_file():
        return base.with_suffix(".py")
    return base / "__init__.py" if (base / "__init__.py").is_file() else None


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


def count_ranges(count: int, size: int) -> dict[str, str]:
    """{chunk name: 'START:STOP:1'} of `count` numbered objects in chunks of `size`."""
    return frame_ranges([0, count], size) if count else {}


def run_names(config: dict, arms: list[str], seeds: list[int]) -> list[str]:
    """Names of the training runs of all arms with all seeds: the arm's own with the pipeline's seed, else
    `ARM.seedN`."""
    return [arm if seed == config["seed"] else f"{arm}.seed{seed}" for arm in arms for seed in seeds]


def arm_and_seed(config: dict, run: str) -> dict:
    """{"arm", "seed"} of a training run by its name."""
    arm, _, seed = run.partition(".seed")
    return {"arm": arm, "seed": int(seed) if seed else config["seed"]}


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
