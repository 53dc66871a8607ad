"""Splits that cannot leak: contiguous time blocks with guard gaps, or whole recordings or animals.

Reads the `track.json` of every recording, writes `splits.json` (`mousefacelift dataset split`):

    {"version": 1, "held_out_camera": 5,
     "recordings": {"m1": {"0": "train", "1": "train", ..., "40": "guard", "52": "val", ...}},
     "facts": {"m1": {"fps", "guard_s", "correlation_time_s", "cuts", "blocks": [{"split", "first", "last",
     "frames"}]}}}

A frame that is not listed was excluded by capture. Neighbouring frames of a video are near duplicates: a random split
puts copies of training frames into validation, so one is refused wherever it comes from (`check_splits`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mousefacelift.core.images import write_text
from mousefacelift.dataset.config import SPLITS, SplitConfig
from mousefacelift.errors import ConfigError, DataError

SPLITS_VERSION = 1


def split_recordings(tracks: Sequence[dict], config: SplitConfig) -> dict:
    """The splits document of recordings.

    Args:
        tracks: parsed track.json of every recording: recording, fps, frames, cuts, correlation_time_s.
    Raises:
        ConfigError: a recording too short for its guards, or `by: recording` without names.
        DataError: a recording named twice.
    """
    names = [track["recording"] for track in tracks]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError("a recording is listed twice", got=", ".join(twice))
    recordings, facts = {}, {}
    for track in tracks:
        frames = np.sort(np.asarray(track["frames"], np.int64))
        guard_s = max(config.guard_s, float(track.get("correlation_time_s") or 0.0))
        if config.by == "time":
            labels = split_time(frames, track["fps"], guard_s, config, track["recording"])
        else:
            labels = np.full(len(frames), _whole_split(track["recording"], config), object)
        cuts = [int(cut) for cut in track.get("cuts", [])]
        recordings[track["recording"]] = {str(frame): str(label) for frame, label in zip(frames, labels)}
        facts[track["recording"]] = {
            "fps": float(track["fps"]),
            "guard_s": guard_s if config.by == "time" else 0.0,
            "correlation_time_s": float(track.get("correlation_time_s") or 0.0),
            "cuts": cuts,
            "subject": config.subjects.get(track["recording"], track["recording"]),
            "blocks": blocks_of(frames, labels, cuts),
        }
    if config.by != "time":
        _check_names(recordings, config)
    document = {
        "version": SPLITS_VERSION,
        "by": config.by,
        "held_out_camera": config.held_out_camera,
        "recordings": recordings,
        "facts": facts,
    }
    check_splits(document)
    return document


def split_time(frames: np.ndarray, fps: float, guard_s: float, config: SplitConfig, recording: str = "") -> np.ndarray:
    """Split [T] of every frame: `blocks` rounds of train, val and test, with gaps of at least `guard_s` labelled guard.

    Args:
        frames: [T] rising frame numbers.
    """
    shares = [(name, getattr(config, name)) for name in SPLITS if getattr(config, name) > 0]
    order = [entry for _ in range(config.blocks) for entry in shares]
    guard_frames = int(np.ceil(guard_s * fps - 1e-9))
    step = float(np.median(np.diff(frames))) if len(frames) > 1 else 1.0
    per_guard = max(int(np.ceil(guard_frames / step)), 0)
    spent = per_guard * (len(order) - 1)
    room = len(frames) - spent
    if spent > config.guard_frames_max_share * len(frames) or room < len(order):
        raise ConfigError(
            f"recording '{recording}' is too short to split in time",
            got=f"{len(frames)} frames, of which {len(order) - 1} guards of {guard_s:.2f} s take {spent}",
            expected=f"guards at most {config.guard_frames_max_share:.0%} of the frames",
            likely="a correlation time that is long against the recording",
            hint="record longer, lower dataset.splits.blocks, or split by recording",
        )
    labels = np.full(len(frames), "guard", object)
    ends = np.round(np.cumsum([share / config.blocks for _, share in order]) / sum(s for _, s in shares) * room).astype(
        int
    )
    start = 0
    for index, (name, _) in enumerate(order):
        length = max(int(ends[index] - (ends[index - 1] if index else 0)), 1)
        stop = len(frames) if index == len(order) - 1 else min(start + length, len(frames) - 1)
        labels[start:stop] = name
        start = int(np.searchsorted(frames, frames[stop - 1] + guard_frames + 1e-9)) if guard_frames else stop
        start = max(start, stop)
        if start >= len(frames) and index < len(order) - 1:
            raise ConfigError(
                f"recording '{recording}' has no frames left for its {order[index + 1][0]} block",
                got=f"{len(frames)} frames, guards of {guard_s:.2f} s",
                hint="lower dataset.splits.blocks",
            )
    return labels


def blocks_of(frames: np.ndarray, labels: np.ndarray, cuts: Sequence[int]) -> list[dict]:
    """Runs of equal split in time order; a run that crosses a cut of the recording is two blocks."""
    blocks: list[dict] = []
    for frame, label in zip(frames.tolist(), labels):
        crossed = blocks and any(blocks[-1]["last"] < cut <= frame for cut in cuts)
        if blocks and blocks[-1]["split"] == label and not crossed:
            blocks[-1]["last"] = frame
            blocks[-1]["frames"] += 1
        else:
            blocks.append({"split": str(label), "first": frame, "last": frame, "frames": 1})
    return blocks


def check_splits(document: dict) -> None:
    """Raise DataError where frames of different splits of one recording lie nearer than the guard (a shuffled
    split)."""
    if document.get("version") != SPLITS_VERSION:
        raise DataError(
            "splits were written by another version",
            got=document.get("version"),
            expected=SPLITS_VERSION,
            hint="mousefacelift dataset split",
        )
    for recording, labels in document["recordings"].items():
        facts = document["facts"].get(recording)
        if facts is None:
            raise DataError(
                f"splits say nothing about the guard of recording '{recording}'", hint="mousefacelift dataset split"
            )
        unknown = sorted(set(labels.values()) - {*SPLITS, "guard"})
        if unknown:
            raise DataError(f"splits of recording '{recording}' name unknown splits", got=", ".join(unknown))
        kept = sorted((int(frame), split) for frame, split in labels.items() if split != "guard")
        guard_s = max(facts["guard_s"], facts["correlation_time_s"] if document.get("by", "time") == "time" else 0.0)
        changes = [(a, b) for a, b in zip(kept, kept[1:]) if a[1] != b[1]]
        near = [(a, b) for a, b in changes if (b[0] - a[0]) / facts["fps"] < guard_s - 1e-6 or guard_s == 0]
        if near:
            (a, split_a), (b, split_b) = near[0]
            raise DataError(
                f"splits of recording '{recording}' leak",
                got=f"frame {a} is {split_a} and frame {b} is {split_b}, {(b - a) / facts['fps']:.2f} s apart; "
                f"{len(near)} such places",
                expected=f"at least {guard_s:.2f} s",
                likely="a shuffled split" if len(near) > 10 else "a split without guard gaps",
                hint="mousefacelift dataset split",
            )


def read_splits(path: str | Path) -> dict:
    """The parsed and checked `splits.json`."""
    try:
        document = json.loads(Path(path).read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise DataError(f"splits {path} cannot be read", got=str(error), hint="mousefacelift dataset split") from error
    check_splits(document)
    return document


def write_splits(path: str | Path, document: dict) -> None:
    """Write `splits.json` in one rename."""
    write_text(path, json.dumps(document, indent=1))


def object_split(name: str, config: SplitConfig) -> str:
    """Split of an object or scan by a hash of its name: independent of order and of the other objects."""
    place = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 16**8
    if place < config.object_test:
        return "test"
    return "val" if place < config.object_test + config.object_val else "train"


def protocol_of(split: str, held_out: bool) -> str:
    """train; A: new time, seen camera; B: time of training, held-out camera; C: both new; none for guards."""
    if split == "train":
        return "B" if held_out else "train"
    return ("C" if held_out else "A") if split in ("val", "test") else "none"


def _whole_split(recording: str, config: SplitConfig) -> str:
    name = recording if config.by == "recording" else config.subjects.get(recording, recording)
    return "test" if name in config.test_names else "val" if name in config.val_names else "train"


def _check_names(recordings: dict, config: SplitConfig) -> None:
    known = set(recordings) if config.by == "recording" else {config.subjects.get(r, r) for r in recordings}
    unknown = sorted({*config.val_names, *config.test_names} - known)
    both = sorted(set(config.val_names) & set(config.test_names))
    used = {split for labels in recordings.values() for split in labels.values()}
    if unknown or both or not {"train", "test"} <= used:
        raise ConfigError(
            f"a split by {config.by} needs names that exist",
            got=f"unknown {unknown}, in both {both}, splits {sorted(used)}",
            expected=f"val_names and test_names of {sorted(known)}, some left for training",
        )
