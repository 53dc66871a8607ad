"""Splits: contiguous, guarded, respectful of cuts; anything that leaks is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mousefacelift.dataset.config import SplitConfig
from mousefacelift.dataset.splits import object_split, protocol_of, split_recordings, split_time
from mousefacelift.errors import ConfigError, DataError


def track(name="m1", frames=range(18000), fps=100.0, cuts=(5900, 11800, 17700), correlation=0.8) -> dict:
    return {
        "recording": name,
        "fps": fps,
        "frames": list(frames),
        "cuts": list(cuts),
        "correlation_time_s": correlation,
    }


def test_public_recording_is_split_into_guarded_blocks_that_end_at_its_cuts():
    document = split_recordings([track(frames=range(0, 18000, 5))], SplitConfig(blocks=2))
    blocks = document.facts["m1"]["blocks"]
    for cut in (5900, 11800, 17700):
        assert not any(b["first"] < cut <= b["last"] for b in blocks)
    assert {"train", "val", "test", "guard"} == {b["split"] for b in blocks}
    used = [b for b in blocks if b["split"] != "guard"]
    assert sum(b["frames"] for b in used if b["split"] == "train") == pytest.approx(
        0.7 * sum(b["frames"] for b in used), rel=0.02
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(40, 400), st.integers(1, 3), st.floats(0.05, 0.4), st.integers(0, 10_000))
def test_frames_of_different_splits_are_never_nearer_than_the_guard(count, step, guard, seed):
    rng = np.random.default_rng(seed)
    frames = np.sort(rng.choice(np.arange(0, count * step * 2, step), count, replace=False))
    labels = split_time(frames, 10.0, guard, SplitConfig(guard_frames_max_share=0.9))
    kept = [(f, s) for f, s in zip(frames, labels) if s != "guard"]
    assert all((b[0] - a[0]) / 10.0 >= guard - 1e-9 for a, b in zip(kept, kept[1:]) if a[1] != b[1])
    assert {"train", "val", "test"} == {s for _, s in kept}


def test_guard_is_the_measured_correlation_time_when_that_is_longer():
    assert split_recordings([track()], SplitConfig(guard_s=0.1)).facts["m1"]["guard_s"] == 0.8
    assert split_recordings([track()], SplitConfig(guard_s=2.0)).facts["m1"]["guard_s"] == 2.0


def test_a_shuffled_split_is_refused():
    splits = split_recordings([track(frames=range(0, 2000, 8), cuts=())], SplitConfig())
    labels = splits.recordings["m1"]
    shuffled = np.random.default_rng(42).permutation(list(labels.values()))
    with pytest.raises(DataError, match="shuffled split"):
        replace(splits, recordings={"m1": dict(zip(labels, shuffled.tolist()))})


def test_adjacent_blocks_without_a_guard_are_refused():
    splits = split_recordings([track(frames=range(400), cuts=())], SplitConfig())
    with pytest.raises(DataError, match="without guard gaps"):
        replace(splits, recordings={"m1": {f: "train" if f < 300 else "val" for f in range(400)}})


def test_a_recording_too_short_for_its_guards_is_refused():
    with pytest.raises(ConfigError, match="too short"):
        split_recordings([track(frames=range(48), fps=10.0, cuts=(), correlation=2.0)], SplitConfig())


def test_recordings_and_animals_can_be_kept_apart():
    tracks = [track(name) for name in ("a1", "a2", "b1")]
    by_recording = split_recordings(tracks, SplitConfig(by="recording", test_names=("a2",)))
    assert {r: set(s.values()) for r, s in by_recording.recordings.items()} == {
        "a1": {"train"},
        "a2": {"test"},
        "b1": {"train"},
    }
    animals = SplitConfig(by="subject", test_names=("A",), subjects={"a1": "A", "a2": "A", "b1": "B"})
    assert set(split_recordings(tracks, animals).recordings["a1"].values()) == {"test"}
    with pytest.raises(ConfigError, match="names that exist"):
        split_recordings(tracks, SplitConfig(by="recording", test_names=("zzz",)))
    with pytest.raises(DataError, match="listed twice"):
        split_recordings([track(), track()], SplitConfig())


def test_protocols():
    assert [
        protocol_of(s, h)
        for s, h in (("train", False), ("test", False), ("train", True), ("test", True), ("guard", False))
    ] == ["train", "A", "B", "C", "none"]


def test_objects_are_split_by_name_alone():
    config = SplitConfig()
    splits = [object_split(f"asset{i}", config) for i in range(2000)]
    assert splits.count("test") == pytest.approx(200, abs=50) and splits.count("val") == pytest.approx(200, abs=50)
    assert object_split("asset7", config) == splits[7]
