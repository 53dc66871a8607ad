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
from mousefacelift.distill.views import VIEW_SETS
from mousefacelift.errors import DataError

CONFIG = TrainingConfig(minutes=10, steps=3, batch=1, views=2, learning_rate=1e-4, save_every=2, condition_drop=0.05)


class Frames:
    """Two invented frames of three views."""

    def __len__(self):
        return 2

    def views(self, index):
        rng = np.random.default_rng(index)
        return [View(rng.random((64, 64, 4), np.float32), orbit(60 * v, 10, 2.7, canonical_fxfycxcy(64), 64, 64))
                for v in range(3)]


@pytest.fixture
def parts(shared, tmp_path):
    root = shared / "fixtures/facelift/mv_pipeline_a"
    path = tmp_path / "prompts.npy"
    np.save(path, np.load(root / "io.npz")["pipe.prompt_embeds"])
    return lambda: load_facelift(root / "pipeckpts", path, torch.float32, "cpu")


def trained(parts, config, checkpoint):
    torch.manual_seed(0)
    module = Trainable(parts, config)
    batches = FaceLiftBatches(parts, Frames(), VIEW_SETS["facelift"], config, 0)
    state = train(module, lambda m, step, process: batches.loss(m, step), config, checkpoint, "key")
    return module, state


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


def test_a_killed_training_goes_on_exactly(parts, tmp_path):
    whole, _ = trained(parts(), replace(CONFIG, steps=4), tmp_path / "whole.pt")
    config = replace(CONFIG, steps=4)

    class Killed(Exception):
        pass

    part = parts()
    torch.manual_seed(0)  # after loading, which draws numbers of its own: the adapter must start as in the whole run
    module = Trainable(part, config)
    batches = FaceLiftBatches(part, Frames(), VIEW_SETS["facelift"], config, 0)

    def loss(m, step, process):
        if step == 3:
            raise Killed
        return batches.loss(m, step)
    with pytest.raises(Killed):
        train(module, loss, config, tmp_path / "c.pt", "key")
    resumed, state = trained(parts(), config, tmp_path / "c.pt")
    assert state.step == 4 and len(state.losses) == 4
    for name, value in whole.trained().items():
        # a tenth of one update at this learning rate: lost optimiser, EMA or random state is off by whole updates
        torch.testing.assert_close(resumed.trained()[name], value, rtol=0, atol=1e-5)
