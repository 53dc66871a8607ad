"""The alarm on scripted collapses: each trips exactly its own detector, a healthy model none."""

import pytest
import torch

from mousefacelift.dataset.manifest import Manifest
from mousefacelift.lrm import validation as module
from mousefacelift.lrm.validation import ValidationSet, build_validation, validate


class Scripted(torch.nn.Module):
    """Stands for a network; `predict_set` is replaced by what the script shows."""


def blobs(frames, views, size=32):
    """Frames of a dark blob that walks round, seen by `views` cameras: [N, V, 4, H, W] on white."""
    ys, xs = torch.meshgrid(torch.arange(size) + 0.5, torch.arange(size) + 0.5, indexing="ij")
    images = torch.ones(frames, views, 4, size, size)
    for n in range(frames):
        for v in range(views):
            angle = torch.tensor(6.283 * (n / frames + v / views))
            mask = ((xs - 16 - 8 * torch.cos(angle)) ** 2 + (ys - 16 - 8 * torch.sin(angle)) ** 2 < 30).float()
            images[n, v, :3] = 1 - mask * 0.8
            images[n, v, 3] = mask
    return images


@pytest.fixture
def data():
    images = blobs(12, 5)
    empty = torch.zeros(12, 5, 4, 4)
    return ValidationSet(images, empty, torch.zeros(12, 5, 4), 3, images[:, 3:, :3].mean(0), torch.tensor([2, 0]))


def scripts(data):
    target, mask = data.targets
    mean = data.mean.expand_as(target)
    inputs = data.image[:, data.nearest]
    noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(0)) * 0.02
    return {
        "healthy": ((target + noise).clamp(0, 1), mask),
        "white_out": (torch.ones_like(target), torch.zeros_like(mask)),
        "mean_image": (mean, mask),
        "view_copy": (inputs[:, :, :3], inputs[:, :, 3]),
        "half_mean": (0.55 * mean + 0.45 * target, mask),
    }


@pytest.mark.parametrize(
    "name,finding",
    [
        ("healthy", ()),
        ("white_out", ("white_out",)),
        ("mean_image", ("mean_image",)),
        ("view_copy", ("view_copy",)),
        ("half_mean", ("half_mean",)),
    ],
)
def test_each_scripted_collapse_trips_its_own_detector(data, monkeypatch, name, finding):
    shown, alpha = scripts(data)[name]

    def predict(model, data, shift=0):  # a working model follows its input images; a constant one cannot
        return shown.roll(-shift, 0), alpha.roll(-shift, 0)

    monkeypatch.setattr(module, "predict_set", predict)
    metrics, collapses, _ = validate(Scripted(), data)
    assert collapses == finding
    if name == "healthy":
        assert metrics["input_swap"] > 3 and metrics["retrieval_at_1"] == 1.0


def test_a_model_that_ignores_its_images_has_no_input_swap(data, monkeypatch):
    shown, alpha = scripts(data)["healthy"]
    monkeypatch.setattr(module, "predict_set", lambda model, data, shift=0: (shown, alpha))
    assert validate(Scripted(), data)[0]["input_swap"] < 0


def test_the_validation_set_keeps_out_held_out_cameras_and_training_frames(toy_dataset):
    manifest = Manifest.open_verified(toy_dataset)
    data = build_validation(manifest, "real", 4, 3, 32)
    assert data.image.shape == (4, 5, 4, 32, 32)  # five cameras: the sixth is held out
    assert data.inputs == 3 and data.mean.shape == (2, 3, 32, 32) and data.nearest.shape == (2,)
