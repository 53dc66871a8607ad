"""A pickle reader that can only make numbers: arrays, scalars and plain containers, no code."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

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
    except (pickle.UnpicklingError, EOFError, IndexError, KeyError, ValueError, ImportError) as error:
        raise CalibrationError(
            "file is not a readable pickle", got=f"{type(error).__name__}: {error}", likely="a truncated download"
        ) from error
