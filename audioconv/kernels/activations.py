"""Activations of one example that are not fused with a normalisation: sigmoid, SiLU, tanh, ELU and the hard ones.

With ``e = exp(-k * v) - 1``, sigmoid, SiLU and tanh are quotients by ``2 + e``: k = 1 for sigmoid and SiLU, 2 for tanh.
The hard ones have the line ``slope * v + shift`` between 0 and 1; ELU has its alpha as `slope`. Letters as in
`norm_activation_pool`.
"""

from __future__ import annotations

import numpy as np

from audioconv.kernels.elementwise import SILU, TANH
from audioconv.kernels.jit import LANES, helper
from audioconv.kernels.pixelwise import clear_border
from audioconv.kernels.simd_float32 import load, splat, store_first, two_to_the, where_less

HARD_SIGMOID, HARD_SWISH, ELU = range(TANH + 1, TANH + 4)
"""Kinds beside those of `elementwise`."""

MIN_EXPONENT, MAX_EXPONENT = np.float32(-87), np.float32(88)  # beyond, exp leaves the normal numbers
LOG2_E = np.float32(1.44269504088896341)
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)  # their sum is ln 2, and n * LN2_HIGH is exact
ROUNDING_SHIFT = np.float32(1.5 * 2**23)  # added to it, a small number is rounded to a whole one


@helper
def _exp_less_one(v):
    """Return ``exp(v) - 1`` with the last digits that it has near 0: polynomial of Cephes' expf (Moshier, 1989)."""
    v = where_less(v, splat(MIN_EXPONENT), splat(MIN_EXPONENT), v)
    v = where_less(splat(MAX_EXPONENT), v, splat(MAX_EXPONENT), v)
    shifted = v * splat(LOG2_E) + splat(ROUNDING_SHIFT)
    n = shifted - splat(ROUNDING_SHIFT)
    r = v - n * splat(LN2_HIGH) - n * splat(LN2_LOW)
    series = splat(np.float32(1.9875691500e-4)) * r + splat(np.float32(1.3981999507e-3))
    series = series * r + splat(np.float32(8.3334519073e-3))
    series = series * r + splat(np.float32(4.1665795894e-2))
    series = series * r + splat(np.float32(1.6666665459e-1))
    series = series * r + splat(np.float32(5.0000001201e-1))
    power = two_to_the(shifted)
    return power * (series * r * r + r) + (power - splat(np.float32(1)))


@helper
def _exp_and_share(v, kind):
    """Return the ``e`` of an activation, and ``1 / (2 + e)``."""
    e = _exp_less_one(v * splat(np.float32(-2 if kind == TANH else -1)))
    return e, splat(np.float32(1)) / (splat(np.float32(2)) + e)


@helper
def _value(v, kind, slope, shift):
    """Return ``activation(v)``."""
    zero, one = splat(np.float32(0)), splat(np.float32(1))
    if kind == ELU:
        return where_less(zero, v, v, splat(slope) * _exp_less_one(where_less(zero, v, zero, v)))
    if kind > TANH:
        line = v * splat(slope) + splat(shift)
        line = where_less(line, zero, zero, where_less(one, line, one, line))
        return line * v if kind == HARD_SWISH else line
    e, share = _exp_and_share(v, kind)
    if kind == SILU:
        return share * v
    return share * (zero - e) if kind == TANH else share


@helper
def _derivative(v, kind, slope, shift):
    """Return ``activation'(v)``."""
    zero, one = splat(np.float32(0)), splat(np.float32(1))
    if kind == ELU:
        return where_less(zero, v, one, splat(slope) * (one + _exp_less_one(where_less(zero, v, zero, v))))
    if kind > TANH:
        line = v * splat(slope) + splat(shift)
        if kind == HARD_SWISH:
            inside, above = line + v * splat(slope), one
        else:
            inside, above = splat(slope), zero
        return where_less(zero, line, where_less(line, one, inside, above), zero)
    e, share = _exp_and_share(v, kind)
    rest = (one + e) * share  # 1 - sigmoid
    if kind == SILU:
        return share * (one + v * rest)
    return one - e * share * (e * share) if kind == TANH else share * rest


@helper
def activate(x, y, C, x_line, x_pixel, P, Q, y_line, y_pixel, kind, slope, shift, border, p0, p1, q0, q1):
    """Compute ``y = activation(x)`` for its lines p0 to p1 and columns q0 to q1."""
    for p in range(p0, p1):
        for c in range(0, C, LANES):
            for q in range(q0, q1):
                v = load(x, p * x_line + q * x_pixel + c)
                store_first(y, p * y_line + q * y_pixel + c, C - c, _value(v, kind, slope, shift))
    clear_border(y, P, Q, C, y_line, y_pixel, border, p0, p1)


@helper
def activate_backward(
    x, dy, dx, C, x_line, x_pixel, P, Q, y_line, y_pixel, dx_line, dx_pixel, kind, slope, shift, border
):
    """Compute ``dx = dy * activation'(x)``."""
    for p in range(P):
        for c in range(0, C, LANES):
            for q in range(Q):
                v = load(x, p * x_line + q * x_pixel + c)
                g = load(dy, p * y_line + q * y_pixel + c)
                store_first(dx, p * dx_line + q * dx_pixel + c, C - c, g * _derivative(v, kind, slope, shift))
    clear_border(dx, P, Q, C, dx_line, dx_pixel, border, 0, P)
