"""Four outputs of three weights each with six multiplications instead of twelve, along one axis (Winograd, 1980).

Six inputs d and three weights g are mixed to six elements each, multiplied, and mixed to four outputs::

    Y = A' ((G g) * (B' d))

Read backward, the weights' gradient is ``G' ((B' d) * (A dY))``. The matrices evaluate polynomials at 0, 1/√2, -1/√2,
√2, -√2 and infinity. The usual points, up to 2, lose three times as many digits: what is multiplied and subtracted
again then differs more in size. So the results are as near to the true ones as two or three direct sums would be.

`winograd` applies it along two axes, `winograd_1d` along one.
"""

from __future__ import annotations

import numpy as np

from audioconv.kernels.jit import helper
from audioconv.kernels.simd_float32 import load, splat, store_first

SIDE, TILE = 6, 4
"""Inputs and outputs of a tile, along an axis."""

NEAR, FAR = 0.5**0.5, 2.0**0.5
"""The points at which polynomials are evaluated, beside 0 and infinity: these, and as far below zero. The squares are
1/2 and 2; their product is 1, their sum 5/2."""


@helper
def mix_inputs(a, b, c, d, e, f):
    """Return ``B'`` times six elements."""
    middle = splat(np.float32(2.5))
    near, far, half, two = splat(np.float32(NEAR)), splat(np.float32(FAR)), splat(np.float32(0.5)), splat(np.float32(2))
    even_near, odd_near = e - two * c, near * (d - two * b)
    even_far, odd_far = e - half * c, far * (d - half * b)
    return (
        a + e - middle * c,
        even_near + odd_near,
        even_near - odd_near,
        even_far + odd_far,
        even_far - odd_far,
        b + f - middle * d,
    )


@helper
def mix_gradients(a, b, c, d):
    """Return ``A`` times four elements."""
    near, far, half, two = splat(np.float32(NEAR)), splat(np.float32(FAR)), splat(np.float32(0.5)), splat(np.float32(2))
    even_near, odd_near = a + half * c, near * (b + half * d)
    even_far, odd_far = a + two * c, far * (b + two * d)
    return a, even_near + odd_near, even_near - odd_near, even_far + odd_far, even_far - odd_far, d


@helper
def unmix_outputs(a, b, c, d, e, f):
    """Return ``A'`` times six elements."""
    near, far, half, two = splat(np.float32(NEAR)), splat(np.float32(FAR)), splat(np.float32(0.5)), splat(np.float32(2))
    even_near, odd_near, even_far, odd_far = b + c, near * (b - c), d + e, far * (d - e)
    return (
        a + even_near + even_far,
        odd_near + odd_far,
        half * even_near + two * even_far,
        half * odd_near + two * odd_far + f,
    )


@helper
def mix_kernels(a, b, c):
    """Return ``G`` times three elements."""
    by_near, by_far = splat(np.float32(-1 / 1.5)), splat(np.float32(1 / 6))
    near, far, half, two = splat(np.float32(NEAR)), splat(np.float32(FAR)), splat(np.float32(0.5)), splat(np.float32(2))
    even_near, odd_near = by_near * (a + half * c), by_near * (near * b)
    even_far, odd_far = by_far * (a + two * c), by_far * (far * b)
    return a, even_near + odd_near, even_near - odd_near, even_far + odd_far, even_far - odd_far, c


@helper
def unmix_kernels(a, b, c, d, e, f):
    """Return ``G'`` times six elements."""
    by_near, by_far = splat(np.float32(-1 / 1.5)), splat(np.float32(1 / 6))
    near, far, half, two = splat(np.float32(NEAR)), splat(np.float32(FAR)), splat(np.float32(0.5)), splat(np.float32(2))
    even_near, odd_near = by_near * (b + c), by_near * (b - c)
    even_far, odd_far = by_far * (d + e), by_far * (d - e)
    return a + even_near + even_far, near * odd_near + far * odd_far, half * even_near + two * even_far + f


@helper
def load_six(source, offset, stride):
    """Return six vectors that begin `stride` from each other."""
    return (
        load(source, offset),
        load(source, offset + stride),
        load(source, offset + 2 * stride),
        load(source, offset + 3 * stride),
        load(source, offset + 4 * stride),
        load(source, offset + 5 * stride),
    )


@helper
def store_six(target, offset, stride, left, six):
    """Write the first `left` elements of each of six vectors, `stride` from each other."""
    store_first(target, offset, left, six[0])
    store_first(target, offset + stride, left, six[1])
    store_first(target, offset + 2 * stride, left, six[2])
    store_first(target, offset + 3 * stride, left, six[3])
    store_first(target, offset + 4 * stride, left, six[4])
    store_first(target, offset + 5 * stride, left, six[5])


@helper
def store_three(target, offset, stride, left, three):
    """Write the first `left` elements of each of three vectors, `stride` from each other."""
    store_first(target, offset, left, three[0])
    store_first(target, offset + stride, left, three[1])
    store_first(target, offset + 2 * stride, left, three[2])
