"""Operations as operators of TFLite, in float32 or 8-bit integers; nearly all are in TensorFlow Lite Micro."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from audioconv._types import Array
from audioconv.errors import ExportError
from audioconv.export import operations as O
from audioconv.export.tflite_decision import answer, odds
from audioconv.export.tflite_writer import OperatorWriter, fixed, held
from audioconv.geometry import Window

INTEGERS: tuple[type[O.Operation], ...] = (
    O.Arithmetic, O.Concatenate, O.Convolution, O.Function, O.Linear, O.Pad, O.ParametricRelu, O.Pool, O.Reduce,
    O.Reshape, O.Total, O.Transpose,
)  # fmt: skip
"""Operations that 8-bit integers can do; the others are done in float32 in between."""

FUNCTIONS = ("relu", "sigmoid", "tanh", "leaky_relu", "hard_swish", "clip")
"""Functions that 8-bit integers can do."""

FUSED = {"relu": 1, "relu6": 3}
"""Activations that an operator may do with its output, by their numbers in the schema."""


def write(writer: OperatorWriter, step: O.Step, integers: bool = False) -> None:
    """Write a step.

    Parameters
    ----------
    writer : OperatorWriter
    step : Step
    integers : bool
        Whether it may be done in 8-bit integers. Default: False.

    Raises
    ------
    ExportError
        If its operation has no rule; names the layer.
    """
    rule = RULES.get(type(step.operation))
    if rule is None:
        raise ExportError(f"{step.place}: TFLite files cannot hold the operation {type(step.operation).__name__}")
    writer.integers = integers and takes_integers(step.operation)
    writer.place = step.place
    rule(writer, step)


def takes_integers(operation: O.Operation) -> bool:
    """Tell whether 8-bit integers can do an operation."""
    if isinstance(operation, O.Function):
        return operation.kind in FUNCTIONS
    if isinstance(operation, O.Arithmetic):
        # A constant of 256 values would scale each place by up to a percent too much.
        return operation.kind in ("add", "subtract", "multiply") and operation.constant is None
    if isinstance(operation, O.Reduce):
        return operation.kind != "sum"
    return isinstance(operation, INTEGERS)


def fused(operation: O.Operation) -> int:
    """Return the number of the activation that a function is; 0 if an operator cannot do it with its output."""
    if not isinstance(operation, O.Function):
        return 0
    is_six = operation.kind == "clip" and operation.settings == (0.0, 6.0)
    return FUSED["relu6"] if is_six else FUSED.get(operation.kind, 0)


# --- convolutions and matrices ---


def padded(
    writer: OperatorWriter, x: int, window: Window, value: float = 0.0, *, may_be_same: bool = True
) -> tuple[int, int]:
    """Return the input of a window, with what lies around it, and the number of the padding that is left to do."""
    tflite_same, tflite_valid = 0, 1
    size = writer.tensors[x].shape[1:3]
    if not any(map(sum, window.padding)):
        return x, tflite_valid
    if may_be_same and all(
        _is_same(*one) for one in zip(size, window.extent, window.stride, window.padding, strict=True)
    ):
        return x, tflite_same
    pairs = [(0, 0), *window.padding, (0, 0)]
    wider = [n + sum(pair) for n, pair in zip(writer.tensors[x].shape[1:], pairs[1:], strict=True)]
    around = writer.between(tuple(wider), like=x)
    if value:
        writer.operator("PADV2", [x, writer.whole(pairs), writer.constant(value, like=x)], [around], "PadV2Options")
    else:
        writer.operator("PAD", [x, writer.whole(pairs)], [around], "PadOptions")
    return around, tflite_valid


def _is_same(size: int, extent: int, stride: int, pair: tuple[int, int]) -> bool:
    """Tell whether padding is what TFLite calls SAME."""
    zeros = max((-(-size // stride) - 1) * stride + extent - size, 0)
    return pair == (zeros // 2, zeros - zeros // 2)


def _convolution(writer: OperatorWriter, step: O.Step, activation: int = 0) -> None:
    operation = _as(O.Convolution, step)
    window = operation.window.lifted()
    weight = operation.weight[np.newaxis] if operation.weight.ndim == 3 else operation.weight
    x = writer.input(step.inputs[0])
    channels = writer.tensors[x].shape[-1]
    x, padding = padded(writer, x, window)
    settings = {
        "Padding": padding, "StrideH": window.stride[0], "StrideW": window.stride[1],
        "DilationHFactor": window.dilation[0], "DilationWFactor": window.dilation[1],
        "FusedActivationFunction": activation,
    }  # fmt: skip
    if operation.groups == channels and channels > 1:
        kernels = writer.weight(weight.reshape(1, *weight.shape[:2], -1), axis=3)
        code, options = "DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions"
        settings["DepthMultiplier"] = weight.shape[-1] // channels
    else:
        kernels = writer.weight(np.ascontiguousarray(weight.transpose(3, 0, 1, 2)), axis=0)
        code, options = "CONV_2D", "Conv2DOptions"
    bias = np.zeros(weight.shape[-1], np.float32) if operation.bias is None else operation.bias
    inputs = [x, kernels, writer.bias(bias, x, kernels)]
    writer.operator(code, inputs, [writer.output(step.output)], options, **settings)


def _linear(writer: OperatorWriter, step: O.Step, activation: int = 0) -> None:
    operation = _as(O.Linear, step)
    if len(step.inputs[0].shape) > 1:
        places = len(step.inputs[0].shape) - 1
        one = Window((1,) * places, (1,) * places, (1,) * places, ((0, 0),) * places)
        weight = operation.weight.reshape(*(1,) * places, *operation.weight.shape)
        convolution = O.Convolution(weight, operation.bias, one)
        _convolution(writer, O.Step(convolution, step.place, step.inputs, step.output), activation)
        return
    x, weight = writer.input(step.inputs[0]), writer.weight(np.ascontiguousarray(operation.weight.T), axis=0)
    bias = np.zeros(operation.weight.shape[1], np.float32) if operation.bias is None else operation.bias
    inputs = [x, weight, writer.bias(bias, x, weight)]
    writer.operator(
        "FULLY_CONNECTED", inputs, [writer.output(step.output)], "FullyConnectedOptions",
        FusedActivationFunction=activation,
    )  # fmt: skip


# --- windows and sums ---


def _pool(writer: OperatorWriter, step: O.Step) -> None:
    operation = _as(O.Pool, step)
    window, is_max = operation.window.lifted(), operation.kind == "max"
    x = writer.input(step.inputs[0])
    lowest = float(np.finfo(np.float32).min)
    scale = writer.quantisation(x)
    # TFLite's SAME leaves the padding out of the average.
    source, padding = padded(writer, x, window, lowest if is_max else 0.0, may_be_same=operation.kind != "average")
    if operation.kind == "average_inside" and padding == 1:
        share = _share(window, writer.tensors[x].shape[1:3])
        between = writer.between(held(step.output.shape), like=x)
        _pooled(writer, "AVERAGE_POOL_2D", source, between, window, padding)
        writer.operator("MUL", [between, writer.constant(1 / share)], [writer.output(step.output)], "MulOptions")
        return
    code = "MAX_POOL_2D" if is_max else "AVERAGE_POOL_2D"
    _pooled(writer, code, source, writer.output(step.output, scale), window, padding)


def _pooled(writer: OperatorWriter, code: str, x: int, y: int, window: Window, padding: int) -> None:
    writer.operator(
        code, [x], [y], "Pool2DOptions", Padding=padding, StrideH=window.stride[0], StrideW=window.stride[1],
        FilterHeight=window.kernel[0], FilterWidth=window.kernel[1],
    )  # fmt: skip


def _share(window: Window, size: Sequence[int]) -> Array:
    """Return the share of each window that lies in the input, (P, Q, 1)."""
    shares = []
    for n, kernel, stride, (before, after) in zip(size, window.kernel, window.stride, window.padding, strict=True):
        begins = np.arange(0, n + before + after - kernel + 1, stride) - before
        shares.append((np.minimum(begins + kernel, n) - np.maximum(begins, 0)) / kernel)
    return np.asarray(np.multiply.outer(*shares)[..., np.newaxis], np.float32)


def _reduce(writer: OperatorWriter, step: O.Step) -> None:
    operation = _as(O.Reduce, step)
    x = writer.input(step.inputs[0])
    shape = writer.tensors[x].shape
    axes = sorted(axis % len(shape) for axis in operation.axes)
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))[1:]
    code = {"mean": "MEAN", "max": "REDUCE_MAX", "sum": "SUM"}[operation.kind]
    scale = writer.quantisation(x) if operation.kind == "max" else None
    wanted = held(step.output.shape)
    if kept == wanted:
        y = writer.output(step.output, scale)
        writer.operator(code, [x, writer.whole(axes)], [y], "ReducerOptions", KeepDims=True)
        return
    y = writer.output(step.output, scale)
    between = writer.between(kept, like=y)
    writer.operator(code, [x, writer.whole(axes)], [between], "ReducerOptions", KeepDims=True)
    writer.operator("RESHAPE", [between, writer.whole([-1, *wanted])], [y], "ReshapeOptions")


# --- functions and arithmetic ---

_PLAIN = {"relu": "RELU", "sigmoid": "LOGISTIC", "tanh": "TANH", "exp": "EXP", "log": "LOG", "square": "SQUARE",
          "sqrt": "SQRT", "hard_swish": "HARD_SWISH"}  # fmt: skip


def _function(writer: OperatorWriter, step: O.Step) -> None:
    operation = _as(O.Function, step)
    kind, settings = operation.kind, operation.settings
    x = writer.input(step.inputs[0])
    if kind in _PLAIN:
        own = {"sigmoid": fixed(1 / 256, -128), "tanh": fixed(1 / 128, 0)}.get(kind)
        options = {"exp": "ExpOptions", "square": "SquareOptions", "hard_swish": "HardSwishOptions"}.get(kind, "")
        writer.operator(_PLAIN[kind], [x], [writer.output(step.output, own)], options)
    elif kind == "leaky_relu":
        writer.operator("LEAKY_RELU", [x], [writer.output(step.output)], "LeakyReluOptions", Alpha=settings[0])
    elif kind == "clip":
        _clip(writer, x, settings, step.output)
    elif kind == "power":
        exact = {2.0: "SQUARE", 0.5: "SQRT"}.get(settings[0])
        if exact:
            options = "SquareOptions" if exact == "SQUARE" else ""
            writer.operator(exact, [x], [writer.output(step.output)], options)
        else:
            inputs = [x, writer.constant(settings[0])]
            writer.operator("POW", inputs, [writer.output(step.output)], "PowOptions")
    elif kind == "hard_sigmoid":
        slope, shift = settings
        line = writer.chained(x, ("MUL", slope, "MulOptions"), ("ADD", shift, "AddOptions"))
        _clip(writer, line, (0.0, 1.0), step.output)
    else:
        assert kind == "elu"
        below = writer.chained(
            x, ("MINIMUM", 0.0, "MaximumMinimumOptions"), ("EXP", None, "ExpOptions"),
            ("SUB", 1.0, "SubOptions"), ("MUL", settings[0], "MulOptions"),
        )  # fmt: skip
        above = writer.chained(x, ("RELU", None, ""))
        writer.operator("ADD", [above, below], [writer.output(step.output)], "AddOptions")


def _clip(writer: OperatorWriter, x: int, bounds: tuple[float, ...], output: O.Tensor) -> None:
    """Add the one or two bounds that are numbers."""
    scale = writer.quantisation(x)
    present = [
        (code, bound) for code, bound in zip(("MAXIMUM", "MINIMUM"), bounds, strict=True) if math.isfinite(bound)
    ]
    for place, (code, bound) in enumerate(present):
        is_last = place == len(present) - 1
        y = writer.output(output, scale) if is_last else writer.between(writer.tensors[x].shape[1:], like=x)
        writer.operator(code, [x, writer.constant(bound, like=x)], [y], "MaximumMinimumOptions")
        x = y


def _parametric_relu(writer: OperatorWriter, step: O.Step) -> None:
    slope = _as(O.ParametricRelu, step).slope
    shape = held(step.output.shape)
    slopes = np.broadcast_to(slope, (*(1,) * (len(shape) - 1), shape[-1]))
    inputs = [writer.input(step.inputs[0]), writer.constant(slopes)]
    writer.operator("PRELU", inputs, [writer.output(step.output)])


_ARITHMETIC = {"add": ("ADD", "AddOptions"), "subtract": ("SUB", "SubOptions"), "multiply": ("MUL", "MulOptions"),
               "divide": ("DIV", "DivOptions")}  # fmt: skip


def _arithmetic(writer: OperatorWriter, step: O.Step, activation: int = 0) -> None:
    operation = _as(O.Arithmetic, step)
    code, options = _ARITHMETIC[operation.kind]
    inputs = [writer.input(tensor) for tensor in step.inputs]
    if operation.constant is not None:
        inputs.append(writer.constant(operation.constant))
    writer.operator(code, inputs, [writer.output(step.output)], options, FusedActivationFunction=activation)


def _total(writer: OperatorWriter, step: O.Step) -> None:
    total = writer.input(step.inputs[0])
    y = writer.output(step.output)
    for place, tensor in enumerate(step.inputs[1:], start=2):
        is_last = place == len(step.inputs)
        # Sums on the way have the scale of the whole one.
        between = y if is_last else writer.between(held(step.output.shape), like=y)
        writer.operator("ADD", [total, writer.input(tensor)], [between], "AddOptions")
        total = between


def _softmax(writer: OperatorWriter, step: O.Step) -> None:
    operation = _as(O.Softmax, step)
    x = writer.input(step.inputs[0])
    rank = len(writer.tensors[x].shape)
    code, options = ("LOG_SOFTMAX", "LogSoftmaxOptions") if operation.log else ("SOFTMAX", "SoftmaxOptions")
    settings = {} if operation.log else {"Beta": 1.0}
    axis = operation.axis % rank
    y = writer.output(step.output)
    if axis == rank - 1:
        writer.operator(code, [x], [y], options, **settings)
        return
    order = [*(place for place in range(rank) if place != axis), axis]
    shape = tuple(writer.tensors[x].shape[place] for place in order)[1:]
    before, after = writer.between(shape, like=x), writer.between(shape, like=x)
    writer.operator("TRANSPOSE", [x, writer.whole(order)], [before], "TransposeOptions")
    writer.operator(code, [before], [after], options, **settings)
    writer.operator("TRANSPOSE", [after, writer.whole(np.argsort(order))], [y], "TransposeOptions")


# --- axes ---


def _reshape(writer: OperatorWriter, step: O.Step) -> None:
    x = writer.input(step.inputs[0])
    y = writer.output(step.output, writer.quantisation(x))
    writer.operator("RESHAPE", [x, writer.whole([-1, *held(step.output.shape)])], [y], "ReshapeOptions")


def _transpose(writer: OperatorWriter, step: O.Step) -> None:
    order = _as(O.Transpose, step).order
    x = writer.input(step.inputs[0])
    before = len(writer.tensors[x].shape) - len(order)
    perm = [*range(before), *(axis + before for axis in order)]
    y = writer.output(step.output, writer.quantisation(x))
    writer.operator("TRANSPOSE", [x, writer.whole(perm)], [y], "TransposeOptions")


def _pad(writer: OperatorWriter, step: O.Step) -> None:
    operation = _as(O.Pad, step)
    x = writer.input(step.inputs[0])
    pairs = [(0, 0)] * (len(writer.tensors[x].shape) - len(operation.pairs)) + list(operation.pairs)
    y = writer.output(step.output, writer.quantisation(x))
    inputs = [x, writer.whole(pairs), writer.constant(operation.value, like=x)]
    writer.operator("PADV2", inputs, [y], "PadV2Options")


def _concatenate(writer: OperatorWriter, step: O.Step) -> None:
    y = writer.output(step.output)
    inputs = [writer.input(tensor, writer.quantisation(y)) for tensor in step.inputs]
    axis = len(writer.tensors[y].shape) - 1
    writer.operator("CONCATENATION", inputs, [y], "ConcatenationOptions", Axis=axis)


def _as(kind: type[Any], step: O.Step) -> Any:
    assert type(step.operation) is kind
    return step.operation


RULES: dict[type[O.Operation], Callable[[OperatorWriter, O.Step], None]] = {
    O.Answer: answer,
    O.Arithmetic: _arithmetic,
    O.Concatenate: _concatenate,
    O.Convolution: _convolution,
    O.Function: _function,
    O.Linear: _linear,
    O.Odds: odds,
    O.Pad: _pad,
    O.ParametricRelu: _parametric_relu,
    O.Pool: _pool,
    O.Reduce: _reduce,
    O.Reshape: _reshape,
    O.Softmax: _softmax,
    O.Total: _total,
    O.Transpose: _transpose,
}
"""How each operation is written; `BatchNormalise` is folded into weights before."""

WITH_ACTIVATION: dict[type[O.Operation], Callable[[OperatorWriter, O.Step, int], None]] = {
    O.Arithmetic: _arithmetic,
    O.Convolution: _convolution,
    O.Linear: _linear,
}
"""Operations that may do an activation with their output."""
