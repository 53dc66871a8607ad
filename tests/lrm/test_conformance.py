"""The reference's own numbers (shared fixtures): model, intermediates, losses, filters. Skipped where the folder is
absent.

Tolerance: absolute 2e-5 in fp32; the reference's own fp32-to-fp64 spread is up to 4e-6.
"""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mousefacelift.core.gaussians import Gaussians
from mousefacelift.lrm.filters import FILTERS, FilterConfig, rows_to_keep
from mousefacelift.lrm.model import GSLRM, RawGaussians
from mousefacelift.lrm.model_config import ModelConfig
from mousefacelift.lrm.perceptual import CHANNELS, PerceptualLoss
from mousefacelift.lrm.tokens import pixel_rays, pose_images

TOLERANCE = 2e-5


@pytest.fixture(scope="module")
def fixtures(shared):
    return shared / "fixtures" / "facelift"


def load_case(folder):
    settings = json.loads((folder / "config.json").read_text())["config"]
    model = GSLRM(
        ModelConfig(
            dim=settings["transformer"]["d"],
            head_dim=settings["transformer"]["d_head"],
            layers=settings["transformer"]["n_layer"],
            patch_size=settings["image_tokenizer"]["patch_size"],
            free_gaussians=settings["gaussians"]["n_gaussians"],
            sh_degree=settings["gaussians"]["sh_degree"],
        )
    )
    model.load_state_dict(load_file(folder / "weights.safetensors"), strict=True)
    inputs = {k: torch.from_numpy(v) for k, v in np.load(folder / "inputs.npz").items()}
    return model, (inputs["image"], inputs["c2w"], inputs["fxfycxcy"]), np.load(folder / "outputs.npz")


def assert_close(got, want, name):
    got = got.detach().numpy()
    assert got.shape == want.shape, name
    assert np.abs(got - want).max() <= TOLERANCE, name


def run_with_intermediates(model, inputs):
    seen = {}

    def keep(name):
        return lambda module, args, output: seen.__setitem__(name, output)

    model.patch_embedder.register_forward_hook(keep("patch_tokens"))
    model.input_layer_norm.register_forward_hook(keep("tokens_after_input_ln"))
    model.gaussian_upsampler.register_forward_hook(keep("free_gaussians_raw"))
    model.pixel_gaussian_decoder.register_forward_hook(keep("pixel_decoder_out"))
    for i, layer in enumerate(model.transformer_layers):
        layer.register_forward_hook(keep(f"tokens_after_layer_{i}"))
    with torch.no_grad():
        return model(*inputs), seen


@pytest.mark.parametrize("case", ["gslrm_a", "gslrm_b", "gslrm_c_sh1_rect"])
def test_model_matches_the_reference_at_every_stage(fixtures, case):
    model, inputs, expected = load_case(fixtures / case)
    raw, seen = run_with_intermediates(model, inputs)
    checked = 0
    for name, value in seen.items():
        if name in expected:
            assert_close(value.reshape(expected[name].shape), expected[name], name)
            checked += 1
    stored = {
        "xyz": raw.xyz,
        "sh": raw.sh,
        "scaling_log": raw.scale_log,
        "rotation_raw": raw.quats,
        "opacity_logit": raw.opacity_logit,
    }
    for name, value in stored.items():
        assert_close(value, expected[name], name)
    assert checked >= 2


def test_rays_posed_images_and_activations_match_the_reference(fixtures):
    model, (image, c2w, fxfycxcy), expected = load_case(fixtures / "gslrm_a")
    origin, direction = pixel_rays(c2w, fxfycxcy, *image.shape[-2:])
    assert_close(origin, expected["ray_o"], "ray_o")
    assert_close(direction, expected["ray_d"], "ray_d")
    assert_close(pose_images(image, origin, direction), expected["posed_images"], "posed_images")
    with torch.no_grad():
        raw = model(image, c2w, fxfycxcy)
        gaussians = raw.activated()
    assert_close(gaussians.scales, expected["scale"], "scale")
    assert_close(gaussians.quats, expected["rotation_unit"], "rotation_unit")
    assert_close(gaussians.opacities[..., None], expected["opacity"], "opacity")
    free, patch, (v, h, w) = model.config.free_gaussians, model.config.patch_size, (image.shape[1], *image.shape[-2:])
    tiles = raw.xyz[:, free:].reshape(1, v, h // patch, w // patch, patch, patch, 3)
    assert_close(
        tiles.permute(0, 1, 6, 2, 4, 3, 5).reshape(1, v, 3, h, w), expected["pixelalign_xyz"], "pixelalign_xyz"
    )


def test_published_sizes_have_exactly_the_published_keys(fixtures):
    keys = json.loads((fixtures / "gslrm_state_dict_keys.json").read_text())
    with torch.device("meta"):
        model = GSLRM(ModelConfig())
        vgg = PerceptualLoss()
    shapes = {name: list(value.shape) for name, value in model.state_dict().items()}
    assert shapes == {name: shape_of(entry) for name, entry in keys["core"].items()}
    prefix = "loss_calculator.perceptual_loss_module.net."
    shapes = {prefix + name: list(value.shape) for name, value in vgg.state_dict().items()}
    assert shapes == {name: shape_of(entry) for name, entry in keys["perceptual_vgg19"].items()}


def shape_of(entry):
    return entry["shape"] if isinstance(entry, dict) else entry


def random_vgg():
    """The fixture's recipe for VGG19 weights."""
    rng, state = np.random.default_rng(777), {}
    for i, (fan_in, fan_out) in enumerate(zip(CHANNELS, CHANNELS[1:]), start=1):
        weight = rng.standard_normal((fan_out, fan_in, 3, 3), dtype=np.float32)
        state[f"conv{i}.weight"] = torch.from_numpy(weight * np.float32(np.sqrt(2 / (9 * fan_in))))
        state[f"conv{i}.bias"] = torch.from_numpy(rng.standard_normal((fan_out,), dtype=np.float32) * np.float32(0.05))
    return state


def test_losses_match_the_reference(fixtures):
    folder = fixtures / "gslrm_losses"
    expected = json.loads((folder / "config.json").read_text())
    data = {k: torch.from_numpy(v) for k, v in np.load(folder / "inputs.npz").items()}
    vgg = PerceptualLoss()
    vgg.load_state_dict(random_vgg())
    render, target = data["rendering"].flatten(0, 1), data["target_rgba"].flatten(0, 1)
    with torch.no_grad():
        layers = vgg.layer_errors(render, target[:, :3])
        perceptual = vgg(render, target[:, :3])
    l2 = (render - target[:, :3]).square().mean()
    want = expected["expected"]
    assert l2.item() == pytest.approx(want["l2_loss"], rel=1e-5)
    assert -10 * torch.log10(l2).item() == pytest.approx(want["psnr"], rel=1e-5)
    np.testing.assert_allclose([e.item() for e in layers], expected["vgg_layer_l1"], rtol=1e-5)
    assert perceptual.item() == pytest.approx(want["perceptual_loss"], rel=1e-5)
    from mousefacelift.core.ssim import ssim

    assert 1 - ssim(render, target[:, :3]).mean().item() == pytest.approx(want["ssim_loss"], rel=1e-5)


@pytest.mark.parametrize(
    "name,config",
    [
        ("keep_cli", FILTERS["cli"]),
        ("keep_gradio", FILTERS["gradio"]),
        ("keep_train_eval", FILTERS["train_eval"]),
        ("keep_nearfar_5_95", FilterConfig(0.0, None, None, None, (5.0, 95.0))),
    ],
)
def test_filters_keep_the_reference_rows(fixtures, name, config):
    folder = fixtures / "gslrm_filters_ply"
    data = {k: torch.from_numpy(v) for k, v in np.load(folder / "inputs.npz").items()}
    raw = RawGaussians(data["xyz"], data["sh"], data["scaling_log"], data["rotation_raw"], data["opacity_logit"])
    gaussians: Gaussians = raw.activated()
    kept = rows_to_keep(gaussians, config, data["cam_origins"]).nonzero().flatten().tolist()
    assert kept == json.loads((folder / "expected.json").read_text())[name]
