"""Vectors of float32 in Numba code: one register, `LANES` numbers, and the operations on it.

A Numba loop becomes vector code only where LLVM can prove that it may, and knows nothing of what should stay in a
register. These say it: ``load(p, i) * scale + shift`` is two instructions, whatever stands around it. Memory is a
pointer (`floats_at` makes one of an address), and an offset is a count of numbers. Nothing is checked.

Where fewer than `LANES` numbers are left, `load_first` and `store_first` touch no more than those.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, models, register_model

from audioconv.kernels.jit import LANES
from audioconv.kernels.llvm_vectors import (
    F64,
    I32,
    I64,
    MASKS,
    REGISTER,
    at,
    larger_register,
    load_register,
    mask_of_first,
    masked_load,
    spread,
    store_register,
)

_DOUBLES = ir.VectorType(F64, LANES)
_CONTRACT = ("contract",)  # a product and a sum may become one fused operation

FLOATS = types.CPointer(types.float32)
DOUBLES = types.CPointer(types.float64)
INTS = types.CPointer(types.int32)
LONGS = types.CPointer(types.int64)
SEEDS = types.CPointer(types.uint64)


class VectorType(types.Type):
    """Numba's type of `LANES` float32 numbers."""

    def __init__(self) -> None:
        super().__init__(name=f"float32x{LANES}")


vector = VectorType()


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, REGISTER)


def _operation(function, instruction):
    """Make Python's operator `function` on two vectors the builder's `instruction`."""

    @infer_global(function)
    class Operation(ConcreteTemplate):
        cases = (signature(vector, vector, vector),)

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
            return at(builder, builder.inttoptr(arguments[0], context.get_value_type(kind)), arguments[1])

        return kind(types.int64, types.int64), codegen

    return cast


floats_at = _pointer_to(FLOATS)
"""``floats_at(address, i)``: pointer to float32 number i behind an address."""
doubles_at = _pointer_to(DOUBLES)
ints_at = _pointer_to(INTS)
longs_at = _pointer_to(LONGS)
seeds_at = _pointer_to(SEEDS)


@intrinsic
def address_of(context, array):
    """Return where the numbers of a contiguous array begin."""

    def codegen(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.ptrtoint(data, I64)

    return types.int64(array), codegen


@intrinsic
def ahead(context, base, offset):
    """Return the pointer `offset` numbers behind `base`."""

    def codegen(context, builder, signature, arguments):
        return at(builder, *arguments)

    return base(base, types.int64), codegen


@intrinsic
def load(context, base, offset):
    """Return the `LANES` numbers from ``base[offset]``."""

    def codegen(context, builder, signature, arguments):
        return load_register(builder, at(builder, *arguments))

    return vector(FLOATS, types.int64), codegen


@intrinsic
def load_first(context, base, offset, count):
    """Return the first `count` numbers from ``base[offset]``, zeros behind them."""

    def codegen(context, builder, signature, arguments):
        base, offset, count = arguments
        place = at(builder, base, offset)
        if MASKS:
            return masked_load(builder, place, count)
        value = cgutils.alloca_once(builder, REGISTER)
        with builder.if_else(builder.icmp_signed(">=", count, I64(LANES)), likely=True) as (whole, part):
            with whole:
                builder.store(load_register(builder, place), value)
            with part:
                builder.store(masked_load(builder, place, count), value)
        return builder.load(value)

    return vector(FLOATS, types.int64, types.int64), codegen


@intrinsic
def store_first(context, base, offset, count, value):
    """Write the first `count` numbers of `value` to ``base[offset]``; `count` may be more than there are lanes."""

    def codegen(context, builder, signature, arguments):
        base, offset, count, value = arguments
        store_register(builder, value, at(builder, base, offset), count)
        return context.get_dummy_value()

    return types.void(FLOATS, types.int64, types.int64, vector), codegen


@intrinsic
def store_past_caches(context, base, offset, value):
    """Write all of `value` to ``base[offset]``, a multiple of its size in memory, without bringing the line first.

    Other threads see it after a `fence`.
    """

    def codegen(context, builder, signature, arguments):
        base, offset, value = arguments
        place = builder.bitcast(at(builder, base, offset), REGISTER.as_pointer())
        store = builder.store(value, place)
        store.align = 4 * LANES
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
def fetch(context, base, offset):
    """Let the processor bring the cache line of ``base[offset]``; any address will do."""

    def codegen(context, builder, signature, arguments):
        place = builder.bitcast(at(builder, *arguments), ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [place.type, I32, I32, I32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [place, I32(0), I32(3), I32(1)])  # to read, into all caches, data
        return context.get_dummy_value()

    return types.void(FLOATS, types.int64), codegen


@intrinsic
def first_of(context, value, count):
    """Return the first `count` numbers of `value`, zeros behind them."""

    def codegen(context, builder, signature, arguments):
        value, count = arguments
        zeros = ir.Constant(REGISTER, [0.0] * LANES)
        return builder.select(mask_of_first(builder, count), value, zeros)

    return vector(vector, types.int64), codegen


@intrinsic
def splat(context, number):
    """Return a vector with `number` in all lanes."""

    def codegen(context, builder, signature, arguments):
        return spread(builder, arguments[0])

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
        return larger_register(builder, *arguments)

    return vector(vector, vector), codegen


@intrinsic
def two_to_the(context, shifted):
    """Return ``2 ** n`` for whole numbers n from -126 to 127, given as ``1.5 * 2 ** 23 + n``: n is in the last bits."""

    def codegen(context, builder, signature, arguments):
        integers = ir.VectorType(I32, LANES)
        exponents = builder.shl(builder.bitcast(arguments[0], integers), ir.Constant(integers, [23] * LANES))
        return builder.bitcast(builder.add(exponents, ir.Constant(integers, [127 << 23] * LANES)), REGISTER)

    return vector(vector), codegen


@intrinsic
def add_to_doubles(context, base, offset, value):
    """Add the lanes of `value` to the float64 numbers from ``base[offset]``."""

    def codegen(context, builder, signature, arguments):
        base, offset, value = arguments
        place = builder.bitcast(at(builder, base, offset), _DOUBLES.as_pointer())
        total = builder.load(place)
        total.align = 8
        builder.store(builder.fadd(total, builder.fpext(value, _DOUBLES)), place).align = 8
        return context.get_dummy_value()

    return types.void(DOUBLES, types.int64, vector), codegen
