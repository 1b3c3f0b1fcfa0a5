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

F32, F64, I32, I64 = ir.FloatType(), ir.DoubleType(), ir.IntType(32), ir.IntType(64)
REGISTER = ir.VectorType(F32, LANES)
_DOUBLES = ir.VectorType(F64, LANES)
_BITS = ir.VectorType(ir.IntType(1), LANES)
_LANE_NUMBERS = ir.Constant(ir.VectorType(I32, LANES), list(range(LANES)))
MASKS = LANES == 16  # AVX-512 has masked loads and stores at no cost, AVX2 has slow ones
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


# --- what code generators use ----------------------------------------------------------------------------------------


def at(builder, base, offset):
    """Return the pointer `offset` numbers behind `base`."""
    return builder.gep(base, [offset])


def load_register(builder, base, number=0):
    """Load register number `number` behind `base`."""
    place = builder.bitcast(at(builder, base, I64(number * LANES)), REGISTER.as_pointer())
    value = builder.load(place)
    value.align = 4
    return value


def spread(builder, scalar, kind=F32):
    """Return a register with the same number in all lanes."""
    register = ir.VectorType(kind, LANES)
    undefined = ir.Constant(register, ir.Undefined)
    zeros = ir.Constant(ir.VectorType(I32, LANES), [0] * LANES)
    return builder.shuffle_vector(builder.insert_element(undefined, scalar, I32(0)), undefined, zeros)


def mask_of_first(builder, count):
    """Return which lanes are among the first `count`."""
    return builder.icmp_signed("<", _LANE_NUMBERS, spread(builder, builder.trunc(count, I32), I32))


def multiply_add(builder, a, b, c):
    """Return ``a * b + c``, rounded once."""
    kind = ir.FunctionType(REGISTER, [REGISTER] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f32"), [a, b, c])


def larger_register(builder, a, b):
    """Return the larger of each pair; NaN where either is."""
    # A comparison with NaN is false, which leaves b: right if b is the NaN.
    first = builder.or_(builder.fcmp_ordered(">", a, b), builder.fcmp_unordered("uno", a, a))
    return builder.select(first, a, b)


def sum_register(builder, value):
    """Return the sum of all lanes, added in whichever order is fast."""
    kind = ir.FunctionType(F32, [F32, REGISTER])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.fadd.v{LANES}f32")
    return builder.call(function, [F32(-0.0), value], fastmath=("reassoc",))


def store_register(builder, value, base, count):
    """Store the first `count` numbers of a register; `count` may be more than there are lanes."""
    store_registers(builder, [value], [base], count)


def store_registers(builder, values, places, count):
    """Store the first `count` numbers of each register at its place."""
    if MASKS:
        for value, place in zip(values, places, strict=True):
            _masked_store(builder, value, place, count)
        return
    with builder.if_else(builder.icmp_signed(">=", count, I64(LANES)), likely=True) as (whole, part):
        with whole:
            for value, place in zip(values, places, strict=True):
                builder.store(value, builder.bitcast(place, REGISTER.as_pointer())).align = 4
        with part:
            registers, targets = _laid_down(builder, values), _laid_down(builder, places)
            builder.call(_store_parts(builder.module), [registers, targets, I64(len(values)), count])


def _laid_down(builder, values):
    """Return where values of one kind lie one behind the other."""
    array = cgutils.alloca_once(builder, values[0].type, size=len(values))
    for number, value in enumerate(values):
        builder.store(value, at(builder, array, I64(number)))
    return array


def _store_parts(module):
    """Return the function that stores parts of registers: four numbers, two, one, as far as there are such halves.

    AVX2's masked stores take many times as long on AMD. Written out at each place, it would make compiling longer.
    """
    pointer = F32.as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [REGISTER.as_pointer(), pointer.as_pointer(), I64, I64])
    function = cgutils.get_or_insert_function(module, kind, f"audioconv.store.v{LANES}f32")
    if not function.is_declaration:
        return function
    function.linkage = "linkonce_odr"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block())
    registers, places, many, count = function.args
    size = LANES // 2
    while size:
        with builder.if_then(builder.icmp_signed("!=", builder.and_(count, I64(size)), I64(0))):
            before = builder.and_(count, I64(-2 * size))
            with cgutils.for_range(builder, many) as loop:
                source = builder.bitcast(at(builder, registers, loop.index), pointer)
                target = builder.load(at(builder, places, loop.index))
                part = ir.VectorType(F32, size).as_pointer()
                value = builder.load(builder.bitcast(at(builder, source, before), part))
                value.align = 4
                builder.store(value, builder.bitcast(at(builder, target, before), part)).align = 4
        size //= 2
    builder.ret_void()
    return function


def _masked_store(builder, value, base, count):
    place = builder.bitcast(base, REGISTER.as_pointer())
    kind = ir.FunctionType(ir.VoidType(), [REGISTER, REGISTER.as_pointer(), I32, _BITS])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.store.v{LANES}f32.p0")
    builder.call(function, [value, place, I32(4), mask_of_first(builder, count)])


def _masked_load(builder, base, count):
    place = builder.bitcast(base, REGISTER.as_pointer())
    kind = ir.FunctionType(REGISTER, [REGISTER.as_pointer(), I32, _BITS, REGISTER])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.load.v{LANES}f32.p0")
    zeros = ir.Constant(REGISTER, [0.0] * LANES)
    return builder.call(function, [place, I32(4), mask_of_first(builder, count), zeros])


# --- what kernels use ------------------------------------------------------------------------------------------------


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
            return _masked_load(builder, place, count)
        value = cgutils.alloca_once(builder, REGISTER)
        with builder.if_else(builder.icmp_signed(">=", count, I64(LANES)), likely=True) as (whole, part):
            with whole:
                builder.store(load_register(builder, place), value)
            with part:
                builder.store(_masked_load(builder, place, count), value)
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
