"""Operations on arrays: check, lift 1-D to 2-D, allocate, run a kernel.

Arrays are float32 (others are converted) and channels last: ``x (N, T, C)`` or ``(N, H, W, C)``, ``weight
(R, C/groups, K)`` or ``(R, S, C/groups, K)``. Everything 1-D runs as 2-D with height 1. Results are new arrays.

`conv1d`, `conv2d`, `max_pool1d`, ... take numbers, as users write them; the functions without a digit take a
`geometry.Window` and serve the layers, forward and backward.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audioconv import geometry
from audioconv.errors import ShapeError
from audioconv.geometry import Padding, Window
from audioconv.kernels import conv as conv_kernels
from audioconv.kernels import depthwise as depthwise_kernels
from audioconv.kernels import elementwise, norm
from audioconv.kernels import pool as pool_kernels
from audioconv.kernels.jit import PARTS
from audioconv.kernels.simd import COLUMNS

Array = NDArray[np.float32]

# Partial weight gradients of a layer take at most this many numbers together (64 MiB).
_MAX_PARTIAL = 2**24


def as_input(x: ArrayLike, ndim: int | None = None, name: str = "x") -> Array:
    """Return `x` as an array that kernels take: float32, contiguous, writable (a read-only one is copied).

    Numba compiles a kernel anew for each kind of array, so there shall be one kind.
    """
    array: Array = np.require(x, np.float32, ["C", "A", "W"])
    if ndim is not None and array.ndim != ndim:
        raise ShapeError(f"{name} must have {ndim} axes, got shape {array.shape}")
    return array


# --- convolution ---------------------------------------------------------------------------------------------------


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
    y = _convolve(_padded(_lift(x), lifted), _lift_weight(weight), bias, lifted, groups)
    return y.reshape(x.shape[0], *size, K)


def conv_input_gradient(dy: Array, weight: Array, in_shape: Sequence[int], window: Window, groups: int = 1) -> Array:
    """Return the gradient by the input of shape `in_shape` of `conv`, given that by its output.

    It is a convolution itself: of the output gradient, its pixels spread by the stride, with the kernels turned
    around and input and output channels exchanged.
    """
    _check_gradient(dy, (in_shape[0], *window.out_size(in_shape[1:-1]), weight.shape[-1]))
    window, dy4, weight4 = window.lifted(), _lift(as_input(dy)), _lift_weight(as_input(weight))
    H, W = _lift_size(in_shape[1:-1])
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
    _check_gradient(dy, (x.shape[0], *window.out_size(x.shape[1:-1]), dy.shape[-1]))
    x4, dy4 = _lift(as_input(x)), _lift(as_input(dy))
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


def _check_gradient(dy: Array, shape: Sequence[int]) -> None:
    """Raise `ShapeError` unless `dy` has the `shape` of the output: kernels would read beyond its end."""
    if dy.shape != tuple(shape):
        raise ShapeError(f"the gradient by an output of shape {tuple(shape)} must have that shape, got {dy.shape}")


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


def _lift_size(size: Sequence[int]) -> tuple[int, int]:
    return (1, size[0]) if len(size) == 1 else (size[0], size[1])


def _lift(x: Array) -> Array:
    """Return the 1-D batch (N, T, C) as 2-D with height 1; a 2-D one as it is."""
    return x[:, None] if x.ndim == 3 else x


def _lift_weight(weight: Array) -> Array:
    return weight[None] if weight.ndim == 3 else weight


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


# --- dense ---------------------------------------------------------------------------------------------------------

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


# --- pooling -------------------------------------------------------------------------------------------------------


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
    _check_gradient(dy, (in_shape[0], *window.out_size(in_shape[1:-1]), in_shape[-1]))
    lifted = window.lifted()
    dx = np.zeros((in_shape[0], *_lift_size(in_shape[1:-1]), in_shape[-1]), np.float32)
    pool_kernels.max_backward(_lift(as_input(dy)), chosen, lifted.kernel[1], *lifted.stride, *_corner(lifted), dx)
    return dx.reshape(in_shape)


def avg_pool(x: Array, window: Window) -> Array:
    """Return the average of each window, padding counting as zeros."""
    y, x4, lifted = _pooling(x, window)
    pool_kernels.average_forward(x4, *lifted.kernel, *lifted.stride, *_corner(lifted), y)
    return _like(x, y)


def avg_pool_input_gradient(dy: Array, in_shape: Sequence[int], window: Window) -> Array:
    """Return the gradient by the input of `avg_pool`: each output's is shared among its window."""
    _check_gradient(dy, (in_shape[0], *window.out_size(in_shape[1:-1]), in_shape[-1]))
    lifted = window.lifted()
    dx = np.zeros((in_shape[0], *_lift_size(in_shape[1:-1]), in_shape[-1]), np.float32)
    pool_kernels.average_backward(_lift(as_input(dy)), *lifted.kernel, *lifted.stride, *_corner(lifted), dx)
    return dx.reshape(in_shape)


def _corner(window: Window) -> tuple[int, int]:
    return window.padding[0][0], window.padding[1][0]


def _pooling(x: Array, window: Window) -> tuple[Array, Array, Window]:
    """Return the empty output, lifted input and lifted window of a pooling."""
    size = _lift_size(window.out_size(x.shape[1:-1]))
    x4 = _lift(as_input(x))
    return np.empty((x.shape[0], *size, x.shape[-1]), np.float32), x4, window.lifted()


def _like(x: Array, y: Array) -> Array:
    """Drop the height that lifting added."""
    return y[:, 0] if x.ndim == 3 else y


# --- per channel ---------------------------------------------------------------------------------------------------


def _pixels(x: Array) -> Array:
    return as_input(x).reshape(-1, x.shape[-1])


def _parts(pixels: Array) -> int:
    blocks: int = -(-pixels.shape[0] // norm.BLOCK)
    return min(PARTS, blocks)


def channel_sums(x: Array) -> NDArray[np.float64]:
    """Return the sum over all axes but the last."""
    pixels = _pixels(x)
    partial = np.zeros((_parts(pixels), x.shape[-1]))
    norm.column_sums(pixels, partial)
    total: NDArray[np.float64] = partial.sum(axis=0)
    return total


def channel_moments(x: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and (biased) variance over all axes but the last."""
    pixels = _pixels(x)
    M, parts = pixels.shape[0], _parts(pixels)
    means, squares = np.empty((2, parts, x.shape[-1]))
    norm.moments(pixels, means, squares)
    counts = np.diff(np.arange(parts + 1) * M // parts)[:, None]
    mean = (counts * means).sum(axis=0) / M
    variance = (squares + counts * (means - mean) ** 2).sum(axis=0) / M
    return mean, variance


def channel_affine(x: Array, mean: ArrayLike, scale: ArrayLike, shift: ArrayLike) -> Array:
    """Return ``(x - mean) * scale + shift``, each given per channel."""
    factors = [as_input(v, 1, "a factor per channel") for v in (mean, scale, shift)]
    for factor in factors:
        if factor.shape != x.shape[-1:]:
            raise ShapeError(f"needs {factor.size} channels, got input of shape {x.shape[1:]}")
    y = np.empty(x.shape, np.float32)
    norm.scale_shift(_pixels(x), *factors, _pixels(y))
    return y


def batch_norm_gradients(
    x: Array, dy: Array, mean: NDArray[np.float64], inverse_std: NDArray[np.float64], weight: Array
) -> tuple[Array, Array, Array]:
    """Return the gradients of batch normalisation with batch statistics: by input, weight and bias.

    Ioffe and Szegedy, 2015, section 3, rearranged to ``dx = by_dy * dy + by_x * (x - mean) + shift``.
    """
    _check_gradient(dy, x.shape)
    pixels, gradients = _pixels(x), _pixels(dy)
    M, C = pixels.shape
    sum_dy, sum_dy_x = np.empty((2, _parts(pixels), C))
    centre = np.asarray(mean, np.float32)
    norm.gradient_sums(pixels, gradients, centre, sum_dy, sum_dy_x)
    dbias = sum_dy.sum(axis=0)
    dweight = sum_dy_x.sum(axis=0) * inverse_std
    by_dy = weight * inverse_std
    by_x = -by_dy * dweight * inverse_std / M
    shift = -by_dy * dbias / M
    dx = np.empty(x.shape, np.float32)
    norm.input_gradient(pixels, gradients, centre, *(v.astype(np.float32) for v in (by_dy, by_x, shift)), _pixels(dx))
    return dx, dweight.astype(np.float32), dbias.astype(np.float32)


# --- number by number ----------------------------------------------------------------------------------------------

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
    _check_gradient(dy, x.shape)
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
