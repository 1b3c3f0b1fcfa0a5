"""Fused batch normalisation, activation and pooling for one example, forward and backward.

A sweep computes ``y = pool(activate((x - mean) * scale + beta))``. Any of the three may do nothing: a scale of 1, an
activation of slope 1, a window of 1 x 1. Activations are ReLU (slope 0 below zero) and leaky ReLU, and a clamp to
`low` and `high` behind them, infinite for none. Backward, whatever is needed of the way is computed again from x: that
is cheaper than keeping it.

Letters: x (H, W, C) with `x_line` elements from line to line and `x_pixel` from pixel to pixel, y (P, Q, C) likewise.
`vectors` holds mean, scale and beta one behind the other, each of C rounded up to whole vectors, as all rows of C
elements are here; `gradients` holds the three factors of batch normalisation's gradient. Channels run along the vector;
elements behind the last channel are computed from whatever lies there, and not written.
"""

from __future__ import annotations

import numpy as np

from audioconv.kernels.jit import LANES, helper
from audioconv.kernels.pixelwise import RUN, clear_border, round_up_to_lanes
from audioconv.kernels.simd_float32 import (
    add_to_float64,
    larger,
    load,
    prefetch,
    splat,
    store_first,
    where_equal,
    where_less,
)

CACHE_LINE = 16  # elements


@helper
def _fetch_lines(x, offset, count):
    """Prefetch `count` elements: blocks of channels are read with gaps, which the processor does not predict."""
    for i in range(0, count, CACHE_LINE):
        prefetch(x, offset + i)


@helper
def _is_four(R, S, top, left, H, W, P, Q, down, along):
    """Tell whether windows are of four elements, and none reaches beyond x: those have loops without branches."""
    return R * S == 4 and top == left == 0 and (P - 1) * down + R <= H and (Q - 1) * along + S <= W


@helper
def _places(S, line, pixel):
    """Return where the second, third and fourth number of a window of four lie, `S` being its width."""
    return 1 // S * line + 1 % S * pixel, 2 // S * line + 2 % S * pixel, 3 // S * line + 3 % S * pixel


@helper
def _four(x, place, places, mean):
    """Return the four elements of a window, less the mean."""
    second, third, fourth = places
    return (
        load(x, place) - mean,
        load(x, place + second) - mean,
        load(x, place + third) - mean,
        load(x, place + fourth) - mean,
    )


@helper
def _normalised(x, place, vectors, size, c):
    """Return a vector of x, less the mean, and what it is behind the normalisation."""
    d = load(x, place) - load(vectors, c)
    return d, d * load(vectors, size + c) + load(vectors, 2 * size + c)


@helper
def _activated(v, slopes, lows, highs):
    """Return the activation of a vector."""
    v = where_less(v, splat(np.float32(0)), v * slopes, v)
    v = where_less(v, lows, lows, v)  # one instruction each: a maximum and a minimum
    return where_less(highs, v, highs, v)


@helper
def _through_activation(v, g, slopes, is_clamped, lows, highs):
    """Return the gradient by a vector, given that by its activation."""
    zero = splat(np.float32(0))
    through = where_less(zero, v, g, g * slopes)
    if is_clamped:  # seldom, and six instructions more
        a = where_less(v, zero, v * slopes, v)
        through = where_less(a, lows, zero, through)
        through = where_less(highs, a, zero, through)
    return through


@helper
def forward(x, vectors, y, C, H, W, x_line, x_pixel, P, Q, y_line, y_pixel, R, S, down, along, top, left, slope,
            low, high, border, p0, p1, q0, q1):  # fmt: skip
    """Compute y for its lines p0 to p1 and columns q0 to q1."""
    size = round_up_to_lanes(C)
    is_four, places = _is_four(R, S, top, left, H, W, P, Q, down, along), _places(S, x_line, x_pixel)
    slopes, lows, highs = splat(np.float32(slope)), splat(np.float32(low)), splat(np.float32(high))
    for p in range(p0, p1):
        if R * S == 1 and C > LANES:  # in the order of memory, which comes faster so
            for q in range(q0, q1):
                place = (p * down - top) * x_line + (q * along - left) * x_pixel
                for c in range(0, C, LANES):
                    _, v = _normalised(x, place + c, vectors, size, c)
                    store_first(y, p * y_line + q * y_pixel + c, C - c, _activated(v, slopes, lows, highs))
            continue
        r0, r1 = max(0, top - p * down), min(R, H + top - p * down)
        if C > LANES and p + 1 < p1:
            _fetch_lines(x, (p + 1) * down * x_line, down * x_line)
        for c in range(0, C, LANES):
            mean, scale, beta = load(vectors, c), load(vectors, size + c), load(vectors, 2 * size + c)
            if R * S == 1:
                from_line = (p * down - top) * x_line - left * x_pixel + c
                for q in range(q0, q1):
                    v = (load(x, from_line + q * along * x_pixel) - mean) * scale + beta
                    store_first(y, p * y_line + q * y_pixel + c, C - c, _activated(v, slopes, lows, highs))
            elif is_four:
                for q in range(q0, q1):
                    d0, d1, d2, d3 = _four(x, p * down * x_line + q * along * x_pixel + c, places, mean)
                    upper = larger(d1 * scale + beta, d0 * scale + beta)
                    best = larger(larger(d3 * scale + beta, d2 * scale + beta), upper)
                    store_first(y, p * y_line + q * y_pixel + c, C - c, _activated(best, slopes, lows, highs))
            else:
                for q in range(q0, q1):
                    s0, s1 = max(0, left - q * along), min(S, W + left - q * along)
                    best = splat(np.float32(-np.inf))
                    for r in range(r0, r1):
                        place = (p * down + r - top) * x_line + (q * along - left) * x_pixel + c
                        for s in range(s0, s1):
                            best = larger((load(x, place + s * x_pixel) - mean) * scale + beta, best)
                    store_first(y, p * y_line + q * y_pixel + c, C - c, _activated(best, slopes, lows, highs))
    clear_border(y, P, Q, C, y_line, y_pixel, border, p0, p1)


@helper
def select(
    x, vectors, selected, C, H, W, x_line, x_pixel, P, Q, line, pixel, R, S, down, along, top, left, p0, p1, q0, q1
):
    """Write the element of each window that a max-pool behind the normalisation selects, not normalised, to `selected`.

    Of equal elements it is the first.
    """
    size = round_up_to_lanes(C)
    is_four, places = _is_four(R, S, top, left, H, W, P, Q, down, along), _places(S, x_line, x_pixel)
    zero = splat(np.float32(0))
    for p in range(p0, p1):
        r0, r1 = max(0, top - p * down), min(R, H + top - p * down)
        if C > LANES and p + 1 < p1:
            _fetch_lines(x, (p + 1) * down * x_line, down * x_line)
        for c in range(0, C, LANES):
            mean, scale, beta = load(vectors, c), load(vectors, size + c), load(vectors, 2 * size + c)
            if is_four:
                for q in range(q0, q1):
                    x0, x1, x2, x3 = _four(x, p * down * x_line + q * along * x_pixel + c, places, zero)
                    v0, v1 = (x0 - mean) * scale + beta, (x1 - mean) * scale + beta
                    v2, v3 = (x2 - mean) * scale + beta, (x3 - mean) * scale + beta
                    first, second = where_less(v0, v1, x1, x0), where_less(v2, v3, x3, x2)
                    best = where_less(larger(v1, v0), larger(v3, v2), second, first)
                    store_first(selected, p * line + q * pixel + c, C - c, best)
                continue
            for q in range(q0, q1):
                s0, s1 = max(0, left - q * along), min(S, W + left - q * along)
                best, chosen = splat(np.float32(-np.inf)), zero
                for r in range(r0, r1):
                    place = (p * down + r - top) * x_line + (q * along - left) * x_pixel + c
                    for s in range(s0, s1):
                        number = load(x, place + s * x_pixel)
                        v = (number - mean) * scale + beta
                        chosen = where_less(best, v, number, chosen)
                        best = where_less(best, v, v, best)
                store_first(selected, p * line + q * pixel + c, C - c, chosen)


@helper
def gradient_sums(x, dy, vectors, sums, C, H, W, x_line, x_pixel, dy_line, dy_pixel, slope, low, high):
    """Add up, by channel, the gradient g behind the normalisation, and ``g * (x - mean)``: sums (2, C) float64.

    x (H, W, C) are elements that were not pooled, or those that were selected.
    """
    size = round_up_to_lanes(C)
    zero = splat(np.float32(0))
    slopes, lows, highs = splat(np.float32(slope)), splat(np.float32(low)), splat(np.float32(high))
    is_clamped = low > -np.inf or high < np.inf
    for i in range(2 * size):
        sums[i] = 0.0
    for h in range(H):
        if C > LANES and h + 1 < H:
            _fetch_lines(x, (h + 1) * x_line, x_line)
        for c in range(0, C, LANES):
            mean, scale, beta = load(vectors, c), load(vectors, size + c), load(vectors, 2 * size + c)
            for begin in range(0, W, RUN):
                plain, product = zero, zero
                for w in range(begin, min(W, begin + RUN)):
                    d = load(x, h * x_line + w * x_pixel + c) - mean
                    g = load(dy, h * dy_line + w * dy_pixel + c)
                    g = _through_activation(d * scale + beta, g, slopes, is_clamped, lows, highs)
                    plain = plain + g
                    product = product + g * d
                add_to_float64(sums, c, plain)
                add_to_float64(sums, size + c, product)


@helper
def backward(x, dy, vectors, gradients, dx, C, H, W, x_line, x_pixel, P, Q, y_line, y_pixel, R, S, down, along,
             top, left, slope, low, high, dx_line, dx_pixel, border):  # fmt: skip
    """Compute ``dx = by_dy * g + by_x * (x - mean) + shift``, g being the gradient behind the normalisation."""
    size = round_up_to_lanes(C)
    zero = splat(np.float32(0))
    slopes, lows, highs = splat(np.float32(slope)), splat(np.float32(low)), splat(np.float32(high))
    is_clamped = low > -np.inf or high < np.inf
    if R * S * down * along == 1:
        for h in range(H):
            if C > LANES:
                for w in range(W):
                    for c in range(0, C, LANES):
                        d, v = _normalised(x, h * x_line + w * x_pixel + c, vectors, size, c)
                        g = load(dy, h * y_line + w * y_pixel + c)
                        g = _through_activation(v, g, slopes, is_clamped, lows, highs) * load(gradients, c)
                        under = d * load(gradients, size + c) + load(gradients, 2 * size + c)
                        store_first(dx, h * dx_line + w * dx_pixel + c, C - c, g + under)
                continue
            for c in range(0, C, LANES):
                mean, scale, beta = load(vectors, c), load(vectors, size + c), load(vectors, 2 * size + c)
                by_dy, by_x, shift = load(gradients, c), load(gradients, size + c), load(gradients, 2 * size + c)
                for w in range(W):
                    d = load(x, h * x_line + w * x_pixel + c) - mean
                    g = load(dy, h * y_line + w * y_pixel + c)
                    g = _through_activation(d * scale + beta, g, slopes, is_clamped, lows, highs)
                    store_first(dx, h * dx_line + w * dx_pixel + c, C - c, g * by_dy + (d * by_x + shift))
        clear_border(dx, H, W, C, dx_line, dx_pixel, border, 0, H)
        return
    # Windows that do not overlap write each of their pixels once; where they might, they add to what is there.
    apart = down >= R and along >= S and top == 0 and left == 0
    gapless = apart and down == R and along == S
    is_four = gapless and _is_four(R, S, top, left, H, W, P, Q, down, along)
    places, targets = _places(S, x_line, x_pixel), _places(S, dx_line, dx_pixel)
    for h in range(H):
        begin = Q * along if gapless and h < P * down else 0
        for c in range(0, C, LANES):
            mean, by_x, shift = load(vectors, c), load(gradients, size + c), load(gradients, 2 * size + c)
            for w in range(begin, W):
                d = load(x, h * x_line + w * x_pixel + c) - mean
                store_first(dx, h * dx_line + w * dx_pixel + c, C - c, d * by_x + shift)
    for p in range(P):
        r0, r1 = max(0, top - p * down), min(R, H + top - p * down)
        for c in range(0, C, LANES):
            mean, scale, beta = load(vectors, c), load(vectors, size + c), load(vectors, 2 * size + c)
            by_dy, by_x, shift = load(gradients, c), load(gradients, size + c), load(gradients, 2 * size + c)
            if is_four:
                second, third, fourth = targets
                for q in range(Q):
                    place = p * down * x_line + q * along * x_pixel + c
                    d0, d1, d2, d3 = _four(x, place, places, mean)
                    v0, v1, v2, v3 = d0 * scale + beta, d1 * scale + beta, d2 * scale + beta, d3 * scale + beta
                    best = larger(larger(v3, v2), larger(v1, v0))
                    g = load(dy, p * y_line + q * y_pixel + c)
                    rest = _through_activation(best, g, slopes, is_clamped, lows, highs) * by_dy
                    target = p * down * dx_line + q * along * dx_pixel + c
                    given = where_equal(v0, best, rest, zero)
                    rest = where_equal(v0, best, zero, rest)
                    store_first(dx, target, C - c, d0 * by_x + shift + given)
                    given = where_equal(v1, best, rest, zero)
                    rest = where_equal(v1, best, zero, rest)
                    store_first(dx, target + second, C - c, d1 * by_x + shift + given)
                    given = where_equal(v2, best, rest, zero)
                    rest = where_equal(v2, best, zero, rest)
                    store_first(dx, target + third, C - c, d2 * by_x + shift + given)
                    given = where_equal(v3, best, rest, zero)
                    store_first(dx, target + fourth, C - c, d3 * by_x + shift + given)
                continue
            for q in range(Q):
                s0, s1 = max(0, left - q * along), min(S, W + left - q * along)
                g = load(dy, p * y_line + q * y_pixel + c)
                best = splat(np.float32(-np.inf))
                for r in range(r0, r1):
                    place = (p * down + r - top) * x_line + (q * along - left) * x_pixel + c
                    for s in range(s0, s1):
                        v = (load(x, place + s * x_pixel) - mean) * scale + beta
                        best = where_less(best, v, v, best)
                # The first of equals gets the gradient, what `rest` still holds of it.
                rest = _through_activation(best, g, slopes, is_clamped, lows, highs) * by_dy
                for r in range(r0, r1):
                    h, w = p * down + r - top, q * along - left
                    place = h * x_line + w * x_pixel + c
                    target = h * dx_line + w * dx_pixel + c
                    for s in range(s0, s1):
                        d = load(x, place + s * x_pixel) - mean
                        v = d * scale + beta
                        given = where_equal(v, best, rest, zero)
                        rest = where_equal(v, best, zero, rest)
                        under = d * by_x + shift if gapless else load(dx, target + s * dx_pixel)
                        store_first(dx, target + s * dx_pixel, C - c, under + given)
    clear_border(dx, H, W, C, dx_line, dx_pixel, border, 0, H)
