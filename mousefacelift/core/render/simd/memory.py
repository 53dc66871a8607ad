"""Vectors between registers and memory: contiguous, strided, and blocks of 4 x 4 pixels. Nothing is bounds-checked."""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.extending import intrinsic

from mousefacelift.core.render.simd.types import LANES, element, llvm_vector, vectors


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
        return builder.load(_pointer(context, builder, array, *args, llvm_vector(vector)), align=_align(array.dtype))

    return vector(array, types.intp), codegen


@intrinsic
def store(typingctx, array, index, value):
    """array[index : index + 16] = value."""

    def codegen(context, builder, sig, args):
        place = _pointer(context, builder, array, args[0], args[1], llvm_vector(value))
        builder.store(args[2], place, align=_align(array.dtype))
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


@intrinsic
def get(typingctx, array, index):
    """array[index] without wraparound or bounds check."""

    def codegen(context, builder, sig, args):
        return builder.load(
            builder.gep(cgutils.create_struct_proxy(array)(context, builder, args[0]).data, [args[1]]),
            align=_align(array.dtype),
        )

    return array.dtype(array, types.intp), codegen


def _quarter(builder, vector, row: int):
    picks = ir.Constant(ir.VectorType(ir.IntType(32), 4), [4 * row + i for i in range(4)])
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), picks)


@intrinsic
def store_block(typingctx, array, index, stride, value):
    """Write lanes 4 r + c to array[index + r * stride + c]: a block of 4 x 4 pixels of a row-major image."""

    def codegen(context, builder, sig, args):
        data, place, step, vector = args
        part = ir.VectorType(element(value.dtype), 4)
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
        part = ir.VectorType(element(array.dtype), 4)
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
        out = ir.Constant(llvm_vector(vector), ir.Undefined)
        for lane in range(LANES):
            element = builder.load(builder.gep(pointer, [place]), align=_align(array.dtype))
            out = builder.insert_element(out, element, ir.Constant(ir.IntType(32), lane))
            place = builder.add(place, step)
        return out

    return vector(array, types.intp, types.intp), codegen
