"""What code generators emit: operations on registers of `LANES` float32 numbers, as LLVM's instructions.

`vector` makes functions of them that kernels call; the register tile and the like are generated as a whole.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils

from audioconv.kernels.jit import LANES

F32, F64, I32, I64 = ir.FloatType(), ir.DoubleType(), ir.IntType(32), ir.IntType(64)
REGISTER = ir.VectorType(F32, LANES)
BITS = ir.VectorType(ir.IntType(1), LANES)
LANE_NUMBERS = ir.Constant(ir.VectorType(I32, LANES), list(range(LANES)))
MASKS = LANES == 16
"""Whether parts of vectors are stored by masks: AVX-512 does so at no cost. With AVX2, which has slow ones, vectors of
16 are for tests."""


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
    return builder.icmp_signed("<", LANE_NUMBERS, spread(builder, builder.trunc(count, I32), I32))


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
    kind = ir.FunctionType(ir.VoidType(), [REGISTER, REGISTER.as_pointer(), I32, BITS])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.store.v{LANES}f32.p0")
    builder.call(function, [value, place, I32(4), mask_of_first(builder, count)])


def masked_load(builder, base, count):
    """Load the first `count` numbers, zeros behind them."""
    place = builder.bitcast(base, REGISTER.as_pointer())
    kind = ir.FunctionType(REGISTER, [REGISTER.as_pointer(), I32, BITS, REGISTER])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.load.v{LANES}f32.p0")
    zeros = ir.Constant(REGISTER, [0.0] * LANES)
    return builder.call(function, [place, I32(4), mask_of_first(builder, count), zeros])
