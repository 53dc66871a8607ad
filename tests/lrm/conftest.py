"""A toy dataset and a short trained run, shared by the tests of this folder."""

import dataclasses

import pytest

from mousefacelift.dataset.config import LoaderConfig
from mousefacelift.lrm.config import OptimizerConfig, TrainConfig
from mousefacelift.lrm.run import TrainRequest
from mousefacelift.lrm.train import train

from .toy import build_toy_dataset

TINY = TrainConfig(
    preset="tiny",
    steps=6,
    validate_every=3,
    validation_frames=4,
    save_every=2,
    log_every=1,
    trackers=(),
    optimizer=OptimizerConfig(accumulate=2),
)


@pytest.fixture(scope="session")
def toy_dataset(tmp_path_factory):
    return build_toy_dataset(tmp_path_factory.mktemp("toy") / "dataset")


@pytest.fixture
def request_for(toy_dataset, tmp_path):
    """A function that makes a TrainRequest on the toy dataset; keyword arguments change the train section."""

    def make(name="run", **changes):
        return TrainRequest(
            "no-synthetic",
            toy_dataset,
            tmp_path / name,
            dataclasses.replace(TINY, **changes),
            loader=LoaderConfig(image_size=32),
        )

    return make


@pytest.fixture(scope="session")
def trained(toy_dataset, tmp_path_factory):
    """Folder of a finished run of six steps."""
    out = tmp_path_factory.mktemp("trained") / "run"
    return train(TrainRequest("no-synthetic", toy_dataset, out, TINY, loader=LoaderConfig(image_size=32)))
