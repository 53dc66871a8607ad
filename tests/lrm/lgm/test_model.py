"""LGM in our world: what must not depend on the world, and that it runs wherever GS-LRM does."""

import dataclasses

import numpy as np
import pytest
import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.cameras import canonical_fxfycxcy, orbit, rays
from mousefacelift.core.reconstructors import PRESET_NAMES, SKIP_NORM
from mousefacelift.core.render import render
from mousefacelift.core.similarity import Similarity
from mousefacelift.errors import ConfigError, DataError, MissingWeights
from mousefacelift.lrm.config import LossConfig, TrainConfig, train_config_of
from mousefacelift.lrm.lgm.model import LGM, PRESETS, LGMConfig
from mousefacelift.lrm.lgm.world import pluecker, world_of, zoomed
from mousefacelift.lrm.models import RECONSTRUCTORS, build
from mousefacelift.lrm.step import views_loss
from mousefacelift.lrm.train import train
from mousefacelift.lrm.weights import read_facts, read_model, write_model

SIZE = 32
TINY = PRESETS["tiny"]


def views(count=3, distance=(2.6, 2.8, 2.7, 2.5), similarity=None):
    cameras = [orbit(70 * i + 11, 15, distance[i % 4], canonical_fxfycxcy(SIZE), SIZE, SIZE) for i in range(count)]
    if similarity is not None:
        cameras = [similarity.apply_camera(camera) for camera in cameras]
    generator = torch.Generator().manual_seed(3)
    image = torch.rand(1, count, 4, SIZE, SIZE, generator=generator)
    image[:, :, 3] = (image[:, :, 3] > 0.5).float()
    image[:, :, :3] = image[:, :, :3] * image[:, :, 3:] + 1 - image[:, :, 3:]
    c2w = torch.from_numpy(np.stack([camera.c2w for camera in cameras])).float()[None]
    k = torch.from_numpy(np.stack([camera.fxfycxcy for camera in cameras])).float()[None]
    return cameras, image, c2w, k


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return LGM(TINY).eval()


def test_rays_are_our_rays_moved_into_lgms_world():
    cameras, _, c2w, k = views()
    world, moved = world_of(c2w)
    similarity = Similarity(float(world.scale), world.rotation[0].double().numpy(), world.translation[0].numpy())
    for number, camera in enumerate(cameras):
        origin, direction = rays(similarity.apply_camera(camera))
        want = np.concatenate([np.cross(np.broadcast_to(origin, direction.shape), direction), direction], -1)
        got = pluecker(moved[0, number], k[0, number], SIZE, SIZE).permute(1, 2, 0).numpy()
        np.testing.assert_allclose(got, want, atol=1e-6)


def test_the_first_camera_stands_at_one_and_a_half_and_looks_along_minus_z():
    _, _, c2w, _ = views()
    first = world_of(c2w)[1][0, 0]
    np.testing.assert_allclose(first[:3, 3], [0, 0, 1.5], atol=1e-6)
    np.testing.assert_allclose(first[:3, :3], np.eye(3), atol=1e-6)


def test_turning_and_scaling_the_world_turns_and_scales_the_answer(model):
    turn = orbit(33, 40, 3, canonical_fxfycxcy(8), 8, 8).R
    similarity = Similarity(1.7, turn, np.zeros(3))
    cameras, image, c2w, k = views()
    others, _, c2w_moved, _ = views(similarity=similarity)
    with torch.no_grad():
        here, there = model(image, c2w, k).activated(), model(image, c2w_moved, k).activated()
    np.testing.assert_allclose(similarity.apply(here.means[0].numpy()), there.means[0].numpy(), atol=1e-4)
    black = torch.zeros(3)
    shown = [
        render(g.map(lambda t: t[0]), CameraTensors.from_cameras(list(c)), background=black).rgb
        for g, c in ((here, cameras), (there, others))
    ]
    assert (shown[0] - shown[1]).abs().max() < 2e-3 and shown[0].max() > 0.2


def test_the_order_of_the_views_after_the_first_does_not_matter_and_the_first_does(model):
    _, image, c2w, k = views(4)

    def means(order):
        with torch.no_grad():
            out = model(image[:, order], c2w[:, order], k[:, order]).activated().means[0]
        return out.reshape(4, -1, 3)[np.argsort(order)]

    assert (means([0, 1, 2, 3]) - means([0, 3, 1, 2])).abs().max() < 1e-4
    assert (means([0, 1, 2, 3]) - means([1, 0, 2, 3])).abs().max() > 1e-2


def test_the_background_behind_the_pictures_does_not_matter_when_alpha_is_known(model):
    _, image, c2w, k = views()
    alpha, dark = image[:, :, 3:], image.clone()
    dark[:, :, :3] = image[:, :, :3] - (1 - alpha) * 0.8
    with torch.no_grad():
        a, b = model(image, c2w, k).activated(), model(dark, c2w, k).activated()
    assert (a.means - b.means).abs().max() < 1e-5


def test_published_field_of_view_zooms_by_two_percent_and_keeps_where_a_point_is_seen():
    _, image, c2w, k = views()
    ramp = torch.linspace(0, 1, SIZE).expand(1, 3, 1, SIZE, SIZE).expand(1, 3, 4, SIZE, SIZE).clone()
    k = torch.tensor([35.0, 35.0, 15.0, 17.0]).expand(1, 3, 4)
    moved, wanted = zoomed(ramp, k, 49.1)
    column = 20.5  # a pixel centre of the zoomed picture, and where its ray met the old one
    old = 15.0 + (column - 16) * 35.0 / float(wanted[0, 0, 0]) - 0.5
    assert abs(float(moved[0, 0, 0, 10, 20]) - old / (SIZE - 1)) < 1e-5
    assert float(wanted[0, 0, 0]) == pytest.approx(SIZE / 2 / np.tan(np.radians(24.55)), rel=1e-6)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"down": (48, 32, 32)}, "multiples of 32"),
        ({"up": (64, 32)}, "mirror"),
        ({"down_attention": (True,)}, "switch per level"),
        ({"image_size": 34}, "multiple of 4"),
    ],
)
def test_sizes_that_make_no_network_are_refused(change, words):
    with pytest.raises(ConfigError, match=words):
        LGM(dataclasses.replace(TINY, **change))


def test_pictures_that_are_not_square_are_refused(model):
    with pytest.raises(DataError, match="square"):
        model(torch.zeros(1, 2, 3, 32, 16), torch.eye(4).expand(1, 2, 4, 4), torch.ones(1, 2, 4))


def test_a_folder_says_which_network_it_holds(tmp_path, model):
    write_model(tmp_path, model.state_dict(), TINY, {})
    again, sizes = read_model(tmp_path)
    assert isinstance(again, LGM) and sizes == TINY and read_facts(tmp_path)["kind"] == "lgm"
    write_model(tmp_path, build(LGMConfig(32, (32,), (True,), False, (32,), (True,), 0.0)).state_dict(), TINY, {})
    with pytest.raises(MissingWeights, match="another network"):
        read_model(tmp_path)


def test_it_trains_resumes_and_recomputes_like_the_other(request_for):
    from mousefacelift.lrm.run import prepare

    plain = train(request_for("plain", model="lgm"))
    model, sizes = read_model(plain)
    assert isinstance(model, LGM) and sizes == dataclasses.replace(TINY, image_size=32)
    less = train(request_for("less", model="lgm", checkpoint_activations=True))
    want, got = model.state_dict(), read_model(less)[0].state_dict()
    assert all(torch.allclose(want[name], got[name], atol=1e-5) for name in want)
    assert prepare(request_for("plain", model="lgm")).state.step == 6


def test_layers_freeze_and_low_rank_additions_hold_for_it_too(request_for):
    frozen = train(request_for("frozen", model="lgm", layers="frozen", frozen_share=0.5))
    torch.manual_seed(0)
    start = LGM(TINY).state_dict()
    got = read_model(frozen)[0].state_dict()
    assert torch.equal(start["unet.conv_in.weight"], got["unet.conv_in.weight"])
    assert not torch.equal(start["conv.weight"], got["conv.weight"])
    out = train(request_for("lora", model="lgm", init=str(frozen), layers="lora", lora_rank=2))
    adapted = read_model(out)[0].state_dict()
    changed = {name for name in got if not torch.equal(got[name], adapted[name])}
    assert changed and all(".attn." in name for name in changed)


def test_weights_of_the_other_kind_are_no_start(request_for, trained):
    with pytest.raises(ConfigError, match="another kind"):
        train(request_for("wrong", model="lgm", init=str(trained)))


def test_an_arm_names_its_reconstructor():
    config = TrainConfig(preset="small")
    assert train_config_of("80-20", config) is config
    assert train_config_of("80-20.lgm", config) == dataclasses.replace(config, model="lgm")
    with pytest.raises(ConfigError, match="no sizes called 'facelift'"):
        train_config_of("80-20.lgm", dataclasses.replace(config, preset="facelift"))


def test_names_of_kinds_and_presets_are_those_of_the_networks():
    assert {name: tuple(kind.presets) for name, kind in RECONSTRUCTORS.items()} == PRESET_NAMES


def test_the_first_gradients_are_applied_by_the_default_guard_and_would_not_be_by_that_of_gslrm():
    torch.manual_seed(0)
    _, image, c2w, fxfycxcy = views(4)
    image[:, :, 3] = 0
    image[:, :, 3, 13:19, 13:19] = 1  # an animal as small as a rig shows it: errors are counted by its area
    image[:, :, :3] = image[:, :, :3] * image[:, :, 3:] + 1 - image[:, :, 3:]
    batch = {"input_image": image[:, :3], "input_c2w": c2w[:, :3], "fxfycxcy": fxfycxcy, "image": image, "c2w": c2w}
    batch |= {"bg_color": torch.ones(1, 3), "unseen": torch.ones(1, 1, dtype=torch.bool)}
    model = build(TINY)
    views_loss(model, batch, LossConfig())[0].backward()
    norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0))
    assert SKIP_NORM["gslrm"] < norm < SKIP_NORM["lgm"] / 10
