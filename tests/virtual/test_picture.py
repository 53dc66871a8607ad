"""Lenses, strokes, light and defects of the virtual recording."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mousefacelift.core.cameras import Camera, look_at, project
from mousefacelift.errors import ConfigError
from mousefacelift.virtual import anatomy, arena, coat, degrade, light, mesh, painter, raster, rig
from mousefacelift.virtual.config import NO_DEFECTS


@pytest.fixture(scope="module")
def scene():
    mouse = mesh.build_mouse(anatomy.Animal())
    vertices = mouse.vertices + [50.0, 53.0, 0.0]
    return painter.make_scene(mouse, vertices, coat.seed_strands(mouse, 4000, 1), light.studio_lights())


def small_camera(size=96):
    return Camera(
        look_at([50.0, -240.0, 90.0], [45.0, 53.0, 18.0]), np.array([150.0, 150, size / 2, size / 2]), size, size
    )


def test_projection_equals_opencv_but_for_skew_and_half_a_pixel():
    points = np.random.default_rng(0).uniform([0, 0, 0], [100, 110, 80], (50, 3))
    for lens in rig.build_rig("markerless_mouse", 6, 1152, 1024):
        fx, fy, cx, cy, skew = lens.intrinsics
        K = np.array([[fx, 0, cx - 0.5], [0, fy, cy - 0.5], [0, 0, 1]])
        expected = (
            cv2.projectPoints(points, cv2.Rodrigues(lens.rotation)[0], lens.translation, K, lens.distortion)[0][:, 0]
            + 0.5
        )
        expected[:, 0] += skew * (expected[:, 1] - cy) / fy
        assert np.abs(rig.project(lens, points)[0] - expected).max() < 1e-6
        compiled = np.zeros((50, 3))
        raster.project_points(points, lens.packed(), 1.0, compiled)
        assert np.abs(compiled[:, :2] - expected).max() < 1e-6


def test_rays_are_the_inverse_of_projection_in_the_strongest_lens():
    lens = rig.build_rig("markerless_mouse", 6, 288, 256)[1]
    pixels, _ = rig.project(lens, lens.center + 250 * rig.rays(lens))
    v, u = np.mgrid[:256, :288] + 0.5
    assert np.abs(pixels - np.stack([u, v], -1)).max() < 1e-3


def test_the_rig_is_the_real_one(shared):
    import json

    known = json.loads((shared / "data/rig_markerless_mouse/cameras_opencv.json").read_text())["cameras"]
    for lens, entry in zip(rig.build_rig("markerless_mouse", 6, 1152, 1024), known):
        assert np.abs(lens.center - entry["center"]).max() < 1e-4
        assert np.abs(lens.rotation - entry["R"]).max() < 1e-8
        assert lens.intrinsics[2] == pytest.approx(entry["K"][0][2] + 0.5)


def test_rigs_of_other_sizes_and_wrong_counts():
    assert len(rig.build_rig("ring", 9, 320, 240)) == 9
    for name, count in (("markerless_mouse", 5), ("ring", 2), ("ring", 17)):
        with pytest.raises(ConfigError):
            rig.build_rig(name, count, 320, 240)


def test_the_silhouette_is_where_the_projected_vertices_are(scene):
    camera = small_camera()
    rgba = painter.paint_frame(scene, rig.from_camera(camera))
    alpha, (pixels, _) = rgba[..., 3], project(camera, scene.vertices)
    columns, rows = pixels.astype(int).T
    assert (cv2.dilate(alpha, np.ones((3, 3)))[rows, columns] > 0.3).all()
    ys, xs = np.nonzero(alpha > 0.02)
    assert np.abs([xs.min() - pixels[:, 0].min(), xs.max() + 1 - pixels[:, 0].max()]).max() < 3.0
    assert rgba.min() >= 0 and rgba.max() <= 1 and np.all(rgba[alpha == 0] == 0)


def test_a_camera_that_looks_away_sees_nothing(scene):
    camera = Camera(look_at([50.0, -240.0, 90.0], [50.0, -500.0, 90.0]), np.array([150.0, 150, 48, 48]), 96, 96)
    assert not painter.paint_frame(scene, rig.from_camera(camera)).any()


def test_more_samples_per_pixel_change_the_picture_little(scene):
    lens = rig.from_camera(small_camera())
    two, four = (painter.paint_frame(scene, lens, s) for s in (2, 4))
    assert np.abs(two[..., 3] - four[..., 3]).mean() < 0.004


def test_a_nearer_strand_covers_a_farther_one_and_skin_hides_what_lies_behind():
    image, depth = np.zeros((8, 8, 4), np.float32), np.full((8, 8), 1e9, np.float32)
    line = np.array([[0, 4, 8, 4, 10, 10, 2], [0, 4, 8, 4, 5, 5, 2], [4, 0, 4, 8, 50, 50, 2]], np.float32)
    colours = np.array([[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 1, 1]], np.float32)
    depth[:] = 20.0
    order = np.argsort(-(line[:, 4] + line[:, 5]))
    raster.paint_segments(order, line, colours, np.float32(0), np.float32(0), depth, np.float32(1), image)
    assert np.allclose(image[4, 4], [0, 1, 0, 1]) and not image[..., 2].any()


def test_light_is_full_on_an_open_floor_and_less_under_the_animal(scene):
    shadow = scene.lighting.shadow
    center = ((scene.vertices[:, :2].mean(0) - scene.lighting.shadow_origin) / light.SHADOW_STEP).astype(int)
    assert shadow[0, 0] > 0.97 and shadow[center[1], center[0] + 20] < 0.6
    assert 0 <= shadow.min() and shadow.max() <= 1 + 1e-6
    back = scene.lighting.diffuse[scene.lighting.normals[:, 2] > 0.8].mean()
    belly = scene.lighting.diffuse[scene.lighting.normals[:, 2] < -0.8].mean()
    assert back > 2 * belly


def test_the_arena_is_white_on_the_disc_and_dark_above_the_table():
    lens = rig.undistorted_rig(rig.build_rig("markerless_mouse", 6, 288, 256))[5]
    backdrop = arena.make_backdrop(lens)
    pixel = rig.project(lens, np.array([*rig.ARENA_CENTER, 0.0]))[0].astype(int)
    assert backdrop.image[pixel[1], pixel[0]].min() > 0.85 and backdrop.image[2, 140].max() < 0.2


def test_the_acrylic_band_greys_only_the_lowest_25_mm(scene):
    lens = rig.from_camera(small_camera(192))
    mouse, strands = scene.mesh, scene.strands
    plain = painter.paint_frame(scene, lens)
    band = painter.paint_frame(painter.make_scene(mouse, scene.vertices, strands, light.studio_lights(), 0.35), lens)
    changed = np.abs(plain - band).max(-1) > 0.01
    assert changed.any() and np.array_equal(plain[..., 3], band[..., 3])
    high = scene.vertices[scene.vertices[:, 2] > 30]
    columns, rows = project(small_camera(192), high)[0].astype(int).T
    assert not changed[rows.min() : rows.min() + 3].any() and rows.min() < np.nonzero(changed.any(1))[0][0]


def test_spoiled_calibrations_are_off_by_what_was_asked():
    lenses = rig.build_rig("markerless_mouse", 6, 1152, 1024)
    spoiled = degrade.spoil_calibration(
        lenses, replace(NO_DEFECTS, principal_point_px=(2, 13), extrinsic_jitter_deg=(0.2, 1.0)), 4
    )
    for true, wrong in zip(lenses, spoiled):
        assert 2 <= np.linalg.norm((wrong.intrinsics - true.intrinsics)[2:4]) <= 13
        turn = np.degrees(np.arccos((np.trace(wrong.rotation @ true.rotation.T) - 1) / 2))
        assert 0.2 <= turn <= 1.0 and np.allclose(wrong.center, true.center)
    copied = degrade.spoil_calibration(lenses, replace(NO_DEFECTS, copied_calibration_camera=2), 4)
    assert copied[2] is copied[3] and copied[1].intrinsics is not copied[3].intrinsics
    untouched = degrade.spoil_calibration(lenses, NO_DEFECTS, 4)
    assert all(np.array_equal(a.packed(), b.packed()) for a, b in zip(lenses, untouched))


@pytest.mark.parametrize("pixels", [-2.0, -0.5, 0.5, 2.0])
def test_a_changed_mask_grows_or_shrinks_by_that_many_pixels(pixels):
    y, x = np.mgrid[:80, :80]
    disc = (np.hypot(x - 39.5, y - 39.5) < 25).astype(np.float32)
    radius = np.sqrt(degrade.change_mask(disc, pixels).sum() / np.pi)
    assert radius - 25 == pytest.approx(pixels, abs=0.25)
    assert degrade.change_mask(disc, 0.0) is disc


def test_noise_has_the_asked_strength():
    levels = degrade.sense(np.full((64, 64, 3), 0.5, np.float32), 1.0, 1.6, np.random.default_rng(0))
    assert levels.std() == pytest.approx(1.6, abs=0.1)
