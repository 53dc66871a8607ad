"""What a calibration format is, for the list that `mousefacelift capture readers` prints."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class About:
    """One format.

    Args:
        tool: who writes it.
        checked: version that was run, and how: "1.0.0" was installed and wrote the rig, "file" was a file of its users.
        unit: of the translations; "stated" when the file says it, "open" when it does not (the animal's size decides).
        direction: what the stored pose maps, and how it is stored.
        pixels: where the first pixel's centre lies.
        holds: what the files are called and what is in them.
    """

    tool: str
    checked: str
    unit: str
    direction: str
    pixels: str
    holds: str
