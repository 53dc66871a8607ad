"""What a multi-view generator is, and what every generator needs: seeds, weight hashes, foreground checks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import torch

from mousefacelift.core.cameras import Camera
from mousefacelift.core.files import file_hash
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.images import zoom_rgba
from mousefacelift.core.samples import View
from mousefacelift.distill.config import GeneratorConfig, NearestConfig
from mousefacelift.distill.view_sets import ViewSet
from mousefacelift.errors import DataError, MissingWeights


class Generator(Protocol):
    """Paints more views of what a photo shows.

    Attributes:
        name, licence: for provenance.
        resolution: edge in pixels of what it paints.
        view_set: the cameras it paints, relative to the input.
        weights: {file: SHA-256} of every weight file used.
        photos_at_once: photos that are best given to one call; one where a generator does not say.
    """

    name: str
    licence: str
    resolution: int
    view_set: ViewSet
    weights: dict[str, str]

    def generate(self, inputs: Sequence[View], seeds: Sequence[int]) -> list[list[View]]:
        """Views with absolute cameras (world = the inputs' world), one list per input.

        Raises:
            DataError: an input without foreground.
        """
        ...


@dataclass(frozen=True)
class Solid:
    """One body that explains a picture.

    Args:
        gaussians: [N], in the world of `camera`. camera: the picture's own, or the estimated one.
        facts: JSON-able: residual and what else the generator knows about its answer.
    """

    gaussians: Gaussians
    camera: Camera
    facts: dict


class SolidGenerator(Generator, Protocol):
    """A generator whose views of one picture are renders of one body, which it can hand out."""

    def solid(self, view: View, knows_camera: bool, elevation: float | None = None) -> Solid:
        """The body of one picture.

        Args:
            view: the picture; where `knows_camera` is False its camera is an assumption (azimuth 0, canonical lens).
            elevation: degrees of an unknown camera, when somebody knows it; None estimates it.
        """
        ...

    def solids(
        self, views: Sequence[View], knows_camera: Sequence[bool], elevation: float | None = None
    ) -> list[Solid]:
        """The bodies of several pictures, as `solid` finds each; rounding may differ."""
        ...


@dataclass(frozen=True)
class Asked:
    """A generator that is asked for: what `distill train` left of it, and how it shall answer.

    Args:
        root: its folder. document: the content of generator.json.
        views: that it shall paint.
        nearest: how the nearest filmed pose is looked for.
    """

    root: Path
    document: dict
    views: ViewSet
    config: GeneratorConfig
    nearest: NearestConfig

    def require(self, files: Sequence[str], what: str, hint: str) -> Path:
        """The folder, when every expected file is in it; MissingWeights otherwise."""
        return require_files(self.root, files, what, hint)


class Recipe(Protocol):
    """What the module `generators/NAME.py` of a kind of generator has."""

    def make(self, making: Any) -> tuple[dict, dict]:
        """Train, adapt or check a generator, of a `distill.making.Making`; the content of generator.json, and the
        validation."""
        ...

    def load(self, asked: Asked) -> Generator:
        """The generator of a folder that `make` wrote.

        Raises:
            MissingWeights, DataError: the folder is not complete, or belongs to other weights.
        """
        ...


def torch_dtype(config: GeneratorConfig) -> torch.dtype:
    """torch's type of `config.precision`."""
    return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[config.precision]


def has_solid(generator: Generator) -> bool:
    """Whether a generator is a `SolidGenerator`: then no reconstructor is needed behind it."""
    return hasattr(generator, "solid")


def view_seed(seed: int, recording: str, frame: int, view: int) -> int:
    """Seed in [0, 2^63) of one input photo; any view can be made again alone from these four."""
    text = f"{seed}/{recording}/{frame}/{view}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1


def noise_source(seed: int) -> torch.Generator:
    """CPU generator of one input photo: draws do not depend on the device or on what else is in the batch."""
    return torch.Generator("cpu").manual_seed(seed)


def hash_files(folder: Path, files: Sequence[str]) -> dict[str, str]:
    """{file: SHA-256} of files of a weights folder, for provenance."""
    return {name: file_hash(folder / name) for name in files}


def require_files(folder: str | Path, files: Sequence[str], what: str, hint: str) -> Path:
    """The weights folder, when every expected file is in it.

    Raises:
        MissingWeights: names the folder, the missing files and how to get them.
    """
    root = Path(folder)
    missing = [name for name in files if not (root / name).is_file()]
    if not str(folder) or missing:
        raise MissingWeights(
            f"weights of {what} are not complete",
            where=str(root) if str(folder) else "no folder given",
            got=f"no {', '.join(missing)}",
            expected=", ".join(files),
            hint=hint,
        )
    return root


def check_foreground(inputs: Sequence[View]) -> None:
    """Raise DataError for an input without foreground."""
    for index, view in enumerate(inputs):
        if not (view.rgba[..., 3] > 0.5).any():
            raise DataError(
                "input photo has no foreground",
                where=f"input {index}, camera {view.facts.camera}",
                likely="the animal is outside the frame or the mask was lost",
                hint="exclude the frame",
            )


def change_camera(rgba: np.ndarray, camera: Camera, new: Camera) -> np.ndarray:
    """Straight-alpha rgba seen by `camera`, as `new` sees it: same place and direction, other intrinsics or size.

    A camera that only changes its intrinsics moves pixels by an affine map; shrinking averages over the pixel.
    """
    scale = new.fxfycxcy[:2] / camera.fxfycxcy[:2]
    return zoom_rgba(rgba, scale, camera.fxfycxcy[2:], new.fxfycxcy[2:], (new.width, new.height))


def matte(rgb: np.ndarray, background: float, low: float = 0.02, high: float = 0.10) -> np.ndarray:
    """Straight-alpha rgba of an image painted on a plain background.

    Alpha rises from 0 to 1 as the largest channel difference from the background goes from `low` to `high`; holes are
    filled and only the largest component stays.

    Args:
        rgb: [H, W, 3] in [0, 1]; background: its grey level.
    """
    alpha = np.clip((np.abs(rgb - background).max(-1) - low) / (high - low), 0.0, 1.0).astype(np.float32)
    count, labels, stats, _ = cv2.connectedComponentsWithStats((alpha > 0.5).astype(np.uint8), connectivity=8)
    if count < 2:
        return np.concatenate([np.zeros_like(rgb), np.zeros_like(alpha)[..., None]], -1)
    body = (labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())).astype(np.uint8)
    contours, _ = cv2.findContours(body, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros_like(body), contours, -1, 1, cv2.FILLED)
    near = cv2.dilate(filled, np.ones((3, 3), np.uint8))
    alpha = np.where(filled & (body == 0), 1.0, alpha * near)[..., None].astype(np.float32)
    colour = np.where(alpha > 1e-3, (rgb - background * (1 - alpha)) / np.maximum(alpha, 1e-3), 0.0)
    return np.concatenate([np.clip(colour, 0, 1), alpha], -1).astype(np.float32)
