"""Splits that cannot leak: contiguous time blocks with guard gaps, or whole recordings or animals.

Reads the `track.json` of every recording, writes `splits.json` (`mousefacelift dataset split`; `core.splits`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from mousefacelift.core.splits import SPLITS, Splits
from mousefacelift.dataset.config import SplitConfig
from mousefacelift.errors import ConfigError, DataError


def split_recordings(tracks: Sequence[dict], config: SplitConfig, some: bool = False) -> Splits:
    """The splits of recordings; that of one does not hang on the others.

    Args:
        tracks: parsed track.json of every recording: recording, fps, frames, cuts, correlation_time_s.
        some: these are not all recordings, so that names of others in the configuration are no mistake.
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
        recordings[track["recording"]] = {int(frame): str(label) for frame, label in zip(frames, labels)}
        facts[track["recording"]] = {
            "fps": float(track["fps"]),
            "guard_s": guard_s if config.by == "time" else 0.0,
            "correlation_time_s": float(track.get("correlation_time_s") or 0.0),
            "cuts": cuts,
            "subject": config.subjects.get(track["recording"], track["recording"]),
            "blocks": blocks_of(frames, labels, cuts),
        }
    if config.by != "time" and not some:
        _check_names(recordings, config)
    return Splits(recordings, config.held_out_camera, config.by, facts)


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
