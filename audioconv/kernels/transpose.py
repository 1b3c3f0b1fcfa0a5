"""Transposes blocks between pixels, which hold their channels, and planes, which hold the pixels of one channel.

A block is `LANES` pixels by as many channels. It is transposed in registers: pairs of vectors exchange halves, then
quarters, down to single elements.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from audioconv.kernels.jit import LANES
from audioconv.kernels.llvm_vectors import (
    HAS_MASKED_STORES,
    I32,
    I64,
    VECTOR,
    element_pointer,
    larger_vector,
    load_as,
    load_vector,
    stack_slot_of,
    store_as,
    store_vector,
)
from audioconv.kernels.simd_float32 import FLOATS

INTEGER = types.int64
SIZES = [LANES >> bit for bit in range(1, LANES.bit_length())]
"""Sizes of the parts that vectors exchange: halves, quarters ... single elements."""


def _transposed(builder, vectors):
    """Return the transposed block."""
    lanes = range(LANES)
    for size in SIZES:
        low = ir.Constant(ir.VectorType(I32, LANES), [i - size + LANES if i & size else i for i in lanes])
        high = ir.Constant(ir.VectorType(I32, LANES), [i + LANES if i & size else i + size for i in lanes])
        vectors = [
            builder.shuffle_vector(vectors[i & ~size], vectors[i | size], high if i & size else low) for i in lanes
        ]
    return vectors


@intrinsic
def to_planes(context, x, place, pixel, pixels, channels, planes, target, plane_stride):
    """Put the channels of `LANES` pixels, from `place` on, into planes from `target` on, `plane_stride` apart.

    There are `pixels` of them, at least one: others are taken to be like the last. Whole vectors of channels are read;
    where fewer than `LANES` are left, `channels`, as many planes are written.
    """

    def codegen(context, builder, signature, arguments):
        x, place, pixel, pixels, channels, planes, target, plane_stride = arguments
        last = builder.sub(pixels, I64(1))
        vectors = []
        for i in range(LANES):
            nearest = builder.select(builder.icmp_signed("<", I64(i), last), I64(i), last)
            vectors.append(
                load_vector(builder, element_pointer(builder, x, builder.add(place, builder.mul(nearest, pixel))))
            )
        vectors, first = _transposed(builder, vectors), element_pointer(builder, planes, target)
        places = [element_pointer(builder, first, builder.mul(I64(i), plane_stride)) for i in range(LANES)]
        with builder.if_else(builder.icmp_signed(">=", channels, I64(LANES)), likely=True) as (whole, part):
            with whole:
                for vector, there in zip(vectors, places, strict=True):
                    store_vector(builder, vector, there, I64(LANES))
            with part:
                for vector, there in _first(builder, channels, vectors, places):
                    store_vector(builder, vector, there, I64(LANES))
        return context.get_dummy_value()

    return types.void(FLOATS, INTEGER, INTEGER, INTEGER, INTEGER, FLOATS, INTEGER, INTEGER), codegen


def _make_from_planes(pools):
    """Return the inverse of `to_planes` as an intrinsic; if it `pools`, it keeps the maximum of each pair of pixels."""

    @intrinsic
    def from_planes(context, planes, source, plane_stride, y, place, pixel, pixels, channels, accumulate):
        kind = types.void(FLOATS, INTEGER, INTEGER, FLOATS, INTEGER, INTEGER, INTEGER, INTEGER, types.boolean)

        def codegen(context, builder, signature, arguments):
            planes, source, plane_stride, y, place, pixel, pixels, channels, accumulate = arguments
            first, corner = element_pointer(builder, planes, source), element_pointer(builder, y, place)
            vectors = [
                load_vector(builder, element_pointer(builder, first, builder.mul(I64(i), plane_stride)))
                for i in range(LANES)
            ]
            vectors = _transposed(builder, vectors)
            if pools:
                vectors = [larger_vector(builder, *vectors[i : i + 2]) for i in range(0, LANES, 2)]
            places = [element_pointer(builder, corner, builder.mul(I64(i), pixel)) for i in range(len(vectors))]
            slots = [stack_slot_of(builder, vector) for vector in vectors]
            with builder.if_then(accumulate, likely=False):
                for slot, there in _first(builder, pixels, slots, places):
                    builder.store(builder.fadd(load_as(builder, slot, VECTOR), load_vector(builder, there)), slot)
            _store_pixels(builder, slots, places, pixels, channels)
            return context.get_dummy_value()

        return kind, codegen

    return from_planes


def _first(builder, count, *lists):
    """Yield from lists in parallel, where it is one of the first `count`."""
    for i, pair in enumerate(zip(*lists, strict=True)):
        with builder.if_then(builder.icmp_signed("<", I64(i), count), likely=True):
            yield pair


def _store_pixels(builder, slots, places, pixels, channels):
    """Store the first `channels` elements of the first `pixels` vectors."""
    if HAS_MASKED_STORES:
        for slot, place in _first(builder, pixels, slots, places):
            store_vector(builder, load_as(builder, slot, VECTOR), place, channels)
        return
    pointer = places[0].type
    places = [stack_slot_of(builder, place) for place in places]
    with builder.if_else(builder.icmp_signed(">=", channels, I64(LANES)), likely=True) as (whole, part):
        with whole:
            for slot, place in _first(builder, pixels, slots, places):
                _store_piece(builder, slot, place, pointer, LANES)
        with part:  # a half, a quarter ...: one question each for all pixels
            for size in SIZES:
                with builder.if_then(builder.icmp_signed("!=", builder.and_(channels, I64(size)), I64(0))):
                    for slot, place in _first(builder, pixels, slots, places):
                        _store_piece(builder, slot, place, pointer, size)


def _store_piece(builder, slot, place, pointer, size):
    """Store the first `size` elements of the vector in a slot, and advance both the vector and the pointer."""
    whole, target = load_as(builder, slot, VECTOR), load_as(builder, place, pointer)
    first = ir.Constant(ir.VectorType(I32, size), list(range(size)))
    rest = ir.Constant(ir.VectorType(I32, LANES), [min(lane + size, LANES - 1) for lane in range(LANES)])
    store_as(builder, builder.shuffle_vector(whole, whole, first), target, 4)
    builder.store(builder.shuffle_vector(whole, whole, rest), slot)
    builder.store(element_pointer(builder, target, I64(size)), place)


from_planes = _make_from_planes(False)
"""The inverse of `to_planes`, with the arguments
``(planes, source, plane_stride, y, place, pixel, pixels, channels, accumulate)``.

Writes the first `channels` elements of the first `pixels` pixels, or adds to them where `accumulate`.
"""
from_planes_pooled = _make_from_planes(True)
"""The same with max-pooling of each pair of pixels."""
