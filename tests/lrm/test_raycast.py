"""Depth intervals from silhouettes: they hold the visible surface, and bear views that disagree."""

import numpy as np
import pytest
import torch

from mousefacelift.core.cameras import canonical_fxfycxcy, orbit
from mousefacelift.lrm.raycast import SAMPLES, silhouette_interval

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
    """The ray of a camera through the origin, origin and direction [1, 1, 3]; it meets the ball 0.45 before the origin."""
    origin = torch.from_numpy(camera.center).float()
    return origin[None, None], (-origin / origin.norm())[None, None]


def test_the_interval_of_a_ray_holds_the_visible_surface_and_little_more(rig):
    cameras, alpha, w2c, fxfycxcy = rig
    for camera in cameras:
        near, far = silhouette_interval(*center_ray(camera), alpha, w2c, fxfycxcy, REACH)
        assert 2.7 - 0.45 - 0.3 < near.item() < 2.7 - 0.45 + STEP  # the hull of four views is somewhat larger than the ball
        assert 2.7 + 0.45 - STEP < far.item() < 2.7 + 0.45 + 0.55  # behind the ball stands the small one for some cameras


def test_a_view_that_contradicts_the_others_is_outvoted(rig):
    cameras, alpha, w2c, fxfycxcy = rig
    want = silhouette_interval(*center_ray(cameras[0]), alpha[:, :3], w2c[:, :3], fxfycxcy[:, :3], REACH)
    wrong = alpha.clone()
    wrong[:, 3] = 0
    wrong[:, 3, :4, :4] = 1  # a mask of something else
    got = silhouette_interval(*center_ray(cameras[0]), wrong, w2c, fxfycxcy, REACH)
    torch.testing.assert_close(got, want, atol=1e-5, rtol=0)


def test_a_point_outside_a_frame_is_allowed_by_that_view(rig):
    cameras, alpha, w2c, fxfycxcy = rig
    want = silhouette_interval(*center_ray(cameras[0]), alpha[:, :3], w2c[:, :3], fxfycxcy[:, :3], REACH)
    aside = fxfycxcy.clone()
    aside[:, 3, 2] -= 10 * SIZE  # the animal is far out of the picture
    got = silhouette_interval(*center_ray(cameras[0]), alpha, w2c, aside, REACH)
    torch.testing.assert_close(got, want, atol=1e-5, rtol=0)


def test_rays_of_a_batch_do_not_mix(rig):
    cameras, alpha, w2c, fxfycxcy = rig
    two = [torch.cat([value, value.flip(1)]) for value in (alpha, w2c, fxfycxcy)]
    origin, direction = (torch.cat(pair) for pair in zip(center_ray(cameras[0]), center_ray(cameras[1])))
    together = silhouette_interval(origin, direction, *two, REACH)
    for i, camera in enumerate(cameras[:2]):
        alone = silhouette_interval(*center_ray(camera), alpha, w2c, fxfycxcy, REACH)
        torch.testing.assert_close([value[i : i + 1] for value in together], list(alone), atol=1e-5, rtol=0)
