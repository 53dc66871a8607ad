"""What can be told of a recording's own files without reading them: a replaced file has another size or time.

The Snakefile records it with every job that reads the recording, so that a changed video, mask or calibration reruns
that recording and `snakemake -n` says which file changed. Nothing here imports numpy or torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from pathlib import Path

SUFFIXES = frozenset(  # videos, masks, calibrations; notes and spreadsheets beside them change nothing
    ".mp4 .avi .mkv .mov .m4v .webm .mpg .mpeg .wmv .h264 .h265 .png .jpg .jpeg .tif .tiff .bmp .npy .npz .h5 .hdf5"
    " .zarr .json .toml .yaml .yml .pkl .pickle .mat .xml .txt .bin".split()
)
MANY = 40  # files of one folder that are told one by one; of more, their number, size and newest time


@cache
def recording_files(folder: str) -> dict[str, str]:
    """{path inside the folder: 'SIZE bytes, TIME'} of a recording's files; folders of many files are one entry.

    Hidden files and folders, `results` and files of other kinds are left out. A folder that is not there has none.
    """
    found: dict[str, str] = {}
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "results")
        paths = [Path(parent, name) for name in sorted(names) if Path(name).suffix.lower() in SUFFIXES]
        paths = [path for path in paths if not path.name.startswith(".")]
        inside = os.path.relpath(parent, folder)
        if len(paths) > MANY:
            found[f"{inside}/*"] = describe(paths)
        else:
            found |= {os.path.normpath(os.path.join(inside, path.name)): describe([path]) for path in paths}
    return found


def describe(paths: Iterable[Path]) -> str:
    """Number (if more than one), total size and newest time of change of files; 'missing' for one that is not there."""
    try:
        facts = [path.stat() for path in paths]
    except OSError:
        return "missing"
    newest = max(fact.st_mtime_ns for fact in facts)
    time = datetime.fromtimestamp(newest // 10**9).isoformat(" ") + f".{newest % 10**9:09d}"
    return (f"{len(facts)} files, " if len(facts) > 1 else "") + f"{sum(f.st_size for f in facts)} bytes, {time}"
