"""What every `commands.py` shares: the --config-json argument and the typed section read from it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TypeVar

from mousefacelift.config import Absent, load
from mousefacelift.errors import ConfigError

T = TypeVar("T")


def subcommand(subparsers, name: str, text: str) -> argparse.ArgumentParser:
    """A sub-command whose `text` stands in its group's list and in its own --help."""
    return subparsers.add_parser(name, help=text, description=text)


def add_config_argument(parser: argparse.ArgumentParser) -> None:
    """Add --config-json: the sections of config.yaml that the command reads, as one JSON object."""
    parser.add_argument(
        "--config-json",
        default="{}",
        metavar="JSON",
        help="sections of config.yaml that this command reads, with the seed, or @FILE; default: all defaults",
    )


def read_config(args: argparse.Namespace, cls: type[T], section: str) -> T:
    """The typed `section` of --config-json. What is missing has its default, unless a rule asks: it hands over all that
    is read."""
    mapping = config_mapping(args)
    return load(cls, mapping.get(section), section, exact=mapping.get("exact", False))


def read_seed(args: argparse.Namespace) -> int:
    """The run's seed from --config-json (0 when not given)."""
    mapping = config_mapping(args)
    seed = mapping.get("seed", Absent("seed") if mapping.get("exact") else 0)
    if isinstance(seed, Absent):
        seed.refuse()
    if not isinstance(seed, int):
        raise ConfigError("config key 'seed' has a wrong value", got=repr(seed), expected="a whole number")
    return seed


def lease_devices(args: argparse.Namespace) -> str:
    """Lease the devices of --gpus before CUDA starts and compute with --threads, where the command has them; the torch
    device to use."""
    from mousefacelift import devices

    devices.acquire(args.gpus)
    threads = getattr(args, "threads", 0)
    if threads and "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    elif threads:  # torch reads it as it is imported, which not every command does
        os.environ["OMP_NUM_THREADS"] = str(threads)
    return "cuda" if args.gpus else "cpu"


def read_held_out(args: argparse.Namespace) -> int | str | None:
    """The camera that the evaluation keeps unseen, `dataset.splits.held_out_camera` of --config-json: a number, a name,
    or None for none, as where it is not given."""
    mapping = config_mapping(args)
    key, splits = "dataset.splits.held_out_camera", (mapping.get("dataset") or {}).get("splits") or {}
    camera = splits.get("held_out_camera", Absent(key) if mapping.get("exact") else None)
    if isinstance(camera, Absent):
        camera.refuse()
    if isinstance(camera, bool) or not isinstance(camera, int | str | None):
        raise ConfigError(
            f"config key '{key}' has a wrong value", got=repr(camera), expected="a number, a name or null"
        )
    return camera


def config_mapping(args: argparse.Namespace) -> dict:
    """The whole --config-json as a dict."""
    text = args.config_json
    try:
        mapping = json.loads(Path(text[1:]).read_text() if text.startswith("@") else text)
    except OSError as error:
        raise ConfigError("the file of --config-json cannot be read", got=str(error)) from error
    except json.JSONDecodeError as error:
        raise ConfigError(
            "--config-json is not JSON", got=str(error), expected='{"section": {...}, "seed": 0}'
        ) from error
    if not isinstance(mapping, dict):
        raise ConfigError("--config-json is not an object", got=type(mapping).__name__)
    return mapping


def parse_frames(text: str) -> tuple[int, int, int]:
    """(start, stop, step) of 'START:STOP' or 'START:STOP:STEP'."""
    parts = text.split(":")
    try:
        numbers = [int(part) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) not in (2, 3) or numbers[0] < 0 or numbers[1] <= numbers[0] or numbers[-1] < 1:
        raise ConfigError(
            f"frame range '{text}' cannot be read", expected="START:STOP or START:STOP:STEP, stop excluded"
        )
    return numbers[0], numbers[1], numbers[2] if len(numbers) == 3 else 1
