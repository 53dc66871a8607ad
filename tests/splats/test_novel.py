"""Which views are rendered, and how trust grows and falls."""

import numpy as np
import pytest

from mousefacelift.core.cameras import angle_between, azimuth_elevation, circular_difference
from mousefacelift.errors import DataError
from mousefacelift.splats.config import NovelConfig
from mousefacelift.splats.novel import gap_midpoints, plan_ring, plan_views
from mousefacelift.splats.trust import Trust, calibrate, isotonic, leave_out_sets, outlier_limit
from tests.splats.conftest import toy_cameras


def held_out(angle, error, fit_error=0.05, left_out=1):
    return {"frame": "f", "view": 0, "left_out": left_out, "angle": angle, "fit_error": fit_error, "error": error}


def test_fixed_angles_are_relative_to_camera_zero():
    cameras = toy_cameras(64)
    planned = plan_views(cameras, NovelConfig(mode="fixed", elevations=(5.0, 30.0), size=64))
    assert [v.relative_azimuth for v in planned[:6]] == pytest.approx([30, 90, 150, 210, 270, 330])
    assert azimuth_elevation(planned[0].camera)[0] == pytest.approx(azimuth_elevation(cameras[0])[0] + 30)
    assert len(planned) == 12 and azimuth_elevation(planned[-1].camera)[1] == pytest.approx(30)


def test_gap_midpoints_do_not_depend_on_the_order_of_the_cameras():
    cameras = toy_cameras(64)
    shuffled = [cameras[k] for k in (0, 5, 3, 1, 2, 4)]
    assert np.allclose(sorted(gap_midpoints(cameras)), sorted(gap_midpoints(shuffled)))
    for azimuth, _ in gap_midpoints(cameras):
        nearest = min(abs(circular_difference(azimuth_elevation(c)[0], azimuth)) for c in cameras)
        assert nearest == pytest.approx(30)


def test_the_ring_is_the_published_one():
    ring = plan_ring(toy_cameras(64), NovelConfig(size=512))
    assert len(ring) == 32
    for index, view in enumerate(ring):
        azimuth, elevation, distance = azimuth_elevation(view.camera)
        assert abs(circular_difference(azimuth, 11.25 * index)) < 1e-9
        assert elevation == pytest.approx(20) and distance == pytest.approx(2.7)
        assert view.camera.fxfycxcy[0] == pytest.approx(548.9938, abs=1e-3)


def test_nearest_angle_is_to_the_nearest_fitted_camera():
    cameras = toy_cameras(64)
    view = plan_views(cameras, NovelConfig(mode="gaps", size=64))[0]
    assert view.nearest_angle == min(angle_between(view.camera, c) for c in cameras)


def test_isotonic_is_the_mean_of_what_falls():
    assert isotonic(np.array([1.0, 3.0, 2.0, 4.0]), np.ones(4)).tolist() == [1.0, 2.5, 2.5, 4.0]
    assert isotonic(np.array([3.0, 1.0]), np.array([3.0, 1.0])).tolist() == [2.5, 2.5]


def test_expected_error_grows_with_angle_and_with_a_bad_fit_and_trust_falls():
    rows = [held_out(60, 0.12), held_out(62, 0.1), held_out(110, 0.2, left_out=2)]
    trust = calibrate(rows, outlier=5.0)
    near, far, bad = trust.judge(10, 0.05, 0.12), trust.judge(100, 0.05, 0.12), trust.judge(10, 0.15, 0.12)
    assert trust.judge(0, 0.05, 0.12)[0] == pytest.approx(0.05)
    assert near[0] < far[0] and near[1] >= far[1]
    assert bad[0] == pytest.approx(near[0] + 0.1)
    assert trust.judge(170, 0.05, 0.12)[0] > far[0]


def test_trust_is_the_share_of_held_out_views_within_the_allowed_error():
    """Coverage: on new draws from the calibrated noise, views with trust p are within the allowed error p of the
    time."""
    rng = np.random.default_rng(0)
    angles = rng.uniform(20, 100, 400)
    noise = rng.lognormal(0, 0.3, 400)
    rows = [held_out(a, (0.05 + 0.001 * a) * n) for a, n in zip(angles, noise)]
    trust = calibrate(rows, outlier=5.0)
    for angle in (40.0, 70.0, 95.0):
        truth = ((0.05 + 0.001 * angle) * rng.lognormal(0, 0.3, 4000) <= 0.12).mean()
        assert trust.judge(angle, 0.05, 0.12)[1] == pytest.approx(truth, abs=0.1)


def test_trust_survives_its_file():
    trust = calibrate([held_out(60, 0.12)], 5.0)
    again = Trust.from_dict(trust.to_dict())
    assert again.judge(33, 0.06, 0.12) == trust.judge(33, 0.06, 0.12)


def test_nothing_held_out_is_an_error():
    with pytest.raises(DataError, match="calibrated"):
        calibrate([], 5.0)


def test_pairs_left_out_are_neighbours_around_the_ring():
    from mousefacelift.splats.frames import FrameViews

    cameras = toy_cameras(8)
    frame = FrameViews("x", np.zeros((6, 8, 8, 4), np.float32), tuple(cameras[k] for k in (0, 5, 3, 1, 2, 4)))
    sets = leave_out_sets(frame, pairs=True)
    assert len(sets) == 12 and all(angle_between(frame.cameras[a], frame.cameras[b]) < 70 for a, b in sets[6:])


def test_an_outlier_is_far_from_the_median_of_its_own_recording():
    errors = [0.05, 0.051, 0.049, 0.052, 0.05]
    assert outlier_limit(errors, 5.0) == pytest.approx(0.075)
    assert outlier_limit([2 * e for e in errors], 5.0) == pytest.approx(0.15)
