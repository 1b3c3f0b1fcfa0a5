"""Convolution of 3 x 3 for images with few channels, for one example: the pixels of a line lie along the vector.

Elsewhere the channels of a pixel lie along the vector, and ten channels would leave six lanes of sixteen empty. Here
each channel is a plane of its own, whose lines follow each other without gaps, so that a vector may cross the end of a
line. The results for the two pixels between two lines of outputs are not used.

Along the columns, four lines of outputs are computed from six of inputs with half of the multiplications
(`winograd_transforms`). Along the lines, the three weights of a kernel's line are multiplied with three neighbouring
pixels. The sums over both are matrix products, by the register tile, with kernels as its rows and pixels as columns.

A strip is some tiles of four lines. `V` holds its transformed inputs, (6, C, plane_stride), and `M` the products,
(6, K, plane_stride): each plane has `wide` elements of each tile, Q and two more, and room for a vector behind the
last. Behind M there is `room` for a block of pixels that is transposed between channels and planes. U are the kernels,
(6, 3, C, K).
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from audioconv.kernels.jit import LANES, helper
from audioconv.kernels.llvm_vectors import (
    I64,
    VECTOR,
    element_pointer,
    load_as,
    load_vector,
    loop,
    multiply_add,
    stack_slot_of,
    sum_of_lanes,
)
from audioconv.kernels.simd_float32 import (
    FLOATS,
    first_of,
    larger,
    load,
    offset_pointer,
    splat,
    store_first,
    where_less,
)
from audioconv.kernels.tile import correlate
from audioconv.kernels.transpose import from_planes, from_planes_pooled, to_planes
from audioconv.kernels.winograd_transforms import (
    SIDE,
    TILE,
    load_six,
    mix_gradients,
    mix_inputs,
    store_six,
    unmix_outputs,
)

MORE = 2
"""Pixels that a line of inputs has more than the outputs."""


@helper
def transform_inputs(x, V, room, C, plane_stride, line, pixel, wide, begin, end):
    """Put ``B' d`` of tiles `begin` to `end` into V, and zeros behind each plane."""
    for tile in range(begin, end):
        for q in range(0, wide, LANES):
            corner, target = TILE * tile * line + q * pixel, (tile - begin) * wide + q
            for c in range(0, C, LANES):
                for row in range(SIDE):
                    place = corner + row * line + c
                    to_planes(x, place, pixel, wide - q, C - c, room, (SIDE * c + row) * LANES, SIDE * LANES)
            for c in range(C):
                six = mix_inputs(*load_six(room, SIDE * c * LANES, LANES))
                store_six(V, c * plane_stride + target, C * plane_stride, LANES, six)
    zero = splat(np.float32(0))
    for plane in range(SIDE * C):
        store_first(V, plane * plane_stride + (end - begin) * wide, LANES, zero)


@helper
def transform_gradients(dy, M, room, K, plane_stride, P, Q, line, pixel, wide, begin, end):
    """Put ``A dY`` of tiles `begin` to `end` into M; beyond the image gradients are zero."""
    zero = splat(np.float32(0))
    for tile in range(begin, end):
        lines = min(TILE, P - TILE * tile)
        for q in range(0, Q, LANES):
            corner, target = TILE * tile * line + q * pixel, (tile - begin) * wide + q
            for k in range(0, K, LANES):
                for row in range(lines):
                    place = corner + row * line + k
                    to_planes(dy, place, pixel, Q - q, K - k, room, (TILE * k + row) * LANES, TILE * LANES)
            for k in range(K):
                a = first_of(load(room, TILE * k * LANES), Q - q)
                b = first_of(load(room, (TILE * k + 1) * LANES), Q - q) if lines > 1 else zero
                c = first_of(load(room, (TILE * k + 2) * LANES), Q - q) if lines > 2 else zero
                d = first_of(load(room, (TILE * k + 3) * LANES), Q - q) if lines > 3 else zero
                store_six(M, k * plane_stride + target, K * plane_stride, LANES, mix_gradients(a, b, c, d))
        for plane in range(SIDE * K):
            store_first(M, plane * plane_stride + (tile - begin) * wide + Q, LANES, zero)


@helper
def transform_outputs(
    M, biases, y, room, K, plane_stride, P, Q, line, pixel, wide, begin, end, accumulate, pooled, slope
):
    """Write ``A' M + biases``, activated, or add it to what is in y; where `pooled`, max-pooled over 2 x 2."""
    slopes, zero = splat(np.float32(slope)), splat(np.float32(0))
    for tile in range(begin, end):
        lines = min(TILE, P - TILE * tile)
        for q in range(0, Q, LANES):
            for k in range(K):
                bias, place = splat(biases[k]), TILE * k * LANES
                four = unmix_outputs(*load_six(M, k * plane_stride + (tile - begin) * wide + q, K * plane_stride))
                a, b, c, d = four[0] + bias, four[1] + bias, four[2] + bias, four[3] + bias
                if pooled:
                    a, c = larger(a, b), larger(c, d)
                store_first(room, place, LANES, where_less(a, zero, a * slopes, a))
                store_first(room, place + 2 * LANES, LANES, where_less(c, zero, c * slopes, c))
                if not pooled:
                    store_first(room, place + LANES, LANES, where_less(b, zero, b * slopes, b))
                    store_first(room, place + 3 * LANES, LANES, where_less(d, zero, d * slopes, d))
            for k in range(0, K, LANES):
                source = TILE * k * LANES
                if pooled:
                    place = TILE // 2 * tile * line + q // 2 * pixel + k
                    for row in range(lines // 2):
                        from_planes_pooled(
                            room, source + 2 * row * LANES, TILE * LANES, y, place + row * line, pixel, (Q - q) // 2,
                            K - k, False,
                        )  # fmt: skip
                else:
                    place = TILE * tile * line + q * pixel + k
                    for row in range(lines):
                        from_planes(
                            room, source + row * LANES, TILE * LANES, y, place + row * line, pixel, Q - q, K - k,
                            accumulate,
                        )  # fmt: skip


@helper
def convolve(x, U, biases, y, V, M, C, K, strip, plane_stride, x_line, x_pixel, P, Q, y_line, y_pixel, rows, row_count,
             terms, zeros, accumulate, pooled, slope, part, parts):  # fmt: skip
    """Convolve x, from its padded corner on, with transformed kernels; of `parts` shares of the tiles, one.

    The tables pair kernel with kernel of U and M (`rows`), and each number of a kernel's line with those of U and V
    (`terms`). Where `pooled`, y gets the largest element of each 2 x 2 alone; P and Q, of the outputs before, are even.
    """
    wide, room = Q + MORE, offset_pointer(M, SIDE * K * plane_stride)
    tiles = (P + TILE - 1) // TILE
    last = (part + 1) * tiles // parts
    for begin in range(part * tiles // parts, last, strip):
        end = min(last, begin + strip)
        transform_inputs(x, V, room, C, plane_stride, x_line, x_pixel, wide, begin, end)
        for position in range(SIDE):
            correlate(
                offset_pointer(U, position * 3 * C * K), offset_pointer(V, position * C * plane_stride), zeros, False,
                offset_pointer(M, position * K * plane_stride), (end - begin) * wide - MORE, rows, row_count, terms,
                3 * C, False, False, np.float32(1),
            )  # fmt: skip
        transform_outputs(
            M, biases, y, room, K, plane_stride, P, Q, y_line, y_pixel, wide, begin, end, accumulate, pooled, slope
        )


@helper
def kernel_gradient(x, dy, sums, V, M, C, K, strip, plane_stride, x_line, x_pixel, P, Q, y_line, y_pixel, accumulate):
    """Add ``(B' d) * (A dY)`` of all tiles to `sums` (6, 3, C, K), or begin with them unless `accumulate`.

    When all examples have been added, `winograd_1d.finish_gradient` makes the gradient of it.
    """
    wide, room = Q + MORE, offset_pointer(M, SIDE * K * plane_stride)
    tiles = (P + TILE - 1) // TILE
    for begin in range(0, tiles, strip):
        end = min(tiles, begin + strip)
        transform_inputs(x, V, room, C, plane_stride, x_line, x_pixel, wide, begin, end)
        transform_gradients(dy, M, room, K, plane_stride, P, Q, y_line, y_pixel, wide, begin, end)
        for position in range(SIDE):
            for k in range(0, K, 2):
                for c in range(0, C, 2):
                    _correlate_planes(
                        offset_pointer(M, (position * K + k) * plane_stride),
                        offset_pointer(V, (position * C + c) * plane_stride),
                        plane_stride if k + 1 < K else 0,
                        plane_stride if c + 1 < C else 0,
                        (end - begin) * wide - MORE,
                        room,
                    )
                    for i in range(min(2, K - k)):
                        for j in range(min(2, C - c)):
                            for weight in range(3):
                                place = ((3 * position + weight) * C + c + j) * K + k + i
                                found = room[6 * i + 3 * j + weight]
                                sums[place] = sums[place] + found if accumulate else found
        accumulate = True


@intrinsic
def _correlate_planes(context, dy, x, dy_stride, x_stride, length, sums):
    """Correlate two planes of gradients with two planes of inputs, at three offsets: `sums` (2, 2, 3).

    Sums are vectors in registers, whose lanes are added up in the end.
    """

    def codegen(context, builder, signature, arguments):
        dy, x, dy_stride, x_stride, length, sums = arguments
        gradients, inputs = [dy, element_pointer(builder, dy, dy_stride)], [x, element_pointer(builder, x, x_stride)]
        zeros = ir.Constant(VECTOR, [0.0] * LANES)
        slots = [[[stack_slot_of(builder, zeros) for _ in range(3)] for _ in inputs] for _ in gradients]
        with loop(builder, length, LANES) as i:
            g = [load_vector(builder, element_pointer(builder, plane, i)) for plane in gradients]
            for channel, plane in enumerate(inputs):
                for weight in range(3):
                    value = load_vector(builder, element_pointer(builder, plane, builder.add(i, I64(weight))))
                    for kernel in range(2):
                        slot = slots[kernel][channel][weight]
                        builder.store(multiply_add(builder, g[kernel], value, load_as(builder, slot, VECTOR)), slot)
        for number, slot in enumerate(slot for kernel in slots for channel in kernel for slot in channel):
            builder.store(
                sum_of_lanes(builder, load_as(builder, slot, VECTOR)), element_pointer(builder, sums, I64(number))
            )
        return context.get_dummy_value()

    integer = types.int64
    return types.void(FLOATS, FLOATS, integer, integer, integer, FLOATS), codegen
