"""Prediction, reconstruction and pictures as inputs."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mousefacelift.check.predictions import read_predictions
from mousefacelift.cli import main
from mousefacelift.core.cameras import Camera, canonical_fxfycxcy, orbit, project
from mousefacelift.core.samples import View
from mousefacelift.core.splat_files import read_ply
from mousefacelift.distill import recipes
from mousefacelift.errors import CameraError, DataError
from mousefacelift.lrm import weights
from mousefacelift.lrm.config import PredictConfig
from mousefacelift.lrm.infer import stack_views
from mousefacelift.lrm.predict import predict
from mousefacelift.lrm.user_picture import LARGEST, frame_picture, read_picture, reframe

from ..limits import files_no_larger_than
from .toy import cast_balls, rig

SMALL = PredictConfig(max_frames=2, train_frames=1, splits=("test",), splats_kept=1)


def test_predictions_meet_their_truth_in_the_form_that_evaluation_reads(trained, toy_dataset, tmp_path):
    index = predict(trained, toy_dataset, tmp_path / "predictions", SMALL)
    header, items = read_predictions(tmp_path / "predictions" / "index.json")
    assert header["arm"] == "no-synthetic" and header["size"] == 32 and len(header["model_hash"]) == 64
    assert sorted((item.protocol, item.kind) for item in items) == [
        ("A", "swap"),
        ("A", "swap"),
        ("A", "target"),
        ("A", "target"),
        ("B", "target"),
        ("C", "swap"),
        ("C", "swap"),
        ("C", "target"),
        ("C", "target"),
    ]
    for item in items:
        assert 5 not in item.input_cameras and len(item.inputs) == 4
        judged = [camera for camera, given in zip(item.cameras, item.is_input) if not given]
        assert judged == ([5] if item.protocol in "BC" else judged) and len(judged) == 1
        assert item.split == ("train" if item.protocol == "B" else "test")
    assert sum((tmp_path / "predictions" / row["name"] / "splat.ply").exists() for row in index["items"]) == 1


def test_reconstruct_from_views_writes_everything(trained, toy_dataset, tmp_path):
    folder = toy_dataset / "real" / "000003"
    code = main(
        [
            "reconstruct",
            "--views",
            str(folder),
            "--use-views",
            "0,1,2,3",
            "--out",
            str(tmp_path),
            "--model",
            str(trained),
            "--frames",
            "3",
            "--size",
            "32",
            "--spz",
        ]
    )
    assert code == 0
    out = tmp_path / "000003"
    facts = json.loads((out / "reconstruction.json").read_text())
    assert read_ply(out / "gaussians.ply").count == facts["gaussians"] > 50
    for name in ("gaussians.spz", "turntable.mp4", "sheet.png", "views/opencv_cameras.json"):
        assert (out / name).stat().st_size > 0


class Painter:
    """Stands for a multi-view generator: paints the toy animal at the picture's own angle and at three others."""

    name, weights, licence = "painter", {}, "none"

    def __init__(self):
        self.seeds = []

    def generate(self, views, seeds):
        self.seeds += seeds
        cameras = [orbit(azimuth, 15, 2.7, canonical_fxfycxcy(64), 64, 64) for azimuth in (0, 90, 180, 270)]
        return [[View(cast_balls(camera, 40, (0.8, 0.3, 0.2)), camera) for camera in cameras] for _ in views]


@pytest.fixture
def loads(monkeypatch):
    """How often each network is loaded by `reconstruct`, with a painter as its generator."""
    counts, painter = {"reconstructor": 0, "generator": 0}, Painter()
    real = weights.read_model

    def read(*args):
        counts["reconstructor"] += 1
        return real(*args)

    def load(*_):
        counts["generator"] += 1
        return painter

    monkeypatch.setattr(weights, "read_model", read)
    monkeypatch.setattr(recipes, "load_generator", load)
    monkeypatch.setattr(recipes, "known_area", lambda folder: 0.2)
    return counts | {"painter": painter, "count": lambda: (counts["reconstructor"], counts["generator"])}


def picture(path, heading):
    camera = rig(64)[0]
    Image.fromarray((cast_balls(camera, heading, (0.8, 0.3, 0.2)) * 255).astype(np.uint8), "RGBA").save(path)
    return str(path)


def test_several_pictures_share_one_load_of_each_network(trained, tmp_path, loads):
    images = [picture(tmp_path / f"{name}.png", heading) for name, heading in (("a", 0), ("b", 120), ("c", 240))]
    code = main(
        [
            "reconstruct",
            *images,
            "--out",
            str(tmp_path / "out"),
            "--model",
            str(trained),
            "--frames",
            "0",
            "--seed",
            "7",
        ]
    )
    assert code == 0 and loads["count"]() == (1, 1) and loads["painter"].seeds == [7, 8, 9]
    for name in "abc":
        facts = json.loads((tmp_path / "out" / name / "reconstruction.json").read_text())
        assert (
            facts["views"] == 4 and facts["input"]["picture"] == f"{name}.png"
        )  # the repainted angle gave way to the picture
        assert read_ply(tmp_path / "out" / name / "gaussians.ply").count == facts["gaussians"] > 50


def test_several_folders_share_one_load_and_no_generator(trained, toy_dataset, tmp_path, loads):
    folders = [str(toy_dataset / "real" / f"{frame:06d}") for frame in (3, 4)]
    assert (
        main(["reconstruct", "--views", *folders, "--out", str(tmp_path), "--model", str(trained), "--frames", "0"])
        == 0
    )
    assert (
        loads["count"]() == (1, 0)
        and (tmp_path / "000003/sheet.png").exists()
        and (tmp_path / "000004/sheet.png").exists()
    )


def test_a_bad_picture_ends_a_batch_and_what_came_before_it_stays(trained, tmp_path, loads, capsys):
    Image.new("RGB", (40, 40), "white").save(tmp_path / "b.png")
    images = [picture(tmp_path / "a.png", 0), str(tmp_path / "b.png")]
    assert main(["reconstruct", *images, "--out", str(tmp_path / "out"), "--model", str(trained), "--frames", "0"]) == 2
    error = capsys.readouterr().err
    assert "b.png has no alpha channel" in error and "--mask MASK.png, or --matting auto" in error
    assert (tmp_path / "out/a/gaussians.ply").is_file() and not (tmp_path / "out/b").exists()


def broken_sample(folder, fault):
    """A sample folder after one fault."""
    document = json.loads((folder / "opencv_cameras.json").read_text())
    w2c = np.array(document["frames"][1]["w2c"])
    turn = {"mirrored": np.diag([1.0, 1, -1, 1]), "behind": np.diag([-1.0, 1, -1, 1])}.get(fault, np.eye(4))
    document["frames"][1]["w2c"] = (turn @ w2c).tolist()
    (folder / "opencv_cameras.json").write_text(json.dumps(document))
    if fault == "missing":
        (folder / "images/cam_001.png").unlink()
    if fault == "empty":
        Image.new("RGBA", (32, 32)).save(folder / "images/cam_001.png")
    return folder


@pytest.mark.parametrize(
    "fault,use,message",
    [
        ("mirrored", "0,1,2", "camera 1 of .*det R = -1"),
        ("behind", "0,1,2", "animal is behind a camera"),
        ("missing", "0,1,2", "cam_001.png"),
        ("empty", "0,1,2", "shows no foreground"),
        ("none", "0,1,9", "fewer views than asked for"),
    ],
)
def test_folders_that_cannot_be_reconstructed_are_refused_by_name(
    trained, toy_dataset, tmp_path, capsys, fault, use, message
):
    folder = broken_sample(Path(shutil.copytree(toy_dataset / "real" / "000003", tmp_path / "views")), fault)
    code = main(
        [
            "reconstruct",
            "--views",
            str(folder),
            "--use-views",
            use,
            "--out",
            str(tmp_path / "out"),
            "--model",
            str(trained),
        ]
    )
    assert code == 2 and re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "out" / "views").exists()


def test_a_full_disk_is_told_and_keeps_the_older_reconstruction(trained, toy_dataset, tmp_path, capsys):
    command = [
        "reconstruct",
        "--views",
        str(toy_dataset / "real" / "000003"),
        "--out",
        str(tmp_path),
        "--model",
        str(trained),
        "--frames",
        "2",
    ]
    assert main(command) == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "000003").iterdir() if path.is_file()}
    with files_no_larger_than(15_000):
        assert main(command) == 2
    error = capsys.readouterr().err
    assert "gaussians.ply' cannot be written" in error and "full disk" in error
    assert {path.name: path.read_bytes() for path in (tmp_path / "000003").iterdir() if path.is_file()} == before


def test_a_prediction_of_more_views_than_there_are_is_refused(trained, toy_dataset, tmp_path):
    with pytest.raises(DataError, match="no real frame to predict") as caught:
        predict(trained, toy_dataset, tmp_path, PredictConfig(inputs=6))
    assert "6 seen cameras and one more view" in str(caught.value)


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
