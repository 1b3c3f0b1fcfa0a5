"""Arithmetic of a tensor with a constant or with another tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from audioconv import layers as L
from audioconv._types import Array
from audioconv.interop.constants import folded
from audioconv.interop.graph import Group, Layout, Step, Tensor, arranged, same_places
from audioconv.interop.onnx_operators.axes import channels_last, shown, varying_axes, with_axis_merged
from audioconv.interop.onnx_operators.call import Call, scalar
from audioconv.interop.onnx_operators.pointwise import clamp
from audioconv.layers.base import Layer

MAX_BOUND = 64.0
"""Largest bound of those that differ: one is subtracted from the input, and added again."""

_VARIADIC = ("Max", "Min", "Sum")
"""Operators that take any number of inputs."""


def arithmetic(call: Call) -> Tensor:
    """Convert Add, Sub, Mul, Div, Pow, Min, Max or Sum."""
    operator = call.node.operator
    if operator in _VARIADIC and len(call.node.inputs) != 2:
        return _several(call)
    first, second = (name in call.state.tensors for name in call.node.inputs)
    if first and second:
        return _two(call)
    x, constant = (call.tensor(0), call.needed(1)) if first else (call.tensor(1), call.needed(0))
    if not first and operator == "Sub":
        x, operator = call.pointwise(x, L.Power(scale=-1.0)), "Add"
    elif not first and operator == "Div":
        x, operator = call.pointwise(x, L.Power(-1.0)), "Mul"
    elif not first and operator == "Pow":
        raise call.error("the exponent depends on the network's input, which is not supported")
    return _with_constant(call, x, operator, np.asarray(constant, np.float32))


def _with_constant(call: Call, x: Tensor, operator: str, constant: Array) -> Tensor:
    if len(x.groups) < constant.ndim:  # as NumPy does: axes of size 1 come in front
        if math.prod(constant.shape[: constant.ndim - len(x.groups)]) != 1:
            raise call.error(f"a constant of shape {constant.shape} repeats the input {shown(x)}")
        constant = constant.reshape(constant.shape[constant.ndim - len(x.groups) :])
    if constant.size and np.all(constant == constant.reshape(-1)[0]) and _fits(x, constant):
        constant = constant.reshape(-1)[:1]
    if constant.size == 1:
        return call.pointwise(x, _scalar_layer(call, operator, constant))
    if operator in ("Min", "Max"):
        return _bounded(call, x, operator, constant)
    if operator not in ("Add", "Sub", "Mul", "Div"):
        raise call.error(
            f"a constant of shape {constant.shape} is not supported; only a single number is",
            "export the network with the same exponent for all",
        )
    x = call.checked_batch_first(x)
    varying = varying_axes(call, x, constant)
    sizes = [axis for number in varying for axis in x.groups[number]]
    order = x.order
    # The constant's axes are those of `sizes`, in the file's order; the layer wants them in the array's.
    places = sorted(order.index(axis) for axis in sizes)
    values = constant.reshape([axis.size for axis in sizes])
    values = values.transpose([sizes.index(order[place]) for place in places])
    shape = [order[place].size if place in places else 1 for place in range(places[0], len(order))]
    values = np.ascontiguousarray(values.reshape(shape))
    axes = tuple(place - len(order) for place in places)
    if operator in ("Add", "Sub"):
        layer, params = L.Scale(False, True, axes), {"bias": -values if operator == "Sub" else values}
    else:
        layer, params = L.Scale(True, False, axes), {"weight": 1 / values if operator == "Div" else values}
    return call.pointwise(x, layer, params)


def _bounded(call: Call, x: Tensor, operator: str, constant: Array) -> Tensor:
    """Return the larger or smaller of x and of numbers that differ: ``max(x - c, 0) + c``, or ``min`` likewise."""
    if not np.abs(constant).max() <= MAX_BOUND:
        raise call.error(
            f"bounds that differ are supported from {-MAX_BOUND:g} to {MAX_BOUND:g}, for beyond them the sum with the "
            f"input would lose digits; got up to {np.abs(constant).max():g}",
            "export the network with one bound for all channels",
        )  # fmt: skip
    x = _with_constant(call, x, "Sub", constant)
    x = call.pointwise(x, clamp(0, None) if operator == "Max" else clamp(None, 0))
    return _with_constant(call, x, "Add", constant)


def _fits(x: Tensor, constant: Array) -> bool:
    """Tell whether the constant only repeats along axes that the tensor has."""
    sizes = x.shape[len(x.shape) - constant.ndim :]
    return all(size in (1, found) for size, found in zip(constant.shape, sizes, strict=True))


def _scalar_layer(call: Call, operator: str, constant: Array) -> Layer:
    number = scalar(constant)
    if operator == "Add":
        return L.Power(shift=number)
    if operator == "Sub":
        return L.Power(shift=-number)
    if operator == "Mul":
        return L.Power(scale=number)
    if operator == "Div":
        if number == 0:
            raise call.error("divides by zero")
        return L.Power(scale=1 / number)
    if operator == "Pow":
        return L.Power(number)
    return clamp(number, None) if operator == "Max" else clamp(None, number)


def _several(call: Call) -> Tensor:
    operator = {"Sum": "Add"}.get(call.node.operator, call.node.operator)
    names = [name for name in call.node.inputs if name]
    tensors = [call.state.tensors[name] for name in names if name in call.state.tensors]
    constants = [call.state.constants[name] for name in names if name not in call.state.tensors]
    if len(tensors) > 1 and operator in ("Min", "Max"):
        raise call.error("of several computed tensors is not supported; only with constants")
    total = tensors[0]
    for tensor in tensors[1:]:
        total = _joined(call, total, tensor, "add" if operator == "Add" else "multiply")
    if not constants:
        return total
    constant = folded(call.node, constants)
    if constant is None:
        raise call.error("its constants make a very large array")
    return _with_constant(call, total, operator, np.asarray(constant, np.float32))


def _two(call: Call) -> Tensor:
    a, b, operator = call.tensor(0), call.tensor(1), call.node.operator
    if operator in ("Min", "Max", "Pow"):
        raise call.error("of two computed tensors is not supported; only with constants")
    if operator == "Sub":
        b = same_places(Step(call.node.name, operator, [b], L.Power(scale=-1.0)), b.name)
    if operator == "Div":
        b = same_places(Step(call.node.name, operator, [b], L.Power(-1.0)), b.name)
    return _joined(call, a, b, "add" if operator in ("Add", "Sub", "Sum") else "multiply")


def _joined(call: Call, a: Tensor, b: Tensor, join: str) -> Tensor:
    """Return the sum or the product of two tensors, brought to one order of axes."""
    if a is b and join == "add":
        return call.pointwise(a, L.Power(scale=2.0))
    if len(a.groups) != len(b.groups):
        short, long = sorted((a, b), key=lambda tensor: len(tensor.groups))
        if any(size != 1 for size in short.shape[:-1]) or len(short.groups) > 1:
            raise call.error(f"joins {shown(a)} and {shown(b)}, whose numbers of axes differ")
        raise call.error(f"joins {shown(long)} and {shown(short)}, which has no batch")
    for tensor in (a, b):
        call.checked_batch_first(tensor)
    for axis in range(1, len(a.groups)):
        sizes = [[part.size for part in tensor.groups[axis]] for tensor in (a, b)]
        if all(math.prod(parts) != 1 for parts in sizes) and sizes[0] != sizes[1]:
            a, b = with_axis_merged(call, a, axis), with_axis_merged(call, b, axis)
            if a.shape[axis] != b.shape[axis]:
                raise call.error(f"joins {shown(a)} and {shown(b)}, whose sizes differ")
    if a.layout is not b.layout and not _lie_alike(a, b):
        features = [tensor for tensor in (a, b) if _is_features(tensor)]
        others = [tensor for tensor in (a, b) if not _is_features(tensor)]
        if join == "multiply" and len(features) == 1 and _last_is(others[0], features[0].groups):
            gated = others[0]
            step = Step(call.node.name, call.node.operator, [a, b], join=join)
            return Tensor(call.output, list(gated.groups), Layout(gated.order), step)
        a, b = (arranged(tensor, channels_last(tensor), call.node.name) for tensor in (a, b))
    if join == "add" and a.array_shape[-1:] != b.array_shape[-1:]:
        raise call.error(f"adds {shown(a)} and {shown(b)}, whose channels differ in number")
    step = Step(call.node.name, call.node.operator, [a, b], join=join)
    order = [x if x.size != 1 else y for x, y in zip(a.order, b.order, strict=True)]
    same = {id(old): new for tensor in (a, b) for old, new in zip(tensor.order, order, strict=True)}
    groups = [
        tuple(same.get(id(axis), axis) for axis in (one if math.prod(axis.size for axis in one) != 1 else other))
        for one, other in zip(a.groups, b.groups, strict=True)
    ]
    return Tensor(call.output, groups, Layout(order), step)


def _lie_alike(a: Tensor, b: Tensor) -> bool:
    """Tell whether two tensors' arrays have the same axes of the file at the same places."""
    if len(a.order) != len(b.order):
        return False

    def whose(tensor: Tensor, place: int) -> tuple[int, int] | None:
        axis = tensor.order[place]
        for number, group in enumerate(tensor.groups):
            if axis in group:
                return number, group.index(axis)
        return None

    for place, (one, other) in enumerate(zip(a.order, b.order, strict=True)):
        if one.size != 1 and other.size != 1 and whose(a, place) != whose(b, place):
            return False
        if (one.size == 1) != (other.size == 1):
            big, small = (a, b) if one.size != 1 else (b, a)
            of_big, of_small = whose(big, place), whose(small, place)
            if of_small != of_big and (of_small is not None or small.groups[(of_big or (0, 0))[0]]):
                return False
    return True


def _is_features(tensor: Tensor) -> bool:
    return len(tensor.order) == 1


def _last_is(tensor: Tensor, groups: Sequence[Group]) -> bool:
    """Tell whether the tensor's last axis is the one that `groups` of another alone has."""
    number = next((number for number, group in enumerate(groups) if number and group), None)
    return number is not None and tensor.groups[number] == (tensor.order[-1],)
