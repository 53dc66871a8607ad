"""What every reader of cameras shares: keys that are all accounted for, lens names, sizes, and the order of names.

A key that speaks of the lens or of the picture and that no reader understands is an error that names it: read without
it, the file would silently be another camera.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mousefacelift.errors import CalibrationError

# keys that say how good a number is, not what the camera is
ABOUT_QUALITY = re.compile(r"err|rms|repro|resid|uncert|cov|sigma|(^|_)std|quality", re.I)
# keys that may change where a point is seen
ABOUT_PICTURE = re.compile(
    r"dist|lens|model|project|fish|omni|^xi\d*$|^[kps]_?\d|tau|skew|crop|offset|roi|bin|scal|resiz|rot|flip|mirror"
    r"|transpos|undist|rectif|fov|focal|radial|tang|prism|shift|cent(er|re)|window|sampl|decimat|aspect|zoom|pad",
    re.I,
)
# where the camera stands, which its rotation and translation say already
ABOUT_PLACE = re.compile(
    r"^(cam(era)?_?)?(cent(er|re)|pos(ition)?|location|azimuth|elevation|distance|world_|extrinsics?|pose|c2w|w2c|rt$)",
    re.I,
)
BROWN_NAMES = (
    "pinhole perspective opencv standard linear brown brown_conrady brownconrady radtan radial_tangential plumb_bob "
    "rational_polynomial full_opencv"
).split()
FISHEYE_NAMES = "fisheye opencv_fisheye kannala_brandt kannalabrandt kb4 equidistant fisheye_equidistant".split()
_ABSENT = object()


class Entry:
    """The keys of one camera (or of a whole file), each noted when it is read; `finish` refuses what is left.

    Args:
        mapping: the keys and values.
        where: what the mapping is, for messages: "camera 3 of cameras.json".
    """

    def __init__(self, mapping: Mapping[str, Any], where: str) -> None:
        if not isinstance(mapping, Mapping):
            raise CalibrationError(
                f"{where} holds no named values", got=type(mapping).__name__, likely="another format, or a broken file"
            )
        self.where, self._left, self._all = where, dict(mapping), dict(mapping)

    def take(self, *names: str, default: Any = None) -> Any:
        """The value of the first of `names` that is there and not None; two that differ are an error."""
        found = [(name, self._left.pop(name)) for name in names if name in self._left]
        found = [(name, value) for name, value in found if value is not None]
        if not found:
            return default
        for name, value in found[1:]:
            if not _same(found[0][1], value):
                raise CalibrationError(
                    f"{self.where} says the same thing twice, and differently",
                    got=f"{found[0][0]} and {name}",
                    likely="a file merged from two calibrations",
                )
        return found[0][1]

    def need(self, *names: str) -> Any:
        """As `take`, but an error when none is there."""
        value = self.take(*names, default=_ABSENT)
        if value is _ABSENT:
            raise CalibrationError(
                f"{self.where} has no {names[0]}", got=", ".join(map(str, self._all)), expected=" or ".join(names)
            )
        return value

    def array(self, shape: tuple[int, ...], *names: str) -> np.ndarray:
        """A needed value as float64 of `shape`."""
        return number_array(self.need(*names), shape, f"{names[0]} of {self.where}")

    def numbers(self, *names: str) -> np.ndarray:
        """An optional value as a flat float64 array, empty where there is none."""
        value = self.take(*names, default=())
        return number_array(value, None, f"{names[0]} of {self.where}").ravel()

    def flag(self, *names: str) -> bool:
        """An optional yes or no."""
        value = self.take(*names, default=False)
        if isinstance(value, str):
            if value.lower() not in ("true", "false", "0", "1", "yes", "no", ""):
                raise CalibrationError(f"{names[0]} of {self.where} is neither true nor false", got=value)
            return value.lower() in ("true", "1", "yes")
        return bool(np.asarray(value).any())

    def ignore(self, *names: str) -> None:
        """Note keys that are known to say nothing about where a point is seen."""
        for name in names:
            self._left.pop(name, None)

    def finish(self) -> None:
        """Refuse keys that nobody read and that may change the camera.

        Raises:
            CalibrationError: names them.
        """
        odd = [str(name) for name, value in self._left.items() if _changes_picture(str(name), value)]
        if odd:
            raise CalibrationError(
                f"{self.where} holds {'a key' if len(odd) == 1 else 'keys'} that this reader does not understand",
                got=", ".join(f"{name} = {_short(self._left.get(name))}" for name in odd),
                likely="a lens, a crop or a binning that must not be left out",
                hint="undistort or uncrop the videos and write the file anew; remove the key if it says nothing about "
                "the picture",
            )


def _changes_picture(name: str, value: Any) -> bool:
    if ABOUT_QUALITY.search(name) or ABOUT_PLACE.search(name) or _is_neutral(name, value):
        return False
    return ABOUT_PICTURE.search(name) is not None


def _is_neutral(name: str, value: Any) -> bool:
    """Nothing, false, no numbers but 0, or a factor of 1."""
    if value is None or value is False or isinstance(value, str) and value.strip().lower() in ("", "none", "null"):
        return True
    if not _is_numeric(value):
        return isinstance(value, (list, tuple, dict)) and len(value) == 0
    array = np.asarray(value, np.float64)
    factor = re.search(r"bin|scal|sampl|decimat|zoom|aspect", name, re.I) is not None
    return not array.any() or factor and bool(np.all(array == 1))


def _is_numeric(value: Any) -> bool:
    if isinstance(value, (str, bytes, Mapping)):
        return False
    try:
        return np.asarray(value).dtype.kind in "biuf"
    except ValueError:  # ragged
        return False


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) < 60 else text[:57] + "..."


def _same(a: Any, b: Any) -> bool:
    if _is_numeric(a) and _is_numeric(b):
        a, b = np.ravel(np.asarray(a, np.float64)), np.ravel(np.asarray(b, np.float64))
        return a.shape == b.shape and bool(np.allclose(a, b))
    return str(a) == str(b)


def number_array(value: Any, shape: tuple[int, ...] | None, what: str) -> np.ndarray:
    """float64 array of `value`, brought to `shape` if one is given.

    Raises:
        CalibrationError: not numbers, or another number of them.
    """
    try:
        array = np.asarray(value, np.float64)
        return array if shape is None else array.reshape(shape)
    except (TypeError, ValueError) as error:
        raise CalibrationError(
            f"{what} is not {'an array of numbers' if shape is None else f'numbers of shape {shape}'}",
            got=_short(value),
            likely="a file written by another program, or cut off",
        ) from error


def lens_model(word: Any, where: str) -> str:
    """ "brown" or "fisheye" for the name that a file gives its lens model.

    Raises:
        CalibrationError: any other name; never read as a plain lens.
    """
    plain = re.sub(r"[\s-]+", "_", str(word).strip().lower())
    if plain in ("", "none", "null", *BROWN_NAMES):
        return "brown"
    if plain in FISHEYE_NAMES:
        return "fisheye"
    raise CalibrationError(
        f"lens model of {where} is not known",
        got=str(word),
        expected=f"{', '.join(BROWN_NAMES)}; {', '.join(FISHEYE_NAMES)}",
        hint="undistort the videos with the tool that made the calibration, and give pinhole cameras",
    )


def image_size(value: Any, K: np.ndarray, where: str) -> tuple[int, int]:
    """(width, height) of a file's size for 0-based `K`; (0, 0) where it says nothing or was made up.

    Tools that do not know the size write twice the principal point: a fraction of a pixel gives it away.
    """
    if value is None or np.size(value) == 0:
        return 0, 0
    if np.size(value) != 2:
        raise CalibrationError(f"picture size of {where} is not two numbers", got=_short(value))
    width, height = _whole(value, where)
    K = np.asarray(K)
    double = 2 * K[[0, 1], [2, 2]] if abs(K[0, 2]) > 1e-9 else 2 * K[2, :2]
    fraction = np.abs(double - np.rint(double)).max() > 1e-6
    if fraction and np.abs(double - [width, height]).max() <= 1.0:
        return 0, 0
    if (
        not np.isfinite([width, height]).all()
        or abs(width - round(width)) > 1e-6
        or abs(height - round(height)) > 1e-6
        or min(width, height) < 0
    ):
        raise CalibrationError(f"picture size of {where} is no number of pixels", got=_short(value))
    return round(width), round(height)


def count_of(value: Any, what: str) -> int:
    """A number of pixels, rows or columns as an int, cut to whole ones.

    Raises:
        CalibrationError: no number, below zero, or without end.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not 0 <= number < 2**31:
        raise CalibrationError(f"{what} is no number of pixels, rows or columns", got=_short(value))
    return int(number)


def _whole(value: Any, where: str) -> list[float]:
    try:
        return [float(number) for number in np.ravel(np.asarray(value))]
    except ValueError as error:
        raise CalibrationError(
            f"picture size of {where} is not two numbers",
            got=_short(value),
            expected="[width, height]",
            likely="numpy numbers written as text (numpy 2 prints np.int64(...))",
            hint="write the two numbers by hand, or calibrate again with an older numpy",
        ) from error


def natural_key(name: str) -> list:
    """Key that sorts Camera2 before Camera10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", str(name)) if part]


def camera_names(given: Sequence[Any], fallback: Iterable[str]) -> list[str]:
    """Names of cameras; a missing or empty one, or the text "None", is replaced by its place in `fallback`."""
    return [
        str(other) if name is None or str(name).strip() in ("", "None", "null") else str(name)
        for name, other in zip(given, fallback, strict=True)
    ]
