"""Checks of config.yaml when the Snakefile is read, before any job is planned. Nothing here imports numpy or torch, but
the reader of a calibration whose recording was not audited yet."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from mousefacelift.dataset.config import check_arm_model, check_arm_name
from mousefacelift.errors import CalibrationError, ConfigError, DataError


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


def keep_named_recordings(config: dict, files: Sequence[str | Path], given: Sequence[str | Path]) -> None:
    """Drop recordings of earlier configuration files that the last file with a section `recordings` does not name.

    Snakemake merges the files, so that a user's own file would otherwise bring along the virtual mouse of config.yaml.
    A recording of `--config` alone stays.

    Args:
        files: all that Snakemake read. given: those of --configfile; they have the last word, but stand first there.
    """
    named = []
    for path in [*(path for path in files if path not in given), *given]:
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
        check_arm_model(arm, config["train"]["model"], config["train"]["preset"], config["train"]["init"])
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
    """Frames that a virtual recording does not have."""
    virtual = config["virtual"]
    if recording["path"] == "virtual" and recording["frames"][1] > virtual["frames"]:
        raise ConfigError(
            f"recording '{name}' has fewer frames than 'recordings.{name}.frames' asks for",
            got=f"virtual.frames {virtual['frames']}",
            expected=f"{recording['frames'][1]} or more",
        )


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
    """Raise ConfigError when keys name or ask for more cameras than a recording has.

    Without this, a rig of four is noticed by the last stage, after the training.
    """
    held_out, inputs = config["dataset"]["splits"]["held_out_camera"], config["predict"]["inputs"]
    for name, recording in config["recordings"].items():
        cameras = rig_cameras(config, name, recording)
        if cameras is None:
            continue
        count = len(cameras)
        known = held_out is None or (held_out in cameras if isinstance(held_out, str) else 0 <= held_out < count)
        if not known:
            raise ConfigError(
                f"dataset.splits.held_out_camera names no camera of recording '{name}'",
                got=held_out,
                expected=f"0 to {count - 1}, one of {', '.join(cameras)}, or null for none",
                hint="hold out a camera that there is: protocols B and C are judged on it",
            )
        seen = count - (held_out is not None)
        least, unseen = config["loader"]["inputs"][0], config["loader"]["unseen_targets"]
        asked = {
            "predict.inputs": (1 if inputs == "auto" else inputs) + 1,
            "loader.inputs": least + unseen,
        }
        fits = {"predict.inputs": "auto", "loader.inputs": [max(1, seen - unseen)] * 2}
        for key, needed in asked.items():
            if needed > seen:
                raise ConfigError(
                    f"{key} asks for more cameras than recording '{name}' has",
                    got=f"{needed} seen cameras, those that are judged included",
                    expected=f"at most {seen}: {count} cameras"
                    + ("" if held_out is None else f" without the held-out camera {held_out}"),
                    hint=f"{key}: {fits[key]}"
                    + ("" if held_out is None else ", or dataset.splits.held_out_camera: null")
                    + "; what fewer cameras cost: docs/real_recordings.md",
                )


def rig_cameras(config: dict, name: str, recording: dict) -> list[str] | None:
    """Names of the cameras that a recording will have: of its audited rig, of its virtual rig, or of its calibration.

    None where nothing can tell yet; what is wrong with a recording's files is said by its audit.
    """
    if recording["path"] == "virtual":
        found = [str(index) for index in range(config["virtual"]["cameras"])]
    else:
        audited = _audited_cameras(name)
        if audited is not None:
            return audited
        if not Path(recording["path"]).is_dir():
            return None
        # only here, and only until the audit: reading a calibration takes a second of imports
        from mousefacelift.capture.config import RecordingSource
        from mousefacelift.capture.recording import open_recording
        from mousefacelift.config import load

        try:
            source = load(RecordingSource, recording, f"recordings.{name}")
            found = [camera.name for camera in open_recording(name, recording["path"], source).cameras]
        except (CalibrationError, DataError):
            return None
    return [camera for camera in found if camera not in recording.get("drop_cameras", ())]


def _audited_cameras(name: str) -> list[str] | None:
    """Names of the cameras of a recording's rig; None before its audit."""
    try:
        return [str(row["name"]) for row in json.loads(Path(f"results/capture/{name}/rig.json").read_text())["cameras"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None


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
