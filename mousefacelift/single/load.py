"""The methods of protocol S from the folders of a run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from mousefacelift.config import config_hash
from mousefacelift.core.files import file_hash
from mousefacelift.distill.config import DistillConfig
from mousefacelift.distill.generators.protocol import has_solid, hash_files
from mousefacelift.distill.load_generator import known_area, load_generator
from mousefacelift.distill.nearest.library import FILES, Library
from mousefacelift.distill.view_sets import wanted_views
from mousefacelift.lrm.weights import read_model
from mousefacelift.single.methods import GeneratedViews, NearestPoses, Reconstructor, SolidModel
from mousefacelift.single.predict import Methods


def load_methods(model: Path, generator: Path, library: Path, config: DistillConfig) -> Methods:
    """What answers pictures, from the folders of a trained reconstructor, generator and library.

    Raises:
        MissingWeights, DataError: a folder is not complete.
    """
    network, sizes = read_model(model, "cpu")
    reconstructor = Reconstructor(network.eval(), sizes.image_size)
    views = wanted_views(config.views.view_set, config.views.azimuths, config.views.elevation)
    painter, area = load_generator(generator, config.generator, views, config.nearest), known_area(generator)
    poses = Library.read(library)
    weights = [file_hash(Path(model) / "model.safetensors"), painter.weights, hash_files(Path(library), FILES)]
    key = config_hash([weights, config.nearest, asdict(views), config.generator.sampler])
    model = SolidModel(painter, area) if has_solid(painter) else GeneratedViews(painter, reconstructor, area)
    return Methods(model, NearestPoses(poses, config.nearest, area), reconstructor, key)
