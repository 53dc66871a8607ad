"""Masks by SAM 2: what the network sees as the object in the box that the median background found.

Weights are the user's own, a folder in transformers' layout (config.json, model.safetensors), for example a download of
facebook/sam2.1-hiera-small. Nothing is fetched. Pictures are prepared here: transformers' processor needs torchvision.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock

import cv2
import numpy as np

from mousefacelift.errors import MissingWeights

MEAN, SPREAD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # ImageNet, as SAM 2 was trained
MARGIN = 0.15  # of the box's longer side: the rough mask lacks ears and tail


def load_sam2(path: str):
    """A refiner (rgb uint8 [H, W, 3], mask 0/1 [H, W]) -> mask 0/1 [H, W]; on a GPU where there is one.

    Raises:
        MissingWeights: no such folder, or it holds no SAM 2.
    """
    if not path or not Path(path).is_dir():
        raise MissingWeights(
            "SAM 2 weights for capture.mask_backend: sam2 are missing",
            got=path or "capture.sam2_weights is empty",
            expected="a folder with config.json and model.safetensors",
            hint="hf download facebook/sam2.1-hiera-small --local-dir weights/sam2, and set capture.sam2_weights",
        )
    import torch
    from transformers import Sam2Model

    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        model, told = Sam2Model.from_pretrained(path, local_files_only=True, output_loading_info=True)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise MissingWeights(
            f"{path} holds no SAM 2 that transformers can load",
            got=str(error).splitlines()[0][:200],
            expected="Sam2Model's files, as a download of facebook/sam2.1-hiera-small has them",
        ) from error
    if told["missing_keys"]:
        raise MissingWeights(
            f"weights in {path} are incomplete for SAM 2",
            got=f"{len(told['missing_keys'])} missing, for example {sorted(told['missing_keys'])[0]}",
            likely="a download that was cut off, or another network",
        )
    model, one_at_a_time = model.eval().to(device), Lock()
    rows, columns = model.config.vision_config.backbone_config.image_size

    @torch.inference_mode()
    def refine(rgb: np.ndarray, mask: np.ndarray) -> np.ndarray:
        height, width = mask.shape
        small = cv2.resize(rgb, (columns, rows), interpolation=cv2.INTER_AREA if columns < width else cv2.INTER_LINEAR)
        pixels = torch.from_numpy(((small / 255.0 - MEAN) / SPREAD).transpose(2, 0, 1)[None].astype(np.float32))
        box = torch.tensor(prompt_box(mask)) * torch.tensor([columns / width, rows / height] * 2)
        with one_at_a_time:
            answer = model(pixels.to(device), input_boxes=box[None, None].to(device), multimask_output=False)
        score = torch.nn.functional.interpolate(answer.pred_masks[0].float().cpu(), (height, width), mode="bilinear")
        return np.ascontiguousarray((score[0, 0] > 0).numpy().astype(np.uint8))

    return refine


def prompt_box(mask: np.ndarray) -> list[float]:
    """x0, y0, x1, y1 of the mask's box with a margin, inside the picture."""
    x, y, w, h = cv2.boundingRect(mask)
    grow = MARGIN * max(w, h)
    height, width = mask.shape
    return [max(0.0, x - grow), max(0.0, y - grow), min(float(width), x + w + grow), min(float(height), y + h + grow)]
