"""Do the colour pictures belong to their masks? Told by what changes in a picture, and where its edges are.

The cameras are proven from the silhouettes alone, so a colour file that is turned, mirrored, another camera's, late or
of another recording passes every other check. Here each mask is laid over the picture it should belong to, and over the
ones a mix-up would have put there. A mask is at home where strong edges lie along its outline and where its inside
differs from the camera's median picture; both are ranks within their own picture, so light and contrast of a camera do
not matter, and edges of the arena and animals that rest are each outvoted by the other. Part of the audit.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from mousefacelift.capture.silhouettes import clean_mask
from mousefacelift.capture.sources import open_film, open_source
from mousefacelift.capture.timeline import Runs, offset_at

WIDTH = 400  # px, at which pictures are compared
REACH = 2  # px by which the edge may lie beside the outline: masks are a few pixels fat or thin
POINTS = 160  # of an outline, and of the inside of a mask
SHIFTS = 24  # displaced masks that say what chance is worth
CLEAR = 0.08  # of the fit (0 to 1) by which another reading must beat the one the files state
CLEAR_IN_TIME = 0.008  # the same among pictures of one camera, which differ by the animal alone
CLEAR_DEVIATIONS = 3.0  # and by that many standard errors over the frames
BELIEVED = (
    0.82  # fit that another reading must reach to be named; true pairs of real and virtual videos have 0.85 to 0.97
)
BLANK = 8  # grey levels: what noise and a codec leave of a picture of nothing
CHANCE = 0.05  # masks that beat displaced ones by less than this are laid over chance
RESTS = 0.8  # of the frames show that much of the animal in one place: what changes then says nothing of it
MOVED = 0.3  # of a mask's length, by which it must have moved for the picture of another time to be a wrong one
WRONG_TIMES = 8  # pictures of other times that each mask is compared with
OWN_TIME = 0.03  # masks that fit pictures of other times as well as their own, but for this, are not of this recording
TURNS = {
    "turned by 180 degrees": (-1, -1),
    "mirrored left to right": (-1, 1),
    "mirrored top to bottom": (1, -1),
}


@dataclass(frozen=True)
class PictureMatch:
    """How well one camera's pictures fit its masks.

    Attributes:
        fit: mean rank (0 to 1) of the edges under the outlines and of the change under the masks; 1 is best.
        chance: the fit that 9 in 10 displacements of the masks stay below.
        reading: what the pictures are instead ("turned by 180 degrees"), or "" when they are what the files state.
        other_fit: under that reading, or under the best other one. frames: masks compared.
        other_camera: the camera whose pictures they are, or None. late: frames by which they are late (negative:
            early). signs: of x and y by which the masks must be turned to fit.
    """

    fit: float
    chance: float
    reading: str
    other_fit: float
    frames: int
    other_camera: int | None = None
    late: int = 0
    signs: tuple[int, int] = (1, 1)


@dataclass
class Film:
    """One camera at the frames read, on the WIDTH grid of `size` (w, h); None where there is no mask or picture.

    Attributes:
        outlines, insides: points [P, 2] (x, y) along and within the mask.
        edges, changes: uint8 [h, w] ranks within the picture; no changes where the animal rests.
        pictures: uint8 [h, w] luma.
    """

    size: tuple[int, int]
    outlines: list[np.ndarray | None] = field(default_factory=list)
    insides: list[np.ndarray | None] = field(default_factory=list)
    pictures: list[np.ndarray | None] = field(default_factory=list)
    edges: list[np.ndarray | None] = field(default_factory=list)
    changes: list[np.ndarray | None] = field(default_factory=list)
    _under: dict = field(default_factory=dict, repr=False)

    def under(self, frame: int, signs: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Places in a flat picture of the pixels under a frame's outline and inside, turned by `signs`; found once for
        the many pictures that they are laid over."""
        if (frame, signs) not in self._under:
            last = np.array(self.size) - 1.0
            turned = (np.where(np.array(signs) < 0, last - p, p) for p in (self.outlines[frame], self.insides[frame]))
            self._under[frame, signs] = tuple(
                rows * self.size[0] + columns for rows, columns in (_pixels(p, self.size) for p in turned)
            )
        return self._under[frame, signs]


def match_pictures(
    videos: Sequence[str],
    masks: Sequence[str],
    frames: np.ndarray,
    max_late: int,
    offsets: Sequence[Runs] = (),
    threads: int = 2,
) -> tuple[list[PictureMatch], list[Film]]:
    """One verdict per camera, and what was looked at.

    Args:
        frames: rising frame numbers in runs of neighbours; lateness can be told within a run.
        max_late: frames by which pictures may be late or early.
        offsets: [V] runs that map `frames` to frames of each camera's files; none means that they are the same.
    """
    runs = offsets or [[[0, 0]]] * len(videos)
    numbers = [[int(f) + offset_at(own, int(f)) for f in frames] for own in runs]
    with ThreadPoolExecutor(threads) as pool:
        films = list(pool.map(lambda job: _read_film(*job), zip(videos, masks, numbers)))
    return [judge_pictures(films, view, frames, max_late) for view in range(len(films))], films


def judge_pictures(films: Sequence[Film], view: int, frames: np.ndarray, max_late: int) -> PictureMatch:
    """The reading of one camera's pictures under which its masks are at home."""
    film = films[view]
    have = [t for t in range(len(frames)) if film.outlines[t] is not None and film.edges[t] is not None]
    if len(have) < 3:
        return PictureMatch(np.nan, np.nan, "", np.nan, len(have))
    stated = np.array([_fit(film, t, film, t) for t in have])
    fit, chance, own_time = float(stated.mean()), _chance(film, have), _own_time_gain(film, have, stated)
    readings = _readings(films, view, have, frames, max_late)
    clear = [r for r in readings if _is_clear(r[1], stated, CLEAR_IN_TIME if r[0].late else CLEAR)]
    best = max((float(np.nanmean(f)) for _, f in readings if np.isfinite(f).sum() >= 3), default=np.nan)
    believed = [r for r in clear if np.nanmean(r[1]) > BELIEVED]
    unclear = not believed and any(not r[0].late for r in clear)  # some reading is better, and none of them is right
    if believed:
        reading, fits = max(believed, key=lambda r: np.nanmean(r[1]))
        return replace(reading, fit=fit, chance=chance, other_fit=float(np.nanmean(fits)))
    strange = unclear or fit - chance < CHANCE or own_time < OWN_TIME
    blank = all(np.ptp(film.pictures[t]) < BLANK for t in have)
    reading = ("one grey all over" if blank else "of another recording or scene") if strange else ""
    return PictureMatch(fit, chance, reading, best, len(have))


def _readings(films, view, have, frames, max_late) -> list[tuple[PictureMatch, np.ndarray]]:
    """What the pictures may be instead, and how the masks fit them frame by frame."""
    film, place, out = films[view], {int(f): t for t, f in enumerate(frames)}, []

    def add(name: str, fits: list[float], **facts) -> None:
        out.append((PictureMatch(np.nan, np.nan, name, np.nan, len(have), **facts), np.array(fits)))

    for name, signs in TURNS.items():
        add(name, [_fit(film, t, film, t, signs) for t in have], signs=signs)
    for other, elsewhere in enumerate(films):
        if other != view and elsewhere.size == film.size:
            add("pictures of another camera", [_fit(film, t, elsewhere, t) for t in have], other_camera=other)
    for late in [n for n in range(-max_late, max_late + 1) if n]:
        name = f"late by about {late} frames" if late > 0 else f"early by about {-late} frames"
        add(name, [_fit(film, t, film, place.get(int(frames[t]) + late)) for t in have], late=late)
    return out


def _is_clear(other: np.ndarray, stated: np.ndarray, by: float) -> bool:
    """Whether a reading beats the stated one by much, and in frame after frame."""
    gain = (other - stated)[np.isfinite(other)]
    if len(gain) < 3:
        return False
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    return bool(gain.mean() > by and gain.mean() > CLEAR_DEVIATIONS * error)


def _fit(film: Film, here: int, pictures: Film, there: int | None, signs: tuple[int, int] = (1, 1)) -> float:
    """Fit of the mask of one frame with a picture, NaN when there is none."""
    if there is None or pictures.edges[there] is None:
        return np.nan
    rim, inside = film.under(here, signs)
    edges, changes = pictures.edges[there].take(rim).mean() / 255, pictures.changes[there]
    return float(edges if changes is None else 0.5 * (edges + changes.take(inside).mean() / 255))


def _mean_rank(ranks: np.ndarray, points: np.ndarray) -> np.ndarray:
    """[...] mean rank under points [..., P, 2], which are taken to the nearest pixel of the picture."""
    return ranks[_pixels(points, ranks.shape[::-1])].mean(-1) / 255


def _pixels(points: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pixels of a picture of `size` (w, h) that are nearest to points [..., 2]."""
    columns, rows = np.moveaxis(np.rint(points).astype(int), -1, 0)
    return np.clip(rows, 0, size[1] - 1), np.clip(columns, 0, size[0] - 1)


def _chance(film: Film, have: Sequence[int]) -> float:
    """The fit that 9 in 10 displacements of the masks stay below, each the mean over the frames."""
    spots, fits = np.random.default_rng(0).random((SHIFTS, 1, 2)), []
    for t in have:
        low, high = film.outlines[t].min(0), film.outlines[t].max(0)
        moves = spots * np.maximum(np.array(film.size) - 1.0 - (high - low), 0) - low
        fit, changes = _mean_rank(film.edges[t], film.outlines[t] + moves), film.changes[t]
        fits.append(fit if changes is None else 0.5 * (fit + _mean_rank(changes, film.insides[t] + moves)))
    return float(np.quantile(np.stack(fits, -1).mean(-1), 0.9))


def _own_time_gain(film: Film, have: Sequence[int], stated: np.ndarray) -> float:
    """By how much the masks fit pictures of their own time better than of times when the animal was elsewhere.

    Infinite when the animal never was elsewhere.
    """
    rng, gains = np.random.default_rng(1), []
    centers = np.stack([film.insides[t].mean(0) for t in have])
    for k, t in enumerate(have):
        length = np.ptp(film.outlines[t], axis=0).max()
        away = np.flatnonzero(np.linalg.norm(centers - centers[k], axis=1) > MOVED * length)
        if len(away):
            picked = rng.choice(away, min(WRONG_TIMES, len(away)), replace=False)
            gains.append(stated[k] - np.mean([_fit(film, t, film, have[other]) for other in picked]))
    return float(np.mean(gains)) if len(gains) >= 3 else np.inf


def _read_film(video: str, mask: str, numbers: Sequence[int]) -> Film:
    pictures, silhouettes = open_film(video), open_source(mask)
    width = min(WIDTH, pictures.width)
    film = Film((width, max(1, round(pictures.height * width / pictures.width))))
    try:
        for frame in numbers:
            seen, filled = 0 <= frame < pictures.frames, 0 <= frame < silhouettes.frames
            film.pictures.append(_shrunk(pictures.read(frame).luma(), film.size) if seen else None)
            small = _shrunk(clean_mask(silhouettes.read(frame)) * np.uint8(255), film.size) if filled else None
            rim, inside = (None, None) if small is None else points_of(small)
            film.outlines.append(rim)
            film.insides.append(inside)
    finally:
        pictures.close()
        silhouettes.close()
    usual = np.median([p for p in film.pictures if p is not None], axis=0)
    rests = _resting_share(film) > RESTS
    for picture in film.pictures:
        film.edges.append(None if picture is None else edge_ranks(picture))
        film.changes.append(None if picture is None or rests else change_ranks(picture, usual))
    return film


def _resting_share(film: Film) -> float:
    """Share of the frames in which the animal lies where it is in most frames: the usual picture shows it there, and
    what changes is noise and light, of which its fur has less than what is around it."""
    masked = [inside for inside in film.insides if inside is not None]
    if not masked:
        return 0.0
    seen = np.zeros(film.size[::-1])
    for inside in masked:
        cells = np.zeros_like(seen)
        cells[_pixels(inside, film.size)] = 1
        seen += cv2.dilate(cells, np.ones((2 * REACH + 1, 2 * REACH + 1)))
    usual = seen >= 0.5 * len(masked)
    return float(np.mean([usual[_pixels(inside, film.size)].mean() > RESTS for inside in masked]))


def _shrunk(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def edge_ranks(luma: np.ndarray) -> np.ndarray:
    """uint8 [h, w]: rank within its own picture of the strongest edge within REACH of each pixel."""
    smooth = cv2.GaussianBlur(luma, (0, 0), 1.2)
    strength = cv2.magnitude(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    return _ranks(cv2.dilate(strength, np.ones((2 * REACH + 1, 2 * REACH + 1), np.uint8)))


def change_ranks(luma: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """uint8 [h, w]: rank within its own picture of each pixel's difference from the camera's usual picture."""
    return _ranks(cv2.GaussianBlur(np.abs(luma.astype(np.float32) - usual.astype(np.float32)), (0, 0), 1.2) * 4)


def _ranks(strength: np.ndarray) -> np.ndarray:
    levels = np.minimum(strength, 1023).astype(np.uint16)
    counts = np.bincount(levels.ravel(), minlength=1024)
    return np.rint(255 * (np.cumsum(counts) - 0.5 * counts) / levels.size).astype(np.uint8)[levels]


def points_of(mask: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Up to POINTS points (x, y) along the outline of the largest part of a grey mask, and within it; None without
    one."""
    filled = (mask > 127).astype(np.uint8)
    contours, _ = cv2.findContours(filled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return None, None
    rim = max(contours, key=len)[:, 0].astype(np.float64)
    rim = rim[((rim > 0) & (rim < np.array(mask.shape[::-1]) - 1)).all(1)]  # what the picture cuts has no edge there
    if len(rim) < 12:
        return None, None
    rows, columns = np.nonzero(filled)
    inside = np.stack([columns, rows], 1).astype(np.float64)
    return tuple(p[np.linspace(0, len(p) - 1, min(POINTS, len(p))).round().astype(int)] for p in (rim, inside))
