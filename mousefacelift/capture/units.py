"""How many millimetres a calibration's unit has: stated by the user, stated by the file, or told by the animal."""

from __future__ import annotations

from mousefacelift.capture.config import RecordingSource
from mousefacelift.errors import CalibrationError

UNITS = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
ARBITRARY = ("colmap", "nerfstudio_json", "multicamselfcal")  # structure from motion: any scale is as good as another


def choose_unit(
    length: float, allowed: tuple[float, float], stated: float | None, source: RecordingSource, calibration: str = ""
) -> tuple[str, float]:
    """Name and size in mm of the calibration's unit; the animal that comes out must be of a plausible size.

    Args:
        length: the animal's length in the calibration's unit.
        allowed: smallest and largest plausible length, mm.
        stated: mm per unit as the file says, or None.
        source: what the user says: unit, mm_per_unit or length_mm.
        calibration: format; some have a scale that means nothing, which is then never guessed.
    Raises:
        CalibrationError: no unit makes the animal's length plausible, or none was given where the scale is arbitrary.
    """
    if source.length_mm:
        return _believed(f"{source.length_mm / length:.6g} mm", source.length_mm / length, length, allowed, "length_mm")
    if source.mm_per_unit:
        return _believed(f"{source.mm_per_unit:.6g} mm", source.mm_per_unit, length, allowed, "mm_per_unit")
    if source.unit != "auto":
        return _believed(source.unit, UNITS[source.unit], length, allowed, f"unit: {source.unit}")
    fits = {name: size for name, size in UNITS.items() if allowed[0] <= length * size <= allowed[1]}
    named = next((name for name, size in UNITS.items() if size == stated), None)
    if named in fits:
        return named, UNITS[named]
    if stated is None and calibration in ARBITRARY:
        raise CalibrationError(
            f"scale of a {calibration} calibration is arbitrary, and nothing says how large it is",
            got=f"an animal of {length:.4g} units",
            expected="one length in millimetres",
            hint="set length_mm (the animal, nose to tail tip) or mm_per_unit (a known distance in mm over the same "
            "distance in the calibration) for the recording; unit: mm, cm or m if it was scaled to one",
        )
    if len(fits) != 1:
        raise CalibrationError(
            "unit of the calibration is not clear",
            got=f"an animal of {length:.4g} units" + (f", stated to be {named}" if named else ""),
            expected=f"{allowed[0]:g} to {allowed[1]:g} mm in mm, cm or m",
            hint="set unit, mm_per_unit or length_mm for the recording, or capture.audit.animal_length_mm",
        )
    return next(iter(fits.items()))


def _believed(name: str, size: float, length: float, allowed: tuple[float, float], key: str) -> tuple[str, float]:
    if not allowed[0] <= length * size <= allowed[1]:
        raise CalibrationError(
            f"{key} gives an animal of {length * size:.4g} mm",
            got=f"{length:.4g} units of {size:.6g} mm",
            expected=f"{allowed[0]:g} to {allowed[1]:g} mm (capture.audit.animal_length_mm)",
            likely="another unit, or a calibration of arbitrary scale",
            hint="set length_mm (the animal, nose to tail tip) or mm_per_unit for the recording instead",
        )
    return name, size
