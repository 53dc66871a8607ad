"""Splits as every stage reads them: which frame is for what, and which camera no training may see.

    {"version": 1, "by": "time", "held_out_camera": 5,
     "recordings": {"m1": {"0": "train", "1": "train", ..., "40": "guard", "52": "val", ...}},
     "facts": {"m1": {"fps", "guard_s", "correlation_time_s", "cuts", "subject", "blocks": [{"split", "first", "last",
     "frames"}]}}}

`mousefacelift dataset split` writes it. A frame that is not listed was excluded by capture. Neighbouring frames of a
video are near duplicates: a random split puts copies of training frames into validation, so one is refused wherever it
comes from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mousefacelift.core.files import read_json, readable
from mousefacelift.core.json_parts import write_json
from mousefacelift.errors import DataError

VERSION = 1
SPLITS = ("train", "val", "test")
LABELS = (*SPLITS, "guard")
HINT = "mousefacelift dataset split"


@dataclass(frozen=True)
class Splits:
    """The split of every frame of every recording.

    Args:
        recordings: recording -> frame -> train, val, test or guard.
        held_out_camera: number or name of the camera whose views are never used in training; None for none.
        by: time, recording or subject.
        facts: recording -> fps, guard_s, correlation_time_s and what the split command found.
    Raises:
        DataError: an unknown label, or frames of two splits nearer than the guard.
    """

    recordings: dict[str, dict[int, str]]
    held_out_camera: int | str | None = None
    by: str = "time"
    facts: dict[str, dict] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for recording in self.recordings:
            self._check(recording)

    def of(self, recording: str, frame: int) -> str:
        """Split of a frame; "none" for one that is not listed."""
        return self.recordings.get(recording, {}).get(frame, "none")

    def frames(self, recording: str, split: str) -> list[int]:
        """Frames of a split, rising."""
        return sorted(frame for frame, label in self.recordings.get(recording, {}).items() if label == split)

    def to_json(self) -> dict:
        """The document of `splits.json`."""
        recordings = {name: {str(f): label for f, label in labels.items()} for name, labels in self.recordings.items()}
        return {
            "version": VERSION,
            "by": self.by,
            "held_out_camera": self.held_out_camera,
            "recordings": recordings,
            "facts": self.facts,
        }

    @classmethod
    def from_json(cls, document: dict) -> Splits:
        """Splits of a parsed document, checked."""
        if document.get("version") != VERSION:
            raise DataError(
                "splits were written by another version", got=document.get("version"), expected=VERSION, hint=HINT
            )
        recordings = {
            name: {int(frame): str(label) for frame, label in labels.items()}
            for name, labels in document["recordings"].items()
        }
        return cls(recordings, document["held_out_camera"], document.get("by", "time"), document["facts"])

    @classmethod
    def read(cls, path: str | Path) -> Splits:
        """The splits of a file.

        Raises:
            DataError: not readable as such, or a split that leaks.
        """
        with readable(path, "splits"):
            return cls.from_json(read_json(path, {"recordings": dict, "facts": dict}, "splits"))

    def write(self, path: str | Path) -> None:
        """Write `splits.json` in one rename."""
        write_json(path, self.to_json())

    def _check(self, recording: str) -> None:
        labels, facts = self.recordings[recording], self.facts.get(recording)
        if facts is None:
            raise DataError(f"splits say nothing about the guard of recording '{recording}'", hint=HINT)
        unknown = sorted(set(labels.values()) - set(LABELS))
        if unknown:
            raise DataError(f"splits of recording '{recording}' name unknown splits", got=", ".join(unknown))
        kept = sorted((frame, split) for frame, split in labels.items() if split != "guard")
        guard_s = max(facts["guard_s"], facts["correlation_time_s"] if self.by == "time" else 0.0)
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
                hint=HINT,
            )
