"""Intervals: animals are the units, frames are not; what is found in many comparisons is corrected for their number."""

import numpy as np
import pytest
from scipy import stats

from mousefacelift.check import statistics
from mousefacelift.check.statistics import (
    block_interval,
    describe,
    effective_count,
    holm,
    paired_effect,
    student_interval,
)


def recordings(rng, animals=5, frames=40, between=1.0, within=0.5, smooth=0.9):
    """[animals, frames] of a metric whose animals differ and whose frames are near copies of their neighbours."""
    series = np.zeros((animals, frames))
    for animal in series:
        level, drift = rng.normal(0, between), rng.normal(0, within)
        for i in range(frames):
            drift = smooth * drift + np.sqrt(1 - smooth**2) * rng.normal(0, within)
            animal[i] = level + drift
    return series


def test_the_interval_over_animals_holds_the_truth_and_that_over_frames_does_not():
    rng, by_animal, by_frame = np.random.default_rng(0), 0, 0
    for _ in range(400):
        series = recordings(rng)
        low, high = student_interval(series.mean(1))
        by_animal += low <= 0 <= high
        low, high = student_interval(series.ravel())
        by_frame += low <= 0 <= high
    assert 0.92 <= by_animal / 400 <= 0.98  # 95% +- 3 standard errors of 400 trials
    assert by_frame / 400 < 0.5


def test_blocks_widen_the_interval_of_frames_that_are_near_copies():
    series = recordings(np.random.default_rng(1), animals=1, frames=200, between=0.0)[0]
    blocks, alone = block_interval(series, 1000), student_interval(series)
    assert blocks[1] - blocks[0] > 1.5 * (alone[1] - alone[0])
    assert effective_count(series) < 60


def test_pairing_takes_out_what_animals_differ_in():
    rng = np.random.default_rng(2)
    animals = rng.normal(20, 5, 6)  # dB: some animals are easier
    change = paired_effect((animals + 0.5 + rng.normal(0, 0.1, 6)) - animals)
    assert change["low"] > 0 and change["mean"] == pytest.approx(0.5, abs=0.15) and change["effect"] > 2
    first, second = student_interval(animals), student_interval(animals + 0.5)
    assert first[1] > second[0]  # without pairing the two cannot be told apart
    reference = stats.ttest_rel(animals + [0.4, 0.6, 0.5, 0.5, 0.3, 0.7], animals)
    assert paired_effect(np.array([0.4, 0.6, 0.5, 0.5, 0.3, 0.7]))["p"] == pytest.approx(reference.pvalue)


def test_too_few_units_have_no_interval_and_no_p():
    assert all(np.isnan(value) for value in student_interval(np.array([3.0, np.nan])))
    row = paired_effect(np.array([1.0]))
    assert row["animals"] == 1 and row["mean"] == 1 and np.isnan(row["p"]) and np.isnan(row["low"])


def test_holm_corrects_for_the_number_of_comparisons_and_keeps_their_order():
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03])), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm(np.array([0.01, np.nan, 0.5])), [0.02, np.nan, 0.5])
    rng = np.random.default_rng(3)
    false_alarms = sum((holm(rng.uniform(size=20)) < 0.05).any() for _ in range(1000))
    assert false_alarms < 80  # 5% of families, where 64% of them have an uncorrected p below 0.05


def test_views_of_a_frame_count_once_in_whatever_order_they_come():
    rng = np.random.default_rng(3)
    frames, series = np.repeat(np.arange(40), 3), rng.standard_normal(120)
    means = series.reshape(40, 3).mean(1)
    order = rng.permutation(120)
    for found in (describe(series, frames, 50, 0.1), describe(series[order], frames[order], 50, 0.1)):
        assert found["n"] == 40 and found["n_eff"] == effective_count(means)
        assert (found["low"], found["high"]) == pytest.approx(block_interval(means, 50), rel=1e-12)


def test_the_interval_does_not_depend_on_how_many_numbers_are_drawn_at_a_time(monkeypatch):
    series = np.random.default_rng(4).standard_normal(300)
    whole = block_interval(series, 200)
    monkeypatch.setattr(statistics, "DRAWN", 1000)
    assert block_interval(series, 200) == whole
