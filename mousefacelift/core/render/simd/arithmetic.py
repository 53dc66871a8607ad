"""Lane by lane: constants, fused multiply-add, selection, extrema, roots, 2^x."""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.extending import intrinsic

from mousefacelift.core.render.simd.types import (
    LANES,
    MaskType,
    VectorType,
    as_vector,
    common_vector,
    constant,
    llvm_vector,
    splat,
    vectors,
)


def _call(builder, name: str, *operands):
    kind = operands[0].type
    bits = 32 if kind.element == ir.FloatType() else 64
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(kind, [o.type for o in operands]), f"llvm.{name}.v{kind.count}f{bits}"
    )
    return builder.call(function, operands)


@intrinsic
def fill(typingctx, array, scalar):
    """Vector of the array's type with every lane = scalar."""
    vector = vectors[array.dtype]

    def codegen(context, builder, sig, args):
        return splat(builder, context.cast(builder, args[1], sig.args[1], vector.dtype))

    return vector(array, scalar), codegen


@intrinsic
def block_columns(typingctx, array):
    """Column + 0.5 of each lane of a 4 x 4 block."""
    vector = vectors[array.dtype]
    return vector(array), lambda context, builder, sig, args: constant(vector, [i % 4 + 0.5 for i in range(LANES)])


@intrinsic
def block_rows(typingctx, array):
    """Row + 0.5 of each lane of a 4 x 4 block."""
    vector = vectors[array.dtype]
    return vector(array), lambda context, builder, sig, args: constant(vector, [i // 4 + 0.5 for i in range(LANES)])


@intrinsic
def fma(typingctx, a, b, c):
    """a * b + c, fused where the machine can."""
    vector = common_vector(a, b, c)
    if vector is None:
        return None

    def codegen(context, builder, sig, args):
        operands = [as_vector(context, builder, value, kind, vector) for value, kind in zip(args, sig.args)]
        return _call(builder, "fmuladd", *operands)

    return vector(a, b, c), codegen


@intrinsic
def fnma(typingctx, a, b, c):
    """c - a * b, fused where the machine can."""
    vector = common_vector(a, b, c)
    if vector is None:
        return None

    def codegen(context, builder, sig, args):
        x, y, z = (as_vector(context, builder, value, kind, vector) for value, kind in zip(args, sig.args))
        return _call(builder, "fmuladd", builder.fneg(x), y, z)

    return vector(a, b, c), codegen


@intrinsic
def select(typingctx, chosen, a, b):
    """a where chosen, else b."""
    vector = common_vector(a, b)
    if vector is None or not isinstance(chosen, MaskType):
        return None

    def codegen(context, builder, sig, args):
        x, y = (as_vector(context, builder, value, kind, vector) for value, kind in zip(args[1:], sig.args[1:]))
        return builder.select(args[0], x, y)

    return vector(chosen, a, b), codegen


@intrinsic
def any_lane(typingctx, chosen):
    """True when a lane of the mask is set."""

    def codegen(context, builder, sig, args):
        bits = builder.bitcast(args[0], ir.IntType(LANES))
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return types.boolean(chosen), codegen


def _extremum(sign: str):
    @intrinsic
    def extremum(typingctx, a, b):
        vector = common_vector(a, b)
        if vector is None:
            return None

        def codegen(context, builder, sig, args):
            x, y = (as_vector(context, builder, value, kind, vector) for value, kind in zip(args, sig.args))
            return builder.select(builder.fcmp_ordered(sign, x, y), x, y)

        return vector(a, b), codegen

    return extremum


minimum = _extremum("<")
maximum = _extremum(">")


def _unary(name: str):
    @intrinsic
    def unary(typingctx, a):
        if not isinstance(a, VectorType):
            return None
        return a(a), lambda context, builder, sig, args: _call(builder, name, args[0])

    return unary


sqrt = _unary("sqrt")
floor = _unary("floor")
ceil = _unary("ceil")
log2 = _unary("log2")  # a library call per lane; for the antialiased mode only


def _exp2_coefficients(dtype: types.Float) -> list[float]:
    if dtype == types.float64:
        return [math.log(2.0) ** k / math.factorial(k) for k in range(14)]  # Taylor: next term below 4e-18
    fit = np.polynomial.Chebyshev.interpolate(np.exp2, 5, domain=[-0.5, 0.5])
    return list(fit.convert(kind=np.polynomial.Polynomial).coef)


@intrinsic
def exp2(typingctx, a):
    """2^a for |a| < 126 to 2 units in the last place; other lanes hold garbage and must be masked.

    a = n + f with f in [-0.5, 0.5]: adding 1.5 * 2^(mantissa bits) rounds to the integer n and leaves it in the low
    bits, a polynomial gives 2^f, and n is added to its exponent.
    """
    if not isinstance(a, VectorType):
        return None

    def codegen(context, builder, sig, args):
        bits = 23 if a.dtype == types.float32 else 52
        magic = constant(a, 1.5 * 2.0**bits)
        shifted = builder.fadd(args[0], magic)
        fraction = builder.fsub(args[0], builder.fsub(shifted, magic))
        coefficients = _exp2_coefficients(a.dtype)
        power = constant(a, coefficients[-1])
        for coefficient in coefficients[-2::-1]:
            power = _call(builder, "fmuladd", power, fraction, constant(a, coefficient))
        integer = ir.VectorType(ir.IntType(a.dtype.bitwidth), LANES)
        exponent = builder.shl(builder.bitcast(shifted, integer), ir.Constant(integer, [bits] * LANES))
        return builder.bitcast(builder.add(builder.bitcast(power, integer), exponent), llvm_vector(a))

    return a(a), codegen
