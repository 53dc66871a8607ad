"""A miniature of a published multi-view pipeline folder: real file names and layout, stock classes, random weights."""

import json

import numpy as np
import torch

VIEWS, WIDTH, IMAGE = 6, 24, 16  # views, prompt width, image embedding width
UNET = {
    "sample_size": 8,
    "in_channels": 8,
    "out_channels": 4,
    "block_out_channels": [8, 16],
    "layers_per_block": 1,
    "attention_head_dim": [1, 2],
    "cross_attention_dim": WIDTH,
    "norm_num_groups": 4,
    "use_linear_projection": True,
    "class_embed_type": "projection",
    "projection_class_embeddings_input_dim": 2 * IMAGE,
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
}
VAE_BLOCKS = 4  # three halvings: 64 px images from latents of 8


def write_facelift(root):
    """Write the folder and its prompt embeddings; returns (folder, prompt file)."""
    from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler
    from safetensors.torch import save_file
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(0)
    _write_unet(root / "unet")
    AutoencoderKL(
        block_out_channels=(4,) * VAE_BLOCKS,
        norm_num_groups=2,
        layers_per_block=1,
        latent_channels=4,
        sample_size=64,
        down_block_types=("DownEncoderBlock2D",) * VAE_BLOCKS,
        up_block_types=("UpDecoderBlock2D",) * VAE_BLOCKS,
    ).save_pretrained(root / "vae")
    CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            image_size=28,
            patch_size=14,
            projection_dim=IMAGE,
        )
    ).save_pretrained(root / "image_encoder")
    betas = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
    DDIMScheduler(**betas, prediction_type="v_prediction", clip_sample=False, set_alpha_to_one=False).save_pretrained(
        root / "scheduler"
    )
    DDPMScheduler().save_pretrained(root / "image_noising_scheduler")
    normalizer = root / "image_normalizer"
    normalizer.mkdir()
    (normalizer / "config.json").write_text(json.dumps({"_class_name": "StableUnCLIPImageNormalizer"}))
    save_file(
        {"mean": torch.zeros(1, IMAGE), "std": torch.ones(1, IMAGE)},
        normalizer / "diffusion_pytorch_model.safetensors",
    )
    _write_json(root / "feature_extractor/preprocessor_config.json", preprocessor())
    _write_json(root / "model_index.json", {"_class_name": "StableUnCLIPImg2ImgPipeline"})
    prompts = root.parent / "prompts.npy"
    np.save(prompts, np.random.default_rng(0).normal(size=(VIEWS, 7, WIDTH)).astype(np.float32))
    return root, prompts


def preprocessor():
    return {
        "size": {"shortest_edge": 28},
        "crop_size": {"height": 28, "width": 28},
        "resample": 3,
        "rescale_factor": 1 / 255,
        "image_mean": [0.48, 0.46, 0.41],
        "image_std": [0.27, 0.26, 0.28],
    }


def _write_unet(folder):
    """A stock UNet under the names that the published class gives its blocks."""
    from diffusers import UNet2DConditionModel
    from safetensors.torch import save_file

    stock = UNet2DConditionModel.from_config(UNET)
    names = {key: [name.replace("2D", "MV2D") for name in UNET[key]] for key in BLOCKS}
    config = UNET | names | {"mid_block_type": "UNetMidBlockMV2DCrossAttn", "_class_name": "UNetMV2DConditionModel"}
    _write_json(folder / "config.json", config | {"num_views": VIEWS, "sparse_mv_attention": True})
    save_file(
        {name: value.contiguous() for name, value in stock.state_dict().items()},
        folder / "diffusion_pytorch_model.safetensors",
    )


BLOCKS = ("down_block_types", "up_block_types")


def _write_json(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
