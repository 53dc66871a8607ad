import itertools

import pytest
import torch

from mousefacelift.lrm.gradients import StepGradients, TreeSum, node_spans


def tree(values):
    """The sum as a binary tree, written down: split at the largest power of two below the length."""
    if len(values) == 1:
        return values[0]
    half = 1 << (len(values) - 1).bit_length() - 1
    return tree(values[:half]) + tree(values[half:])


@pytest.mark.parametrize(
    "leaves, processes", [(1, 1), (2, 1), (5, 1), (8, 1), (2, 2), (4, 2), (6, 2), (6, 3), (8, 4), (12, 4)]
)
def test_any_division_of_a_step_gives_the_bits_of_the_same_tree(leaves, processes):
    generator = torch.Generator().manual_seed(leaves)
    gradients = torch.randn(leaves, 64, generator=generator) * 10 ** torch.randn(leaves, 1, generator=generator)
    per_process, nodes = leaves // processes, []
    for rank in range(processes):
        parameter = torch.nn.Parameter(torch.zeros(64))
        step = StepGradients([parameter], rank * per_process, per_process, 1)
        for leaf in range(rank * per_process, (rank + 1) * per_process):
            parameter.grad = gradients[leaf].clone() if parameter.grad is None else parameter.grad.add_(gradients[leaf])
            step.took()
        assert [(first, count) for first, count, _ in step.tree.nodes] == node_spans(rank * per_process, per_process)
        nodes += step.tree.nodes
    total = TreeSum()
    for first, count, values in nodes:
        total.add(first, count, values)
    assert torch.equal(total.total()[0], tree(list(gradients)))


def test_the_order_matters_at_all():
    """Else the test above would prove nothing."""
    values = torch.randn(6, 64, generator=torch.Generator().manual_seed(0)) * torch.logspace(-3, 3, 6)[:, None]
    sums = {tuple(sum(values[i] for i in order).tolist()) for order in itertools.permutations(range(6), 6)}
    assert len(sums) > 1
