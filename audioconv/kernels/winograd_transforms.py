"""Four outputs of three weights each with six multiplications instead of twelve, along one axis (Winograd, 1980).

Six inputs d and three weights g are mixed to six numbers each, multiplied, and mixed to four outputs::

    Y = A' ((G g) * (B' d))

Read backward, the weights' gradient is ``G' ((B' d) * (A dY))``. The matrices evaluate polynomials at 0, 1/√2, -1/√2,
√2, -√2 and infinity. The usual points, up to 2, lose three times as many digits: what is multiplied and subtracted
again then differs more in size. So the results are as near to the true ones as two or three direct sums would be.

Who takes it along two axes is `winograd`, and along one `winograd_line`.
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
    """Return ``B'`` times six numbers."""
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
    """Return ``A`` times four numbers."""
    near, far, half, two = splat(np.float32(NEAR)), splat(np.float32(FAR)), splat(np.float32(0.5)), splat(np.float32(2))
    even_near, odd_near = a + half * c, near * (b + half * d)
    even_far, odd_far = a + two * c, far * (b + two * d)
    return a, even_near + odd_near, even_near - odd_near, even_far + odd_far, even_far - odd_far, d


@helper
def unmix_outputs(a, b, c, d, e, f):
    """Return ``A'`` times six numbers."""
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
    """Return ``G`` times three numbers."""
    by_near, by_far = splat(np.float32(-1 / 1.5)), splat(np.float32(1 / 6))
    near, far, half, two = splat(np.float32(NEAR)), splat(np.float32(FAR)), splat(np.float32(0.5)), splat(np.float32(2))
    even_near, odd_near = by_near * (a + half * c), by_near * (near * b)
    even_far, odd_far = by_far * (a + two * c), by_far * (far * b)
    return a, even_near + odd_near, even_near - odd_near, even_far + odd_far, even_far - odd_far, c


@helper
def unmix_kernels(a, b, c, d, e, f):
    """Return ``G'`` times six numbers."""
    by_near, by_far = splat(np.float32(-1 / 1.5)), splat(np.float32(1 / 6))
    near, far, half, two = splat(np.float32(NEAR)), splat(np.float32(FAR)), splat(np.float32(0.5)), splat(np.float32(2))
    even_near, odd_near = by_near * (b + c), by_near * (b - c)
    even_far, odd_far = by_far * (d + e), by_far * (d - e)
    return a + even_near + even_far, near * odd_near + far * odd_far, half * even_near + two * even_far + f


@helper
def load_six(source, offset, apart):
    """Return six vectors that begin `apart` from each other."""
    return (
        load(source, offset),
        load(source, offset + apart),
        load(source, offset + 2 * apart),
        load(source, offset + 3 * apart),
        load(source, offset + 4 * apart),
        load(source, offset + 5 * apart),
    )


@helper
def store_six(target, offset, apart, left, six):
    """Write the first `left` numbers of each of six vectors, `apart` from each other."""
    store_first(target, offset, left, six[0])
    store_first(target, offset + apart, left, six[1])
    store_first(target, offset + 2 * apart, left, six[2])
    store_first(target, offset + 3 * apart, left, six[3])
    store_first(target, offset + 4 * apart, left, six[4])
    store_first(target, offset + 5 * apart, left, six[5])


@helper
def store_three(target, offset, apart, left, three):
    """Write the first `left` numbers of each of three vectors, `apart` from each other."""
    store_first(target, offset, left, three[0])
    store_first(target, offset + apart, left, three[1])
    store_first(target, offset + 2 * apart, left, three[2])
