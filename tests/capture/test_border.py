"""The border of an undistortion is seen for what it is; dark rooms and letterboxes are not taken for one."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mousefacelift.capture.audit import audit
from mousefacelift.capture.border import SAME, border_agreement, predicted_border
from mousefacelift.capture.clip import Clip
from mousefacelift.capture.config import AuditConfig, RecordingSource
from mousefacelift.capture.explain import ALL_KEPT, undistorted_lenses
from mousefacelift.capture.lens import Lens
from mousefacelift.capture.readers import opencv_json
from mousefacelift.capture.recording import open_recording
from mousefacelift.capture.sources import open_source
from mousefacelift.core.video import write_mp4
from mousefacelift.errors import CalibrationError
from tests.capture.scenes import random_rig, raw, write_recording

SIZE = (288, 256)
LENS = Lens(np.array([[412.0, 0, 150.5], [0, 414.0, 122.5], [0, 0, 1]]), np.array([-0.16, 0.05, 0.001, -0.002, 0]))


@pytest.fixture(scope="module")
def kept():
    return undistorted_lenses([LENS], Clip([SIZE], [1], 10.0))[ALL_KEPT][0]


def agreement(folder, kept, pictures):
    for view in "ab":
        write_mp4(folder / f"{view}.mp4", pictures, 10.0, crf=18)
    videos = [str(folder / f"{view}.mp4") for view in "ab"]
    return border_agreement(videos, [LENS] * 2, [kept] * 2, [SIZE] * 2, range(3))


def test_what_opencvs_undistortion_leaves_black_is_the_predicted_border(kept, tmp_path):
    K, new = (lens.K - [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]] for lens in (LENS, kept))
    room = np.random.default_rng(0).integers(30, 220, (3, SIZE[1], SIZE[0], 3)).astype(np.uint8)
    undistorted = [cv2.undistort(picture, K, LENS.distortion, None, new) for picture in room]
    black = (undistorted[0] == 0).all(-1)
    expected = predicted_border(LENS, kept, SIZE)
    assert black.mean() > 0.01 and (black & expected).sum() > 0.8 * (black | expected).sum()
    assert agreement(tmp_path, kept, undistorted) > SAME


def test_a_lens_without_a_new_matrix_is_passed_over():
    folded = Lens(np.diag([412.0, 412.0, 1]) + [[0, 0, 144], [0, 0, 128], [0, 0, 0]], np.array([-3.0, 0, 0, 0, 0]))
    for lens in (LENS, folded):
        lenses = undistorted_lenses([lens], Clip([SIZE], [1], 10.0))
        assert "the same K" in lenses and all(np.isfinite(found[0].K).all() for found in lenses.values())


def test_bars_dark_rooms_and_pictures_as_they_were_filmed_are_no_such_border(kept, tmp_path):
    rng = np.random.default_rng(1)
    filmed = rng.integers(30, 220, (3, SIZE[1], SIZE[0], 3)).astype(np.uint8)
    bars, dark = filmed.copy(), np.zeros_like(filmed)
    bars[:, :20] = bars[:, -20:] = 0
    dark[:, 60:200, 60:220] = filmed[:, 60:200, 60:220]
    for name, pictures in (("filmed", filmed), ("bars", bars), ("dark", dark)):
        (tmp_path / name).mkdir()
        assert agreement(tmp_path / name, kept, list(pictures)) < 0.4, name


def test_the_audit_refuses_distortion_on_videos_that_show_the_border_of_its_removal(kept, tmp_path):
    cameras = [replace(camera, lens=LENS, width=SIZE[0], height=SIZE[1]) for camera in random_rig(5, 4, SIZE[0])]
    write_recording(tmp_path, cameras, 8, seed=5)
    opencv_json.write(tmp_path / "cameras.json", raw(cameras))
    source = RecordingSource(frames=(0, 8))
    audit(open_recording("toy", tmp_path, source), source, AuditConfig())
    border = predicted_border(LENS, kept, SIZE)[..., None]
    for view in range(len(cameras)):
        reader = open_source(tmp_path / f"videos/{view}.mp4")
        pictures = [np.where(border, 0, np.maximum(reader.read(frame).rgb(), 12)) for frame in range(reader.frames)]
        reader.close()
        write_mp4(tmp_path / f"videos/{view}.mp4", [picture.astype(np.uint8) for picture in pictures], 10.0, crf=10)
    with pytest.raises(CalibrationError, match="black border is the one that undistorting"):
        audit(open_recording("toy", tmp_path, source), source, AuditConfig())
