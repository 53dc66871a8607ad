"""Masks as arrays: .npy, .npz, HDF5 and zarr with one array [T, H, W] (or [T, N, H, W] of N objects); also pictures
[T, H, W] or [T, H, W, 3].

Read frame by frame: an .npy is mapped, a compressed .npz is inflated as far as it is read, HDF5 and zarr load slices.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from mousefacelift.capture.sources.objects import silhouette
from mousefacelift.capture.sources.picture import Picture, picture_of_grey, picture_of_photo
from mousefacelift.errors import ConfigError, DataError

SUFFIXES = (".npy", ".npz", ".h5", ".hdf5", ".zarr")
NAMES = ("masks", "mask", "segmentation", "segmentations", "silhouettes", "arr_0")


class ArrayReader:
    """Masks of one camera from an array file, or its pictures where `film`.

    Raises:
        DataError: no array that can be masks, or an object number that it does not have.
        ConfigError: HDF5 or zarr without the package that reads it.
    """

    def __init__(self, path: Path, wanted: int = 0, film: bool = False) -> None:
        self.path, self.wanted, self.film, self.fps = path, wanted, film, 0.0
        self._file, self._slices = _open(path)
        shape = self._slices.shape
        if len(shape) == 4 and shape[-1] in (1, 3, 4) and shape[1] > 4:
            shape = shape[:3]  # [T, H, W, C]
        elif len(shape) == 4:
            self._check_objects(shape[1])
            shape = (shape[0], *shape[2:])
        if len(shape) != 3 or 0 in shape:
            raise DataError(f"masks {path} have the wrong shape", got=shape, expected="[frames, height, width]")
        self.frames, self.height, self.width = (int(n) for n in shape)

    @staticmethod
    def matches(path: Path) -> bool:
        return path.suffix.lower() in SUFFIXES and (path.is_file() or path.suffix == ".zarr")

    def read(self, index: int) -> Picture:
        """Mask `index`."""
        if not 0 <= index < self.frames:
            raise DataError(f"masks {self.path} have no frame {index}", got=f"{self.frames} frames")
        try:
            frame = np.asarray(self._slices[index])
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"mask {index} of {self.path} cannot be read", got=str(error)) from error
        where, wanted = f"{self.path} frame {index}", self.wanted
        if self.film and frame.shape[:2] == (self.height, self.width):
            return picture_of_photo(frame, where)
        if frame.ndim == 3 and frame.shape[:2] != (self.height, self.width):
            frame, wanted = frame[max(wanted - 1, 0)], 0
        return picture_of_grey(silhouette(frame, wanted, where))

    def close(self) -> None:
        """Close the file."""
        if hasattr(self._file, "close"):
            self._file.close()

    def _check_objects(self, count: int) -> None:
        if count > 1 and not 1 <= self.wanted <= count:
            raise DataError(
                f"masks {self.path} hold {count} objects",
                got=f"mask_object {self.wanted}",
                expected=f"1 to {count}",
                hint="name the animal's number: mask_object in the recording's config",
            )


def _open(path: Path) -> tuple[Any, Any]:
    """An open file (or None), and what gives a frame for [index]."""
    try:
        if path.suffix == ".npy":
            return None, np.load(path, mmap_mode="r", allow_pickle=False)
        if path.suffix == ".npz":
            slices = InflatedArray(path)
            return slices, slices
        if path.suffix == ".zarr":
            import zarr

            return None, _choose(zarr.open(str(path), mode="r"), path)
        import h5py

        file = h5py.File(path, "r")
        return file, _choose(file, path)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"masks {path} need the package {error.name}, which is not installed",
            hint="pip install 'mousefacelift[files]'",
        ) from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
        raise DataError(f"masks {path} cannot be read", got=str(error), likely="a truncated file") from error


def _choose(file: Any, path: Path) -> Any:
    """The array of a file that may hold several."""
    if hasattr(file, "shape"):
        return file
    arrays = {name: file[name] for name in file if len(getattr(file[name], "shape", ())) in (3, 4)}
    return arrays[_name(list(arrays), path)]


def _name(names: list[str], path: Path) -> str:
    known = [name for name in NAMES if name in names]
    if len(names) == 1 or known:
        return known[0] if known else names[0]
    raise DataError(
        f"{path} does not hold one array of masks",
        got=", ".join(names[:12]) or "no array of three or four axes",
        expected=f"one, or one named {', '.join(NAMES)}",
        hint="save all frames as one array [frames, height, width]: np.savez_compressed(PATH, masks=np.stack(frames))",
    )


class InflatedArray:
    """An array of an .npz, read forward from the compressed stream; going back starts the stream again."""

    def __init__(self, path: Path) -> None:
        self._archive = zipfile.ZipFile(path)
        names = [name.removesuffix(".npy") for name in self._archive.namelist()]
        self._member = f"{_name(names, path)}.npy"
        self._stream, self._next = None, 0
        self._start()
        if self._fortran:
            raise DataError(f"masks {path} are stored in Fortran order", hint="save np.ascontiguousarray")

    def _start(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream, self._next = self._archive.open(self._member), 0
        version = np.lib.format.read_magic(self._stream)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        self.shape, self._fortran, self.dtype = header(self._stream)
        if self.dtype.hasobject:
            raise ValueError("an array of Python objects, which is never executed")

    def __getitem__(self, index: int) -> np.ndarray:
        size = int(np.prod(self.shape[1:])) * self.dtype.itemsize
        if index < self._next:
            self._start()
        while self._next < index:
            self._take(size)
        return np.frombuffer(self._take(size), self.dtype).reshape(self.shape[1:])

    def _take(self, size: int) -> bytes:
        data = self._stream.read(size)
        if len(data) < size:
            raise EOFError("the array ends early")
        self._next += 1
        return data

    def close(self) -> None:
        """Close the archive."""
        self._stream.close()
        self._archive.close()
