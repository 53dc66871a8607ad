"""One toy recording, audited, located and normalised once for all capture tests."""

from __future__ import annotations

import pytest

from mousefacelift.capture.audit import audit
from mousefacelift.capture.config import AuditConfig, CaptureConfig, LocateConfig, RecordingSource
from mousefacelift.capture.locate import locate_recording
from mousefacelift.capture.normalise import normalise_chunk
from mousefacelift.capture.readers import opencv_json
from mousefacelift.capture.recording import open_recording
from tests.capture.scenes import random_rig, raw, write_recording

FRAMES = 12


def even(cameras):
    """The same cameras with picture sizes that H.264 takes."""
    from dataclasses import replace

    return [replace(c, width=c.width // 2 * 2, height=c.height // 2 * 2) for c in cameras]


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """(folder, true cameras, source) of five distorted cameras of different sizes; path with spaces and non-ASCII
    letters."""
    folder = tmp_path_factory.mktemp("Aufnahme für Maus 1")
    cameras = even(random_rig(7, 5, 384))
    write_recording(folder, cameras, FRAMES, seed=7)
    opencv_json.write(folder / "cameras.json", raw(cameras))
    return folder, cameras, RecordingSource(path=str(folder), frames=(0, FRAMES), licence="CC0 toy")


@pytest.fixture(scope="session")
def toy_rig(toy):
    folder, _, source = toy
    return audit(open_recording("toy", folder, source), source, AuditConfig())


@pytest.fixture(scope="session")
def toy_track(toy, toy_rig):
    return locate_recording(toy_rig, toy[2], LocateConfig())


@pytest.fixture(scope="session")
def toy_chunk(toy_rig, toy_track, tmp_path_factory):
    """(index path, index) of the toy recording at 128 px."""
    index = tmp_path_factory.mktemp("samples") / "000000-000011" / "index.json"
    return index, normalise_chunk(index, toy_rig, toy_track, range(FRAMES), CaptureConfig(size=128))
