"""Cameras that started far apart are brought in step by their silhouettes; what is not found names the key."""

from __future__ import annotations

import numpy as np
import pytest

from mousefacelift.capture.audit import audit
from mousefacelift.capture.clip import inspect_files
from mousefacelift.capture.config import AuditConfig, RecordingSource
from mousefacelift.capture.readers import opencv_json
from mousefacelift.capture.recording import open_recording
from mousefacelift.capture.starts import start_offsets
from mousefacelift.core.video import write_mp4
from mousefacelift.errors import DataError
from tests.capture.conftest import even
from tests.capture.scenes import animal, draw_coverage, random_rig, raw

FPS, FRAMES = 10.0, 180
STARTS = (0, 45, 12, 85)  # frames by which each camera started late


def film(folder, cameras, starts, frames=FRAMES, seed=3):
    """Videos of one walk; camera v's first picture is of frame starts[v]."""
    for v, (camera, start) in enumerate(zip(cameras, starts)):
        masks = [draw_coverage(camera, animal(t / FPS, seed)) for t in range(start, frames)]
        shade = np.linspace(60, 200, camera.width)[None, :, None] * np.array([0.5, 0.7, 1.0])
        pictures = (np.where(mask[..., None] > 127, shade, 20).astype(np.uint8) for mask in masks)
        write_mp4(folder / "videos" / f"{v}.mp4", pictures, FPS, crf=18)
        write_mp4(folder / "masks" / f"{v}.mp4", (np.repeat(m[..., None], 3, 2) for m in masks), FPS, crf=12)
    opencv_json.write(folder / "cameras.json", raw(cameras))


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    """(folder, cameras) of four cameras that started up to 8.5 seconds apart."""
    folder, cameras = tmp_path_factory.mktemp("apart"), even(random_rig(7, 4, 128))
    film(folder, cameras, STARTS)
    return folder, cameras


def test_starts_far_apart_are_found_to_the_frame(apart):
    folder, cameras = apart
    source = RecordingSource(frames=(0, 90))
    rig = audit(open_recording("toy", folder, source), source, AuditConfig(max_offset=100))
    latest = max(STARTS)
    assert rig.offsets == tuple([[0, latest - start]] for start in STARTS) and rig.frames == FRAMES - latest
    assert rig.report["tangency"] < 0.006


def test_starts_further_apart_than_the_window_name_the_key_and_what_to_set(apart):
    folder, cameras = apart
    source = RecordingSource(frames=(0, 90))
    with pytest.raises(DataError, match=r"did not start together") as caught:
        audit(open_recording("toy", folder, source), source, AuditConfig())
    assert "capture.audit.max_offset: " in str(caught.value)


def test_starts_that_the_window_does_not_reach_are_never_guessed(apart):
    folder, cameras = apart
    recording = open_recording("toy", folder, RecordingSource(frames=(0, 90)))
    lenses = [camera.lens for camera in cameras]
    with pytest.raises(DataError, match="capture.audit.max_offset") as caught:
        start_offsets(recording, lenses, inspect_files(recording, 40), 40)
    assert "timestamps" in str(caught.value)
