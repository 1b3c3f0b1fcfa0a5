"""Vectors of float32 in Numba code: one register, `LANES` elements, and the operations on it.

A Numba loop becomes vector code only where LLVM can prove that it may, and has no way to keep a value in a
register. With these, ``load(p, i) * scale + shift`` is two instructions, whatever stands around it. Memory is a
pointer (`floats_at` makes one of an address), and an offset is a count of elements. Nothing is checked.

Where fewer than `LANES` elements are left, `load_first` and `store_first` touch no more than those.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

from audioconv.kernels.jit import LANES
from audioconv.kernels.llvm_vectors import (
    F64,
    HAS_MASKED_STORES,
    I8,
    I32,
    I64,
    VECTOR,
    broadcast,
    declare,
    element_pointer,
    larger_vector,
    load_as,
    load_vector,
    mask_of_first,
    masked_load,
    stack_slot,
    store_as,
    store_vector,
)
from audioconv.kernels.numba_internals import pointer_to, pointer_type

_DOUBLES = ir.VectorType(F64, LANES)
_CONTRACT = ("contract",)  # a product and a sum may become one fused operation

FLOATS = types.CPointer(types.float32)
DOUBLES = types.CPointer(types.float64)
INTS = types.CPointer(types.int32)
LONGS = types.CPointer(types.int64)
SEEDS = types.CPointer(types.uint64)


class VectorType(types.Type):
    """Numba's type of `LANES` float32 elements."""

    def __init__(self) -> None:
        super().__init__(name=f"float32x{LANES}")


vector = VectorType()


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, VECTOR)


def _operation(function, instruction):
    """Make Python's operator `function` on two vectors the builder's `instruction`."""

    @type_callable(function)
    def type_operation(context):
        return lambda a, b: vector if a == b == vector else None

    @lower_builtin(function, vector, vector)
    def lower(context, builder, signature, arguments):
        return getattr(builder, instruction)(*arguments, flags=_CONTRACT)


for _function, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _operation(_function, _instruction)


def _pointer_to(kind):
    @intrinsic
    def cast(context, address, offset):
        def codegen(context, builder, signature, arguments):
            base = builder.inttoptr(arguments[0], context.get_value_type(kind))
            return element_pointer(builder, base, arguments[1], context.get_value_type(kind.dtype))

        return kind(types.int64, types.int64), codegen

    return cast


floats_at = _pointer_to(FLOATS)
"""``floats_at(address, i)``: pointer to float32 element i behind an address."""
doubles_at = _pointer_to(DOUBLES)
ints_at = _pointer_to(INTS)
longs_at = _pointer_to(LONGS)
seeds_at = _pointer_to(SEEDS)


@intrinsic
def address_of(context, array):
    """Return where the elements of a contiguous array begin."""

    def codegen(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.ptrtoint(data, I64)

    return types.int64(array), codegen


@intrinsic
def address_of_pointer(context, pointer):
    """Return the address that a pointer holds: `longs_at` and the like, backward."""

    def codegen(context, builder, signature, arguments):
        return builder.ptrtoint(arguments[0], I64)

    return types.int64(pointer), codegen


@intrinsic
def offset_pointer(context, base, offset):
    """Return the pointer `offset` elements behind `base`."""

    def codegen(context, builder, signature, arguments):
        return element_pointer(builder, *arguments, context.get_value_type(signature.args[0].dtype))

    return base(base, types.int64), codegen


@intrinsic
def load(context, base, offset):
    """Return the `LANES` elements from ``base[offset]``."""

    def codegen(context, builder, signature, arguments):
        return load_vector(builder, element_pointer(builder, *arguments))

    return vector(FLOATS, types.int64), codegen


@intrinsic
def load_first(context, base, offset, count):
    """Return the first `count` elements from ``base[offset]``, zeros behind them."""

    def codegen(context, builder, signature, arguments):
        base, offset, count = arguments
        place = element_pointer(builder, base, offset)
        if HAS_MASKED_STORES:
            return masked_load(builder, place, count)
        value = stack_slot(builder, VECTOR)
        with builder.if_else(builder.icmp_signed(">=", count, I64(LANES)), likely=True) as (round_up_to_lanes, part):
            with round_up_to_lanes:
                builder.store(load_vector(builder, place), value)
            with part:
                builder.store(masked_load(builder, place, count), value)
        return load_as(builder, value, VECTOR)

    return vector(FLOATS, types.int64, types.int64), codegen


@intrinsic
def store_first(context, base, offset, count, value):
    """Write the first `count` elements of `value` to ``base[offset]``; `count` may be more than there are lanes."""

    def codegen(context, builder, signature, arguments):
        base, offset, count, value = arguments
        store_vector(builder, value, element_pointer(builder, base, offset), count)
        return context.get_dummy_value()

    return types.void(FLOATS, types.int64, types.int64, vector), codegen


@intrinsic
def store_nontemporal(context, base, offset, value):
    """Write all of `value` to ``base[offset]``, a multiple of its size in memory, without bringing the line first.

    Other threads see it after a `fence`.
    """

    def codegen(context, builder, signature, arguments):
        base, offset, value = arguments
        store = store_as(builder, value, element_pointer(builder, base, offset), 4 * LANES)
        store.set_metadata("nontemporal", builder.module.add_metadata([I32(1)]))
        return context.get_dummy_value()

    return types.void(FLOATS, types.int64, vector), codegen


@intrinsic
def fence(context):
    """Let all that was written so far be seen before what is written next."""

    def codegen(context, builder, signature, arguments):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def prefetch(context, base, offset):
    """Prefetch the cache line of ``base[offset]``; any address is allowed."""

    def codegen(context, builder, signature, arguments):
        pointer = pointer_to(builder, element_pointer(builder, *arguments), I8)
        kind = ir.FunctionType(ir.VoidType(), [pointer_type(I8), I32, I32, I32])
        function = declare(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [pointer, I32(0), I32(3), I32(1)])  # to read, into all caches, data
        return context.get_dummy_value()

    return types.void(FLOATS, types.int64), codegen


@intrinsic
def first_of(context, value, count):
    """Return the first `count` elements of `value`, zeros behind them."""

    def codegen(context, builder, signature, arguments):
        value, count = arguments
        zeros = ir.Constant(VECTOR, [0.0] * LANES)
        return builder.select(mask_of_first(builder, count), value, zeros)

    return vector(vector, types.int64), codegen


@intrinsic
def splat(context, number):
    """Return a vector with `number` in all lanes."""

    def codegen(context, builder, signature, arguments):
        return broadcast(builder, arguments[0])

    return vector(types.float32), codegen


def _choice(comparison):
    @intrinsic
    def choose(context, a, b, then, otherwise):
        def codegen(context, builder, signature, arguments):
            a, b, then, otherwise = arguments
            return builder.select(builder.fcmp_ordered(comparison, a, b), then, otherwise)

        return vector(vector, vector, vector, vector), codegen

    return choose


where_less = _choice("<")
"""``where_less(a, b, c, d)``: lane by lane, c where a < b and d elsewhere (also where either is NaN)."""
where_equal = _choice("==")


@intrinsic
def larger(context, a, b):
    """Return the larger of each pair; NaN where either is."""

    def codegen(context, builder, signature, arguments):
        return larger_vector(builder, *arguments)

    return vector(vector, vector), codegen


@intrinsic
def two_to_the(context, shifted):
    """Return ``2 ** n`` for whole numbers n from -126 to 127, given as ``1.5 * 2 ** 23 + n``: n is in the last bits."""

    def codegen(context, builder, signature, arguments):
        integers = ir.VectorType(I32, LANES)
        exponents = builder.shl(builder.bitcast(arguments[0], integers), ir.Constant(integers, [23] * LANES))
        return builder.bitcast(builder.add(exponents, ir.Constant(integers, [127 << 23] * LANES)), VECTOR)

    return vector(vector), codegen


@intrinsic
def add_to_float64(context, base, offset, value):
    """Add the lanes of `value` to the float64 elements from ``base[offset]``."""

    def codegen(context, builder, signature, arguments):
        base, offset, value = arguments
        place = element_pointer(builder, base, offset, F64)
        total = load_as(builder, place, _DOUBLES, 8)
        store_as(builder, builder.fadd(total, builder.fpext(value, _DOUBLES)), place, 8)
        return context.get_dummy_value()

    return types.void(DOUBLES, types.int64, vector), codegen
