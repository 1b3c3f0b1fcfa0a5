"""Max and average pooling, over windows and over everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audioconv import ops
from audioconv._types import Array
from audioconv.geometry import Padding, Window
from audioconv.layers.base import Layer, Params, Pass, Shape, check_axes, needs_axes, spatial_axes


@dataclass(frozen=True)
class _Pool(Layer):
    """Base of the poolings over windows."""

    size: int | Sequence[int]
    stride: int | Sequence[int] | None = None
    padding: Padding = 0

    def infer_shape(self, in_shape: Shape) -> Shape:
        return (*self._window(in_shape).out_size(in_shape[:-1]), in_shape[-1])

    def _window(self, in_shape: Shape) -> Window:
        return ops.pool_window(self.size, self.stride, self.padding, spatial_axes(in_shape, self.size))


@dataclass(frozen=True)
class MaxPool(_Pool):
    """The largest number of each window.

    Parameters
    ----------
    size : int or tuple of int
        Size of the window, per spatial axis.
    stride : int or tuple of int, optional
        Step between windows; the window's size unless given, so that nothing overlaps.
    padding : int, tuple, "same" or "valid"
        Places around the input that windows may reach into; they never win.
    """

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        y, chosen = ops.max_pool(x, self._window(x.shape[1:]))
        return y, (chosen, x.shape) if run.training else None

    def backward(self, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        chosen, in_shape = saved
        return ops.max_pool_input_gradient(dy, chosen, in_shape, self._window(in_shape[1:])), {}


@dataclass(frozen=True)
class AvgPool(_Pool):
    """The average of each window; parameters as in `MaxPool`, padding counts as zeros."""

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        return ops.avg_pool(x, self._window(x.shape[1:])), x.shape if run.training else None

    def backward(self, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        return ops.avg_pool_input_gradient(dy, saved, self._window(saved[1:])), {}


@dataclass(frozen=True)
class AvgPoolExcludePadding(_Pool):
    """The average of those places of each window that lie in the input; parameters as in `MaxPool`."""

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        y = ops.avg_pool(x, self._window(x.shape[1:])) / self._share(x.shape)
        return y, x.shape if run.training else None

    def backward(self, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        dy = np.asarray(dy / self._share(saved), np.float32)
        return ops.avg_pool_input_gradient(dy, saved, self._window(saved[1:])), {}

    def _share(self, batch_shape: Shape) -> Array:
        """Return the share of each window that lies in the input, (1, *spatial, 1)."""
        share: Array = ops.avg_pool(np.ones((1, *batch_shape[1:-1], 1), np.float32), self._window(batch_shape[1:]))
        return share


@dataclass(frozen=True)
class GlobalMaxPool(Layer):
    """The largest number of each channel, over all spatial axes: ``(channels,)``."""

    def infer_shape(self, in_shape: Shape) -> Shape:
        spatial_axes(in_shape)
        return in_shape[-1:]

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        y, chosen = ops.max_pool(x, _everything(x.shape))
        return y.reshape(x.shape[0], x.shape[-1]), (chosen, x.shape) if run.training else None

    def backward(self, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        chosen, in_shape = saved
        dy = dy.reshape(_one_each(in_shape))
        return ops.max_pool_input_gradient(dy, chosen, in_shape, _everything(in_shape)), {}


@dataclass(frozen=True)
class GlobalAvgPool(Layer):
    """The average of each channel, over all spatial axes: ``(channels,)``."""

    def infer_shape(self, in_shape: Shape) -> Shape:
        spatial_axes(in_shape)
        return in_shape[-1:]

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        y = ops.avg_pool(x, _everything(x.shape))
        return y.reshape(x.shape[0], x.shape[-1]), x.shape if run.training else None

    def backward(self, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        return ops.avg_pool_input_gradient(dy.reshape(_one_each(saved)), saved, _everything(saved)), {}


@dataclass(frozen=True)
class FrequencyAvgPool(Layer):
    """The average over the second of two spatial axes: ``(time, frequency, channels)`` becomes ``(time, 1, channels)``.

    What is then computed along time alone costs little (Kim et al., 2021, arXiv 2106.04140).
    """

    def infer_shape(self, in_shape: Shape) -> Shape:
        spatial_axes(in_shape, (1, 1))
        return (in_shape[0], 1, in_shape[2])

    def window(self, in_shape: Shape) -> Window:
        """Return the window over all frequencies."""
        return Window((1, in_shape[1]), (1, 1), (1, 1), ((0, 0), (0, 0)))

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        return ops.avg_pool(x, self.window(x.shape[1:])), x.shape if run.training else None

    def backward(self, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        return ops.avg_pool_input_gradient(dy, saved, self.window(saved[1:])), {}


@dataclass(frozen=True)
class Mean(Layer):
    """The average over some axes, which stay with size 1.

    Parameters
    ----------
    axes : tuple of int
        Counted from the end: -1 for the channels, -2 for the last spatial axis.
    """

    axes: Sequence[int]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_axes(self.axes, "Mean")

    def infer_shape(self, in_shape: Shape) -> Shape:
        needs_axes(in_shape, -min(self.axes))
        return tuple(1 if axis - len(in_shape) in self.axes else size for axis, size in enumerate(in_shape))

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        y = ops.as_input(x).mean(axis=tuple(self.axes), keepdims=True, dtype=np.float64).astype(np.float32)
        return y, x.shape if run.training else None

    def backward(self, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        count = np.prod([saved[axis] for axis in self.axes])
        return np.broadcast_to(dy / np.float32(count), saved).copy(), {}


def _everything(batch_shape: Shape) -> Window:
    """Return the window that covers all spatial axes of a batch of `batch_shape`."""
    size = batch_shape[1:-1]
    return Window(size, (1,) * len(size), (1,) * len(size), ((0, 0),) * len(size))


def _one_each(batch_shape: Shape) -> Shape:
    """Return `batch_shape` with spatial axes of 1."""
    return (batch_shape[0], *(1 for _ in batch_shape[1:-1]), batch_shape[-1])
