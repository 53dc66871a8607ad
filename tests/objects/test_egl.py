"""The OpenGL backend against the project's rasteriser; skipped where moderngl or EGL is not to be had."""

import numpy as np
import pytest

from mousefacelift.core.cameras import orbit, ring
from mousefacelift.core.images import mask_iou
from mousefacelift.errors import ConfigError
from mousefacelift.objects.egl import open_context, render_views_egl
from mousefacelift.objects.light import three_point_light
from mousefacelift.objects.mesh import BLEND, Material, normalise
from mousefacelift.objects.procedural import FAMILIES, procedural_object
from mousefacelift.objects.render import render_views

from .shapes import join, sphere, square
from .test_render import OFF_CENTRE


@pytest.fixture(scope="module", autouse=True)
def device():
    try:
        open_context().release()
    except ConfigError as error:
        pytest.skip(f"no OpenGL here: {error.what}")


def centroid(alpha):
    rows, columns = np.indices(alpha.shape) + 0.5
    return np.array([(columns * alpha).sum(), (rows * alpha).sum()]) / alpha.sum()


@pytest.mark.parametrize("name", ["superquadric", "lattice", "furniture", "plant", "creature", "ribbon"])
def test_both_backends_agree_on_silhouette_colour_depth_and_normal(name):
    number = [family.__name__ for family in FAMILIES].index(name)
    mesh, _ = normalise(procedural_object(0, number))
    cameras = [*ring(3, 128, start=20), orbit(50, 30, 2.7, OFF_CENTRE, 128, 128)]
    light = three_point_light(1)
    for ours, theirs in zip(render_views(mesh, cameras, light), render_views_egl(mesh, cameras, light)):
        a, b = ours.rgba[..., 3], theirs.rgba[..., 3]
        assert mask_iou(a > 0.5, b > 0.5) >= 0.995
        assert np.abs(a - b).mean() < 1e-3
        whole = (a == 1) & (b == 1)
        assert np.abs(ours.rgba - theirs.rgba)[whole].mean() < 0.02  # the mip levels are chosen differently
        assert np.median(np.abs(ours.depth - theirs.depth)[whole]) < 1e-4
        assert np.median((ours.normal * theirs.normal).sum(-1)[whole]) > 0.9999


@pytest.mark.parametrize("fxfycxcy", [None, OFF_CENTRE])
def test_cameras_agree_to_a_tenth_of_a_pixel(fxfycxcy):
    camera = ring(8, 128)[1] if fxfycxcy is None else orbit(33, 20, 2.7, fxfycxcy, 128, 128)
    for place in ([0.5, 0.1, 0.2], [-0.4, 0.3, -0.1], [0.1, -0.5, 0.4]):
        pin = sphere(place, 0.05, 2)
        ours, theirs = render_views(pin, [camera])[0], render_views_egl(pin, [camera], three_point_light())[0]
        assert np.abs(centroid(ours.rgba[..., 3]) - centroid(theirs.rgba[..., 3])).max() < 0.02  # px


def test_translucent_layers_agree():
    red = square(z=0.1, material=Material(base=(1.0, 0, 0, 0.5), alpha_mode=BLEND))
    green = square(z=-0.1, material=Material(base=(0, 1.0, 0, 0.25), alpha_mode=BLEND))
    for camera in (
        orbit(10, 60, 2.7, ring(1, 64)[0].fxfycxcy, 64, 64),
        orbit(10, -60, 2.7, ring(1, 64)[0].fxfycxcy, 64, 64),
    ):
        ours = render_views(join(red, green), [camera])[0].rgba
        theirs = render_views_egl(join(red, green), [camera], three_point_light())[0].rgba
        assert np.abs(ours - theirs)[32, 32].max() < 2e-3
