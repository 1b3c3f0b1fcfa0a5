"""LLVM instructions on vectors of `LANES` float32 elements, for code generators.

`simd_float32` makes functions of them that kernels call; the register tile and the like are generated as a whole.
Pointers have no type: each load, store and offset names the type of its elements.
"""

from __future__ import annotations

from contextlib import contextmanager

from llvmlite import ir

from audioconv.kernels.jit import LANES
from audioconv.kernels.numba_internals import pointer_to, pointer_type

F32, F64 = ir.FloatType(), ir.DoubleType()
I8, I32, I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
VECTOR = ir.VectorType(F32, LANES)
MASK = ir.VectorType(ir.IntType(1), LANES)
LANE_INDICES = ir.Constant(ir.VectorType(I32, LANES), list(range(LANES)))
HAS_MASKED_STORES = LANES == 16
"""True if parts of vectors are stored by masks, which AVX-512 does at no cost. AVX2 has slow ones; there vectors of 16
are for tests."""


def element_pointer(builder, base, index, element=F32):
    """Return the pointer to element `index` behind `base`."""
    return builder.gep(base, [index], source_etype=element)


def load_as(builder, pointer, kind, align=None):
    """Load a value of type `kind`; `align` in bytes, if it is not that of the type."""
    value = builder.load(pointer_to(builder, pointer, kind), typ=kind)
    value.align = align
    return value


def store_as(builder, value, pointer, align=None):
    """Store a value; `align` in bytes, if it is not that of its type. Return the instruction."""
    store = builder.store(value, pointer_to(builder, pointer, value.type))
    store.align = align
    return store


def stack_slot(builder, kind, count=1):
    """Return a pointer to room for `count` values on the stack, which LLVM turns into registers where it can."""
    with builder.goto_entry_block():
        return builder.alloca(kind, size=I64(count))


def stack_slot_of(builder, value):
    """Return a pointer to a value that is put on the stack."""
    slot = stack_slot(builder, value.type)
    builder.store(value, slot)
    return slot


@contextmanager
def loop(builder, end, step=1):
    """Emit the block for each int64 i from 0 on that is less than `end`, in steps."""
    before, head = builder.basic_block, builder.append_basic_block("loop.head")
    body, behind = builder.append_basic_block("loop.body"), builder.append_basic_block("loop.end")
    builder.branch(head)
    builder.position_at_end(head)
    i = builder.phi(I64)
    i.add_incoming(I64(0), before)
    builder.cbranch(builder.icmp_signed("<", i, end), body, behind)
    builder.position_at_end(body)
    yield i
    i.add_incoming(builder.add(i, I64(step), flags=("nsw",)), builder.basic_block)
    builder.branch(head)
    builder.position_at_end(behind)


def declare(module, kind, name):
    """Return the function of that name in a module, declared if it is new."""
    return module.globals.get(name) or ir.Function(module, kind, name)


def load_vector(builder, base, number=0):
    """Load vector number `number` behind `base`."""
    return load_as(builder, element_pointer(builder, base, I64(number * LANES)), VECTOR, 4)


def broadcast(builder, scalar, kind=F32):
    """Return a vector with the same element in all lanes."""
    vector = ir.VectorType(kind, LANES)
    undefined = ir.Constant(vector, ir.Undefined)
    zeros = ir.Constant(ir.VectorType(I32, LANES), [0] * LANES)
    return builder.shuffle_vector(builder.insert_element(undefined, scalar, I32(0)), undefined, zeros)


def mask_of_first(builder, count):
    """Return which lanes are among the first `count`."""
    return builder.icmp_signed("<", LANE_INDICES, broadcast(builder, builder.trunc(count, I32), I32))


def multiply_add(builder, a, b, c):
    """Return ``a * b + c``, rounded once."""
    kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
    return builder.call(declare(builder.module, kind, f"llvm.fma.v{LANES}f32"), [a, b, c])


def larger_vector(builder, a, b):
    """Return the larger of each pair; NaN where either is."""
    # A comparison with NaN is false, which leaves b: right if b is the NaN.
    first = builder.or_(builder.fcmp_ordered(">", a, b), builder.fcmp_unordered("uno", a, a))
    return builder.select(first, a, b)


def sum_of_lanes(builder, value):
    """Return the sum of all lanes, added in whichever order is fast."""
    kind = ir.FunctionType(F32, [F32, VECTOR])
    function = declare(builder.module, kind, f"llvm.vector.reduce.fadd.v{LANES}f32")
    return builder.call(function, [F32(-0.0), value], fastmath=("reassoc",))


def store_vector(builder, value, base, count):
    """Store the first `count` elements of a vector; `count` may be more than there are lanes."""
    store_vectors(builder, [value], [base], count)


def store_vectors(builder, values, pointers, count):
    """Store the first `count` elements of each vector at its pointer."""
    if HAS_MASKED_STORES:
        for value, pointer in zip(values, pointers, strict=True):
            _masked_store(builder, value, pointer, count)
        return
    with builder.if_else(builder.icmp_signed(">=", count, I64(LANES)), likely=True) as (full, partial):
        with full:
            for value, pointer in zip(values, pointers, strict=True):
                store_as(builder, value, pointer, 4)
        with partial:
            vectors, targets = _array_of(builder, values), _array_of(builder, pointers)
            arguments = [vectors, targets, I64(len(values)), count]
            builder.call(_store_parts(builder.module, pointers[0].type), arguments)


def _array_of(builder, values):
    """Return a pointer to values of one type, one behind the other on the stack."""
    kind = values[0].type
    array = stack_slot(builder, kind, len(values))
    for number, value in enumerate(values):
        builder.store(value, element_pointer(builder, array, I64(number), kind))
    return array


def _store_parts(module, pointer):
    """Return the function that stores parts of vectors: a half, a quarter ..., one element, as far as they are needed.

    AVX2's masked stores take many times as long on AMD. Written out at each place, it would make compiling longer.
    """
    kind = ir.FunctionType(ir.VoidType(), [pointer_type(VECTOR), pointer_type(pointer), I64, I64])
    function = declare(module, kind, f"audioconv.store.v{LANES}f32")
    if not function.is_declaration:
        return function
    function.linkage = "linkonce_odr"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block())
    vectors, targets, vector_count, count = function.args
    size = LANES // 2
    while size:
        with builder.if_then(builder.icmp_signed("!=", builder.and_(count, I64(size)), I64(0))):
            done = builder.and_(count, I64(-2 * size))
            with loop(builder, vector_count) as i:
                first = builder.add(builder.mul(i, I64(LANES)), done)
                source = element_pointer(builder, pointer_to(builder, vectors, F32), first)
                target = load_as(builder, element_pointer(builder, targets, i, pointer), pointer)
                value = load_as(builder, source, ir.VectorType(F32, size), 4)
                store_as(builder, value, element_pointer(builder, target, done), 4)
        size //= 2
    builder.ret_void()
    return function


def _masked_store(builder, value, base, count):
    pointer = pointer_to(builder, base, VECTOR)
    kind = ir.FunctionType(ir.VoidType(), [VECTOR, pointer_type(VECTOR), I32, MASK])
    function = declare(builder.module, kind, f"llvm.masked.store.v{LANES}f32.p0")
    builder.call(function, [value, pointer, I32(4), mask_of_first(builder, count)])


def masked_load(builder, base, count):
    """Load the first `count` elements, zeros behind them."""
    pointer = pointer_to(builder, base, VECTOR)
    kind = ir.FunctionType(VECTOR, [pointer_type(VECTOR), I32, MASK, VECTOR])
    function = declare(builder.module, kind, f"llvm.masked.load.v{LANES}f32.p0")
    zeros = ir.Constant(VECTOR, [0.0] * LANES)
    return builder.call(function, [pointer, I32(4), mask_of_first(builder, count), zeros])
