"""Images of one example: zeros around them, their sums, their averages. Letters as in `norm_activation_pool`."""

from __future__ import annotations

import numpy as np

from audioconv.kernels.jit import LANES, helper
from audioconv.kernels.simd_float32 import (
    add_to_float64,
    fence,
    load,
    load_first,
    splat,
    store_first,
    store_nontemporal,
    where_less,
)


@helper
def round_up_to_lanes(channels):
    """Return `channels` rounded up to whole vectors."""
    return (channels + LANES - 1) // LANES * LANES


@helper
def clear(y, offset, count):
    """Set `count` elements to zero."""
    zero = splat(np.float32(0))
    for i in range(0, count, LANES):
        store_first(y, offset + i, count - i, zero)


@helper
def stream_copy(x, y, count):
    """Copy `count` elements, rounded up to whole vectors, by non-temporal stores: they are not read again soon."""
    for i in range(0, count, LANES):
        store_nontemporal(y, i, load(x, i))
    fence()


@helper
def clear_border(y, P, Q, C, line, pixel, border, p0, p1):
    """Zero what surrounds the lines p0 to p1: `border` points to the widths above, below, left and right."""
    top, bottom, left, right = border[0], border[1], border[2], border[3]
    first = -top if p0 == 0 else p0
    last = P + bottom if p1 == P else p1
    for p in range(first, last):
        if p < 0 or p >= P:
            for q in range(-left, Q + right):
                clear(y, p * line + q * pixel, C)
        else:
            for q in range(-left, 0):
                clear(y, p * line + q * pixel, C)
            for q in range(Q, Q + right):
                clear(y, p * line + q * pixel, C)


RUN = 64
"""Elements of a channel that are added up in float32 at most: longer lines would lose digits."""


@helper
def moments(x, sums, C, H, W, x_line, x_pixel):
    """Put the first pixel s, and the sums of ``x - s`` and of its square, into sums (3, C) float64.

    Distances from a number that is there lose no digits where the mean is far from zero.
    """
    size = round_up_to_lanes(C)
    zero = splat(np.float32(0))
    for c in range(size):
        sums[c] = np.float64(x[c])
        sums[size + c] = 0.0
        sums[2 * size + c] = 0.0
    for h in range(H):
        for c in range(0, C, LANES):
            origin = load(x, c)
            place = h * x_line + c
            for begin in range(0, W, RUN):
                end = min(W, begin + RUN)
                # Two of each, so that one addition need not wait for the other.
                first, second, third, fourth = zero, zero, zero, zero
                for w in range(begin, end - 1, 2):
                    d = load(x, place + w * x_pixel) - origin
                    e = load(x, place + (w + 1) * x_pixel) - origin
                    first = first + d
                    second = second + d * d
                    third = third + e
                    fourth = fourth + e * e
                if end % 2:
                    d = load(x, place + (end - 1) * x_pixel) - origin
                    first = first + d
                    second = second + d * d
                add_to_float64(sums, size + c, first + third)
                add_to_float64(sums, 2 * size + c, second + fourth)


@helper
def channel_sums(x, sums, C, H, W, x_line, x_pixel):
    """Put the sum of all pixels into sums (C,) float64."""
    for c in range(round_up_to_lanes(C)):
        sums[c] = 0.0
    for h in range(H):
        for c in range(0, C, LANES):
            for begin in range(0, W, RUN):
                total = splat(np.float32(0))
                for w in range(begin, min(W, begin + RUN)):
                    total = total + load(x, h * x_line + w * x_pixel + c)
                add_to_float64(sums, c, total)


@helper
def add(a, b, both, y, C, a_line, a_pixel, b_line, b_pixel, P, Q, y_line, y_pixel, slope, border, p0, p1, q0, q1):
    """Compute ``y = a + b``, or ``y = a`` unless `both`, `slope` times as much below zero; reads nothing beyond."""
    zero, slopes = splat(np.float32(0)), splat(np.float32(slope))
    for p in range(p0, p1):
        for c in range(0, C, LANES):
            for q in range(q0, q1):
                v = load_first(a, p * a_line + q * a_pixel + c, C - c)
                if both:
                    v = v + load_first(b, p * b_line + q * b_pixel + c, C - c)
                store_first(y, p * y_line + q * y_pixel + c, C - c, where_less(v, zero, v * slopes, v))
    clear_border(y, P, Q, C, y_line, y_pixel, border, p0, p1)


@helper
def multiply(a, b, y, C, a_line, a_pixel, b_line, b_pixel, P, Q, y_line, y_pixel, border, p0, p1, q0, q1):
    """Compute ``y = a * b``; reads nothing beyond."""
    for p in range(p0, p1):
        for c in range(0, C, LANES):
            for q in range(q0, q1):
                v = load_first(a, p * a_line + q * a_pixel + c, C - c)
                v = v * load_first(b, p * b_line + q * b_pixel + c, C - c)
                store_first(y, p * y_line + q * y_pixel + c, C - c, v)
    clear_border(y, P, Q, C, y_line, y_pixel, border, p0, p1)


@helper
def average(x, y, C, H, W, x_line, x_pixel, P, Q, y_line, y_pixel, R, S, down, along, top, left, share, border):
    """Sum up each window times `share`; padding counts as zeros."""
    shares = splat(np.float32(share))
    for p in range(P):
        r0, r1 = max(0, top - p * down), min(R, H + top - p * down)
        for c in range(0, C, LANES):
            for q in range(Q):
                s0, s1 = max(0, left - q * along), min(S, W + left - q * along)
                total = splat(np.float32(0))
                for r in range(r0, r1):
                    place = (p * down + r - top) * x_line + (q * along - left) * x_pixel + c
                    # A sum a row, then over rows: a global average keeps its last digits.
                    row = splat(np.float32(0))
                    for s in range(s0, s1):
                        row = row + load(x, place + s * x_pixel)
                    total = total + row
                store_first(y, p * y_line + q * y_pixel + c, C - c, total * shares)
    clear_border(y, P, Q, C, y_line, y_pixel, border, 0, P)


@helper
def average_backward(dy, dx, accumulate, C, H, W, dx_line, dx_pixel, P, Q, y_line, y_pixel, R, S, down, along, top,
                     left, share):  # fmt: skip
    """Give each of a window's inputs its `share` of the output's gradient; `accumulate` adds to what is in dx."""
    shares = splat(np.float32(share))
    if not accumulate:
        for h in range(H):
            for w in range(W):
                clear(dx, h * dx_line + w * dx_pixel, C)
    for p in range(P):
        r0, r1 = max(0, top - p * down), min(R, H + top - p * down)
        for c in range(0, C, LANES):
            for q in range(Q):
                s0, s1 = max(0, left - q * along), min(S, W + left - q * along)
                g = load(dy, p * y_line + q * y_pixel + c) * shares
                for r in range(r0, r1):
                    place = (p * down + r - top) * dx_line + (q * along - left) * dx_pixel + c
                    for s in range(s0, s1):
                        target = place + s * dx_pixel
                        store_first(dx, target, C - c, load(dx, target) + g)


@helper
def add_up(parts, y, size, count, distance):
    """Add up `count` arrays of `size` elements that begin `distance` apart; reads no further than a vector behind."""
    for i in range(0, size, LANES):
        total = load(parts, i)
        for part in range(1, count):
            total = total + load(parts, part * distance + i)
        store_first(y, i, size - i, total)
