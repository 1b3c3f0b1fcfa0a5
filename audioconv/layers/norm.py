"""Batch normalisation, of whole channels and of bands of them, and learned scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audioconv import ops
from audioconv._types import Array
from audioconv.errors import ConfigError, ShapeError
from audioconv.layers.base import (
    Layer,
    Params,
    ParamShapes,
    Pass,
    Shape,
    check_axes,
    needs_axes,
    needs_channels,
    spatial_axes,
)


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Normalise each channel to zero mean and unit variance, then scale and shift it (Ioffe and Szegedy, 2015).

    In training the statistics are the batch's, over all axes but the last; otherwise the running ones.

    Parameters
    ----------
    momentum : float
        Share of the batch's statistics in each update of the running ones.
    epsilon : float
        Added to the variance.

    Notes
    -----
    Parameters are ``weight`` and ``bias``, trained, and ``running_mean`` and ``running_var``, tracked; all
    ``(channels,)``. The running variance is the unbiased one, as in PyTorch.
    """

    momentum: float = 0.1
    epsilon: float = 1e-5

    def infer_shape(self, in_shape: Shape) -> Shape:
        needs_channels(in_shape)
        return in_shape

    def param_shapes(self, in_shape: Shape) -> ParamShapes:
        self.out_shape(in_shape)
        return dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (in_shape[-1],))

    def init(self, in_shape: Shape, rng: np.random.Generator) -> Params:
        self.out_shape(in_shape)
        ones, zeros = np.ones(in_shape[-1], np.float32), np.zeros(in_shape[-1], np.float32)
        return {"weight": ones, "bias": zeros, "running_mean": zeros.copy(), "running_var": ones.copy()}

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        if run.training:
            mean, variance = ops.channel_moments(x)
        else:
            mean, variance = params["running_mean"], params["running_var"].astype(np.float64)
        inverse_std = 1 / np.sqrt(variance + self.epsilon)
        y = ops.channel_affine(x, mean, params["weight"] * inverse_std, params["bias"])
        return y, (x, mean, variance, inverse_std) if run.training else None

    def backward(self, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        x, mean, _, inverse_std = saved
        dx, dweight, dbias = ops.batch_norm_gradients(x, dy, mean, inverse_std, params["weight"])
        return dx, {"weight": dweight, "bias": dbias}

    def updates(self, params: Params, saved: Any) -> Params:
        x, mean, variance, _ = saved
        count = x.size // x.shape[-1]
        unbiased = variance * count / max(count - 1, 1)
        return {
            name: ((1 - self.momentum) * params[name] + self.momentum * new).astype(np.float32)
            for name, new in (("running_mean", mean), ("running_var", unbiased))
        }


@dataclass(frozen=True)
class SubSpectralNorm(Layer):
    """Batch normalisation of each channel in each of several bands of frequencies by itself (Chang et al., 2021).

    The last spatial axis is divided into equal bands, so that low frequencies do not decide how high ones are scaled
    (arXiv 2103.13620, with a weight and a bias for each band).

    Parameters
    ----------
    bands : int
        Number of bands; it must divide the last spatial axis.
    momentum, epsilon : float
        As in `BatchNorm`.

    Notes
    -----
    Parameters as in `BatchNorm`, all ``(bands * channels,)``, the channels of the lowest band first.
    """

    bands: int
    momentum: float = 0.1
    epsilon: float = 1e-5

    @property
    def norm(self) -> BatchNorm:
        """The normalisation of the bands, once they are channels."""
        return BatchNorm(self.momentum, self.epsilon)

    def infer_shape(self, in_shape: Shape) -> Shape:
        spatial_axes(in_shape)
        if self.bands < 1 or in_shape[-2] % self.bands:
            raise ShapeError(f"the bands must divide the last spatial axis, got input of shape {in_shape}")
        return in_shape

    def param_shapes(self, in_shape: Shape) -> ParamShapes:
        self.out_shape(in_shape)
        return self.norm.param_shapes((self.bands * in_shape[-1],))

    def init(self, in_shape: Shape, rng: np.random.Generator) -> Params:
        self.out_shape(in_shape)
        return self.norm.init((self.bands * in_shape[-1],), rng)

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        y, saved = self.norm.forward(params, self._divided(x), run)
        return self._united(y), saved

    def backward(self, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        dx, grads = self.norm.backward(params, saved, self._divided(dy), run)
        return self._united(dx), grads

    def updates(self, params: Params, saved: Any) -> Params:
        return self.norm.updates(params, saved)

    def _divided(self, x: Array) -> Array:
        """Return x (..., F, C) as (..., F / bands, bands * C)."""
        *rest, F, C = x.shape
        width = F // self.bands
        bands = x.reshape(*rest, self.bands, width, C)
        return np.swapaxes(bands, -3, -2).reshape(*rest, width, self.bands * C)

    def _united(self, x: Array) -> Array:
        """Return what `_divided` took."""
        *rest, width, channels = x.shape
        C = channels // self.bands
        return np.swapaxes(x.reshape(*rest, width, self.bands, C), -3, -2).reshape(*rest, self.bands * width, C)


@dataclass(frozen=True)
class Scale(Layer):
    """Multiply by learned numbers and add others: one of each for every channel, or along other axes.

    Parameters
    ----------
    weight, bias : bool
        Whether there are factors, and numbers to add.
    axes : tuple of int
        Axes along which the numbers differ, counted from the end: -1 for the channels.

    Notes
    -----
    Parameters are ``weight``, one at first, and ``bias``, zero at first. Their shape is that of an example from the
    first of `axes` on, with 1 for axes that are not among them: ``(channels,)`` by default.
    """

    weight: bool = True
    bias: bool = True
    axes: Sequence[int] = (-1,)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_axes(self.axes, "Scale")
        if not (self.weight or self.bias):
            raise ConfigError("Scale: needs a weight, a bias or both")

    def infer_shape(self, in_shape: Shape) -> Shape:
        needs_axes(in_shape, -min(self.axes))
        return in_shape

    def param_shapes(self, in_shape: Shape) -> ParamShapes:
        self.out_shape(in_shape)
        shape = tuple(in_shape[axis] if axis in self.axes else 1 for axis in range(min(self.axes), 0))
        return {name: shape for name in ("weight", "bias") if getattr(self, name)}

    def init(self, in_shape: Shape, rng: np.random.Generator) -> Params:
        shapes = self.param_shapes(in_shape)
        return {name: np.full(shape, name == "weight", np.float32) for name, shape in shapes.items()}

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        y = x * params["weight"] if self.weight else x
        return y + params["bias"] if self.bias else y, x if run.training else None

    def backward(self, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        x, grads = saved, {}
        if self.weight:
            grads["weight"] = self._summed(x * dy)
        if self.bias:
            grads["bias"] = self._summed(dy)
        return dy * params["weight"] if self.weight else dy, grads

    def _summed(self, values: Array) -> Array:
        """Return the sums of `values` (N, ...) over the axes along which a parameter is the same."""
        equal = tuple(axis for axis in range(values.ndim) if axis - values.ndim not in self.axes)
        sums: Array = ops.as_input(values).sum(axis=equal, keepdims=True, dtype=np.float64).astype(np.float32)
        return sums.reshape(sums.shape[min(self.axes) :])
