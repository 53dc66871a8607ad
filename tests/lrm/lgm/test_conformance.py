"""LGM against the reference's own numbers (shared fixtures); skipped where the folder is absent.

Tolerances (fp32, absolute): network 2e-5, rays and cameras 1e-6 (c2w 2e-6), pictures 2e-6; the reference's own
fp32-to-fp64 spread is up to 7e-6.
"""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mousefacelift.core.samples import read_sample
from mousefacelift.lrm.lgm.model import LGM, PRESETS, LGMConfig, activate
from mousefacelift.lrm.lgm.world import pluecker, resized, show, world_of


@pytest.fixture(scope="module")
def fixtures(shared):
    return shared / "fixtures" / "lgm"


def load_case(folder):
    c = json.loads((folder / "config.json").read_text())["config"]
    config = LGMConfig(
        image_size=c["input_size"],
        down=tuple(c["down_channels"]),
        down_attention=tuple(c["down_attention"]),
        middle_attention=c["mid_attention"],
        up=tuple(c["up_channels"]),
        up_attention=tuple(c["up_attention"]),
        fovy=0.0,
    )
    assert config.splat_size == c["splat_size"]
    model = LGM(config)
    weights = {name: value.float() for name, value in load_file(folder / "weights.safetensors").items()}
    model.load_state_dict(weights, strict=True)
    tensors = {k: torch.from_numpy(v) for k, v in np.load(folder / "inputs.npz").items()}
    return model.eval(), tensors, np.load(folder / "outputs.npz")


def close(got, want, tolerance, name=""):
    got = got.detach().numpy()
    assert got.shape == want.shape, (name, got.shape, want.shape)
    assert np.abs(got - want).max() <= tolerance, (name, np.abs(got - want).max())


@pytest.mark.parametrize("case", ["lgm_a", "lgm_b"])
def test_every_stage_gives_the_references_numbers(fixtures, case):
    model, inputs, outputs = load_case(fixtures / case)
    seen, hooks = {}, {"conv_in": model.unet.conv_in, "mid": model.unet.mid_block, "unet_out": model.unet}
    levels = {f"down{i}": m for i, m in enumerate(model.unet.down_blocks)}
    levels |= {f"up{i}": m for i, m in enumerate(model.unet.up_blocks)}
    hooks |= levels
    hooks["down0_resnet0"] = model.unet.down_blocks[0].nets[0]
    hooks |= {
        f"{name}_attn0": m.attns[0] for name, m in levels.items() if m.attends and f"{name}_attn0" in outputs.files
    }
    for name, module in hooks.items():
        module.register_forward_hook(
            lambda m, a, out, name=name: seen.__setitem__(name, out[0] if isinstance(out, tuple) else out)
        )
    with torch.no_grad():
        raw = model.numbers(inputs["input"].flatten(0, 1), 4)
    close(raw, outputs["raw14"], 2e-5, "raw14")
    close(activate(raw, 4), outputs["gaussians"], 2e-5, "gaussians")
    for name in set(outputs.files) - {"raw14", "gaussians", "raw14_more_views"}:
        want = outputs[name]
        close(seen[name][1, : len(want)], want, 2e-5, name)


def test_attention_covers_all_six_views(fixtures):
    model, inputs, outputs = load_case(fixtures / "lgm_b")
    with torch.no_grad():
        raw = model.numbers(inputs["input_more_views"], 6)
    close(raw, outputs["raw14_more_views"], 2e-5)


def test_the_input_is_colour_moment_and_direction(fixtures):
    for case in ("lgm_a", "lgm_b"):
        _, inputs, _ = load_case(fixtures / case)
        size = inputs["images"].shape[-1]
        focal = size / 2 / np.tan(np.radians(49.1) / 2)
        k = torch.tensor([focal, focal, size / 2, size / 2], dtype=torch.float32).expand(*inputs["c2w"].shape[:2], 4)
        close(show(inputs["images"], inputs["c2w"], k), inputs["input"].numpy(), 2e-6)


def test_default_rays(fixtures):
    data = np.load(fixtures / "default_rays.npz")
    focal = 16 / 2 / np.tan(np.radians(49.1) / 2)
    k = torch.tensor([focal, focal, 8, 8], dtype=torch.float32).expand(4, 4)
    for elevation in (0, 20):
        rays = pluecker(torch.from_numpy(data[f"elevation{elevation}.c2w"]), k, 16, 16)
        close(rays, data[f"elevation{elevation}.rays"], 1e-6)


@pytest.mark.parametrize("name, folder", [("fov50", "sample_fov50"), ("fov491", "sample_fov491")])
def test_our_samples_become_lgms_pictures_and_cameras(fixtures, name, folder):
    expected = np.load(fixtures / "lgm_preprocess/expected.npz")
    views = read_sample(fixtures / "lgm_preprocess" / folder).views
    c2w = torch.from_numpy(np.stack([v.camera.c2w for v in views])).float()[None]
    k = torch.from_numpy(np.stack([v.camera.fxfycxcy for v in views])).float()[None]
    world, cameras = world_of(c2w)
    close(cameras[0], expected[f"{name}.c2w_lgm"], 2e-6)
    assert abs(float(world.scale) - expected[f"{name}.scale"]) < 1e-6
    rgba = torch.from_numpy(np.stack([v.rgba for v in views])).permute(0, 3, 1, 2)[None]
    white = rgba[:, :, :3] * rgba[:, :, 3:] + 1 - rgba[:, :, 3:]
    small, intrinsics = resized(white[:, :4], k[:, :4], 32)
    close(show(small, cameras[:, :4], intrinsics)[0], expected[f"{name}.input"], 2e-6)
    shown, _ = resized(white, k, 24)
    close(shown[0], expected[f"{name}.images_output"], 2e-6)
    close(resized(rgba[:, :, 3:], k, 24)[0][0], expected[f"{name}.masks_output"], 2e-6)


@pytest.mark.parametrize("kind", ["big"])
def test_the_published_file_would_load_by_name_and_shape(fixtures, kind):
    known = json.loads((fixtures / "lgm_state_dict_keys.json").read_text())[kind]
    with torch.device("meta"):
        state = LGM(PRESETS[kind]).state_dict()
    assert {name: list(value.shape) for name, value in state.items()} == known["shapes"]
    assert sum(value.numel() for value in state.values()) == 415_042_848
