"""Sums over lanes: up to 16 vectors at once by one tree of shuffles."""

from __future__ import annotations

from llvmlite import ir
from numba.core.extending import intrinsic

from mousefacelift.core.render.simd.types import LANES

SUM_LANE = tuple(4 * (quantity % 4) + quantity // 4 for quantity in range(16))  # where `sum_each` leaves its sums


def _fold(builder, a, b, width: int):
    """Halve the partial sums of a and b: groups of 2 * width lanes become groups of width lanes, a's before b's.

    The group layout follows the register layout of x86 (128-bit quarters), so that each step is one shuffle a side.
    """
    if width >= 4:
        groups = range(0, LANES, 2 * width)
        low = [g + i for g in groups for i in range(width)]
        high = [g + width + i for g in groups for i in range(width)]
    else:
        low = [q + g + i for q in range(0, LANES, 4) for g in range(0, 4, 2 * width) for i in range(width)]
        high = [lane + width for lane in low]
    if width >= 4:
        low, high = low + [LANES + i for i in low], high + [LANES + i for i in high]
    else:
        half = len(low) // 4

        def interleave(lanes):
            out = []
            for quarter in range(4):
                part = lanes[quarter * half : (quarter + 1) * half]
                out += part + [LANES + i for i in part]
            return out

        low, high = interleave(low), interleave(high)
    picks = ir.VectorType(ir.IntType(32), LANES)
    return builder.fadd(
        builder.shuffle_vector(a, b, ir.Constant(picks, low)), builder.shuffle_vector(a, b, ir.Constant(picks, high))
    )


def sum_tree(builder, parts: list):
    """One vector whose lane SUM_LANE[q] is the sum over the lanes of parts[q] (at most 16 parts)."""
    parts = list(parts) + [parts[-1]] * (-len(parts) % 4)
    pairs = [_fold(builder, parts[i], parts[i + 1], 8) for i in range(0, len(parts), 2)]
    quads = [_fold(builder, pairs[i], pairs[i + 1], 4) for i in range(0, len(pairs), 2)]
    quads += [quads[-1]] * (-len(quads) % 4)
    halves = [_fold(builder, quads[i], quads[i + 1], 2) for i in (0, 2)]
    return _fold(builder, *halves, 1)


@intrinsic
def sum_each(typingctx, parts):
    """Horizontal sums of a tuple of up to 16 vectors at once; the sum of parts[q] is in lane SUM_LANE[q]."""
    vector = parts.dtype

    def codegen(context, builder, sig, args):
        return sum_tree(builder, [builder.extract_value(args[0], i) for i in range(parts.count)])

    return vector(parts), codegen
