"""What is asked of a fit where no camera was: a body without corners, solid between the cameras."""

from dataclasses import replace

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.cameras import azimuth_elevation
from mousefacelift.core.hull import project_hull
from mousefacelift.core.images import mask_iou
from mousefacelift.splats.between import between_cameras
from mousefacelift.splats.config import HullConfig, OptimiseConfig
from mousefacelift.splats.fit import fit_frame
from mousefacelift.splats.rounding import blur
from mousefacelift.splats.score import render_views
from mousefacelift.splats.start import carve_body, carve_frame, hull_start
from tests.splats.conftest import hard_rgba, toy_cameras, toy_frame


def test_a_rounded_hull_fills_its_silhouettes_and_is_nearer_to_an_unseen_one():
    frame = toy_frame(96)
    config = HullConfig(grid=64)
    gains = []
    for view in range(6):
        rest = frame.without([view])
        hull, body = carve_frame(rest, config), carve_body(rest, config)
        assert not (body.occupancy & ~hull.occupancy).any()
        for mask, camera in zip(rest.masks, rest.cameras):
            assert mask_iou(mask, project_hull(body, camera)) > mask_iou(mask, project_hull(hull, camera)) - 0.01
        unseen = (frame.masks[view], frame.cameras[view])
        gains.append(
            mask_iou(unseen[0], project_hull(body, unseen[1])) - mask_iou(unseen[0], project_hull(hull, unseen[1]))
        )
    assert np.mean(gains) > 0.02 and min(gains) > -0.01


def test_rounding_removes_a_block_that_no_silhouette_needs_and_keeps_a_thin_tail(monkeypatch):
    frame = toy_frame(96)
    body = carve_body(frame, HullConfig(grid=64))
    tail = np.stack([np.linspace(-1.0, -0.6, 9), np.full(9, 0.02), np.full(9, -0.12)], 1)
    reach = np.linalg.norm(body.points()[:, None] - tail, axis=-1).min(0)
    assert reach.max() < 2 * body.voxel
    monkeypatch.setattr(HullConfig, "rounding", 0.0)
    assert carve_body(frame, HullConfig(grid=64)).volume() > body.volume()


def test_cameras_between_lie_between_neighbours_and_see_the_centre():
    cameras = CameraTensors.from_cameras(toy_cameras(48))
    batch = CameraTensors(cameras.w2c[None], cameras.fxfycxcy[None], 48, 48)
    center = torch.tensor([[0.1, -0.05, 0.02]])
    made = between_cameras(batch, center, 40, torch.Generator().manual_seed(0))
    assert made.w2c.shape == (1, 40, 4, 4)
    torch.testing.assert_close(torch.linalg.det(made.w2c[0, :, :3, :3]), torch.ones(40))
    local = torch.einsum("vij,j->vi", made.w2c[0, :, :3, :3], center[0]) + made.w2c[0, :, :3, 3]
    torch.testing.assert_close(local[:, :2], torch.zeros(40, 2), atol=1e-5, rtol=0)
    assert (
        local[:, 2].min() > 2.4 and (made.w2c[0, :, 1, 2] < 0).all()
    )  # in front, and the picture's down is the world's down
    turns = [azimuth_elevation(c.numpy())[:2] for c in made.centers[0]]
    assert all(5 < elevation < 25 for _, elevation in turns)
    assert len({int(azimuth // 60) for azimuth, _ in turns}) == 6


def test_a_fit_kept_solid_has_fewer_half_transparent_pixels_between_the_cameras(quick, monkeypatch):
    frame = toy_frame()
    between = toy_cameras(64, 12)[1::2]
    monkeypatch.setattr(OptimiseConfig, "between_every", 1)

    def veil(weight):
        monkeypatch.setattr(OptimiseConfig, "solid_weight", weight)
        config = replace(quick, optimise=replace(quick.optimise, steps=60))
        alpha = render_views(fit_frame(frame, config, 0).gaussians, between)[0][..., 3]
        solid = np.stack([hard_rgba(camera, 0.0)[..., 3] for camera in between]) > 0
        return float((alpha * (1 - alpha))[solid].mean())

    assert veil(2.0) < 0.8 * veil(0.0)


def test_disks_lie_along_the_surface():
    frame = toy_frame(96)
    body = carve_body(frame, HullConfig(grid=64))
    start = hull_start(frame, body, 2000, np.random.default_rng(0))
    w, x, y, z = start.quats.numpy().T
    axis = np.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)], 1)  # the disk's own z
    trunk = np.abs(start.means.numpy()[:, 0]) < 0.3
    outward = start.means.numpy()[trunk] * [0, 1, 1]
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    assert np.median(np.abs((axis[trunk] * outward).sum(1))) > 0.85
    assert torch.allclose(start.scales[:, 2], 0.3 * start.scales[:, 0])


def test_the_blur_of_rounding_is_the_usual_one():
    volume = (np.random.default_rng(0).random((40, 23, 31)) > 0.5).astype(np.float32)
    for sigma in (1.5, 2.0):
        np.testing.assert_allclose(blur(volume, sigma), gaussian_filter(volume, sigma, mode="constant"), atol=2e-6)
