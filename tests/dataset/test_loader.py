"""The loader gives the published loader's tensors exactly, and every augmentation keeps images and cameras together."""

from __future__ import annotations

import json
import pickle
import shutil

import numpy as np
import pytest
import torch

from mousefacelift.dataset.config import (
    LoaderConfig,
    MixtureConfig,
    MouseShares,
    Phase,
)
from mousefacelift.dataset.loader import SampleDataset, load_sample, load_views, make_loader
from mousefacelift.dataset.mixture import Draw, MixtureSampler
from mousefacelift.errors import CameraError, DataError
from tests.dataset.conftest import PLAIN

SHARED = MixtureConfig(
    mouse=MouseShares(0.5, 0.5, 0.0), phases=(Phase(1.0, (2.0, 2.0)),)
)  # all sources from the first step


@pytest.mark.parametrize(
    "variant, value, keep_alpha",
    [("white_keepalpha", 1.0, True), ("gray_keepalpha", 0.5, True), ("black_removealpha", 0.0, False)],
)
def test_published_loader_fixture_is_met_exactly(shared, variant, value, keep_alpha):
    folder = shared / "fixtures" / "facelift" / "gslrm_loader"
    expected = np.load(folder / "expected.npz")
    found = load_views(folder / (folder / "list.txt").read_text().split()[0], None, 32, (value,) * 3, keep_alpha)
    np.testing.assert_array_equal(found["image"].numpy(), expected[f"{variant}.image"])
    np.testing.assert_allclose(found["fxfycxcy"].numpy(), expected[f"{variant}.fxfycxcy"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(found["c2w"].numpy(), expected[f"{variant}.c2w"], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found["index"].numpy(), expected[f"{variant}.index"])
    np.testing.assert_array_equal(found["bg_color"].numpy(), expected[f"{variant}.bg_color"])


def test_a_draw_gives_inputs_then_targets_with_unseen_ones(manifest):
    row = int(manifest.pool("real", "train")[0][0])
    for seed in range(20):
        sample = load_sample(manifest, Draw(0, 0, row, "real", seed, 3), LoaderConfig(image_size=32))
        assert sample["image"].shape == (7, 4, 32, 32) and sample["c2w"].shape == (7, 4, 4)
        inputs, targets = sample["index"][:3, 0].tolist(), sample["index"][3:, 0].tolist()
        assert len(set(inputs)) == 3 and 5 not in inputs + targets  # camera 5 is held out
        assert sample["unseen"].any() and sample["unseen"].tolist() == [t not in inputs for t in targets]
        torch.testing.assert_close(torch.linalg.det(sample["c2w"][:, :3, :3]), torch.ones(7), atol=1e-5, rtol=0)


def test_a_draw_is_a_pure_function_of_its_seed(manifest):
    draw = Draw(0, 0, int(manifest.pool("object", "train")[0][0]), "object", 11, 4)
    first, second = (load_sample(manifest, draw, LoaderConfig(image_size=32)) for _ in range(2))
    assert all(torch.equal(first[k], second[k]) for k in first if isinstance(first[k], torch.Tensor))


def test_without_augmentation_the_images_are_those_on_disk(manifest):
    row = int(manifest.pool("real", "train")[0][0])
    sample = load_sample(manifest, Draw(0, 0, row, "real", 3, 3), PLAIN, augment=False)
    folder = manifest.folder_of(row)
    direct = load_views(folder, sample["index"][:, 0].tolist(), 32, sample["bg_color"].double().numpy())
    for key in ("image", "c2w", "fxfycxcy"):
        torch.testing.assert_close(sample[key], direct[key], rtol=0, atol=0)


def test_background_under_the_image_is_the_one_returned(manifest):
    row = int(manifest.pool("real", "train")[0][0])
    sample = load_sample(manifest, Draw(0, 0, row, "real", 9, 3), LoaderConfig(image_size=32), augment=False)
    corner = sample["image"][:, :3, 0, 0]
    torch.testing.assert_close(corner, sample["bg_color"].expand(len(corner), 3), rtol=0, atol=1e-7)


def test_overlap_protocol_keeps_targets_near_an_input(manifest):
    row = int(manifest.pool("object", "train")[0][0])
    config = LoaderConfig(image_size=32, inputs=(1, 1), targets=2, unseen_targets=2, protocol="overlap")
    for seed in range(10):
        index = load_sample(manifest, Draw(0, 0, row, "object", seed, 1), config)["index"][:, 0]
        azimuth = torch.tensor(manifest.views_of(row).azimuth)[index]
        apart = (azimuth[1:] - azimuth[0] + 180) % 360 - 180
        assert (apart.abs() <= 66).all()


def test_batches_resume_at_a_step_bit_for_bit(manifest):
    sampler = MixtureSampler(manifest, "no-synthetic", 4, steps=8, batch_size=2, min_views=5)
    config = LoaderConfig(image_size=32)
    whole = list(make_loader(manifest, sampler, config))
    resumed = list(make_loader(manifest, sampler, config, start_step=5))
    for first, second in zip(whole[5:], resumed, strict=True):
        assert torch.equal(first["image"], second["image"]) and first["source"] == second["source"]


def test_workers_give_the_same_batches(manifest):
    sampler = MixtureSampler(manifest, "no-synthetic", 4, steps=3, batch_size=2, min_views=5)
    config = LoaderConfig(image_size=32)
    for first, second in zip(make_loader(manifest, sampler, config), make_loader(manifest, sampler, config, workers=1)):
        assert torch.equal(first["image"], second["image"])
    pickle.loads(pickle.dumps(SampleDataset(manifest, config)))


@pytest.mark.parametrize(
    "fault, message",
    [
        ("missing", "cannot be read"),
        ("changed", "not what the manifest lists"),
        ("camera", "not what the manifest lists"),
    ],
)
def test_a_missing_or_changed_file_is_named(manifest, fault, message, monkeypatch):
    monkeypatch.setattr("mousefacelift.dataset.store.DOCUMENTS_KEPT", 0)
    row = int(manifest.pool("real", "train")[0][1])
    folder = manifest.folder_of(row)
    path = folder / ("opencv_cameras.json" if fault == "camera" else "images/cam_000.png")
    before = path.read_bytes()
    if fault == "missing":
        path.unlink()
    elif fault == "changed":
        path.write_bytes((folder / "images/cam_001.png").read_bytes())
    else:
        document = json.loads(before)
        document["frames"][0]["fx"] += 0.5
        path.write_text(json.dumps(document))
    try:
        with pytest.raises(DataError, match=message):
            for seed in range(12):
                load_sample(manifest, Draw(0, 0, row, "real", seed, 4), PLAIN)
    finally:
        path.write_bytes(before)


def test_a_camera_that_mirrors_the_world_is_refused_even_without_hashes(manifest, tmp_path):
    folder = shutil.copytree(manifest.folder_of(int(manifest.pool("real", "train")[0][2])), tmp_path / "sample")
    document = json.loads((folder / "opencv_cameras.json").read_text())
    document["frames"][0]["w2c"] = (np.diag([1.0, 1, -1, 1]) @ np.array(document["frames"][0]["w2c"])).tolist()
    (folder / "opencv_cameras.json").write_text(json.dumps(document))
    with pytest.raises(CameraError, match="det R = -1"):
        load_views(folder, [0], 32)


def test_fewer_views_than_asked_is_an_error(manifest):
    row = int(manifest.pool("real", "train")[0][0])
    with pytest.raises(DataError, match="fewer usable views"):
        load_sample(manifest, Draw(0, 0, row, "real", 0, 5), PLAIN)
    with pytest.raises(DataError, match="fewer views"):
        load_views(manifest.folder_of(row), [0, 6])


def test_a_step_without_unseen_targets_cannot_be_configured():
    with pytest.raises(ValueError, match="unseen_targets"):
        LoaderConfig(unseen_targets=0)
    with pytest.raises(ValueError, match="unseen_targets"):
        LoaderConfig(targets=2, unseen_targets=3)
