import pytest

from mousefacelift.core.coverage import ring_gaps, say_coverage


def test_gaps_go_round_the_ring_whatever_the_order():
    assert ring_gaps([350, 10, 130]) == pytest.approx([120, 220, 20])
    assert sum(ring_gaps([-147.0, 34.0, 86.1, 725.0])) == pytest.approx(360)


def test_a_full_ring_needs_no_words_and_few_or_lopsided_cameras_do():
    assert say_coverage([0, 60, 120, 180, 240, 300]) == ""
    assert "4 cameras leave a gap of 90 degrees: a view in its middle is 45 degrees" in say_coverage([0, 90, 180, 270])
    assert "gap of 310 degrees" in say_coverage([0, 10, 20, 30, 40, 50])
