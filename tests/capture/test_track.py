"""Tracks: smoothing that does not lag or cross cuts, cuts, the floor, and the zoom."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mousefacelift.capture.audit import audit
from mousefacelift.capture.config import AuditConfig, LocateConfig, RecordingSource
from mousefacelift.capture.drawing import describe_rig, say_rig
from mousefacelift.capture.exclusions import exclude_frames, exclude_outliers, find_cuts
from mousefacelift.capture.locate import _insideness, locate_recording
from mousefacelift.capture.place import Place, Shelf
from mousefacelift.capture.recording import open_recording
from mousefacelift.capture.track import correlation_time, make_track, say_tilt, smooth
from mousefacelift.capture.upright import cameras_up, upright
from mousefacelift.core.cameras import project
from mousefacelift.errors import DataError
from mousefacelift.virtual.config import NO_DEFECTS, VirtualConfig
from mousefacelift.virtual.record import write_recording


def place(frame, center, change=0.1):
    return Place(
        frame, center, np.ones(3), np.ones(3), np.full(3, 1000), np.zeros(3), lambda: np.zeros((3, 4, 2)), change
    )


def test_smoothing_keeps_a_straight_walk_exactly_even_at_its_ends():
    frames = np.array([0, 1, 2, 3, 5, 6, 9, 10, 11, 12])
    walk = frames[:, None] * np.array([1.0, -2.0, 0.1])
    np.testing.assert_allclose(smooth(frames, walk, [], 2.0), walk, atol=1e-9)


def test_smoothing_reduces_noise(rng):
    frames = np.arange(200)
    truth = np.stack([np.sin(frames / 40), np.cos(frames / 40), np.zeros(200)], 1) * 30
    noisy = truth + rng.normal(0, 1, truth.shape)
    assert np.abs(smooth(frames, noisy, [], 4.0) - truth).std() < 0.5 * np.abs(noisy - truth).std()


def test_smoothing_never_crosses_a_cut():
    frames = np.arange(40)
    jump = np.where(frames[:, None] < 20, 0.0, 110.0) * np.ones(3)
    np.testing.assert_allclose(smooth(frames, jump, [20], 3.0), jump, atol=1e-9)
    assert np.abs(smooth(frames, jump, [], 3.0) - jump).max() > 10


def test_a_jump_or_a_sudden_change_or_the_users_word_is_a_cut():
    frames = np.arange(30)
    centers = frames[:, None] * np.array([1.0, 0, 0]) + np.where(frames[:, None] >= 12, [110.0, 0, 0], 0)
    places = [place(f, c, 0.9 if f == 20 else 0.1) for f, c in zip(frames, centers)]
    assert find_cuts(places, frames, centers, RecordingSource(cuts=(7, 400)), LocateConfig(), 100.0) == [7, 12, 20]


@pytest.mark.parametrize("lost, change", [([12], 0.1), ([12, 13], 0.1), ([12], 0.95), ([10, 11, 12, 13, 14, 15], 0.95)])
def test_a_cut_is_found_though_its_own_frames_were_excluded(lost, change):
    """The jump tells over one or two frames, the silhouettes of an excluded frame over more."""
    every = np.arange(30)
    centers = every[:, None] * np.array([1.0, 0, 0]) + np.where(
        every[:, None] >= 12, [110.0 if change < 0.5 else 30.0, 0, 0], 0
    )
    places = [place(f, c, change if f == 12 else 0.1) for f, c in zip(every, centers)]
    kept = np.setdiff1d(every, lost)
    assert find_cuts(places, kept, centers[kept], RecordingSource(), LocateConfig(), 100.0) == [max(lost) + 1]


def test_a_walk_past_excluded_frames_is_no_cut():
    every = np.arange(60)
    centers = 20.0 * every[:, None] * np.array([1.0, 0, 0])
    kept = np.setdiff1d(every, [10, 11, 30, 31, 32, 33, 34, 35, 36, 37])
    places = [place(f, c) for f, c in zip(every, centers)]
    assert find_cuts(places, kept, centers[kept], RecordingSource(), LocateConfig(), 100.0) == []


def test_a_fast_animal_filmed_slowly_is_no_cut():
    frames = np.arange(30)
    centers = 40.0 * np.stack([np.cos(frames), np.sin(frames), 0 * frames], 1)
    places = [place(f, c, 0.4) for f, c in zip(frames, centers)]
    assert find_cuts(places, frames, centers, RecordingSource(), LocateConfig(), 4.0) == []


@pytest.mark.parametrize("fps, cuts", [(6.0, []), (100.0, [22, 23, 24])])
def test_a_dash_is_no_cut_unless_no_mouse_is_that_fast(fps, cuts):
    """60 to 92 mm in a sixth of a second, as the real mouse in the cylinder runs; in 10 ms they would be 6 to 9 m/s."""
    steps = np.full(40, 3.0)
    steps[20:25] = [30, 62, 92, 70, 35]
    frames, centers = np.arange(41), np.concatenate([[0], np.cumsum(steps)])[:, None] * np.array([1.0, 0, 0])
    places = [place(f, c) for f, c in zip(frames, centers)]
    assert find_cuts(places, frames, centers, RecordingSource(), LocateConfig(), fps) == cuts


@pytest.mark.parametrize("normal", [[0, 0, 1], [0, 1, 0], [0.3, -0.2, 0.9], [0, 0, -1]])
def test_upright_turns_the_floor_normal_to_z(normal):
    R = upright(np.array(normal))
    np.testing.assert_allclose(R @ np.array(normal) / np.linalg.norm(normal), [0, 0, 1], atol=1e-12)
    assert np.linalg.det(R) == pytest.approx(1)


def test_correlation_time_of_a_known_walk():
    frames = np.arange(1000)
    circle = np.stack([np.cos(frames / 100), np.sin(frames / 100), 0 * frames], 1)
    assert correlation_time(frames, circle, [], 100.0) == pytest.approx(np.arccos(0.5), rel=0.1)


def agreement(frame, hull_iou, ray_agreement=(1.0, 1.0, 1.0)):
    return Place(
        frame,
        np.zeros(3),
        np.array(hull_iou),
        np.array(ray_agreement),
        np.full(3, 1000),
        np.zeros(3),
        lambda: np.zeros((3, 4, 2)),
        0.1,
    )


def scattered(rng, spread, frames=40):
    return [agreement(t, 0.96 - rng.uniform(0, spread, 3), 1 - rng.uniform(0, spread, 3)) for t in range(frames)]


@pytest.mark.parametrize(
    "bad, told",
    [
        (agreement(24, [0.94, 0.76, 0.95]), "hull IoU 0.76 in view 1"),
        (agreement(24, [0.95, 0.94, 0.95], [1, 1, 0.80]), "ray agreement 0.80 in view 2"),
    ],
)
def test_a_frame_in_which_one_view_disagrees_is_excluded_unless_included(rng, bad, told):
    places = scattered(rng, 0.04)
    places[24] = bad
    excluded = exclude_outliers(places, RecordingSource(), LocateConfig())
    assert list(excluded) == [24] and told in excluded[24] and "usually" in excluded[24]
    assert exclude_outliers(places, RecordingSource(include=(24,)), LocateConfig()) == {}


def test_what_is_an_outlier_depends_on_the_recording(rng):
    """0.77 stands out among good masks, not among rough ones or few frames; 0.89 never does, however alike the others
    are."""
    for places, value, found in (
        (scattered(rng, 0.04), 0.77, [5]),
        (scattered(rng, 0.2), 0.77, []),
        (scattered(rng, 0.04, 7), 0.77, []),
        (scattered(rng, 0.0), 0.89, []),
    ):
        places[5] = agreement(5, [0.96, value, 0.96])
        assert list(exclude_outliers(places, RecordingSource(), LocateConfig())) == found


def test_a_view_below_the_floor_is_excluded_however_many_do_so():
    places = [agreement(t, [0.8, 0.45, 0.9]) for t in range(20)]
    excluded = exclude_frames(places, RecordingSource(include=(3,)), LocateConfig())
    assert len(excluded) == 19 and "0.45 in view 1" in excluded[4]


def test_a_world_whose_z_is_not_up_is_noticed(toy_rig, toy_track):
    places = [
        Place(int(f), c, np.ones(5), np.ones(5), np.full(5, 900), np.zeros(5), lambda: np.zeros((5, 4, 2)), 0.1)
        for f, c in zip(toy_track.frames, toy_track.centers_raw)
    ]
    sideways = replace(toy_rig, up=np.array([1.0, 0, 0]))
    with pytest.raises(DataError, match="floor normal"):
        make_track(sideways, places, RecordingSource(), LocateConfig(zoom=1.0))
    with pytest.raises(DataError, match="cannot be told"):
        make_track(toy_rig, places, RecordingSource(up="track"), LocateConfig(zoom=1.0))


def test_the_similarity_changes_no_pixel(toy_rig, toy_track, rng):
    frame = int(toy_track.frames[3])
    similarity = toy_track.canonical(frame)
    points = toy_track.centers[3] + rng.normal(0, 30, (20, 3))
    for camera in toy_rig.cameras:
        before, _ = project(camera.pinhole(), points)
        after, _ = project(similarity.apply_camera(camera.pinhole()), similarity.apply(points))
        np.testing.assert_allclose(after, before, atol=1e-7)


@pytest.mark.parametrize("zoom, factor", [(1.3, 1.0), (2.0, 1.0), (9.9, 9.9 / 1.3)])
def test_the_animal_of_distant_cameras_is_as_long_as_models_expect(toy_rig, toy_track, zoom, factor):
    places = [
        Place(int(f), c, np.ones(5), np.ones(5), np.full(5, 900), np.zeros(5), lambda: np.zeros((5, 4, 2)), 0.1)
        for f, c in zip(toy_track.frames, toy_track.centers_raw)
    ]
    near, chosen = (
        make_track(toy_rig, places, RecordingSource(), LocateConfig(zoom=zoom, scale=scale))
        for scale in ("distance", "auto")
    )
    assert chosen.scale == pytest.approx(factor * near.scale) and chosen.zoom == near.zoom == zoom
    distance = np.mean([np.linalg.norm(near.centers - c.center, axis=1) for c in toy_rig.cameras])
    assert near.scale * distance == pytest.approx(2.7)


def test_a_virtual_mouse_filmed_from_far_fills_the_canonical_world(tmp_path):
    made = VirtualConfig(
        width=144,
        height=128,
        frames=8,
        fps=4.0,
        variants="undistorted",
        distance_mm=1500.0,
        strands=1500,
        degradations=NO_DEFECTS,
    )
    write_recording(tmp_path, "far", made, 0)
    source = RecordingSource(path=str(tmp_path), frames=(0, 8))
    rig = audit(open_recording("far", tmp_path, source), source, AuditConfig())
    track = locate_recording(rig, source, LocateConfig())
    length = track.scale * rig.report["animal"]["length_mm"]
    assert 0.6 < length < 1.4 and track.zoom > 4  # 0.17 units at a mean camera distance of 2.7
    distances = [row["distance_mm"] * track.scale for row in rig.report["cameras"]]
    assert min(distances) > 10


def test_a_frame_outside_the_track_says_why(toy_track):
    with pytest.raises(DataError, match="not in the track"):
        toy_track.canonical(99)


def test_a_shelf_gives_back_what_it_was_given_in_any_order(rng):
    shelf = Shelf()
    arrays = [rng.normal(size=(n, 3)).astype(kind) for n, kind in ((4, np.float64), (2, np.float32), (7, np.float64))]
    kept = [shelf.keep(array) for array in arrays]
    for array, found in reversed(list(zip(arrays, kept))):
        np.testing.assert_array_equal(found(), array)
        assert found().dtype == array.dtype
    shelf.close()


def test_how_deep_a_pixel_lies_in_a_mask_does_not_depend_on_the_box():
    rng = np.random.default_rng(3)
    for shift in (0, 7):  # at the picture's border, and inside it
        mask = np.zeros((50, 70), bool)
        mask[shift : shift + 30, shift : shift + 41] = cv2.GaussianBlur(rng.random((30, 41)), (0, 0), 3) > 0.48
        np.testing.assert_array_equal(_insideness(mask), cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5))


def test_a_walk_that_is_not_on_the_stated_floor_is_said(toy_track):
    walk = np.stack([60 * np.cos(np.arange(40) / 5), 60 * np.sin(np.arange(40) / 7), 2 * np.sin(np.arange(40))], 1)
    tilt = upright(
        np.array([0, np.sin(np.radians(20)), np.cos(np.radians(20))])
    )  # the floor's normal as the world has it
    assert say_tilt(replace(toy_track, centers=walk @ tilt, rotation=np.eye(3))).count("20 degrees") == 1
    assert say_tilt(replace(toy_track, centers=walk @ tilt, rotation=tilt)) == ""
    assert say_tilt(replace(toy_track, centers=walk[:15] @ tilt, rotation=np.eye(3))) == ""


def test_an_audit_says_that_z_is_not_up_and_what_is(toy_rig):
    assert "not up" not in describe_rig(toy_rig)
    lying = replace(toy_rig, up=np.array([1.0, 0, 0]))
    assert "is not up" in describe_rig(lying) and "gap" not in say_rig(lying)
    np.testing.assert_allclose(cameras_up(toy_rig.cameras), [0, 0, 1], atol=0.3)
