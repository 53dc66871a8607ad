"""Fits of the toy animal: they beat the hull, do not disturb each other, and say when they failed."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mousefacelift.core.camera_tensors import CameraTensors
from mousefacelift.core.cameras import Camera
from mousefacelift.core.gaussians import Gaussians
from mousefacelift.errors import DataError
from mousefacelift.splats.config import CameraConfig, FitConfig, OptimiseConfig
from mousefacelift.splats.corrections import move_to_views
from mousefacelift.splats.fit import fit_frame, fit_frames
from mousefacelift.splats.frames import FrameViews
from mousefacelift.splats.parameters import activate, make_optimiser, relocate_dead, stack_parameters
from mousefacelift.splats.score import render_views, score_views
from mousefacelift.splats.start import carve_frame, hull_surface
from tests.splats.conftest import toy_frame


def test_a_fit_beats_the_hull_on_a_camera_it_never_saw(frame, quick):
    fit = fit_frame(frame.without([2]), quick, seed=0)
    unseen = frame.only([2])
    hull = hull_surface(frame.without([2]), carve_frame(frame.without([2]), quick.hull))
    ours, theirs = score_views(fit.gaussians, unseen), score_views(hull, unseen)
    assert ours["psnr"] > theirs["psnr"] and ours["iou"] > theirs["iou"]
    assert fit.scores["iou"] > 0.8


def test_frames_of_a_batch_do_not_touch_each_other(quick, monkeypatch):
    monkeypatch.setattr(OptimiseConfig, "heldout", 0.0)
    short = replace(quick, optimise=replace(quick.optimise, steps=6, ssim_weight=0.0, dropout=0.0))
    frames = [toy_frame(), toy_frame(turn=25.0, name="turned")]
    broken = FrameViews("broken", frames[1].rgba, frames[1].cameras)
    both = fit_frames(frames, short, 0)
    starts = [fit.gaussians for fit in both]
    bad = replace_means(starts[1], float("nan"))
    together = fit_frames([frames[0], broken], short, 0, starts=[starts[0], bad])
    alone = fit_frames([frames[0], frames[1]], short, 0, starts=[starts[0], starts[1]])
    assert together[1].diverged and not together[0].diverged
    assert torch.equal(together[0].gaussians.means, alone[0].gaussians.means)


def replace_means(gaussians, value):
    return Gaussians(
        torch.full_like(gaussians.means, value), gaussians.quats, gaussians.scales, gaussians.opacities, gaussians.sh
    )


def test_the_same_seed_gives_the_same_splat(frame, quick):
    short = replace(quick, optimise=replace(quick.optimise, steps=5))
    a, b = fit_frame(frame, short, seed=3), fit_frame(frame, short, seed=3)
    assert torch.equal(a.gaussians.means, b.gaussians.means)


def test_a_fit_that_diverges_says_so(frame, quick):
    wild = replace(quick, optimise=replace(quick.optimise, steps=20, lr_means=50.0))
    with pytest.raises(DataError, match="diverged"):
        fit_frame(frame, wild, seed=0)


def test_warm_start_needs_batch_one():
    with pytest.raises(ValueError, match="batch"):
        FitConfig(start="warm", batch=4)


def test_relocation_keeps_the_number_and_revives_the_dead(frame, quick):
    hull = hull_surface(frame, carve_frame(frame, quick.hull))
    hull.opacities[::3] = 0.001
    parameters = stack_parameters([hull])
    optimiser = make_optimiser(parameters, OptimiseConfig())
    count = hull.count
    before = render_views(hull, frame.cameras)[0]
    moved = relocate_dead(parameters, optimiser, torch.Generator().manual_seed(0))
    after = activate(parameters).map(lambda t: t[0].detach())
    assert moved == len(range(0, count, 3)) and after.count == count
    assert after.opacities.min() > 0.01
    assert np.abs(render_views(after, frame.cameras)[0][..., 3] - before[..., 3]).mean() < 0.02


def test_moving_gaussians_equals_moving_the_camera():
    """Rotation and translation of a correction are the rigid motion of a camera: same picture from a corrected w2c."""
    frame = toy_frame(48)
    gaussians = Gaussians.from_rgb(
        torch.rand(30, 3) - 0.5,
        torch.randn(30, 4),
        torch.rand(30, 3) * 0.1 + 0.02,
        torch.full((30,), 0.8),
        torch.rand(30, 3),
    )
    corrections = torch.zeros(6, 8)
    corrections[:, :6] = torch.randn(6, 6, generator=torch.Generator().manual_seed(0)) * 0.03
    corrected = []
    for row, camera in zip(corrections, frame.cameras):
        turn = torch.zeros(3, 3)
        turn[0, 1], turn[0, 2], turn[1, 2] = -row[2], row[1], -row[0]
        rigid = torch.linalg.matrix_exp((turn - turn.T).double()).numpy()
        w2c = np.eye(4)
        w2c[:3, :3], w2c[:3, 3] = rigid @ camera.R, rigid @ camera.t + row[3:6].numpy()
        corrected.append(Camera(w2c, camera.fxfycxcy, 48, 48))
    ours = render_views(gaussians, frame.cameras, corrections=corrections.numpy())[0]
    np.testing.assert_allclose(ours[..., 3], render_views(gaussians, corrected)[0][..., 3], atol=2e-3)


def test_principal_point_corrections_shift_projections_by_tangents():
    cameras = CameraTensors.from_cameras(toy_frame(48).cameras)
    batch = CameraTensors(cameras.w2c[None], cameras.fxfycxcy[None], 48, 48)
    corrections = torch.zeros(6, 8)
    corrections[:, 6] = 0.1
    one = Gaussians.from_rgb(
        torch.zeros(1, 1, 3), torch.ones(1, 1, 4), torch.ones(1, 1, 3), torch.ones(1, 1), torch.ones(1, 1, 3)
    )
    moved, single = move_to_views(one, batch, corrections)
    local = torch.einsum("bvij,bvnj->bvni", single.w2c[:, :, 0, :3, :3], moved.means) + single.w2c[:, :, 0, None, :3, 3]
    torch.testing.assert_close(local[..., 0] / local[..., 2], torch.full((1, 6, 1), 0.1), atol=1e-5, rtol=0)


@pytest.mark.slow
def test_refinement_finds_a_shifted_principal_point(frame, quick, monkeypatch):
    monkeypatch.setattr(CameraConfig, "lr", 2e-3)
    shifted = list(frame.cameras)
    shifted[1] = replace(shifted[1], fxfycxcy=shifted[1].fxfycxcy + [0, 0, 1.5, 0])
    wrong = FrameViews("wrong", frame.rgba, tuple(shifted))
    longer = replace(quick, optimise=replace(quick.optimise, steps=120))
    plain = fit_frame(wrong, longer, 0)
    refined = fit_frame(wrong, replace(longer, cameras=CameraConfig(refine=True)), 0)
    assert refined.scores["psnr"] > plain.scores["psnr"]
