"""Activations and dropout, element by element, on flat arrays."""

from __future__ import annotations

import numpy as np
from numba import prange

from audioconv.kernels.jit import helper, kernel

BLOCK = 8192
"""Elements a task."""

# Which activation. Sigmoid, SiLU and tanh share one formula by exp.
RELU, LEAKY_RELU, SIGMOID, SILU, TANH = range(5)


@helper
def _sigmoid(v):
    # Both branches keep the argument of exp negative: no overflow.
    if v >= 0:
        return np.float32(1) / (np.float32(1) + np.exp(-v))
    e = np.exp(v)
    return e / (np.float32(1) + e)


@kernel
def activate(x, kind, slope, y):
    """Apply activation `kind`; ``slope`` is the leaky ReLU's slope below zero."""
    size = x.size
    for block in prange((size + BLOCK - 1) // BLOCK):
        # Slices count from 0: an index that might be negative would keep the loops from becoming vector code.
        inputs = x[block * BLOCK : min((block + 1) * BLOCK, size)]
        out = y[block * BLOCK : min((block + 1) * BLOCK, size)]
        if kind == RELU:
            for i in range(inputs.size):
                v = inputs[i]
                out[i] = np.float32(0) if v < 0 else v  # NaN stays NaN
        elif kind == LEAKY_RELU:
            for i in range(inputs.size):
                v = inputs[i]
                out[i] = v * slope if v < 0 else v
        elif kind == SIGMOID:
            for i in range(inputs.size):
                out[i] = _sigmoid(inputs[i])
        elif kind == SILU:
            for i in range(inputs.size):
                out[i] = inputs[i] * _sigmoid(inputs[i])
        else:
            for i in range(inputs.size):
                out[i] = np.tanh(inputs[i])


@kernel
def activate_backward(x, dy, kind, slope, dx):
    """Compute the input gradient of `activate`; the gradient of ReLU at 0 is 0."""
    size = x.size
    one = np.float32(1)
    for block in prange((size + BLOCK - 1) // BLOCK):
        inputs = x[block * BLOCK : min((block + 1) * BLOCK, size)]
        gradients = dy[block * BLOCK : min((block + 1) * BLOCK, size)]
        out = dx[block * BLOCK : min((block + 1) * BLOCK, size)]
        if kind == RELU:
            for i in range(inputs.size):
                out[i] = gradients[i] if inputs[i] > 0 else np.float32(0)
        elif kind == LEAKY_RELU:
            for i in range(inputs.size):
                out[i] = gradients[i] if inputs[i] > 0 else gradients[i] * slope
        elif kind == SIGMOID:
            for i in range(inputs.size):
                s = _sigmoid(inputs[i])
                out[i] = gradients[i] * s * (one - s)
        elif kind == SILU:
            for i in range(inputs.size):
                s = _sigmoid(inputs[i])
                out[i] = gradients[i] * s * (one + inputs[i] * (one - s))
        else:
            for i in range(inputs.size):
                t = np.tanh(inputs[i])
                out[i] = gradients[i] * (one - t * t)


@helper
def _hash(seed, index):
    """Return 64 well-mixed bits of (seed, index): the counter-based generator SplitMix64 (Steele et al., 2014)."""
    z = seed + (np.uint64(index) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@helper
def draw(seed, index):
    """Return 24 random bits: those of number `index` of the draw of `seed`."""
    return _hash(seed, index) >> np.uint64(40)


@kernel
def dropout(x, seed, rate, period, run, out):
    """Zero each element of ``x`` with probability ``rate`` and scale the others by ``1 / (1 - rate)``.

    Number i stands under draw ``(i // run) * period + i % period``: with run = 1 = period each number has a draw of its
    own; with run = H*W*C and period = C all pixels of one example's channel share one. The draws come from ``seed``
    alone, so that the backward pass, which is the same function, needs no mask.
    """
    size = x.size
    scale = np.float32(1.0 / (1.0 - rate))
    limit = np.uint64(rate * 16777216.0)
    for block in prange((size + BLOCK - 1) // BLOCK):
        for i in range(block * BLOCK, min((block + 1) * BLOCK, size)):
            drawn = draw(seed, (i // run) * period + i % period)
            out[i] = np.float32(0) if drawn < limit else x[i] * scale
