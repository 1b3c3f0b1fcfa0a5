"""Optimizer steps on flat arrays, in one pass while the elements are in registers."""

from __future__ import annotations

import numpy as np
from numba import prange

from audioconv.kernels.elementwise import BLOCK
from audioconv.kernels.jit import helper, kernel


@kernel
def squares(x, sums):
    """Put the sum of the squares of each block of `BLOCK` elements into `sums`, float64."""
    for block in prange(sums.size):
        part = x[block * BLOCK : min((block + 1) * BLOCK, x.size)]
        total = 0.0
        for i in range(part.size):
            total += np.float64(part[i] * part[i])  # infinite where an optimiser's would be
        sums[block] = total


@helper
def _span(block, size, decayed):
    """Return where a block begins, where its part with weight decay ends, and where it ends itself."""
    begin, end = block * BLOCK, min((block + 1) * BLOCK, size)
    return begin, min(max(decayed, begin), end), end


@helper
def _descend(value, gradient, velocity, decay, momentum, nesterov, rate):
    for i in range(value.size):
        direction = gradient[i] + decay * value[i]
        if velocity.size:
            moving = momentum * velocity[i] + direction
            velocity[i] = moving
            direction = direction + momentum * moving if nesterov else moving
        value[i] -= rate * direction


@kernel
def sgd(value, gradient, velocity, decayed, decay, momentum, nesterov, rate):
    """Change `value` and `velocity` (empty where there is no momentum).

    The gradient of the first `decayed` weights grows by `decay` times themselves.
    """
    size = value.size
    for block in prange((size + BLOCK - 1) // BLOCK):
        a, b, c = _span(block, size, decayed)
        _descend(value[a:b], gradient[a:b], velocity[a:b], decay, momentum, nesterov, rate)
        _descend(value[b:c], gradient[b:c], velocity[b:c], np.float32(0), momentum, nesterov, rate)


@helper
def _adapt(value, gradient, mean, square, keep, means, correction, epsilon, rate):
    keep_mean, add_mean, keep_square, add_square = means
    for i in range(value.size):
        g = gradient[i]
        m = keep_mean * mean[i] + add_mean * g
        s = keep_square * square[i] + add_square * (g * g)
        mean[i] = m
        square[i] = s
        value[i] = keep * value[i] - rate * (m / (np.sqrt(s) / correction + epsilon))


@kernel
def adamw(value, gradient, mean, square, decayed, keep, means, correction, epsilon, rate):
    """Change `value`, and the means of the gradient and of its square.

    Of each of the first `decayed` weights the share `keep` is kept. `means` are four float32 elements: which share of
    the first mean is kept and which of the gradient comes in, and the same of the second. The root of the mean square
    is divided by `correction` before it divides.
    """
    size = value.size
    for block in prange((size + BLOCK - 1) // BLOCK):
        a, b, c = _span(block, size, decayed)
        _adapt(value[a:b], gradient[a:b], mean[a:b], square[a:b], keep, means, correction, epsilon, rate)
        _adapt(value[b:c], gradient[b:c], mean[b:c], square[b:c], np.float32(1), means, correction, epsilon, rate)
