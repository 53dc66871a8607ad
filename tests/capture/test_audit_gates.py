"""The audit refuses what silhouettes alone would let pass: large corrections, and bodies that are no such animal."""

from types import SimpleNamespace

import pytest

from mousefacelift.capture.audit_gates import require_likely_animal, require_small_corrections
from mousefacelift.capture.config import AuditConfig
from mousefacelift.errors import CalibrationError

RECORDING = SimpleNamespace(name="r", cameras=[SimpleNamespace(name=name) for name in "abc"])
NO_FAULTS = SimpleNamespace(says=["", "", ""])


def moved(*pixels):
    return {"cameras": [{"applied_shift_px": [p, 0.0]} for p in pixels]}


def body(length_mm, volume_cm3):
    return {"animal": {"length_mm": length_mm, "hull_volume_cm3": volume_cm3}}


def test_a_rig_that_agrees_only_after_large_moves_is_refused():
    """Three true cameras whose masks held the bedding passed after moves of 83, 22 and 54 px of 1280."""
    with pytest.raises(CalibrationError, match="a by 83 px"):
        require_small_corrections(moved(83, 22, 54), 1280.0, AuditConfig(), RECORDING, NO_FAULTS)
    require_small_corrections(moved(13, 9, 2), 1152.0, AuditConfig(), RECORDING, NO_FAULTS)


def test_the_reason_is_the_masks_where_they_are_known_to_be_wrong():
    faults = SimpleNamespace(says=["", "its masks lack parts", ""])
    with pytest.raises(CalibrationError, match="camera b: its masks lack parts"):
        require_small_corrections(moved(83, 22, 54), 1280.0, AuditConfig(), RECORDING, faults)


@pytest.mark.parametrize("length_mm, volume_cm3", [(275, 366), (120, 2), (900, 40), (10, 20)])
def test_a_body_that_no_mouse_has_is_refused(length_mm, volume_cm3):
    with pytest.raises(CalibrationError, match="no such animal"):
        require_likely_animal(body(length_mm, volume_cm3), AuditConfig(), RECORDING)


def test_mice_pass_and_rats_do_when_they_are_asked_for():
    for length, volume in ((154, 38), (60, 27), (66, 29)):
        require_likely_animal(body(length, volume), AuditConfig(), RECORDING)
    rats = AuditConfig(animal_volume_cm3=(250.0, 700.0))
    require_likely_animal(body(360, 420), rats, RECORDING)
