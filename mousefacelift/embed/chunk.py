"""Vectors of a chunk of frames, by the single-picture prior (every camera by itself) or from splats (all cameras).

    mousefacelift embed frames --samples results/capture/mouse1/samples/000000-000015/index.json
        --out results/embed/mouse1/chunks/000000-000015/index.json

Rows of the index: {"frame", "time_s", "model", "views": [{"camera", "vector", "heading", "center", ...}]}; camera -1
stands for all cameras together, heading is in degrees of the sample's world, center in the rig's millimetres where the
sample knows them (else in world units).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mousefacelift.chunks import read_index, run_chunk
from mousefacelift.config import config_hash
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.records import SampleFacts
from mousefacelift.core.samples import read_document, read_sample, sample_facts
from mousefacelift.core.similarity import Similarity
from mousefacelift.embed.moments import splat_moments
from mousefacelift.errors import DataError
from mousefacelift.prior.fit import FitConfig
from mousefacelift.prior.model import load_prior
from mousefacelift.prior.network import PriorNetwork
from mousefacelift.prior.reconstruct import reconstruct

DIGITS = 5  # of a number in the index
ALL_CAMERAS = -1


def embed_samples(samples: Path, weights: Path, out: Path, steps: int) -> dict:
    """Vectors of every view of every sample of a chunk by the prior; returns the index.

    Args:
        samples: index.json of a chunk of capture. weights: of the prior. steps: of render-and-compare; 0 takes the
            network's guess.
    """
    network, document = load_prior(weights), read_index(samples)
    items = _items(document, samples.parent)
    key = config_hash([[row.get("hashes") for row in document["items"]], _stamp(weights), steps])

    def make(name: str, row: dict, folder: Path) -> dict:
        return row_of(row, "prior", embed_views(samples.parent / name, network, steps))

    return run_chunk(out, key, items, make, {"model": "prior", "steps": steps}, "frames")


def embed_splats(fits: Path, samples: Path, out: Path) -> dict:
    """Moments of every splat of a chunk of fits; `samples` is the index of the photos that they were fitted to."""
    document = read_index(fits)
    known = {row["name"]: row for row in read_index(samples)["items"]}
    items = [(name, row) for name, row in _items(document, fits.parent) if (fits.parent / name / "splat.npz").is_file()]
    key = config_hash([row.get("hash") for row in document["items"]])

    def make(name: str, row: dict, folder: Path) -> dict:
        gaussians = Gaussians.read(fits.parent / name / "splat.npz")
        facts = sample_facts(read_document(samples.parent / name), samples.parent / name)
        view = {
            "camera": ALL_CAMERAS,
            "vector": splat_moments(gaussians).round(DIGITS).tolist(),
            "heading": float("nan"),
            "center": in_millimetres(gaussians.means.mean(0).double().numpy(), facts),
        }
        return row_of(row | {"time_s": known[name].get("time_s")}, "moments", [view])

    return run_chunk(out, key, items, make, {"model": "moments"}, "frames")


def _items(document: dict, folder: Path) -> list[tuple[str, dict]]:
    items = [(row["name"], row) for row in document["items"] if (folder / row["name"]).is_dir()]
    if not items:
        raise DataError(f"chunk {folder} holds no frame to embed", likely="capture excluded all of them")
    return items


def _stamp(path: Path) -> list:
    return [str(path), path.stat().st_size, path.stat().st_mtime_ns] if path.is_file() else [str(path)]


def row_of(row: dict, model: str, views: list[dict]) -> dict:
    """The row of a frame in the index."""
    return {"frame": row["frame"], "time_s": row.get("time_s"), "model": model, "views": views}


def embed_views(folder: Path, network: PriorNetwork, steps: int) -> list[dict]:
    """Vector, heading and place of every view of a sample that shows an animal."""
    sample = read_sample(folder)
    fit = FitConfig(steps, min(10, steps)) if steps else None
    views = []
    for place, view in enumerate(sample.views):
        if not (view.rgba[..., 3] > 0.5).any():
            continue
        found = reconstruct(view.rgba, view.camera, network, fit)
        camera = place if view.facts.camera is None else view.facts.camera
        views.append(
            {
                "camera": camera,
                "vector": found.code.double().numpy().round(DIGITS).tolist(),
                "heading": round(found.heading, 2),
                "center": in_millimetres(found.points.double().mean(0).numpy(), sample.facts),
                "residual": round(found.residual, DIGITS) if np.isfinite(found.residual) else None,
            }
        )
    return views


def in_millimetres(point: np.ndarray, facts: SampleFacts) -> list[float]:
    """A world point [3] in the rig's millimetres; as it is where the sample does not know them."""
    stored = facts.details.get("similarity")
    if stored:
        to_world = Similarity(stored["scale"], np.array(stored["rotation"]), np.array(stored["translation"]))
        point = to_world.inverse().apply(point)
    return [round(float(value), 3) for value in point]
