"""Convolution, forward and backward, and dense layers, which are convolutions too."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from audioconv import geometry
from audioconv.errors import ShapeError
from audioconv.geometry import Padding, Window
from audioconv.kernels import conv as conv_kernels
from audioconv.kernels import depthwise as depthwise_kernels
from audioconv.kernels.jit import PARTS
from audioconv.kernels.simd import COLUMNS
from audioconv.ops.arrays import Array, as_input, check_gradient, lift, lift_size, lift_weight

# Partial weight gradients of a layer take at most this many numbers together (64 MiB).
_MAX_PARTIAL = 2**24


def conv1d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Array:
    """Convolve (cross-correlate) along time: `conv2d` with height 1.

    Parameters
    ----------
    x : array (N, T, C)
    weight : array (R, C/groups, K)
    bias : array (K,), optional
    stride, padding, dilation, groups
        As in `conv2d`, for the one axis.

    Returns
    -------
    float32 array (N, D, K)
        D is `geometry.output_size` of T.
    """
    x, weight = as_input(x, 3), as_input(weight, 3, "weight")
    window = geometry.window(weight.shape[:1], axes=1, stride=stride, padding=padding, dilation=dilation)
    return conv(x, weight, bias, window, groups)


def conv2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | Sequence[int] = (1, 1),
    padding: Padding = (0, 0),
    dilation: int | Sequence[int] = (1, 1),
    groups: int = 1,
) -> Array:
    """Convolve (cross-correlate) over height and width.

    At each place, the weighted sum of the pixels under the kernel plus a bias.

    Parameters
    ----------
    x : array (N, H, W, C)
    weight : array (R, S, C/groups, K)
    bias : array (K,), optional
    stride, dilation : int or (int, int)
        Step between outputs; distance between a kernel's taps.
    padding : int, (int, int), ((int, int), (int, int)), "same" or "valid"
        Zeros around the input: on all sides, per axis, before and after per axis. See `geometry.window`.
    groups : int
        Channels and kernels are split into this many groups that do not see each other; with ``groups=C`` the
        convolution is depthwise.

    Returns
    -------
    float32 array (N, P, Q, K)

    Raises
    ------
    ShapeError
        If the shapes do not fit each other.

    Examples
    --------
    >>> x = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> conv2d(x, np.ones((2, 2, 1, 1)), stride=2)[0, :, :, 0]
    array([[10., 18.],
           [42., 50.]], dtype=float32)
    """
    x, weight = as_input(x, 4), as_input(weight, 4, "weight")
    window = geometry.window(weight.shape[:2], axes=2, stride=stride, padding=padding, dilation=dilation)
    return conv(x, weight, bias, window, groups)


def conv(x: Array, weight: Array, bias: ArrayLike | None, window: Window, groups: int = 1) -> Array:
    """Convolve `x` with `weight`; both 1-D or both 2-D, as `window` is."""
    check_conv(x.shape, weight.shape, groups)
    if weight.shape[:-2] != window.kernel:
        raise ShapeError(f"weight of shape {weight.shape} is not that of a kernel of size {window.kernel}")
    size = window.out_size(x.shape[1:-1])
    K = weight.shape[-1]
    bias = np.zeros(K, np.float32) if bias is None else as_input(bias, 1, "bias")
    if bias.shape != (K,):
        raise ShapeError(f"bias must have one number for each of the {K} kernels, got shape {bias.shape}")
    lifted = window.lifted()
    y = _convolve(_padded(lift(x), lifted), lift_weight(weight), bias, lifted, groups)
    return y.reshape(x.shape[0], *size, K)


def conv_input_gradient(dy: Array, weight: Array, in_shape: Sequence[int], window: Window, groups: int = 1) -> Array:
    """Return the gradient by the input of shape `in_shape` of `conv`, given that by its output.

    It is a convolution itself: of the output gradient, its pixels spread by the stride, with the kernels turned
    around and input and output channels exchanged.
    """
    check_gradient(dy, (in_shape[0], *window.out_size(in_shape[1:-1]), weight.shape[-1]))
    window, dy4, weight4 = window.lifted(), lift(as_input(dy)), lift_weight(as_input(weight))
    H, W = lift_size(in_shape[1:-1])
    R, S, group_in, K = weight4.shape
    turned = weight4.reshape(R, S, group_in, groups, K // groups)[::-1, ::-1].transpose(0, 1, 4, 3, 2)
    top, left = (e - 1 - before for e, (before, _) in zip(window.extent, window.padding, strict=True))
    spread = _embedded(dy4, top, left, window.stride, (H + window.extent[0] - 1, W + window.extent[1] - 1))
    same = Window(window.kernel, (1, 1), window.dilation, ((0, 0), (0, 0)))
    C = group_in * groups
    turned = turned.reshape(R, S, K // groups, C)
    return _convolve(spread, turned, np.zeros(C, np.float32), same, groups).reshape(in_shape)


def conv_weight_gradient(x: Array, dy: Array, window: Window, groups: int = 1) -> Array:
    """Return the gradient by the weights of `conv` (..., C/groups, K), given that by its output."""
    check_gradient(dy, (x.shape[0], *window.out_size(x.shape[1:-1]), dy.shape[-1]))
    x4, dy4 = lift(as_input(x)), lift(as_input(dy))
    lifted = window.lifted()
    x4 = _padded(x4, lifted)
    N, C, K = x4.shape[0], x4.shape[-1], dy4.shape[-1]
    shape = (*lifted.kernel, C // groups, K)
    parts = max(1, min(N, PARTS, _MAX_PARTIAL // math.prod(shape)))
    if _is_depthwise(C, K, groups):
        partial = np.zeros((parts, *lifted.kernel, C), np.float32)
        depthwise_kernels.weight_gradient(x4, dy4, *lifted.stride, *lifted.dilation, partial)
    else:
        partial = np.zeros((parts, *shape), np.float32)
        conv_kernels.weight_gradient(x4, dy4, *lifted.kernel, *lifted.stride, *lifted.dilation, groups, partial)
    total: Array = partial.sum(axis=0)
    return total.reshape(*window.kernel, C // groups, K)


def check_conv(x_shape: Sequence[int], weight_shape: Sequence[int], groups: int) -> None:
    """Raise `ShapeError` unless the channels of input, kernels and groups fit each other."""
    C, group_in, K = x_shape[-1], weight_shape[-2], weight_shape[-1]
    if groups < 1 or C % groups or K % groups:
        raise ShapeError(f"groups={groups} must divide the {C} input channels and the {K} kernels")
    if group_in * groups != C:
        raise ShapeError(
            f"kernels of shape {tuple(weight_shape)} take {group_in * groups} input channels "
            f"({group_in} a group), the input has {C}"
        )


def _is_depthwise(C: int, K: int, groups: int) -> bool:
    return groups == C == K and C > 1


def _convolve(x: Array, weight: Array, bias: Array, window: Window, groups: int) -> Array:
    """Convolve `x`, padding in place, lifted to 2-D."""
    N, H, W, C = x.shape
    R, S, group_in, K = weight.shape
    P, Q = (
        geometry.output_size(n, k, stride=s, dilation=d)
        for n, k, s, d in zip((H, W), (R, S), window.stride, window.dilation, strict=True)
    )
    y = np.empty((N, P, Q, K), np.float32)
    if _is_depthwise(C, K, groups):
        taps = np.ascontiguousarray(weight.reshape(R, S, K))
        depthwise_kernels.forward(x, taps, bias, *window.stride, *window.dilation, y)
        return y
    group_out = K // groups
    blocks = -(-group_out // COLUMNS)
    # The tile reads the weights of COLUMNS kernels at a time as one stream, zeros filling the last block.
    packed = np.zeros((groups, R * S * group_in, blocks * COLUMNS), np.float32)
    packed[:, :, :group_out] = weight.reshape(R * S * group_in, groups, group_out).transpose(1, 0, 2)
    packed = np.ascontiguousarray(packed.reshape(groups, -1, blocks, COLUMNS).transpose(0, 2, 1, 3))
    biases = np.zeros((groups, blocks * COLUMNS), np.float32)
    biases[:, :group_out] = bias.reshape(groups, group_out)
    # A 1 x 1 kernel knows no lines: one line of all pixels has the fewest ragged ends.
    pointwise = R == S == 1 and window.stride == (1, 1)
    shapes = ((1, 1, N * H * W, C), (1, 1, N * H * W, K)) if pointwise else (x.shape, y.shape)
    conv_kernels.forward(
        x.reshape(shapes[0]), packed, biases, R, S, *window.stride, *window.dilation, groups, y.reshape(shapes[1])
    )
    return y


def _padded(x: Array, window: Window) -> Array:
    (top, bottom), (left, right) = window.padding
    return _embedded(x, top, left, (1, 1), (x.shape[1] + top + bottom, x.shape[2] + left + right))


def _embedded(x: Array, top: int, left: int, step: Sequence[int], size: tuple[int, int]) -> Array:
    """Return `x` laid on zeros of `size`; `x` itself where that changes nothing."""
    if (top, left, *step) == (0, 0, 1, 1) and size == x.shape[1:3]:
        return x
    out = np.empty((x.shape[0], *size, x.shape[3]), np.float32)
    conv_kernels.embed(x, top, left, *step, out)
    return out


_POINT = Window((1, 1), (1, 1), (1, 1), ((0, 0), (0, 0)))


def dense(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """Return ``x @ weight + bias`` for x (N, F), weight (F, K): a 1 x 1 convolution of images of one pixel."""
    return conv(x[:, None, None], weight[None, None], bias, _POINT)[:, 0, 0]


def dense_input_gradient(dy: Array, weight: Array) -> Array:
    """Return ``dy @ weight.T``."""
    shape = (dy.shape[0], 1, 1, weight.shape[0])
    return conv_input_gradient(dy[:, None, None], weight[None, None], shape, _POINT)[:, 0, 0]


def dense_weight_gradient(x: Array, dy: Array) -> Array:
    """Return ``x.T @ dy``: that of a 1 x 1 convolution over one line of N pixels, the longest sums of the tile."""
    return conv_weight_gradient(x[None, None], dy[None, None], _POINT).reshape(x.shape[1], -1)
