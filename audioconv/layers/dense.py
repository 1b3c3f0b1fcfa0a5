"""Fully connected layers and the flattening before them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from audioconv import ops
from audioconv._types import Array
from audioconv.errors import ShapeError
from audioconv.layers.base import Layer, Params, ParamShapes, Pass, Shape


@dataclass(frozen=True)
class Flatten(Layer):
    """Lay all axes of an example in one: ``(features,)``."""

    def infer_shape(self, in_shape: Shape) -> Shape:
        return (math.prod(in_shape),)

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        return x.reshape(x.shape[0], math.prod(x.shape[1:])), x.shape if run.training else None

    def backward(self, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        return dy.reshape(saved), {}


@dataclass(frozen=True)
class Dense(Layer):
    """Fully connected layer: every output is a weighted sum of all inputs plus a bias.

    Parameters
    ----------
    units : int
        Number of outputs.
    bias : bool
        Whether each output adds a learned number.

    Notes
    -----
    Parameters are ``weight (features, units)``, drawn from a normal distribution with variance 1 / features (LeCun et
    al., 1998), and ``bias (units,)``, zero at first.
    """

    units: int
    bias: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.units < 1:
            raise ShapeError(f"units must be at least 1, got {self.units}", "Dense")

    def infer_shape(self, in_shape: Shape) -> Shape:
        if len(in_shape) != 1:
            raise ShapeError(
                f"needs one axis of features, got input of shape {in_shape}; put Flatten() or a global pool before it"
            )
        return (self.units,)

    def param_shapes(self, in_shape: Shape) -> ParamShapes:
        self.out_shape(in_shape)
        return {"weight": (in_shape[0], self.units)} | ({"bias": (self.units,)} if self.bias else {})

    def init(self, in_shape: Shape, rng: np.random.Generator) -> Params:
        self.out_shape(in_shape)
        scale = np.float32(math.sqrt(1 / in_shape[0]))
        params: Params = {"weight": scale * rng.standard_normal((in_shape[0], self.units), np.float32)}
        if self.bias:
            params["bias"] = np.zeros(self.units, np.float32)
        return params

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        self.infer_shape(x.shape[1:])
        y = ops.dense(ops.as_input(x), ops.as_input(params["weight"]), params.get("bias"))
        return y, x if run.training else None

    def backward(self, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        dx = ops.dense_input_gradient(dy, ops.as_input(params["weight"]))
        return dx, self.gradients(params, saved, dy, run)

    def gradients(self, params: Params, saved: Any, dy: Array, run: Pass) -> Params:
        grads: Params = {"weight": ops.dense_weight_gradient(saved, dy)}
        if self.bias:
            grads["bias"] = ops.channel_sums(dy).astype(np.float32)
        return grads

    def multiply_adds(self, in_shape: Shape) -> int:
        return in_shape[0] * self.units
