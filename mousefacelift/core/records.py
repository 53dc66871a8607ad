"""The doors between the stages: what is said about a sample, about a view, and in a row of a chunk's index.

Every writer makes one of these, every reader gets one: a misspelt field is a TypeError and a value out of range a
DataError where it is written, not a default where it is read. On disk (`meta` of opencv_cameras.json, rows of
index.json) they are JSON objects without the fields that have their default.

Score of a view, the one scale in [0, 1] of how far it may be believed:

| source | score |
|---|---|
| real, object, scan | 1: a photo, or a render of the thing itself |
| distilled | weighted mean of agreement with the other views painted at this angle, IoU with the photos' hull and closeness to the photo it was painted from, each in [0, 1] (`distill.dedupe`) |
| splat | calibrated trust: the probability that its error is no larger than the allowed one (`splats.trust`) |
| imported distilled or splat | share of its silhouette inside the hull of the other views |

A sample's chance of being drawn is the mean score of its views times its weight.
"""  # noqa: E501

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, Literal, Self, get_args

from mousefacelift.core.sources import GENERATED_SOURCES, OUTPUTS, SOURCES
from mousefacelift.errors import DataError

Status = Literal["done", "refused", "failed", "missing"]
MOMENT = ("segment", "similarity", "zoom")  # details that hold for everything made from one frame


class Record:
    """JSON in and out of a frozen dataclass; fields with their default are left out."""

    def to_json(self) -> dict[str, Any]:
        """JSON-able object; tuples become lists."""
        document = {}
        for spec in fields(self):  # type: ignore[arg-type]
            value = getattr(self, spec.name)
            default = spec.default_factory() if spec.default_factory is not MISSING else spec.default
            if value != default:
                document[spec.name] = list(value) if isinstance(value, tuple) else value
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any], where: str) -> Self:
        """The record in `document`; DataError naming `where` for a key or value that it cannot have."""
        known = {spec.name for spec in fields(cls)}  # type: ignore[arg-type]
        if not isinstance(document, Mapping):
            raise DataError(f"{where} is no record", got=repr(document)[:100], expected="a mapping")
        unknown = sorted(set(document) - known)
        if unknown:
            raise DataError(
                f"{where} has fields that are not known",
                got=", ".join(unknown),
                expected=f"of {', '.join(sorted(known))}",
                likely="written by another version of mousefacelift",
                hint="rerun the stage that made it, or import foreign folders with mousefacelift dataset import",
            )
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in document.items()}
        try:
            return cls(**values)
        except DataError as error:
            raise DataError(f"{where}: {error.what}", got=error.got, expected=error.expected) from error
        except TypeError as error:
            raise DataError(f"{where} lacks a field", got=str(error)) from error


@dataclass(frozen=True)
class ViewFacts(Record):
    """What is known about one image besides its camera.

    Args:
        camera: number of the physical camera that filmed it; None for a generated or rendered view.
        camera_name: its name in the calibration.
        source: where it differs from its sample's: a photo among generated views.
        kind: of a rendered view: fixed, gap or ring.
        parents: hashes of the photos, or of the fit, that it was made from.
        generator: name of the network that painted it.
        offset: azimuth relative to the photo it was painted from, or to camera 0, degrees in (-180, 180], positive from
            +x toward +y.
        score: [0, 1], see the module; None where the source says it all.
        weight: relative chance of being shown among the views of its sample; 0 is never used.
        seed: of its noise.
        details: JSON-able facts that only the writing stage and its report read.
    """

    camera: int | None = None
    camera_name: str = ""
    source: str = ""
    kind: str = ""
    parents: tuple[str, ...] = ()
    generator: str = ""
    offset: float | None = None
    score: float | None = None
    weight: float = 1.0
    seed: int | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check(self, "camera", self.camera is None or _is_count(self.camera), "a number from 0, or none")
        _check(self, "source", self.source in ("", *SOURCES), f"of {', '.join(SOURCES)}")
        _check(self, "parents", _are_words(self.parents), "hashes")
        _check(self, "offset", self.offset is None or -180 < self.offset <= 180, "degrees in (-180, 180]")
        _check(self, "score", self.score is None or 0 <= self.score <= 1, "a number in [0, 1]")
        _check(self, "weight", math.isfinite(self.weight) and self.weight >= 0, "a number from 0")
        _check(self, "seed", self.seed is None or _is_whole(self.seed), "a whole number")
        _check_details(self)

    @property
    def rig_camera(self) -> int:
        """The number of the camera that filmed it; DataError for what no camera filmed."""
        if self.camera is None:
            raise DataError("a view that should be a photo says no camera", got=f"generator '{self.generator}'")
        return self.camera

    def is_camera(self, camera: int | str | None) -> bool:
        """Whether this is the picture of `camera`, a number or a name; nothing is the picture of None."""
        if camera is None:
            return False
        return self.camera == camera if isinstance(camera, int) else self.camera_name == camera


@dataclass(frozen=True)
class SampleFacts(Record):
    """What is known about the views of one thing at one instant.

    Args:
        source: one of `core.sources`; "" is a foreign folder, which can be read and not written.
        recording: the filming it belongs to; "" for objects, and scans that belong to none.
        asset: name of the object or scan.
        subject: animal, where it is not the recording.
        frame: time index in the recording's video; 0 for objects.
        time_s: time in the recording.
        set: kind within its source.
        weight: relative chance of being drawn, before the views' scores.
        parents: hashes of the photos and the fit that it was made from.
        seed: of everything drawn for it.
        generator: name of the network that painted it.
        weight_files: weight file -> hash, of every network that took part.
        licence: of the material.
        config_hash: of the configuration that decided it.
        code, versions: hash of this package's code, package -> version; `write_sample` fills them in.
        details: JSON-able facts that only the writing stage and its report read.
    """

    source: str = ""
    recording: str = ""
    asset: str = ""
    subject: str = ""
    frame: int = 0
    time_s: float | None = None
    set: str = ""
    weight: float = 1.0
    parents: tuple[str, ...] = ()
    seed: int | None = None
    generator: str = ""
    weight_files: dict[str, str] = field(default_factory=dict)
    licence: str = ""
    config_hash: str = ""
    code: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = (*SOURCES, *OUTPUTS)
        _check(self, "source", self.source in ("", *known), f"of {', '.join(known)}")
        _check(self, "frame", _is_count(self.frame), "a number from 0")
        _check(self, "time_s", self.time_s is None or math.isfinite(self.time_s), "seconds, or none")
        _check(self, "weight", math.isfinite(self.weight) and self.weight >= 0, "a number from 0")
        _check(self, "parents", _are_words(self.parents), "hashes")
        _check(self, "seed", self.seed is None or _is_whole(self.seed), "a whole number")
        _check_details(self)

    @property
    def name(self) -> str:
        """The filming, or the asset of an object or scan."""
        return self.recording or self.asset

    def over(self, stored: Mapping[str, Any], where: str) -> SampleFacts:
        """These facts, and those `stored` in a file where these say nothing."""
        return SampleFacts.from_json({**stored, **self.to_json()}, where)

    def derive(self, source: str, **changes: Any) -> SampleFacts:
        """Facts of a sample made from this one: the same recording and moment, everything else as `changes` say."""
        kept = {name: self.details[name] for name in MOMENT if name in self.details}
        details = kept | changes.pop("details", {})
        base = SampleFacts(source, self.recording, self.asset, self.subject, self.frame, self.time_s)
        return replace(base, **{"licence": self.licence, "details": details} | changes)


@dataclass(frozen=True)
class ItemRow:
    """One row of the index.json of a chunk of samples.

    Args:
        views: number of views written; 0 when nothing was accepted.
        frame: time index, for what is cut from a recording.
        status: done, refused (by a gate), failed, or missing (its file is not on this machine).
        reason: why not done.
        hashes: of the views written.
        details: JSON-able numbers for reports; they stand beside the fields in the file.
    """

    views: int
    frame: int | None = None
    status: Status = "done"
    reason: str = ""
    hashes: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check(self, "views", _is_count(self.views), "a number from 0")
        _check(self, "frame", self.frame is None or _is_count(self.frame), "a number from 0, or none")
        _check(self, "status", self.status in get_args(Status), f"of {', '.join(get_args(Status))}")
        _check(self, "hashes", len(self.hashes) in (0, self.views), "one a view")
        _check_details(self)

    @property
    def has_sample(self) -> bool:
        """Whether a sample folder lies beside the index."""
        return self.status == "done" and self.views > 0

    def to_row(self) -> dict[str, Any]:
        """What `run_chunk` writes."""
        row: dict[str, Any] = {"status": self.status, "views": self.views}
        if self.frame is not None:
            row["frame"] = self.frame
        if self.reason:
            row["reason"] = self.reason
        return row | ({"hashes": list(self.hashes)} if self.hashes else {}) | self.details

    @classmethod
    def from_row(cls, row: Mapping[str, Any], where: str) -> ItemRow:
        """The row of a chunk of samples; DataError naming `where` when it does not say how many views there are."""
        if not isinstance(row, Mapping):
            raise DataError(f"a row of {where} is no record", got=repr(row)[:100], expected="a mapping")
        known = {spec.name for spec in fields(cls)} - {"details"}
        values = {name: row[name] for name in known & set(row)}
        if "views" not in values:
            raise DataError(
                f"a row of {where} does not say how many views it has",
                got=f"keys {', '.join(sorted(row))}",
                likely="a chunk of something else than samples, or of another version of mousefacelift",
                hint="rerun the stage that made it",
            )
        values["hashes"] = tuple(values.get("hashes", ()))
        return cls(**values, details={name: value for name, value in row.items() if name not in {*known, "name"}})


def check_writable(facts: SampleFacts, views: list[ViewFacts], where: str) -> None:
    """Raise DataError, naming what is missing, for a sample that its readers could not place.

    A sample of a dataset needs a source, a recording or asset, and the hash of its configuration; photos need their
    camera's number, each another; generated views need a score.
    """
    missing = [] if facts.source else ["source"]
    if facts.source not in OUTPUTS:
        missing += [] if facts.name else ["recording or asset"]
        missing += [] if facts.config_hash else ["config_hash"]
    if not views:
        missing.append("views")
    if facts.source == "real":
        numbers = [view.camera for view in views]
        missing += ["the number of every view's camera"] if None in numbers else []
        if len(set(numbers)) < len(numbers) and None not in numbers:
            raise DataError(f"sample {where} shows a camera twice", got=f"cameras {numbers}")
    elif facts.source in GENERATED_SOURCES:
        unscored = [view for view in views if view.score is None and view.source != "real"]
        missing += ["the score of every view"] if unscored else []
    if missing:
        raise DataError(
            f"sample {where} cannot be written", got=f"without {', '.join(missing)}", likely="a fault of its stage"
        )


def _check(record: object, name: str, good: bool, expected: str) -> None:
    if not good:
        raise DataError(f"field '{name}' is out of range", got=repr(getattr(record, name)), expected=expected)


def _check_details(record: Any) -> None:
    clash = sorted({spec.name for spec in fields(record)} & set(record.details))
    if clash:
        raise DataError("details hold a field of the record itself", got=", ".join(clash), expected="the field")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return _is_whole(value) and value >= 0  # type: ignore[operator]


def _are_words(values: object) -> bool:
    return isinstance(values, tuple) and all(isinstance(value, str) and value for value in values)
