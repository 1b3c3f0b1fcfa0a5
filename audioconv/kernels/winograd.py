"""Convolution of 3 x 3 with fewer multiplications (Winograd; Lavin and Gray, 2016, arXiv 1509.09308), for one example.

Four outputs (a tile of 2 x 2) are computed from 4 x 4 inputs. Both inputs and kernels are transformed, to 16 numbers
each; these are multiplied instead of 36; and the 16 sums over the channels are transformed to the 4 outputs::

    Y = A' ((G g G') * (B' d B)) A

For each of the 16 positions the sums over the channels are a matrix product of their own, by the register tile. The
gradient by the kernels is the same read backward: ``dg = G' (sum over tiles of (B' d B) * (A dY A')) G``.

Tiles are worked through in strips that stay in the cache. `V` holds a strip's transformed inputs, (16, strip, C), `M`
the products, (16, strip, K), both with C and K rounded up to whole vectors; U are the kernels, (16, C, K).
"""

from __future__ import annotations

import numpy as np

from audioconv.kernels.images import whole
from audioconv.kernels.jit import LANES, helper
from audioconv.kernels.tile import HALF, correlate
from audioconv.kernels.vector import ahead, larger, load, splat, store_first, where_less

POSITIONS = 16


@helper
def _mix_inputs(a, b, c, d):
    return a - c, b + c, c - b, b - d


@helper
def _mix_gradients(a, b):
    return a, a + b, a - b, splat(np.float32(0)) - b


@helper
def _store_four(target, offset, apart, four):
    store_first(target, offset, LANES, four[0])
    store_first(target, offset + apart, LANES, four[1])
    store_first(target, offset + 2 * apart, LANES, four[2])
    store_first(target, offset + 3 * apart, LANES, four[3])


@helper
def _load_four(source, offset, apart):
    return (
        load(source, offset),
        load(source, offset + apart),
        load(source, offset + 2 * apart),
        load(source, offset + 3 * apart),
    )


@helper
def transform_inputs(x, V, C, strip, line, pixel, across, begin, end):
    """Put ``B' d B`` of tiles `begin` to `end` into V; `across` tiles make a line of them."""
    size = whole(C)
    apart = strip * size
    for tile in range(begin, end):
        down = tile // across
        corner = 2 * (down * line + (tile - down * across) * pixel)
        target = (tile - begin) * size
        for c in range(0, C, LANES):
            place = corner + c
            a = _mix_inputs(*_load_four(x, place, pixel))
            b = _mix_inputs(*_load_four(x, place + line, pixel))
            d = _mix_inputs(*_load_four(x, place + 2 * line, pixel))
            e = _mix_inputs(*_load_four(x, place + 3 * line, pixel))
            for_column0 = _mix_inputs(a[0], b[0], d[0], e[0])
            for_column1 = _mix_inputs(a[1], b[1], d[1], e[1])
            for_column2 = _mix_inputs(a[2], b[2], d[2], e[2])
            for_column3 = _mix_inputs(a[3], b[3], d[3], e[3])
            _store_four(V, target + c, 4 * apart, for_column0)
            _store_four(V, target + c + apart, 4 * apart, for_column1)
            _store_four(V, target + c + 2 * apart, 4 * apart, for_column2)
            _store_four(V, target + c + 3 * apart, 4 * apart, for_column3)


@helper
def _pick(y, row, column, P, Q, line, pixel, k):
    """Return an output's gradient; beyond the image it is zero."""
    return load(y, row * line + column * pixel + k) if row < P and column < Q else splat(np.float32(0))


@helper
def transform_gradients(dy, M, K, strip, P, Q, line, pixel, across, begin, end):
    """Put ``A dY A'`` of tiles `begin` to `end` into M."""
    size = whole(K)
    apart = strip * size
    for tile in range(begin, end):
        row = 2 * (tile // across)
        column = 2 * (tile % across)
        target = (tile - begin) * size
        for k in range(0, K, LANES):
            a = _mix_gradients(
                _pick(dy, row, column, P, Q, line, pixel, k), _pick(dy, row, column + 1, P, Q, line, pixel, k)
            )
            b = _mix_gradients(
                _pick(dy, row + 1, column, P, Q, line, pixel, k), _pick(dy, row + 1, column + 1, P, Q, line, pixel, k)
            )
            _store_four(M, target + k, 4 * apart, _mix_gradients(a[0], b[0]))
            _store_four(M, target + k + apart, 4 * apart, _mix_gradients(a[1], b[1]))
            _store_four(M, target + k + 2 * apart, 4 * apart, _mix_gradients(a[2], b[2]))
            _store_four(M, target + k + 3 * apart, 4 * apart, _mix_gradients(a[3], b[3]))


@helper
def _finish(y, row, column, P, Q, line, pixel, k, K, value, onward, slopes):
    if row < P and column < Q:
        place = row * line + column * pixel + k
        if onward:
            value = value + load(y, place)
        store_first(y, place, K - k, where_less(value, splat(np.float32(0)), value * slopes, value))


@helper
def _four_outputs(M, source, apart, bias):
    """Return the outputs of a tile, line by line."""
    a = _load_four(M, source, apart)
    b = _load_four(M, source + 4 * apart, apart)
    c = _load_four(M, source + 8 * apart, apart)
    d = _load_four(M, source + 12 * apart, apart)
    # Over the rows of M, then over its columns.
    u0, u1, u2, u3 = a[0] + b[0] + c[0], a[1] + b[1] + c[1], a[2] + b[2] + c[2], a[3] + b[3] + c[3]
    v0, v1, v2, v3 = b[0] - c[0] - d[0], b[1] - c[1] - d[1], b[2] - c[2] - d[2], b[3] - c[3] - d[3]
    return u0 + u1 + u2 + bias, u1 - u2 - u3 + bias, v0 + v1 + v2 + bias, v1 - v2 - v3 + bias


@helper
def transform_outputs(M, start, y, K, strip, P, Q, line, pixel, across, begin, end, onward, slope):
    """Write ``A' M A + start``, activated, or add it to what is in y."""
    size = whole(K)
    apart = strip * size
    slopes = splat(np.float32(slope))
    for tile in range(begin, end):
        row = 2 * (tile // across)
        column = 2 * (tile % across)
        source = (tile - begin) * size
        for k in range(0, K, LANES):
            first, second, third, fourth = _four_outputs(M, source + k, apart, load(start, k))
            _finish(y, row, column, P, Q, line, pixel, k, K, first, onward, slopes)
            _finish(y, row, column + 1, P, Q, line, pixel, k, K, second, onward, slopes)
            _finish(y, row + 1, column, P, Q, line, pixel, k, K, third, onward, slopes)
            _finish(y, row + 1, column + 1, P, Q, line, pixel, k, K, fourth, onward, slopes)


@helper
def pool_outputs(M, start, y, K, strip, line, pixel, across, begin, end, slope):
    """Write the largest of each tile of ``A' M A + start``, activated: a max-pool of 2 x 2 behind the convolution."""
    size = whole(K)
    apart = strip * size
    zero, slopes = splat(np.float32(0)), splat(np.float32(slope))
    for tile in range(begin, end):
        place = tile // across * line + tile % across * pixel
        source = (tile - begin) * size
        for k in range(0, K, LANES):
            first, second, third, fourth = _four_outputs(M, source + k, apart, load(start, k))
            best = larger(larger(fourth, third), larger(second, first))
            store_first(y, place + k, K - k, where_less(best, zero, best * slopes, best))


@helper
def convolve(x, U, start, y, V, M, C, K, strip, x_line, x_pixel, P, Q, y_line, y_pixel, rows, terms, zeros, onward,
             pooled, slope, part, parts):  # fmt: skip
    """Convolve x, from its padded corner on, with transformed kernels; of `parts` shares of the tiles, one.

    The tables pair tile with tile of V and M (`rows`) and channel with channel of V and U (`terms`). Where `pooled`, y
    gets the largest number of each tile alone; P and Q, of the outputs before, are even then.
    """
    across = (Q + 1) // 2
    tiles = (P + 1) // 2 * across
    last = (part + 1) * tiles // parts
    for begin in range(part * tiles // parts, last, strip):
        end = min(last, begin + strip)
        transform_inputs(x, V, C, strip, x_line, x_pixel, across, begin, end)
        some = (end - begin + HALF - 1) // HALF * HALF
        for position in range(POSITIONS):
            correlate(
                ahead(V, position * strip * whole(C)), ahead(U, position * C * K), zeros, False,
                ahead(M, position * strip * whole(K)), K, rows, some, terms, C, False, False, np.float32(1),
            )  # fmt: skip
        if pooled:
            pool_outputs(M, start, y, K, strip, y_line, y_pixel, across, begin, end, slope)
        else:
            transform_outputs(M, start, y, K, strip, P, Q, y_line, y_pixel, across, begin, end, onward, slope)


@helper
def kernel_gradient(x, dy, sums, V, M, C, K, strip, x_line, x_pixel, P, Q, y_line, y_pixel, rows, row_count, terms,
                    zeros, onward):  # fmt: skip
    """Add ``(B' d B) * (A dY A')`` of all tiles to `sums` (16, C, K), or begin with them unless `onward`.

    The tables pair channel with channel of V and `sums` (`rows`) and tile with tile of V and M (`terms`).
    """
    across = (Q + 1) // 2
    tiles = (P + 1) // 2 * across
    for begin in range(0, tiles, strip):
        end = min(tiles, begin + strip)
        transform_inputs(x, V, C, strip, x_line, x_pixel, across, begin, end)
        transform_gradients(dy, M, K, strip, P, Q, y_line, y_pixel, across, begin, end)
        for position in range(POSITIONS):
            correlate(
                ahead(V, position * strip * whole(C)), ahead(M, position * strip * whole(K)), zeros, onward,
                ahead(sums, position * C * K), K, rows, row_count, terms, end - begin, False, False, np.float32(1),
            )  # fmt: skip
        onward = True


@helper
def _mix_kernels(a, b, c):
    half = splat(np.float32(0.5))
    return a, (a + b + c) * half, (a - b + c) * half, c


@helper
def transform_kernels(g, U, size, begin, end):
    """Put ``G g G'`` of numbers `begin` to `end` of the kernels (3, 3, size) into U (16, size); `size` is C * K."""
    for i in range(begin, end, LANES):
        left = end - i
        a = _mix_kernels(load(g, i), load(g, i + size), load(g, i + 2 * size))
        b = _mix_kernels(load(g, i + 3 * size), load(g, i + 4 * size), load(g, i + 5 * size))
        c = _mix_kernels(load(g, i + 6 * size), load(g, i + 7 * size), load(g, i + 8 * size))
        columns = (
            _mix_kernels(a[0], b[0], c[0]),
            _mix_kernels(a[1], b[1], c[1]),
            _mix_kernels(a[2], b[2], c[2]),
            _mix_kernels(a[3], b[3], c[3]),
        )
        for column in range(4):
            four = columns[column]
            store_first(U, i + column * size, left, four[0])
            store_first(U, i + (4 + column) * size, left, four[1])
            store_first(U, i + (8 + column) * size, left, four[2])
            store_first(U, i + (12 + column) * size, left, four[3])


@helper
def _sum_of_tasks(parts, offset, count, distance):
    total = load(parts, offset)
    for part in range(1, count):
        total = total + load(parts, part * distance + offset)
    return total


@helper
def _four_sums(parts, offset, size, count, distance):
    return (
        _sum_of_tasks(parts, offset, count, distance),
        _sum_of_tasks(parts, offset + size, count, distance),
        _sum_of_tasks(parts, offset + 2 * size, count, distance),
        _sum_of_tasks(parts, offset + 3 * size, count, distance),
    )


@helper
def _unmix(a, b, c, d):
    half = splat(np.float32(0.5))
    return a + (b + c) * half, (b - c) * half, (b + c) * half + d


@helper
def gather_kernels(parts, dg, size, begin, end, count, distance):
    """Add up `count` partial sums (16, size) that lie `distance` apart; put ``G' s G`` of them into dg (3, 3, size)."""
    for i in range(begin, end, LANES):
        left = end - i
        a = _unmix(*_four_sums(parts, i, size, count, distance))
        b = _unmix(*_four_sums(parts, i + 4 * size, size, count, distance))
        c = _unmix(*_four_sums(parts, i + 8 * size, size, count, distance))
        d = _unmix(*_four_sums(parts, i + 12 * size, size, count, distance))
        columns = (
            _unmix(a[0], b[0], c[0], d[0]), _unmix(a[1], b[1], c[1], d[1]), _unmix(a[2], b[2], c[2], d[2])
        )  # fmt: skip
        for column in range(3):
            three = columns[column]
            store_first(dg, i + column * size, left, three[0])
            store_first(dg, i + (3 + column) * size, left, three[1])
            store_first(dg, i + (6 + column) * size, left, three[2])
