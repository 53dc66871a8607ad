"""A few of many, evenly: the ends are among them, none twice."""

from mousefacelift.core.spread import spread


def test_a_few_of_many_are_evenly_spread_with_both_ends():
    assert spread(101, 5).tolist() == [0, 25, 50, 75, 100]


def test_fewer_than_asked_are_all_of_them_once():
    assert spread(3, 10).tolist() == [0, 1, 2] and spread(0, 10).tolist() == [] and spread(7, 1).tolist() == [0]
