"""Checks of config.yaml when the Snakefile is read, before any job is planned. Nothing here imports numpy or torch."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import yaml

from mousefacelift.dataset.config import check_arm_name
from mousefacelift.errors import ConfigError


def refuse_repeated_keys(paths: list[str]) -> None:
    """Raise ConfigError where a YAML file gives one key twice: YAML keeps the last, so of two recordings of one name
    one is lost."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster
    for path in paths:
        try:
            pending = [(yaml.compose(Path(path).read_text(encoding="utf-8"), Loader=loader), "")]
        except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
            raise ConfigError(
                f"configuration {path} cannot be read", got=" ".join(str(error).split())[:300], expected="YAML in UTF-8"
            ) from error
        while pending:
            node, where = pending.pop()
            if isinstance(node, yaml.SequenceNode):
                pending += [(item, where) for item in node.value]
            if isinstance(node, yaml.MappingNode):
                names = [key.value for key, _ in node.value]
                twice = sorted({name for name in names if names.count(name) > 1})
                if twice:
                    raise ConfigError(
                        f"{path} gives {where}{twice[0]} twice",
                        likely="two recordings of one name",
                        hint="give each recording its own name",
                    )
                pending += [(value, f"{where}{key.value}.") for key, value in node.value]


def keep_named_recordings(config: dict, paths: list[str]) -> None:
    """Drop recordings of earlier configuration files that the last file with a section `recordings` does not name.

    Snakemake merges the files, so that a user's own file would otherwise bring along the virtual mouse of config.yaml.
    A recording of `--config` alone stays.
    """
    named = []
    for path in paths:
        document = yaml.safe_load(Path(path).read_text())
        if isinstance(document, dict) and isinstance(document.get("recordings"), dict):
            named.append(set(document["recordings"]))
    if named and isinstance(config.get("recordings"), dict):
        dropped = set().union(*named) - named[-1]
        config["recordings"] = {name: entry for name, entry in config["recordings"].items() if name not in dropped}


def check_plan(config: dict) -> None:
    """Raise ConfigError for what the whole configuration, or the rigs that are known already, show to be impossible."""
    scans = config["objects"]["scans"]["sequences"]
    for where, names in (("recordings", config["recordings"]), ("objects.scans.sequences", scans)):
        for name in names:
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
                raise ConfigError(
                    f"the name {name!r} in '{where}' cannot be a folder of results",
                    expected="letters, digits, _ and -, beginning with a letter or digit",
                )
    if not config["recordings"]:
        raise ConfigError("config key 'recordings' is empty", expected="one recording or more", hint="mend config.yaml")
    for arm in (*config["arms"], *config["sweep"]):
        check_arm_name(arm)
    if not config["arms"]:
        raise ConfigError("config key 'arms' is empty", expected="one arm or more", hint='arms: ["80-20"]')
    strangers = [name for name in config["distill"]["recordings"] if name not in config["recordings"]]
    if strangers:
        raise ConfigError(
            "config key 'distill.recordings' names recordings that there are not",
            got=", ".join(strangers),
            expected=f"some of {', '.join(config['recordings'])}, or an empty list for all",
        )
    for name, recording in config["recordings"].items():
        _check_recording(config, name, recording)


def check_start(config: dict) -> None:
    """Raise ConfigError when the weights to start from are not there. Last of all: a path that a job of this
    configuration would write is a mistake of another kind, which `refuse_outputs` names."""
    init = config["train"]["init"]
    if init and not os.path.isdir(os.path.expanduser(init)):
        raise ConfigError(
            "config key 'train.init' names a folder that is not there",
            got=init,
            likely="scale: published starts from the published weights" if config["scale"] == "published" else None,
            hint=f'mousefacelift lrm import CHECKPOINT --out {init}, or train.init: ""',
        )


def check_cluster(executor: str) -> None:
    """Raise ConfigError when jobs are to be sent to SLURM from a machine that has none."""
    if executor == "slurm" and shutil.which("sbatch") is None:
        raise ConfigError(
            "jobs are to be sent to SLURM, and there is no sbatch here",
            likely="not a login node of the cluster, or its SLURM module is not loaded",
            hint="log in there, or leave out --profile: snakemake --cores 8 runs on this machine",
        )


def _check_recording(config: dict, name: str, recording: dict) -> None:
    """Frames that a virtual recording does not have, and a held-out camera beyond a rig that is known."""
    virtual = config["virtual"]
    if recording["path"] == "virtual" and recording["frames"][1] > virtual["frames"]:
        raise ConfigError(
            f"recording '{name}' has fewer frames than 'recordings.{name}.frames' asks for",
            got=f"virtual.frames {virtual['frames']}",
            expected=f"{recording['frames'][1]} or more",
        )
    held_out, cameras = config["dataset"]["splits"]["held_out_camera"], _audited_cameras(name)
    if isinstance(held_out, int) and cameras and not 0 <= held_out < cameras:
        raise ConfigError(
            "config key 'dataset.splits.held_out_camera' names no camera of the rig",
            got=f"{held_out}, recording '{name}' has {cameras} cameras",
            expected=f"0 to {cameras - 1}, or null for none",
        )


def _audited_cameras(name: str) -> int:
    """Number of cameras of a recording's rig; 0 before its audit."""
    try:
        return len(json.loads(Path(f"results/capture/{name}/rig.json").read_text())["cameras"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def written_folders(config: dict, runs: list[str]) -> list[str]:
    """Folders and files below results/ that the rules of this configuration write.

    Args:
        runs: names of all training runs, those of the sweep included.
    """
    recordings = config.get("recordings", {})
    virtual = [name for name, recording in recordings.items() if recording.get("path", "virtual") == "virtual"]
    stages = (
        "capture",
        "distill",
        "splats",
        "objects",
        "dataset",
        "prior",
        "single",
        "predict_single",
        "evaluate_single",
        "decide",
        "embed",
    )
    stages += ("report", "logs", "benchmarks")
    own = [f"results/{stage}" for stage in stages] + [f"results/recordings/{name}" for name in virtual]
    sweep = ["summary.csv", "sweep.csv", "sweep_arms.csv"]
    return (
        own
        + [f"results/{stage}/{run}" for stage in ("train", "evaluate") for run in runs]
        + [f"results/evaluate/{name}" for name in sweep]
    )


def refuse_outputs(config: dict, runs: list[str]) -> None:
    """Raise ConfigError when a path of the configuration names what one of its own rules writes.

    Snakemake removes a job's outputs before it starts: a model that a run was to start from would be gone.
    """
    outputs = {os.path.realpath(folder): folder for folder in written_folders(config, runs)}
    for key, value in _texts(config, ""):
        if os.sep not in value or "://" in value:
            continue
        place = Path(os.path.realpath(os.path.expanduser(value)))
        owner = next((str(path) for path in (place, *place.parents) if str(path) in outputs), None)
        if owner is not None:
            raise ConfigError(
                f"config key '{key}' names a result of this very pipeline",
                got=value,
                expected=f"a path outside {outputs[owner]}, which a job of this configuration writes",
                likely="Snakemake removes a job's results before it starts, so this would be gone before it is read",
                hint=f"cp -r {value} kept/{place.name}, and set {key}: kept/{place.name}",
            )


def refuse_cameras(config: dict) -> None:
    """Raise ConfigError when keys name or ask for more cameras than a recording will have.

    Only virtual recordings tell their number of cameras before anything is read; of the others the audit and the
    dataset do. Without this, a rig of four is noticed by the last stage, after the training.
    """
    cameras, held_out = config["virtual"]["cameras"], config["dataset"]["splits"]["held_out_camera"]
    virtual = [
        (name, cameras - len(recording.get("drop_cameras", ())))
        for name, recording in config["recordings"].items()
        if recording.get("path", "virtual") == "virtual"
    ]
    for name, count in virtual:
        if isinstance(held_out, int) and held_out >= cameras:
            raise ConfigError(
                f"dataset.splits.held_out_camera names no camera of recording '{name}'",
                got=held_out,
                expected=f"0 to {cameras - 1}, or null for none",
                hint="hold out a camera that there is: protocols B and C are judged on it",
            )
        seen = count - (held_out is not None)
        asked = {
            "predict.inputs": config["predict"]["inputs"] + 1,
            "loader.inputs": config["loader"]["inputs"][0] + config["loader"]["unseen_targets"],
        }
        for key, needed in asked.items():
            if needed > seen:
                raise ConfigError(
                    f"{key} asks for more cameras than recording '{name}' has",
                    got=f"{needed} seen cameras, those that are judged included",
                    expected=f"at most {seen}: {count} cameras"
                    + ("" if held_out is None else f" without the held-out camera {held_out}"),
                    hint=f"lower {key}; a rig of {count} shows the animal from fewer sides, so expect less (see "
                    "docs/capture.md)",
                )


def _texts(node: object, where: str) -> Iterator[tuple[str, str]]:
    """(dotted key, text) of every text in the configuration."""
    if isinstance(node, str):
        yield where, node
    elif isinstance(node, dict):
        for name, value in node.items():
            yield from _texts(value, f"{where}.{name}".lstrip("."))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _texts(value, f"{where}[{number}]")
