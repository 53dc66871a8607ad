"""What training loops share: rates, the guard, averages and checkpoints."""

import math

import pytest
import torch

from mousefacelift.core.training import (
    Average,
    check_applied,
    clip_gradients,
    cosine_fall,
    guarded_step,
    load_checkpoint,
    save_checkpoint,
    set_rate,
    warm_up,
)
from mousefacelift.errors import DataError, GateFailure


def test_rates_rise_linearly_and_fall_as_half_a_cosine():
    assert [warm_up(step, 4) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1] and warm_up(0, 0) == 1
    assert [round(cosine_fall(share), 9) for share in (0, 1 / 3, 0.5, 1)] == [1, 0.75, 0.5, 0]


def test_every_group_gets_its_share_of_the_rate():
    parameters = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.AdamW([{"params": parameters[:1]}, {"params": parameters[1:], "share": 0.5}], lr=1.0)
    set_rate(optimizer, 0.2)
    assert [group["lr"] for group in optimizer.param_groups] == [0.2, 0.1]


@pytest.mark.parametrize(
    ("gradient", "limit", "is_good", "applied"),
    [(3.0, 10.0, True, True), (30.0, 10.0, True, False), (3.0, 10.0, False, False), (math.nan, 10.0, True, False)],
)
def test_only_a_good_step_is_applied_and_gradients_are_gone_after_any(gradient, limit, is_good, applied):
    module = torch.nn.Linear(1, 1, bias=False)
    before = module.weight.item()
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    module.weight.grad = torch.full((1, 1), gradient)
    norm, done = guarded_step(optimizer, module.parameters(), 1.0, limit, is_good=is_good)
    assert done is applied and module.weight.grad is None and (norm == gradient or math.isnan(gradient))
    assert module.weight.item() == pytest.approx(before - (1.0 if applied else 0.0))  # clipped to norm 1


@pytest.mark.parametrize("scale", [0.1, 1.0, 20.0, math.nan, math.inf])
def test_gradients_are_clipped_as_torch_does(scale):
    ours, theirs = ([torch.nn.Parameter(torch.zeros(4, 3)), torch.nn.Parameter(torch.zeros(5))] for _ in range(2))
    for parameter, twin in zip(ours, theirs):
        parameter.grad = torch.randn(parameter.shape) / 17**0.5 * scale
        twin.grad = parameter.grad.clone()
    ours.append(torch.nn.Parameter(torch.zeros(2)))  # never reached by a loss
    norm, want = clip_gradients(ours, 1.0), float(torch.nn.utils.clip_grad_norm_(theirs, 1.0))
    assert norm == want or math.isnan(norm) and math.isnan(want)
    assert all(torch.equal(a.grad, b.grad) or not math.isfinite(scale) for a, b in zip(ours, theirs))
    assert math.isfinite(scale) or not all(torch.isfinite(a.grad).all() for a in ours[:2])


def test_infinite_gradients_are_skipped_without_a_limit():
    module = torch.nn.Linear(1, 1, bias=False)
    module.weight.grad = torch.full((1, 1), math.inf)
    assert guarded_step(torch.optim.SGD(module.parameters(), lr=1.0), module.parameters(), 1.0) == (math.inf, False)


def test_a_training_that_only_seems_to_train_is_refused():
    check_applied(0, 49, 50, 0.9, "h")
    check_applied(45, 5, 50, 0.9, "h")
    with pytest.raises(GateFailure, match=r"only 44 of 50 training steps(.|\n)*0.88(.|\n)*lower it"):
        check_applied(44, 6, 50, 0.9, "lower it")


def test_the_average_follows_its_formula():
    module = torch.nn.Linear(1, 1, bias=False)
    average, expected = Average(module, 0.5), module.weight.item()
    for step in range(1, 6):
        with torch.no_grad():
            module.weight.fill_(float(step))
        average.update(module, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert float(average.values["weight"]) == pytest.approx(expected, rel=1e-6)


def test_an_average_with_buffers_holds_the_whole_state():
    module = torch.nn.BatchNorm1d(1)
    average = Average(module, 0.5, with_buffers=True)
    with torch.no_grad():
        module.running_mean.fill_(2.0)
        module.num_batches_tracked.fill_(7)
    average.update(module, 100)
    assert average.values.keys() == module.state_dict().keys()
    assert average.values["running_mean"].item() == 1.0 and average.values["num_batches_tracked"].item() == 7
    average.copy_to(module)
    assert module.running_mean.item() == 1.0


def test_checkpoints_come_back_and_damaged_ones_are_named(tmp_path):
    save_checkpoint(tmp_path / "c.pt", {"step": 3, "weights": torch.arange(4)})
    assert load_checkpoint(tmp_path / "c.pt")["weights"].tolist() == [0, 1, 2, 3]
    (tmp_path / "c.pt").write_bytes((tmp_path / "c.pt").read_bytes()[:-40])
    with pytest.raises(DataError, match=r"c\.pt cannot be read(.|\n)*start over"):
        load_checkpoint(tmp_path / "c.pt")
