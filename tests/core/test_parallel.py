import threading
import time

import pytest
import torch

from mousefacelift.core.parallel import in_order


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_come_in_order_and_no_more_are_held_than_threads(threads):
    begun, lock, most = 0, threading.Lock(), 0

    def work(item):
        nonlocal begun
        with lock:
            begun += 1
        time.sleep(0.002 * (item % 3))
        return item, torch.get_num_threads()

    torch.set_num_threads(2)
    for taken, (item, torch_threads) in enumerate(in_order(work, range(12), threads)):
        assert item == taken and torch_threads == 1
        most = max(most, begun - taken)
    assert most <= threads and begun == 12
    assert torch.get_num_threads() == 2


def test_a_failure_of_one_item_is_raised_in_its_place():
    def work(item):
        if item == 2:
            raise ValueError("two")
        return item

    results = in_order(work, range(5), 2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)
