"""Files of other cameras, of other rates, without a rate or with labels for masks: named for what they are."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from mousefacelift.capture.audit import audit
from mousefacelift.capture.config import AuditConfig, LocateConfig, RecordingSource
from mousefacelift.capture.locate import locate_recording
from mousefacelift.capture.order import _grow
from mousefacelift.capture.readers import opencv_json
from mousefacelift.capture.recording import open_recording
from mousefacelift.capture.sources import open_source
from mousefacelift.core.video import write_mp4
from mousefacelift.errors import CalibrationError, ConfigError, DataError
from tests.capture.scenes import random_rig, raw, write_recording

FRAMES = 18
SOURCE = RecordingSource(frames=(0, FRAMES))


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """Folder of a recording by six cameras of one picture size, with lenses that differ."""
    folder = tmp_path_factory.mktemp("six")
    cameras = [replace(camera, width=288, height=256) for camera in random_rig(3, 6, 288)]
    write_recording(folder, cameras, FRAMES, seed=3)
    opencv_json.write(folder / "cameras.json", raw(cameras))
    return folder


def rearranged(folder, target, order, kinds=("videos", "masks")):
    """A copy of the recording in which file v is that of camera order[v]."""
    target.mkdir()
    shutil.copy(folder / "cameras.json", target)
    for kind in ("videos", "masks"):
        (target / kind).mkdir()
        for place, file in enumerate(order if kind in kinds else range(len(order))):
            os.symlink(folder / kind / f"{file}.mp4", target / kind / f"{place}.mp4")
    return target


def audited(folder):
    return audit(open_recording("r", folder, SOURCE), SOURCE, AuditConfig())


@pytest.mark.parametrize("order", [(1, 0, 2, 3, 4, 5), (1, 2, 3, 4, 5, 0), (3, 5, 4, 0, 2, 1)])
def test_files_in_another_order_than_the_calibration_are_named(filmed, tmp_path, order):
    folder = rearranged(filmed, tmp_path / "r", order)
    with pytest.raises(CalibrationError, match="belong to other cameras") as caught:
        audited(folder)
    names = [camera.name for camera in open_recording("r", folder, SOURCE).cameras]
    said = str(caught.value)
    for place, camera in enumerate(order):
        assert (f"{place}.mp4 is camera {names[camera]}'s" in said) == (place != camera)


def test_orders_of_an_even_ring_fit_alike():
    """Files agree where they lie as many steps apart as their cameras: a ring that is turned."""
    steps = np.arange(5)
    apart = (steps[:, None] - steps[None]) % 5
    errors = np.where(apart[:, None, :, None] == apart[None, :, None, :], 0.3, 9.0)
    errors[2, 4, 3, 0] = errors[3, 0, 2, 4] = 0.29
    cost, order, alike = _grow(errors, np.ones((5, 5), bool))
    assert order == [2, 3, 4, 0, 1] and alike == 4 and cost == pytest.approx(0.299)
    errors[0, 0] = errors[:, :, 0, 0] = 9.0  # camera 0 did not film file 0
    assert _grow(errors, np.ones((5, 5), bool))[2] == 3
    assert _grow(errors, np.eye(5, dtype=bool))[1:] == ([0, 1, 2, 3, 4], 0)


def test_the_right_order_is_no_cause_of_anything_else(filmed, tmp_path):
    """A camera that is turned: no order of the files explains it, and none is named."""
    folder = rearranged(filmed, tmp_path / "r", range(6))
    cameras = opencv_json.read(folder / "cameras.json")
    angle = np.radians(12)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    bad = replace(cameras[2], R=turn @ np.asarray(cameras[2].R), t=turn @ np.asarray(cameras[2].t).ravel())
    opencv_json.write(folder / "cameras.json", [*cameras[:2], bad, *cameras[3:]])
    with pytest.raises(CalibrationError) as caught:
        audited(folder)
    assert "belong to other cameras" not in str(caught.value) and cameras[2].name in str(caught.value)


def test_pictures_cropped_after_the_calibration_are_named(filmed, tmp_path):
    """The calibration is that of pictures with 24 px more on the left and 6 px more above."""
    folder = rearranged(filmed, tmp_path / "r", range(6))
    more = np.array([[0, 0, 24.0], [0, 0, 6], [0, 0, 0]])
    whole = [replace(c, K=np.asarray(c.K) + more, width=0, height=0) for c in opencv_json.read(folder / "cameras.json")]
    opencv_json.write(folder / "cameras.json", whole)
    with pytest.raises(CalibrationError, match="cropped after the calibration") as caught:
        audited(folder)
    left = float(re.search(r"moved by \((-?\d+),", str(caught.value))[1])
    assert abs(left + 24) <= 4


def test_distortion_in_another_order_is_named(filmed, tmp_path):
    """A real lens with k3 = -2.7 in OpenCV's order, read from k1 k2 k3 p1 p2."""
    folder, swapped = rearranged(filmed, tmp_path / "r", range(6)), [-0.159, 0.940, -2.712, -0.001, -0.004]
    cameras = [replace(c, distortion=np.array(swapped)) for c in opencv_json.read(folder / "cameras.json")]
    opencv_json.write(folder / "cameras.json", cameras)
    with pytest.raises(CalibrationError, match="folds its picture"):
        audited(folder)


def test_a_calibrated_camera_that_did_not_film_can_be_left_out(filmed, tmp_path):
    folder = rearranged(filmed, tmp_path / "r", range(6))
    for kind in ("videos", "masks"):
        (folder / kind / "2.mp4").unlink()
    name = opencv_json.read(folder / "cameras.json")[2].name
    with pytest.raises(DataError, match="lacks the video") as caught:
        open_recording("r", folder, SOURCE)
    assert f"drop_cameras: ['{name}']" in str(caught.value)
    source = replace(SOURCE, drop_cameras=(name,))
    rig = audit(open_recording("r", folder, source), source, AuditConfig())
    assert [camera.name for camera in rig.cameras] == [
        c.name for c in opencv_json.read(folder / "cameras.json") if c.name != name
    ]


def test_a_camera_of_twice_the_rate_is_named(filmed, tmp_path):
    folder = rearranged(filmed, tmp_path / "r", range(6))
    for kind in ("videos", "masks"):
        reader = open_source(filmed / kind / "4.mp4")
        (folder / kind / "4.mp4").unlink()
        pictures = (reader.read(frame // 2).rgb() for frame in range(2 * FRAMES))
        write_mp4(folder / kind / "4.mp4", pictures, 2 * reader.fps, crf=4)
    with pytest.raises(CalibrationError, match="different rates") as caught:
        audited(folder)
    assert str(caught.value).count(f"{2 * FRAMES} frames") == 1


def test_a_label_of_one_in_a_mask_video_is_named(filmed, tmp_path):
    folder = rearranged(filmed, tmp_path / "r", range(6))
    reader = open_source(filmed / "masks/1.mp4")
    (folder / "masks/1.mp4").unlink()
    dark = (reader.read(frame).rgb() // 4 for frame in range(FRAMES))
    write_mp4(folder / "masks/1.mp4", dark, reader.fps, crf=4)
    with pytest.raises(DataError, match="mostly empty") as caught:
        audited(folder)
    assert "brightest pixel of three has 6" in str(caught.value) and "white (255)" in str(caught.value)


def test_a_recording_of_unknown_rate_is_audited_and_not_located(toy, toy_rig):
    with pytest.raises(ConfigError, match=r"set recordings\.toy\.fps"):
        locate_recording(replace(toy_rig, fps=0.0), toy[2], LocateConfig())


@pytest.mark.parametrize(("kind", "blamed"), [("videos", "a video that was cut short"), ("masks", "stopped early")])
def test_the_shorter_of_video_and_masks_is_blamed(filmed, tmp_path, kind, blamed):
    folder = rearranged(filmed, tmp_path / "r", range(6))
    reader = open_source(filmed / kind / "1.mp4")
    (folder / kind / "1.mp4").unlink()
    write_mp4(folder / kind / "1.mp4", (reader.read(frame).rgb() for frame in range(FRAMES - 3)), reader.fps, crf=4)
    with pytest.raises(DataError, match=blamed):
        audited(folder)
