"""Zero123++ from a folder of the published layout: loading, conditions, sampler, tiles, cameras; and what is
refused."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from mousefacelift.cli import main
from mousefacelift.core.cameras import azimuth_elevation, canonical_fxfycxcy, orbit
from mousefacelift.core.images import composite
from mousefacelift.distill.config import SamplerConfig
from mousefacelift.distill.generators.facelift_attention import set_view_attention
from mousefacelift.distill.generators.zero123plus import (
    ReferenceAttention,
    Zero123PlusGenerator,
    _conditions,
    sample_grid,
    split_tiles,
    to_grey_picture,
)
from mousefacelift.distill.generators.zero123plus_folder import load_zero123plus
from mousefacelift.distill.view_sets import VIEW_SETS
from mousefacelift.errors import ConfigError, DataError, MissingWeights
from tests.distill.conftest import toy_photos, toy_view
from tests.distill.zero123plus_folder import write_zero123plus

TILE = 32  # of most tests; the published 320 px in one
SAMPLER = SamplerConfig(steps=3, guidance=4.0, eta=1.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_zero123plus(tmp_path_factory.mktemp("zero123plus-v1.2"))


@pytest.fixture
def parts(folder):
    return load_zero123plus(folder, torch.float32, "cpu")


def source(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name, elevations", [("zero123plus_v1.1", (30, -20) * 3), ("zero123plus_v1.2", (20, -10) * 3)])
def test_six_views_of_320_px_at_the_declared_angles(folder, name, elevations):
    generator = Zero123PlusGenerator.load(folder, VIEW_SETS[name], SamplerConfig(2, 4.0, 1.0), torch.float32)
    photo = toy_view(orbit(100, 8, 2.7, canonical_fxfycxcy(64), 64, 64), 0.0)
    (views,) = generator.generate([photo], [3])
    angles = [azimuth_elevation(view.camera) for view in views]
    np.testing.assert_allclose([a[0] for a in angles], [130, 190, 250, 310, 10, 70], atol=1e-6)
    np.testing.assert_allclose([a[1] for a in angles], elevations, atol=1e-6)
    assert all(view.rgba.shape == (320, 320, 4) for view in views)
    np.testing.assert_allclose(views[0].camera.fxfycxcy[0], 160 / np.tan(np.radians(15)), rtol=1e-6)  # 30 degrees
    assert {name for name in generator.weights if name.endswith(".safetensors")} == {
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "vision_encoder/model.safetensors",
        "text_encoder/model.safetensors",
    }


def test_the_photo_enters_on_grey_scaled_as_published_and_its_latent_is_not(parts):
    """Image (x - 0.5) / 0.8 is x in [-1, 1] times 0.5 / 0.8; the empty photo is zero there; latents keep the VAE's
    scale."""
    photo = toy_photos(0.0)[0]
    picture = to_grey_picture(photo)
    assert set(np.asarray(picture)[photo.rgba[..., 3] == 0].ravel()) == {127}
    text, reference = _conditions(parts, [picture], [source(1)])
    pixels = torch.from_numpy(np.asarray(picture, np.float32) / 255 * 2 - 1).permute(2, 0, 1)[None] * 0.5 / 0.8
    draw = source(1)
    with torch.no_grad():
        posterior, empty = parts.vae.encode(pixels).latent_dist, parts.vae.encode(torch.zeros_like(pixels)).latent_dist
        first, second = (torch.randn(posterior.mean.shape, generator=draw) for _ in range(2))
    torch.testing.assert_close(reference[1:], posterior.mean + posterior.std * first, atol=1e-5, rtol=0)
    torch.testing.assert_close(reference[:1], empty.mean + empty.std * second, atol=1e-5, rtol=0)
    torch.testing.assert_close(text[:1], parts.prompt)  # without a photo: the plain empty text
    ramped = (text[1] - parts.prompt[0]) / torch.linspace(0.05, 0.9, 77)[:, None]
    torch.testing.assert_close(
        ramped, ramped[:1].expand_as(ramped), atol=1e-4, rtol=0
    )  # one embedding, token by token more


def test_reference_attention_is_softmax_over_own_and_reference_tokens(parts):
    attention = parts.unet.down_blocks[1].attentions[0].transformer_blocks[0].attn1
    processor = ReferenceAttention()
    attention.set_processor(processor)
    own, seen = torch.randn(2, 5, 16, generator=source(0)), torch.randn(2, 3, 16, generator=source(1))
    with torch.no_grad():
        alone = attention(seen)
        read = attention(own)
        context = torch.cat([own, seen], 1)
        q, k, v = attention.to_q(own), attention.to_k(context), attention.to_v(context)
        heads = []
        for h in range(attention.heads):
            part = slice(h * 16 // attention.heads, (h + 1) * 16 // attention.heads)
            scores = q[..., part] @ k[..., part].transpose(1, 2) / (16 / attention.heads) ** 0.5
            heads.append(scores.softmax(-1) @ v[..., part])
        torch.testing.assert_close(read, attention.to_out[0](torch.cat(heads, -1)), atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(alone, attention(seen), atol=1e-6, rtol=1e-5)  # the pair is over: a first run again


def test_a_reference_of_the_same_tokens_is_ordinary_self_attention(parts):
    """Keys and values twice over change no softmax: both runs of the pair must equal the stock UNet."""
    text = parts.prompt
    x = torch.randn(1, 4, 8, 8, generator=source(2))
    with torch.no_grad():
        stock = parts.unet(x, 500, encoder_hidden_states=text).sample
        assert set_view_attention(parts.unet, ReferenceAttention) == 4  # one down, one in the middle, two up
        first, second = (parts.unet(x, 500, encoder_hidden_states=text).sample for _ in range(2))
        parts.unet(x + 1, 500, encoder_hidden_states=text)
        other = parts.unet(x, 500, encoder_hidden_states=text).sample
    torch.testing.assert_close(first, stock, atol=1e-5, rtol=0)
    torch.testing.assert_close(second, stock, atol=1e-5, rtol=0)
    assert (other - stock).abs().max() > 1e-4


def test_one_step_is_the_closed_formula(parts):
    """One trailing step goes from the largest sigma to 0: x0 = x / (s^2 + 1) - v s / sqrt(s^2 + 1); latent and pixel
    scales are undone: z = (x0 / 0.75 + 0.22) / 0.18215, image = decoded * 0.8 / 0.5."""
    picture = to_grey_picture(toy_photos(0.0)[0])
    image = sample_grid(parts, [picture], [source(7)], replace(SAMPLER, steps=1), TILE)
    draw = source(7)
    text, reference = _conditions(parts, [picture], [draw])
    betas = np.linspace(0.00085, 0.012, 1000)
    sigma = float(np.sqrt(1 / np.prod(1 - betas) - 1))
    start = torch.randn(1, 4, 3 * TILE // 8, 2 * TILE // 8, generator=draw) * sigma
    spread = torch.randn(2, *reference.shape[1:], generator=draw)
    set_view_attention(parts.unet, ReferenceAttention)
    scale = (sigma**2 + 1) ** 0.5
    with torch.no_grad():
        parts.unet((reference + sigma * spread) / scale, 999, encoder_hidden_states=text)
        without, conditioned = parts.unet(
            torch.cat([start, start]) / scale, 999, encoder_hidden_states=text
        ).sample.chunk(2)
        v = without + 4.0 * (conditioned - without)
        clean = start / scale**2 - v * sigma / scale
        decoded = parts.vae.decode((clean / 0.75 + 0.22) / 0.18215).sample
    expected = (decoded * 0.8 / 0.5 / 2 + 0.5).clamp(0, 1)
    torch.testing.assert_close(image, expected, atol=2e-4, rtol=0)  # sigma is 165: float32 loses digits in both


def test_views_depend_on_the_photo_and_a_photo_alone_is_the_photo_in_a_batch(parts):
    generator = Zero123PlusGenerator(parts, VIEW_SETS["zero123plus_v1.2"], SAMPLER, TILE)
    pictures = [to_grey_picture(photo) for photo in toy_photos(0.0)[:2]]
    both = sample_grid(parts, pictures, [source(1), source(2)], SAMPLER, TILE)
    alone = sample_grid(parts, pictures[1:], [source(2)], SAMPLER, TILE)
    torch.testing.assert_close(both[1:], alone, atol=2e-5, rtol=0)
    swapped = sample_grid(parts, pictures[:1], [source(2)], SAMPLER, TILE)
    assert (swapped - alone).abs().max() > 1e-3
    photo = toy_photos(0.0)[0]
    (first,), (again,) = generator.generate([photo], [4]), generator.generate([photo], [4])
    assert all(np.array_equal(a.rgba, b.rgba) for a, b in zip(first, again, strict=True))


def test_conditions_are_made_once_per_photo(parts, monkeypatch):
    calls = {"vae": 0, "clip": 0}
    encode, embed = parts.vae.encode, parts.image_encoder.forward
    monkeypatch.setattr(parts.vae, "encode", lambda x: calls.__setitem__("vae", calls["vae"] + len(x)) or encode(x))
    monkeypatch.setattr(
        parts.image_encoder, "forward", lambda x: calls.__setitem__("clip", calls["clip"] + len(x)) or embed(x)
    )
    pictures = [to_grey_picture(photo) for photo in toy_photos(0.0)[:3]]
    sample_grid(parts, pictures, [source(i) for i in range(3)], SAMPLER, TILE)
    assert calls == {"vae": 4, "clip": 3}  # three photos and one "no photo" for all steps and views


def test_tiles_are_cut_row_by_row():
    numbers = np.arange(6, dtype=np.float32).reshape(3, 2)
    picture = np.repeat(np.repeat(numbers, 320, 0), 320, 1)[..., None].repeat(3, -1)
    assert [tile[0, 0, 0] for tile in split_tiles(picture)] == [0, 1, 2, 3, 4, 5]
    assert all(len(np.unique(tile)) == 1 and tile.shape == (320, 320, 3) for tile in split_tiles(picture))
    with pytest.raises(DataError, match="another size"):
        split_tiles(picture[:640])


def test_half_precision_runs(folder):
    parts = load_zero123plus(folder, torch.bfloat16, "cpu")
    images = sample_grid(parts, [to_grey_picture(toy_photos(0.0)[0])], [source(1)], SAMPLER, TILE)
    assert torch.isfinite(images).all() and parts.unet.dtype == parts.vae.dtype == torch.bfloat16


def test_the_commands_run_from_the_published_folder(folder, toy_chunk, tmp_path):
    config = {
        "distill": {
            "generator": {
                "kind": "zero123plus",
                "weights": str(folder),
                "sampler": {"steps": 1, "guidance": 4.0},
            },
            "views": {"view_set": "zero123plus_v1.2", "output_size": 32},
            "gate": {"voxels": 24, "frames": 1},
        }
    }
    files = ["--frames", str(toy_chunk / "chunk/index.json"), "--config-json", json.dumps(config)]
    assert main(
        ["distill", "train", *files, "--splits", str(toy_chunk / "splits.json"), "--out", str(tmp_path / "g")]
    ) in (0, None)
    splits, gate = ["--splits", str(toy_chunk / "splits.json")], str(tmp_path / "gate.json")
    assert main(["distill", "gate", *files, *splits, "--out", gate]) == 0
    source_index = json.loads((toy_chunk / "chunk/index.json").read_text())
    one = toy_chunk / "chunk/zero.json"
    one.write_text(json.dumps(source_index | {"items": source_index["items"][:1]}))
    files[1] = str(one)
    assert main(
        [
            "distill",
            "views",
            *files,
            "--generator",
            str(tmp_path / "g"),
            "--gate",
            gate,
            "--out",
            str(tmp_path / "v/index.json"),
        ]
    ) in (0, None)
    header = json.loads((tmp_path / "v/index.json").read_text())["header"]
    record = json.loads((tmp_path / "v/candidates.json").read_text())
    assert (
        record["summary"]["candidates"] == 30 and header["generator"] == "zero123plus" and len(header["weights"]) == 7
    )


def test_half_precision_sharded_and_pickled_weights_are_the_same_weights(folder, tmp_path):
    from safetensors.torch import load_file, save_file

    from mousefacelift.distill.generators.weight_files import find_weights, load_weights

    whole = load_zero123plus(folder, torch.float16, "cpu")
    shutil.copytree(folder, tmp_path / "w")
    for part, name in (("unet", "diffusion_pytorch_model"), ("text_encoder", "model"), ("vision_encoder", "model")):
        path = tmp_path / "w" / part / f"{name}.safetensors"
        tensors = load_file(path)
        path.unlink()
        half = {key: value.half() if value.is_floating_point() else value for key, value in tensors.items()}
        if part == "unet":  # shards
            keys = sorted(half)
            index = {}
            for number, chosen in enumerate((keys[::2], keys[1::2]), 1):
                shard = f"{name}.fp16-{number:05d}-of-00002.safetensors"
                save_file({key: half[key].contiguous() for key in chosen}, path.with_name(shard))
                index |= dict.fromkeys(chosen, shard)
            document = {"metadata": {"total_size": 0}, "weight_map": index}
            path.with_name(f"{name}.safetensors.index.fp16.json").write_text(json.dumps(document))
        elif part == "text_encoder":
            torch.save(half, path.with_name("pytorch_model.fp16.bin"))
        else:
            save_file(half, path.with_name("model.fp16.safetensors"))
    parts = load_zero123plus(tmp_path / "w", torch.float16, "cpu")
    for ours, theirs in ((parts.unet, whole.unet), (parts.image_encoder, whole.image_encoder)):
        expected = theirs.state_dict()
        assert all(torch.equal(value, expected[key]) for key, value in ours.state_dict().items())
    name = "unet/diffusion_pytorch_model.safetensors"
    assert len(load_weights(tmp_path / "w", find_weights(tmp_path / "w", name))) == len(parts.unet.state_dict())
    next((tmp_path / "w/unet").glob("*00002-of*")).unlink()
    with pytest.raises(MissingWeights, match="shards"):
        load_zero123plus(tmp_path / "w", torch.float16, "cpu")


def test_the_handed_folder_of_half_precision_weights_is_loaded(shared):
    handed = shared / "fixtures/real_files/b_half_precision_folder/zero123plus_fp16"
    parts = load_zero123plus(handed, torch.float16, "cpu")
    assert {value.dtype for value in parts.unet.state_dict().values()} == {torch.float16}


def test_what_is_not_such_a_folder_is_refused(folder, tmp_path):
    with pytest.raises(MissingWeights, match="sudo-ai/zero123plus"):
        load_zero123plus(tmp_path, torch.float32, "cpu")
    with pytest.raises(ConfigError, match="its own angles"):
        Zero123PlusGenerator(None, VIEW_SETS["facelift"], SAMPLER)
    stranger, misfit = {"_class_name": "StableDiffusionPipeline"}, {"ramping_coefficients": [0.1]}
    for changed, match in ((stranger, "another architecture"), (misfit, "does not fit together")):
        root = tmp_path / match
        shutil.copytree(folder, root)
        index = json.loads((root / "model_index.json").read_text())
        (root / "model_index.json").write_text(json.dumps(index | changed))
        with pytest.raises(DataError, match=match):
            load_zero123plus(root, torch.float32, "cpu")
    shutil.copytree(folder, tmp_path / "no-tokenizer")
    (tmp_path / "no-tokenizer/tokenizer/merges.txt").unlink()
    with pytest.raises(MissingWeights, match="merges.txt"):
        load_zero123plus(tmp_path / "no-tokenizer", torch.float32, "cpu")


def test_a_photo_without_foreground_is_refused(parts):
    photo = toy_photos(0.0)[0]
    generator = Zero123PlusGenerator(parts, VIEW_SETS["zero123plus_v1.2"], SAMPLER, TILE)
    with pytest.raises(DataError, match="no foreground"):
        generator.generate([replace(photo, rgba=np.zeros_like(photo.rgba))], [0])


def test_grey_is_what_the_photo_stands_on():
    photo = toy_photos(0.0)[0]
    shown, expected = np.asarray(to_grey_picture(photo)) / 255, composite(photo.rgba, (127 / 255,) * 3)
    np.testing.assert_allclose(shown, expected, atol=0.5 / 255 + 1e-6)
