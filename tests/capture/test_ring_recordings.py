"""Whole audits of one virtual recording under calibrations that real tools wrote for it (default degradations on)."""

from __future__ import annotations

import pytest

from mousefacelift.capture.audit import audit
from mousefacelift.capture.config import AuditConfig, RecordingSource
from mousefacelift.capture.recording import open_recording
from mousefacelift.cli import main
from mousefacelift.errors import CalibrationError

pytestmark = pytest.mark.slow

CONFIG = (
    '{"virtual": {"frames": 16, "variants": "distorted", "rig": "ring", "cameras": 6, "width": 288, "height": 256, '
    '"noise": 0}}'
)


@pytest.fixture(scope="module")
def ring(shared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ring") / "ring6"
    assert main(["virtual", "record", "--recording", "ring6", "--out", str(folder), "--config-json", CONFIG]) in (
        0,
        None,
    )
    for name in ("03_crop_offset", "04_opencv_yaml_fisheye", "05_calibcam_fisheye_and_omni", "14_arbitrary_scale"):
        (folder / name).symlink_to(shared / "fixtures/real_files" / name)
    return folder


def audited(folder, calibration, **source):
    source = RecordingSource(
        frames=(0, 16), videos="videos/{camera}", masks="masks/{camera}", calibration=calibration, **source
    )
    return audit(open_recording("ring6", folder, source), source, AuditConfig())


@pytest.mark.parametrize(
    "calibration",
    [
        "03_crop_offset/calibration_for_recording_ring6.toml",
        "04_opencv_yaml_fisheye/calibration_for_recording_ring6",
        "05_calibcam_fisheye_and_omni/for_recording_ring6.npy",
    ],
)
def test_the_true_lens_is_read_and_nothing_is_corrected(ring, calibration):
    report = audited(ring, calibration).report
    assert report["tangency"] < 0.002 and report["refinement"]["kind"] == "off"
    assert min(camera["hull_iou"] for camera in report["cameras"]) > 0.97


def test_an_arbitrary_scale_is_never_taken_for_metres(ring):
    for name in ("sparse_animal_reported_326mm", "sparse_unit_not_clear"):
        with pytest.raises(CalibrationError, match="length_mm"):
            audited(ring, f"14_arbitrary_scale/{name}")
        report = audited(ring, f"14_arbitrary_scale/{name}", length_mm=103.0).report
        assert report["animal"]["length_mm"] == pytest.approx(103.0)
    with pytest.raises(CalibrationError, match="unit: mm gives an animal of"):
        audited(ring, "14_arbitrary_scale/sparse_unit_not_clear", unit="mm")
