"""A tiny network with the real template, and a few painted pictures, shared by the tests of the prior."""

import numpy as np
import pytest
import torch

from mousefacelift.prior.config import DataConfig
from mousefacelift.prior.network import NetworkConfig, PriorNetwork, start_from_data
from mousefacelift.prior.shards import Shards, write_shard
from mousefacelift.prior.template import build_template

TINY = {"widths": (8, 8, 16, 16), "blocks": (0, 0, 1, 1), "features": 64, "code": 8, "colours": 6, "detail": 16}


@pytest.fixture(scope="session")
def shard(tmp_path_factory):
    """Folder with 12 pictures of one individual in 3 poses, 32 px."""
    folder = tmp_path_factory.mktemp("prior") / "000000-000001"
    assert write_shard(folder, [7], DataConfig(individuals=1, chunk=1, poses=3, views=4, size=32, strands=300)) == 12
    return folder


@pytest.fixture
def network(shard):
    """An untrained network whose shapes and colours are the principal components of the pictures' animals."""
    torch.manual_seed(0)
    template = build_template()
    made = PriorNetwork(NetworkConfig(size=32, points=len(template.vertices), **TINY))
    start_from_data(made, *Shards([shard]).poses(), template)
    return made.eval()


@pytest.fixture
def rng():
    return np.random.default_rng(3)
