"""Depthwise convolution of 3 x 3 that goes by single pixels, for one example: each channel has its own kernel.

It is no matrix product, so the register tile (`kernels.tile`) is no faster: each of the nine multiplications has two
operands of its own. But neighbouring windows overlap. So the three columns of a window move along the line in
registers: each output loads one new column of three elements. The nine weights stay in registers.

Letters: x from its padded corner on, y (P, Q, C); both with a stride from line to line and from pixel to pixel.
"""

from __future__ import annotations

import numpy as np

from audioconv.kernels.jit import LANES, helper
from audioconv.kernels.simd_float32 import load, splat, store_first, where_less


@helper
def _column(x, place, line):
    """Return the three elements of a column."""
    return load(x, place), load(x, place + line), load(x, place + 2 * line)


@helper
def convolve(x, weight, biases, y, C, x_line, x_pixel, Q, y_line, y_pixel, flipped, accumulate, slope, p0, p1):
    """Write lines p0 to p1 of ``y = x * weight + biases``, activated; weight (3, 3, C).

    If `flipped`, the kernel is read from its last weight to its first, as the input gradient needs it. If `accumulate`,
    the result is added to y.
    """
    slopes, zero = splat(np.float32(slope)), splat(np.float32(0))
    first, step = (8 * C, -C) if flipped else (0, C)
    for p in range(p0, p1):
        for c in range(0, C, LANES):
            w = first + c
            w0, w1, w2 = load(weight, w), load(weight, w + step), load(weight, w + 2 * step)
            w3, w4, w5 = load(weight, w + 3 * step), load(weight, w + 4 * step), load(weight, w + 5 * step)
            w6, w7, w8 = load(weight, w + 6 * step), load(weight, w + 7 * step), load(weight, w + 8 * step)
            bias, left, place, target = load(biases, c), C - c, p * x_line + c, p * y_line + c
            for q in range(Q):
                a0, a1, a2 = _column(x, place + q * x_pixel, x_line)
                b0, b1, b2 = _column(x, place + (q + 1) * x_pixel, x_line)
                c0, c1, c2 = _column(x, place + (q + 2) * x_pixel, x_line)
                there = target + q * y_pixel
                begin = load(y, there) if accumulate else bias
                # Three independent sums hide the latency of the additions.
                upper, middle, lower = begin + a0 * w0 + b0 * w1, c0 * w2 + a1 * w3 + b1 * w4, c1 * w5 + a2 * w6
                total = upper + middle + (lower + b2 * w7 + c2 * w8)
                store_first(y, there, left, where_less(total, zero, total * slopes, total))


@helper
def weight_gradient(x, dy, sums, C, x_line, x_pixel, P, Q, y_line, y_pixel, accumulate):
    """Put the gradient by the weights into `sums` (3, 3, C), or add it to what is there where `accumulate`."""
    zero = splat(np.float32(0))
    for c in range(0, C, LANES):
        s0, s1, s2, s3, s4, s5, s6, s7, s8 = zero, zero, zero, zero, zero, zero, zero, zero, zero
        for p in range(P):
            place, source = p * x_line + c, p * y_line + c
            for q in range(Q):
                a0, a1, a2 = _column(x, place + q * x_pixel, x_line)
                b0, b1, b2 = _column(x, place + (q + 1) * x_pixel, x_line)
                c0, c1, c2 = _column(x, place + (q + 2) * x_pixel, x_line)
                g = load(dy, source + q * y_pixel)
                s0, s1, s2 = s0 + a0 * g, s1 + b0 * g, s2 + c0 * g
                s3, s4, s5 = s3 + a1 * g, s4 + b1 * g, s5 + c1 * g
                s6, s7, s8 = s6 + a2 * g, s7 + b2 * g, s8 + c2 * g
        left = C - c
        _add(sums, c, C, left, accumulate, s0, s1, s2)
        _add(sums, c + 3 * C, C, left, accumulate, s3, s4, s5)
        _add(sums, c + 6 * C, C, left, accumulate, s6, s7, s8)


@helper
def _add(sums, place, row_stride, left, accumulate, first, second, third):
    if accumulate:
        first, second = first + load(sums, place), second + load(sums, place + row_stride)
        third = third + load(sums, place + 2 * row_stride)
    store_first(sums, place, left, first)
    store_first(sums, place + row_stride, left, second)
    store_first(sums, place + 2 * row_stride, left, third)
