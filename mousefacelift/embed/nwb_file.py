"""The embedding as NWB: position, heading and vectors as time series of a processing module "behavior".

Needs the extra `nwb` (pynwb). The session's start is not known to this project: it is written as 1970-01-01 UTC, and
the description says so.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from mousefacelift.core.files import via
from mousefacelift.errors import DataError


def write_nwb(path: Path, whole: pd.DataFrame, recording: str) -> None:
    """Write the table of one recording (one row per frame, see `embed.table`).

    Raises:
        DataError: pynwb is not installed.
    """
    try:
        from pynwb import NWBHDF5IO, NWBFile, TimeSeries
    except ImportError as error:
        raise DataError(
            "an NWB file needs the package pynwb", got=str(error), hint="pip install 'mousefacelift[nwb]'"
        ) from error
    columns, invariant = (
        [name for name in whole.columns if name[0] == letter and name[1:].isdigit()] for letter in "ev"
    )
    known = whole["time_s"].notna().all()
    timing = {"timestamps": whole["time_s"].to_numpy(np.float64)} if known else {"rate": 1.0}
    file = NWBFile(
        session_description=f"embedding of recording {recording}; the session's true start is not known",
        identifier=recording,
        session_start_time=datetime(1970, 1, 1, tzinfo=UTC),
    )
    module = file.create_processing_module("behavior", "reconstructed body, one row per frame")
    model = whole["model"].iat[0]
    parts = [("invariant", whole[invariant].to_numpy(np.float64), "a.u.", "vector without what cameras disagree about")]
    for name, values, unit, text in (
        *(parts if invariant else []),
        ("embedding", whole[columns].to_numpy(np.float64), "a.u.", f"heading-free shape vector, model {model}"),
        ("position", whole[["x", "y", "z"]].to_numpy(np.float64), "mm", "centre of the body in the rig's world, z up"),
        ("heading", whole["heading"].to_numpy(np.float64), "degrees", "from +x toward +y of the canonical world"),
    ):
        module.add(TimeSeries(name=name, data=values, unit=unit, description=text, **timing))
    with via(path, "embedding") as temporary:
        with NWBHDF5IO(str(temporary), "w") as writer:
            writer.write(file)
