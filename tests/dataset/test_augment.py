"""Augmentations keep the geometry true; distortion is the published one and touches inputs only."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from mousefacelift.core.cameras import Camera, project
from mousefacelift.dataset.augment import distort_grid, jitter_cameras, jitter_colours, mirror_cameras, yaw_world
from mousefacelift.dataset.config import (
    AugmentConfig,
    LoaderConfig,
)
from mousefacelift.dataset.loader import load_sample, make_loader
from mousefacelift.dataset.mixture import Draw, MixtureSampler
from tests.dataset.conftest import PLAIN, rig_cameras


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
