"""The Blender backend: its job, its asset, and (where a Blender is given) its agreement with the rasteriser.

Set MOUSEFACELIFT_BLENDER to a `blender` program or a Python with bpy to run the agreement tests.
"""

import os
from dataclasses import replace

import numpy as np
import pytest

from mousefacelift.core.cameras import orbit, ring
from mousefacelift.core.images import mask_iou
from mousefacelift.errors import ConfigError
from mousefacelift.objects.blender import asset_for_blender, export_glb, render_views_blender
from mousefacelift.objects.config import BlenderConfig, LightConfig, ObjectsConfig
from mousefacelift.objects.light import flat_light, three_point_light
from mousefacelift.objects.load import load_mesh
from mousefacelift.objects.mesh import Material, normalise
from mousefacelift.objects.procedural import FAMILIES, procedural_object
from mousefacelift.objects.render import render_views

from . import assets
from .formats.maker import Maker
from .shapes import join, sphere, square
from .test_fixtures import NAMES, REFUSED, asset_of
from .test_render import OFF_CENTRE


def family(name):
    return normalise(procedural_object(0, [f.__name__ for f in FAMILIES].index(name)))[0]


@pytest.mark.parametrize("name", ["vase", "creature", "plant", "lantern", "crystal"])
def test_an_exported_mesh_loads_back_and_looks_the_same(tmp_path, name):
    mesh, cameras = family(name), ring(2, 64, start=30)
    export_glb(mesh, tmp_path / "a.glb")
    for before, after in zip(render_views(mesh, cameras), render_views(load_mesh(tmp_path / "a.glb"), cameras)):
        assert mask_iou(before.rgba[..., 3] > 0.5, after.rgba[..., 3] > 0.5) > 0.999
        assert np.abs(before.rgba - after.rgba).mean() < 2e-3  # colours and factors are stored in 8 bits


def test_what_shines_is_exported_with_its_picture(tmp_path, rng):
    picture = rng.integers(0, 256, (8, 8, 4)).astype(np.uint8)
    shining = Material(base=(0.2, 0.2, 0.2, 1.0), emissive=(1.0, 1, 1), emissive_texture=picture)
    export_glb(square(material=shining), tmp_path / "a.glb")
    found = load_mesh(tmp_path / "a.glb").materials[0]
    assert np.array_equal(found.emissive_texture[..., :3], picture[..., :3]) and found.emissive == (1, 1, 1)


def test_a_glb_is_given_to_blender_as_it_is_and_other_meshes_are_written(tmp_path):
    path = assets.glb(tmp_path / "a.glb")
    assert asset_for_blender(normalise(load_mesh(path))[0], tmp_path) == path.resolve()
    assert asset_for_blender(sphere(), tmp_path) == tmp_path / "mesh.glb"


def test_a_missing_blender_says_what_to_do():
    config = ObjectsConfig(blender=BlenderConfig(python="/nowhere/python"))
    with pytest.raises(ConfigError, match="envs/blender.yaml"):
        render_views_blender(sphere(), ring(1, 16), three_point_light(), config)


@pytest.fixture(scope="module")
def blender():
    program = os.environ.get("MOUSEFACELIFT_BLENDER")
    if not program:
        pytest.skip("needs Blender: set MOUSEFACELIFT_BLENDER to its program or to a python with bpy")
    return ObjectsConfig(blender=BlenderConfig(python=program, samples=64))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vase", "creature", "furniture", "knot"])
def test_silhouettes_agree_with_blender(blender, name):
    mesh = family(name)
    cameras = [ring(8, 256)[1], orbit(50, 30, 2.7, OFF_CENTRE * 2, 256, 256)]
    ours = render_views(mesh, cameras, three_point_light(), 4)
    for a, b in zip(ours, render_views_blender(mesh, cameras, three_point_light(), blender)):
        assert mask_iou(a.rgba[..., 3] > 0.5, b.rgba[..., 3] > 0.5) >= 0.995
        whole = (a.rgba[..., 3] == 1) & (b.rgba[..., 3] == 1)
        assert np.abs(a.rgba - b.rgba)[whole].mean() < 0.06  # light bounces there, and casts shadows


@pytest.mark.slow
@pytest.mark.parametrize("offset", [False, True])
def test_cameras_agree_with_blender_to_a_tenth_of_a_pixel(blender, offset):
    pins = np.array([[0.5, 0.1, 0.2], [-0.4, 0.3, -0.1], [0.1, -0.5, 0.4], [0.0, 0.0, 0.0]])
    camera = (
        orbit(33, 20, 2.7, OFF_CENTRE * 2, 256, 256)
        if offset
        else orbit(33, 20, 2.7, ring(1, 256)[0].fxfycxcy, 256, 256)
    )
    mesh = join(*(sphere(pin, 0.03, 3) for pin in pins))
    ours = render_views(mesh, [camera], three_point_light(), 6)[0].rgba[..., 3]
    theirs = render_views_blender(mesh, [camera], three_point_light(), blender)[0].rgba[..., 3]
    from scipy.ndimage import center_of_mass, label

    spots, count = label(np.maximum(ours, theirs) > 0)
    assert count == len(pins)
    for k in range(1, count + 1):
        difference = np.subtract(center_of_mass(ours * (spots == k)), center_of_mass(theirs * (spots == k)))
        assert np.abs(difference).max() < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_fixtures_agree_with_blender_under_flat_light(blender, shared, name):
    if name in REFUSED:
        pytest.skip("refused by name before any backend sees it")
    path = asset_of(shared, name)
    mesh, cameras = normalise(load_mesh(path))[0], ring(8, 192)[1:6:2]
    flat = replace(blender, light=LightConfig(kind="flat"))
    ours = render_views(mesh, cameras, flat_light(), 4)
    for a, b in zip(ours, render_views_blender(mesh, cameras, flat_light(), flat)):
        assert mask_iou(a.rgba[..., 3] > 0.5, b.rgba[..., 3] > 0.5) >= 0.99
        whole = (a.rgba[..., 3] == 1) & (b.rgba[..., 3] == 1)
        assert np.median(np.abs(a.rgba - b.rgba)[whole]) <= 2 / 255  # texture edges are filtered differently


@pytest.mark.slow
def test_a_picture_that_also_holds_roughness_is_still_a_colour_to_blender(blender, tmp_path):
    maker = Maker()
    maker.set("TEXCOORD_0", np.full((len(assets.TETRAHEDRON), 2), 0.5))
    maker.texture()
    maker.tree["materials"][0]["pbrMetallicRoughness"]["metallicRoughnessTexture"] = {"index": 0}
    maker.tree["materials"][0]["doubleSided"] = True
    maker.write(tmp_path)
    mesh, camera = normalise(load_mesh(tmp_path / "a.gltf"))[0], ring(8, 96)[1]
    flat = replace(blender, light=LightConfig(kind="flat"))
    ours, theirs = (
        render_views(mesh, [camera], flat_light(), 4)[0].rgba,
        render_views_blender(mesh, [camera], flat_light(), flat)[0].rgba,
    )
    whole = (ours[..., 3] == 1) & (theirs[..., 3] == 1)
    assert whole.sum() > 100 and np.abs(ours - theirs)[whole].max() <= 2 / 255
