"""Exact circular clustering and the consensus that picks one view per angle."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mousefacelift.core.cameras import circular_difference
from mousefacelift.distill.dedupe import (
    check_tolerance,
    circular_middle,
    cluster_angles,
    consensus_scores,
    count_distinct,
    image_agreement,
    nearest_real,
)
from mousefacelift.errors import ConfigError

REAL_RIG = (-142.9, 29.9, 96.1, -25.3, 160.0, -78.8)  # the public rig about the mean mouse position
REGULAR = tuple(range(0, 360, 60))
PUBLISHED = (0, 45, -45, 90, -90, 180)
SIXTY = (0, 60, 120, 180, 240, 300)
THIRTY = (30, 90, 150, 210, 270, 330)


def candidates(inputs, offsets):
    return [a + o for a in inputs for o in offsets]


def diameter(azimuths, elevations):
    azimuths, elevations = np.asarray(azimuths), np.asarray(elevations)
    return max(
        np.abs(circular_difference(azimuths[:, None], azimuths[None])).max(),
        np.abs(elevations[:, None] - elevations[None]).max(),
    )


def greedy_arcs(azimuths, tolerance):
    """Fewest arcs, by starting the greedy sweep at every point."""
    points = np.sort(np.unique(np.round(np.asarray(azimuths) % 360.0, 6) % 360.0))
    best = len(points)
    for start in points:
        ordered, count, edge = np.sort((points - start) % 360.0), 0, -1.0
        for point in ordered:
            if count == 0 or point > edge + 1e-9:
                count, edge = count + 1, point + tolerance
        best = min(best, count)
    return best


@pytest.mark.parametrize(
    "inputs, offsets, expected",
    [
        (REAL_RIG, PUBLISHED, (36, 32, 23)),
        (REAL_RIG, SIXTY, (36, 18, 12)),
        (REAL_RIG, THIRTY, (36, 18, 12)),
        (REGULAR, PUBLISHED, (24, 24, 24)),
        (REGULAR, SIXTY, (6, 6, 6)),
        (REGULAR, THIRTY, (6, 6, 6)),
    ],
)
def test_the_table_of_six_by_six_candidates(inputs, offsets, expected):
    angles = candidates(inputs, offsets)
    assert tuple(count_distinct(angles, 0.0, tolerance) for tolerance in (0, 5, 10)) == expected


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-360, 360), min_size=1, max_size=30), st.floats(0, 100))
def test_azimuth_clusters_are_as_few_as_the_exhaustive_sweep_finds(azimuths, tolerance):
    rounded = np.round(azimuths, 3)
    tolerance = round(tolerance, 3)
    assert count_distinct(rounded, 0.0, tolerance) == greedy_arcs(rounded, tolerance)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 359), st.integers(-20, 40)), min_size=1, max_size=24),
    st.integers(0, 40),
    st.randoms(use_true_random=False),
)
def test_every_cluster_fits_in_the_tolerance_and_order_does_not_matter(points, tolerance, random):
    azimuths, elevations = np.array(points, float).T
    labels = cluster_angles(azimuths, elevations, tolerance)
    for label in range(labels.max() + 1):
        assert diameter(azimuths[labels == label], elevations[labels == label]) <= tolerance + 1e-6
    shuffle = list(range(len(points)))
    random.shuffle(shuffle)
    again = cluster_angles(azimuths[shuffle], elevations[shuffle], tolerance)
    np.testing.assert_array_equal(again, labels[shuffle])


def test_clusters_in_azimuth_and_elevation_are_as_few_as_brute_force_finds():
    rng = np.random.default_rng(0)
    for _ in range(8):
        azimuths, elevations = rng.integers(340, 400, 6).astype(float), rng.integers(0, 30, 6).astype(float)
        best = min(
            len(set(labels))
            for labels in itertools.product(range(6), repeat=6)
            if all(
                diameter(azimuths[np.array(labels) == k], elevations[np.array(labels) == k]) <= 12 for k in set(labels)
            )
        )
        assert count_distinct(azimuths, elevations, 12) == best


def test_a_shared_azimuth_at_two_elevations_is_two_angles():
    assert count_distinct([10, 10, 12], [0, 20, 1], 10) == 2


def test_equal_angles_on_both_sides_of_north_are_one():
    assert count_distinct([0.0, 360.0 - 1e-12, 720.0], 5.0, 0.0) == 1


def test_the_middle_of_an_arc_crosses_north():
    assert circular_middle(np.array([350.0, 10.0, 355.0])) == pytest.approx(0.0, abs=1e-9)


def test_no_candidates_are_no_clusters():
    assert count_distinct([], [], 10) == 0


def test_the_photo_within_the_tolerance_is_found_and_others_are_not():
    real = [(0.0, 10.0), (60.0, 20.0)]
    assert nearest_real(355.0, 12.0, real, 10) == 0
    assert nearest_real(30.0, 12.0, real, 10) is None
    assert nearest_real(2.0, 25.0, real, 10) is None  # azimuth near, elevation far


@pytest.mark.parametrize("tolerance", [-1.0, float("nan"), 120.0])
def test_an_unusable_tolerance_is_refused(tolerance):
    with pytest.raises(ConfigError, match="tolerance"):
        cluster_angles([0, 1], 0.0, tolerance)


def test_a_tolerance_larger_than_the_spacing_is_refused():
    check_tolerance(10, PUBLISHED, np.zeros(6), "facelift")
    with pytest.raises(ConfigError, match="45.0"):
        check_tolerance(50, PUBLISHED, np.zeros(6), "facelift")


def disc(center, value, size=32):
    rows, columns = np.mgrid[:size, :size] + 0.5
    alpha = ((rows - size / 2) ** 2 + (columns - center) ** 2 < 64).astype(np.float32)
    return np.concatenate([np.full((size, size, 3), value, np.float32), alpha[..., None]], -1)


def test_agreement_is_one_for_the_same_view_and_falls_with_shift_and_colour():
    view = disc(16, 0.4)
    assert image_agreement(view, view) == 1.0
    assert image_agreement(view, disc(16, 0.8)) < 0.9
    assert image_agreement(view, disc(26, 0.4)) < image_agreement(view, disc(18, 0.4)) < 1.0


def test_the_odd_one_out_never_wins():
    views = [disc(16, 0.4), disc(17, 0.42), disc(27, 0.9)]
    agreement = np.array([[image_agreement(a, b) for b in views] for a in views])
    scores = consensus_scores(agreement, np.array([0.8, 0.8, 0.8]), np.full(3, 60.0), (1.0, 1.0, 0.25))
    assert scores.argmin() == 2


def test_closeness_to_the_input_decides_between_equals():
    scores = consensus_scores(np.ones((2, 2)), np.array([0.8, 0.8]), np.array([90.0, 30.0]), (1.0, 1.0, 0.25))
    assert scores.argmax() == 1


def test_a_consensus_is_a_share_whatever_its_weights_and_one_only_for_the_perfect_view():
    perfect = consensus_scores(np.ones((2, 2)), np.ones(2), np.zeros(2), (1.0, 1.0, 0.25))
    poor = consensus_scores(np.array([[1.0, 0.3], [0.3, 1.0]]), np.full(2, 0.4), np.full(2, 90.0), (1.0, 1.0, 0.25))
    assert perfect == pytest.approx([1, 1]) and poor == pytest.approx([0.825 / 2.25] * 2)
    assert consensus_scores(np.ones((1, 1)), np.ones(1), np.zeros(1), (1.0, 1.0, 0.25)) == pytest.approx([1.0])
