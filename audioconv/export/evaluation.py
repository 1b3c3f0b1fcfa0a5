"""What a described model computes, step by step: for the ranges of 8-bit integers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from audioconv import ops
from audioconv._types import Array
from audioconv.decision.decision import odds
from audioconv.errors import DataError
from audioconv.export import operations as O


def values(steps: Iterable[O.Step], given: dict[str, Array], ends: Sequence[str] = ()) -> Iterator[tuple[str, Array]]:
    """Yield name and value (N, ...) of the output of each step, in order.

    Parameters
    ----------
    steps : iterable of Step
    given : dict of str to array
        Values (N, ...) of what the steps begin with, by name.
    ends : sequence of str
        Stop behind the last of these, if there are any. Default: go through all steps.
    """
    known = dict(given)
    left = set(ends)
    for step in steps:
        inputs = [known[tensor.name] for tensor in step.inputs]
        value = RULES[type(step.operation)](step.operation, *inputs)
        known[step.output.name] = value
        yield step.output.name, value
        left.discard(step.output.name)
        if ends and not left:
            return


OUTLIERS = (0.0, 0.001, 0.01, 0.1)
"""Percents of a tensor's numbers that lie below its range, and above it: they are clipped, and all others are finer."""

DRAWN = 50_000
"""Numbers of each tensor that a batch is represented by, beside its least and greatest."""

Ranges = dict[str, tuple[float, float]]
"""The least and the greatest number of each tensor of a network, by name."""


def ranges(graph: O.Graph, batches: Iterable[Array], seed: int = 0) -> list[Ranges]:
    """Return the range of each tensor of the network: one set for each number of `OUTLIERS`.

    Parameters
    ----------
    graph : Graph
    batches : iterable of arrays (N, *network_input)
        Inputs of the network, normalised.
    seed : int
        Of the choice of numbers from large tensors. Default: 0.

    Raises
    ------
    DataError
        If there are no batches.
    """
    begin, end = graph.network_input.name, graph.logits.name
    steps = [step for step in graph.steps if step.place.partition("/")[0] == "network"]
    rng = np.random.default_rng(seed)
    drawn: dict[str, list[Array]] = {}
    for batch in batches:
        for name, value in [(begin, batch), *values(steps, {begin: batch}, [end])]:
            numbers = value.reshape(-1)
            some = numbers if numbers.size <= DRAWN else numbers[rng.integers(0, numbers.size, DRAWN)]
            drawn.setdefault(name, []).append(np.concatenate([[numbers.min(), numbers.max()], some]))
    if not drawn:
        raise DataError("there are no examples to choose the ranges of 8-bit integers by")
    found: list[Ranges] = [{} for _ in OUTLIERS]
    for name, parts in drawn.items():
        numbers = np.concatenate(parts)
        for outliers, of_share in zip(OUTLIERS, found, strict=True):
            low, high = np.percentile(numbers, (outliers, 100 - outliers))
            of_share[name] = (float(low), float(high))
    return found


def _function(operation: O.Function, x: Array) -> Array:
    kind, settings = operation.kind, operation.settings
    if kind in ("relu", "sigmoid", "tanh", "leaky_relu"):
        return ops.activate(x, kind, *settings)
    if kind == "clip":
        return np.asarray(np.clip(x, *np.asarray(settings, np.float32)))
    if kind == "power":
        return np.asarray(x ** np.float32(settings[0]))
    if kind == "elu":
        return np.where(x > 0, x, np.float32(settings[0]) * np.expm1(np.minimum(x, 0)))
    if kind == "hard_sigmoid":
        return np.asarray(np.clip(np.float32(settings[0]) * x + np.float32(settings[1]), 0, 1), np.float32)
    if kind == "hard_swish":
        return np.asarray(x * np.clip(x / 6 + 0.5, 0, 1), np.float32)
    plain: dict[str, Callable[[Array], Array]] = {"exp": np.exp, "log": np.log, "square": np.square, "sqrt": np.sqrt}
    return np.asarray(plain[kind](x))


def _convolution(operation: O.Convolution, x: Array) -> Array:
    weight = ops.as_input(operation.weight)
    return ops.conv(ops.as_input(x), weight, operation.bias, operation.window, operation.groups, direct=True)


def _linear(operation: O.Linear, x: Array) -> Array:
    y = x @ operation.weight
    return y if operation.bias is None else y + operation.bias


def _pool(operation: O.Pool, x: Array) -> Array:
    if operation.kind == "max":
        return ops.max_pool(x, operation.window)[0]
    y = ops.avg_pool(x, operation.window)
    if operation.kind == "average":
        return y
    inside = ops.avg_pool(np.ones((1, *x.shape[1:-1], 1), np.float32), operation.window)
    return np.asarray(y / inside)


def _reduce(operation: O.Reduce, x: Array) -> Array:
    axes, kept = operation.axes, operation.keep
    if operation.kind == "max":
        return np.asarray(x.max(axis=axes, keepdims=kept))
    total = x.mean if operation.kind == "mean" else x.sum
    return np.asarray(total(axis=axes, keepdims=kept, dtype=np.float64), np.float32)


def _arithmetic(operation: O.Arithmetic, x: Array, *others: Array) -> Array:
    other = others[0] if operation.constant is None else operation.constant
    by_kind = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide}
    return np.asarray(by_kind[operation.kind](x, other), np.float32)


def _softmax(operation: O.Softmax, x: Array) -> Array:
    y = x - x.max(axis=operation.axis, keepdims=True)
    total = np.exp(y).sum(axis=operation.axis, keepdims=True)
    return np.asarray(y - np.log(total) if operation.log else np.exp(y) / total)


def _pad(operation: O.Pad, x: Array) -> Array:
    return np.pad(x, [(0, 0), *operation.pairs], constant_values=operation.value)


def _answer(operation: O.Answer, x: Array) -> Array:
    possible = np.where(operation.possible, x, -1)
    codes = possible.argmax(axis=1)
    accepted = operation.words[codes] & (possible.max(axis=1) >= np.float32(operation.threshold))
    return np.where(accepted, codes, -1)


def _total(operation: O.Total, *terms: Array) -> Array:
    return np.asarray(np.sum(terms, axis=0))


RULES: dict[type[O.Operation], Callable[..., Array]] = {
    O.Answer: _answer,
    O.Arithmetic: _arithmetic,
    O.BatchNormalise: lambda operation, x: x * operation.affine()[0] + operation.affine()[1],
    O.Concatenate: lambda operation, *parts: np.concatenate(parts, axis=-1),
    O.Convolution: _convolution,
    O.Function: _function,
    O.Linear: _linear,
    O.Odds: lambda operation, x: odds(x, operation.words)[:, np.newaxis].astype(np.float32),
    O.Pad: _pad,
    O.ParametricRelu: lambda operation, x: np.where(x > 0, x, operation.slope * x),
    O.Pool: _pool,
    O.Reduce: _reduce,
    O.Reshape: lambda operation, x: x.reshape(len(x), *operation.shape),
    O.Softmax: _softmax,
    O.Total: _total,
    O.Transpose: lambda operation, x: np.ascontiguousarray(x.transpose(0, *(axis + 1 for axis in operation.order))),
}
"""How each operation is computed."""
