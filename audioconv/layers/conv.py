"""Convolution, 1-D and 2-D."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audioconv import geometry, ops
from audioconv._types import Array
from audioconv.errors import ShapeError
from audioconv.geometry import Padding, Window
from audioconv.layers.base import Layer, Params, ParamShapes, Pass, Shape, spatial_axes


@dataclass(frozen=True)
class Conv(Layer):
    """Convolution over one or two spatial axes, as many as its input has.

    Parameters
    ----------
    filters : int
        Kernels, which is the number of output channels.
    kernel : int or tuple of int
        Size of the kernel, per axis.
    stride, dilation : int or tuple of int
        Step between outputs; distance between a kernel's taps.
    padding : int, tuple, "same" or "valid"
        Zeros around the input; see `geometry.window`.
    groups : int
        Groups of channels that do not see each other; as many as there are channels makes it depthwise.
    bias : bool
        Whether each kernel adds a learned number.

    Notes
    -----
    Parameters are ``weight (*kernel, C/groups, filters)``, drawn from a normal distribution with variance
    2 / fan-in (He et al., 2015), and ``bias (filters,)``, zero at first.
    """

    filters: int
    kernel: int | Sequence[int]
    stride: int | Sequence[int] = 1
    padding: Padding = 0
    dilation: int | Sequence[int] = 1
    groups: int = 1
    bias: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.filters < 1:
            raise ShapeError(f"filters must be at least 1, got {self.filters}", "Conv")

    def window(self, axes: int) -> Window:
        """Return the kernel's window over `axes` spatial axes."""
        return geometry.window(self.kernel, axes=axes, stride=self.stride, padding=self.padding, dilation=self.dilation)

    def weight_shape(self, in_shape: Shape) -> Shape:
        """Return the weight's shape for an input of `in_shape`."""
        window = self.window(len(in_shape) - 1)
        return (*window.kernel, in_shape[-1] // max(self.groups, 1), self.filters)

    def infer_shape(self, in_shape: Shape) -> Shape:
        window = self.window(spatial_axes(in_shape, self.kernel))
        ops.check_conv(in_shape, self.weight_shape(in_shape), self.groups)
        return (*window.out_size(in_shape[:-1]), self.filters)

    def param_shapes(self, in_shape: Shape) -> ParamShapes:
        self.out_shape(in_shape)
        return {"weight": self.weight_shape(in_shape)} | ({"bias": (self.filters,)} if self.bias else {})

    def init(self, in_shape: Shape, rng: np.random.Generator) -> Params:
        shape = self.param_shapes(in_shape)["weight"]
        scale = np.float32(math.sqrt(2 / math.prod(shape[:-1])))
        params: Params = {"weight": scale * rng.standard_normal(shape, np.float32)}
        if self.bias:
            params["bias"] = np.zeros(self.filters, np.float32)
        return params

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        window = self.window(spatial_axes(x.shape[1:], self.kernel))
        y = ops.conv(ops.as_input(x), ops.as_input(params["weight"]), params.get("bias"), window, self.groups)
        return y, x if run.training else None

    def backward(self, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        x = saved
        dx = ops.conv_input_gradient(dy, params["weight"], x.shape, self.window(x.ndim - 2), self.groups)
        return dx, self.gradients(params, saved, dy, run)

    def gradients(self, params: Params, saved: Any, dy: Array, run: Pass) -> Params:
        x = saved
        grads: Params = {"weight": ops.conv_weight_gradient(x, dy, self.window(x.ndim - 2), self.groups)}
        if self.bias:
            grads["bias"] = ops.channel_sums(dy).astype(np.float32)
        return grads

    def multiply_adds(self, in_shape: Shape) -> int:
        outputs = math.prod(self.out_shape(in_shape))
        return outputs * math.prod(self.weight_shape(in_shape)[:-1])


@dataclass(frozen=True)
class DepthwiseConv(Layer):
    """Convolution of each channel by itself, for an input of any number of channels.

    Parameters, and what they mean, are those of `Conv`, with as many kernels and groups as there are channels.
    """

    kernel: int | Sequence[int]
    stride: int | Sequence[int] = 1
    padding: Padding = 0
    dilation: int | Sequence[int] = 1
    bias: bool = True

    def conv(self, channels: int) -> Conv:
        """Return the convolution for an input of so many channels."""
        return Conv(channels, self.kernel, self.stride, self.padding, self.dilation, channels, self.bias)

    def infer_shape(self, in_shape: Shape) -> Shape:
        spatial_axes(in_shape, self.kernel)
        return self.conv(in_shape[-1]).infer_shape(in_shape)

    def param_shapes(self, in_shape: Shape) -> ParamShapes:
        self.out_shape(in_shape)
        return self.conv(in_shape[-1]).param_shapes(in_shape)

    def init(self, in_shape: Shape, rng: np.random.Generator) -> Params:
        self.out_shape(in_shape)
        return self.conv(in_shape[-1]).init(in_shape, rng)

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        return self.conv(x.shape[-1]).forward(params, x, run)

    def backward(self, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        return self.conv(dy.shape[-1]).backward(params, saved, dy, run)

    def gradients(self, params: Params, saved: Any, dy: Array, run: Pass) -> Params:
        return self.conv(dy.shape[-1]).gradients(params, saved, dy, run)

    def multiply_adds(self, in_shape: Shape) -> int:
        return self.conv(in_shape[-1]).multiply_adds(in_shape)
