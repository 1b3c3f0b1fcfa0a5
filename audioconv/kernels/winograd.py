"""Convolution of 3 x 3 with fewer multiplications, for one example (Winograd; Lavin and Gray, 2016, arXiv 1509.09308).

Sixteen outputs (a tile of 4 x 4) are computed from 6 x 6 inputs. Both inputs and kernels are transformed, to 36
elements each; these are multiplied instead of 144; and the 36 sums over the channels are transformed to the 16
outputs::

    Y = A' ((G g G') * (B' d B)) A

For each of the 36 positions the sums over the channels are a matrix product of their own, by the register tile. The
gradient by the kernels is the same read backward: ``dg = G' (sum over tiles of (B' d B) * (A dY A')) G``.

Tiles are worked through in strips that stay in the cache. `V` holds a strip's transformed inputs, (36, strip, C), `M`
the products, (36, strip, K), both with C and K rounded up to whole vectors; U are the kernels, (36, C, K).
"""

from __future__ import annotations

import numpy as np

from audioconv.kernels.jit import LANES, helper
from audioconv.kernels.pixelwise import round_up_to_lanes
from audioconv.kernels.simd_float32 import larger, load, offset_pointer, splat, store_first, where_less
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

POSITIONS = SIDE * SIDE


@helper
def transform_inputs(x, V, C, strip, line, pixel, across, begin, end):
    """Put ``B' d B`` of tiles `begin` to `end` into V; `across` tiles make a line of them."""
    size = round_up_to_lanes(C)
    position_stride = strip * size
    for tile in range(begin, end):
        down = tile // across
        corner = TILE * (down * line + (tile - down * across) * pixel)
        for c in range(0, C, LANES):
            place, target = corner + c, (tile - begin) * size + c
            l0 = mix_inputs(*load_six(x, place, pixel))
            l1 = mix_inputs(*load_six(x, place + line, pixel))
            l2 = mix_inputs(*load_six(x, place + 2 * line, pixel))
            l3 = mix_inputs(*load_six(x, place + 3 * line, pixel))
            l4 = mix_inputs(*load_six(x, place + 4 * line, pixel))
            l5 = mix_inputs(*load_six(x, place + 5 * line, pixel))
            row_stride = SIDE * position_stride
            store_six(V, target, row_stride, LANES, mix_inputs(l0[0], l1[0], l2[0], l3[0], l4[0], l5[0]))
            store_six(
                V, target + position_stride, row_stride, LANES, mix_inputs(l0[1], l1[1], l2[1], l3[1], l4[1], l5[1])
            )
            store_six(
                V, target + 2 * position_stride, row_stride, LANES, mix_inputs(l0[2], l1[2], l2[2], l3[2], l4[2], l5[2])
            )
            store_six(
                V, target + 3 * position_stride, row_stride, LANES, mix_inputs(l0[3], l1[3], l2[3], l3[3], l4[3], l5[3])
            )
            store_six(
                V, target + 4 * position_stride, row_stride, LANES, mix_inputs(l0[4], l1[4], l2[4], l3[4], l4[4], l5[4])
            )
            store_six(
                V, target + 5 * position_stride, row_stride, LANES, mix_inputs(l0[5], l1[5], l2[5], l3[5], l4[5], l5[5])
            )


@helper
def _pick(y, row, column, P, Q, line, pixel, k):
    """Return an output's gradient; beyond the image it is zero."""
    return load(y, row * line + column * pixel + k) if row < P and column < Q else splat(np.float32(0))


@helper
def _mix_line(y, row, column, P, Q, line, pixel, k):
    return mix_gradients(
        _pick(y, row, column, P, Q, line, pixel, k),
        _pick(y, row, column + 1, P, Q, line, pixel, k),
        _pick(y, row, column + 2, P, Q, line, pixel, k),
        _pick(y, row, column + 3, P, Q, line, pixel, k),
    )


@helper
def transform_gradients(dy, M, K, strip, P, Q, line, pixel, across, begin, end):
    """Put ``A dY A'`` of tiles `begin` to `end` into M."""
    size = round_up_to_lanes(K)
    position_stride = strip * size
    for tile in range(begin, end):
        row, column = TILE * (tile // across), TILE * (tile % across)
        for k in range(0, K, LANES):
            target = (tile - begin) * size + k
            l0 = _mix_line(dy, row, column, P, Q, line, pixel, k)
            l1 = _mix_line(dy, row + 1, column, P, Q, line, pixel, k)
            l2 = _mix_line(dy, row + 2, column, P, Q, line, pixel, k)
            l3 = _mix_line(dy, row + 3, column, P, Q, line, pixel, k)
            row_stride = SIDE * position_stride
            store_six(M, target, row_stride, LANES, mix_gradients(l0[0], l1[0], l2[0], l3[0]))
            store_six(M, target + position_stride, row_stride, LANES, mix_gradients(l0[1], l1[1], l2[1], l3[1]))
            store_six(M, target + 2 * position_stride, row_stride, LANES, mix_gradients(l0[2], l1[2], l2[2], l3[2]))
            store_six(M, target + 3 * position_stride, row_stride, LANES, mix_gradients(l0[3], l1[3], l2[3], l3[3]))
            store_six(M, target + 4 * position_stride, row_stride, LANES, mix_gradients(l0[4], l1[4], l2[4], l3[4]))
            store_six(M, target + 5 * position_stride, row_stride, LANES, mix_gradients(l0[5], l1[5], l2[5], l3[5]))


@helper
def _finish(y, row, column, P, Q, line, pixel, k, K, value, accumulate, slopes):
    if row < P and column < Q:
        place = row * line + column * pixel + k
        if accumulate:
            value = value + load(y, place)
        store_first(y, place, K - k, where_less(value, splat(np.float32(0)), value * slopes, value))


@helper
def _columns_of_outputs(M, source, position_stride):
    """Return each of a tile's six columns, transformed to four elements."""
    row_stride = SIDE * position_stride
    return (
        unmix_outputs(*load_six(M, source, row_stride)),
        unmix_outputs(*load_six(M, source + position_stride, row_stride)),
        unmix_outputs(*load_six(M, source + 2 * position_stride, row_stride)),
        unmix_outputs(*load_six(M, source + 3 * position_stride, row_stride)),
        unmix_outputs(*load_six(M, source + 4 * position_stride, row_stride)),
        unmix_outputs(*load_six(M, source + 5 * position_stride, row_stride)),
    )


@helper
def _finish_line(y, row, column, P, Q, line, pixel, k, K, four, bias, accumulate, slopes):
    _finish(y, row, column, P, Q, line, pixel, k, K, four[0] + bias, accumulate, slopes)
    _finish(y, row, column + 1, P, Q, line, pixel, k, K, four[1] + bias, accumulate, slopes)
    _finish(y, row, column + 2, P, Q, line, pixel, k, K, four[2] + bias, accumulate, slopes)
    _finish(y, row, column + 3, P, Q, line, pixel, k, K, four[3] + bias, accumulate, slopes)


@helper
def transform_outputs(M, biases, y, K, strip, P, Q, line, pixel, across, begin, end, accumulate, slope):
    """Write ``A' M A + biases``, activated, or add it to what is in y."""
    size = round_up_to_lanes(K)
    position_stride = strip * size
    slopes = splat(np.float32(slope))
    for tile in range(begin, end):
        row, column = TILE * (tile // across), TILE * (tile % across)
        for k in range(0, K, LANES):
            a, b, c, d, e, f = _columns_of_outputs(M, (tile - begin) * size + k, position_stride)
            bias = load(biases, k)
            four = unmix_outputs(a[0], b[0], c[0], d[0], e[0], f[0])
            _finish_line(y, row, column, P, Q, line, pixel, k, K, four, bias, accumulate, slopes)
            four = unmix_outputs(a[1], b[1], c[1], d[1], e[1], f[1])
            _finish_line(y, row + 1, column, P, Q, line, pixel, k, K, four, bias, accumulate, slopes)
            four = unmix_outputs(a[2], b[2], c[2], d[2], e[2], f[2])
            _finish_line(y, row + 2, column, P, Q, line, pixel, k, K, four, bias, accumulate, slopes)
            four = unmix_outputs(a[3], b[3], c[3], d[3], e[3], f[3])
            _finish_line(y, row + 3, column, P, Q, line, pixel, k, K, four, bias, accumulate, slopes)


@helper
def _finish_pair(y, row, column, P, Q, line, pixel, k, K, upper, lower, bias, slopes):
    """Write the largest elements of two windows of 2 x 2, which two lines of a tile have beside each other."""
    first = larger(larger(lower[1], lower[0]), larger(upper[1], upper[0])) + bias
    second = larger(larger(lower[3], lower[2]), larger(upper[3], upper[2])) + bias
    _finish(y, row, column, P, Q, line, pixel, k, K, first, False, slopes)
    _finish(y, row, column + 1, P, Q, line, pixel, k, K, second, False, slopes)


@helper
def pool_outputs(M, biases, y, K, strip, P, Q, line, pixel, across, begin, end, slope):
    """Write the largest of each 2 x 2 of ``A' M A + biases``, activated: a max-pool behind the convolution.

    P and Q are those of y.
    """
    size = round_up_to_lanes(K)
    position_stride = strip * size
    slopes = splat(np.float32(slope))
    for tile in range(begin, end):
        row, column = TILE // 2 * (tile // across), TILE // 2 * (tile % across)
        for k in range(0, K, LANES):
            a, b, c, d, e, f = _columns_of_outputs(M, (tile - begin) * size + k, position_stride)
            bias = load(biases, k)
            upper = unmix_outputs(a[0], b[0], c[0], d[0], e[0], f[0])
            lower = unmix_outputs(a[1], b[1], c[1], d[1], e[1], f[1])
            _finish_pair(y, row, column, P, Q, line, pixel, k, K, upper, lower, bias, slopes)
            upper = unmix_outputs(a[2], b[2], c[2], d[2], e[2], f[2])
            lower = unmix_outputs(a[3], b[3], c[3], d[3], e[3], f[3])
            _finish_pair(y, row + 1, column, P, Q, line, pixel, k, K, upper, lower, bias, slopes)


@helper
def convolve(x, U, biases, y, V, M, C, K, strip, x_line, x_pixel, P, Q, y_line, y_pixel, rows, terms, zeros,
             accumulate, pooled, slope, part, parts):  # fmt: skip
    """Convolve x, from its padded corner on, with transformed kernels; of `parts` shares of the tiles, one.

    The tables pair tile with tile of V and M (`rows`) and channel with channel of V and U (`terms`). Where `pooled`, y
    gets the largest element of each 2 x 2 alone; P and Q, of the outputs before, are even then.
    """
    across = (Q + TILE - 1) // TILE
    tiles = (P + TILE - 1) // TILE * across
    last = (part + 1) * tiles // parts
    for begin in range(part * tiles // parts, last, strip):
        end = min(last, begin + strip)
        transform_inputs(x, V, C, strip, x_line, x_pixel, across, begin, end)
        for position in range(POSITIONS):
            correlate(
                offset_pointer(V, position * strip * round_up_to_lanes(C)), offset_pointer(U, position * C * K), zeros,
                False, offset_pointer(M, position * strip * round_up_to_lanes(K)), round_up_to_lanes(K), rows,
                end - begin, terms, C, False, False, np.float32(1),
            )  # fmt: skip
        if pooled:
            pool_outputs(M, biases, y, K, strip, P // 2, Q // 2, y_line, y_pixel, across, begin, end, slope)
        else:
            transform_outputs(M, biases, y, K, strip, P, Q, y_line, y_pixel, across, begin, end, accumulate, slope)


@helper
def kernel_gradient(x, dy, sums, V, M, C, K, strip, x_line, x_pixel, P, Q, y_line, y_pixel, rows, row_count, terms,
                    zeros, number, is_last):  # fmt: skip
    """Add ``(B' d B) * (A dY A')`` of all tiles to `sums` (36, C, K), or begin with them.

    The tables pair channel with channel of V and `sums` (`rows`) and tile with tile of V and M (`terms`). Examples of
    few tiles are collected in V and M until a strip is full, then accumulated together: each accumulation reads and
    writes all sums. `number` counts the examples that share V, M and `sums`; `is_last` forces the accumulation. After
    the last one, `finish_gradient` turns the sums into the gradient.
    """
    across = (Q + TILE - 1) // TILE
    tiles = (P + TILE - 1) // TILE * across
    together = max(1, strip // tiles)
    waiting = number % together
    before, accumulate = waiting * tiles, number > waiting
    for begin in range(0, tiles, strip):
        end = min(tiles, begin + strip)
        transform_inputs(
            x, offset_pointer(V, before * round_up_to_lanes(C)), C, strip, x_line, x_pixel, across, begin, end
        )
        transform_gradients(
            dy, offset_pointer(M, before * round_up_to_lanes(K)), K, strip, P, Q, y_line, y_pixel, across, begin, end
        )
        if waiting + 1 < together and not is_last:
            break
        for position in range(POSITIONS):
            correlate(
                offset_pointer(V, position * strip * round_up_to_lanes(C)),
                offset_pointer(M, position * strip * round_up_to_lanes(K)), zeros, accumulate,
                offset_pointer(sums, position * C * K), K, rows, row_count, terms, before + end - begin, False, False,
                np.float32(1),
            )  # fmt: skip
        accumulate = True


@helper
def transform_kernels(g, U, size, begin, end):
    """Put ``G g G'`` of elements `begin` to `end` of the kernels (3, 3, size) into U (36, size); `size` is C * K."""
    for i in range(begin, end, LANES):
        left = end - i
        a = mix_kernels(load(g, i), load(g, i + size), load(g, i + 2 * size))
        b = mix_kernels(load(g, i + 3 * size), load(g, i + 4 * size), load(g, i + 5 * size))
        c = mix_kernels(load(g, i + 6 * size), load(g, i + 7 * size), load(g, i + 8 * size))
        row_stride = SIDE * size
        store_six(U, i, row_stride, left, mix_kernels(a[0], b[0], c[0]))
        store_six(U, i + size, row_stride, left, mix_kernels(a[1], b[1], c[1]))
        store_six(U, i + 2 * size, row_stride, left, mix_kernels(a[2], b[2], c[2]))
        store_six(U, i + 3 * size, row_stride, left, mix_kernels(a[3], b[3], c[3]))
        store_six(U, i + 4 * size, row_stride, left, mix_kernels(a[4], b[4], c[4]))
        store_six(U, i + 5 * size, row_stride, left, mix_kernels(a[5], b[5], c[5]))


@helper
def finish_gradient(sums, gradient, size):
    """Put ``G' s G`` of sums s (36, size) into `gradient` (3, 3, size)."""
    line = SIDE * size
    for i in range(0, size, LANES):
        left = size - i
        a = unmix_kernels(*load_six(sums, i, size))
        b = unmix_kernels(*load_six(sums, i + line, size))
        c = unmix_kernels(*load_six(sums, i + 2 * line, size))
        d = unmix_kernels(*load_six(sums, i + 3 * line, size))
        e = unmix_kernels(*load_six(sums, i + 4 * line, size))
        f = unmix_kernels(*load_six(sums, i + 5 * line, size))
        store_three(gradient, i, 3 * size, left, unmix_kernels(a[0], b[0], c[0], d[0], e[0], f[0]))
        store_three(gradient, i + size, 3 * size, left, unmix_kernels(a[1], b[1], c[1], d[1], e[1], f[1]))
        store_three(gradient, i + 2 * size, 3 * size, left, unmix_kernels(a[2], b[2], c[2], d[2], e[2], f[2]))
