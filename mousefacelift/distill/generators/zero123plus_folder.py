"""Load a published Zero123++ folder (v1.1 or v1.2) into stock diffusers and transformers components.

Only configurations and weights are read; no code of the folder runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mousefacelift.distill.generators.facelift_folder import read_json
from mousefacelift.distill.generators.protocol import hash_files, require_files
from mousefacelift.distill.generators.weight_files import WeightFiles, require_weights
from mousefacelift.errors import DataError

WEIGHTS = (
    "unet/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
    "vision_encoder/model.safetensors",
    "text_encoder/model.safetensors",
)
CONFIGS = (
    "model_index.json",
    "unet/config.json",
    "vae/config.json",
    "vision_encoder/config.json",
    "text_encoder/config.json",
    "scheduler/scheduler_config.json",
    "feature_extractor_clip/preprocessor_config.json",
    "feature_extractor_vae/preprocessor_config.json",
)
TOKENIZERS = (("tokenizer/vocab.json", "tokenizer/merges.txt"), ("tokenizer/tokenizer.json",))  # either of them
HINT = (
    "download sudo-ai/zero123plus-v1.2 or -v1.1 (weights CC-BY-NC 4.0) and set distill.generator.weights to the folder"
)


@dataclass
class Zero123PlusParts:
    """The components, on one device in one precision."""

    unet: torch.nn.Module
    vae: torch.nn.Module
    image_encoder: torch.nn.Module
    scheduler: object  # stock EulerAncestralDiscreteScheduler, trailing
    clip_preprocessor: dict
    vae_preprocessor: dict
    prompt: Tensor  # [1, L, C] of the empty text
    ramp: Tensor  # [L, 1]: how much of the photo's global embedding each token gets
    weights: dict[str, str]


def load_zero123plus(folder: str | Path, dtype: torch.dtype, device: str) -> Zero123PlusParts:
    """The components of a Zero123++ folder.

    Raises:
        MissingWeights: files are missing. DataError: another architecture.
    """
    from diffusers import AutoencoderKL, EulerAncestralDiscreteScheduler, UNet2DConditionModel
    from transformers import CLIPVisionModelWithProjection

    root, weights = require_weights(folder, CONFIGS, WEIGHTS, "Zero123++", HINT)
    files = next((files for files in TOKENIZERS if all((root / name).is_file() for name in files)), None)
    if files is None:
        require_files(root, TOKENIZERS[0], "Zero123++", HINT)
    index, config = read_json(root / "model_index.json"), read_json(root / "unet/config.json")
    found = (index.get("_class_name"), config.get("_class_name"), config.get("in_channels"))
    expected = ("Zero123PlusPipeline", "UNet2DConditionModel", 4)
    if found != expected:
        raise DataError(
            f"pipeline folder {root} is another architecture",
            got=", ".join(map(str, found)),
            expected=f"{', '.join(map(str, expected))} (pipeline, UNet, input channels)",
            likely="weights of another multi-view model",
            hint=HINT,
        )
    place = {"torch_dtype": dtype, "low_cpu_mem_usage": False}
    unet = UNet2DConditionModel.from_pretrained(root / "unet", **place, **weights[WEIGHTS[0]].choice)
    vae = AutoencoderKL.from_pretrained(root / "vae", **place, **weights[WEIGHTS[1]].choice)
    encoder = CLIPVisionModelWithProjection.from_pretrained(
        root / "vision_encoder", dtype=dtype, **weights[WEIGHTS[2]].choice
    )
    prompt = empty_prompt(root, weights[WEIGHTS[3]])
    ramp = torch.tensor(index.get("ramping_coefficients") or [])
    if len(ramp) != prompt.shape[1] or encoder.config.projection_dim != prompt.shape[2]:
        raise DataError(
            f"pipeline folder {root} does not fit together",
            got=f"{len(ramp)} ramping coefficients, image embedding {encoder.config.projection_dim} wide",
            expected=f"{prompt.shape[1]} and {prompt.shape[2]}, as its text encoder has",
            hint=HINT,
        )
    return Zero123PlusParts(
        unet.to(device).eval(),
        vae.to(device).eval(),
        encoder.to(device).eval(),
        EulerAncestralDiscreteScheduler.from_pretrained(root / "scheduler", timestep_spacing="trailing"),
        read_json(root / CONFIGS[6]),
        read_json(root / CONFIGS[7]),
        prompt.to(device),
        ramp[:, None].to(device),
        hash_files(root, (*(name for found in weights.values() for name in found.files), "model_index.json", *files)),
    )


@torch.no_grad()
def empty_prompt(root: Path, weights: WeightFiles) -> Tensor:
    """[1, L, C] what the folder's text encoder makes of the empty text; the encoder is needed for nothing else."""
    from transformers import CLIPTextModel, CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(root / "tokenizer")
    encoder = CLIPTextModel.from_pretrained(root / "text_encoder", dtype=torch.float32, **weights.choice).eval()
    length = encoder.config.max_position_embeddings
    tokens = tokenizer("", padding="max_length", max_length=length, truncation=True, return_tensors="pt").input_ids
    return encoder(tokens).last_hidden_state
