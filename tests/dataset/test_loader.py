"""The loader gives the published loader's tensors exactly, and every augmentation keeps images and cameras together."""

from __future__ import annotations

import dataclasses
import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mousefacelift.core.cameras import Camera, project
from mousefacelift.dataset.augment import distort_grid, jitter_cameras, jitter_colours, mirror_cameras, yaw_world
from mousefacelift.dataset.build import build_dataset
from mousefacelift.dataset.config import (
    AugmentConfig,
    DatasetConfig,
    GateConfig,
    LoaderConfig,
    MixtureConfig,
    MouseShares,
    Phase,
)
from mousefacelift.dataset.loader import SampleDataset, load_sample, load_views, make_loader
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.dataset.mixture import Draw, MixtureSampler
from mousefacelift.dataset.shards import write_shards
from mousefacelift.errors import CameraError, DataError
from tests.dataset.conftest import rig_cameras

PLAIN = LoaderConfig(image_size=32, augment=AugmentConfig(False, 0.0, 0, 0, 0))

SHARED = MixtureConfig(
    mouse=MouseShares(0.5, 0.5, 0.0), phases=(Phase(1.0, (2.0, 2.0)),)
)  # all sources from the first step


@pytest.fixture(scope="module")
def manifest(toy_chunks, tmp_path_factory):
    root = tmp_path_factory.mktemp("loader")
    folders = []
    for index in toy_chunks[0]:
        folders.append(root / index.parent.parent.name / index.parent.name)
        shutil.copytree(index.parent, folders[-1])
    quick = DatasetConfig(gate=GateConfig(mask_size=32))
    build_dataset([f / "index.json" for f in folders], toy_chunks[1], root / "dataset", quick)
    return Manifest.open(root / "dataset")


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


def test_yaw_turns_the_world_and_no_pixel_changes(rng):
    camera, points = rig_cameras(64)[1], rng.uniform(-0.5, 0.5, (20, 3))
    turned = Camera(yaw_world(camera.w2c[None], 73.0)[0], camera.fxfycxcy, 64, 64)
    angle = np.radians(73.0)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    np.testing.assert_allclose(project(turned, points @ turn.T)[0], project(camera, points)[0], atol=1e-9)


def test_mirrored_points_fall_on_mirrored_pixels(rng):
    camera, points = rig_cameras(64)[4], rng.uniform(-0.5, 0.5, (20, 3))
    w2c, fxfycxcy = mirror_cameras(camera.w2c[None], camera.fxfycxcy[None] + [0, 0, 1.5, 0], 64)
    mirrored = Camera(w2c[0], fxfycxcy[0], 64, 64)
    pixels = project(Camera(camera.w2c, camera.fxfycxcy + [0, 0, 1.5, 0], 64, 64), points)[0]
    np.testing.assert_allclose(
        project(mirrored, points * [1, -1, 1])[0], np.stack([64 - pixels[:, 0], pixels[:, 1]], 1), atol=1e-9
    )
    assert np.linalg.det(w2c[0, :3, :3]) > 0


def test_colour_jitter_is_shared_and_neutral_factors_change_nothing(rng):
    rgb = rng.random((3, 4, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(jitter_colours(rgb, 1, 1, 1), rgb, atol=1e-6)
    grey = jitter_colours(rgb, 1, 1, 0)
    np.testing.assert_allclose(grey[..., 0], grey[..., 2], atol=1e-6)


def test_distortion_touches_the_inputs_only(manifest):
    draw = Draw(0, 0, int(manifest.pool("object", "train")[0][0]), "object", 2, 4)
    plain = load_sample(manifest, draw, PLAIN)
    assert torch.equal(plain["input_image"], plain["image"][:4])
    pixels, cameras = 0, 0
    for seed in range(16):  # each in half of the samples
        moved = load_sample(manifest, dataclasses.replace(draw, seed=seed), PLAIN, distortion=True)
        assert torch.equal(moved["input_image"][0], moved["image"][0])  # the first view sets LGM's world
        assert torch.equal(moved["input_c2w"][0], moved["c2w"][0])
        pixels += not torch.equal(moved["input_image"], moved["image"][:4])
        cameras += not torch.equal(moved["input_c2w"], moved["c2w"][:4])
    assert 3 <= pixels <= 13 and 3 <= cameras <= 13


@pytest.mark.parametrize(
    "arm,option,moved", [("no-synthetic", False, False), ("no-synthetic", True, True), ("distortion-only", False, True)]
)
def test_inputs_are_distorted_in_the_control_arm_or_by_option(manifest, arm, option, moved):
    sampler = MixtureSampler(manifest, arm, 4, steps=1, batch_size=8, min_views=5)
    config = LoaderConfig(image_size=32, augment=AugmentConfig(distort_inputs=option))
    batch = next(iter(make_loader(manifest, sampler, config)))
    shown = batch["input_image"].shape[1]
    assert torch.equal(batch["input_image"], batch["image"][:, :shown]) != moved


def test_grid_distortion_is_the_published_one(shared):
    data = np.load(shared / "fixtures/lgm/lgm_augment/augment.npz")
    images = data["images"].transpose(0, 2, 3, 1)
    for name in ("grid0", "grid1", "grid2"):
        draws = np.stack([data[f"{name}.draws_x"], data[f"{name}.draws_y"]], 1)
        got = distort_grid(images, draws, 0.5).transpose(0, 3, 1, 2)
        np.testing.assert_allclose(got, data[f"{name}.output"], atol=5e-6)
    draws = np.stack([data["white.draws_x"], data["white.draws_y"]], 1)
    got = distort_grid(np.ones((1, 32, 32, 1), np.float32), draws, 0.5)
    np.testing.assert_allclose(got.transpose(0, 3, 1, 2), data["white.output"], atol=5e-6)
    steps = int(data["strength0.num_steps"])
    got = distort_grid(images[:1], np.full((1, 2, steps), 0.3), 0.0).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(got, data["strength0.output"], atol=5e-6)


def test_camera_jitter_is_the_published_one(shared):
    data = np.load(shared / "fixtures/lgm/lgm_augment/augment.npz")
    flip = np.diag([1.0, -1, -1, 1])  # OpenGL axes there, OpenCV here
    w2c = np.linalg.inv(data["jitter.c2w"].astype(np.float64) @ flip)[1:]
    draws = np.concatenate([data["jitter.draws_up"], data["jitter.draws_right"]], 1)
    got = np.linalg.inv(jitter_cameras(w2c, draws)) @ flip
    np.testing.assert_allclose(got, data["jitter.output"], atol=2e-6)
    np.testing.assert_allclose(jitter_cameras(w2c, np.full((3, 2), 0.5)), w2c, atol=1e-12)


def test_grid_distortion_keeps_the_middle_near_and_the_picture_in_order():
    ramp = np.tile(np.arange(64, dtype=np.float32)[None, :, None], (64, 1, 1))[None]
    draws = np.random.default_rng(0).random((1, 2, 12))
    row = distort_grid(ramp, draws, 0.5)[0, 32, 2:-2, 0]
    assert (np.diff(row) >= -1e-4).all() and np.abs(row - np.arange(2, 62)).max() < 64 / 11


def test_overlap_protocol_keeps_targets_near_an_input(manifest):
    row = int(manifest.pool("object", "train")[0][0])
    config = LoaderConfig(image_size=32, inputs=(1, 1), targets=2, unseen_targets=2, protocol="overlap")
    for seed in range(10):
        index = load_sample(manifest, Draw(0, 0, row, "object", seed, 1), config)["index"][:, 0]
        azimuth = torch.as_tensor(manifest.views_of(row).azimuth)[index]
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


@pytest.fixture
def packed(manifest):
    """The manifest anew, with its training samples packed into several shards."""
    write_shards(manifest, ("train",), max_bytes=60_000)
    return Manifest.open(manifest.folder)


@pytest.mark.parametrize("workers", [0, 1])
def test_shards_train_on_the_same_bits_as_sample_folders(packed, workers):
    sampler = MixtureSampler(packed, "60-40", 4, steps=8, batch_size=3, mixture=SHARED, min_views=5)
    config = LoaderConfig(image_size=32, inputs=(3, 4))
    batches = [
        make_loader(packed, sampler, replace(config, store=store), workers=workers) for store in ("folders", "shards")
    ]
    sources = set()
    for first, second in zip(*batches, strict=True):
        assert first.keys() == second.keys() and first["source"] == second["source"]
        assert all(torch.equal(first[k], second[k]) for k in first if isinstance(first[k], torch.Tensor))
        sources |= set(first["source"])
    assert sources == {"real", "distilled", "object"}  # a distilled sample also reads the photos of its frame


def test_shards_are_read_and_not_the_folders(packed, monkeypatch):
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was opened"))
    row = int(packed.pool("real", "train")[0][0])
    load_sample(packed, Draw(0, 0, row, "real", 0, 3), replace(PLAIN, store="shards"))


@pytest.mark.parametrize(
    "fault, message",
    [
        ("image", "not what the manifest lists"),
        ("camera", "not what the manifest lists"),
        ("document", "cannot be read"),
        ("short", "cut short"),
        ("missing", "cannot be read"),
        ("build", "another build"),
        ("split", "not in shards"),
        ("unpacked", "no readable index"),
    ],
)
def test_broken_shards_are_named(packed, fault, message):
    folder = packed.folder / "shards"
    row = int(packed.pool("real", "val" if fault == "split" else "train")[0][0])
    shard = next(
        path
        for path in folder.glob("*.tar")
        if f"{row:08d}.cameras.json".encode() in path.read_bytes() or fault == "split"
    )
    data = bytearray(shard.read_bytes())
    if fault in ("image", "camera", "document"):
        member, mark, after = {
            "image": ("cam_000.png", b"IDAT", 30),
            "camera": ("cameras.json", b'"fx": ', 6),
            "document": ("cameras.json", b"{", 0),
        }[fault]
        position = data.index(mark, data.index(f"{row:08d}.{member}".encode())) + after
        data[position] ^= 1
        shard.write_bytes(bytes(data))
    elif fault == "short":
        shard.write_bytes(bytes(data[:100]))
    elif fault == "missing":
        shard.unlink()
    elif fault == "build":
        packed.header = packed.header | {"build": "another"}
    elif fault == "unpacked":
        (folder / "index.parquet").unlink()
    with pytest.raises(DataError, match=message):
        for seed in range(12):
            load_sample(packed, Draw(0, 0, row, "real", seed, 4), replace(PLAIN, store="shards"))


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
