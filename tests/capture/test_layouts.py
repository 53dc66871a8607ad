"""Whole audits of recordings laid out otherwise: pieces, stamps, resized videos, frames to leave out."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from mousefacelift.capture.audit import audit, audited_frames
from mousefacelift.capture.clip import Clip
from mousefacelift.capture.config import AuditConfig, RecordingSource
from mousefacelift.capture.explain import undistorted_lenses
from mousefacelift.capture.lens import Lens
from mousefacelift.capture.readers import opencv_json
from mousefacelift.capture.recording import open_recording
from mousefacelift.capture.sources import open_source
from mousefacelift.core.video import write_mp4
from mousefacelift.errors import CalibrationError, DataError
from tests.capture.scenes import random_rig, raw, write_recording


def test_only_the_frames_that_a_recording_uses_are_audited(shared):
    folder = shared / "fixtures/real_files/b_audit_ignores_frames/recording"
    source = RecordingSource(frames=(14, 28), variant="undistorted")
    rig = audit(open_recording("r", folder, source), source, AuditConfig())
    assert rig.report["tangency"] < 0.012
    with pytest.raises(DataError, match="mostly empty"):
        source = replace(source, frames=(0, 40))
        audit(open_recording("r", folder, source), source, AuditConfig())
    frames = audited_frames(RecordingSource(frames=(5, 20), exclude=(7, 8)), 18, AuditConfig())
    assert frames.tolist() == [5, 6, *range(9, 18)]


def test_a_late_camera_is_found_by_its_time_stamps_and_silhouettes_agree(toy, toy_rig, tmp_path):
    folder, cameras, source = toy
    shutil.copytree(folder, tmp_path / "r", dirs_exist_ok=True)
    (tmp_path / "r/stamps").mkdir()
    late = 3
    for index in range(len(cameras)):
        first = late if index == 1 else 0
        count = open_source(folder / f"videos/{index}.mp4").frames - first
        rows = "\n".join(str(first + row) for row in range(count))
        (tmp_path / f"r/stamps/{index}.csv").write_text(f"frame_id\n{rows}\n")
        if first:
            for kind in ("videos", "masks"):
                reader = open_source(folder / kind / f"{index}.mp4")
                write_mp4(
                    tmp_path / "r" / kind / f"{index}.mp4",
                    (reader.read(row + first).rgb() for row in range(count)),
                    reader.fps,
                    crf=4,
                )
    source = replace(source, timestamps="stamps/{camera}.csv")
    rig = audit(open_recording("toy", tmp_path / "r", source), source, AuditConfig())
    assert rig.offsets[1] == [[0, 0]] and rig.offsets[0] == [[0, late]] and rig.frames == toy_rig.frames - late
    assert all(rig.file_frame(v, 2) == (2 if v == 1 else 2 + late) for v in range(len(cameras)))


def test_videos_resized_after_the_calibration_explain_themselves(toy, tmp_path):
    folder, cameras, source = toy
    doubled = [
        replace(camera, K=camera.K * [[2, 2, 2], [2, 2, 2], [1, 1, 1]], width=0, height=0) for camera in raw(cameras)
    ]
    shutil.copytree(folder, tmp_path / "r", dirs_exist_ok=True)
    opencv_json.write(tmp_path / "r/cameras.json", doubled)
    with pytest.raises(CalibrationError, match="resized") as caught:
        audit(open_recording("toy", tmp_path / "r", source), source, AuditConfig())
    assert "0.5" in str(caught.value)
    sized = [replace(c, width=2 * t.width, height=2 * t.height) for c, t in zip(doubled, cameras)]
    opencv_json.write(tmp_path / "r/cameras.json", sized)
    with pytest.raises(DataError, match="resized by 0.5"):
        audit(open_recording("toy", tmp_path / "r", source), source, AuditConfig())


def test_videos_undistorted_after_the_calibration_are_named(tmp_path):
    K = np.array([[300.0, 0, 148.5], [0, 302.0, 122.5], [0, 0, 1]])
    bent, source = Lens(K, np.array([-0.25, 0.1, 0, 0, 0])), RecordingSource(frames=(0, 18))
    new = undistorted_lenses([bent], Clip([(288, 256)], [18], 10.0))["the K of all pixels kept"][0]
    assert new.K[0, 0] < 0.92 * K[0, 0]
    filmed = [replace(camera, lens=new, width=288, height=256) for camera in random_rig(5, 5, 288)]
    write_recording(tmp_path, filmed, 18, seed=5)
    for lens, words in ((bent, "distorted pictures, its videos are undistorted"), (Lens(K), "one focal factor")):
        opencv_json.write(tmp_path / "cameras.json", raw([replace(camera, lens=lens) for camera in filmed]))
        with pytest.raises(CalibrationError, match=words):
            audit(open_recording("toy", tmp_path, source), source, AuditConfig())
    opencv_json.write(tmp_path / "cameras.json", raw(filmed))
    assert audit(open_recording("toy", tmp_path, source), source, AuditConfig()).report["tangency"] < 0.006


def test_masks_as_pictures_give_the_same_rig(toy, toy_rig, tmp_path):
    from PIL import Image

    folder, cameras, source = toy
    shutil.copytree(folder, tmp_path / "r", ignore=shutil.ignore_patterns("masks"))
    for index in range(len(cameras)):
        reader = open_source(folder / f"masks/{index}.mp4")
        place = tmp_path / f"r/png/{index}"
        place.mkdir(parents=True)
        for frame in range(reader.frames):
            Image.fromarray(reader.read(frame).luma()).save(place / f"{frame:05d}.png")
    source = replace(source, videos="videos/{camera}.mp4", masks="png/{camera}", calibration="cameras.json")
    rig = audit(open_recording("toy", tmp_path / "r", source), source, AuditConfig())
    for ours, theirs in zip(rig.cameras, toy_rig.cameras):
        np.testing.assert_allclose(ours.lens.K, theirs.lens.K, atol=1.0)
