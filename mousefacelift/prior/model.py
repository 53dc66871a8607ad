"""The trained prior on disk and in use: read weights, guess a crop's mouse under the likeliest headings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mousefacelift.errors import MissingWeights
from mousefacelift.prior.crop import Crop
from mousefacelift.prior.network import NetworkConfig, PriorNetwork

SHIPPED = Path(__file__).parent / "weights" / "prior.safetensors"
APART_DEG = 25.0  # two hypotheses are never closer than this in heading
LEAST_SHARE = 0.04  # of the likeliest heading's probability; less likely ones are no hypotheses


@dataclass(frozen=True)
class Guess:
    """What one crop may show, H hypotheses, likeliest first, in the view's frame (see `network`).

    Args:
        code: [H, C]. heading: [H] radians. size: [H, 1]. offset: [H, 3]. colours: [H, N, 3]. probability: [H].
    """

    code: Tensor
    heading: Tensor
    size: Tensor
    offset: Tensor
    colours: Tensor
    probability: Tensor

    def select(self, rows) -> Guess:
        """The chosen hypotheses."""
        return Guess(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def load_prior(path: str | Path = SHIPPED) -> PriorNetwork:
    """The network of a weights file, in evaluation mode.

    Raises:
        MissingWeights: no such file, or one of another layout.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise MissingWeights(
            "weights of the single-picture prior", where=str(path), hint="snakemake prior makes them again"
        )
    try:
        with safe_open(path, "pt") as file:
            sizes = json.loads(file.metadata()["network"])
            state = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, KeyError, TypeError) as error:
        raise MissingWeights("weights of the single-picture prior", where=str(path), got=str(error)) from error
    network = PriorNetwork(NetworkConfig(**{k: tuple(v) if isinstance(v, list) else v for k, v in sizes.items()}))
    state = {name: value.float() if value.is_floating_point() else value.long() for name, value in state.items()}
    network.load_state_dict(network.state_dict() | state)
    return network.eval().to(memory_format=torch.channels_last)


def picture_tensor(rgba: np.ndarray) -> Tensor:
    """[1, 4, S, S] premultiplied network input of straight rgba [S, S, 4]."""
    picture = torch.from_numpy(np.concatenate([rgba[..., :3] * rgba[..., 3:], rgba[..., 3:]], -1, dtype=np.float32))
    return picture.permute(2, 0, 1)[None]


@torch.no_grad()
def estimate_elevation(network: PriorNetwork, rgba: np.ndarray) -> float:
    """Elevation in degrees from which a crop [S, S, 4] of an unknown camera was taken."""
    features = network.encoder(picture_tensor(rgba))
    sine, cosine = network.elevation(features)[0]
    return float(torch.rad2deg(torch.atan2(sine, cosine)))


@torch.no_grad()
def guess_mouse(network: PriorNetwork, crop: Crop, hypotheses: int = 4, known: bool = True) -> Guess:
    """The likeliest headings of a crop's mouse and what it looks like under each.

    Args:
        hypotheses: at most so many, at least APART_DEG apart.
        known: whether the crop's camera is known; otherwise its facts are not shown to the network.
    """
    facts = torch.from_numpy(crop.facts)[None]
    features, logits, _ = network.encode(picture_tensor(crop.rgba), facts, torch.full((1,), float(known)))
    chance, bins = logits[0].softmax(0), network.bin_headings()
    chosen: list[int] = []
    for index in chance.argsort(descending=True).tolist():
        away = (
            torch.rad2deg((bins[chosen] - bins[index] + np.pi) % (2 * np.pi) - np.pi).abs()
            if chosen
            else torch.empty(0)
        )
        if chance[index] < LEAST_SHARE * chance.max():
            break
        if bool((away >= APART_DEG).all()):
            chosen.append(index)
        if len(chosen) == hypotheses:
            break
    found = network.decode(features.expand(len(chosen)), bins[chosen])
    return Guess(found.code, found.heading, found.size, found.offset, found.colours.clamp(0, 1), chance[chosen])
