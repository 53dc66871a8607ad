"""The `prior` generator: all views of a photo show one solid, and the folder that training writes is enough."""

import json

import numpy as np
import pytest

from mousefacelift.core.cameras import canonical_fxfycxcy, orbit
from mousefacelift.core.images import mask_iou
from mousefacelift.core.samples import View
from mousefacelift.distill.generators.prior import PriorGenerator
from mousefacelift.distill.view_sets import VIEW_SETS
from mousefacelift.errors import DataError, MissingWeights
from mousefacelift.prior.adapt import save_adapted
from tests.prior.conftest import network, shard  # noqa: F401 - fixtures
from tests.prior.test_fit import mouse, photo


@pytest.fixture
def generator(network, tmp_path):  # noqa: F811
    save_adapted(network, tmp_path / "adapted.safetensors")
    (tmp_path / "generator.json").write_text(json.dumps({"kind": "prior", "size": 48}))
    return PriorGenerator.load(tmp_path, VIEW_SETS["sixty"], 4, 48)


@pytest.fixture
def picture(network):  # noqa: F811
    camera = orbit(40, 20, 2.7, canonical_fxfycxcy(48) * [1.6, 1.6, 1, 1], 48, 48)
    return View(photo(network, *mouse(network), camera), camera)


def test_views_from_opposite_sides_have_mirrored_outlines(generator, picture):
    """Of one solid far away; two independently painted views would not agree."""
    level = [orbit(a, 0, 40.0, canonical_fxfycxcy(64) * [15, 15, 1, 1], 64, 64) for a in (70, 250)]
    here, there = generator.generate_at([picture], [level], [0])[0]
    assert (here.rgba[..., 3] > 0.5).sum() > 40
    assert mask_iou(here.rgba[..., 3] > 0.5, there.rgba[:, ::-1, 3] > 0.5) > 0.9


def test_the_declared_views_are_painted_and_do_not_depend_on_the_seed(generator, picture):
    first, second = generator.generate([picture, picture], [1, 2])
    assert len(first) == len(VIEW_SETS["sixty"].relative_azimuths) and first[0].rgba.shape == (48, 48, 4)
    for a, b in zip(first, second):
        np.testing.assert_array_equal(a.rgba, b.rgba)
    assert first[0].facts.generator == "prior" and first[0].facts.details["residual"] > 0


def test_a_call_takes_many_photos_and_fewer_where_their_views_are_large(generator):
    assert generator.photos_at_once == 40
    generator.resolution = 512
    assert 8 <= generator.photos_at_once < 40
    assert generator.photos_at_once * 16 * 512**2 * len(generator.view_set.relative_azimuths) < 600e6
    generator.resolution = 4096
    assert generator.photos_at_once == 8


def test_an_empty_photo_and_an_empty_folder_are_refused(generator, picture, tmp_path):
    with pytest.raises(DataError, match="no foreground"):
        generator.generate([View(np.zeros_like(picture.rgba), picture.camera)], [0])
    with pytest.raises(MissingWeights):
        PriorGenerator.load(tmp_path / "nothing", VIEW_SETS["sixty"], 4, 48)
