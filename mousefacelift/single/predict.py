"""Predictions of protocol S: Gaussians of every method for every picture, in the form that `check single` reads.

    mousefacelift single predict --bed frames --model results/train/80-20 --generator results/distill/generator
        --library results/distill/library --dataset results/dataset --out results/predict_single/frames/index.json

An item's folder holds model.npz, nearest.npz and others.npz (Gaussians in the sample's world, or, for a picture of an
unknown camera, in the world of the camera that the method estimated); the index names the picture, the judging views
and the truth. One item, and the model's answers to AT_ONCE, are in memory at a time.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

from mousefacelift.chunks import run_chunk
from mousefacelift.config import config_hash
from mousefacelift.core.files import relative_path
from mousefacelift.core.samples import read_document, read_sample
from mousefacelift.single.config import SingleConfig
from mousefacelift.single.methods import (
    OTHERS,
    Answer,
    GeneratedViews,
    NearestPoses,
    Reconstructor,
    SolidModel,
    spread_views,
)
from mousefacelift.single.plan import Question

AT_ONCE = 40  # pictures that the model answers together: a step of its fits costs little more for many than for one


@dataclass(frozen=True)
class Methods:
    """What answers: the model and its rungs, and a hash of all their weights."""

    model: GeneratedViews | SolidModel
    nearest: NearestPoses
    reconstructor: Reconstructor
    key: str


def predict_single(
    questions: list[Question], bed: str, methods: Methods, out: Path, config: SingleConfig, seed: int
) -> dict:
    """Answer every question into the chunk of `out` (an index.json), one at a time; returns the index."""
    pictures = {question.sample: _hashes(question.sample) for question in questions}
    named = [(question.name, pictures[question.sample]) for question in questions]
    key = config_hash([methods.key, seed, bed, asdict(config), named])

    ahead = AnswersAhead(methods.model, questions, seed)

    def make(name: str, question: Question, folder: Path) -> dict:
        return answer_question(question, methods, ahead.take(name), folder, Path(out).parent, seed)

    items = [(question.name, question) for question in questions]
    header = {"bed": bed, "size": methods.reconstructor.size, "weights": methods.key, "others": OTHERS}
    return run_chunk(out, key, items, make, header, label="pictures")


def _hashes(sample: Path) -> list:
    """Hash of every view of a sample, with its camera."""
    return [frame.get("hash") for frame in read_document(sample)["frames"]]


class AnswersAhead:
    """The model's answers, made for AT_ONCE questions at fixed places of the list, so that a run that goes on after a
    kill ends with the same bits. Those of one batch are in memory."""

    def __init__(self, model: GeneratedViews | SolidModel, questions: list[Question], seed: int) -> None:
        self._model, self._questions, self._seed = model, questions, seed
        self._places = {question.name: place for place, question in enumerate(questions)}
        self._made: dict[str, tuple[Answer, float]] = {}

    def take(self, name: str) -> tuple[Answer, float]:
        """The answer to the question `name`, and the seconds that it took."""
        if name not in self._made:
            first = self._places[name] // AT_ONCE * AT_ONCE
            self._made = self._answer(self._questions[first : first + AT_ONCE])
        return self._made.pop(name)

    def _answer(self, questions: list[Question]) -> dict[str, tuple[Answer, float]]:
        pictures = [read_sample(question.sample, [question.picture]).views[0] for question in questions]
        started = time.perf_counter()
        answers = self._model.answers(pictures, [question.knows_camera for question in questions], self._seed)
        seconds = (time.perf_counter() - started) / len(questions)
        return {question.name: (answer, seconds) for question, answer in zip(questions, answers, strict=True)}


def answer_question(
    question: Question, methods: Methods, by_model: tuple[Answer, float], folder: Path, root: Path, seed: int
) -> dict:
    """Write the Gaussians of every method into `folder` and return the index row; sample paths start from `root`.

    Args:
        by_model: the model's answer, and its seconds.
    """
    sample = read_sample(question.sample)
    picture = sample.views[question.picture]
    answers, seconds = {"model": by_model[0]}, {"model": by_model[1]}
    started = time.perf_counter()
    answers["nearest"] = methods.nearest.answer(picture, question.knows_camera, seed)
    seconds["nearest"] = time.perf_counter() - started
    if question.knows_camera:
        true = [sample.views[i] for i, hidden in zip(question.targets, question.held_out, strict=True) if not hidden]
        shown = spread_views(true or [sample.views[i] for i in question.targets], OTHERS)
        answers["others"] = Answer(methods.reconstructor.answer(shown), picture.camera, {"views": len(shown)})
    rows = {}
    for method, answer in answers.items():
        answer.gaussians.save(folder / f"{method}.npz")
        rows[method] = {
            "camera": answer.camera.to_frame(""),
            "gaussians": answer.gaussians.count,
            "seconds": round(seconds.get(method, 0.0), 3),
            **answer.facts,
        }
    return {
        "subject": question.subject,
        "frame": question.frame,
        "camera": question.camera,
        "knows_camera": question.knows_camera,
        "sample": relative_path(question.sample, root),
        "picture": question.picture,
        "targets": list(question.targets),
        "cameras": list(question.cameras),
        "held_out": list(question.held_out),
        "truth": relative_path(question.truth, root) if question.truth else None,
        "methods": rows,
    }
