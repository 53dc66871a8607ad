"""A 16-lane vector type for numba kernels, backed by LLVM vectors.

numba leaves vectorisation to LLVM's loop vectoriser, which gives up on splat blending (data-dependent masks, possible
aliasing). Here `<16 x float>` and `<16 x double>` are types of their own with + - * / and comparisons, so that a kernel
says what the machine shall do; LLVM lowers them to AVX-512, AVX2, SSE or NEON. Only numba's extension API is used.

Inside a kernel: `load(array, i)` and `store(array, i, v)` on 1-D contiguous arrays, `fma(a, b, c)`, `select(mask, a,
b)`, `exp2(v)`, `sum_each(...)` and so on; a scalar operand is broadcast. Nothing is bounds-checked.
"""

from mousefacelift.core.render.simd.arithmetic import (
    any_lane,
    block_columns,
    block_rows,
    ceil,
    exp2,
    fill,
    floor,
    fma,
    fnma,
    log2,
    maximum,
    minimum,
    select,
    sqrt,
)
from mousefacelift.core.render.simd.memory import gather, get, load, load_block, scatter, store, store_block
from mousefacelift.core.render.simd.reductions import SUM_LANE, sum_each
from mousefacelift.core.render.simd.types import LANES

__all__ = [
    "LANES",
    "SUM_LANE",
    "any_lane",
    "block_columns",
    "block_rows",
    "ceil",
    "exp2",
    "fill",
    "floor",
    "fma",
    "fnma",
    "gather",
    "get",
    "load",
    "load_block",
    "log2",
    "maximum",
    "minimum",
    "scatter",
    "select",
    "sqrt",
    "store",
    "store_block",
    "sum_each",
]
