"""The trained prior on disk and in use: read weights, guess a crop's mouse under the likeliest headings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mousefacelift.errors import MissingWeights
from mousefacelift.prior.crop import Crop
from mousefacelift.prior.network import Features, NetworkConfig, PriorNetwork

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


def guess_mouse(network: PriorNetwork, crop: Crop, hypotheses: int = 4, known: bool = True) -> Guess:
    """The likeliest headings of one crop's mouse; see `guess_mice`."""
    return guess_mice(network, [crop], hypotheses, [known])[0]


@torch.no_grad()
def guess_mice(network: PriorNetwork, crops: Sequence[Crop], hypotheses: int, known: Sequence[bool]) -> list[Guess]:
    """The likeliest headings of the mouse of every crop and what it looks like under each.

    Args:
        hypotheses: at most so many, at least APART_DEG apart.
        known: whether a crop's camera is known; otherwise its facts are not shown to the network.
    """
    pictures = torch.cat([picture_tensor(crop.rgba) for crop in crops])
    facts = torch.from_numpy(np.stack([crop.facts for crop in crops]))
    features, logits, _ = network.encode(pictures, facts, torch.tensor(known, dtype=torch.float32))
    chances, bins = logits.softmax(1), network.bin_headings()
    chosen = [_likeliest(chance, bins.numpy(), hypotheses) for chance in chances.numpy()]
    owner = torch.repeat_interleave(torch.tensor([len(own) for own in chosen]))
    rows = torch.tensor([place for own in chosen for place in own])
    found = network.decode(Features(features.joined[owner], features.glance[owner]), bins[rows])
    columns = (
        found.code,
        found.heading,
        found.size,
        found.offset,
        found.colours.clamp(0, 1),
        chances[owner, rows],
    )
    every = Guess(*columns)
    return [every.select(owner == place) for place in range(len(crops))]


def _likeliest(chance: np.ndarray, bins: np.ndarray, hypotheses: int) -> list[int]:
    """Heading bins that are hypotheses, likeliest first."""
    chosen: list[int] = []
    for index in np.argsort(-chance, kind="stable").tolist():
        away = np.degrees(np.abs((bins[chosen] - bins[index] + np.pi) % (2 * np.pi) - np.pi))
        if chance[index] < LEAST_SHARE * chance.max():
            break
        if (away >= APART_DEG).all():
            chosen.append(index)
        if len(chosen) == hypotheses:
            break
    return chosen
