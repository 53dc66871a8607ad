"""Zero123++ through diffusers, when its weights (and its published pipeline file) are given.

The folder is a download of sudo-ai/zero123plus-v1.1 or -v1.2 (weights CC-BY-NC 4.0) with `pipeline.py` of
sudo-ai/zero123plus-pipeline beside model_index.json. That file is code that runs: read it first. It imports torchvision.
Output is one picture of 2 columns by 3 rows of 320 px tiles on grey.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mousefacelift.core.samples import View
from mousefacelift.distill.config import SamplerConfig
from mousefacelift.distill.generators.facelift import to_picture
from mousefacelift.distill.generators.protocol import check_foreground, hash_files, matte, noise_source, require_files
from mousefacelift.distill.views import ViewSet
from mousefacelift.errors import ConfigError, DataError, MissingWeights

FILES = ("model_index.json", "pipeline.py", "unet/config.json", "vae/config.json", "vision_encoder/config.json")
HINT = ("download sudo-ai/zero123plus-v1.2 and put pipeline.py of sudo-ai/zero123plus-pipeline into the folder; "
        "set distill.weights to it")
TILE, COLUMNS, ROWS = 320, 2, 3
GREY = 0.5


class Zero123PlusGenerator:
    """Six views at azimuths +30, +90, ... +330 of the input, at absolute elevations that its version declares."""

    name = "zero123plus"
    licence = "weights: CC-BY-NC 4.0"
    resolution = TILE

    def __init__(self, pipeline, view_set: ViewSet, sampler: SamplerConfig, weights: dict[str, str]) -> None:
        self.pipeline, self.view_set, self.sampler, self.weights = pipeline, view_set, sampler, weights

    @classmethod
    def load(cls, folder: str | Path, view_set: ViewSet, sampler: SamplerConfig) -> Zero123PlusGenerator:
        """The published pipeline in `folder`.

        Raises:
            MissingWeights: files are missing, or torchvision, which the published file imports.
            ConfigError: a view set that these weights do not paint.
        """
        if not view_set.name.startswith("zero123plus"):
            raise ConfigError("zero123plus paints only its own angles", got=f"view_set {view_set.name}",
                              expected="zero123plus_v1.1 or zero123plus_v1.2, whichever the weights are")
        root = require_files(folder, FILES, "Zero123++", HINT)
        import torch
        from diffusers import DiffusionPipeline

        cuda = torch.cuda.is_available()
        try:
            pipeline = DiffusionPipeline.from_pretrained(root, custom_pipeline=str(root / "pipeline.py"), trust_remote_code=True,
                                                         torch_dtype=torch.float16 if cuda else torch.float32)
        except ImportError as error:
            raise MissingWeights("the published Zero123++ pipeline file cannot be imported", where=str(root / "pipeline.py"),
                                 got=str(error), hint="install a torchvision that fits this torch") from error
        files = [str(path.relative_to(root)) for path in sorted(root.rglob("*.safetensors"))]
        return cls(pipeline.to("cuda" if cuda else "cpu"), view_set, sampler, hash_files(root, [*files, "pipeline.py"]))

    def generate(self, inputs: Sequence[View], seeds: Sequence[int]) -> list[list[View]]:
        """Views of the declared set for each input; see `Generator.generate`."""
        check_foreground(inputs)
        made = []
        for view, seed in zip(inputs, seeds, strict=True):
            picture = self.pipeline(to_picture(view, TILE), num_inference_steps=self.sampler.steps,
                                    guidance_scale=self.sampler.guidance, generator=noise_source(seed)).images[0]
            tiles = split_tiles(np.asarray(picture.convert("RGB"), np.float32) / 255)
            cameras = self.view_set.cameras(view.camera, TILE)
            made.append([View(matte(tile, GREY), camera, {"generator": self.name, "seed": seed})
                         for tile, camera in zip(tiles, cameras, strict=True)])
        return made


def split_tiles(image: np.ndarray) -> list[np.ndarray]:
    """The six tiles [320, 320, 3], row by row, of the 640 x 960 picture.

    Raises:
        DataError: a picture of another size.
    """
    if image.shape != (ROWS * TILE, COLUMNS * TILE, 3):
        raise DataError("the Zero123++ picture has another size", got=str(image.shape),
                        expected=str((ROWS * TILE, COLUMNS * TILE, 3)), likely="another version of the pipeline file")
    return [image[r * TILE:(r + 1) * TILE, c * TILE:(c + 1) * TILE] for r in range(ROWS) for c in range(COLUMNS)]
