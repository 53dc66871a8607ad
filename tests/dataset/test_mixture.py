"""The sampler gives the optimiser exactly what the arm says, whatever the sizes of the sources, and resumes exactly."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from mousefacelift.core.sources import SOURCES
from mousefacelift.dataset.arms import mean_mouse_share, parse_arm, planned_steps, schedule
from mousefacelift.dataset.config import ArmConfig, LoaderConfig, MixtureConfig, MouseShares, Phase
from mousefacelift.dataset.mixture import MixtureSampler
from mousefacelift.errors import ConfigError, DataError

FLAT = MixtureConfig(phases=(Phase(1.0, (1.0, 1.0)),))


class Pool:
    """Sources of given sizes; rows are source number * 10^6 + position."""

    def __init__(self, weights=None, **sizes):
        self.sizes, self.weights = sizes, weights or {}

    def pool(self, source, split, min_views=0):
        count = self.sizes.get(source, 0)
        rows = SOURCES.index(source) * 10**6 + np.arange(count)
        return rows, np.asarray(self.weights.get(source, np.ones(count)), float)

    def view_counts(self, rows):
        return np.array([5 if row < 10**6 else 8 for row in rows])  # the real rig has five seen cameras


ALL = Pool(real=40, distilled=60, splat=50, object=200, scan=10)


def draws(sampler, start=0, stop=None):
    return [d for step in range(start, stop or sampler.steps) for d in sampler.draw(step)]


@pytest.mark.parametrize(
    "arm", ["90-10", "80-20", "70-30", "no-synthetic", "real-only", "distilled-only", "splat-only"]
)
def test_realised_ratio_is_within_three_sigma(arm):
    sampler = MixtureSampler(ALL, arm, 1, steps=2000, batch_size=8, mixture=FLAT)
    total = 16_000
    for source, row in sampler.realised(2000).items():
        share = sampler.arm.shares[source]
        assert abs(row["share"] - share) <= 3 * np.sqrt(share * (1 - share) / total) + 1e-12


@pytest.mark.parametrize("arm", ["80-20", "50-50", "distortion-only"])
def test_realised_ratio_of_the_whole_curriculum_is_within_three_sigma(arm):
    mixture = MixtureConfig(
        scan_share=0.2, phases=(Phase(0.2, (0.0, 0.0)), Phase(0.6, (1.0, 1.0)), Phase(1.0, (1.0, 1.8)))
    )
    sampler = MixtureSampler(ALL, arm, 7, steps=3000, batch_size=4, mixture=mixture)
    for source, row in sampler.realised(3000).items():
        p = sampler.shares[:, SOURCES.index(source)]
        assert abs(row["count"] - 4 * p.sum()) <= 3 * np.sqrt(4 * (p * (1 - p)).sum()), source
        assert row["count"] == sum(draw.source == source for draw in draws(sampler))


def test_a_step_shows_no_more_inputs_than_its_samples_have():
    sampler = MixtureSampler(ALL, "50-50", 2, steps=400, batch_size=2, mixture=FLAT, inputs=LoaderConfig().inputs)
    seen = {3: 0, 4: 0, 5: 0}
    for step in range(400):
        items = sampler.draw(step)
        assert len({item.inputs for item in items}) == 1
        assert items[0].inputs <= (4 if any(item.source == "real" for item in items) else 5)
        seen[items[0].inputs] += 1
    assert min(seen.values()) > 40


def test_a_sampler_knows_whose_samples_have_too_few_views_for_the_most_inputs():
    sampler = MixtureSampler(ALL, "80-20", 2, steps=40, batch_size=2, mixture=FLAT, inputs=(3, 5))
    assert sampler.lowered_inputs() == {"real": (40, 40, 4)}
    assert MixtureSampler(ALL, "80-20", 2, steps=40, batch_size=2, inputs=(3, 4)).lowered_inputs() == {}


def test_80_20_is_eighty_ten_five_five():
    assert parse_arm("80-20").shares == pytest.approx({"object": 0.8, "real": 0.1, "distilled": 0.05, "splat": 0.05})


def test_an_arm_of_another_reconstructor_is_the_same_mixture():
    for name in ("80-20", "real-only", "no-synthetic"):
        plain, other = parse_arm(name), parse_arm(f"{name}.lgm")
        assert other == replace(plain, name=f"{name}.lgm")


def test_sources_ten_times_larger_change_nothing():
    small = MixtureSampler(Pool(real=40, distilled=60, splat=50, object=200), "80-20", 3, steps=300, batch_size=4)
    large = MixtureSampler(Pool(real=400, distilled=60, splat=500, object=2000), "80-20", 3, steps=300, batch_size=4)
    assert [d.source for d in draws(small)] == [d.source for d in draws(large)]


@pytest.mark.parametrize(
    "arm", ["90-10", "80-20", "70-30", "50-50", "0-100", "100-0", "real-only", "no-synthetic", "distortion-only"]
)
def test_weights_sum_to_one_at_every_step(arm):
    table = schedule(parse_arm(arm), MixtureConfig(scan_share=0.1), 777)
    np.testing.assert_allclose(table.sum(1), 1, atol=1e-12)
    assert table.min() >= 0


def test_default_curriculum_starts_with_objects_and_averages_to_the_arm():
    arm, mixture = parse_arm("80-20"), MixtureConfig()
    table = schedule(arm, mixture, 1000)
    mouse = table[:, [SOURCES.index(s) for s in ("real", "distilled", "splat")]].sum(1)
    assert (mouse[:200] == 0).all() and mouse[300] == pytest.approx(0.2) and mouse[-1] == pytest.approx(0.4, abs=1e-3)
    assert mean_mouse_share(arm, mixture) == pytest.approx(0.2, abs=1e-4)


def test_a_resumed_sampler_neither_repeats_nor_skips():
    whole = draws(MixtureSampler(ALL, "80-20", 5, steps=2500, batch_size=3))
    for step in (1, 700, 1024, 1025, 2400):
        resumed = MixtureSampler(ALL, "80-20", 5, steps=2500, batch_size=3)
        assert draws(resumed, step) == whole[step * 3 :]
    batches = MixtureSampler(ALL, "80-20", 5, steps=2500, batch_size=3).from_step(2400)
    assert len(batches) == 100 and [d for batch in batches for d in batch] == whole[7200:]


def test_devices_share_a_step_without_overlap():
    parts = [
        MixtureSampler(ALL, "80-20", 5, steps=20, batch_size=8, rank=r, world_size=4).from_step(0) for r in range(4)
    ]
    whole = MixtureSampler(ALL, "80-20", 5, steps=20, batch_size=8)
    for step, batches in enumerate(zip(*parts)):
        assert sorted((d for b in batches for d in b), key=lambda d: d.slot) == whole.draw(step)
        assert len({d.inputs for b in batches for d in b}) == 1


def test_every_sample_of_a_source_comes_once_in_a_pass():
    rows = [d.row for d in draws(MixtureSampler(Pool(real=50), "real-only", 0, steps=100, batch_size=2))]
    assert all(sorted(rows[i : i + 50]) == list(range(50)) for i in range(0, 200, 50))
    assert rows[:50] != rows[50:100]


def test_sample_weights_set_how_often_a_sample_comes():
    weights = {"real": np.array([1.0] * 10 + [3.0] * 10 + [0.0] * 5)}
    rows = Counter(
        d.row for d in draws(MixtureSampler(Pool(weights, real=25), "real-only", 0, steps=4000, batch_size=1))
    )
    assert all(row not in rows for row in range(20, 25))
    assert sum(rows[r] for r in range(10, 20)) / sum(rows[r] for r in range(10)) == pytest.approx(3, rel=0.02)


def test_equal_mouse_exposure_lengthens_poorer_arms():
    mixture = MixtureConfig(exposure="mouse")
    assert [planned_steps(parse_arm(a), mixture, 1000) for a in ("90-10", "80-20", "70-30")] == [2000, 1000, 667]
    assert planned_steps(parse_arm("90-10"), MixtureConfig(), 1000) == 1000
    with pytest.raises(ConfigError, match="no mouse"):
        planned_steps(parse_arm("100-0"), mixture, 1000)


def test_seed_changes_the_draws_and_the_fingerprint():
    one, two = (MixtureSampler(ALL, "80-20", seed, steps=50, batch_size=2) for seed in (0, 1))
    assert draws(one) != draws(two) and one.fingerprint() != two.fingerprint()
    assert one.fingerprint() == MixtureSampler(ALL, "80-20", 0, steps=50, batch_size=2).fingerprint()


@pytest.mark.parametrize(
    "arm, message",
    [
        ("85-20", "does not sum to 100"),
        ("mostly-mice", "not known"),
        (ArmConfig("x", {"cats": 1.0}), "unknown source"),
        (ArmConfig("x", {"real": 0.0}), "not a mixture"),
    ],
)
def test_unusable_arms_are_refused(arm, message):
    with pytest.raises(ConfigError, match=message):
        MixtureSampler(ALL, arm, 0, steps=10, batch_size=1)


def test_an_empty_source_and_a_curriculum_above_one_are_refused():
    with pytest.raises(DataError, match="asks for source 'splat'"):
        MixtureSampler(Pool(real=5, distilled=5, object=5), "80-20", 0, steps=10, batch_size=1)
    with pytest.raises(ConfigError, match="above 1"):
        schedule(parse_arm("30-70"), MixtureConfig(), 10)
    with pytest.raises(ValueError, match="sum to 1"):
        MouseShares(0.5, 0.5, 0.5)
