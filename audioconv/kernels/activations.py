"""Activations made of the exponential function, for one example: sigmoid, SiLU and tanh.

With ``e = exp(-k * v) - 1`` all of them are quotients by ``2 + e``: k = 1 for sigmoid and SiLU, 2 for tanh. Letters as
in `norm_activation_pool`.
"""

from __future__ import annotations

import numpy as np

from audioconv.kernels.elementwise import SILU, TANH
from audioconv.kernels.jit import LANES, helper
from audioconv.kernels.pixelwise import clear_border
from audioconv.kernels.simd_float32 import load, splat, store_first, two_to_the, where_less

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
def activate(x, y, C, x_line, x_pixel, P, Q, y_line, y_pixel, kind, border, p0, p1, q0, q1):
    """Compute ``y = activation(x)`` for its lines p0 to p1 and columns q0 to q1."""
    zero = splat(np.float32(0))
    for p in range(p0, p1):
        for c in range(0, C, LANES):
            for q in range(q0, q1):
                v = load(x, p * x_line + q * x_pixel + c)
                e, share = _exp_and_share(v, kind)
                if kind == SILU:
                    share = share * v
                elif kind == TANH:
                    share = share * (zero - e)
                store_first(y, p * y_line + q * y_pixel + c, C - c, share)
    clear_border(y, P, Q, C, y_line, y_pixel, border, p0, p1)


@helper
def activate_backward(x, dy, dx, C, x_line, x_pixel, P, Q, y_line, y_pixel, dx_line, dx_pixel, kind, border):
    """Compute ``dx = dy * activation'(x)``."""
    one = splat(np.float32(1))
    for p in range(P):
        for c in range(0, C, LANES):
            for q in range(Q):
                v = load(x, p * x_line + q * x_pixel + c)
                e, share = _exp_and_share(v, kind)
                rest = (one + e) * share  # 1 - sigmoid
                if kind == SILU:
                    slope = share * (one + v * rest)
                elif kind == TANH:
                    slope = one - e * share * (e * share)
                else:
                    slope = share * rest
                g = load(dy, p * y_line + q * y_pixel + c)
                store_first(dx, p * dx_line + q * dx_pixel + c, C - c, g * slope)
    clear_border(dx, P, Q, C, dx_line, dx_pixel, border, 0, P)
