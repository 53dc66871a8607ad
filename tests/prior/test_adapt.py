from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mousefacelift.core.cameras import canonical_fxfycxcy, orbit
from mousefacelift.core.samples import View
from mousefacelift.prior import adapt
from mousefacelift.prior.config import AdaptConfig
from mousefacelift.prior.model import guess_mouse, load_prior
from tests.prior.test_fit import mouse, photo

SMALL = AdaptConfig(fit_steps=8, fit_size=32, renders=2, replay=4, steps=40, batch=8, learning_rate=5e-3)


@pytest.fixture
def frames(network):
    """Two moments seen by three cameras: the network's mean mouse at two headings, in a colour it does not expect."""
    made = []
    for heading in (0.3, 1.9):
        points, _ = mouse(network, heading)
        red = torch.tensor([0.9, 0.1, 0.1]).expand(len(points), 3)
        cameras = [orbit(a, 20, 2.7, canonical_fxfycxcy(48) * [1.6, 1.6, 1, 1], 48, 48) for a in (10, 130, 250)]
        made.append([View(photo(network, points, red, camera), camera) for camera in cameras])
    return made


def test_adaptation_teaches_the_animals_looks(network, frames):
    def redness():
        colours = guess_mouse(network, adapt.cut_out(frames[0][0].rgba, frames[0][0].camera, 32), 1).colours[0].mean(0)
        return float(colours[0] - colours[1])

    before = redness()
    found = adapt.adapt_network(network, frames, SMALL, 0)
    assert redness() > before + 0.05
    assert len(found.residuals) == 2 and np.isfinite(found.losses).all()


def test_adaptation_is_the_same_every_time(network, frames):
    state = {name: value.clone() for name, value in network.state_dict().items()}
    short = replace(SMALL, steps=3)
    adapt.adapt_network(network, frames, short, 0)
    first = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(state)
    adapt.adapt_network(network, frames, short, 0)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, first[name], rtol=0, atol=0, msg=name)


def test_a_frame_that_no_mouse_explains_is_not_learnt_from(network, frames, monkeypatch):
    taught = []
    monkeypatch.setattr(adapt, "_fine_tune", lambda net, pools, config, rng: taught.append(len(pools[0])) or [1.0])
    block = np.zeros((48, 48, 4), np.float32)
    block[4:44, 4:44] = (0.0, 1.0, 0.0, 1.0)
    frames.append([View(block, view.camera) for view in frames[0]])
    adapt.adapt_network(network, frames, replace(SMALL, worst=1.5), 0)
    assert taught == [6]


def test_an_adapted_network_is_read_back(network, tmp_path: Path):
    adapt.save_adapted(network, tmp_path / "adapted.safetensors")
    loaded = load_prior(tmp_path / "adapted.safetensors")
    torch.testing.assert_close(loaded.shape.mean, network.shape.mean.half().float())
