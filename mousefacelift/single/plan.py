"""Which pictures protocol S asks about, and which views judge each answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mousefacelift.chunks import read_index
from mousefacelift.core.samples import read_document
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.errors import DataError
from mousefacelift.single.config import SingleConfig

SPLITS = ("val", "test")  # frames that nothing was trained on


@dataclass(frozen=True)
class Question:
    """One picture, and the views that judge what is made of it.

    Args:
        name: folder name. subject: recording, or animal. frame: orders the pictures of a subject in time.
        sample: folder. picture: index of the input view in it. camera: its rig camera, -1 for none.
        targets: indices of the judging views. cameras: their rig cameras. held_out: whether training never sees them.
        truth: truth.npz of the sample's animal, or None.
        knows_camera: whether the method is told the picture's camera.
    """

    name: str
    subject: str
    frame: int
    sample: Path
    picture: int
    camera: int
    targets: tuple[int, ...]
    cameras: tuple[int, ...]
    held_out: tuple[bool, ...]
    truth: Path | None
    knows_camera: bool


def frame_questions(manifest: Manifest, config: SingleConfig) -> list[Question]:
    """The filmed animal at new times: every camera of every chosen frame in turn, the held-out one included.

    Raises:
        DataError: no frame of val or test.
    """
    rows = [row for split in SPLITS for row in manifest.pool("real", split)[0]]
    if not rows:
        raise DataError(
            "there is no frame that nothing was trained on",
            got=f"no real sample of {' or '.join(SPLITS)}",
            hint="lengthen dataset.splits.val and test",
        )
    table = manifest.samples
    rows.sort(key=lambda row: (str(table["recording"].iat[row]), int(table["frame"].iat[row])))
    numbers = manifest.view_table(["camera"])["camera"].to_numpy()
    questions = []
    for row in (rows[i] for i in _evenly(len(rows), config.frames)):
        views = manifest.views_of(row)
        own = [int(i) for i in np.flatnonzero(views.owner == row)]
        first = int(table["first_view"].iat[row])
        camera = {int(views.index[i]): int(numbers[first + i]) for i in own}
        hidden = {int(views.index[i]): bool(views.held_out[i]) for i in own}
        recording, frame = str(table["recording"].iat[row]), int(table["frame"].iat[row])
        for picture in sorted(camera):
            targets = tuple(view for view in sorted(camera) if view != picture)
            questions.append(
                Question(
                    f"{recording}-{frame:06d}-{camera[picture]:02d}",
                    recording,
                    frame,
                    Path(manifest.folder_of(row)),
                    picture,
                    camera[picture],
                    targets,
                    tuple(camera[view] for view in targets),
                    tuple(hidden[view] for view in targets),
                    None,
                    True,
                )
            )
    return _with_unknown(questions, config.unknown)


def animal_questions(index: Path, config: SingleConfig) -> list[Question]:
    """Test animals: one picture each, judged by all views around it."""
    questions = []
    for row in read_index(index)["items"]:
        folder = Path(index).parent / row["name"]
        targets = tuple(range(1, len(read_document(folder)["frames"])))
        questions.append(
            Question(
                row["name"],
                row["subject"],
                row["frame"],
                folder,
                0,
                -1,
                targets,
                (-1,) * len(targets),
                (True,) * len(targets),
                folder / "truth.npz",
                True,
            )
        )
    return _with_unknown(questions, config.unknown)


def _with_unknown(questions: list[Question], count: int) -> list[Question]:
    """The questions, and some of them asked again without their camera."""
    again = [questions[i] for i in _evenly(len(questions), count)]
    fields = [vars(question) | {"name": f"{question.name}-unknown", "knows_camera": False} for question in again]
    return questions + [Question(**entry) for entry in fields]


def _evenly(length: int, count: int) -> list[int]:
    return sorted({int(i) for i in np.linspace(0, length - 1, min(length, count)).round()}) if count else []
