"""Prediction, reconstruction and pictures as inputs."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from mousefacelift.check.predictions import read_predictions
from mousefacelift.cli import main
from mousefacelift.core.cameras import Camera, canonical_fxfycxcy, orbit, project
from mousefacelift.core.ply import read_ply
from mousefacelift.core.samples import View
from mousefacelift.errors import CameraError, DataError
from mousefacelift.lrm.config import PredictConfig
from mousefacelift.lrm.infer import stack_views
from mousefacelift.lrm.inputs import LARGEST, frame_picture, read_picture, reframe
from mousefacelift.lrm.predict import predict

from .toy import cast_balls, rig

SMALL = PredictConfig(max_frames=2, train_frames=1, splits=("test",), splats_kept=1)


def test_predictions_meet_their_truth_in_the_form_that_evaluation_reads(trained, toy_dataset, tmp_path):
    index = predict(trained, toy_dataset, tmp_path / "predictions", SMALL)
    header, items = read_predictions(tmp_path / "predictions" / "index.json")
    assert header["arm"] == "no-synthetic" and header["size"] == 32 and len(header["model_hash"]) == 64
    assert sorted((item.protocol, item.kind) for item in items) == [
        ("A", "swap"), ("A", "swap"), ("A", "target"), ("A", "target"), ("B", "target"),
        ("C", "swap"), ("C", "swap"), ("C", "target"), ("C", "target")]
    for item in items:
        assert 5 not in item.input_cameras and len(item.inputs) == 4
        judged = [camera for camera, given in zip(item.cameras, item.is_input) if not given]
        assert judged == ([5] if item.protocol in "BC" else judged) and len(judged) == 1
        assert item.split == ("train" if item.protocol == "B" else "test")
    assert sum((tmp_path / "predictions" / row["name"] / "splat.ply").exists() for row in index["items"]) == 1


def test_reconstruct_from_views_writes_everything(trained, toy_dataset, tmp_path):
    folder = toy_dataset / "real" / "000003"
    code = main(["reconstruct", "--views", str(folder), "--use-views", "0,1,2,3", "--out", str(tmp_path), "--model", str(trained),
                 "--frames", "3", "--size", "32", "--spz"])
    assert code == 0
    out = tmp_path / "000003"
    facts = json.loads((out / "reconstruction.json").read_text())
    assert read_ply(out / "gaussians.ply").count == facts["gaussians"] > 50
    for name in ("gaussians.spz", "turntable.mp4", "sheet.png", "views/opencv_cameras.json"):
        assert (out / name).stat().st_size > 0


def test_reconstruct_says_what_is_missing(trained, toy_dataset, tmp_path, capsys):
    views = ["--views", str(toy_dataset / "real" / "000003"), "--out", str(tmp_path)]
    assert main(["reconstruct", *views, "--model", str(tmp_path / "nowhere")]) == 2
    assert "MissingWeights" in capsys.readouterr().err
    assert main(["reconstruct", "--out", str(tmp_path), "--model", str(trained)]) == 2
    assert main(["reconstruct", *views, "a.png", "--model", str(trained)]) == 2


def test_bad_views_are_refused_by_name():
    camera = rig(32)[0]
    good = View(cast_balls(camera, 0, (0.5, 0.5, 0.5)), camera)
    bad = good.rgba.copy()
    bad[3, 3, 0] = np.nan
    with pytest.raises(DataError, match="not finite"):
        stack_views([good, View(bad, camera)], 32)
    with pytest.raises(DataError, match="no foreground"):
        stack_views([View(good.rgba * 0, camera)], 32)
    behind = np.diag([-1.0, 1.0, -1.0, 1.0]) @ camera.w2c  # turned round: looks away from the animal
    with pytest.raises(CameraError, match="behind a camera"):
        stack_views([dataclasses.replace(good, camera=dataclasses.replace(camera, w2c=behind))], 32)


def framed_box(rgba, area):
    view = frame_picture(rgba, 128, 15.0, "a.png", area)
    columns, rows = (np.flatnonzero((view.rgba[..., 3] > 0.5).any(axis)) for axis in (0, 1))
    return view, (columns[0], columns[-1] + 1), (rows[0], rows[-1] + 1)


def test_a_picture_is_framed_like_the_training_images(tmp_path):
    rgba = np.zeros((200, 300, 4), np.float32)
    rgba[50:110, 180:280] = (0.2, 0.4, 0.6, 1.0)
    Image.fromarray((rgba * 255).astype(np.uint8), "RGBA").save(tmp_path / "a.png")
    view, columns, rows = framed_box(read_picture(tmp_path / "a.png"), 0.1)
    assert view.rgba[..., 3].mean() == pytest.approx(0.1, rel=0.03)
    assert sum(columns) == pytest.approx(128, abs=2) and sum(rows) == pytest.approx(128, abs=2)
    np.testing.assert_allclose(view.rgba[64, 64], (0.2, 0.4, 0.6, 1.0), atol=0.01)


def test_the_body_is_in_the_middle_whatever_the_tail_does_and_nothing_is_cut():
    rgba = np.zeros((200, 400, 4), np.float32)
    rgba[80:120, 40:100] = rgba[98:102, 100:390] = 1.0  # a body with a long tail to the right
    view, columns, rows = framed_box(rgba, 0.3)
    assert columns[0] >= 1 and columns[1] <= 127 and max(127 - columns[0], columns[1]) >= 0.9 * LARGEST * 128 / 2
    mass = (view.rgba[..., 3].sum(0) * (np.arange(128) + 0.5)).sum() / view.rgba[..., 3].sum()
    assert mass == pytest.approx(64, abs=1) and view.rgba[..., 3].mean() < 0.3


def test_reframing_moves_pixels_with_the_camera():
    camera = orbit(30, 10, 2.7, np.array([60.0, 62.0, 30.0, 34.0]), 64, 64)
    point = np.array([0.2, -0.1, 0.15])
    (u, v), _ = project(camera, point)
    ys, xs = np.mgrid[0:64, 0:64] + 0.5
    alpha = np.exp(-((xs - u) ** 2 + (ys - v) ** 2) / 8).astype(np.float32)
    moved = reframe(View(np.dstack([np.ones((64, 64, 3), np.float32), alpha]), camera), 96)
    np.testing.assert_allclose(moved.camera.fxfycxcy, canonical_fxfycxcy(96))
    ys, xs = np.mgrid[0:96, 0:96] + 0.5
    weight = moved.rgba[..., 3]
    center = np.array([(weight * xs).sum(), (weight * ys).sum()]) / weight.sum()
    np.testing.assert_allclose(center, project(moved.camera, point)[0], atol=0.1)
    assert isinstance(moved.camera, Camera)


def test_pictures_without_a_mask_or_an_animal_are_refused(tmp_path):
    Image.new("RGB", (40, 40), "white").save(tmp_path / "rgb.png")
    Image.new("L", (40, 40), 0).save(tmp_path / "black.png")
    Image.new("L", (20, 40), 255).save(tmp_path / "small.png")
    with pytest.raises(DataError, match="no alpha channel"):
        read_picture(tmp_path / "rgb.png")
    with pytest.raises(DataError, match="no animal"):
        read_picture(tmp_path / "rgb.png", tmp_path / "black.png")
    with pytest.raises(DataError, match="does not fit"):
        read_picture(tmp_path / "rgb.png", tmp_path / "small.png")
