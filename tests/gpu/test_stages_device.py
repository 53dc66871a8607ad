"""One step of everything that may run on a GPU, at miniature size: training, prediction, fits, generators, leases."""

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from mousefacelift.core.cameras import canonical_fxfycxcy, orbit
from mousefacelift.core.render import published_render
from mousefacelift.core.samples import read_sample
from mousefacelift.dataset.config import LoaderConfig
from mousefacelift.distill.config import GeneratorConfig, NetworkConfig, SamplerConfig, TrainingConfig
from mousefacelift.distill.generators.zero123plus import Zero123PlusGenerator
from mousefacelift.distill.load_generator import load_generator
from mousefacelift.distill.train_generator import train_generator
from mousefacelift.distill.view_sets import VIEW_SETS
from mousefacelift.lrm.config import PredictConfig, TrainConfig
from mousefacelift.lrm.predict import predict
from mousefacelift.lrm.run import TrainRequest
from mousefacelift.lrm.train import train
from mousefacelift.splats.config import FitConfig, HullConfig, OptimiseConfig
from mousefacelift.splats.fit import fit_frames
from tests.distill.conftest import toy_chunk, toy_photos, toy_view  # noqa: F401
from tests.distill.facelift_folder import write_facelift
from tests.distill.zero123plus_folder import write_zero123plus
from tests.lrm.toy import build_toy_dataset
from tests.splats.conftest import toy_frame

STEP = TrainingConfig(
    steps=1, batch=1, views=2, save_every=1, minutes=10, validation_frames=1, gradient_checkpointing=True
)


def test_one_step_of_training_and_one_prediction(device, tmp_path):
    dataset = build_toy_dataset(tmp_path / "dataset", objects=2)
    config = TrainConfig(
        preset="tiny", steps=1, validate_every=1, validation_frames=2, save_every=1, log_every=1, trackers=()
    )
    model = train(TrainRequest("no-synthetic", dataset, tmp_path / "run", config, loader=LoaderConfig(image_size=32)))
    facts = json.loads((model / "config.json").read_text())
    assert facts["applied_ratio"] == 1.0 and np.isfinite(facts["validation"]["fg_psnr"])
    assert facts["render"] == dataclasses.asdict(published_render(device))
    wanted = PredictConfig(max_frames=1, train_frames=0, splits=("test",), splats_kept=1)
    index = predict(model, dataset, tmp_path / "predictions", wanted, device)
    row = index["items"][0]
    rendered = read_sample(tmp_path / "predictions" / row["name"])
    assert len(rendered.views) == len(row["targets"]) and max(v.rgba[..., 3].max() for v in rendered.views) > 0


def test_one_batch_of_fits(device):
    quick = FitConfig(size=64, count=300, batch=2, hull=HullConfig(grid=32), optimise=OptimiseConfig(steps=6))
    config = dataclasses.replace(quick, cameras=dataclasses.replace(quick.cameras, refine=True))
    for fit in fit_frames([toy_frame(), toy_frame(turn=25.0)], config, 0, device):
        assert fit.diverged is None and fit.scores["iou"] > 0.5 and fit.gaussians.means.device.type == "cpu"


def distill_once(chunk, out, config, views="sixty_between"):
    """One step of training, the generator loaded again, and the views it paints of one photo."""
    report = train_generator([chunk / "chunk/index.json"], chunk / "splits.json", out, config, 0)
    photo = toy_photos(20.0)[0]
    return report, load_generator(out, config, VIEW_SETS[views]).generate([photo], [1])[0]


def test_one_step_and_one_call_of_the_small_generator(device, toy_chunk, tmp_path):  # noqa: F811
    network = NetworkConfig(size=16, pool=2, width=32, encoder_blocks=1, blocks=1)
    config = GeneratorConfig(kind="pose", network=network, training=STEP)
    report, views = distill_once(toy_chunk, tmp_path / "generator", config)
    assert report["updates"] == 1 and report["skipped"] == 0
    assert [view.rgba.shape for view in views] == [(16, 16, 4)] * len(VIEW_SETS["sixty_between"].relative_azimuths)


@pytest.mark.parametrize("mode", ["full", "lora"])
def test_one_step_and_one_call_of_the_published_layout(device, toy_chunk, tmp_path, mode):  # noqa: F811
    folder, prompts = write_facelift(tmp_path / "pipeckpts")
    training = dataclasses.replace(STEP, mode=mode, lora_rank=2)
    config = GeneratorConfig(
        "facelift",
        str(folder),
        str(prompts),
        training=training,
        sampler=SamplerConfig(steps=2, guidance=3.0, eta=1.0),
    )
    report, views = distill_once(toy_chunk, tmp_path / "generator", config, "facelift")
    assert report["updates"] == 1 and report["skipped"] == 0
    assert len(views) == 6 and all(view.rgba.shape == (64, 64, 4) and np.isfinite(view.rgba).all() for view in views)


def test_one_call_of_zero123plus(device, tmp_path):
    folder = write_zero123plus(tmp_path / "zero123plus-v1.2")
    generator = Zero123PlusGenerator.load(
        folder, VIEW_SETS["zero123plus_v1.2"], SamplerConfig(2, 4.0, 1.0), torch.float32
    )
    assert next(generator.parts.unet.parameters()).device.type == device
    photo = toy_view(orbit(100, 8, 2.7, canonical_fxfycxcy(64), 64, 64), 0.0)
    (views,) = generator.generate([photo], [3])
    assert len(views) == 6 and all(np.isfinite(view.rgba).all() for view in views)


LEASED = (
    "import sys; from mousefacelift import devices; devices.acquire(int(sys.argv[1])); import torch;"
    "print(torch.cuda.device_count())"
)


def test_a_lease_of_one_device_shows_torch_one_device_and_a_cpu_job_none(device, tmp_path):
    environment = os.environ | {"MFL_LEASES": f"{tmp_path.name}-{os.getpid()}"}
    for count in (1, 0) if device == "cuda" else (0,):
        command = [sys.executable, "-c", LEASED, str(count)]
        shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        assert int(shown) == count
