"""The rasteriser against exact geometry: where, how deep, how bright, how transparent."""

import numpy as np
import pytest

from mousefacelift.core.cameras import Camera, canonical_fxfycxcy, look_at, orbit, project, rays, ring
from mousefacelift.objects.light import environment_light, flat_light, three_point_light
from mousefacelift.objects.mesh import BLEND, CLAMP, MASK, MIRROR, OPAQUE, REPEAT, Material, make_mesh
from mousefacelift.objects.render import render_views

from .shapes import join, sphere, square, triangle_soup
from .twin import cast_rays

TOP = Camera(look_at((0, 0, 2.0), (0, 0, 0), up=(0, 1, 0)), canonical_fxfycxcy(64), 64, 64)  # looks straight down
OFF_CENTRE = np.array([140.0, 137.0, 50.3, 72.7])  # unequal focal lengths, principal point far from the middle


def shoot(mesh, camera=TOP, light=None, supersampling=4):
    return render_views(mesh, [camera], light or flat_light(), supersampling)[0]


@pytest.mark.parametrize("fxfycxcy", [canonical_fxfycxcy(128), OFF_CENTRE])
def test_small_balls_appear_where_the_camera_projects_them(fxfycxcy):
    pins = np.array([[0.5, 0.1, 0.2], [-0.4, 0.3, -0.1], [0.1, -0.5, 0.4], [0.0, 0.0, 0.0]])
    camera = orbit(33.0, 20.0, 2.7, fxfycxcy, 128, 128)
    for pin in pins:
        alpha = shoot(sphere(pin, 0.02, 2), camera, supersampling=6).rgba[..., 3]
        rows, columns = np.indices(alpha.shape) + 0.5
        found = np.array([(columns * alpha).sum(), (rows * alpha).sum()]) / alpha.sum()
        assert np.abs(found - project(camera, pin)[0]).max() < 0.05  # px; samples are a sixth of a pixel apart


def test_coverage_equals_a_point_in_triangle_test_at_every_sample(rng):
    mesh, camera = triangle_soup(rng), ring(8, 32)[3]
    alpha = shoot(mesh, camera, supersampling=3).rgba[..., 3]
    pixels = project(camera, mesh.vertices)[0][mesh.faces]  # [F, 3, 2]
    grid = (np.arange(96) + 0.5) / 3
    points = np.stack(np.meshgrid(grid, grid), -1)
    covered = np.zeros((96, 96), bool)
    for a, b, c in pixels:
        sides = [np.cross(q - p, points - p) for p, q in ((a, b), (b, c), (c, a))]
        covered |= np.all([s >= 0 for s in sides], axis=0) | np.all([s <= 0 for s in sides], axis=0)
    expected = covered.reshape(32, 3, 32, 3).mean(axis=(1, 3))
    assert np.abs(alpha - expected).max() < 1e-6


def test_nearest_surface_wins_whatever_the_order_of_faces(rng):
    mesh, camera = triangle_soup(rng), ring(8, 48)[1]
    order = rng.permutation(len(mesh.faces))
    shuffled = make_mesh(mesh.vertices, mesh.faces[order], normals="flat", colors=mesh.colors, materials=mesh.materials)
    assert np.array_equal(shoot(mesh, camera).rgba, shoot(shuffled, camera).rgba)


def test_of_two_faces_at_one_place_the_first_is_seen_everywhere(rng):
    mesh = triangle_soup(rng)
    red, green = (np.tile([r, g, 0, 1.0], (len(mesh.vertices), 1)) for r, g in ((1, 0), (0, 1)))
    twice = make_mesh(
        np.concatenate([mesh.vertices] * 2),
        np.concatenate([mesh.faces, mesh.faces + len(mesh.vertices)]),
        normals="flat",
        colors=np.concatenate([red, green]),
    )
    for camera in ring(4, 48):
        rgba = shoot(twice, camera).rgba
        assert rgba[..., 3].max() == 1 and rgba[..., 1].max() == 0  # rounding of depths is no reason to mix them


def test_faces_that_leave_the_picture_on_all_sides_cover_it_alone():
    wide = make_mesh(np.array([[-90.0, -90, 0], [90, -90, 0], [0, 90, 0]]), np.array([[0, 1, 2]]), normals="flat")
    assert (shoot(wide, supersampling=3).rgba[..., 3] == 1).all()
    beside = make_mesh(wide.vertices + [200.0, 0, 0], wide.faces, normals="flat")
    assert shoot(beside, supersampling=3).rgba.max() == 0
    right = make_mesh(np.array([[0.5, -0.1, 0], [90, -0.1, 0], [0.5, 0.1, 0]]), np.array([[0, 1, 2]]), normals="flat")
    alpha = shoot(right, supersampling=3).rgba[..., 3]
    assert alpha[:, -1].max() == 1 and alpha[:, :40].max() == 0  # what is written beyond a row is not the next row


def test_depth_and_normal_of_a_sphere_are_exact():
    camera = ring(8, 96)[1]
    picture = shoot(sphere(subdivisions=5), camera)
    origin, directions = rays(camera)
    along = directions @ -origin
    inside = along**2 - (origin @ origin - 1)
    whole = (picture.rgba[..., 3] == 1) & (inside > 0.05)
    hit = origin + directions * (along - np.sqrt(np.maximum(inside, 0)))[..., None]
    depth = project(camera, hit)[1]
    assert np.abs(picture.depth - depth)[whole].max() < 4e-3  # curvature within a pixel and the facets
    assert (picture.normal * hit).sum(-1)[whole].min() > 0.998


def test_flat_light_shows_the_base_colour_up_to_the_very_edge():
    material = Material(base=(0.5, 0.2, 0.05, 1.0))
    rgba = shoot(square(material=material)).rgba
    seen = rgba[..., 3] > 0
    assert np.ptp(rgba[seen][:, :3], axis=0).max() < 1e-6  # straight alpha: no dark fringe
    assert rgba[seen][0, 0] == pytest.approx(1.055 * 0.5 ** (1 / 2.4) - 0.055, abs=1e-5)
    assert (rgba[~seen] == 0).all()


def test_top_row_of_a_texture_is_at_v_equal_one():
    texture = np.full((8, 8, 4), 255, np.uint8)
    texture[:4, :, 1:3] = 0  # red above, white below
    rgba = shoot(square(material=Material(base=(1.0, 1.0, 1.0, 1.0), texture=texture))).rgba
    assert rgba[22, 32, 1] < 0.01 and rgba[42, 32, 1] > 0.99  # +y is up in this view


def test_a_fine_checker_seen_from_afar_is_its_mean_light():
    texture = np.zeros((512, 512, 4), np.uint8)
    texture[..., 3] = 255
    texture[(np.indices((512, 512)).sum(0) % 2) == 0, :3] = 255
    rgba = shoot(square(material=Material(base=(1.0, 1.0, 1.0, 1.0), texture=texture))).rgba
    inner = rgba[28:36, 28:36, 0]
    assert np.abs(inner - 0.7354).max() < 0.01  # sRGB of half the light, not half of sRGB


@pytest.mark.parametrize(("mode", "light"), [(OPAQUE, 0.7354), (MASK, 1.0)])
def test_alpha_weighs_texels_seen_from_afar_only_where_it_counts(mode, light):
    texture = np.zeros((512, 512, 4), np.uint8)
    texture[(np.indices((512, 512)).sum(0) % 2) == 0] = 255  # what is white is opaque, what is black is not
    rgba = shoot(square(material=Material(texture=texture, alpha_mode=mode, cutoff=0.0))).rgba
    assert np.abs(rgba[28:36, 28:36, 0] - light).max() < 0.01


def test_an_alpha_that_equals_its_cut_off_leaves_no_holes(rng):
    material = Material(base=(1.0, 1, 1, 0.5), texture=np.full((7, 5, 4), 255, np.uint8), alpha_mode=MASK, cutoff=0.5)
    assert (shoot(square(material=material)).rgba[16:48, 16:48, 3] == 1).all()


def test_mask_cuts_and_opaque_ignores_alpha():
    texture = np.full((64, 64, 4), 255, np.uint8)
    texture[:, :32, 3] = 0
    solid = shoot(square(material=Material(texture=texture))).rgba[..., 3].sum()
    cut = shoot(square(material=Material(texture=texture, alpha_mode=MASK))).rgba[..., 3].sum()
    assert cut / solid == pytest.approx(0.5, abs=0.01)


def test_what_a_mask_leaves_is_opaque():
    texture = np.full((64, 64, 4), 200, np.uint8)
    assert shoot(square(material=Material(texture=texture, alpha_mode=MASK))).rgba[32, 32, 3] == 1


@pytest.mark.parametrize("heights", [(0.0, 0.2), (0.2, 0.0)])
def test_blended_layers_mix_by_depth_not_by_order(heights):
    red = square(z=heights[0], material=Material(base=(1.0, 0, 0, 0.5), alpha_mode=BLEND))
    green = square(z=heights[1], material=Material(base=(0, 1.0, 0, 0.25), alpha_mode=BLEND))
    rgba = shoot(join(red, green)).rgba[32, 32]
    front = {0.2: 0, 0.0: 1}[heights[0]]
    over, under = (0.5, 0.25) if front == 0 else (0.25, 0.5)
    alpha = over + (1 - over) * under
    linear = np.where(rgba[:3] <= 0.04045, rgba[:3] / 12.92, ((rgba[:3] + 0.055) / 1.055) ** 2.4)
    assert rgba[3] == pytest.approx(alpha, abs=1e-5)
    assert linear[front] == pytest.approx(over / alpha, abs=1e-3)
    assert linear[1 - front] == pytest.approx((1 - over) * under / alpha, abs=1e-3)


def test_both_sides_of_a_face_are_lit_as_seen():
    below = Camera(look_at((0, 0, -2.0), (0, 0, 0), up=(0, 1, 0)), canonical_fxfycxcy(64), 64, 64)
    assert shoot(square()).normal[32, 32] @ [0, 0, 1] > 0.999
    assert shoot(square(), below).normal[32, 32] @ [0, 0, -1] > 0.999


def test_an_even_white_surrounding_lights_every_direction_alike():
    light = environment_light(np.ones((32, 64, 3)))
    assert np.abs(light.ambient[0] - 1).max() < 2e-3
    assert np.abs(light.ambient[1:]).max() < 2e-3
    bright_above = np.zeros((32, 64, 3))
    bright_above[:16] = 1
    assert environment_light(bright_above).ambient[2].min() > 0.4  # irradiance grows with the normal's z


def test_pictures_do_not_depend_on_the_number_of_threads(rng):
    mesh, cameras = triangle_soup(rng), ring(4, 32)
    one, two = (render_views(mesh, cameras, three_point_light(3), 2, threads) for threads in (1, 2))
    assert all(np.array_equal(a.rgba, b.rgba) for a, b in zip(one, two))


def painted_soup(rng, wrap):
    """Large textured and coloured triangles, half of them with smooth normals; texels are larger than samples."""
    materials = [
        Material(base=(0.9, 0.7, 0.123456, 1.0), texture=rng.integers(0, 256, (4, 3, 4)).astype(np.uint8), wrap=wrap)
    ]
    normals = rng.normal(size=(60, 3))
    normals = normals / np.linalg.norm(normals, axis=1, keepdims=True) * (np.arange(60) < 30)[:, None]
    return make_mesh(
        rng.uniform(-0.6, 0.6, (60, 3)),
        np.arange(60).reshape(-1, 3),
        normals=normals,
        uv=rng.uniform(-1.5, 2.5, (60, 2)),
        colors=rng.uniform(0.2, 1, (60, 4)),
        materials=materials,
    )


@pytest.mark.parametrize("wrap", [(REPEAT, REPEAT), (CLAMP, MIRROR), (MIRROR, CLAMP)])
@pytest.mark.parametrize("distance", [2.7, 0.2])
def test_pictures_equal_those_of_the_naive_twin_from_outside_and_from_inside(rng, wrap, distance):
    mesh, light = painted_soup(rng, wrap), three_point_light(5)
    camera = orbit(40, 25, distance, canonical_fxfycxcy(48) * [3, 3.3, 1, 1] + [0, 0, 2.5, -4.0], 48, 48)
    ours = shoot(mesh, camera, light, 2)
    rgba, depth, normal = cast_rays(mesh, camera, light, 2)
    same = ours.rgba[..., 3] == rgba[..., 3]
    assert same.mean() > 0.998 and rgba[..., 3].mean() > 0.2  # an edge through a sample may fall to either side
    for a, b, share in ((ours.rgba, rgba, 1e-3), (ours.depth, depth, 1e-4), (ours.normal, normal, 1e-3)):
        error = np.abs(a - b).reshape(48, 48, -1).max(-1)[same]
        assert np.quantile(error, 0.99) < share, np.quantile(error, [0.5, 0.9, 0.99, 1])


def test_what_lies_behind_the_camera_is_not_seen():
    assert shoot(sphere((0, 0, 5.0), 0.5), TOP).rgba.max() == 0
    inside = orbit(0, 0, 0.5, canonical_fxfycxcy(32), 32, 32)
    picture = shoot(sphere(), inside)
    assert (picture.rgba[..., 3] == 1).all() and picture.depth[16, 16] == pytest.approx(1.5, abs=0.02)


def test_height_need_not_be_a_multiple_of_the_band():
    camera = Camera(TOP.w2c, canonical_fxfycxcy(64), 64, 37)
    assert np.array_equal(shoot(square(), camera).rgba, shoot(square()).rgba[:37])
