"""Load a published multi-view pipeline folder (FaceLift layout) into stock diffusers and transformers components."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mousefacelift.distill.generators.facelift_attention import SparseViewAttention, set_view_attention
from mousefacelift.distill.generators.protocol import hash_files
from mousefacelift.distill.generators.weight_files import WeightFiles, load_weights, require_weights
from mousefacelift.errors import DataError, MissingWeights

WEIGHTS = (
    "unet/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
    "image_encoder/model.safetensors",
    "image_normalizer/diffusion_pytorch_model.safetensors",
)
CONFIGS = (
    "model_index.json",
    "unet/config.json",
    "vae/config.json",
    "image_encoder/config.json",
    "image_normalizer/config.json",
    "image_noising_scheduler/scheduler_config.json",
    "feature_extractor/preprocessor_config.json",
    "scheduler/scheduler_config.json",
)
EXTRA_KEYS = (
    "num_views",
    "multiview_attention",
    "sparse_mv_attention",
    "cd_attention_last",
    "cd_attention_mid",
    "selfattn_block",
    "addition_downsample",
    "addition_channels",
)
HINT = (
    "download the folder mvdiffusion/pipeckpts of the published FaceLift weights (non-commercial research licence) and "
    "set distill.generator.weights to it"
)


@dataclass
class FaceLiftParts:
    """The components, on one device in one precision."""

    unet: torch.nn.Module
    vae: torch.nn.Module
    image_encoder: torch.nn.Module
    mean: Tensor  # [1, D] of the image embeddings
    std: Tensor
    noising_alpha: float  # alphas_cumprod[0] of the image noising schedule
    scheduler: object  # stock DDIMScheduler
    preprocessor: dict
    views: int
    prompts: Tensor  # [V, L, C]
    weights: dict[str, str]

    @property
    def resolution(self) -> int:
        """Edge of the painted images: latent size times the VAE's reduction."""
        return self.unet.config.sample_size * 2 ** (len(self.vae.config.block_out_channels) - 1)


def load_facelift(folder: str | Path, prompt_file: str | Path, dtype: torch.dtype, device: str) -> FaceLiftParts:
    """The components of a pipeline folder and its prompt embeddings.

    Raises:
        MissingWeights: files are missing. DataError: another architecture, or prompt embeddings of another width.
    """
    from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler
    from transformers import CLIPVisionModelWithProjection

    root, weights = require_weights(folder, CONFIGS, WEIGHTS, "the published multi-view generator", HINT)
    unet, views = load_unet(root, weights[WEIGHTS[0]])
    prompts = load_prompts(prompt_file, views, unet.config.cross_attention_dim)
    used = [name for found in weights.values() for name in found.files]
    normalizer = load_weights(root, weights[WEIGHTS[3]])
    noising = DDPMScheduler.from_pretrained(root / "image_noising_scheduler")
    place = {"device": device, "dtype": dtype}
    vae = AutoencoderKL.from_pretrained(
        root / "vae", torch_dtype=dtype, low_cpu_mem_usage=False, **weights[WEIGHTS[1]].choice
    )
    encoder = CLIPVisionModelWithProjection.from_pretrained(
        root / "image_encoder", dtype=dtype, **weights[WEIGHTS[2]].choice
    )
    return FaceLiftParts(
        unet.to(**place).eval(),
        vae.to(device).eval(),
        encoder.to(device).eval(),
        normalizer["mean"].float().to(device),
        normalizer["std"].float().to(device),
        float(noising.alphas_cumprod[0]),
        DDIMScheduler.from_pretrained(root / "scheduler"),
        read_json(root / "feature_extractor/preprocessor_config.json"),
        views,
        prompts.to(**place),
        hash_files(root, used) | hash_files(Path(prompt_file).parent, [Path(prompt_file).name]),
    )


def load_unet(root: Path, weights: WeightFiles) -> tuple[torch.nn.Module, int]:
    """The stock UNet with the published weights and the sparse view rule, and its number of views.

    Raises:
        DataError: the folder holds another architecture.
    """
    from diffusers import UNet2DConditionModel

    index, config = read_json(root / "model_index.json"), read_json(root / "unet/config.json")
    found = (
        index.get("_class_name"),
        config.get("_class_name"),
        config.get("sparse_mv_attention"),
        config.get("cd_attention_mid", False) or config.get("cd_attention_last", False),
    )
    expected = ("StableUnCLIPImg2ImgPipeline", "UNetMV2DConditionModel", True, False)
    if found != expected:
        raise DataError(
            f"pipeline folder {root} is another architecture",
            got=", ".join(map(str, found)),
            expected=f"{', '.join(map(str, expected))} (pipeline, UNet, sparse_mv_attention, cross-domain attention)",
            likely="weights of another multi-view model",
            hint=HINT,
        )
    unet = UNet2DConditionModel.from_config(stock_config(config))
    problems = unet.load_state_dict(load_weights(root, weights), strict=False)
    if problems.missing_keys or problems.unexpected_keys:
        raise DataError(
            f"UNet weights {root / weights.files[0]} do not fit their config.json",
            got=f"{len(problems.missing_keys)} missing, {len(problems.unexpected_keys)} unexpected tensors",
            where=", ".join([*problems.missing_keys, *problems.unexpected_keys][:3]),
        )
    views = int(config["num_views"])
    set_view_attention(unet, SparseViewAttention(views))
    return unet, views


def stock_config(config: dict) -> dict:
    """The stock UNet's configuration of a published one: blocks without their multi-view names."""
    stock = {key: value for key, value in config.items() if key not in EXTRA_KEYS and not key.startswith("_")}
    for key in ("down_block_types", "up_block_types"):
        stock[key] = [name.replace("MV2D", "2D") for name in stock[key]]
    return stock | {"mid_block_type": stock["mid_block_type"].replace("MV2D", "2D")}


def load_prompts(path: str | Path, views: int, width: int) -> Tensor:
    """Per-view prompt embeddings [V, L, C] of a .pt, .npz or .npy file.

    Raises:
        MissingWeights: no such file. DataError: another shape; it is never replaced by zeros or cut to size.
    """
    import numpy as np

    path = Path(path)
    if not str(path) or not path.is_file():
        raise MissingWeights(
            "prompt embeddings of the published multi-view generator are missing",
            where=str(path),
            expected=f"a tensor [{views}, 77, {width}], clr_embeds.pt of the published repository",
            hint="set distill.generator.prompt_embeddings to mvdiffusion/data/fixed_prompt_embeds_6view/clr_embeds.pt",
        )
    prompts = (
        torch.load(path, map_location="cpu", weights_only=True)
        if path.suffix == ".pt"
        else torch.from_numpy(np.load(path))
    )
    if prompts.ndim != 3 or prompts.shape[0] != views or prompts.shape[2] != width:
        raise DataError(
            f"prompt embeddings {path} do not fit the UNet",
            got=str(list(prompts.shape)),
            expected=f"[{views}, tokens, {width}]",
            likely="made with another text encoder (768 wide: CLIP-L of Stable Diffusion 1)",
            hint="use the published clr_embeds.pt",
        )
    return prompts


def read_json(path: Path) -> dict:
    """Content of a configuration file of a weights folder."""
    try:
        return json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise DataError(f"configuration {path} is not JSON", got=str(error)) from error
