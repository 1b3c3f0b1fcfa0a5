"""Check of a network's parameters."""

from __future__ import annotations

import math

import numpy as np

from audioconv.errors import ConfigError, ShapeError
from audioconv.layers.base import Layer, Params, Shape, flatten

MAX_MISSING = 1_000_000
"""If the network has more than this number of weights beyond those that are given, the missing ones are not named."""


def check_params(network: Layer, in_shape: Shape, params: Params) -> None:
    """Raise an error unless `params` are those of `network` for examples of `in_shape`: finite, and float32.

    Raises
    ------
    ConfigError
        If an array is missing, is not one of the network's, or holds NaN or infinity; `ShapeError` if it has another
        shape or type.
    """
    found, shapes = flatten(params), flatten(network.param_shapes(in_shape))
    if not all(isinstance(size, int) for shape in shapes.values() for size in shape):
        raise ConfigError("the network's sizes must be integers")
    most = MAX_MISSING + 2 * sum(array.size for array in found.values())
    if sum(map(math.prod, shapes.values())) > most:
        raise ConfigError("the network has many times as many weights as the file")
    for path in [*shapes, *found]:
        if path not in found:
            raise ConfigError(f"array {path} is missing")
        if path not in shapes:
            raise ConfigError(f"array {path} is not one of the network's")
        array, shape = found[path], shapes[path]
        if array.shape != shape or array.dtype != np.float32:
            raise ShapeError(f"array {path} is {array.dtype} of shape {array.shape}; expected float32 of shape {shape}")
        if not np.isfinite(array).all():
            raise ConfigError(f"array {path} holds NaN or infinity")
