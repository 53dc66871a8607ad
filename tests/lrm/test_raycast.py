"""Where silhouettes allow depth: they hold the visible surface, and bear views that disagree."""

import numpy as np
import pytest
import torch

from mousefacelift.core.cameras import canonical_fxfycxcy, orbit, project, unproject
from mousefacelift.lrm.raycast import (
    SAMPLES,
    allowed_part,
    count_votes,
    count_votes_cpu,
    ends,
    framed_part,
    offset_within,
)

from .toy import cast_balls

SIZE, REACH = 64, 1.0
STEP = 2 * REACH / SAMPLES


@pytest.fixture(scope="module")
def rig():
    """Four cameras and a ball of radius 0.45 at the origin with a small one at its side: alpha, w2c, fxfycxcy."""
    cameras = [orbit(azimuth, 20, 2.7, canonical_fxfycxcy(SIZE), SIZE, SIZE) for azimuth in (0, 80, 170, 260)]
    alpha = torch.from_numpy(np.stack([cast_balls(camera, 40, (0.8, 0.3, 0.2))[..., 3] for camera in cameras]))[None]
    w2c = torch.from_numpy(np.stack([camera.w2c for camera in cameras])).float()[None]
    fxfycxcy = torch.from_numpy(np.stack([camera.fxfycxcy for camera in cameras])).float()[None]
    return cameras, alpha, w2c, fxfycxcy


def center_ray(camera):
    """The ray of a camera through the origin, origin and direction [1, 1, 3]; it meets the ball 0.45 before the
    origin."""
    origin = torch.from_numpy(camera.center).float()
    return origin[None, None], (-origin / origin.norm())[None, None]


def test_the_interval_of_a_ray_holds_the_visible_surface_and_little_more(rig):
    cameras, alpha, w2c, fxfycxcy = rig
    for camera in cameras:
        near, far = 2.7 + ends(allowed_part(*center_ray(camera), alpha, w2c, fxfycxcy, REACH), REACH)[0, 0]
        assert (
            2.7 - 0.45 - 0.3 < near.item() < 2.7 - 0.45 + STEP
        )  # the hull of four views is somewhat larger than the ball
        assert (
            2.7 + 0.45 - STEP < far.item() < 2.7 + 0.45 + 0.55
        )  # behind the ball stands the small one for some cameras


def test_a_view_that_contradicts_the_others_is_outvoted(rig):
    cameras, alpha, w2c, fxfycxcy = rig
    want = allowed_part(*center_ray(cameras[0]), alpha[:, :3], w2c[:, :3], fxfycxcy[:, :3], REACH)
    wrong = alpha.clone()
    wrong[:, 3] = 0
    wrong[:, 3, :4, :4] = 1  # a mask of something else
    got = allowed_part(*center_ray(cameras[0]), wrong, w2c, fxfycxcy, REACH)
    assert torch.equal(got, want)


def test_a_corner_that_other_cameras_do_not_show_is_no_body_where_there_is_another(rig):
    """A ray that misses the body by little in one view meets it in the others; far off, only its own view has an
    opinion."""
    cameras, alpha, w2c, fxfycxcy = rig
    wrong, narrow = alpha.clone(), fxfycxcy.clone()
    wrong[:, 3] = 0
    narrow[:, 1:3, :2] *= 3.5  # two cameras show little more than the body
    got = allowed_part(*center_ray(cameras[0]), wrong, w2c, narrow, REACH)
    assert torch.equal(got, allowed_part(*center_ray(cameras[0]), alpha[:, :3], w2c[:, :3], narrow[:, :3], REACH))
    assert ends(got, REACH).abs().max() < 0.9


def test_a_camera_that_does_not_show_the_body_forbids_nothing(rig):
    cameras, alpha, w2c, fxfycxcy = rig
    want = allowed_part(*center_ray(cameras[0]), alpha[:, :3], w2c[:, :3], fxfycxcy[:, :3], REACH)
    aside = fxfycxcy.clone()
    aside[:, 3, 2] -= 10 * SIZE  # the animal is far out of the picture
    got = allowed_part(*center_ray(cameras[0]), alpha, w2c, aside, REACH)
    assert torch.equal(got, want)


def test_rays_of_a_batch_do_not_mix(rig):
    cameras, alpha, w2c, fxfycxcy = rig
    two = [torch.cat([value, value.flip(1)]) for value in (alpha, w2c, fxfycxcy)]
    origin, direction = (torch.cat(pair) for pair in zip(center_ray(cameras[0]), center_ray(cameras[1])))
    together = allowed_part(origin, direction, *two, REACH)
    for i, camera in enumerate(cameras[:2]):
        alone = allowed_part(*center_ray(camera), alpha, w2c, fxfycxcy, REACH)
        assert torch.equal(together[i : i + 1], alone)


def test_ends_are_the_first_and_the_last_allowed_sample():
    allowed = (
        torch.rand(1, 200, SAMPLES, generator=torch.Generator().manual_seed(0)) < torch.linspace(0.02, 1, 200)[:, None]
    )
    allowed[0, torch.arange(200), torch.arange(200) % SAMPLES] = True  # every ray has some
    want = [(int(ray.nonzero().min()), int(ray.nonzero().max()) + 1) for ray in allowed[0]]
    torch.testing.assert_close((ends(allowed, REACH)[0] + REACH) / STEP, torch.tensor(want, dtype=torch.float32))


def test_no_share_names_a_point_that_the_silhouettes_exclude():
    allowed = torch.zeros(1, 3, SAMPLES, dtype=torch.bool)
    allowed[0, 0, 10:13] = allowed[0, 0, 30:31] = allowed[0, 1, 47] = allowed[0, 2] = (
        True  # two pieces, the last sample, everything
    )
    shares = torch.linspace(0, 1, 101)
    offsets = torch.cat([offset_within(allowed, share.expand(1, 3, 1), REACH) for share in shares], -1)[0]  # [3, 101]
    assert (offsets.diff() >= 0).all()
    torch.testing.assert_close(offsets[:, [0, -1]], ends(allowed, REACH)[0])
    at = (offsets + REACH) / STEP
    first, second = ((at[0] >= low - 1e-4) & (at[0] <= high + 1e-4) for low, high in ((10, 13), (30, 31)))
    assert (first | second).all() and first.sum() == pytest.approx(76, abs=1)  # three quarters
    torch.testing.assert_close(offsets[2], (2 * shares - 1) * REACH)


def test_depth_learns_at_the_rate_of_what_is_allowed():
    allowed = torch.zeros(1, 1, SAMPLES, dtype=torch.bool)
    allowed[..., 10:13] = allowed[..., 30] = True
    share = torch.tensor([[[0.3]]], requires_grad=True)
    offset_within(allowed, share, REACH).sum().backward()
    assert share.grad.item() == pytest.approx(4 * STEP)


def test_the_framed_piece_of_a_ray_is_what_all_views_frame(rig):
    """Against a search: points inside the piece are in every frame, points just outside it in not every one."""
    cameras, _, w2c, fxfycxcy = rig
    rng = np.random.default_rng(0)
    for camera in cameras:
        pixels = rng.uniform(0, SIZE, (40, 2))
        ends_of = unproject(camera, pixels, np.ones(40))
        direction = ends_of - camera.center
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        origin = np.broadcast_to(camera.center, direction.shape)
        rays = [torch.from_numpy(part.copy()).float()[None] for part in (origin, direction)]
        begin, end = (part[0, :, 0].numpy() for part in framed_part(*rays, w2c, fxfycxcy, (SIZE, SIZE), 1.8))
        nearest = -(origin * direction).sum(1)
        for share, expected in ((0.01, True), (0.5, True), (0.99, True), (-0.02, False), (1.02, False)):
            offset = begin + share * (end - begin)
            points = origin + (nearest + offset)[:, None] * direction
            framed = np.ones(40, bool)
            for other in cameras:
                at, depth = project(other, points)
                framed &= (depth > 0) & ((at > -1e-2) & (at < SIZE + 1e-2)).all(1)
            inside_reach = np.abs(offset) < 1.8
            assert (framed | ~inside_reach).all() if expected else not (framed & inside_reach).any()


def test_a_ray_that_no_other_view_frames_keeps_its_whole_reach(rig):
    _, _, w2c, fxfycxcy = rig
    away = torch.tensor([[[0.0, 0.0, 40.0]]]), torch.tensor([[[1.0, 0.0, 0.0]]])
    begin, end = framed_part(*away, w2c, fxfycxcy, (SIZE, SIZE), 1.8)
    assert begin.item() == pytest.approx(-1.8) and end.item() == pytest.approx(1.8)


def test_the_compiled_count_of_votes_is_the_plain_one(rig):
    """Two scenes, rays of which some miss the frames; a sample on a pixel's edge may be rounded to its other side."""
    cameras, alpha, w2c, fxfycxcy = rig
    torch.manual_seed(0)
    origin = torch.from_numpy(np.stack([camera.center for camera in cameras])).float()[torch.randint(4, (2, 700))]
    direction = torch.nn.functional.normalize(-origin + 0.8 * torch.randn(2, 700, 3), dim=-1)
    offset = (torch.arange(SAMPLES) + 0.5) * STEP - REACH
    votes = 2 * (torch.cat([alpha, alpha.flip(-1)]) > 0.1).to(torch.uint8)
    ballots = torch.nn.functional.pad(votes, (1, 1, 1, 1), value=1)
    scene = (origin, direction, offset, ballots, w2c.repeat(2, 1, 1, 1), fxfycxcy.repeat(2, 1, 1))
    want, got = count_votes(*scene), count_votes_cpu(*scene)
    assert (want != got).float().mean() < 1e-4
    assert len(want.unique()) > 4  # the cases differ


def test_what_is_no_number_lies_outside_the_frame(rig):
    """A camera, or rays, of NaN or infinity: half a vote each, and no index outside the picture."""
    cameras, alpha, w2c, fxfycxcy = rig
    origin = torch.from_numpy(np.stack([camera.center for camera in cameras])).float()[None]
    direction = torch.nn.functional.normalize(-origin, dim=-1)
    offset = (torch.arange(SAMPLES) + 0.5) * STEP - REACH
    ballots = torch.nn.functional.pad(2 * (alpha > 0.1).to(torch.uint8), (1, 1, 1, 1), value=1)
    for value in (float("nan"), float("inf")):
        broken = torch.full_like(w2c, value)
        assert (count_votes_cpu(origin, direction, offset, ballots, broken, fxfycxcy) == ballots.shape[1]).all()
        rays = torch.full_like(origin, value), torch.full_like(direction, value)
        assert (count_votes_cpu(*rays, offset, ballots, w2c, fxfycxcy) == ballots.shape[1]).all()
