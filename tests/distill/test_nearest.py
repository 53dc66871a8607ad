"""Nearest filmed pose: descriptor, library, render-and-compare, generator."""

import json
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from mousefacelift.cli import main
from mousefacelift.core.cameras import azimuth_elevation, canonical_fxfycxcy, orbit
from mousefacelift.core.images import mask_iou, resize_rgba
from mousefacelift.core.render import render_pictures
from mousefacelift.core.samples import View
from mousefacelift.distill.config import NearestConfig
from mousefacelift.distill.generators.nearest import NearestGenerator
from mousefacelift.distill.nearest import library as library_module
from mousefacelift.distill.nearest.build import library_of_rings
from mousefacelift.distill.nearest.descriptor import LENGTH, describe_picture
from mousefacelift.distill.nearest.find import find_nearest
from mousefacelift.distill.nearest.library import Library, Pose, build_library
from mousefacelift.distill.nearest.match import Fit, Target, moved_camera, moved_gaussians, raised_camera
from mousefacelift.distill.view_sets import wanted_views
from mousefacelift.errors import DataError

from .toy_poses import TAILS, seen, toy_animal, write_rings

CONFIG = NearestConfig(candidates=4, refined=2, steps=15)
FIVE = (*TAILS, 10.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("library")
    rings, splits = write_rings(folder, FIVE)
    library_of_rings([rings], splits, folder / "library")
    return folder


@pytest.fixture(scope="module")
def library(folder):
    return Library.read(folder / "library")


def test_only_train_frames_are_in_the_library(library):
    assert [pose.frame for pose in library.poses] == [0, 1, 2, 3]
    assert len(library.codes) == 4 * 16 and library.size == 64


def test_a_library_behind_a_symbolic_link_finds_its_splats_from_any_folder(folder, library, tmp_path, monkeypatch):
    disk = tmp_path / "disk/of/another/depth"
    shutil.copytree(folder, disk)
    (tmp_path / "results").symlink_to(disk)
    monkeypatch.chdir("/")
    library_of_rings([tmp_path / "results/ring/index.json"], disk / "splits.json", tmp_path / "results/library")
    (tmp_path / "results").rename(tmp_path / "renamed")
    linked = Library.read(tmp_path / "renamed/library")
    assert linked.gaussians(2).means.equal(library.gaussians(2).means)


def test_a_library_of_many_views_holds_their_codes_alone_and_is_what_the_plain_formula_gives(monkeypatch):
    """12 MB of descriptors; the basis is that of no more than BASIS_VIEWS of them."""
    rng = np.random.default_rng(0)
    known = (rng.random((4000, 12)) @ rng.random((12, LENGTH))).astype(np.float32)
    for name, value in (("BLOCK", 256), ("BASIS_VIEWS", 300), ("PROBES", 20)):
        monkeypatch.setattr(library_module, name, value)
    monkeypatch.setattr(library_module, "describe_picture", lambda number: known[number])
    views = ((i // 8, i, i % 360, 5.0) for i in range(len(known)))
    tracemalloc.start()
    found = build_library(views, [Pose(str(i), "m", i) for i in range(500)], Path("/"), 64)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.5 * known.nbytes
    plain = (known - known.mean(0)) @ found.basis
    np.testing.assert_allclose(found.codes, plain, atol=2e-4 * np.abs(plain).max())
    nearest = []
    for probe in np.linspace(0, 3999, 20).round().astype(int):
        others = found.codes[found.owner != found.owner[probe]]
        nearest.append(np.linalg.norm(others - found.codes[probe], axis=1).min())
    np.testing.assert_allclose(found.usual, np.percentile(nearest, np.arange(101)), rtol=1e-5)
    assert found.azimuth[:3].tolist() == [0, 1, 2] and (found.elevation == 5).all()


def test_a_descriptor_depends_on_neither_place_nor_size_nor_brightness():
    view = seen(toy_animal(30.0), 130.0, size=192)
    known, other = describe_picture(view.rgba), describe_picture(seen(toy_animal(80.0), 130.0, size=192).rgba)
    moved = np.roll(resize_rgba(view.rgba, 128, 128), (7, -12), (0, 1)) * [0.6, 0.6, 0.6, 1.0]
    difference = np.linalg.norm(describe_picture(moved.astype(np.float32)) - known)
    assert difference < 0.25 * np.linalg.norm(other - known)
    with pytest.raises(DataError, match="without foreground"):
        describe_picture(np.zeros((8, 8, 4), np.float32))


@pytest.mark.parametrize("frame,azimuth,elevation", [(0, 200.0, 5.0), (2, 77.0, 30.0), (3, 310.0, 20.0)])
def test_a_turned_grown_shifted_and_tinted_pose_is_found_and_moved_to_where_it_is(library, frame, azimuth, elevation):
    animal = toy_animal(FIVE[frame])
    turn = np.radians(130.0)
    about_z = torch.tensor([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]).float()
    animal.means = 1.1 * animal.means @ about_z.T + torch.tensor([0.02, -0.03, 0.02])
    animal.scales = 1.1 * animal.scales
    view = seen(animal, azimuth, elevation)
    tinted = view.rgba * [0.7, 0.6, 0.5, 1.0]
    answer = find_nearest(library, tinted.astype(np.float32), view.camera, CONFIG)
    assert answer.pose.frame == frame
    assert (answer.fit.turn - 130.0 + 180) % 360 - 180 == pytest.approx(0, abs=4)
    assert answer.fit.scale == pytest.approx(1.1, abs=0.04) and answer.fit.iou > 0.9
    assert answer.fit.gain == pytest.approx((0.7, 0.6, 0.5), abs=0.06)
    for other in (azimuth + 90, azimuth + 180):
        truth = seen(animal, other, 15.0)
        drawn = render_pictures(answer.gaussians, [truth.camera])[0]
        assert mask_iou(drawn[..., 3] > 0.5, truth.rgba[..., 3] > 0.5) > 0.75


def test_the_elevation_of_an_unknown_camera_is_estimated(library):
    view = seen(toy_animal(FIVE[2]), 60.0, 40.0)
    assumed = orbit(0.0, 20.0, 2.7, view.camera.fxfycxcy, 96, 96)
    answer = find_nearest(library, view.rgba, assumed, CONFIG, knows_camera=False)
    assert answer.pose.frame == 2
    assert azimuth_elevation(answer.camera)[1] == pytest.approx(40.0, abs=6)
    drawn = render_pictures(answer.gaussians, [answer.camera])[0]
    assert mask_iou(drawn[..., 3] > 0.5, view.rgba[..., 3] > 0.5) > 0.85


def test_moving_the_splat_and_moving_the_camera_show_the_same_picture():
    animal, camera = toy_animal(30.0), orbit(50.0, 25.0, 2.7, canonical_fxfycxcy(64), 64, 64)
    fit = Fit(40.0, 1.2, (0.05, -0.04), 12.0, (1.0, 1.0, 1.0), 0.0, 0.0)
    eye = raised_camera(camera, fit.tilt)
    moved = render_pictures(moved_gaussians(animal, fit, camera), [eye])[0]
    seen_so = render_pictures(animal, [moved_camera(camera, 40.0, np.log(1.2), 0.05, -0.04, 12.0)])[0]
    np.testing.assert_allclose(moved[..., 3], seen_so[..., 3], atol=1e-3)
    assert azimuth_elevation(eye)[:2] == pytest.approx((50.0, 37.0), abs=1e-6)


def test_what_was_never_filmed_is_called_unusual(library):
    filmed = seen(toy_animal(FIVE[1]), 100.0)
    distance = library.find(filmed.rgba, 1)[0].distance
    upright = toy_animal(0.0)
    upright.means = upright.means[:, [2, 1, 0]]
    strange = library.find(seen(upright, 100.0).rgba, 1)[0].distance
    assert library.how_usual(distance) < 0.5 and library.how_usual(strange) == 1.0


def test_the_fit_improves_on_the_first_guess(library):
    view = seen(toy_animal(55.0), 20.0)
    plain = find_nearest(library, view.rgba, view.camera, NearestConfig(candidates=4, refined=2, steps=0))
    fitted = find_nearest(library, view.rgba, view.camera, CONFIG)
    assert fitted.fit.residual < 0.98 * plain.fit.residual
    target = Target(view.rgba, view.camera)
    assert target.error(target.image, np.ones(3)) == 0


def test_a_library_moves_with_its_folder_and_says_when_it_is_gone(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "elsewhere")
    library = Library.read(copy / "library")
    assert str(tmp_path) in str((library.folder / library.poses[0].path).resolve())
    assert library.gaussians(0).count == toy_animal(0.0).count
    (copy / "library/library.json").unlink()
    with pytest.raises(DataError, match="distill library"):
        Library.read(copy / "library")


def test_the_generator_shows_one_solid_from_all_sides(library):
    generator = NearestGenerator(library, wanted_views("sixty_between", (), None), CONFIG, {})
    photo = seen(toy_animal(FIVE[2]), 15.0, size=64)
    views = generator.generate([View(photo.rgba, photo.camera)], [3])[0]
    assert len(views) == 6 and views[0].facts.details["pose"] == "m/2" and views[0].facts.seed == 3
    for view in views:
        truth = render_pictures(toy_animal(FIVE[2]), [view.camera])[0]
        assert mask_iou(view.rgba[..., 3] > 0.5, truth[..., 3] > 0.5) > 0.75
    with pytest.raises(DataError, match="no foreground"):
        generator.generate([View(photo.rgba * 0, photo.camera)], [3])


def test_the_commands_distil_with_the_nearest_pose_and_name_a_missing_library(folder, toy_chunk, tmp_path, capsys):
    nearest = {"candidates": 2, "refined": 1, "steps": 2}
    gate = {"voxels": 32, "frames": 2}
    text = json.dumps(
        {
            "distill": {
                "generator": {"kind": "nearest", "training": {"validation_frames": 1}},
                "nearest": nearest,
                "gate": gate,
            }
        }
    )
    photos = ["--frames", str(toy_chunk / "chunk/index.json"), "--config-json", text]
    train = ["distill", "train", *photos, "--splits", str(toy_chunk / "splits.json"), "--out", str(tmp_path / "gen")]
    assert main(train) == 2 and "distill library" in capsys.readouterr().err
    assert main([*train, "--library", str(folder / "library")]) == 0
    facts = json.loads((tmp_path / "gen/generator.json").read_text())
    assert facts["kind"] == "nearest" and facts["validation"]["generator"]["iou"] > 0.2
    source = json.loads((toy_chunk / "chunk/index.json").read_text())
    (toy_chunk / "chunk/one.json").write_text(json.dumps(source | {"items": source["items"][:1]}))
    photos[1] = str(toy_chunk / "chunk/one.json")
    out, gated = tmp_path / "out/one/index.json", ["--gate", str(tmp_path / "gate.json")]
    splits = ["--splits", str(toy_chunk / "splits.json")]
    assert main(["distill", "gate", *photos, *splits, "--out", str(tmp_path / "gate.json")]) == 0
    assert main(["distill", "views", *photos, "--generator", str(tmp_path / "gen"), "--out", str(out), *gated]) == 0
    document = json.loads(out.read_text())
    assert [row["candidates"] for row in document["items"]] == [30]
    assert list(document["header"]["weights"]) == ["library.npz"]
