"""A page that shows every camera's masks over its video at chosen frames: what the audit cannot see, a person can.

Written by `mousefacelift capture masks FOLDER --show PAGE.html`; reads videos and masks, no calibration is judged.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence

import cv2
import numpy as np

from mousefacelift.capture.recording import Recording
from mousefacelift.capture.silhouettes import clean_mask
from mousefacelift.capture.sources import open_film, open_source

TILE = 260  # px of a picture cut to the animal
MARGIN = 0.35  # of the mask's box on each side, so that what the mask lacks is in the picture
OUTLINE, BEFORE = (60, 60, 255), (0, 220, 255)  # BGR
ADVICE = (
    ("the floor's reflection or a shadow below the animal", "the outline goes on under the feet"),
    ("bedding, droppings or a wall", "the outline holds something that stays when the animal has gone"),
    ("lit fur, ears or paws left out", "the outline cuts through the animal: a threshold sees dark fur only"),
    ("another animal or a hand", "two outlines, or one around both"),
    ("masks of another frame or file", "the outline lies beside the animal, the same way in many frames"),
)


def mask_page(recording: Recording, frames: Sequence[int], before: Sequence[str] = ()) -> str:
    """One HTML page: a row per camera, a column per frame, each picture cut to the mask with its outline in red.

    Args:
        before: the masks that the recording's were completed from, one per camera; outlined in yellow.
    """
    rows = []
    for v, (camera, video, mask) in enumerate(zip(recording.cameras, recording.videos, recording.masks)):
        if mask and video:
            tiles = camera_tiles(video, mask, frames, before[v] if before else "")
            cells = "".join(f"<td>{_image(tile)}</td>" for tile in tiles)
            rows.append(f"<tr><th>{html.escape(camera.name)}</th>{cells}</tr>")
    heads = "".join(f"<th>frame {frame}</th>" for frame in frames)
    given = "; in yellow that of the mask as it was given" if before else ""
    advice = "".join(f"<li><b>{wrong}</b>: {seen}</li>" for wrong, seen in ADVICE)
    return (
        f'<!doctype html><meta charset="utf-8"><title>masks of {html.escape(recording.name)}</title>'
        "<style>body{font:16px sans-serif;margin:2em}td,th{padding:2px;text-align:left}</style>"
        f"<h1>Masks of {html.escape(recording.name)}</h1><p>The outline of each mask over its video{given}. What goes "
        f"wrong, and how it looks:</p><ul>{advice}</ul><table><tr><th></th>{heads}</tr>{''.join(rows)}</table>\n"
    )


def camera_tiles(video: str, mask: str, frames: Sequence[int], before: str = "") -> list[np.ndarray]:
    """uint8 bgr pictures [TILE, TILE, 3] of one camera, cut to its mask; the whole picture where the mask is empty."""
    film, *silhouettes = sources = [open_film(video), *(open_source(path) for path in (before or mask, mask))]
    try:
        return [_tile(film.read(f).rgb(), *(clean_mask(source.read(f)) for source in silhouettes)) for f in frames]
    finally:
        for source in sources:
            source.close()


def _tile(rgb: np.ndarray, before: np.ndarray, mask: np.ndarray) -> np.ndarray:
    height, width = mask.shape
    x, y, w, h = cv2.boundingRect(mask) if mask.any() else (0, 0, width, height)
    half = int((0.5 + MARGIN) * max(w, h)) + 1
    padded = cv2.copyMakeBorder(rgb[..., ::-1], half, half, half, half, cv2.BORDER_REPLICATE)
    left, top = x + w // 2, y + h // 2  # the middle of the box is half further in the padded picture
    scale = TILE / (2 * half)
    tile = cv2.resize(padded[top : top + 2 * half, left : left + 2 * half], (TILE, TILE), interpolation=cv2.INTER_AREA)
    tile = np.ascontiguousarray(tile)
    for shape, colour in ((before, BEFORE), (mask, OUTLINE)):
        outlines, _ = cv2.findContours(shape, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        drawn = [np.round((outline + 0.5 + half - [left, top]) * scale).astype(np.int32) for outline in outlines]
        cv2.polylines(tile, drawn, True, colour, 1, cv2.LINE_AA)
    return tile


def _image(bgr: np.ndarray) -> str:
    jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()
    return f'<img width="{TILE}" src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}">'
