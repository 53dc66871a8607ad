import math
import operator

import pytest

from mousefacelift.processes import WAITING, in_processes


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
