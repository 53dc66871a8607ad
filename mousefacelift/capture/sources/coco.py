"""COCO annotations as masks: run lengths (compressed or not) or polygons per image; also a plain list of run lengths.

Frames are the images in the natural order of their file names. An object's number is its track_id, instance_id,
object_id or category_id, the first that the annotations have.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mousefacelift.capture.sources.picture import Picture, picture_of_grey
from mousefacelift.errors import DataError
from mousefacelift.formats.entries import natural_key

NUMBERS = ("track_id", "instance_id", "object_id", "category_id")


class CocoReader:
    """Masks of one camera from a JSON file of annotations.

    Raises:
        DataError: no annotations, or several objects and none chosen.
    """

    def __init__(self, path: Path, wanted: int = 0, film: bool = False) -> None:
        if film:
            raise DataError(f"{path} holds outlines, no pictures", hint="check the recording's videos in config.yaml")
        self.path, self.wanted, self.fps = path, wanted, 0.0
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"masks {path} are no JSON", got=str(error), likely="a truncated file") from error
        self._frames = _of_coco(content, path) if isinstance(content, dict) else _of_list(content, path)
        if not self._frames:
            raise DataError(f"masks {path} hold no image", expected="images and annotations, or a list of run lengths")
        self.frames = len(self._frames)
        self.width, self.height = self._frames[0][0]

    @staticmethod
    def matches(path: Path) -> bool:
        return path.is_file() and path.suffix.lower() == ".json"

    def read(self, index: int) -> Picture:
        """Mask `index`: all pieces of the animal together."""
        if not 0 <= index < self.frames:
            raise DataError(f"masks {self.path} have no frame {index}", got=f"{self.frames} frames")
        (width, height), pieces = self._frames[index]
        where = f"{self.path} frame {index}"
        numbers = sorted({number for number, _ in pieces})
        if self.wanted:
            pieces = [piece for piece in pieces if piece[0] == self.wanted]
        elif len(numbers) > 1:
            raise DataError(
                f"masks {where} hold several objects",
                got=", ".join(map(str, numbers)),
                hint="name the animal's number: mask_object in the recording's config",
            )
        mask = np.zeros((height, width), np.uint8)
        for _, segmentation in pieces:
            mask |= decode_segmentation(segmentation, width, height, where)
        return picture_of_grey(mask * np.uint8(255))

    def close(self) -> None:
        """Nothing stays open."""


def _of_coco(content: dict, path: Path) -> list[tuple]:
    try:
        images = sorted(content["images"], key=lambda image: natural_key(str(image.get("file_name", image["id"]))))
        key = next((k for k in NUMBERS if any(k in a for a in content["annotations"])), None)
        pieces: dict[Any, list] = {image["id"]: [] for image in images}
        for annotation in content["annotations"]:
            number = int(annotation.get(key, 1)) if key else 1
            pieces[annotation["image_id"]].append((number, annotation["segmentation"]))
        return [((int(image["width"]), int(image["height"])), pieces[image["id"]]) for image in images]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"masks {path} are no COCO annotations", got=f"{type(error).__name__}: {error}", likely="another JSON file"
        ) from error


def _of_list(content: list, path: Path) -> list[tuple]:
    """One run length (or a list of them, or null) per frame."""
    frames = []
    for item in content:
        runs = [] if item is None else item if isinstance(item, list) else [item]
        if not all(isinstance(run, dict) and "counts" in run and "size" in run for run in runs):
            raise DataError(f"masks {path} are no run lengths", expected="{size: [h, w], counts: ...} per frame")
        size = tuple(runs[0]["size"][::-1]) if runs else None
        frames.append((size, [(number, run) for number, run in enumerate(runs, 1)]))
    known = next((size for size, _ in frames if size), None)
    return [(size or known, pieces) for size, pieces in frames] if known else []


def decode_segmentation(segmentation: Any, width: int, height: int, where: str) -> np.ndarray:
    """uint8 0/1 [H, W] of a run length or of polygons."""
    try:
        if isinstance(segmentation, dict):
            return decode_run_length(segmentation, width, height)
        mask = np.zeros((height, width), np.uint8)
        outlines = [np.rint(np.reshape(polygon, (-1, 2))).astype(np.int32) for polygon in segmentation]
        return cv2.fillPoly(mask, outlines, 1) if outlines else mask
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise DataError(f"mask of {where} cannot be decoded", got=str(error), likely="a truncated file") from error


def decode_run_length(run: dict, width: int, height: int) -> np.ndarray:
    """uint8 0/1 [H, W] of a COCO run length: column by column, background first.

    Compressed counts are base-48 digits of five bits, each the difference to the count before the last (Lin et al.,
    COCO API, maskApi.c).
    """
    if list(run["size"]) != [height, width]:
        raise ValueError(f"size {run['size']} for a picture of {height}x{width}")
    counts = run["counts"]
    counts = _inflated(counts.encode() if isinstance(counts, str) else bytes(counts)) if _is_text(counts) else counts
    counts = np.asarray(counts, np.int64)
    if counts.sum() != width * height or (counts < 0).any():
        raise ValueError(f"runs of {int(counts.sum())} px for a picture of {width * height}")
    values = np.arange(len(counts)) % 2
    return np.repeat(values, counts).astype(np.uint8).reshape(width, height).T


def _is_text(counts: Any) -> bool:
    return isinstance(counts, (str, bytes))


def _inflated(text: bytes) -> list[int]:
    counts: list[int] = []
    position = 0
    while position < len(text):
        value, shift, more = 0, 0, True
        while more:
            digit = text[position] - 48
            value |= (digit & 0x1F) << shift
            more, shift, position = bool(digit & 0x20), shift + 5, position + 1
            if not more and digit & 0x10:
                value |= -1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts
