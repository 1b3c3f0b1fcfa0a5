"""Activations and dropout, number by number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from audioconv.kernels import elementwise
from audioconv.ops.arrays import Array, as_input, check_gradient

ACTIVATIONS = {
    "relu": elementwise.RELU,
    "leaky_relu": elementwise.LEAKY_RELU,
    "sigmoid": elementwise.SIGMOID,
    "silu": elementwise.SILU,
    "tanh": elementwise.TANH,
}


def activate(x: Array, kind: str, slope: float = 0.0) -> Array:
    """Return activation `kind`, a key of `ACTIVATIONS`, of each number; `slope` is the leaky ReLU's below zero."""
    y = np.empty(x.shape, np.float32)
    elementwise.activate(as_input(x).reshape(-1), ACTIVATIONS[kind], np.float32(slope), y.reshape(-1))
    return y


def activate_input_gradient(x: Array, dy: Array, kind: str, slope: float = 0.0) -> Array:
    """Return the gradient by the input of `activate`."""
    check_gradient(dy, x.shape)
    dx = np.empty(x.shape, np.float32)
    flat = (as_input(v).reshape(-1) for v in (x, dy))
    elementwise.activate_backward(*flat, ACTIVATIONS[kind], np.float32(slope), dx.reshape(-1))
    return dx


def dropout(x: Array, seed: Any, rate: float, whole_channels: bool = False) -> Array:
    """Zero numbers, or whole channels of an example, with probability `rate`; scale the rest by ``1 / (1 - rate)``.

    The same `seed` drops the same ones, so the function is its own gradient.
    """
    y = np.empty(x.shape, np.float32)
    run, period = (math.prod(x.shape[1:]), x.shape[-1]) if whole_channels else (1, 1)
    elementwise.dropout(as_input(x).reshape(-1), np.uint64(seed), float(rate), period, run, y.reshape(-1))
    return y
