"""Operators on constants: what exporters leave to be computed, mostly shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from audioconv._types import Array
from audioconv.interop.nodes import Node

MAX_NUMBERS = 2**26
"""Largest array that is made of constants."""

_INTEGERS = {6: np.int32, 7: np.int64, 9: np.bool_}  # element types by their number in ONNX; all others are float32


def folded(node: Node, values: Sequence[Array | None]) -> Array | None:
    """Return the output of `node`, whose inputs are the constants `values` (None: left out).

    None if the operator is not one that is computed, or if its result would be too large. Raises whatever NumPy raises
    where the arrays do not fit.
    """
    if node.operator == "Constant":
        return _constant(node.attributes)
    operation = OPERATIONS.get(node.operator)
    if operation is None or not values or values[0] is None:
        return None
    if _numbers(node.operator, [value for value in values if value is not None]) > MAX_NUMBERS:
        return None
    result = operation(node.attributes, *values)
    return None if result is None else np.asarray(result)


def _numbers(operator: str, values: Sequence[Array]) -> float:
    """Return how many numbers an operation's result may have at most."""
    if operator == "Concat":
        return sum(value.size for value in values)
    if operator == "Gather":
        return float(values[0].size) * values[-1].size
    if operator in ("Expand", "ConstantOfShape"):
        return float(np.prod(np.abs(values[-1].astype(np.float64)))) * max(1, values[0].size)
    if operator in _BROADCASTING:
        return float(np.prod(np.asarray(np.broadcast_shapes(*(value.shape for value in values)), np.float64)))
    return values[0].size


def _constant(attributes: dict[str, Any]) -> Array | None:
    for key, kind in (("value_float", np.float32), ("value_floats", np.float32),
                      ("value_int", np.int64), ("value_ints", np.int64)):  # fmt: skip
        if key in attributes:
            return np.asarray(attributes[key], kind)
    value = attributes.get("value")
    return value if isinstance(value, np.ndarray) else None


def axes_of(attributes: dict[str, Any], axes: Array | None) -> list[int] | None:
    """Return the axes that an operator gets as an attribute or, in newer files, as an input."""
    if axes is not None:
        return [int(axis) for axis in axes.reshape(-1)]
    found = attributes.get("axes")
    return None if found is None else list(found)


def _unsqueeze(attributes: dict[str, Any], x: Array, axes: Array | None = None) -> Array:
    return np.expand_dims(x, tuple(axes_of(attributes, axes) or ()))


def _squeeze(attributes: dict[str, Any], x: Array, axes: Array | None = None) -> Array:
    found = axes_of(attributes, axes)
    return np.squeeze(x, None if found is None else tuple(found))


def _slice(attributes: dict[str, Any], x: Array, *ranges: Array | None) -> Array:
    if ranges:
        starts, ends, *more = [None if part is None else part.reshape(-1).tolist() for part in ranges]
    else:
        starts, ends, more = attributes["starts"], attributes["ends"], [attributes.get("axes")]
    assert starts is not None
    assert ends is not None
    axes = more[0] if more and more[0] is not None else list(range(len(starts)))
    steps = more[1] if len(more) > 1 and more[1] is not None else [1] * len(starts)
    where: list[slice] = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        where[axis] = slice(start, end if step > 0 or end >= -x.shape[axis] else None, step)
    return x[tuple(where)]


def _divide(attributes: dict[str, Any], a: Array, b: Array) -> Any:
    return a // b if a.dtype.kind in "iu" else a / b


def _reshape(attributes: dict[str, Any], x: Array, shape: Array | None = None) -> Array:
    sizes = list(attributes["shape"]) if shape is None else shape.reshape(-1).tolist()
    return x.reshape([x.shape[number] if size == 0 else size for number, size in enumerate(sizes)])


def _of_shape(attributes: dict[str, Any], shape: Array) -> Array:
    value = attributes.get("value", np.zeros(1, np.float32))
    return np.full(shape.reshape(-1).tolist(), value.reshape(-1)[0], value.dtype)


_BROADCASTING = {"Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Sum", "Equal", "Where"}

OPERATIONS: dict[str, Callable[..., Any]] = {
    "Add": lambda a, x, y: x + y,
    "Sub": lambda a, x, y: x - y,
    "Mul": lambda a, x, y: x * y,
    "Div": _divide,
    "Pow": lambda a, x, y: np.power(x, y).astype(x.dtype),
    "Min": lambda a, *parts: reduce(np.minimum, parts),
    "Max": lambda a, *parts: reduce(np.maximum, parts),
    "Sum": lambda a, *parts: reduce(np.add, parts),
    "Equal": lambda a, x, y: x == y,
    "Neg": lambda a, x: -x,
    "Abs": lambda a, x: np.abs(x),
    "Sqrt": lambda a, x: np.sqrt(x),
    "Reciprocal": lambda a, x: 1 / x,
    "Floor": lambda a, x: np.floor(x),
    "Ceil": lambda a, x: np.ceil(x),
    "Exp": lambda a, x: np.exp(x),
    "Where": lambda a, x, y, z: np.where(x, y, z),
    "Identity": lambda a, x: x,
    "Dropout": lambda a, x, *_: x,
    "Cast": lambda a, x: x.astype(_INTEGERS.get(a["to"], np.float32)),
    "Shape": lambda a, x: np.asarray(x.shape, np.int64)[a.get("start", 0) : a.get("end")],
    "Gather": lambda a, x, indices: np.take(x, indices, a.get("axis", 0)),
    "Slice": _slice,
    "Concat": lambda a, *parts: np.concatenate(parts, a["axis"]),
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Reshape": _reshape,
    "Transpose": lambda a, x: np.transpose(x, a.get("perm")),
    "Flatten": lambda a, x: x.reshape(int(np.prod(x.shape[: a.get("axis", 1)])), -1),
    "Expand": lambda a, x, shape: np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(shape.tolist()))),
    "ConstantOfShape": _of_shape,
    "ReduceMean": lambda a, x, axes=None: x.mean(
        axis=None if axes_of(a, axes) is None else tuple(axes_of(a, axes) or ()), keepdims=bool(a.get("keepdims", 1))
    ),
    "ReduceProd": lambda a, x, axes=None: x.prod(
        axis=None if axes_of(a, axes) is None else tuple(axes_of(a, axes) or ()), keepdims=bool(a.get("keepdims", 1))
    ),
}
"""Operators that are computed on constants, besides `Constant`."""
