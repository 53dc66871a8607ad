"""The manifest says when objects and animal are not framed alike."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mousefacelift.core.cameras import canonical_fxfycxcy, orbit
from mousefacelift.core.samples import Sample
from mousefacelift.dataset.build import build_dataset
from mousefacelift.dataset.framing import say_framing
from tests.dataset.conftest import QUICK, toy_sample, write_chunk


def test_distance_field_of_view_and_span_are_measured_and_alike_here(built):
    sources = json.loads((built / "dataset/dataset.json").read_text())["sources"]
    for source in ("real", "object"):
        assert sources[source]["distance"] == pytest.approx(2.7)
        assert sources[source]["field_of_view_deg"] == pytest.approx(50, abs=0.1)
        assert 0.1 < sources[source]["span"] < 1
    assert say_framing(sources) == ""


@pytest.mark.parametrize(
    ("key", "value"), [("distance", 20.6), ("field_of_view_deg", 9.0), ("span", 0.05), ("span", 0)]
)
def test_what_differs_by_more_than_twice_is_said(key, value):
    alike = {"distance": 2.7, "field_of_view_deg": 50.0, "span": 0.4}
    assert say_framing({"real": alike, "object": alike}) == ""
    text = say_framing({"real": alike | {key: value}, "object": alike})
    assert (
        "not framed alike" in text and "objects are seen from 2.7 units, 50 degrees of view, 40% of the width" in text
    )
    assert say_framing({"real": alike | {key: value}}) == ""


def test_span_is_the_longer_side_of_what_is_covered(toy_chunks, tmp_path):
    cameras = [orbit(a, 20, 2.7, canonical_fxfycxcy(32), 32, 32) for a in range(0, 360, 45)]
    whole = toy_sample(cameras, 0.0, source="object", asset="a")
    rgba = np.zeros((32, 32, 4), np.float32)
    rgba[8:12, 8:24] = 1  # half as wide as the picture
    sample = Sample(tuple(replace(view, rgba=rgba) for view in whole.views), whole.facts)
    header = build_dataset(
        [write_chunk(tmp_path / "o", {"000000": sample})], toy_chunks[1], tmp_path / "dataset", QUICK
    )
    assert header["sources"]["object"]["span"] == pytest.approx(0.5)
