"""A 16-lane vector type for numba kernels, backed by LLVM vectors.

numba leaves vectorisation to LLVM's loop vectoriser, which gives up on splat blending (data-dependent masks, possible
aliasing). Here `<16 x float>` and `<16 x double>` are types of their own with + - * / and comparisons, so that a kernel
says what the machine shall do; LLVM lowers them to AVX-512, AVX2, SSE or NEON. Only numba's extension API is used.

Inside a kernel: `load(array, i)` and `store(array, i, v)` on 1-D contiguous arrays, `fma(a, b, c)`, `select(mask, a, b)`,
`exp2(v)`, `sum_each(...)` and so on; a scalar operand is broadcast. Nothing is bounds-checked.
"""

from __future__ import annotations

import math
import operator

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import models
from numba.core.extending import intrinsic, lower_builtin, register_model, type_callable

LANES = 16
SUM_LANE = tuple(4 * (quantity % 4) + quantity // 4 for quantity in range(16))  # where `sum_each` leaves its sums


class VectorType(types.Type):
    """16 floats or doubles."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        super().__init__(name=f"Vector{LANES}({dtype})")


class MaskType(types.Type):
    """16 truth values."""

    def __init__(self) -> None:
        super().__init__(name=f"Mask{LANES}")


vectors = {types.float32: VectorType(types.float32), types.float64: VectorType(types.float64)}
mask = MaskType()


def _element(dtype: types.Float) -> ir.Type:
    return ir.FloatType() if dtype == types.float32 else ir.DoubleType()


def _llvm(vector: VectorType) -> ir.VectorType:
    return ir.VectorType(_element(vector.dtype), LANES)


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, _llvm(fe_type))


@register_model(MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, ir.VectorType(ir.IntType(1), LANES))


# --- construction -----------------------------------------------------------------------------------------------------

def _splat(builder, scalar, lanes: int = LANES):
    vector = ir.VectorType(scalar.type, lanes)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined),
                                  ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes))


def _constant(vector: VectorType, values) -> ir.Constant:
    values = [float(values)] * LANES if np.isscalar(values) else [float(v) for v in values]
    return ir.Constant(_llvm(vector), values)


def _as_vector(context, builder, value, kind, vector: VectorType):
    if isinstance(kind, VectorType):
        return value
    return _splat(builder, context.cast(builder, value, kind, vector.dtype))


def _common(*kinds):
    """The vector type among operands of which the others are vectors of the same type or numbers; else None."""
    found = {kind for kind in kinds if isinstance(kind, VectorType)}
    others = [kind for kind in kinds if not isinstance(kind, (VectorType, types.Number))]
    return found.pop() if len(found) == 1 and not others else None


# --- operators --------------------------------------------------------------------------------------------------------

def _register(function, result, emit) -> None:
    @type_callable(function)
    def typing(context):
        def typer(a, b):
            return result(a, b)
        return typer

    def lower(context, builder, sig, args):
        vector = _common(*sig.args)
        operands = [_as_vector(context, builder, value, kind, vector) for value, kind in zip(args, sig.args)]
        return emit(builder, *operands)

    for kinds in ((VectorType, VectorType), (VectorType, types.Number), (types.Number, VectorType)):
        lower_builtin(function, *kinds)(lower)


for _function, _name in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"),
                         (operator.truediv, "fdiv")):
    _register(_function, _common, lambda builder, a, b, name=_name: getattr(builder, name)(a, b))

for _function, _sign in ((operator.lt, "<"), (operator.le, "<="), (operator.gt, ">"), (operator.ge, ">=")):
    _register(_function, lambda a, b: mask if _common(a, b) else None,
              lambda builder, a, b, sign=_sign: builder.fcmp_ordered(sign, a, b))


@type_callable(operator.and_)
def _type_and(context):
    return lambda a, b: mask if a is mask and b is mask else None


@lower_builtin(operator.and_, MaskType, MaskType)
def _lower_and(context, builder, sig, args):
    return builder.and_(*args)


@type_callable(operator.or_)
def _type_or(context):
    return lambda a, b: mask if a is mask and b is mask else None


@lower_builtin(operator.or_, MaskType, MaskType)
def _lower_or(context, builder, sig, args):
    return builder.or_(*args)


# --- memory -----------------------------------------------------------------------------------------------------------

def _pointer(context, builder, kind, array, index, element):
    data = cgutils.create_struct_proxy(kind)(context, builder, array).data
    place = builder.gep(data, [index])
    return builder.bitcast(place, element.as_pointer())


def _align(dtype) -> int:
    return dtype.bitwidth // 8


@intrinsic
def load(typingctx, array, index):
    """Vector of array[index : index + 16]."""
    if not isinstance(array, types.Array) or array.dtype not in vectors:
        return None
    vector = vectors[array.dtype]

    def codegen(context, builder, sig, args):
        return builder.load(_pointer(context, builder, array, *args, _llvm(vector)), align=_align(array.dtype))
    return vector(array, types.intp), codegen


@intrinsic
def store(typingctx, array, index, value):
    """array[index : index + 16] = value."""
    def codegen(context, builder, sig, args):
        place = _pointer(context, builder, array, args[0], args[1], _llvm(value))
        builder.store(args[2], place, align=_align(array.dtype))
        return context.get_dummy_value()
    return types.void(array, types.intp, value), codegen


@intrinsic
def get(typingctx, array, index):
    """array[index] without wraparound or bounds check."""
    def codegen(context, builder, sig, args):
        return builder.load(builder.gep(cgutils.create_struct_proxy(array)(context, builder, args[0]).data, [args[1]]),
                            align=_align(array.dtype))
    return array.dtype(array, types.intp), codegen


def _quarter(builder, vector, row: int):
    picks = ir.Constant(ir.VectorType(ir.IntType(32), 4), [4 * row + i for i in range(4)])
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), picks)


@intrinsic
def store_block(typingctx, array, index, stride, value):
    """Write lanes 4 r + c to array[index + r * stride + c]: a block of 4 x 4 pixels of a row-major image."""
    def codegen(context, builder, sig, args):
        data, place, step, vector = args
        part = ir.VectorType(_element(value.dtype), 4)
        for row in range(4):
            pointer = _pointer(context, builder, array, data, place, part)
            builder.store(_quarter(builder, vector, row), pointer, align=_align(array.dtype))
            place = builder.add(place, step)
        return context.get_dummy_value()
    return types.void(array, types.intp, types.intp, value), codegen


@intrinsic
def load_block(typingctx, array, index, stride):
    """Vector of 4 x 4 pixels, lane 4 r + c from array[index + r * stride + c]."""
    vector = vectors[array.dtype]

    def codegen(context, builder, sig, args):
        data, place, step = args
        part = ir.VectorType(_element(array.dtype), 4)
        rows = []
        for _ in range(4):
            rows.append(builder.load(_pointer(context, builder, array, data, place, part), align=_align(array.dtype)))
            place = builder.add(place, step)
        join = ir.Constant(ir.VectorType(ir.IntType(32), 8), list(range(8)))
        halves = [builder.shuffle_vector(rows[i], rows[i + 1], join) for i in (0, 2)]
        return builder.shuffle_vector(*halves, ir.Constant(ir.VectorType(ir.IntType(32), 16), list(range(16))))
    return vector(array, types.intp, types.intp), codegen


@intrinsic
def scatter(typingctx, array, index, stride, value):
    """array[index + lane * stride] = value[lane]."""
    def codegen(context, builder, sig, args):
        data, place, step, vector = args
        pointer = cgutils.create_struct_proxy(array)(context, builder, data).data
        for lane in range(LANES):
            element = builder.extract_element(vector, ir.Constant(ir.IntType(32), lane))
            builder.store(element, builder.gep(pointer, [place]), align=_align(array.dtype))
            place = builder.add(place, step)
        return context.get_dummy_value()
    return types.void(array, types.intp, types.intp, value), codegen


@intrinsic
def gather(typingctx, array, index, stride):
    """Vector with lane i = array[index + i * stride]."""
    vector = vectors[array.dtype]

    def codegen(context, builder, sig, args):
        data, place, step = args
        pointer = cgutils.create_struct_proxy(array)(context, builder, data).data
        out = ir.Constant(_llvm(vector), ir.Undefined)
        for lane in range(LANES):
            element = builder.load(builder.gep(pointer, [place]), align=_align(array.dtype))
            out = builder.insert_element(out, element, ir.Constant(ir.IntType(32), lane))
            place = builder.add(place, step)
        return out
    return vector(array, types.intp, types.intp), codegen


# --- elementwise ------------------------------------------------------------------------------------------------------

def _call(builder, name: str, *operands):
    kind = operands[0].type
    bits = 32 if kind.element == ir.FloatType() else 64
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(kind, [o.type for o in operands]), f"llvm.{name}.v{kind.count}f{bits}")
    return builder.call(function, operands)


@intrinsic
def fill(typingctx, array, scalar):
    """Vector of the array's type with every lane = scalar."""
    vector = vectors[array.dtype]

    def codegen(context, builder, sig, args):
        return _splat(builder, context.cast(builder, args[1], sig.args[1], vector.dtype))
    return vector(array, scalar), codegen


@intrinsic
def block_columns(typingctx, array):
    """Column + 0.5 of each lane of a 4 x 4 block."""
    vector = vectors[array.dtype]
    return vector(array), lambda context, builder, sig, args: _constant(vector, [i % 4 + 0.5 for i in range(LANES)])


@intrinsic
def block_rows(typingctx, array):
    """Row + 0.5 of each lane of a 4 x 4 block."""
    vector = vectors[array.dtype]
    return vector(array), lambda context, builder, sig, args: _constant(vector, [i // 4 + 0.5 for i in range(LANES)])


@intrinsic
def fma(typingctx, a, b, c):
    """a * b + c, fused where the machine can."""
    vector = _common(a, b, c)
    if vector is None:
        return None

    def codegen(context, builder, sig, args):
        operands = [_as_vector(context, builder, value, kind, vector) for value, kind in zip(args, sig.args)]
        return _call(builder, "fmuladd", *operands)
    return vector(a, b, c), codegen


@intrinsic
def fnma(typingctx, a, b, c):
    """c - a * b, fused where the machine can."""
    vector = _common(a, b, c)
    if vector is None:
        return None

    def codegen(context, builder, sig, args):
        x, y, z = (_as_vector(context, builder, value, kind, vector) for value, kind in zip(args, sig.args))
        return _call(builder, "fmuladd", builder.fneg(x), y, z)
    return vector(a, b, c), codegen


@intrinsic
def select(typingctx, chosen, a, b):
    """a where chosen, else b."""
    vector = _common(a, b)
    if vector is None or not isinstance(chosen, MaskType):
        return None

    def codegen(context, builder, sig, args):
        x, y = (_as_vector(context, builder, value, kind, vector) for value, kind in zip(args[1:], sig.args[1:]))
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
        vector = _common(a, b)
        if vector is None:
            return None

        def codegen(context, builder, sig, args):
            x, y = (_as_vector(context, builder, value, kind, vector) for value, kind in zip(args, sig.args))
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
        magic = _constant(a, 1.5 * 2.0**bits)
        shifted = builder.fadd(args[0], magic)
        fraction = builder.fsub(args[0], builder.fsub(shifted, magic))
        coefficients = _exp2_coefficients(a.dtype)
        power = _constant(a, coefficients[-1])
        for coefficient in coefficients[-2::-1]:
            power = _call(builder, "fmuladd", power, fraction, _constant(a, coefficient))
        integer = ir.VectorType(ir.IntType(a.dtype.bitwidth), LANES)
        exponent = builder.shl(builder.bitcast(shifted, integer), ir.Constant(integer, [bits] * LANES))
        return builder.bitcast(builder.add(builder.bitcast(power, integer), exponent), _llvm(a))
    return a(a), codegen


# --- reductions -------------------------------------------------------------------------------------------------------

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
                part = lanes[quarter * half:(quarter + 1) * half]
                out += part + [LANES + i for i in part]
            return out
        low, high = interleave(low), interleave(high)
    picks = ir.VectorType(ir.IntType(32), LANES)
    return builder.fadd(builder.shuffle_vector(a, b, ir.Constant(picks, low)),
                        builder.shuffle_vector(a, b, ir.Constant(picks, high)))


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


# --- scheduling -------------------------------------------------------------------------------------------------------

@intrinsic
def take_ticket(typingctx, counter):
    """Next task number of an int64 [1] counter shared by threads. Decides who works, never what is computed."""
    def codegen(context, builder, sig, args):
        data = cgutils.create_struct_proxy(counter)(context, builder, args[0]).data
        return builder.atomic_rmw("add", data, ir.Constant(ir.IntType(64), 1), "monotonic")
    return types.int64(counter), codegen
