"""Convolution, forward and backward, and dense layers, which are convolutions too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from numpy.typing import ArrayLike

from audioconv import geometry
from audioconv.errors import ShapeError
from audioconv.geometry import POINT, Padding, Window
from audioconv.kernels import opcodes
from audioconv.ops import programs
from audioconv.ops.arrays import Array, as_input, check_gradient, lift_size
from audioconv.runtime.convolution import Convolution
from audioconv.runtime.sums import part_count


def conv1d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    *,
    direct: bool = False,
) -> Array:
    """Convolve (cross-correlate) along time: `conv2d` with height 1.

    Parameters
    ----------
    x : array (N, T, C)
    weight : array (R, C/groups, K)
    bias : array (K,), optional
    stride, padding, dilation, groups
        As in `conv2d`, for the one axis.
    direct : bool
        As in `conv2d`.

    Returns
    -------
    float32 array (N, D, K)
        D is `geometry.output_size` of T.
    """
    x, weight = as_input(x, 3), as_input(weight, 3, "weight")
    window = geometry.window(weight.shape[:1], axes=1, stride=stride, padding=padding, dilation=dilation)
    return conv(x, weight, bias, window, groups, direct=direct)


def conv2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | Sequence[int] = (1, 1),
    padding: Padding = (0, 0),
    dilation: int | Sequence[int] = (1, 1),
    groups: int = 1,
    *,
    direct: bool = False,
) -> Array:
    """Convolve (cross-correlate) over height and width.

    An output is the weighted sum of the pixels under the kernel, plus a bias.

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
    direct : bool
        If True, every output is the plain float32 sum of its products. Otherwise the algorithm with the fewest
        operations computes it (`runtime.algorithms`). For kernels of 3 x 3 and of 1-D this may be Winograd's transform,
        whose rounding error is larger. For normally distributed arrays it is 5e-7 of the norm of the result with 16
        channels and 8e-7 with 64; that of the plain sums is 2e-7 and 4e-7. It depends on the place of an output.
        A NaN or infinity in `x` may make up to three more outputs beside those that it belongs to NaN.

    Returns
    -------
    float32 array (N, P, Q, K)

    Raises
    ------
    ShapeError
        If the shapes do not fit each other.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> conv2d(x, np.ones((2, 2, 1, 1)), stride=2)[0, :, :, 0]
    array([[10., 18.],
           [42., 50.]], dtype=float32)
    """
    x, weight = as_input(x, 4), as_input(weight, 4, "weight")
    window = geometry.window(weight.shape[:2], axes=2, stride=stride, padding=padding, dilation=dilation)
    return conv(x, weight, bias, window, groups, direct=direct)


def conv(
    x: Array, weight: Array, bias: ArrayLike | None, window: Window, groups: int = 1, *, direct: bool = False
) -> Array:
    """Convolve `x` with `weight`; both 1-D or both 2-D, as `window` is. See `conv2d` for `direct`."""
    check_conv(x.shape, weight.shape, groups)
    _check_kernel(weight.shape, window)
    size = window.out_size(x.shape[1:-1])
    K = weight.shape[-1]
    bias = None if bias is None else as_input(bias, 1, "bias")
    if bias is not None and bias.shape != (K,):
        raise ShapeError(f"bias must have one number for each of the {K} kernels, got shape {bias.shape}")
    y = programs.new((x.shape[0], *size, K))
    if y.size:
        examples, planned = _plan(x.shape, window, K, groups, direct)
        arrays = {opcodes.INPUT: as_input(x), opcodes.PARAMETERS: programs.parameters(weight, bias), opcodes.OUTPUT: y}
        programs.forward(planned, examples == 1).run(examples, arrays)
    return y


def conv_input_gradient(
    dy: Array, weight: Array, in_shape: Sequence[int], window: Window, groups: int = 1, *, direct: bool = False
) -> Array:
    """Return the gradient by the input of shape `in_shape` of `conv`, given that by its output.

    It is itself a convolution of the output gradient, with the kernels flipped and input and output channels exchanged:
    one for all inputs of the same remainder by the stride. See `conv2d` for `direct`.
    """
    check_conv(in_shape, weight.shape, groups)
    _check_kernel(weight.shape, window)
    check_gradient(dy, (in_shape[0], *window.out_size(in_shape[1:-1]), weight.shape[-1]))
    dx = programs.new(in_shape)
    if dx.size:
        dy, weight = as_input(dy), as_input(weight)
        examples, planned = _plan(in_shape, window, weight.shape[-1], groups, direct)
        if planned.window == POINT and groups == 1:
            # A matrix product: with the weights transposed, it is the forward pass.
            planned = replace(planned, in_shape=planned.out_shape, filters=planned.in_shape[2])
            parameters = programs.parameters(weight.reshape(-1, weight.shape[-1]).T)
            arrays = {opcodes.INPUT: dy, opcodes.PARAMETERS: parameters, opcodes.OUTPUT: dx}
            programs.forward(planned, examples == 1).run(examples, arrays)
        else:
            arrays = {opcodes.OUTPUT_GRADIENT: dy, opcodes.PARAMETERS: programs.parameters(weight), opcodes.OUTPUT: dx}
            programs.input_gradient(planned, examples == 1).run(examples, arrays)
    return dx


def conv_weight_gradient(x: Array, dy: Array, window: Window, groups: int = 1, *, direct: bool = False) -> Array:
    """Return the gradient by the weights of `conv` (..., C/groups, K), given that by its output.

    See `conv2d` for `direct`. The gradient of a single example is always the direct sum.
    """
    shape = (*window.kernel, x.shape[-1] // max(1, groups), dy.shape[-1])
    check_conv(x.shape, shape, groups)
    check_gradient(dy, (x.shape[0], *window.out_size(x.shape[1:-1]), dy.shape[-1]))
    dw = programs.new(shape)
    if not x.size or not dy.size:
        dw.fill(0)
        return dw
    examples, planned = _plan(x.shape, window, shape[-1], groups, direct or len(x) == 1)
    arrays = {opcodes.INPUT: as_input(x), opcodes.OUTPUT_GRADIENT: as_input(dy), opcodes.OUTPUT: dw}
    parts = part_count(examples, planned.partial_size, planned.multiplications)
    programs.weight_gradient(planned, parts).run(examples, arrays)
    return dw


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


def _check_kernel(weight_shape: Sequence[int], window: Window) -> None:
    if tuple(weight_shape[:-2]) != window.kernel:
        raise ShapeError(f"weight of shape {weight_shape} is not that of a kernel of size {window.kernel}")


def _plan(in_shape: Sequence[int], window: Window, K: int, groups: int, direct: bool) -> tuple[int, Convolution]:
    """Return the number of examples of the program, and the convolution of each.

    If the kernels cover all of the input, it is a matrix product: the examples are the pixels of one line.
    """
    (H, W), C = lift_size(in_shape[1:-1]), in_shape[-1]
    planned = Convolution((H, W, C), window.lifted(), K, groups, direct)
    if planned.dense:
        return 1, Convolution((1, in_shape[0], H * W * C), POINT, K, direct=True)
    return in_shape[0], planned


def dense(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """Return ``x @ weight + bias`` for x (N, F), weight (F, K): a 1 x 1 convolution of images of one pixel."""
    return conv(x[:, None, None], weight[None, None], bias, POINT)[:, 0, 0]


def dense_input_gradient(dy: Array, weight: Array) -> Array:
    """Return ``dy @ weight.T``."""
    shape = (dy.shape[0], 1, 1, weight.shape[0])
    return conv_input_gradient(dy[:, None, None], weight[None, None], shape, POINT)[:, 0, 0]


def dense_weight_gradient(x: Array, dy: Array) -> Array:
    """Return ``x.T @ dy``: that of a 1 x 1 convolution over one line of N pixels, the longest sums of the tile."""
    return conv_weight_gradient(x[None, None], dy[None, None], POINT).reshape(x.shape[1], -1)
