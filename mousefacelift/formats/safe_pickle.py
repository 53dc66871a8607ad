"""A pickle reader that can only make numbers: arrays, scalars and plain containers, no code."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from mousefacelift.errors import CalibrationError

ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("collections", "OrderedDict"),
    ("_codecs", "encode"),
}


class _NumbersOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise CalibrationError(
                "pickle asks for more than numbers and is refused",
                got=f"{module}.{name}",
                likely="not a calibration, or a file that runs code when it is opened",
            )
        return super().find_class(module, name)


def load_numbers(source: str | Path | bytes) -> Any:
    """Content of a pickle that holds only numpy arrays, numbers, text and containers.

    Raises:
        CalibrationError: not a pickle, or one that names any other class or function.
    """
    data = source if isinstance(source, bytes) else Path(source).read_bytes()
    try:
        return _NumbersOnly(io.BytesIO(data), encoding="latin1").load()
    except (
        pickle.UnpicklingError,
        EOFError,
        IndexError,
        KeyError,
        ValueError,
        ImportError,
        TypeError,
        AttributeError,
        MemoryError,
        OverflowError,
        SystemError,  # numpy, from a damaged state of a dtype
    ) as error:
        raise CalibrationError(
            "file is not a readable pickle", got=f"{type(error).__name__}: {error}", likely="a truncated download"
        ) from error


def load_object_array(path: Path) -> Any:
    """Content of a .npy file; an object array (a pickle) passes `load_numbers`, and a single object is unwrapped.

    Raises:
        CalibrationError: no .npy file, or a pickle that asks for more than numbers.
    """
    content = array_of_bytes(Path(path).read_bytes(), str(path))
    return content.item() if isinstance(content, np.ndarray) and content.ndim == 0 else content


def array_of_bytes(data: bytes, where: str) -> Any:
    """The array of a .npy file's bytes, or the content of its pickle."""
    try:
        stream = io.BytesIO(data)
        version = np.lib.format.read_magic(stream)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        dtype = header(stream)[2]
        if not dtype.hasobject:
            return np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise CalibrationError(f"{where} is no .npy file", got=str(error), likely="a truncated file") from error
    return load_numbers(stream.read())
