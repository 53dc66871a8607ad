"""GS-LRM trained to answer one view, beside the prior: the same unseen procedural mice, judged alike.

    python benchmarks/one_view.py --animals 120 --poses 5 --steps 6000 --out FOLDER

Films `animals` procedural mice (seeds that no test animal has), trains GS-LRM `small` at 64 px from one input view on
exact pictures of them, and judges it on the animals of protocol S as `benchmarks/prior.py` does: one picture, all truth
views of 128 px. Data and weights stay in FOLDER; a second call only judges.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from prior import view_scores

from mousefacelift.core.cameras import orbit
from mousefacelift.core.images import resize_rgba
from mousefacelift.core.render import render_published
from mousefacelift.core.samples import Sample, read_sample
from mousefacelift.dataset.config import ArmConfig
from mousefacelift.dataset.loader import to_tensors
from mousefacelift.experiment.bed import Views, read_views, write_views
from mousefacelift.experiment.config import BedConfig
from mousefacelift.experiment.constraints import LEVELS
from mousefacelift.experiment.film import cast_actor, moment_at, paint_clean, zoomed
from mousefacelift.experiment.pools import Pools
from mousefacelift.experiment.training import Plan, train_network
from mousefacelift.lrm.config import OptimizerConfig
from mousefacelift.lrm.infer import predict_gaussians
from mousefacelift.lrm.model import GSLRM
from mousefacelift.lrm.model_config import PRESETS
from mousefacelift.lrm.weights import read_model, write_model
from mousefacelift.single.animals import DISTANCES, ELEVATIONS, film_animal, pose_animal
from mousefacelift.single.config import SingleConfig

SIZE, VIEWS, FIRST = 64, 8, 500  # FIRST: number of the first filmed animal; experiments film the ones before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--animals", type=int, default=120, help="to learn from")
    parser.add_argument("--poses", type=int, default=5, help="of each")
    parser.add_argument("--steps", type=int, default=6000, help="of 4 samples, one view in and four out")
    parser.add_argument("--judged", type=int, default=24)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    data = args.out / "views.npz"
    if not data.is_file():
        write_views(data, film(args.animals, args.poses))
    if not (args.out / "model" / "model.safetensors").is_file():
        learn(read_views(data), args.steps, args.out / "model")
    rows = [judge(read_model(args.out / "model")[0], sample) for sample in judged_animals(args.judged)]
    for name in rows[0]:
        print(f"{name:<12}{np.mean([row[name] for row in rows]):>9.3f}")


def film(animals: int, poses: int) -> Views:
    """Exact views of every pose from random cameras, as the pictures of protocol S are taken."""
    config, rng, parts = BedConfig(frames=poses), np.random.default_rng(FIRST), []
    for number in range(FIRST, FIRST + animals):
        actor, wanted = cast_actor(number, config), []
        for pose in range(poses):
            cameras = [
                orbit(rng.uniform(0, 360), rng.uniform(*ELEVATIONS), rng.uniform(*DISTANCES), zoomed(SIZE), SIZE, SIZE)
                for _ in range(VIEWS)
            ]
            wanted.append((moment_at(actor, 20 + 17 * pose), cameras))
        parts.append(paint_clean(actor, wanted))
    return Views(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("rgba", "w2c", "fxfycxcy")))


def learn(views: Views, steps: int, out: Path) -> None:
    """Train from scratch and write the model."""
    torch.manual_seed(0)
    model, began = GSLRM(replace(PRESETS["small"], image_size=SIZE)), time.process_time()

    def look(step: int, terms: dict[str, float]) -> None:
        if step % 200 == 0 and terms:
            print(f"step {step} loss {terms['loss']:.4f} {time.process_time():.0f} CPU s", flush=True)

    arm = ArmConfig("scan-only", {"scan": 1.0}, curriculum=False)
    optimizer = OptimizerConfig(learning_rate=5e-4, warmup_steps=100, batch=4)
    train_network(model, Pools({"scan": views}), Plan(arm, LEVELS["small"], steps, 1, 4, SIZE, optimizer, 0), look)
    write_model(out, model.state_dict(), model.config, {"steps": steps, "seconds": time.process_time() - began})


def judged_animals(count: int) -> list[Sample]:
    """The animals of `benchmarks/prior.py`."""
    config, samples = SingleConfig(animals=count, views=8), []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            place = Path(folder) / f"{number:06d}"
            film_animal(pose_animal("animals", number, config, 1), "animals", number, config, 1, place)
            samples.append(read_sample(place))
    return samples


@torch.no_grad()
def judge(model: torch.nn.Module, sample: Sample, size: int = SIZE) -> dict[str, float]:
    """The measures of the answer to the first view, by all others."""
    picture, targets = sample.views[0], sample.views[1:]
    camera, rgba = picture.camera.scaled_to(size, size), resize_rgba(picture.rgba, size, size).astype(np.float32)
    tensors = to_tensors(rgba[None], camera.w2c[None], camera.fxfycxcy[None], np.ones(3), True)
    made = predict_gaussians(model, *(tensors[name][None] for name in ("image", "c2w", "fxfycxcy")))
    rgba, _ = render_published(made.map(lambda part: part[0]), [view.camera for view in targets])
    return view_scores(rgba, np.stack([view.rgba for view in targets]))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
