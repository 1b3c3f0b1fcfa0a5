"""Convolution along a line with fewer multiplications, for one example: `winograd_transforms` along one axis.

A tile is four outputs beside each other. Three weights each of a kernel make a block, and a kernel of T weights has as
many as it takes, zeros behind the last: six multiplications for twelve. Strides leave no trace: a convolution of
stride s is one of stride 1 on pixels s times as wide, whose channels are those of s pixels. So C are channels and
pixels of a step, the line's elements lie as they did, and 80 weights of one channel at stride 4 are 20 of four.

`V` holds transformed inputs, six arrays of them. Several blocks meet inputs that lie three pixels apart, tiles four: so
the inputs are transformed from each pixel on, and lie in V as in x. A single block needs every fourth alone, and they
lie tile by tile, each of C rounded up to whole vectors. `M` holds the products, (6, strip, K) with K rounded up so; U
are the kernels, (T / 3, 6, C, K).
"""

from __future__ import annotations

import numpy as np

from audioconv.kernels.jit import LANES, helper
from audioconv.kernels.pixelwise import round_up_to_lanes
from audioconv.kernels.simd_float32 import load, load_first, offset_pointer, splat, store_first, where_less
from audioconv.kernels.tile import correlate
from audioconv.kernels.winograd_transforms import (
    SIDE,
    TILE,
    load_six,
    mix_gradients,
    mix_inputs,
    mix_kernels,
    store_six,
    store_three,
    unmix_kernels,
    unmix_outputs,
)

TAPS = 3
"""Weights of a block."""


@helper
def transform_inputs(x, V, C, blocks, position_stride, begin, end):
    """Put ``B' d`` of all blocks in tiles `begin` to `end` into V, its six arrays `position_stride` from each other."""
    runs, length, hop = end - begin, C, round_up_to_lanes(C)
    if blocks > 1:
        runs, length = 1, (TILE * (end - begin - 1) + TAPS * (blocks - 1) + 1) * C
    for run in range(runs):
        place = TILE * C * (begin + run)
        for c in range(0, length, LANES):
            store_six(V, run * hop + c, position_stride, LANES, mix_inputs(*load_six(x, place + c, C)))


@helper
def transform_gradients(dy, M, K, strip, Q, pixel, begin, end):
    """Put ``A dY`` of tiles `begin` to `end` into M; beyond the line gradients are zero."""
    size = round_up_to_lanes(K)
    zero = splat(np.float32(0))
    for tile in range(begin, end):
        column = TILE * tile
        for k in range(0, K, LANES):
            place = column * pixel + k
            a = load(dy, place)
            b = load(dy, place + pixel) if column + 1 < Q else zero
            c = load(dy, place + 2 * pixel) if column + 2 < Q else zero
            d = load(dy, place + 3 * pixel) if column + 3 < Q else zero
            store_six(M, (tile - begin) * size + k, strip * size, LANES, mix_gradients(a, b, c, d))


@helper
def _finish(y, column, Q, pixel, k, K, value, accumulate, slopes):
    if column < Q:
        place = column * pixel + k
        if accumulate:
            value = value + load(y, place)
        store_first(y, place, K - k, where_less(value, splat(np.float32(0)), value * slopes, value))


@helper
def transform_outputs(M, biases, y, K, strip, Q, pixel, begin, end, accumulate, slope):
    """Write ``A' M + biases``, activated, or add it to what is in y."""
    size = round_up_to_lanes(K)
    slopes = splat(np.float32(slope))
    for tile in range(begin, end):
        column = TILE * tile
        for k in range(0, K, LANES):
            bias = load(biases, k)
            four = unmix_outputs(*load_six(M, (tile - begin) * size + k, strip * size))
            _finish(y, column, Q, pixel, k, K, four[0] + bias, accumulate, slopes)
            _finish(y, column + 1, Q, pixel, k, K, four[1] + bias, accumulate, slopes)
            _finish(y, column + 2, Q, pixel, k, K, four[2] + bias, accumulate, slopes)
            _finish(y, column + 3, Q, pixel, k, K, four[3] + bias, accumulate, slopes)


@helper
def convolve(x, U, biases, y, V, M, C, K, blocks, strip, position_stride, Q, pixel, rows, terms, zeros, accumulate,
             slope, part, parts):  # fmt: skip
    """Convolve x, from its padded begin on, with transformed kernels; of `parts` shares of the tiles, one.

    The tables pair tile with tile of V and M (`rows`), and the elements of a block's channels with those of V and U
    (`terms`, of blocks * C).
    """
    tiles = (Q + TILE - 1) // TILE
    last = (part + 1) * tiles // parts
    for begin in range(part * tiles // parts, last, strip):
        end = min(last, begin + strip)
        transform_inputs(x, V, C, blocks, position_stride, begin, end)
        for position in range(SIDE):
            correlate(
                offset_pointer(V, position * position_stride), offset_pointer(U, position * C * K), zeros, False,
                offset_pointer(M, position * strip * round_up_to_lanes(K)), round_up_to_lanes(K), rows, end - begin,
                terms, blocks * C, False, False, np.float32(1),
            )  # fmt: skip
        transform_outputs(M, biases, y, K, strip, Q, pixel, begin, end, accumulate, slope)


@helper
def kernel_gradient(
    x, dy, sums, V, M, C, K, blocks, strip, position_stride, Q, pixel, rows, row_count, terms, zeros, accumulate
):
    """Add ``(B' d) * (A dY)`` of all tiles to `sums` (T / 3, 6, C, K), or begin with them unless `accumulate`.

    The tables pair the elements of a block's channels with those of V and `sums` (`rows`) and tile with tile of V and M
    (`terms`). When all examples have been added, `finish_gradient` makes the gradient of it.
    """
    tiles = (Q + TILE - 1) // TILE
    for begin in range(0, tiles, strip):
        end = min(tiles, begin + strip)
        transform_inputs(x, V, C, blocks, position_stride, begin, end)
        transform_gradients(dy, M, K, strip, Q, pixel, begin, end)
        for position in range(SIDE):
            correlate(
                offset_pointer(V, position * position_stride),
                offset_pointer(M, position * strip * round_up_to_lanes(K)), zeros, accumulate,
                offset_pointer(sums, position * C * K), K, rows, row_count, terms, end - begin, False, False,
                np.float32(1),
            )  # fmt: skip
        accumulate = True


@helper
def transform_kernels(g, U, size, count, begin, end):
    """Put ``G g`` of blocks `begin` to `end` of the kernels into U.

    g are `count` elements, `size` of each weight; behind them, weights are zero.
    """
    for block in range(begin, end):
        for i in range(0, size, LANES):
            left, place = size - i, TAPS * block * size + i
            three = mix_kernels(
                load_first(g, place, count - place),
                load_first(g, place + size, count - place - size),
                load_first(g, place + 2 * size, count - place - 2 * size),
            )
            store_six(U, SIDE * block * size + i, size, left, three)


@helper
def finish_gradient(sums, gradient, size, blocks):
    """Put ``G' s`` of sums s (blocks, 6, size) into `gradient` (3 * blocks, size)."""
    for block in range(blocks):
        for i in range(0, size, LANES):
            six = load_six(sums, SIDE * block * size + i, size)
            store_three(gradient, TAPS * block * size + i, size, size - i, unmix_kernels(*six))
