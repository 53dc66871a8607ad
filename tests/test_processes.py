import math
import operator
import os

import pytest

from mousefacelift.processes import WAITING, Processes, in_processes


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_order_and_few_items_are_handed_out_before_they_are_taken(jobs):
    handed = []

    def items():
        for item in range(40):
            handed.append(item)
            yield item

    for taken, (item, result) in enumerate(in_processes(operator.neg, items(), jobs)):
        assert item == taken and result == -taken
        assert len(handed) - taken <= WAITING * jobs + 1
    assert taken == 39


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_failure_of_one_item_is_raised_in_its_place(jobs):
    results = in_processes(math.sqrt, [1.0, 4.0, -1.0, 9.0], jobs)
    assert [next(results)[1], next(results)[1]] == [1, 2]
    with pytest.raises(ValueError):
        next(results)


def test_processes_stay_for_the_next_list_and_one_item_alone_needs_none():
    with Processes(1) as here, Processes(2) as there:
        assert {pid for _, pid in here.each(process_of, range(3))} == {os.getpid()}
        assert [pid for _, pid in there.each(process_of, [0])] == [os.getpid()]
        first, second = ({pid for _, pid in there.each(process_of, range(20))} for _ in range(2))
        assert len(first | second) <= 2 and os.getpid() not in first | second


def process_of(item):
    return os.getpid()
