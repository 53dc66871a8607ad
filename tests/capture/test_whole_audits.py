"""Whole audits of true toy rigs whose files differ from the usual ones: no camera is blamed.

Colour offsets between cameras, cameras at 1.5 m, and K of the distorted pictures on undistorted videos. The last is a
wrong K of every camera: the audit may pass, correct it or say that, and may not blame one camera.
"""

import re
from dataclasses import replace

import numpy as np
import pytest

from mousefacelift.capture.audit import audit
from mousefacelift.capture.config import AuditConfig, RecordingSource
from mousefacelift.capture.lens import Lens
from mousefacelift.capture.readers import opencv_json
from mousefacelift.capture.recording import open_recording
from mousefacelift.errors import CalibrationError, DataError
from tests.capture.conftest import even
from tests.capture.scenes import random_rig, raw, write_recording

SIZE, FRAMES, DISTANCE = 288, 40, 1500.0
ARENA = np.array([48.0, 52.0, 20.0])


def colour_offsets(seed, cameras):
    """Red, green and blue of every camera off by up to 0.08 of full range, twice what two real cameras differ by."""
    return cameras, cameras, np.random.default_rng(seed).uniform(-0.08, 0.08, (len(cameras), 3))


def distant(seed, cameras):
    """The cameras 1.5 m away, with longer lenses: the arena's middle keeps its pixel and its size."""
    far = []
    for camera in cameras:
        factor = DISTANCE / np.linalg.norm(camera.center - ARENA)
        seen = camera.R @ ARENA + camera.w2c[:3, 3]
        K = camera.lens.K * [[factor, factor, 1], [1, factor, 1], [1, 1, 1]]
        K[:2, 2] += (camera.lens.K[:2, :2] - K[:2, :2]) @ (seen[:2] / seen[2])
        w2c = camera.w2c.copy()
        w2c[:3, 3] = -camera.R @ (ARENA + factor * (camera.center - ARENA))
        far.append(replace(camera, w2c=w2c, lens=Lens(K, np.zeros(5))))
    return far, far, None


def distorted_matrix(seed, cameras):
    """Videos of pinholes; the calibration states K of the lenses that filmed them, 2-5% longer and a few pixels off."""
    rng = np.random.default_rng(seed)
    films, stated = [], []
    for camera in cameras:
        K = camera.lens.K * [[1, 0, 1], [1, 1, 1], [1, 1, 1]]
        shorter = K * [[1 / rng.uniform(1.02, 1.05), 1, 1], [1, 1 / rng.uniform(1.02, 1.05), 1], [1, 1, 1]]
        shorter[:2, 2] += rng.uniform(-1, 1, 2) * 2
        films.append(replace(camera, lens=Lens(shorter, np.zeros(5))))
        stated.append(replace(camera, lens=Lens(K, np.zeros(5))))
    return films, stated, None


def said(kind, seed, folder, count=None):
    """What the audit says of a recording of a random rig of `count` cameras (None: 4 to 8): "passes", or its
    refusal."""
    films, stated, colours = kind(seed, even(random_rig(seed, count, SIZE)))
    write_recording(folder, films, FRAMES, seed=seed, colours=colours)
    opencv_json.write(folder / "cameras.json", raw(stated))
    source = RecordingSource(frames=(0, FRAMES))
    try:
        audit(open_recording("toy", str(folder), source), source, AuditConfig())
    except (CalibrationError, DataError) as error:
        return str(error)
    return "passes"


def is_alarm(kind, text):
    """Whether a verdict on a true rig is wrong; of a wrong K only the blame of one camera is."""
    return bool(re.search("camera c. of 'toy' contradicts", text)) if kind is distorted_matrix else text != "passes"


KINDS = (colour_offsets, distant, distorted_matrix)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_true_cameras_are_not_blamed(kind, tmp_path):
    text = said(kind, 5, tmp_path, 4)
    assert not is_alarm(kind, text), text


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_true_cameras_are_not_blamed_in_50_rigs(kind, tmp_path):
    found = {seed: said(kind, seed, tmp_path / f"{seed}") for seed in range(50)}
    alarms = {seed: text for seed, text in found.items() if is_alarm(kind, text)}
    assert not alarms, alarms
