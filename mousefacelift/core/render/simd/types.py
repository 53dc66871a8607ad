"""The vector and mask types, their LLVM forms, and + - * / < <= > >= & | on them."""

from __future__ import annotations

import operator

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.datamodel import models
from numba.core.extending import lower_builtin, register_model, type_callable

LANES = 16


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


def element(dtype: types.Float) -> ir.Type:
    return ir.FloatType() if dtype == types.float32 else ir.DoubleType()


def llvm_vector(vector: VectorType) -> ir.VectorType:
    return ir.VectorType(element(vector.dtype), LANES)


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, llvm_vector(fe_type))


@register_model(MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, ir.VectorType(ir.IntType(1), LANES))


def splat(builder, scalar, lanes: int = LANES):
    vector = ir.VectorType(scalar.type, lanes)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(
        first, ir.Constant(vector, ir.Undefined), ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    )


def constant(vector: VectorType, values) -> ir.Constant:
    values = [float(values)] * LANES if np.isscalar(values) else [float(v) for v in values]
    return ir.Constant(llvm_vector(vector), values)


def as_vector(context, builder, value, kind, vector: VectorType):
    if isinstance(kind, VectorType):
        return value
    return splat(builder, context.cast(builder, value, kind, vector.dtype))


def common_vector(*kinds):
    """The vector type among operands of which the others are vectors of the same type or numbers; else None."""
    found = {kind for kind in kinds if isinstance(kind, VectorType)}
    others = [kind for kind in kinds if not isinstance(kind, (VectorType, types.Number))]
    return found.pop() if len(found) == 1 and not others else None


def _register(function, result, emit) -> None:
    @type_callable(function)
    def typing(context):
        def typer(a, b):
            return result(a, b)

        return typer

    def lower(context, builder, sig, args):
        vector = common_vector(*sig.args)
        operands = [as_vector(context, builder, value, kind, vector) for value, kind in zip(args, sig.args)]
        return emit(builder, *operands)

    for kinds in ((VectorType, VectorType), (VectorType, types.Number), (types.Number, VectorType)):
        lower_builtin(function, *kinds)(lower)


for _function, _name in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _register(_function, common_vector, lambda builder, a, b, name=_name: getattr(builder, name)(a, b))

for _function, _sign in ((operator.lt, "<"), (operator.le, "<="), (operator.gt, ">"), (operator.ge, ">=")):
    _register(
        _function,
        lambda a, b: mask if common_vector(a, b) else None,
        lambda builder, a, b, sign=_sign: builder.fcmp_ordered(sign, a, b),
    )


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
