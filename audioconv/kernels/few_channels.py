"""Convolution of 3 x 3 for images of few channels, for one example: vectors are pixels beside each other.

Elsewhere a vector is some channels of a pixel, and ten channels would leave six lanes of sixteen empty. Here each
channel is a plane of its own: lines of pixels, one behind the other as one long line, so that vectors go on where a
line ends. What is computed at the two pixels between two lines of outputs is nobody's.

Down the columns, four lines of outputs are computed from six of inputs with half of the multiplications (`transforms`);
along the lines, the three weights of a kernel's line meet three pixels beside each other. The sums over both are
products of matrices, by the register tile, which has kernels as its rows here and pixels as its columns.

A strip is some tiles of four lines. `V` holds its transformed inputs, (6, C, apart), and `M` the products,
(6, K, apart): each plane has `wide` numbers of each tile, Q and two more, and room for a vector behind the last. Behind
M there is `room` for a block of pixels on its way between channels and planes. U are the kernels, (6, 3, C, K).
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from audioconv.kernels.jit import LANES, helper
from audioconv.kernels.llvm_vectors import I64, REGISTER, at, load_register, multiply_add, sum_register
from audioconv.kernels.simd_float32 import FLOATS, ahead, first_of, larger, load, splat, store_first, where_less
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
def transform_inputs(x, V, room, C, apart, line, pixel, wide, begin, end):
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
                store_six(V, c * apart + target, C * apart, LANES, six)
    zero = splat(np.float32(0))
    for plane in range(SIDE * C):
        store_first(V, plane * apart + (end - begin) * wide, LANES, zero)


@helper
def transform_gradients(dy, M, room, K, apart, P, Q, line, pixel, wide, begin, end):
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
                store_six(M, k * apart + target, K * apart, LANES, mix_gradients(a, b, c, d))
        for plane in range(SIDE * K):
            store_first(M, plane * apart + (tile - begin) * wide + Q, LANES, zero)


@helper
def transform_outputs(M, start, y, room, K, apart, P, Q, line, pixel, wide, begin, end, onward, pooled, slope):
    """Write ``A' M + start``, activated, or add it to what is in y; where `pooled`, the largest of each 2 x 2 of it."""
    slopes, zero = splat(np.float32(slope)), splat(np.float32(0))
    for tile in range(begin, end):
        lines = min(TILE, P - TILE * tile)
        for q in range(0, Q, LANES):
            for k in range(K):
                bias, place = splat(start[k]), TILE * k * LANES
                four = unmix_outputs(*load_six(M, k * apart + (tile - begin) * wide + q, K * apart))
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
                            room, source + row * LANES, TILE * LANES, y, place + row * line, pixel, Q - q, K - k, onward
                        )  # fmt: skip


@helper
def convolve(x, U, start, y, V, M, C, K, strip, apart, x_line, x_pixel, P, Q, y_line, y_pixel, rows, row_count, terms,
             zeros, onward, pooled, slope, part, parts):  # fmt: skip
    """Convolve x, from its padded corner on, with transformed kernels; of `parts` shares of the tiles, one.

    The tables pair kernel with kernel of U and M (`rows`), and each number of a kernel's line with those of U and V
    (`terms`). Where `pooled`, y gets the largest number of each 2 x 2 alone; P and Q, of the outputs before, are even.
    """
    wide, room = Q + MORE, ahead(M, SIDE * K * apart)
    tiles = (P + TILE - 1) // TILE
    last = (part + 1) * tiles // parts
    for begin in range(part * tiles // parts, last, strip):
        end = min(last, begin + strip)
        transform_inputs(x, V, room, C, apart, x_line, x_pixel, wide, begin, end)
        for position in range(SIDE):
            correlate(
                ahead(U, position * 3 * C * K), ahead(V, position * C * apart), zeros, False,
                ahead(M, position * K * apart), (end - begin) * wide - MORE, rows, row_count, terms, 3 * C, False,
                False, np.float32(1),
            )  # fmt: skip
        transform_outputs(
            M, start, y, room, K, apart, P, Q, y_line, y_pixel, wide, begin, end, onward, pooled, slope
        )  # fmt: skip


@helper
def kernel_gradient(x, dy, sums, V, M, C, K, strip, apart, x_line, x_pixel, P, Q, y_line, y_pixel, onward):
    """Add ``(B' d) * (A dY)`` of all tiles to `sums` (6, 3, C, K), or begin with them unless `onward`.

    When all examples have been added, `winograd_line.finish_gradient` makes the gradient of it.
    """
    wide, room = Q + MORE, ahead(M, SIDE * K * apart)
    tiles = (P + TILE - 1) // TILE
    for begin in range(0, tiles, strip):
        end = min(tiles, begin + strip)
        transform_inputs(x, V, room, C, apart, x_line, x_pixel, wide, begin, end)
        transform_gradients(dy, M, room, K, apart, P, Q, y_line, y_pixel, wide, begin, end)
        for position in range(SIDE):
            for k in range(0, K, 2):
                for c in range(0, C, 2):
                    _meet(
                        ahead(M, (position * K + k) * apart), ahead(V, (position * C + c) * apart),
                        apart if k + 1 < K else 0, apart if c + 1 < C else 0, (end - begin) * wide - MORE, room,
                    )  # fmt: skip
                    for i in range(min(2, K - k)):
                        for j in range(min(2, C - c)):
                            for weight in range(3):
                                place = ((3 * position + weight) * C + c + j) * K + k + i
                                found = room[6 * i + 3 * j + weight]
                                sums[place] = sums[place] + found if onward else found
        onward = True


@intrinsic
def _meet(context, dy, x, dy_apart, x_apart, length, sums):
    """Sum up the products of two planes of gradients with two of inputs, and with the two pixels beside.

    Two planes lie `apart`. Vectors are added up in registers, and their lanes in the end: `sums` (2, 2, 3).
    """

    def codegen(context, builder, signature, arguments):
        dy, x, dy_apart, x_apart, length, sums = arguments
        gradients, inputs = [dy, at(builder, dy, dy_apart)], [x, at(builder, x, x_apart)]
        zeros = ir.Constant(REGISTER, [0.0] * LANES)
        slots = [[[cgutils.alloca_once_value(builder, zeros) for _ in range(3)] for _ in inputs] for _ in gradients]
        with cgutils.for_range_slice(builder, I64(0), length, I64(LANES), inc=True) as (i, _):
            g = [load_register(builder, at(builder, plane, i)) for plane in gradients]
            for channel, plane in enumerate(inputs):
                for weight in range(3):
                    value = load_register(builder, at(builder, plane, builder.add(i, I64(weight))))
                    for kernel in range(2):
                        slot = slots[kernel][channel][weight]
                        builder.store(multiply_add(builder, g[kernel], value, builder.load(slot)), slot)
        for number, slot in enumerate(slot for kernel in slots for channel in kernel for slot in channel):
            builder.store(sum_register(builder, builder.load(slot)), at(builder, sums, I64(number)))
        return context.get_dummy_value()

    integer = types.int64
    return types.void(FLOATS, FLOATS, integer, integer, integer, FLOATS), codegen
