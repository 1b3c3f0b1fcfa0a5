"""Max and average pooling, forward and backward."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audioconv import geometry
from audioconv.errors import ShapeError
from audioconv.geometry import Padding, Window
from audioconv.kernels import pool as pool_kernels
from audioconv.ops.arrays import Array, as_input, check_gradient, lift, lift_size


def max_pool1d(x: ArrayLike, size: int, stride: int | None = None, padding: Padding = 0) -> Array:
    """Return the largest number of each window of x (N, T, C); the stride is the window's size unless given."""
    return max_pool(as_input(x, 3), pool_window(size, stride, padding, 1))[0]


def max_pool2d(
    x: ArrayLike, size: int | Sequence[int], stride: int | Sequence[int] | None = None, padding: Padding = 0
) -> Array:
    """Return the largest number of each window of x (N, H, W, C); the stride is the window's size unless given.

    Examples
    --------
    >>> max_pool2d(np.arange(16.0).reshape(1, 4, 4, 1), 2)[0, :, :, 0]
    array([[ 5.,  7.],
           [13., 15.]], dtype=float32)
    """
    return max_pool(as_input(x, 4), pool_window(size, stride, padding, 2))[0]


def avg_pool1d(x: ArrayLike, size: int, stride: int | None = None, padding: Padding = 0) -> Array:
    """Return the average of each window of x (N, T, C), padding counting as zeros; stride as in `max_pool1d`."""
    return avg_pool(as_input(x, 3), pool_window(size, stride, padding, 1))


def avg_pool2d(
    x: ArrayLike, size: int | Sequence[int], stride: int | Sequence[int] | None = None, padding: Padding = 0
) -> Array:
    """Return the average of each window of x (N, H, W, C), padding counting as zeros; stride as in `max_pool2d`."""
    return avg_pool(as_input(x, 4), pool_window(size, stride, padding, 2))


def pool_window(size: int | Sequence[int], stride: int | Sequence[int] | None, padding: Padding, axes: int) -> Window:
    """Return the window of a pooling layer: as a convolution's, but the stride defaults to the size.

    Padding is less than the size, so that each window holds at least one input.
    """
    window = geometry.window(size, axes=axes, stride=size if stride is None else stride, padding=padding)
    if any(max(pair) >= k for pair, k in zip(window.padding, window.kernel, strict=True)):
        raise ShapeError(f"padding {padding!r} must be less than the pool size {size!r}")
    return window


def max_pool(x: Array, window: Window) -> tuple[Array, NDArray[np.int32]]:
    """Return the largest number of each window, and which tap that was, for `max_pool_input_gradient`."""
    y, x4, lifted = _pooling(x, window)
    chosen = np.empty(y.shape, np.int32)
    pool_kernels.max_forward(x4, *lifted.kernel, *lifted.stride, *_corner(lifted), y, chosen)
    return _like(x, y), chosen


def max_pool_input_gradient(dy: Array, chosen: NDArray[np.int32], in_shape: Sequence[int], window: Window) -> Array:
    """Return the gradient by the input of `max_pool`: each output's goes to the input that won."""
    check_gradient(dy, (in_shape[0], *window.out_size(in_shape[1:-1]), in_shape[-1]))
    lifted = window.lifted()
    dx = np.zeros((in_shape[0], *lift_size(in_shape[1:-1]), in_shape[-1]), np.float32)
    pool_kernels.max_backward(lift(as_input(dy)), chosen, lifted.kernel[1], *lifted.stride, *_corner(lifted), dx)
    return dx.reshape(in_shape)


def avg_pool(x: Array, window: Window) -> Array:
    """Return the average of each window, padding counting as zeros."""
    y, x4, lifted = _pooling(x, window)
    pool_kernels.average_forward(x4, *lifted.kernel, *lifted.stride, *_corner(lifted), y)
    return _like(x, y)


def avg_pool_input_gradient(dy: Array, in_shape: Sequence[int], window: Window) -> Array:
    """Return the gradient by the input of `avg_pool`: each output's is shared among its window."""
    check_gradient(dy, (in_shape[0], *window.out_size(in_shape[1:-1]), in_shape[-1]))
    lifted = window.lifted()
    dx = np.zeros((in_shape[0], *lift_size(in_shape[1:-1]), in_shape[-1]), np.float32)
    pool_kernels.average_backward(lift(as_input(dy)), *lifted.kernel, *lifted.stride, *_corner(lifted), dx)
    return dx.reshape(in_shape)


def _corner(window: Window) -> tuple[int, int]:
    return window.padding[0][0], window.padding[1][0]


def _pooling(x: Array, window: Window) -> tuple[Array, Array, Window]:
    """Return the empty output, lifted input and lifted window of a pooling."""
    size = lift_size(window.out_size(x.shape[1:-1]))
    x4 = lift(as_input(x))
    return np.empty((x.shape[0], *size, x.shape[-1]), np.float32), x4, window.lifted()


def _like(x: Array, y: Array) -> Array:
    """Drop the height that lifting added."""
    return y[:, 0] if x.ndim == 3 else y
