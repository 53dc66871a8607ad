"""Posed views in other units."""

import dataclasses

import numpy as np
import pytest

from mousefacelift.core.cameras import Camera, project
from mousefacelift.core.records import SampleFacts
from mousefacelift.core.samples import Sample, View
from mousefacelift.errors import CameraError
from mousefacelift.reconstruct.views import canonical_views

from ..lrm.toy import rig


def sample(unit=1.0, shift=(0.0, 0.0, 0.0)):
    """Six views of a rig whose world is in units of 1/`unit` canonical ones, its origin moved by `shift`."""
    views = []
    for camera in rig(32):
        w2c = camera.w2c.copy()
        w2c[:3, 3] = unit * (camera.t - camera.R @ np.array(shift))
        views.append(View(np.zeros((32, 32, 4), np.float32), Camera(w2c, camera.fxfycxcy, 32, 32)))
    return Sample(tuple(views), SampleFacts("real"))


@pytest.mark.parametrize("unit", [1000 / 9, 1 / 9, 5.0])
def test_views_in_another_unit_come_to_the_canonical_distance_and_keep_their_pixels(unit):
    scaled, factor = canonical_views(sample(unit), "a")
    assert factor == pytest.approx(1 / unit) and scaled.facts.details["world_scale"] == factor
    for mended, camera in zip(scaled.cameras, rig(32), strict=True):
        np.testing.assert_allclose(mended.center, camera.center, atol=1e-9)
        np.testing.assert_allclose(
            project(mended, np.array([0.1, 0.2, -0.1]))[0], project(camera, np.array([0.1, 0.2, -0.1]))[0]
        )


def test_views_near_the_canonical_distance_stay_as_they_are():
    given = sample(1.2)
    same, factor = canonical_views(given, "a")
    assert factor == 1.0 and same is given


def test_a_world_that_is_not_centred_on_the_animal_is_refused():
    with pytest.raises(CameraError, match="not centred on the animal"):
        canonical_views(sample(shift=(1.5, 0.0, 0.0)), "a")
    behind = sample()
    turned = np.diag([-1.0, 1.0, -1.0, 1.0]) @ behind.cameras[1].w2c
    camera = dataclasses.replace(behind.cameras[1], w2c=turned)
    views = (behind.views[0], dataclasses.replace(behind.views[1], camera=camera))
    with pytest.raises(CameraError, match="behind a camera"):
        canonical_views(Sample(views, behind.facts), "a")
