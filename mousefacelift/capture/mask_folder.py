"""The folder of masks that are made: what lies in it was made for what is asked, or is thrown away."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from mousefacelift.core.files import json_text, write_text


def keep_made_for(folder: Path, wanted: dict) -> None:
    """Empty `folder` unless its `used.json` says that its files were made for `wanted`; then it says so."""
    stated = folder / "used.json"
    if not (stated.is_file() and json.loads(stated.read_text()) == wanted):
        shutil.rmtree(folder, ignore_errors=True)
        write_text(stated, json_text(wanted))
