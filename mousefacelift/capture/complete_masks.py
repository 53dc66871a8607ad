"""Masks that lack parts of the animal, made whole: `capture.mask_backend: complete`.

A threshold leaves out lit fur, a tool loses the half behind a reflection. What may be missing is where the other
cameras' masks meet (`claims`); what of it *is* the animal the picture decides: a graph cut (Rother, Kolmogorov and
Blake 2004, OpenCV's grabCut) between the colours of the mask and those around it. A pixel is added only where both
agree and only next to the given mask, and none is ever taken away; so a wrong camera does not get masks that agree with
it. Reads videos, given masks and the calibration, writes lossless mask videos in pieces; run by `capture masks` and
`capture audit`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter
from tqdm import tqdm

from mousefacelift.capture.audit_files import drop_cameras
from mousefacelift.capture.claims import RoughRig, claim_views, disc, rough_rig, thin_px
from mousefacelift.capture.clip import inspect_files
from mousefacelift.capture.config import CaptureConfig, RecordingSource
from mousefacelift.capture.mask_folder import keep_made_for
from mousefacelift.capture.recording import Recording
from mousefacelift.capture.silhouettes import clean_mask, drop_specks
from mousefacelift.capture.sources import open_film, open_source, split_object
from mousefacelift.core.files import json_text, write_text
from mousefacelift.core.video import write_mp4

PIECE = 100  # frames of a mask file: what a killed run has to make again, and what runs in parallel
ROUNDS = 3  # each knows what the one before added to the other views
SURROUNDINGS = 0.35  # of the animal's box on each side: where the colours beside it are learnt
CUT_SIZE = 240  # px, longer side of what is cut; larger boxes are reduced
CUT_ROUNDS = 4  # of colour models and cut in turn
SURE = 2  # px inside of a given mask's edge that are the animal whatever their colour
BINS, RARE = 16, 0.05  # of each colour's range; share of the pixels around the animal that are as rare


def complete_masks(
    recording: Recording, config: CaptureConfig, folder: Path, source: RecordingSource, threads: int
) -> Recording:
    """The recording with its masks made whole in `folder`, with `completed.json`: what was added, per camera.

    Frames that the recording does not use keep their masks. Pieces are made in parallel and appear whole.

    Raises:
        CalibrationError, DataError: see `rough_rig`.
    """
    used = drop_cameras(recording, source.drop_cameras)
    clip = inspect_files(used, config.audit.max_offset, source.span[1])
    frames = max(clip.frames)
    span = range(source.span[0], min(source.span[1], frames))
    keep_made_for(folder, {"frames": [span.start, span.stop], "of": clip.frames, "files": _stamps(used)})
    stated = {first: folder / "added" / f"{first:06d}.json" for first in range(0, frames, PIECE)}
    missing = [first for first, path in stated.items() if not path.is_file()]
    if missing:
        rig = rough_rig(used, source, config.audit, clip)
        bar = tqdm(total=len(missing), desc="masks", unit="piece", mininterval=1.0)
        with ThreadPoolExecutor(threads) as pool:
            pieces = [WholePiece(used, rig, folder, first, min(first + PIECE, frames), span) for first in missing]
            for piece, shares in zip(pieces, pool.map(write_whole_piece, pieces)):
                write_text(stated[piece.first], json_text(shares))  # last: a piece without it is made again
                bar.update()
        bar.close()
    names = [camera.name for camera in used.cameras]
    summary = _summary([json.loads(path.read_text()) for path in stated.values()], names)
    write_text(folder / "completed.json", json_text(summary, indent=1))
    print(say_completed(summary))
    paths = {name: str(folder / name) for name in names}
    return replace(recording, masks=tuple(paths.get(camera.name, "") for camera in recording.cameras))


def say_completed(summary: dict) -> str:
    """One line: what completion added to the masks of every camera."""
    parts = ", ".join(
        f"{name} {row['added']:.0%} (in a frame up to {row['most']:.0%})" for name, row in summary.items()
    )
    return f"masks made whole, share of each that was added: {parts}; look at them (--show)"


def _summary(pieces: list[dict], names: Sequence[str]) -> dict:
    shares = {name: [share for piece in pieces for share in piece.get(name, {}).values()] for name in names}
    return {
        name: {"added": round(float(np.mean(rows)), 4), "most": round(max(rows), 4), "frames": len(rows)}
        if rows
        else {"added": 0.0, "most": 0.0, "frames": 0}
        for name, rows in shares.items()
    }


def _stamps(recording: Recording) -> list:
    """Size and time of every video and mask: others than those that masks were made for have others."""
    paths = [Path(split_object(path)[0]) for path in (*recording.videos, *recording.masks)]
    return [[path.stat().st_size, path.stat().st_mtime_ns] for path in paths]


@dataclass(frozen=True)
class WholePiece:
    """The masks of the file frames [first, last) of every camera, of which those in `span` are completed."""

    recording: Recording
    rig: RoughRig
    folder: Path
    first: int
    last: int
    span: range

    def frames(self) -> Iterator[tuple[int, list[int]]]:
        """Rising common frames of which a file frame lies in this piece, with their number in every file."""
        reach = max(abs(offset) for runs in self.rig.offsets for _, offset in runs)
        for frame in range(max(0, self.first - reach), self.last + reach):
            numbers = [self.rig.file_frame(view, frame) for view in range(len(self.rig.lenses))]
            if any(number in self.span and self.first <= number < self.last for number in numbers):
                yield frame, numbers


def write_whole_piece(piece: WholePiece) -> dict[str, dict[str, float]]:
    """Write the whole masks of one piece, a lossless video per camera.

    Returns:
        {camera: {file frame: share of the mask that was added}}.
    """
    films = [open_film(path) for path in piece.recording.videos]
    given = [open_source(path) for path in piece.recording.masks]
    names = [camera.name for camera in piece.recording.cameras]
    whole: list[dict[int, tuple]] = [{} for _ in films]
    try:
        for _, numbers in piece.frames():
            if any(not 0 <= number < film.frames for number, film in zip(numbers, films)):
                continue
            masks = [clean_mask(source.read(number)) for source, number in zip(given, numbers)]
            pictures = [film.read(number).rgb() for film, number in zip(films, numbers)]
            for kept, number, mask, before in zip(
                whole, numbers, complete_frame(pictures, masks, piece.rig), masks, strict=True
            ):
                if piece.first <= number < piece.last and number in piece.span:
                    added = mask & ~before & 1
                    kept[number] = (np.packbits(added), added.sum() / max(mask.sum(), 1))
    finally:
        for source in (*films, *given):
            source.close()
    for name, path, kept in zip(names, piece.recording.masks, whole):
        _write_masks(piece, name, path, kept)
    return {
        name: {str(n): round(float(share), 4) for n, (_, share) in kept.items()} for name, kept in zip(names, whole)
    }


def _write_masks(piece: WholePiece, name: str, path: str, whole: dict[int, tuple]) -> None:
    """The given masks of one camera with what was added (`whole`: {file frame: (packed bits, share)})."""
    given = open_source(path)

    def pictures() -> Iterator[np.ndarray]:
        for index in range(piece.first, min(piece.last, given.frames)):
            luma = given.read(index).luma()  # with its soft edge
            if index in whole:
                luma = np.maximum(luma, 255 * np.unpackbits(whole[index][0], count=luma.size).reshape(luma.shape))
            yield np.repeat(luma[..., None], 3, axis=2)

    try:
        if piece.first < given.frames:
            write_mp4(piece.folder / name / f"{piece.first:06d}.mp4", pictures(), given.fps or 30.0, crf=0)
    finally:
        given.close()


def complete_frame(pictures: Sequence[np.ndarray], masks: Sequence[np.ndarray], rig: RoughRig) -> list[np.ndarray]:
    """The masks (uint8 0/1 [H, W]) of V pictures (rgb uint8 [H, W, 3]) of one moment, made whole.

    Masks that explain each other stay as they are.
    """
    whole = list(masks)
    rooms = [np.zeros(mask.shape, bool) for mask in masks]
    for _ in range(ROUNDS):
        claims = claim_views(whole, rig)
        if claims is None or not any(claim.wanted.any() for claim in claims):
            break
        for view, (picture, claim) in enumerate(zip(pictures, claims)):
            rooms[view] |= claim.wanted
            room = rooms[view] & claim.tolerant
            if masks[view].any() and room.any():
                whole[view] = complete_mask(picture, masks[view], room, claim.strict | (whole[view] > 0))
    return whole


def complete_mask(rgb: np.ndarray, given: np.ndarray, room: np.ndarray, likely: np.ndarray) -> np.ndarray:
    """uint8 0/1 [H, W]: the given mask and what of `room` looks like the animal and hangs on it.

    Args:
        room: bool [H, W], where something may be missing.
        likely: bool [H, W], where the cut starts to look for the animal's colours, besides where the room's colour is
            rare around it.
    """
    may = (room | (given > 0)).astype(np.uint8)
    x, y, w, h = cv2.boundingRect(may)
    ring = int(SURROUNDINGS * max(w, h)) + 4
    box = np.s_[max(0, y - ring) : y + h + ring, max(0, x - ring) : x + w + ring]
    may, given_here, picture = may[box], given[box], np.ascontiguousarray(rgb[box])
    start = likely[box] | (given_here > 0) | _is_rare(picture, may == 0)
    labels = np.full(may.shape, cv2.GC_BGD, np.uint8)
    labels[may > 0] = cv2.GC_PR_BGD
    labels[start & (may > 0)] = cv2.GC_PR_FGD
    labels[cv2.erode(given_here, np.ones((2 * SURE + 1, 2 * SURE + 1), np.uint8)) > 0] = cv2.GC_FGD
    added = _cut(picture, labels) & may & ~given_here & 1
    together = given_here | cv2.morphologyEx(added, cv2.MORPH_OPEN, disc(thin_px(may)))
    _, parts = cv2.connectedComponents(together, connectivity=8)
    hanging = np.isin(parts, np.unique(parts[given_here > 0]))
    whole = given.copy()
    whole[box] = hanging & (together > 0)
    return drop_specks(whole)


def _is_rare(rgb: np.ndarray, around: np.ndarray) -> np.ndarray:
    """bool [H, W]: where a picture's colour is one that the pixels `around` hardly have."""
    if not around.any():
        return np.zeros(around.shape, bool)
    bins = (rgb.astype(np.intp) * BINS >> 8) @ [BINS * BINS, BINS, 1]
    counts = np.bincount(bins[around], minlength=BINS**3).reshape((BINS,) * 3)
    density = gaussian_filter(counts.astype(np.float64), 1.0).ravel()[bins]
    return density < np.quantile(density[around], RARE)


def _cut(rgb: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """uint8 0/1 [H, W]: foreground of OpenCV's grabCut from `labels`; the same for the same picture."""
    if not (labels == cv2.GC_FGD).any() or not (labels == cv2.GC_BGD).any():
        return ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.uint8)
    height, width = labels.shape
    factor = min(1.0, CUT_SIZE / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA) if factor < 1 else rgb
    marks = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST) if factor < 1 else labels
    cv2.setRNGSeed(0)  # of this thread: the colour models start from k-means
    cv2.grabCut(small, marks, None, np.zeros((1, 65)), np.zeros((1, 65)), CUT_ROUNDS, cv2.GC_INIT_WITH_MASK)
    animal = np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
    return (cv2.resize(animal, (width, height), interpolation=cv2.INTER_LINEAR) > 0.5).astype(np.uint8)
