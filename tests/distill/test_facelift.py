"""Conformance of the published multi-view generator, from its real file layout; and what is refused."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from mousefacelift.core.cameras import Camera, canonical_fxfycxcy, orbit
from mousefacelift.core.samples import View
from mousefacelift.distill.config import SamplerConfig, TrainingConfig
from mousefacelift.distill.generators.facelift import (
    FaceLiftGenerator,
    PoseAdapter,
    class_labels,
    clip_pixels,
    nearest_prompts,
    sample_views,
    to_picture,
)
from mousefacelift.distill.generators.facelift_attention import (
    DenseViewAttention,
    SparseViewAttention,
    set_view_attention,
)
from mousefacelift.distill.generators.facelift_folder import load_facelift, load_prompts, stock_config
from mousefacelift.distill.generators.protocol import noise_source
from mousefacelift.distill.pose_training import min_snr_weight
from mousefacelift.distill.view_sets import VIEW_SETS
from mousefacelift.errors import DataError, MissingWeights

TOLERANCE = 2e-5  # float32 rounding over the whole network, given with the fixture
SAMPLER = SamplerConfig(steps=4, guidance=3.0, eta=1.0)


@pytest.fixture(scope="module")
def fixture(shared):
    return shared / "fixtures/facelift/mv_pipeline_a"


@pytest.fixture(scope="module")
def truth(fixture):
    return np.load(fixture / "io.npz")


@pytest.fixture(scope="module")
def prompt_file(truth, tmp_path_factory):
    path = tmp_path_factory.mktemp("prompts") / "clr_embeds.pt"
    torch.save(torch.from_numpy(truth["pipe.prompt_embeds"]), path)
    return path


@pytest.fixture(scope="module")
def parts(fixture, prompt_file):
    return load_facelift(fixture / "pipeckpts", prompt_file, torch.float32, "cpu")


def run_unet(parts, truth):
    arguments = {
        name: torch.from_numpy(truth[f"unet.{name}"])
        for name in ("sample", "timesteps", "encoder_hidden_states", "class_labels")
    }
    with torch.no_grad():
        return parts.unet(
            arguments["sample"],
            arguments["timesteps"],
            encoder_hidden_states=arguments["encoder_hidden_states"],
            class_labels=arguments["class_labels"],
        ).sample.numpy()


def stored_draw(truth):
    names = iter(["noise0_image_embed", "noise1_init_latents", *(f"noise_ddim_step{i}" for i in range(4))])

    def draw(shape):
        noise = torch.from_numpy(truth[f"pipe.{next(names)}"])
        assert tuple(noise.shape) == tuple(shape)
        return noise

    return draw


def test_the_unet_is_the_published_one_and_not_the_dense_one(parts, truth):
    out = run_unet(parts, truth)
    np.testing.assert_allclose(out, truth["unet.out_sparse"], atol=TOLERANCE)
    assert np.abs(out - truth["unet.out_dense_NOT_published"]).max() > 0.01


def test_dense_attention_is_what_the_fallback_computes(parts, truth):
    assert set_view_attention(parts.unet, DenseViewAttention(parts.views)) == 16
    try:
        np.testing.assert_allclose(run_unet(parts, truth), truth["unet.out_dense_NOT_published"], atol=TOLERANCE)
    finally:
        set_view_attention(parts.unet, SparseViewAttention(parts.views))


def test_the_whole_sampler_matches_from_the_png_to_the_images(parts, truth, fixture):
    picture = Image.open(fixture / "input.png").convert("RGB")
    np.testing.assert_allclose(clip_pixels(picture, parts.preprocessor)[None], truth["pipe.pixel_values"], atol=1e-6)
    images = sample_views(parts, [picture], [stored_draw(truth)], SAMPLER)[0].permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(images, truth["pipe.images_nhwc"], atol=TOLERANCE)


def test_two_photos_in_one_call_paint_what_each_paints_alone(parts, truth, fixture):
    picture = Image.open(fixture / "input.png").convert("RGB")
    other = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)

    def seeded(seed):
        source = torch.Generator().manual_seed(seed)
        return lambda shape: torch.randn(shape, generator=source)

    both = sample_views(parts, [picture, other], [seeded(1), seeded(2)], SAMPLER)
    alone = sample_views(parts, [other], [seeded(2)], SAMPLER)
    np.testing.assert_allclose(both[1], alone[0], atol=TOLERANCE)


def test_an_untrained_pose_adapter_changes_nothing(parts, truth, fixture):
    adapter = PoseAdapter(2 * parts.mean.shape[1], parts.prompts.shape[2])
    offsets = adapter(torch.randn(6, 11))
    picture = Image.open(fixture / "input.png").convert("RGB")
    with torch.no_grad():
        images = sample_views(parts, [picture], [stored_draw(truth)], SAMPLER, offsets)[0].permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(images, truth["pipe.images_nhwc"], atol=TOLERANCE)


def test_an_untrained_adapter_is_bit_for_bit_no_adapter(parts):
    """Grafted at zero: offsets of 0 are added, so not even rounding differs."""
    adapter = PoseAdapter(2 * parts.mean.shape[1], parts.prompts.shape[2])
    picture = to_picture(photo(), 64)
    draws = [[noise_source(3)] for _ in range(2)]
    with torch.no_grad():
        plain, grafted = (
            sample_views(
                parts, [picture], [lambda shape, source=row[0]: torch.randn(shape, generator=source)], SAMPLER, offsets
            )
            for row, offsets in zip(draws, (None, adapter(torch.randn(6, 11))), strict=True)
        )
    assert torch.equal(plain, grafted)


def test_clip_and_vae_encode_every_photo_once(parts, monkeypatch):
    calls = {"vae": 0, "clip": 0}
    encode, embed = parts.vae.encode, parts.image_encoder.forward
    monkeypatch.setattr(parts.vae, "encode", lambda x: calls.__setitem__("vae", calls["vae"] + len(x)) or encode(x))
    monkeypatch.setattr(
        parts.image_encoder, "forward", lambda x: calls.__setitem__("clip", calls["clip"] + len(x)) or embed(x)
    )
    FaceLiftGenerator(parts, VIEW_SETS["facelift"], SAMPLER, VIEW_SETS["facelift"]).generate([photo(), photo()], [1, 2])
    assert calls == {"vae": 2, "clip": 2}


@pytest.mark.parametrize("dtype, tolerance", [(torch.bfloat16, 0.05), (torch.float16, 0.01)])
def test_half_precision_paints_nearly_the_same(parts, fixture, prompt_file, dtype, tolerance):
    """Mean absolute difference to fp32 over the images; 8 and 11 bits of mantissa through the network and four
    steps."""
    half = load_facelift(fixture / "pipeckpts", prompt_file, dtype, "cpu")
    assert {p.dtype for part in (half.unet, half.vae, half.image_encoder) for p in part.parameters()} == {dtype}
    images = []
    for each in (parts, half):
        source = noise_source(1)
        images.append(
            sample_views(
                each, [to_picture(photo(), 64)], [lambda shape, s=source: torch.randn(shape, generator=s)], SAMPLER
            )
        )
    assert 0 < (images[0] - images[1]).abs().mean() < tolerance


def test_a_photo_without_foreground_is_refused(parts):
    empty = replace(photo(), rgba=np.zeros((64, 64, 4), np.float32))
    with pytest.raises(DataError, match="no foreground"):
        FaceLiftGenerator(parts, VIEW_SETS["facelift"], SAMPLER, VIEW_SETS["facelift"]).generate([empty], [1])


def photo(size=64):
    rgba = np.zeros((size, size, 4), np.float32)
    rgba[20:40, 20:44] = (0.3, 0.25, 0.2, 1)
    return View(rgba, orbit(30, 10, 2.7, canonical_fxfycxcy(size), size, size))


def test_the_generator_gives_six_views_at_the_declared_cameras(parts):
    generator = FaceLiftGenerator(parts, VIEW_SETS["facelift"], SamplerConfig(2, 3.0, 1.0), VIEW_SETS["facelift"])
    (views,) = generator.generate([photo()], [5])
    (again,) = generator.generate([photo()], [5])
    assert len(views) == 6 and views[0].rgba.shape == (64, 64, 4)
    assert all(np.array_equal(a.rgba, b.rgba) for a, b in zip(views, again))


def test_prompts_start_from_the_nearest_declared_view():
    source = photo().camera
    wanted = [orbit(30 + turn, 10, 2.7, source.fxfycxcy, 64, 64) for turn in (2, -50, 170, 60)]
    assert nearest_prompts(source, wanted, VIEW_SETS["facelift"]) == [0, 1, 3, 5]


def test_the_noise_level_is_cosines_first():
    labels = class_labels(torch.zeros(1, 4))
    assert labels.tolist() == [[0, 0, 0, 0, 1, 1, 0, 0]]


def test_missing_files_are_named(tmp_path, prompt_file):
    with pytest.raises(MissingWeights, match="unet/config.json"):
        load_facelift(tmp_path, prompt_file, torch.float32, "cpu")


def test_another_architecture_is_refused(fixture, tmp_path, prompt_file):
    root = tmp_path / "pipeckpts"
    shutil.copytree(fixture / "pipeckpts", root)
    path = root / "unet/config.json"
    path.chmod(0o644), path.parent.chmod(0o755)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sparse_mv_attention": False}))
    with pytest.raises(DataError, match="another architecture"):
        load_facelift(root, prompt_file, torch.float32, "cpu")


def test_prompt_embeddings_of_another_width_are_refused_and_never_zeros(tmp_path):
    path = tmp_path / "clr_embeds.pt"
    torch.save(torch.zeros(6, 77, 768), path)
    with pytest.raises(DataError, match="768"):
        load_prompts(path, 6, 1024)
    with pytest.raises(MissingWeights):
        load_prompts(tmp_path / "none.pt", 6, 1024)


def test_the_schedules_are_the_published_ones(parts, shared):
    told = json.loads((shared / "fixtures/facelift/schedules.json").read_text())
    for steps, times in told["ddim_timesteps"].items():
        parts.scheduler.set_timesteps(int(steps))
        assert parts.scheduler.timesteps.tolist() == times
    signal = parts.scheduler.alphas_cumprod[told["probe_t"]]
    np.testing.assert_allclose(signal.numpy(), told["alphas_cumprod"], rtol=1e-6)
    np.testing.assert_allclose((signal / (1 - signal)).numpy(), told["snr"], rtol=1e-5)
    weights = min_snr_weight(signal.sqrt(), (1 - signal).sqrt(), TrainingConfig.snr_gamma)
    np.testing.assert_allclose(weights.numpy(), told["min_snr_gamma5_weight"], rtol=1e-5)
    assert parts.noising_alpha == pytest.approx(told["image_noising_alphas_cumprod_0"], rel=1e-6)


def test_the_views_are_those_of_the_published_inference_cameras(shared):
    frames = json.loads((shared / "fixtures/facelift/inference_cameras_6view.json").read_text())["frames"]
    source = Camera(np.linalg.inv(np.array(frames[0]["c2w"])), np.array(frames[0]["fxfycxcy"]), 512, 512)
    for camera, frame in zip(VIEW_SETS["facelift"].cameras(source, 512), frames, strict=True):
        np.testing.assert_allclose(np.linalg.inv(camera.w2c), frame["c2w"], atol=1e-5)
        np.testing.assert_allclose(camera.fxfycxcy, frame["fxfycxcy"], rtol=1e-6)


def test_the_stock_network_has_the_published_names_and_shapes(shared):
    from diffusers import UNet2DConditionModel

    told = json.loads((shared / "fixtures/facelift/unet_state_dict_keys.json").read_text())
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(stock_config(told["config"]))
    assert {name: list(value.shape) for name, value in unet.state_dict().items()} == {
        name: value["shape"] for name, value in told["keys"].items()
    }
    own = [name for name, _ in unet.named_modules() if name.endswith("attn1")]
    assert sorted(own) == sorted(told["attn1_modules"])
