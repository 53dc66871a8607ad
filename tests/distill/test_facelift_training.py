"""Fine-tuning of the published generator on the miniature weights: full and LoRA, save and load, exact resume."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mousefacelift.core.cameras import canonical_fxfycxcy, orbit
from mousefacelift.core.samples import View
from mousefacelift.distill.config import TrainingConfig
from mousefacelift.distill.facelift_training import FaceLiftBatches, Trainable
from mousefacelift.distill.generators.facelift_folder import load_facelift
from mousefacelift.distill.train import train
from mousefacelift.distill.view_sets import VIEW_SETS
from mousefacelift.errors import DataError

CONFIG = TrainingConfig(minutes=10, steps=3, batch=1, views=2, learning_rate=1e-4, save_every=2, condition_drop=0.05)


class Frames:
    """Two invented frames of three views."""

    def __len__(self):
        return 2

    def views(self, index):
        rng = np.random.default_rng(index)
        return [
            View(rng.random((64, 64, 4), np.float32), orbit(60 * v, 10, 2.7, canonical_fxfycxcy(64), 64, 64))
            for v in range(3)
        ]


@pytest.fixture
def parts(shared, tmp_path):
    root = shared / "fixtures/facelift/mv_pipeline_a"
    path = tmp_path / "prompts.npy"
    np.save(path, np.load(root / "io.npz")["pipe.prompt_embeds"])
    return lambda: load_facelift(root / "pipeckpts", path, torch.float32, "cpu")


def trained(parts, config, checkpoint, kill_at=None):
    torch.manual_seed(0)
    module = Trainable(parts, config)
    batches = FaceLiftBatches(parts, Frames(), VIEW_SETS["facelift"], config, 0)

    def loss(m, step, process):
        if step == kill_at:
            raise Killed
        return batches.loss(m, step)

    return module, train(module, loss, config, checkpoint, "key")


@pytest.mark.parametrize("mode", ["full", "lora"])
def test_trained_weights_survive_saving_and_loading(parts, tmp_path, mode):
    from safetensors.torch import save_file

    config = replace(CONFIG, mode=mode, lora_rank=2)
    module, state = trained(parts(), config, tmp_path / "c.pt")
    assert state.step == 3 and np.isfinite(state.losses).all()
    save_file(module.trained(), tmp_path / "t.safetensors")
    again = Trainable(parts(), config)
    again.load_trained(tmp_path / "t.safetensors")
    for name, value in module.trained().items():
        assert torch.equal(value, again.trained()[name]), name
    if mode == "lora":
        assert all("lora" in name or name.startswith("adapter") for name in module.trained())
        other = Trainable(parts(), replace(config, mode="full"))
        with pytest.raises(DataError, match="do not fit"):
            other.load_trained(tmp_path / "t.safetensors")


class Killed(Exception):
    """Stands for the end of the job in the middle of a training."""


@pytest.mark.parametrize("mode", ["full", "lora"])
def test_a_killed_training_goes_on_exactly(parts, tmp_path, mode):
    """Bit for bit: losses, gradient norms, batches (by number), averaged weights, and the optimiser's state."""
    config = replace(CONFIG, steps=5, save_every=2, mode=mode, lora_rank=2)
    whole, state = trained(parts(), replace(config, save_every=5), tmp_path / "whole.pt")
    with pytest.raises(Killed):  # in update 4 of 5: the checkpoint is of update 2 or 4, the batches go on from there
        trained(parts(), config, tmp_path / "killed.pt", kill_at=3)
    assert torch.load(tmp_path / "killed.pt", weights_only=True)["state"]["step"] == 2
    torch.manual_seed(99)  # another process has another history of random numbers
    again = Trainable(parts(), config)
    batches = FaceLiftBatches(parts(), Frames(), VIEW_SETS["facelift"], config, 0)
    batches.parts.unet = again.unet
    resumed = train(
        again,
        lambda m, step, process: batches.loss(m, step),
        replace(config, save_every=5),
        tmp_path / "killed.pt",
        "key",
    )
    assert resumed.losses == state.losses and resumed.norms == state.norms and resumed.step == 5
    for name, value in whole.trained().items():
        assert torch.equal(again.trained()[name], value), name
    assert_same(*(torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("whole", "killed")))


def assert_same(a, b, where=""):
    """Everything that two checkpoints hold is equal, but the time they took."""
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a.keys() - {"elapsed_s"}:
            assert_same(a[key], b[key], f"{where}/{key}")
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{where}/{i}")
    else:
        assert a == b, where
