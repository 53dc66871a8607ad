"""What an audit saw, as one picture: which silhouette disagrees with the others, and which colours with their mask.

Drawn below the rig when it is accepted, and alone when it is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from mousefacelift.capture.mask_faults import MaskFaults
from mousefacelift.capture.picture_match import Film, PictureMatch
from mousefacelift.capture.recording import Recording
from mousefacelift.capture.silhouettes import Silhouettes
from mousefacelift.core.spread import spread

ROWS = 3
TILE = 200  # px
OWN, OTHERS, EXCESS = (90, 200, 90), (60, 60, 230), (60, 160, 255)  # BGR


@dataclass
class Evidence:
    """Filled by `audit` as it goes; every part may still be missing when it refuses."""

    names: list[str] = field(default_factory=list)
    silhouettes: Silhouettes | None = None
    faults: MaskFaults | None = None
    matches: list[PictureMatch] = field(default_factory=list)
    films: list[Film] = field(default_factory=list)

    def saw(self, recording: Recording, silhouettes: Silhouettes) -> None:
        """The silhouettes as they were read."""
        self.names, self.silhouettes = [camera.name for camera in recording.cameras], silhouettes

    def found(self, silhouettes: Silhouettes, faults: MaskFaults) -> None:
        """The silhouettes in step, and what the views say of each other."""
        self.silhouettes, self.faults = silhouettes, faults

    def compared(self, matches: list[PictureMatch], films: list[Film]) -> None:
        """The colour pictures beside their masks."""
        self.matches, self.films = matches, films


def draw_evidence(evidence: Evidence) -> np.ndarray | None:
    """uint8 bgr [H, W, 3]: a column per camera, silhouettes above and colours below; None when nothing was seen."""
    if evidence.silhouettes is None:
        return None
    rows = _silhouette_rows(evidence) + _colour_rows(evidence)
    if not rows:
        return None
    heads = np.concatenate([_head(evidence, view) for view in range(len(evidence.names))], 1)
    key = _text(
        np.full((26, heads.shape[1], 3), 255, np.uint8),
        "green: the mask   red: outline of what the other cameras claim   orange: mask that no other camera allows   "
        "below: the pictures with the outline of their mask (red: as they would fit)",
    )
    return np.concatenate([heads, *rows, key])


def _silhouette_rows(evidence: Evidence) -> list[np.ndarray]:
    silhouettes, faults = evidence.silhouettes, evidence.faults
    claims = faults.claims if faults else {}
    known = sorted(claims) or np.flatnonzero((silhouettes.area > 0).any(1)).tolist()
    if not known:
        return []
    picked = [known[k] for k in spread(len(known), ROWS)]
    return [
        np.concatenate(
            [
                _silhouette_tile(silhouettes.masks[t, view], claims[t][view] if t in claims else None)
                for view in range(len(evidence.names))
            ],
            1,
        )
        for t in picked
    ]


def _silhouette_tile(mask: np.ndarray, claim: np.ndarray | None) -> np.ndarray:
    picture = np.full((*mask.shape, 3), 245, np.uint8)
    picture[mask] = OWN
    if claim is not None:
        picture[mask & ~claim] = EXCESS
    shown = mask if claim is None else mask | claim
    cut = _window(shown)
    tile = cv2.resize(picture[cut], (TILE, TILE), interpolation=cv2.INTER_NEAREST)
    if claim is not None:
        large = cv2.resize(claim[cut].astype(np.uint8), (TILE, TILE), interpolation=cv2.INTER_NEAREST)
        cv2.drawContours(tile, cv2.findContours(large, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0], -1, OTHERS, 1)
    return cv2.copyMakeBorder(tile[2:-2, 2:-2], 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=(255, 255, 255))


def _window(shown: np.ndarray) -> tuple[slice, slice]:
    """The square around a mask [h, w], with a margin, inside the picture."""
    x, y, w, h = cv2.boundingRect(shown.astype(np.uint8))
    height, width = shown.shape
    edge = min(max(24, round(1.3 * max(w, h))), height, width)
    left = int(np.clip(x + w // 2 - edge // 2, 0, width - edge))
    top = int(np.clip(y + h // 2 - edge // 2, 0, height - edge))
    return slice(top, top + edge), slice(left, left + edge)


def _colour_rows(evidence: Evidence) -> list[np.ndarray]:
    if not evidence.films:
        return []
    tiles = []
    for film, match in zip(evidence.films, evidence.matches):
        have = [t for t, outline in enumerate(film.outlines) if outline is not None and film.pictures[t] is not None]
        if not have:
            tiles.append(np.full((TILE, TILE, 3), 255, np.uint8))
            continue
        t = have[len(have) // 2]
        picture = cv2.cvtColor(film.pictures[t], cv2.COLOR_GRAY2BGR)
        cv2.polylines(picture, [np.rint(film.outlines[t]).astype(np.int32)], True, OWN, 1)
        if match.signs != (1, 1):
            last = np.array(film.size) - 1.0
            turned = np.where(np.array(match.signs) < 0, last - film.outlines[t], film.outlines[t])
            cv2.polylines(picture, [np.rint(turned).astype(np.int32)], True, OTHERS, 1)
        height = round(TILE * film.size[1] / film.size[0])
        small = cv2.resize(picture, (TILE - 4, height), interpolation=cv2.INTER_AREA)[:TILE]
        tiles.append(cv2.copyMakeBorder(small, 0, TILE - len(small), 2, 2, cv2.BORDER_CONSTANT, value=(255,) * 3))
    return [np.concatenate(tiles, 1)]


def _head(evidence: Evidence, view: int) -> np.ndarray:
    """The camera's name and what is said of it."""
    strip = np.full((64, TILE, 3), 255, np.uint8)
    said = evidence.faults.says[view] if evidence.faults else ""
    if evidence.matches and evidence.matches[view].reading:
        said = "pictures: " + evidence.matches[view].reading
    _text(strip, evidence.names[view], scale=0.5)
    for line, text in enumerate(_wrapped(said, 36)[:3]):
        _text(strip, text, top=30 + 13 * line, colour=(40, 40, 200), scale=0.33)
    return strip


def _wrapped(text: str, width: int) -> Sequence[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] += word + " "
    return lines


def _text(picture: np.ndarray, text: str, top: int = 16, colour=(20, 20, 20), scale: float = 0.4) -> np.ndarray:
    ascii_text = text.encode("ascii", "replace").decode()  # OpenCV's fonts know no more
    return cv2.putText(picture, ascii_text, (4, top), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)
