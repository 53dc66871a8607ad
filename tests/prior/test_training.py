import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from mousefacelift.cli import main
from mousefacelift.errors import MissingWeights
from mousefacelift.prior import training
from mousefacelift.prior.batches import make_batch
from mousefacelift.prior.config import TrainingConfig
from mousefacelift.prior.model import load_prior
from mousefacelift.prior.network import NetworkConfig
from mousefacelift.prior.shards import Shards
from mousefacelift.prior.training import Trainer, heading_target, learning_rate, prior_loss
from tests.prior.conftest import TINY

SHORT = replace(TrainingConfig(), steps=6, batch=4, warmup=2, save_every=3)


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(training, "NetworkConfig", lambda size, points: NetworkConfig(size=size, points=points, **TINY))


def test_training_learns_the_points_of_its_pictures(shard, network, tmp_path, tiny):
    config = replace(SHORT, steps=60, learning_rate=3e-3)
    trainer = Trainer([shard], tmp_path, config, 0, 32)
    batch = make_batch(Shards([shard]).rows(np.arange(12)), network.mirror, None)
    before = prior_loss(trainer.network.eval(), batch, torch.zeros(12))[0]
    trainer.run()
    after = prior_loss(trainer.network.eval(), batch, torch.zeros(12))[0]
    assert after.points < 0.6 * before.points and after.heading < before.heading


def test_a_training_that_was_cut_off_goes_on_exactly(shard, tmp_path, tiny):
    (tmp_path / "whole").mkdir(), (tmp_path / "parts").mkdir()
    whole = Trainer([shard], tmp_path / "whole", SHORT, 0, 32)
    whole.run()
    first = Trainer([shard], tmp_path / "parts", SHORT, 0, 32)
    assert first.run(stop_after_s=0.0) is None and 0 < first.step < SHORT.steps
    second = Trainer([shard], tmp_path / "parts", SHORT, 0, 32)
    assert second.step == first.step
    second.run()
    for name, value in whole.average.values.items():
        torch.testing.assert_close(second.average.values[name], value, rtol=0, atol=0, msg=name)


def test_exported_weights_give_the_averaged_network_in_half_precision(shard, tmp_path, tiny):
    trainer = Trainer([shard], tmp_path, SHORT, 0, 32)
    loaded = load_prior(trainer.run())
    assert loaded.config == trainer.network.config
    for name, value in loaded.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, trainer.average.values[name].half().float(), msg=name)
    assert torch.equal(loaded.mirror, trainer.network.mirror)


def test_the_command_reads_the_shards_that_the_configuration_names(tmp_path, monkeypatch):
    """Their paths are not handed over: a shell command would not hold them all."""
    read = []
    monkeypatch.setattr(training.Trainer, "__init__", lambda self, folders, *_: read.extend(folders))
    monkeypatch.setattr(training.Trainer, "run", lambda self: None)
    data = json.dumps({"prior": {"data": {"individuals": 6, "chunk": 2}}})
    words = ["prior", "train", "--shards", "data", "--out", str(tmp_path), "--config-json", data]
    assert main(words) == 0
    assert [str(folder) for folder in read] == ["data/000000-000001", "data/000002-000003", "data/000004-000005"]


def test_missing_or_foreign_weights_are_named(tmp_path):
    with pytest.raises(MissingWeights, match=r"snakemake prior"):
        load_prior(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"not weights at all")
    with pytest.raises(MissingWeights):
        load_prior(tmp_path / "bad.safetensors")


def test_heading_targets_peak_at_the_true_bin_and_wrap_around():
    bins = (torch.arange(36) + 0.5) * (2 * np.pi / 36) - np.pi
    target = heading_target(torch.tensor([bins[0], bins[20]]), bins)
    assert target.argmax(1).tolist() == [0, 20]
    torch.testing.assert_close(target[0, 1], target[0, 35])
    torch.testing.assert_close(target.sum(1), torch.ones(2))


def test_the_learning_rate_rises_holds_and_falls_to_nothing():
    config = replace(TrainingConfig(), steps=100, warmup=10, cooldown=0.5, learning_rate=1.0)
    rates = [learning_rate(step, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[10:50] == [1.0] * 40
    assert rates[-1] == pytest.approx(1 / 50) and all(a >= b for a, b in zip(rates[50:], rates[51:]))
