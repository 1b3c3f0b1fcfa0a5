"""Between pixels, of which each holds its channels, and planes, of which each holds one channel of pixels in a row.

A block is `LANES` pixels by as many channels; it is turned in registers: halves are exchanged between pairs of vectors,
then quarters, down to single numbers.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from audioconv.kernels.jit import LANES
from audioconv.kernels.llvm_vectors import F32, I32, I64, MASKS, at, larger_register, load_register, store_register
from audioconv.kernels.simd_float32 import FLOATS

INTEGER = types.int64
SIZES = [LANES >> bit for bit in range(1, LANES.bit_length())]
"""Of the pieces that vectors exchange: halves, quarters ... single numbers."""


def _turned(builder, vectors):
    """Return the vectors whose number i is number j of what was vector i, for each j."""
    lanes = range(LANES)
    for size in SIZES:
        low = ir.Constant(ir.VectorType(I32, LANES), [i - size + LANES if i & size else i for i in lanes])
        high = ir.Constant(ir.VectorType(I32, LANES), [i + LANES if i & size else i + size for i in lanes])
        vectors = [
            builder.shuffle_vector(vectors[i & ~size], vectors[i | size], high if i & size else low) for i in lanes
        ]
    return vectors


@intrinsic
def to_planes(context, x, place, pixel, pixels, channels, planes, target, apart):
    """Put the channels from `place` of `LANES` pixels into planes, from `target` on and `apart` from each other.

    There are `pixels` of them, at least one: others are taken to be like the last. Whole vectors of channels are read;
    where fewer than `LANES` are left, `channels`, as many planes are written.
    """

    def codegen(context, builder, signature, arguments):
        x, place, pixel, pixels, channels, planes, target, apart = arguments
        last = builder.sub(pixels, I64(1))
        vectors = []
        for i in range(LANES):
            nearest = builder.select(builder.icmp_signed("<", I64(i), last), I64(i), last)
            vectors.append(load_register(builder, at(builder, x, builder.add(place, builder.mul(nearest, pixel)))))
        vectors, first = _turned(builder, vectors), at(builder, planes, target)
        places = [at(builder, first, builder.mul(I64(i), apart)) for i in range(LANES)]
        with builder.if_else(builder.icmp_signed(">=", channels, I64(LANES)), likely=True) as (whole, part):
            with whole:
                for vector, there in zip(vectors, places, strict=True):
                    store_register(builder, vector, there, I64(LANES))
            with part:
                for vector, there in _first(builder, channels, vectors, places):
                    store_register(builder, vector, there, I64(LANES))
        return context.get_dummy_value()

    return types.void(FLOATS, INTEGER, INTEGER, INTEGER, INTEGER, FLOATS, INTEGER, INTEGER), codegen


def _make_from_planes(pools):
    """Return the way back as an intrinsic; where it `pools`, of each two pixels the larger numbers are kept."""

    @intrinsic
    def from_planes(context, planes, source, apart, y, place, pixel, pixels, channels, onward):
        kind = types.void(FLOATS, INTEGER, INTEGER, FLOATS, INTEGER, INTEGER, INTEGER, INTEGER, types.boolean)

        def codegen(context, builder, signature, arguments):
            planes, source, apart, y, place, pixel, pixels, channels, onward = arguments
            first, corner = at(builder, planes, source), at(builder, y, place)
            vectors = [load_register(builder, at(builder, first, builder.mul(I64(i), apart))) for i in range(LANES)]
            vectors = _turned(builder, vectors)
            if pools:
                vectors = [larger_register(builder, *vectors[i : i + 2]) for i in range(0, LANES, 2)]
            places = [at(builder, corner, builder.mul(I64(i), pixel)) for i in range(len(vectors))]
            slots = [cgutils.alloca_once_value(builder, vector) for vector in vectors]
            with builder.if_then(onward, likely=False):
                for slot, there in _first(builder, pixels, slots, places):
                    builder.store(builder.fadd(builder.load(slot), load_register(builder, there)), slot)
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
    """Store the first `channels` numbers of the first `pixels` vectors."""
    if MASKS:
        for slot, place in _first(builder, pixels, slots, places):
            store_register(builder, builder.load(slot), place, channels)
        return
    places = [cgutils.alloca_once_value(builder, place) for place in places]
    with builder.if_else(builder.icmp_signed(">=", channels, I64(LANES)), likely=True) as (whole, part):
        with whole:
            for slot, place in _first(builder, pixels, slots, places):
                _store_piece(builder, slot, place, LANES)
        with part:  # a half, a quarter ...: one question each for all pixels
            for size in SIZES:
                with builder.if_then(builder.icmp_signed("!=", builder.and_(channels, I64(size)), I64(0))):
                    for slot, place in _first(builder, pixels, slots, places):
                        _store_piece(builder, slot, place, size)


def _store_piece(builder, slot, place, size):
    """Store the first `size` numbers of what is in a slot, and let both go on behind them."""
    whole, target = builder.load(slot), builder.load(place)
    first = ir.Constant(ir.VectorType(I32, size), list(range(size)))
    rest = ir.Constant(ir.VectorType(I32, LANES), [min(lane + size, LANES - 1) for lane in range(LANES)])
    there = builder.bitcast(target, ir.VectorType(F32, size).as_pointer())
    builder.store(builder.shuffle_vector(whole, whole, first), there).align = 4
    builder.store(builder.shuffle_vector(whole, whole, rest), slot)
    builder.store(at(builder, target, I64(size)), place)


from_planes = _make_from_planes(False)
"""``from_planes(planes, source, apart, y, place, pixel, pixels, channels, onward)``: the way back.

Writes the first `channels` numbers of the first `pixels` pixels, or adds to them where `onward`.
"""
from_planes_pooled = _make_from_planes(True)
"""The same, on half as many pixels, of each two the larger numbers."""
