"""The real cylinder recording of ../shared: what its five cameras and threshold masks are like is said, not hidden."""

from dataclasses import replace

import pytest

from mousefacelift.capture.audit import audit
from mousefacelift.capture.config import AuditConfig, RecordingSource
from mousefacelift.capture.recording import open_recording

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cylinder(shared):
    folder = shared / "data" / "real_cylinder_mouse"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data/real_cylinder_mouse")
    return folder


def test_the_audit_names_the_camera_whose_masks_lack_half_of_the_animal(cylinder):
    source = RecordingSource(path=str(cylinder), frames=(0, 64))
    report = audit(open_recording("cylinder", cylinder, source), source, AuditConfig()).report
    said = {row["name"]: row["masks"] for row in report["cameras"]}
    assert "lack parts" in said.pop("CameraU") and not any(said.values())
    assert min(row["fit"] - row["chance"] for row in report["pictures"]) > 0.1


def test_without_it_the_cameras_are_true_and_the_animal_is_whole(cylinder):
    source = replace(RecordingSource(path=str(cylinder), frames=(0, 64)), drop_cameras=("CameraU",))
    report = audit(open_recording("cylinder", cylinder, source), source, AuditConfig()).report
    assert report["tangency"] < 0.004 and min(row["hull_iou"] for row in report["cameras"]) > 0.93
    assert 24 < report["animal"]["hull_volume_cm3"] < 32 and report["refinement"]["kind"] in ("off", "masks")
