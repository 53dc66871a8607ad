"""A tiny experiment: one animal, three objects, a network of one layer."""

import pytest
import torch

from mousefacelift.experiment.bed import read_bed, read_views, write_bed, write_views
from mousefacelift.experiment.cell import gather_upstream, train_start
from mousefacelift.experiment.config import BedConfig, Block, ExperimentConfig, TrainingConfig
from mousefacelift.experiment.film import film_animal, render_objects

BED = BedConfig(
    animals=1, frames=6, test_frames=4, truth_frames=2, synthetic_frames=2, size=32, objects=3, fps=5.0, guard_s=0.5
)
TRAINING = TrainingConfig(
    dim=32, head_dim=32, layers=1, steps=4, start_steps=3, targets=2, warmup_steps=1, validate_at=(0, 2)
)
CONFIG = ExperimentConfig(BED, TRAINING, (Block(frames=(6,)),))


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Folder with bed/animal0.npz, bed/objects.npz and starts/small_plain, small_plain_bounded and small."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("experiment")
    write_bed(root / "bed" / "animal0.npz", film_animal(0, BED))
    write_views(root / "bed" / "objects.npz", render_objects(BED))
    for constraint in ("small", "small_plain", "small_plain_bounded"):
        train_start(constraint, read_views(root / "bed" / "objects.npz"), CONFIG, root / "starts" / constraint)
    return root


@pytest.fixture(scope="session")
def bed(made):
    return read_bed(made / "bed" / "animal0.npz")


@pytest.fixture(scope="session")
def upstream(made):
    return gather_upstream(made / "bed", made / "starts", [0], {"small", "small_plain", "small_plain_bounded"})
