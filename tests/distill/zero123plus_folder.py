"""A miniature of a published Zero123++ folder: real file names and classes, random weights."""

import json

import torch

BETAS = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "linear",
    "prediction_type": "v_prediction",
    "steps_offset": 1,
}
TOKENS = 77


def write_zero123plus(root):
    """Write the folder; every component is a stock class of a few thousand weights."""
    from diffusers import AutoencoderKL, EulerAncestralDiscreteScheduler, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(0)
    UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(8, 16),
        layers_per_block=1,
        attention_head_dim=(1, 2),
        cross_attention_dim=24,
        norm_num_groups=4,
        use_linear_projection=True,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    ).save_pretrained(root / "unet")
    AutoencoderKL(
        block_out_channels=(4, 4, 4, 4),
        norm_num_groups=2,
        layers_per_block=1,
        latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    ).save_pretrained(root / "vae")
    CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            image_size=28,
            patch_size=14,
            projection_dim=24,
        )
    ).save_pretrained(root / "vision_encoder")
    CLIPTextModel(
        CLIPTextConfig(
            vocab_size=8,
            hidden_size=24,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=TOKENS,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
        )
    ).save_pretrained(root / "text_encoder")
    EulerAncestralDiscreteScheduler(**BETAS).save_pretrained(root / "scheduler")
    _write(root / "tokenizer/vocab.json", {"!": 0, "<|startoftext|>": 1, "<|endoftext|>": 2, "a</w>": 3, "b</w>": 4})
    (root / "tokenizer/merges.txt").write_text("#version: 0.2\n")
    _write(
        root / "tokenizer/tokenizer_config.json",
        {
            "pad_token": "!",
            "model_max_length": TOKENS,
            "tokenizer_class": "CLIPTokenizer",
            "unk_token": "<|endoftext|>",
        },
    )
    shared = {"do_center_crop": True, "rescale_factor": 1 / 255, "image_processor_type": "CLIPImageProcessor"}
    _write(
        root / "feature_extractor_vae/preprocessor_config.json",  # the published one is 512 px
        shared
        | {
            "size": {"shortest_edge": 64},
            "crop_size": {"height": 64, "width": 64},
            "resample": 2,
            "image_mean": 0.5,
            "image_std": 0.8,
        },
    )
    _write(
        root / "feature_extractor_clip/preprocessor_config.json",
        shared
        | {
            "size": {"shortest_edge": 28},
            "crop_size": {"height": 28, "width": 28},
            "resample": 3,
            "image_mean": [0.48, 0.46, 0.41],
            "image_std": [0.27, 0.26, 0.28],
        },
    )
    _write(
        root / "model_index.json",
        {
            "_class_name": "Zero123PlusPipeline",
            "_diffusers_version": "0.24.0",
            "ramping_coefficients": torch.linspace(0.05, 0.9, TOKENS).tolist(),
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
            "scheduler": ["diffusers", "EulerAncestralDiscreteScheduler"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "safety_checker": [None, None],
            "vision_encoder": ["transformers", "CLIPVisionModelWithProjection"],
            "feature_extractor_clip": ["transformers", "CLIPImageProcessor"],
            "feature_extractor_vae": ["transformers", "CLIPImageProcessor"],
        },
    )
    return root


def _write(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
