"""A folder of image files, one per frame, in the natural order of their names: pictures, or masks of any kind.

PNG, TIFF, JPEG, BMP, turned as their EXIF orientation says. As masks, a palette picture (SAM 2, DAVIS) holds object
numbers; others are grey, labels or colours.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mousefacelift.capture.sources.objects import silhouette
from mousefacelift.capture.sources.picture import Picture, picture_of_grey, picture_of_photo, picture_of_rgb
from mousefacelift.errors import DataError
from mousefacelift.formats.entries import natural_key

SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")


def image_files(path: Path) -> list[Path]:
    """The image files of a folder in natural order."""
    found = [p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
    return sorted(found, key=lambda p: natural_key(p.name))


class ImageReader:
    """Frames of one camera from image files: its pictures where `film`, else its masks.

    Raises:
        DataError: names whose numbers leave out a frame, sizes that differ, or a file that is no image.
    """

    def __init__(self, path: Path, wanted: int = 0, film: bool = False) -> None:
        self.path, self.wanted, self.film, self.fps = path, wanted, film, 0.0
        self._files = image_files(path)
        self.frames = len(self._files)
        _require_consecutive(self._files, path)
        with _opened(self._files[0]) as image:
            self.width, self.height = image.size

    @staticmethod
    def matches(path: Path) -> bool:
        return path.is_dir() and path.suffix != ".zarr" and bool(image_files(path))

    def read(self, index: int) -> Picture:
        """Picture or mask `index`."""
        if not 0 <= index < self.frames:
            raise DataError(f"folder {self.path} has no picture {index}", got=f"{self.frames} pictures")
        file = self._files[index]
        with _opened(file) as image:
            if image.size != (self.width, self.height):
                raise DataError(
                    f"picture {file} has another size than the first of its folder",
                    got=f"{image.size[0]}x{image.size[1]}",
                    expected=f"{self.width}x{self.height}",
                )
            try:
                if self.film:
                    return picture_of_photo(_photo(image), str(file))
                if image.mode in ("RGB", "YCbCr") and self.wanted == 0:
                    rgb = np.asarray(image.convert("RGB"))
                    if not _is_label_picture(rgb):
                        return picture_of_rgb(rgb)
                array = np.asarray(image)
            except (OSError, ValueError, SyntaxError) as error:
                raise DataError(f"picture {file} cannot be read", got=str(error), likely="a truncated file") from error
            return picture_of_grey(silhouette(array, self.wanted, str(file), labels=image.mode == "P"))

    def close(self) -> None:
        """Nothing stays open."""


def _photo(image: Image.Image) -> np.ndarray:
    """[H, W] or [H, W, C] as the picture looks: colours of a palette, ink as light."""
    deep = image.mode.startswith(("I", "F"))
    return np.asarray(image if deep or image.mode in ("L", "LA", "RGB", "RGBA") else image.convert("RGB"))


def _is_label_picture(rgb: np.ndarray) -> bool:
    """Whether a colour picture is a drawn mask: black, and flat colours without edges between."""
    small = rgb[::7, ::7].reshape(-1, 3)
    return (small == 0).all(1).mean() > 0.2 and len(np.unique(small, axis=0)) <= 8


def _opened(file: Path) -> Image.Image:
    try:
        image = Image.open(file)
        ImageOps.exif_transpose(image, in_place=True)
        return image
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError) as error:
        raise DataError(f"picture {file} cannot be read", got=str(error), likely="a truncated file") from error


def _require_consecutive(files: list[Path], path: Path) -> None:
    """Frame numbers in the names must rise by one (or one constant step): a lost file would shift all later ones."""
    numbers = [re.findall(r"\d+", file.stem) for file in files]
    if len(files) < 3 or not all(numbers):
        return
    steps = np.diff([int(found[-1]) for found in numbers])
    if len(set(steps.tolist())) > 1:
        worst = int(np.argmax(steps != np.median(steps)))
        raise DataError(
            f"pictures of folder {path} are not numbered without gaps",
            got=f"{files[worst].name} is followed by {files[worst + 1].name}",
            expected="one file per frame",
            likely="frames without the animal were not saved, or a copy that was cut off",
            hint="write an empty (black) mask for such frames",
        )
