"""`mousefacelift reconstruct`: pictures and posed views to splats on disk."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mousefacelift.cli import main
from mousefacelift.core.cameras import canonical_fxfycxcy, orbit
from mousefacelift.core.render import render_pictures
from mousefacelift.core.samples import View
from mousefacelift.core.splat_files import read_ply
from mousefacelift.distill import load_generator
from mousefacelift.distill.nearest.build import library_of_rings
from mousefacelift.lrm import weights

from ..distill.toy_poses import TAILS, toy_animal, write_rings
from ..limits import files_no_larger_than
from ..lrm.toy import cast_balls, rig


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
    monkeypatch.setattr(load_generator, "load_generator", load)
    monkeypatch.setattr(load_generator, "known_area", lambda folder: 0.2)
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
            "--generator",
            str(tmp_path),
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
            facts["views"] == 4 and facts["input"]["details"]["picture"] == f"{name}.png"
        )  # the repainted angle gave way to the picture
        assert read_ply(tmp_path / "out" / name / "gaussians.ply").count == facts["gaussians"] > 50


def test_a_picture_is_compared_with_what_was_filmed(trained, tmp_path, loads, capsys):
    index, splits = write_rings(tmp_path)
    library_of_rings([index], splits, tmp_path / "library")
    camera = rig(64)[0]
    seen = render_pictures(toy_animal(TAILS[1]), [camera])[0]
    tall = np.zeros((64, 64, 4), np.float32)
    tall[4:60, 30:33] = (0.2, 0.2, 0.2, 1.0)
    for name, rgba in (("seen", seen), ("strange", tall)):
        Image.fromarray((rgba * 255).astype(np.uint8)).save(tmp_path / f"{name}.png")
    command = ["reconstruct", str(tmp_path / "seen.png"), str(tmp_path / "strange.png"), "--out", str(tmp_path / "out")]
    command += ["--model", str(trained), "--frames", "0", "--library"]
    assert main([*command, str(tmp_path / "library")]) == 0
    warned = capsys.readouterr().err
    assert "strange.png: this pose is unlike anything filmed" in warned and "seen.png: this pose" not in warned
    facts = json.loads((tmp_path / "out/seen/reconstruction.json").read_text())["input"]["details"]["nearest_filmed"]
    assert facts["frame"] == 1 and facts["usual"] < 1
    assert main([*command, str(tmp_path / "nowhere")]) == 2 and "distill library" in capsys.readouterr().err


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


def test_views_in_millimetres_give_the_splat_of_canonical_ones(trained, toy_dataset, tmp_path, capsys):
    canonical = toy_dataset / "real" / "000003"
    metric = Path(shutil.copytree(canonical, tmp_path / "metric"))
    document = json.loads((metric / "opencv_cameras.json").read_text())
    for frame in document["frames"]:
        for row in frame["w2c"][:3]:
            row[3] *= 110.0
    (metric / "opencv_cameras.json").write_text(json.dumps(document))
    command = ["--out", str(tmp_path / "out"), "--model", str(trained), "--frames", "0"]
    assert main(["reconstruct", "--views", str(metric), str(canonical), *command]) == 0
    assert "scaled by 0.00909" in capsys.readouterr().err
    scaled, plain = (read_ply(tmp_path / "out" / name / "gaussians.ply") for name in ("metric", "000003"))
    np.testing.assert_allclose(scaled.means, plain.means, atol=1e-4)


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
    assert "cannot be written" in error and "full disk" in error
    assert {path.name: path.read_bytes() for path in (tmp_path / "000003").iterdir() if path.is_file()} == before


def test_reconstruct_says_what_is_missing(trained, toy_dataset, tmp_path, capsys):
    views = ["--views", str(toy_dataset / "real" / "000003"), "--out", str(tmp_path)]
    assert main(["reconstruct", *views, "--model", str(tmp_path / "nowhere")]) == 2
    assert "MissingWeights" in capsys.readouterr().err
    assert main(["reconstruct", "--out", str(tmp_path), "--model", str(trained)]) == 2
    assert main(["reconstruct", *views, "a.png", "--model", str(trained)]) == 2


def test_a_generator_that_has_the_body_itself_needs_no_reconstructor(tmp_path, capsys):
    index, splits = write_rings(tmp_path)
    library_of_rings([index], splits, tmp_path / "library")
    (tmp_path / "gen").mkdir()
    facts = {"kind": "nearest", "library": "../library", "weights": {}, "photo_area": 0.05}
    (tmp_path / "gen/generator.json").write_text(json.dumps(facts))
    view = orbit(70.0, 35.0, 2.7, canonical_fxfycxcy(96), 96, 96)
    rgba = render_pictures(toy_animal(TAILS[2]), [view])[0]
    Image.fromarray((rgba * 255).round().astype(np.uint8)).save(tmp_path / "mouse.png")
    config = {"distill": {"generator": {"kind": "nearest"}}}
    command = ["reconstruct", str(tmp_path / "mouse.png"), "--generator", str(tmp_path / "gen"), "--frames", "0"]
    command += [
        "--out",
        str(tmp_path / "out"),
        "--model",
        str(tmp_path / "nowhere"),
        "--config-json",
        json.dumps(config),
    ]
    assert main(command) == 0
    facts = json.loads((tmp_path / "out/mouse/reconstruction.json").read_text())
    assert facts["pose"] == "m/2" and facts["residual"] < 0.3 and facts["elevation"] == pytest.approx(35, abs=8)
    assert (tmp_path / "out/mouse/sheet.png").exists() and facts["views"] == 1
    assert main([*command, "--elevation", "20"]) == 0
    facts = json.loads((tmp_path / "out/mouse/reconstruction.json").read_text())
    assert facts["elevation"] == pytest.approx(20, abs=0.1)
    assert "cuts the animal" not in capsys.readouterr().err
    cut = rgba[round(np.flatnonzero(rgba[..., 3].any(1)).mean()) :]  # its upper half lies beyond the border
    Image.fromarray((cut * 255).round().astype(np.uint8)).save(tmp_path / "mouse.png")
    assert main(command) == 0
    assert "mouse.png: the border cuts the animal" in capsys.readouterr().err
