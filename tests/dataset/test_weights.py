"""Scores weigh the draws: what is believed less is seen less, in proportion."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from mousefacelift.core.cameras import canonical_fxfycxcy, orbit
from mousefacelift.dataset.build import build_dataset
from mousefacelift.dataset.config import DatasetConfig, GateConfig, LoaderConfig
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.dataset.mixture import MixtureSampler
from mousefacelift.dataset.selection import choose_views
from mousefacelift.distill.dedupe import consensus_scores
from mousefacelift.splats.trust import Trust
from tests.dataset.conftest import toy_sample, write_chunk

QUICK = DatasetConfig(gate=GateConfig(mask_size=32), attach_real_views=False)
WEIGHTS = (1.0, 1.0, 0.25)  # of distill.views.dedupe


def distilled_scores():
    """Consensus of a view that its twin and the hull confirm, and of one that they do not."""
    good = consensus_scores(np.array([[1.0, 0.98], [0.98, 1.0]]), np.full(2, 0.95), np.full(2, 30.0), WEIGHTS)[0]
    poor = consensus_scores(np.array([[1.0, 0.40], [0.40, 1.0]]), np.full(2, 0.30), np.full(2, 90.0), WEIGHTS)[0]
    return good, poor


def splat_scores():
    """Trust of a view near a camera, and of one far away."""
    trust = Trust(np.array([0.0, 40.0]), np.array([0.02, 0.10]), np.linspace(0.2, 2.0, 50), 0.02, 0.1)
    return tuple(trust.judge(angle, 0.02, 0.06)[1] for angle in (8.0, 30.0))


@pytest.mark.parametrize("source, scores", [("distilled", distilled_scores), ("splat", splat_scores)])
def test_a_poor_sample_is_drawn_as_much_less_as_its_scores_say(toy_chunks, tmp_path, source, scores):
    good, poor = scores()
    assert 0.3 < poor / good < 0.8 and good <= 1
    cameras = [orbit(a, 15, 2.7, canonical_fxfycxcy(32), 32, 32) for a in (0, 60, 120, 190, 250)]
    samples = {}
    for frame, score in ((0, good), (1, poor)):
        sample = toy_sample(cameras, 7.0 * frame, source=source, frame=frame)
        views = tuple(replace(v, facts=replace(v.facts, score=float(score))) for v in sample.views)
        samples[f"{frame:06d}"] = replace(sample, views=views)
    index = write_chunk(tmp_path / source, samples)
    build_dataset([index], toy_chunks[1], tmp_path / "dataset", QUICK)
    manifest = Manifest.open(tmp_path / "dataset")
    rows, weights = manifest.pool(source, "train")
    np.testing.assert_allclose(weights, [good, poor], rtol=1e-6)
    sampler = MixtureSampler(manifest, f"{source}-only", 0, steps=1500, batch_size=8, inputs=(3, 3))
    drawn = Counter(draw.row for step in range(1500) for draw in sampler.draw(step))
    ratio = drawn[rows[1]] / drawn[rows[0]]
    assert ratio == pytest.approx(poor / good, rel=0.08)  # 6000 epochs of two: one standard deviation is 2%


def test_a_poor_view_is_shown_less_than_the_others_of_its_sample(toy_chunks, tmp_path):
    cameras = [orbit(a, 15, 2.7, canonical_fxfycxcy(32), 32, 32) for a in (0, 60, 120, 190, 250)]
    sample = toy_sample(cameras, source="splat", frame=0)
    doubted = replace(sample.views[0], facts=replace(sample.views[0].facts, score=0.2))
    index = write_chunk(tmp_path / "splat", {"0": replace(sample, views=(doubted, *sample.views[1:]))})
    build_dataset([index], toy_chunks[1], tmp_path / "dataset", QUICK)
    views = Manifest.open(tmp_path / "dataset").views_of(0)
    config, shown = LoaderConfig(inputs=(1, 1)), Counter()
    for seed in range(2000):
        shown.update(choose_views(views, 1, config, np.random.default_rng(seed))[0].tolist())
    assert shown[0] / np.mean([shown[i] for i in range(1, 5)]) == pytest.approx(0.2, abs=0.05)
