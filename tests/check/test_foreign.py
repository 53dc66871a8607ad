"""Foreign predictions: the truth under any similarity comes back to its score, another animal does not, and what cannot
be judged is said."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from mousefacelift.check.config import EvaluateConfig
from mousefacelift.check.foreign import score_foreign
from mousefacelift.check.foreign_read import cover_mesh, list_entries, read_solid, turn_to
from mousefacelift.check.foreign_views import similarity_of_cameras
from mousefacelift.check.moremouse import full_frame, orthogonal_views
from mousefacelift.check.similarity_search import find_similarity, move_gaussians, render_moved
from mousefacelift.check.table import format_foreign
from mousefacelift.core.cameras import ring
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.images import composite, write_png
from mousefacelift.core.records import SampleFacts, ViewFacts
from mousefacelift.core.render import render_pictures
from mousefacelift.core.samples import Sample, View, read_sample, write_sample
from mousefacelift.core.similarity import Similarity
from mousefacelift.core.splat_files import write_ply, write_spz
from mousefacelift.errors import DataError
from tests.lrm.toy import add_sample, rig, write_tables

CONFIG = EvaluateConfig(bootstrap=20, consistency_frames=1, sheet_rows=1)
SIZE, TEST = 48, (8, 9)


def animal(bend=0.5, seed=0, count=700):
    """A body along x with a bright head, a thin tail bent to one side, and a dark belly: no two sides are alike."""
    g = torch.Generator().manual_seed(seed)
    t = torch.rand(count, generator=g) * 2 - 1
    width = torch.where(t > -0.3, 0.22, 0.04)[:, None]
    means = torch.stack([0.8 * t, bend * (t - 0.3).clamp_max(0).square(), 0.15 * t.clamp_min(0)], 1)
    offset = width * torch.nn.functional.normalize(torch.randn(count, 3, generator=g), dim=1)
    colour = torch.stack([0.3 + 0.6 * (t > 0.5), 0.3 + 0.3 * (offset[:, 2] > 0), 0.3 + 0.4 * (offset[:, 1] > 0)], 1)
    quats = torch.nn.functional.normalize(torch.randn(count, 4, generator=g), dim=1)
    return Gaussians.from_rgb(
        means + offset, quats, 0.25 * width.expand(-1, 3) + 0.01, torch.full((count,), 0.9), colour
    )


def posed(frame):
    turn = Rotation.from_euler("z", 40 * frame, degrees=True).as_matrix()
    return move_gaussians(animal(), Similarity(1.0, turn, np.array([0.02, 0.0, -0.05])))


def blurred(gaussians, seed=5):
    """A prediction that is right but not exact."""
    g = torch.Generator().manual_seed(seed)
    return replace(gaussians, means=gaussians.means + 0.03 * torch.randn(gaussians.means.shape, generator=g))


STRANGE = Similarity(
    37.0, Rotation.from_euler("xyz", [70, -35, 200], degrees=True).as_matrix(), np.array([5.0, -90, 12])
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Photos of `animal` at some headings; the last two frames are test frames."""
    folder, rows, views = tmp_path_factory.mktemp("foreign") / "dataset", [], []
    cameras = rig(SIZE)
    for frame in range(TEST[-1] + 1):
        images = render_pictures(posed(frame), cameras)
        photos = [View(rgba, camera, ViewFacts(i)) for i, (rgba, camera) in enumerate(zip(images, cameras))]
        split = "test" if frame in TEST else "train" if frame < 6 else "guard"
        add_sample(folder, rows, views, f"real/{frame:06d}", "real", split, frame, photos)
    write_tables(folder, rows, views)
    return folder


def score(folder, dataset, out, inputs=(0,), **options):
    return score_foreign(folder, dataset, out, list(inputs), CONFIG, **options)


def held_out(result, protocol, metric="full_psnr"):
    return {name: v[metric]["mean"] for name, v in result["summary"]["protocols"][protocol]["held_out"].items()}


def error(gaussians, move, views):
    """Mean full PSNR of a moved splat over views."""
    shown = composite(render_moved(gaussians, move, views))
    truth = composite(np.stack([view.rgba for view in views]))
    return float((-10 * np.log10(((shown - truth) ** 2).mean((1, 2, 3)))).mean())


def test_the_truth_in_any_world_comes_back_to_its_score_and_another_animal_does_not(dataset):
    views, prediction = read_sample(dataset / "real/000008").views, blurred(posed(8))
    unaligned = error(prediction, Similarity(), views)
    strange = move_gaussians(prediction, STRANGE)
    wrong = move_gaussians(animal(bend=-1.2, seed=3), STRANGE)
    for solid, low, high in ((prediction, -0.1, 2), (strange, -0.2, 2), (wrong, -99, -2)):
        assert low < error(solid, find_similarity(solid, views).move, views) - unaligned < high


def test_a_folder_of_splats_in_a_strange_world_is_judged_on_the_ladder(dataset, tmp_path):
    (tmp_path / "strange").mkdir()
    for frame in TEST:
        write_spz(tmp_path / f"strange/toy-{frame:06d}.spz", move_gaussians(blurred(posed(frame)), STRANGE), 4)
    found = score(tmp_path / "strange", dataset, tmp_path / "out")
    assert found["as_it_came"]["iou"] < 0.2 and found["aligned"]["iou"] > 0.7
    scale = found["alignment"]["scale"]
    assert scale["mean"] == pytest.approx(1 / 37, rel=0.03) and scale["spread"] < 0.001
    for protocol in ("A", "C"):
        ladder = held_out(found, protocol)
        assert set(ladder) == {"model", "white", "mean_image", "nearest_input", "visual_hull"}
        assert max(ladder, key=ladder.get) == "model"
    text = format_foreign(found)
    assert "MoReMouse's protocol" in text and "seven numbers" in text and "mean_image" in text
    assert set(found["moremouse"]) == {"model", "white", "mean_image"}
    assert found["moremouse"]["model"]["psnr"] > found["moremouse"]["mean_image"]["psnr"]
    assert json.loads((tmp_path / "out/foreign.json").read_text())["moments"] == 2


def test_a_similarity_is_found_and_applied_with_colours_that_depend_on_the_view(dataset):
    views = read_sample(dataset / "real/000008").views
    coloured = replace(posed(8), sh=torch.cat([posed(8).sh, torch.zeros(700, 3, 3)], 1))
    coloured.sh[:, 2] = 0.4  # brighter seen from one side of z
    turn = Similarity(1.0, Rotation.from_euler("x", 90, degrees=True).as_matrix())
    shown = render_moved(coloured, turn, views)
    expected = render_pictures(coloured, [turn.inverse().apply_camera(view.camera) for view in views])
    assert np.abs(shown - expected).max() < 1e-4
    found = find_similarity(move_gaussians(posed(8), turn), views)
    assert found.loss < 0.1 * found.unaligned


def ellipsoid(path, transform):
    """A coloured mesh: a long body whose front is red."""
    import trimesh

    mesh = trimesh.creation.icosphere(subdivisions=3)
    mesh.vertices *= [0.7, 0.3, 0.25]
    mesh.vertices[:, 1] += 0.25 * mesh.vertices[:, 0] ** 2
    mesh.visual.vertex_colors = np.where(mesh.vertices[:, :1] > 0.2, [[200, 40, 40, 255]], [[60, 60, 120, 255]])
    mesh.apply_transform(transform)
    mesh.export(path)
    return path


def test_meshes_of_every_format_are_covered_with_disks_of_their_colours(tmp_path):
    for suffix in ("glb", "obj", "ply"):
        solid = read_solid(ellipsoid(tmp_path / f"body.{suffix}", np.eye(4)))
        rgba = render_pictures(solid, [ring(4, 64)[1]])[0]
        inside = rgba[rgba[..., 3] > 0.5]
        assert 0.05 < len(inside) / 64**2 < 0.5 and inside[:, 3].mean() > 0.95, suffix
        assert {tuple((c > 0.5).tolist()) for c in inside[:, :3]} >= {(True, False, False), (False, False, False)}, (
            suffix
        )


def test_a_mesh_with_y_up_is_laid_onto_its_views(tmp_path):
    upright = cover_mesh(ellipsoid(tmp_path / "truth.glb", np.eye(4)), 3000)
    cameras = rig(SIZE)
    views = [View(rgba, c, ViewFacts(i)) for i, (rgba, c) in enumerate(zip(render_pictures(upright, cameras), cameras))]
    y_up = np.diag([3.0, 3.0, 3.0, 1.0]) @ np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0.4], [0, 0, 0, 1.0]])
    found = find_similarity(cover_mesh(ellipsoid(tmp_path / "y_up.glb", y_up), 3000), views)
    assert found.facts()["scale"] == pytest.approx(1 / 3, rel=0.02) and found.facts()["turn"] == pytest.approx(
        90, abs=3
    )
    assert found.loss < 0.05 * found.unaligned


def test_normals_turn_disks():
    normals = torch.nn.functional.normalize(torch.tensor([[1.0, 2, 3], [0, 0, -1], [0, 0, 1]]), dim=1)
    turned = Rotation.from_quat(np.roll(turn_to(normals).numpy(), -1, 1)).apply([0, 0, 1.0])
    assert np.abs(turned - normals.numpy()).max() < 1e-6


def write_pictures(folder, frame, cameras, alpha=True):
    for i in cameras:
        rgba = render_pictures(blurred(posed(frame)), [rig(SIZE)[i]])[0]
        write_png(folder / f"{frame:06d}/cam_{i:03d}.png", rgba if alpha else composite(rgba))


def test_pictures_of_the_rig_cameras_are_judged_as_they_are(dataset, tmp_path):
    for frame in TEST:
        write_pictures(tmp_path / "views", frame, (0, 1, 2, 3, 5))
        write_pictures(tmp_path / "flat", frame, (0, 1, 2, 3, 5), alpha=False)
    found = score(tmp_path / "views", dataset, tmp_path / "out")
    assert found["summary"]["protocols"]["A"]["cameras"] == [1, 2, 3] and "aligned" not in found
    assert held_out(found, "C")["model"] > held_out(found, "C")["mean_image"]
    with pytest.raises(DataError, match="alpha"):
        score(tmp_path / "flat", dataset, tmp_path / "out2")
    flat = score(tmp_path / "flat", dataset, tmp_path / "out3", white_is_empty=True)
    assert held_out(flat, "A")["model"] == pytest.approx(held_out(found, "A")["model"], abs=1.0)


def test_rendered_views_are_laid_by_their_cameras_and_other_cameras_are_refused(dataset, tmp_path):
    for frame in TEST:
        prediction = move_gaussians(blurred(posed(frame)), STRANGE)
        cameras = [STRANGE.apply_camera(camera) for camera in rig(2 * SIZE)]
        images = render_pictures(prediction, cameras)
        views = tuple(View(rgba, camera) for rgba, camera in zip(images, cameras))
        write_sample(tmp_path / f"good/{frame:06d}", Sample(views, SampleFacts("prediction", "x", frame=frame)))
        ring_views = tuple(View(rgba, camera) for rgba, camera in zip(images, ring(6, 2 * SIZE)))
        write_sample(tmp_path / f"bad/{frame:06d}", Sample(ring_views, SampleFacts("prediction", "x", frame=frame)))
    found = score(tmp_path / "good", dataset, tmp_path / "out")
    assert found["alignment"]["scale"]["mean"] == pytest.approx(1 / 37, rel=1e-3)
    assert found["alignment"]["camera_off_degrees"]["mean"] < 0.01
    assert held_out(found, "A")["model"] > held_out(found, "A")["mean_image"] + 1
    with pytest.raises(DataError, match="whatever the similarity"):
        score(tmp_path / "bad", dataset, tmp_path / "out2")


def test_the_similarity_of_cameras_is_exact():
    own = [STRANGE.inverse().apply_camera(camera) for camera in rig(32)]
    found = similarity_of_cameras(own, rig(32))
    assert found.scale == pytest.approx(37) and np.abs(found.rotation - STRANGE.rotation).max() < 1e-9
    assert np.abs(found.translation - STRANGE.translation).max() < 1e-7


def test_what_cannot_be_judged_is_said(dataset, tmp_path):
    empty, named, twice, train, far = (tmp_path / name for name in ("empty", "named", "twice", "train", "far"))
    for folder in (empty, named, twice, train, far):
        folder.mkdir()
    with pytest.raises(DataError, match="hold nothing"):
        list_entries(empty, ["toy"])
    write_ply(named / "mouse.ply", animal())
    with pytest.raises(DataError, match="does not say its frame"):
        list_entries(named, ["toy"])
    for name in ("000008", "8_again_8"):
        write_ply(twice / f"{name}.ply", animal())
    with pytest.raises(DataError, match="twice"):
        list_entries(twice, ["toy"])
    with pytest.raises(DataError, match="does not say its recording"):
        list_entries(twice, ["m1", "m2"])
    write_ply(far / "000099.ply", animal())
    with pytest.raises(DataError, match="does not have"):
        score(far, dataset, tmp_path / "out")
    write_ply(train / "000006.ply", animal())
    with pytest.raises(DataError, match="none of the predicted moments"):
        score(train, dataset, tmp_path / "out")
    write_ply(far / "000099.ply", animal())
    with pytest.raises(DataError, match="no picture of an input camera"):
        (far / "000099.ply").rename(far / "000008.ply")
        score(far, dataset, tmp_path / "out", inputs=(17,))


def test_four_views_a_quarter_turn_apart_are_found_and_white_flatters():
    chosen, off = orthogonal_views(ring(8, 16))
    assert off == pytest.approx(0, abs=1e-6) and chosen in ((0, 2, 4, 6), (1, 3, 5, 7))
    assert orthogonal_views(ring(6, 16))[1] == pytest.approx(30, abs=1e-6)
    truth = [np.zeros((32, 32, 4), np.float32)] * 4
    dot = [image.copy() for image in truth]
    for image in dot:
        image[14:18, 14:18, 3] = 1
    assert full_frame(truth, dot)["psnr"] > 15 and full_frame(dot, dot)["ssim"] == pytest.approx(1)
