"""Protocol S at miniature size: a toy reconstructor, a library of toy poses, and a generator made of it."""

import numpy as np
import pytest

from mousefacelift.distill.config import NearestConfig
from mousefacelift.distill.generators.nearest import NearestGenerator
from mousefacelift.distill.nearest.build import library_of_rings
from mousefacelift.distill.nearest.library import Library
from mousefacelift.distill.view_sets import wanted_views
from mousefacelift.lrm.weights import read_model
from mousefacelift.single.config import SingleConfig
from mousefacelift.single.methods import GeneratedViews, NearestPoses, Reconstructor
from mousefacelift.single.predict import Methods

from ..distill.toy_poses import write_rings
from ..lrm.conftest import toy_dataset, trained  # noqa: F401 - fixtures

CONFIG = SingleConfig(frames=3, animals=2, views=8, size=48, unknown=1)
FAST = NearestConfig(candidates=2, refined=1, steps=2)


@pytest.fixture(scope="session")
def methods(trained, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("library")
    library_of_rings([write_rings(folder)[0]], folder / "splits.json", folder / "library")
    library = Library.read(folder / "library")
    network, sizes = read_model(trained, "cpu")
    reconstructor = Reconstructor(network.eval(), sizes.image_size)
    generator = NearestGenerator(library, wanted_views("sixty_between", (), None), FAST, {})
    return Methods(
        GeneratedViews(generator, reconstructor, 0.1), NearestPoses(library, FAST, 0.1), reconstructor, "toy"
    )


def square(size=32, left=8, right=24, alpha=1.0):
    """rgba [size, size, 4]: a grey square."""
    rgba = np.zeros((size, size, 4), np.float32)
    rgba[left:right, left:right] = (0.3, 0.3, 0.3, alpha)
    return rgba
