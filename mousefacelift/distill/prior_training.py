"""Adaptation of the single-picture prior to the photos of train frames: the recipe of generator kind `prior`."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

from mousefacelift.config import config_hash
from mousefacelift.distill.config import GeneratorConfig
from mousefacelift.distill.generators.prior import FILES, PriorGenerator
from mousefacelift.distill.generators.protocol import hash_files
from mousefacelift.distill.photos import FrameStore
from mousefacelift.distill.validate import validate
from mousefacelift.distill.view_sets import VIEW_SETS
from mousefacelift.prior.adapt import adapt_network, save_adapted
from mousefacelift.prior.model import SHIPPED, load_prior


def train_prior(
    train: FrameStore, held: FrameStore, out: Path, config: GeneratorConfig, seed: int
) -> tuple[dict, dict]:
    """Adapt the shipped network (or `config.prior.weights`) and validate it; returns generator.json and validation."""
    started = time.perf_counter()
    weights = Path(config.prior.weights) if config.prior.weights else SHIPPED
    network, facts = load_prior(weights), {}
    if config.prior.steps:
        found = adapt_network(network, [train.views(i) for i in range(len(train))], config.prior, seed)
        facts = {
            "fit_residuals": [round(r, 5) for r in found.residuals],
            "points_loss": [round(v, 4) for v in found.losses],
        }
    save_adapted(network, out / FILES[1])
    size = train.views(0)[0].rgba.shape[0]
    (out / FILES[0]).write_text("{}")  # PriorGenerator.load asks for it; the caller writes the real one
    generator = PriorGenerator.load(out, VIEW_SETS["sixty"], config.prior.view_steps, size)
    report = validate(
        lambda photo, cameras: generator.generate_at([photo], [cameras], [seed])[0], lambda camera: camera, train, held
    )
    report |= facts | {"elapsed_s": time.perf_counter() - started, "train_frames": len(train)}
    key = config_hash([asdict(config.prior), hash_files(weights.parent, [weights.name]), seed])
    return {"kind": "prior", "size": size, "weights": generator.weights, "key": key, "validation": report}, report
