"""Operations as nodes of ONNX: channels first, weights transposed once, axes exchanged only where they must be.

Only operators are used that ONNX Runtime has on processors, in browsers and on phones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from audioconv._types import Array
from audioconv.errors import ExportError
from audioconv.export import operations as O
from audioconv.export.onnx_writer import Held, NodeWriter, channels_first, reshaped, runs


def write(writer: NodeWriter, step: O.Step) -> None:
    """Write one step; `ExportError` if its operation has no rule."""
    rule = RULES.get(type(step.operation))
    if rule is None:
        raise ExportError(f"{step.place}: ONNX files cannot hold the operation {type(step.operation).__name__}")
    writer.begin(step)
    writer.end(step, rule(writer, step))


def lifted(constant: Array, rank: int) -> Array:
    """Return a constant for tensors of so many axes, channels first, with an axis for the batch."""
    array = np.asarray(constant, np.float32)
    array = array.reshape(*(1,) * (rank - array.ndim), *array.shape)
    return np.ascontiguousarray(array.transpose(channels_first(rank)))[np.newaxis]


def _output(step: O.Step, name: str) -> Held:
    return Held(name, channels_first(len(step.output.shape)))


# --- convolutions and matrices ---


def _pads(pairs: Sequence[tuple[int, int]]) -> list[int]:
    return [*(before for before, _ in pairs), *(after for _, after in pairs)]


def _convolution(writer: NodeWriter, step: O.Step) -> Held:
    operation, window = _as(O.Convolution, step), _as(O.Convolution, step).window
    weight = operation.weight
    # (*kernel, C, K) becomes (K, C, *kernel).
    kernels = np.ascontiguousarray(weight.transpose(weight.ndim - 1, weight.ndim - 2, *range(weight.ndim - 2)))
    inputs = [writer.name_of(step.inputs[0]), writer.constant("weight", kernels)]
    if operation.bias is not None:
        inputs.append(writer.constant("bias", operation.bias))
    name = writer.node(
        "Conv", inputs, kernel_shape=list(window.kernel), strides=list(window.stride),
        dilations=list(window.dilation), pads=_pads(window.padding), group=operation.groups,
    )  # fmt: skip
    return _output(step, name)


def _linear(writer: NodeWriter, step: O.Step) -> Held:
    operation, rank = _as(O.Linear, step), len(step.inputs[0].shape)
    weight = operation.weight
    bias = [] if operation.bias is None else [writer.constant("bias", operation.bias)]
    if rank == 1:
        x = writer.held(step.inputs[0], any_rows=True)
        rows = weight if x.rows is None else weight[x.rows]
        return _output(step, writer.node("Gemm", [x.name, writer.constant("weight", rows), *bias]))
    # A convolution of one place does the same, and the axes stay where they are.
    kernel = np.ascontiguousarray(weight.T).reshape(*weight.T.shape, *(1,) * (rank - 1))
    inputs = [writer.name_of(step.inputs[0]), writer.constant("weight", kernel), *bias]
    return _output(step, writer.node("Conv", inputs, kernel_shape=[1] * (rank - 1)))


def _batch_normalise(writer: NodeWriter, step: O.Step) -> Held:
    operation = _as(O.BatchNormalise, step)
    x = writer.held(step.inputs[0], any_rows=True)
    names = {"weight": operation.weight, "bias": operation.bias, "running_mean": operation.mean,
             "running_var": operation.variance}  # fmt: skip
    inputs = [writer.constant(name, _in_rows(array, x)) for name, array in names.items()]
    name = writer.node(
        "BatchNormalization", [x.name, *inputs], epsilon=float(operation.epsilon), momentum=1 - operation.momentum
    )
    return Held(name, x.order, x.rows)


def _in_rows(array: Array, x: Held) -> Array:
    """Return numbers of each channel in the order in which features lie."""
    return array if x.rows is None else np.ascontiguousarray(array[x.rows])


# --- windows and sums ---


def _pool(writer: NodeWriter, step: O.Step) -> Held:
    operation, window = _as(O.Pool, step), _as(O.Pool, step).window
    settings = {"kernel_shape": list(window.kernel), "strides": list(window.stride), "pads": _pads(window.padding)}
    x = writer.name_of(step.inputs[0])
    if operation.kind == "max":
        return _output(step, writer.node("MaxPool", [x], **settings))
    counted = int(operation.kind == "average" and any(map(sum, window.padding)))
    return _output(step, writer.node("AveragePool", [x], count_include_pad=counted, **settings))


def _reduce(writer: NodeWriter, step: O.Step) -> Held:
    operation, rank = _as(O.Reduce, step), len(step.inputs[0].shape)
    x = writer.name_of(step.inputs[0])
    axes = sorted(axis % rank for axis in operation.axes)
    if operation.kind in ("mean", "max") and not operation.keep and rank > 1 and axes == list(range(rank - 1)):
        kind = "GlobalAveragePool" if operation.kind == "mean" else "GlobalMaxPool"
        return _output(step, writer.node("Flatten", [writer.node(kind, [x])], axis=1))
    places = sorted(channels_first(rank).index(axis) + 1 for axis in axes)
    if operation.kind == "sum":
        name = writer.node("ReduceSum", [x, writer.integers("axes", places)], keepdims=int(operation.keep))
    else:
        kind = "ReduceMean" if operation.kind == "mean" else "ReduceMax"
        name = writer.node(kind, [x], axes=places, keepdims=int(operation.keep))
    left = [axis for axis in channels_first(rank) if operation.keep or axis not in axes]
    return Held(name, tuple(sorted(left).index(axis) for axis in left))


# --- functions and arithmetic ---


def _function(writer: NodeWriter, step: O.Step) -> Held:
    operation = _as(O.Function, step)
    held = writer.held(step.inputs[0], any_rows=True)
    name = _function_node(writer, operation, held.name)
    return Held(name, held.order, held.rows)


_PLAIN = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "exp": "Exp", "log": "Log", "sqrt": "Sqrt",
          "hard_swish": "HardSwish"}  # fmt: skip


def _function_node(writer: NodeWriter, operation: O.Function, x: str) -> str:
    kind, settings = operation.kind, operation.settings
    if kind in _PLAIN:
        return writer.node(_PLAIN[kind], [x])
    if kind == "square":
        return writer.node("Mul", [x, x])
    if kind == "leaky_relu":
        return writer.node("LeakyRelu", [x], alpha=settings[0])
    if kind == "elu":
        return writer.node("Elu", [x], alpha=settings[0])
    if kind == "hard_sigmoid":
        return writer.node("HardSigmoid", [x], alpha=settings[0], beta=settings[1])
    if kind == "power":
        return writer.node("Pow", [x, writer.constant("power", np.float32(settings[0]))])
    assert kind == "clip"
    low, high = settings
    bounds = [
        writer.constant(name, np.float32(bound)) if math.isfinite(bound) else ""
        for name, bound in (("low", low), ("high", high))
    ]
    return writer.node("Clip", [x, *bounds] if bounds[1] else [x, bounds[0]])


def _parametric_relu(writer: NodeWriter, step: O.Step) -> Held:
    slope = _as(O.ParametricRelu, step).slope
    x = writer.held(step.inputs[0], any_rows=True)
    if slope.size > 1:
        slope = _in_rows(slope, x).reshape(-1, *(1,) * (len(step.inputs[0].shape) - 1))
    return Held(writer.node("PRelu", [x.name, writer.constant("weight", slope)]), x.order, x.rows)


_ARITHMETIC = {"add": "Add", "subtract": "Sub", "multiply": "Mul", "divide": "Div"}


def _arithmetic(writer: NodeWriter, step: O.Step) -> Held:
    operation, rank = _as(O.Arithmetic, step), len(step.output.shape)
    if operation.constant is None:
        names = [writer.name_of(tensor) for tensor in step.inputs]
        return _output(step, writer.node(_ARITHMETIC[operation.kind], names))
    x = writer.held(step.inputs[0], any_rows=True)
    constant = operation.constant
    if constant.size == 1:
        constant = constant.reshape(())
    elif x.rows is not None:
        constant = _in_rows(constant.reshape(-1), x)[np.newaxis]
    else:
        constant = lifted(constant, rank)
    name = {"add": "bias", "multiply": "weight"}.get(operation.kind, operation.kind)
    return Held(writer.node(_ARITHMETIC[operation.kind], [x.name, writer.constant(name, constant)]), x.order, x.rows)


def _total(writer: NodeWriter, step: O.Step) -> Held:
    return _output(step, writer.node("Sum", [writer.name_of(tensor) for tensor in step.inputs]))


def _softmax(writer: NodeWriter, step: O.Step) -> Held:
    operation, rank = _as(O.Softmax, step), len(step.inputs[0].shape)
    axis = channels_first(rank).index(operation.axis % rank) + 1
    kind = "LogSoftmax" if operation.log else "Softmax"
    return _output(step, writer.node(kind, [writer.name_of(step.inputs[0])], axis=axis))


# --- axes ---


def _reshape(writer: NodeWriter, step: O.Step) -> Held:
    (x,), shape = step.inputs, step.output.shape
    held, wanted = writer.lying(x), channels_first(len(shape))
    before, after = runs(held.order, x.shape), runs(wanted, shape)
    sizes = [shape[axis] for axis in wanted]
    if before == after:
        if [x.shape[axis] for axis in held.order] == sizes:
            return Held(held.name, wanted)
        return Held(reshaped(writer, held.name, sizes), wanted)
    if len(shape) == 1:
        # Left channels first: what comes behind has its weights in this order.
        held = writer.held(x)
        rows = np.arange(math.prod(x.shape)).reshape(x.shape).transpose(held.order).reshape(-1)
        return Held(reshaped(writer, held.name, sizes), wanted, rows)
    name, rank = held.name, len(x.shape)
    if held.order != tuple(range(rank)):
        name = writer.node("Transpose", [name], perm=[0, *(held.order.index(axis) + 1 for axis in range(rank))])
    return Held(writer.node("Reshape", [name, writer.integers("shape", [0, *shape])]), tuple(range(len(shape))))


def _transpose(writer: NodeWriter, step: O.Step) -> Held:
    (x,), order = step.inputs, _as(O.Transpose, step).order
    held = writer.lying(x)
    # Axis `order[n]` of the input is axis n now; where it lies need not change.
    places = tuple(order.index(axis) for axis in held.order)
    return Held(held.name, places)


def _pad(writer: NodeWriter, step: O.Step) -> Held:
    operation = _as(O.Pad, step)
    pairs = [(0, 0), *(operation.pairs[axis] for axis in channels_first(len(operation.pairs)))]
    inputs = [writer.name_of(step.inputs[0]), writer.integers("pads", _pads(pairs))]
    return _output(step, writer.node("Pad", [*inputs, writer.constant("value", np.float32(operation.value))]))


def _concatenate(writer: NodeWriter, step: O.Step) -> Held:
    return _output(step, writer.node("Concat", [writer.name_of(tensor) for tensor in step.inputs], axis=1))


# --- decision ---


def _odds(writer: NodeWriter, step: O.Step) -> Held:
    words = _as(O.Odds, step).words
    logits = writer.name_of(step.inputs[0])
    far = writer.constant("far", np.float32(-1e9))
    of_words = writer.node("Where", [writer.constant("words", words[np.newaxis]), logits, far])
    best = writer.node("ReduceMax", [of_words], axes=[1], keepdims=1)
    likeliest = writer.node("ArgMax", [of_words], axis=1, keepdims=1)
    numbers = writer.integers("numbers", range(len(words)))
    rest = writer.node("Where", [writer.node("Equal", [likeliest, numbers]), far, logits])
    largest = writer.node("ReduceMax", [rest], axes=[1], keepdims=1)
    exponentials = writer.node("Exp", [writer.node("Sub", [rest, largest])])
    total = writer.node("ReduceSum", [exponentials, writer.integers("axes", [1])], keepdims=1)
    against = writer.node("Add", [largest, writer.node("Log", [total])])
    return _output(step, writer.node("Sub", [best, against]))


def _answer(writer: NodeWriter, step: O.Step) -> Held:
    operation = _as(O.Answer, step)
    probabilities = writer.name_of(step.inputs[0])
    possible = probabilities
    if not operation.possible.all():
        mask = writer.constant("possible", operation.possible[np.newaxis])
        possible = writer.node("Where", [mask, probabilities, writer.constant("never", np.float32(-1))])
    likeliest = writer.node("ArgMax", [possible], axis=1, keepdims=0)
    score = writer.node("ReduceMax", [possible], axes=[1], keepdims=0)
    accepted = writer.node("GreaterOrEqual", [score, writer.constant("threshold", np.float32(operation.threshold))])
    if not operation.words.all():
        is_word = writer.node("Gather", [writer.constant("is_word", operation.words), likeliest], axis=0)
        accepted = writer.node("And", [accepted, is_word])
    none = writer.constant("none", np.int64(-1))
    return _output(step, writer.node("Where", [accepted, likeliest, none]))


def _as(kind: type[Any], step: O.Step) -> Any:
    assert type(step.operation) is kind
    return step.operation


RULES: dict[type[O.Operation], Callable[[NodeWriter, O.Step], Held]] = {
    O.Answer: _answer,
    O.Arithmetic: _arithmetic,
    O.BatchNormalise: _batch_normalise,
    O.Concatenate: _concatenate,
    O.Convolution: _convolution,
    O.Function: _function,
    O.Linear: _linear,
    O.Odds: _odds,
    O.Pad: _pad,
    O.ParametricRelu: _parametric_relu,
    O.Pool: _pool,
    O.Reduce: _reduce,
    O.Reshape: _reshape,
    O.Softmax: _softmax,
    O.Total: _total,
    O.Transpose: _transpose,
}
"""How each operation is written."""
