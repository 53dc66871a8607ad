"""The gradient of a step as a sum in one fixed order, however many processes share the step.

Floating-point sums depend on their order. The gradients of the micro-batches 0..L-1 of a step are therefore always
added as the same binary tree: neighbours in pairs, pairs of pairs, and so on. Process r of W computes a run of
micro-batches, so that its part is one node of the tree (or a few); the nodes of all processes are exchanged and
everyone adds the rest of the tree. A run that goes on with another number of processes goes on with the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor

BUCKET = 1 << 24  # numbers exchanged at a time


class TreeSum:
    """Adds nodes (first leaf, leaves, values), given in the order of their leaves, as a binary tree."""

    def __init__(self) -> None:
        self.nodes: list[tuple[int, int, list[Tensor]]] = []

    def add(self, first: int, count: int, values: list[Tensor]) -> None:
        """Append a node and merge equal neighbours that have one parent. `values` are changed in place."""
        self.nodes.append((first, count, values))
        while len(self.nodes) > 1:
            (left, size, into), (_, other, values) = self.nodes[-2:]
            if size != other or left % (2 * size):
                break
            torch._foreach_add_(into, values)
            self.nodes[-2:] = [(left, 2 * size, into)]

    def total(self) -> list[Tensor]:
        """The sum of all nodes: what has no equal neighbour is added from the right."""
        while len(self.nodes) > 1:
            left, size, into = self.nodes[-2]
            torch._foreach_add_(into, self.nodes[-1][2])
            self.nodes[-2:] = [(left, size, into)]
        return self.nodes[0][2]


class StepGradients:
    """Collects the gradients of this process's micro-batches of one step.

    Args:
        parameters: all that may have a gradient.
        first: number of this process's first micro-batch in the step. per_process: how many each process has.
        processes: that share the step.
    """

    def __init__(self, parameters: Sequence[torch.nn.Parameter], first: int, per_process: int, processes: int) -> None:
        self.parameters, self.first, self.per_process, self.processes = list(parameters), first, per_process, processes
        self.tree, self.start, self.taken = TreeSum(), first, first

    def took(self) -> None:
        """A backward pass has added one more micro-batch to the parameters' gradients."""
        self.taken += 1
        is_pair = self.taken - self.start == 2
        if is_pair or self.start % 2 or self.taken == self.first + self.per_process:
            self.tree.add(self.start, self.taken - self.start, [p.grad for p in self._held() if p.grad is not None])
            self.start = self.taken
            if self.taken < self.first + self.per_process:
                for parameter in self.parameters:
                    parameter.grad = None

    def finish(self) -> None:
        """Leave the sum over all micro-batches of all processes in the parameters' gradients."""
        if self.processes > 1:
            self.tree = self._exchanged()
        for parameter, value in zip(self._held(), self.tree.total(), strict=True):
            parameter.grad = value

    def _held(self) -> list[torch.nn.Parameter]:
        return [p for p in self.parameters if p.grad is not None]

    def _exchanged(self) -> TreeSum:
        """The tree over the nodes of all processes."""
        spans = [node_spans(r * self.per_process, self.per_process) for r in range(self.processes)]
        sizes = [p.numel() for p in self._held()]
        flat = [torch.cat([value.flatten() for value in values]) for _, _, values in self.tree.nodes]
        gathered: dict[tuple[int, int], Tensor] = {}
        for k in range(max(map(len, spans))):
            mine = flat[k] if k < len(flat) else torch.zeros_like(flat[0])
            parts: list[list[Tensor]] = [[] for _ in spans]
            for piece in mine.split(BUCKET):
                received = [torch.empty_like(piece) for _ in spans]
                dist.all_gather(received, piece.contiguous())
                for rank, values in enumerate(received):
                    parts[rank].append(values)
            gathered |= {spans[r][k]: torch.cat(parts[r]) for r in range(len(spans)) if k < len(spans[r])}
        tree = TreeSum()
        for (first, count), values in sorted(gathered.items()):
            tree.add(first, count, [values])
        total = TreeSum()
        shapes = [p.shape for p in self._held()]
        total.add(0, 1, [v.view(shape) for v, shape in zip(tree.total()[0].split(sizes), shapes, strict=True)])
        return total


def node_spans(first: int, count: int) -> list[tuple[int, int]]:
    """(first leaf, leaves) of the tree's nodes that make up a run of leaves, as `StepGradients` leaves them."""
    spans: list[tuple[int, int]] = []
    for leaf in range(first, first + count):
        spans.append((leaf, 1))
        while len(spans) > 1 and spans[-1][1] == spans[-2][1] and spans[-2][0] % (2 * spans[-2][1]) == 0:
            spans[-2:] = [(spans[-2][0], 2 * spans[-2][1])]
    return spans
