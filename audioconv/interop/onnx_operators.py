"""Operators of ONNX as steps of a graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from audioconv import layers as L
from audioconv._types import Array
from audioconv.interop.constants import axes_of, folded
from audioconv.interop.errors import UnsupportedError
from audioconv.interop.graph import BATCH, Axis, Group, Layout, Step, Tensor, applied, arranged, reshaped, same_places
from audioconv.interop.nodes import Node
from audioconv.layers.base import Layer, Params


class Converter:
    """What is known while a graph's nodes are gone through, in order.

    Parameters
    ----------
    opset : int
    constants : dict of str to array
    batch : int or None
        Size of the batch in the file; None if open.
    """

    def __init__(self, opset: int, constants: dict[str, Array], batch: int | None) -> None:
        self.opset = opset
        self.constants = dict(constants)
        self.tensors: dict[str, Tensor] = {}
        self.batch = batch
        self.concats: list[tuple[list[tuple[int, tuple[int, ...]]], Tensor]] = []

    def convert(self, node: Node) -> None:
        """Add what `node` computes to the constants or to the tensors; `UnsupportedError` if that cannot be."""
        place = f"node {node.name!r} ({node.operator})"
        known = [self.constants.get(name) for name in node.inputs]
        if all(value is not None or not name for value, name in zip(known, node.inputs, strict=True)):
            try:
                value = folded(node, known)
            except (ValueError, TypeError, KeyError, IndexError, AssertionError, ArithmeticError) as error:
                raise UnsupportedError(f"its constants do not fit: {' '.join(str(error).split())}", place) from None
            if value is None:
                raise UnsupportedError("computes a constant in a way that is not supported, or a very large one", place)
            self.constants[node.outputs[0]] = value
            return
        if node.operator == "Shape":
            shape = np.asarray(self.tensors[node.inputs[0]].shape, np.int64)
            self.constants[node.outputs[0]] = shape[node.attributes.get("start", 0) : node.attributes.get("end")]
            return
        rule = _RULES.get(node.operator)
        if rule is None:
            before = next(name for name in node.inputs if name in self.tensors)
            raise UnsupportedError(
                f"the operator is not supported; cut the network before it (until={before!r}), or export it without",
                place,
            )
        try:
            tensor = rule(self, _Call(self, node, place))
        except UnsupportedError as error:
            raise error if error.place else UnsupportedError(error.message, place) from None
        except (ValueError, TypeError, KeyError, IndexError, ArithmeticError) as error:
            raise UnsupportedError(f"its attributes do not fit: {' '.join(str(error).split())}", place) from None
        self.tensors[node.outputs[0]] = Tensor(node.outputs[0], tensor.groups, tensor.layout, tensor.step)


class _Call:
    """A node with its inputs looked up."""

    def __init__(self, converter: Converter, node: Node, place: str) -> None:
        self.converter, self.node, self.place = converter, node, place
        self.attributes = node.attributes
        self.output = node.outputs[0]

    def given(self, number: int) -> bool:
        """Tell whether there is an input of this number."""
        return number < len(self.node.inputs) and bool(self.node.inputs[number])

    def tensor(self, number: int = 0) -> Tensor:
        """Return an input that depends on the network's input."""
        name = self.node.inputs[number]
        if name not in self.converter.tensors:
            raise self.error(f"its input {name!r} is a constant, which is not supported here")
        return self.converter.tensors[name]

    def batch_first(self, number: int = 0) -> Tensor:
        """Return an input whose first axis is the batch."""
        tensor = self.tensor(number)
        if not tensor.is_batch_first():
            raise self.error("needs the batch as its first axis; the network moves it elsewhere")
        return tensor

    def constant(self, number: int) -> Array | None:
        """Return an input that is a constant, or None if it was left out."""
        if not self.given(number):
            return None
        name = self.node.inputs[number]
        if name not in self.converter.constants:
            raise self.error(f"its input {name!r} is computed from the network's input; only constants are supported")
        return self.converter.constants[name]

    def needed(self, number: int) -> Array:
        """Return an input that must be a constant."""
        value = self.constant(number)
        if value is None:
            raise self.error(f"its input number {number} is missing")
        return value

    def number(self, key: str, position: int, default: float | None) -> float | None:
        """Return a number that is an attribute in old files and an input in new ones."""
        if self.given(position):
            return _number(self.needed(position))
        value = self.attributes.get(key, default)
        return None if value is None else _number(np.float32(value))

    def error(self, message: str) -> UnsupportedError:
        """Return the error for this node."""
        return UnsupportedError(message, self.place)

    def step(self, source: Tensor, layer: Layer, params: Params | None = None) -> Step:
        """Return the step that is this node."""
        return Step(self.node.name, self.node.operator, [source], layer, params=params or {})

    def pointwise(self, source: Tensor, layer: Layer, params: Params | None = None) -> Tensor:
        """Return the output of a function of single numbers."""
        return same_places(self.step(source, layer, params), self.output)


def _number(value: Any) -> float:
    """Return a float32 as the shortest decimal that means it: 0.1, not 0.10000000149."""
    array = np.asarray(value)
    if array.size != 1:
        raise UnsupportedError(f"needs one number, got an array of shape {array.shape}")
    return float(str(np.float32(array.reshape(-1)[0])))


# --- functions of single numbers -----------------------------------------------------------------------------------


def _activation(make: Callable[[_Call], Layer]) -> Callable[[Converter, _Call], Tensor]:
    return lambda converter, call: call.pointwise(call.tensor(), make(call))


def _attribute(call: _Call, key: str, default: float) -> float:
    return _number(call.attributes.get(key, default))


def _hard_sigmoid(call: _Call) -> Layer:
    slope = _attribute(call, "alpha", 0.2)
    return L.HardSigmoid(1 / 6 if np.float32(slope) == np.float32(1 / 6) else slope, _attribute(call, "beta", 0.5))


def _clip(call: _Call) -> Layer:
    low, high = call.number("min", 1, None), call.number("max", 2, None)
    return _clamp(low, high)


def _clamp(low: float | None, high: float | None) -> Layer:
    """Return the clamp with these bounds; those at the end of float32 are none."""
    most = float(np.finfo(np.float32).max) * 0.999
    low = None if low is None or low < -most else low
    high = None if high is None or high > most else high
    return L.ReLU() if low == 0 and high is None else L.Clamp(low, high)


def _prelu(converter: Converter, call: _Call) -> Tensor:
    slope, x = call.needed(1), call.batch_first()
    if slope.size == 1:
        return call.pointwise(x, L.PReLU(shared=True), {"weight": slope.reshape(1)})
    groups = _varying(call, x, slope)
    if groups != [1]:
        raise call.error(f"slopes of shape {slope.shape} are neither one nor one for each channel")
    x = _channels_last_axis(call, x)
    return call.pointwise(x, L.PReLU(), {"weight": slope.reshape(-1)})


def _softmax(converter: Converter, call: _Call) -> Tensor:
    x = call.batch_first()
    axis = call.attributes.get("axis", 1 if converter.opset < 13 else -1) % len(x.groups)
    if converter.opset < 13 and any(size != 1 for size in x.shape[axis + 1 :]):
        raise call.error(f"with operator set {converter.opset} it is over several axes; export with 13 or later")
    if axis == 0 or not x.groups[axis]:
        raise call.error("is over the batch or over an axis of size 1")
    x = _merged_axis(call, x, axis)
    place = x.order.index(x.groups[axis][0]) - len(x.order)
    return call.pointwise(x, L.Softmax(place, log=call.node.operator == "LogSoftmax"))


def _same(converter: Converter, call: _Call) -> Tensor:
    return call.tensor()


def _cast(converter: Converter, call: _Call) -> Tensor:
    if call.attributes.get("to") not in (1, 10, 11, 16):
        raise call.error("turns the network's numbers into integers, which is not supported")
    return call.tensor()


# --- with constants, and with each other ---------------------------------------------------------------------------


def _arithmetic(converter: Converter, call: _Call) -> Tensor:
    operator = call.node.operator
    if operator in ("Add", "Sum", "Mul", "Min", "Max") and len(call.node.inputs) != 2:
        return _several(converter, call)
    first, second = (name in converter.tensors for name in call.node.inputs)
    if first and second:
        return _two(converter, call)
    x, constant = (call.tensor(0), call.needed(1)) if first else (call.tensor(1), call.needed(0))
    if not first and operator == "Sub":
        x, operator = call.pointwise(x, L.Power(scale=-1.0)), "Add"
    elif not first and operator == "Div":
        x, operator = call.pointwise(x, L.Power(-1.0)), "Mul"
    elif not first and operator == "Pow":
        raise call.error("the exponent depends on the network's input, which is not supported")
    return _with_constant(call, x, operator, np.asarray(constant, np.float32))


def _with_constant(call: _Call, x: Tensor, operator: str, constant: Array) -> Tensor:
    if len(x.groups) < constant.ndim:  # as NumPy does: axes of size 1 come in front
        if math.prod(constant.shape[: constant.ndim - len(x.groups)]) != 1:
            raise call.error(f"a constant of shape {constant.shape} repeats the input {_shown(x)}")
        constant = constant.reshape(constant.shape[constant.ndim - len(x.groups) :])
    if constant.size and np.all(constant == constant.reshape(-1)[0]) and _fits(x, constant):
        constant = constant.reshape(-1)[:1]
    if constant.size == 1:
        return call.pointwise(x, _scalar_layer(call, operator, constant))
    if operator not in ("Add", "Sub", "Mul", "Div"):
        raise call.error(f"a constant of shape {constant.shape} is not supported; only a single number is")
    call_x = _batch_first(call, x)
    varying = _varying(call, call_x, constant)
    sizes = [axis for number in varying for axis in call_x.groups[number]]
    order = call_x.order
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
    return call.pointwise(call_x, layer, params)


def _fits(x: Tensor, constant: Array) -> bool:
    """Tell whether the constant only repeats along axes that the tensor has."""
    sizes = x.shape[len(x.shape) - constant.ndim :]
    return all(size in (1, found) for size, found in zip(constant.shape, sizes, strict=True))


def _scalar_layer(call: _Call, operator: str, constant: Array) -> Layer:
    number = _number(constant)
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
    return _clamp(number, None) if operator == "Max" else _clamp(None, number)


def _varying(call: _Call, x: Tensor, constant: Array) -> list[int]:
    """Return the axes of the file's tensor along which a constant differs."""
    if constant.ndim > len(x.groups):
        raise call.error(f"a constant of shape {constant.shape} does not fit {_shown(x)}")
    before = len(x.groups) - constant.ndim
    found = [axis + before for axis, size in enumerate(constant.shape) if size != 1]
    for axis in found:
        if axis == 0 or x.shape[axis] != constant.shape[axis - before]:
            raise call.error(f"a constant of shape {constant.shape} does not fit {_shown(x)}")
    return found


def _several(converter: Converter, call: _Call) -> Tensor:
    operator = {"Sum": "Add"}.get(call.node.operator, call.node.operator)
    names = list(call.node.inputs)
    if not names or operator not in ("Add", "Mul") or not all(name in converter.tensors for name in names):
        raise call.error(f"{len(names)} inputs, or constants among them, are not supported; write it as several nodes")
    total = converter.tensors[names[0]]
    for name in names[1:]:
        total = _joined(call, total, converter.tensors[name], "add" if operator == "Add" else "multiply")
    return total


def _two(converter: Converter, call: _Call) -> Tensor:
    a, b, operator = call.tensor(0), call.tensor(1), call.node.operator
    if operator in ("Min", "Max", "Pow"):
        raise call.error("of two computed tensors is not supported; only with a constant")
    if operator == "Sub":
        b = same_places(Step(call.node.name, operator, [b], L.Power(scale=-1.0)), b.name)
    if operator == "Div":
        b = same_places(Step(call.node.name, operator, [b], L.Power(-1.0)), b.name)
    return _joined(call, a, b, "add" if operator in ("Add", "Sub", "Sum") else "multiply")


def _joined(call: _Call, a: Tensor, b: Tensor, join: str) -> Tensor:
    """Return the sum or the product of two tensors, brought to one order of axes."""
    if a is b and join == "add":
        return call.pointwise(a, L.Power(scale=2.0))
    if len(a.groups) != len(b.groups):
        short, long = sorted((a, b), key=lambda tensor: len(tensor.groups))
        if any(size != 1 for size in short.shape[:-1]) or len(short.groups) > 1:
            raise call.error(f"joins {_shown(a)} and {_shown(b)}, whose numbers of axes differ")
        raise call.error(f"joins {_shown(long)} and {_shown(short)}, which has no batch")
    for tensor in (a, b):
        if not tensor.is_batch_first():
            raise call.error("needs the batch as its first axis; the network moves it elsewhere")
    for axis in range(1, len(a.groups)):
        sizes = [[part.size for part in tensor.groups[axis]] for tensor in (a, b)]
        if all(math.prod(parts) != 1 for parts in sizes) and sizes[0] != sizes[1]:
            a, b = _merged_axis(call, a, axis), _merged_axis(call, b, axis)
            if a.shape[axis] != b.shape[axis]:
                raise call.error(f"joins {_shown(a)} and {_shown(b)}, whose sizes differ")
    if a.layout is not b.layout and not _lie_alike(a, b):
        features = [tensor for tensor in (a, b) if _is_features(tensor)]
        others = [tensor for tensor in (a, b) if not _is_features(tensor)]
        if join == "multiply" and len(features) == 1 and _last_is(others[0], features[0].groups):
            gated = others[0]
            step = Step(call.node.name, call.node.operator, [a, b], join=join)
            return Tensor(call.output, list(gated.groups), Layout(gated.order), step)
        a, b = (arranged(tensor, _channels_last(tensor), call.node.name) for tensor in (a, b))
    if join == "add" and a.array_shape[-1:] != b.array_shape[-1:]:
        raise call.error(f"adds {_shown(a)} and {_shown(b)}, whose channels differ in number")
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


def _concat(converter: Converter, call: _Call) -> Tensor:
    for name in call.node.inputs:
        if name not in converter.tensors:
            raise call.error(f"joins the constant {name!r}, which is not supported")
    tensors = [call.batch_first(number) for number in range(len(call.node.inputs))]
    if len(tensors) == 1:
        return tensors[0]
    axis = call.attributes["axis"] % len(tensors[0].groups)
    if axis == 0 or len({len(tensor.groups) for tensor in tensors}) > 1:
        raise call.error("joins batches, or tensors with different numbers of axes")
    # One that begins with all of another (DenseNet's blocks) takes what that one gives.
    sources = [_source(tensor) for tensor in tensors]
    for begin, made in reversed(converter.concats):
        if made.groups[axis] == (made.order[-1],) and len(begin) < len(sources) and sources[: len(begin)] == begin:
            tensors = [made, *tensors[len(begin) :]]
            break
    tensors = [_merged_axis(call, tensor, axis) for tensor in tensors]
    is_last = all(tensor.groups[axis] == (tensor.order[-1],) for tensor in tensors)
    if not is_last or not all(_lie_alike_but_last(tensors[0], tensor) for tensor in tensors[1:]):
        others = [number for number in (*range(2, len(tensors[0].groups)), 1) if number != axis]
        for number in others:
            tensors = [_merged_axis(call, tensor, number) for tensor in tensors]
        tensors = [
            arranged(tensor, [*(tensor.groups[number] for number in others), tensor.groups[axis]], call.node.name)
            for tensor in tensors
        ]
    step = Step(call.node.name, call.node.operator, tensors, join="concat")
    first = tensors[0]
    last = Axis(sum(tensor.order[-1].size for tensor in tensors))
    if len({tensor.array_shape[:-1] for tensor in tensors}) > 1:
        raise call.error(f"joins {', '.join(map(_shown, tensors))}, which differ in other axes")
    groups = [(last,) if number == axis else group for number, group in enumerate(first.groups)]
    found = Tensor(call.output, groups, Layout([*first.order[:-1], last]), step)
    converter.concats.append((sources, found))
    return found


def _source(tensor: Tensor) -> tuple[int, tuple[int, ...]]:
    """Return what tells a tensor from others: what computes it, and how the file sees its axes."""
    return id(tensor.step), tuple(id(axis) for group in tensor.groups for axis in group)


def _lie_alike_but_last(a: Tensor, b: Tensor) -> bool:
    def others(tensor: Tensor) -> list[list[int]]:
        rest = tensor.order[:-1]
        return [[rest.index(axis) for axis in group if axis in rest] for group in tensor.groups[1:]]

    return len(a.order) == len(b.order) and (a.layout is b.layout or others(a) == others(b))


# --- axes ----------------------------------------------------------------------------------------------------------


def _channels_last(tensor: Tensor) -> list[Group]:
    _, *groups = tensor.groups
    return [*groups[1:], groups[0]] if len(groups) > 1 else groups


def _channels_last_axis(call: _Call, x: Tensor) -> Tensor:
    """Return x with the file's axis 1 as the last of its array."""
    if x.layout.order is not None and x.groups[1] == (x.order[-1],):
        return x
    return arranged(x, _channels_last(x), call.node.name)


def _merged_axis(call: _Call, x: Tensor, axis: int) -> Tensor:
    """Return x with an array in which an axis of the file is one axis; only such a one is changed that is several."""
    if len(x.groups[axis]) == 1 or not x.groups[axis]:
        return x
    used = [group for number, group in enumerate(x.groups) if number]
    return arranged(x, [*used[: axis - 1], *used[axis:], used[axis - 1]], call.node.name)


def _batch_first(call: _Call, x: Tensor) -> Tensor:
    if not x.is_batch_first():
        raise call.error("needs the batch as its first axis; the network moves it elsewhere")
    return x


def _reshape(converter: Converter, call: _Call) -> Tensor:
    x = call.tensor()
    constant = call.constant(1)
    wanted = list(call.attributes["shape"]) if constant is None else [int(size) for size in constant.reshape(-1)]
    if not call.attributes.get("allowzero", 0):
        wanted = [x.shape[number] if size == 0 else size for number, size in enumerate(wanted)]
    total = math.prod(x.shape[1:])
    if x.is_batch_first() and wanted:
        known = math.prod(size for size in wanted[1:] if size != -1)
        is_batch = wanted[0] in (BATCH.size, converter.batch) or (wanted[0] == -1 and known == total)
        if is_batch:
            wanted[0] = BATCH.size
    if wanted.count(-1) > 1 or any(size < -1 for size in wanted):
        raise call.error(f"the shape {wanted} is not one")
    if -1 in wanted:
        known = math.prod(size for size in wanted if size != -1)
        everything = math.prod(x.shape)
        if not known or everything % known:
            raise call.error(f"{_shown(x)} cannot become {wanted}")
        wanted[wanted.index(-1)] = everything // known
    return reshaped(x, wanted, call.place)


def _flatten(converter: Converter, call: _Call) -> Tensor:
    x = call.tensor()
    axis = call.attributes.get("axis", 1)
    axis = axis + len(x.groups) if axis < 0 else axis
    return reshaped(x, [math.prod(x.shape[:axis]), math.prod(x.shape[axis:])], call.place)


def _squeeze(converter: Converter, call: _Call) -> Tensor:
    x = call.tensor()
    axes = axes_of(call.attributes, call.constant(1))
    shape = x.shape
    removed = [n for n, size in enumerate(shape) if size == 1] if axes is None else [a % len(shape) for a in axes]
    if any(shape[axis] != 1 for axis in removed):
        raise call.error(f"removes axes {removed} of {_shown(x)}, which are not of size 1")
    return reshaped(x, [size for number, size in enumerate(shape) if number not in removed], call.place)


def _unsqueeze(converter: Converter, call: _Call) -> Tensor:
    x = call.tensor()
    axes = axes_of(call.attributes, call.constant(1)) or []
    rank = len(x.groups) + len(axes)
    added = {axis % rank for axis in axes}
    sizes = iter(x.shape)
    return reshaped(x, [1 if number in added else next(sizes) for number in range(rank)], call.place)


def _transpose(converter: Converter, call: _Call) -> Tensor:
    x = call.tensor()
    order = call.attributes.get("perm") or range(len(x.groups))[::-1]
    return Tensor(x.name, [x.groups[axis] for axis in order], x.layout, x.step)


def _reduce(converter: Converter, call: _Call) -> Tensor:
    x = call.batch_first()
    is_mean = call.node.operator == "ReduceMean"
    found = axes_of(call.attributes, call.constant(1))
    axes = sorted({axis % len(x.groups) for axis in found} if found is not None else set(range(len(x.groups))))
    if axes and axes[0] == 0:
        raise call.error("reduces the batch, which is not supported")
    keep = bool(call.attributes.get("keepdims", 1))
    if not axes or not any(x.groups[axis] for axis in axes):
        return x if keep else _without(x, axes)
    order = x.order
    reduced = [order.index(axis) for number in axes for axis in x.groups[number]]
    kept = [axis for place, axis in enumerate(order) if place not in reduced]
    rest_is_one = all(axis.size == 1 for axis in kept[:-1])
    if len(order) in (2, 3) and len(order) - 1 not in reduced and rest_is_one:
        layer: Layer = L.GlobalAvgPool() if is_mean else L.GlobalMaxPool()
        last = Axis(1)
        return _reduced(call, x, axes, layer, [last], {id(order[-1]): last}, keep)
    if not is_mean:
        raise call.error("is supported over all axes but the channels only")
    new = [Axis(1) for _ in order]
    same = {id(old): axis for place, (old, axis) in enumerate(zip(order, new, strict=True)) if place not in reduced}
    layer = L.Mean(sorted(place - len(order) for place in reduced))
    if len(order) == 3 and reduced == [1]:
        layer = L.FrequencyAvgPool()
    for number in axes:
        for axis in x.groups[number][:1]:
            same[id(axis)] = new[order.index(axis)]
    return _reduced(call, x, axes, layer, new, same, keep)


def _reduced(
    call: _Call, x: Tensor, axes: list[int], layer: Layer, order: list[Axis], same: dict[int, Axis], keep: bool
) -> Tensor:
    groups = [tuple(same[id(axis)] for axis in group if id(axis) in same) for group in x.groups]
    groups[0] = (BATCH,)
    if not keep:
        groups = [group for number, group in enumerate(groups) if number not in axes]
    return applied(call.step(x, layer), groups, order, call.output)


def _without(x: Tensor, axes: list[int]) -> Tensor:
    groups = [group for number, group in enumerate(x.groups) if number not in axes]
    return Tensor(x.name, groups, x.layout, x.step)


# --- windows -------------------------------------------------------------------------------------------------------


def _spatial(call: _Call) -> tuple[Tensor, int]:
    """Return the input and how many spatial axes it has: one or two."""
    x = call.batch_first()
    axes = len(x.groups) - 2
    if axes not in (1, 2):
        raise call.error(f"has {axes} spatial axes; one or two are supported")
    return x, axes


def _pairs(
    call: _Call, axes: int, size: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> list[tuple[int, int]]:
    """Return the padding before and after each spatial axis."""
    how = call.attributes.get("auto_pad", "NOTSET")
    if how in ("SAME_UPPER", "SAME_LOWER"):
        pairs = []
        for n, k, s, d in zip(size, kernel, stride, dilation, strict=True):
            zeros = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
            less, more = zeros // 2, zeros - zeros // 2
            pairs.append((less, more) if how == "SAME_UPPER" else (more, less))
        return pairs
    pads = [0] * 2 * axes if how == "VALID" else list(call.attributes.get("pads", [0] * 2 * axes))
    if len(pads) != 2 * axes or min(pads) < 0:
        raise call.error(f"pads {pads} are not supported; they must be {2 * axes} numbers of at least 0")
    return list(zip(pads[:axes], pads[axes:], strict=True))


def _padding(pairs: Sequence[tuple[int, int]]) -> Any:
    """Return padding as people write it: one number where all are equal."""
    if all(before == after for before, after in pairs):
        sides = [before for before, _ in pairs]
        return sides[0] if len(set(sides)) == 1 else tuple(sides)
    return tuple(pairs)


def _settings(call: _Call, axes: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return stride and dilation."""
    stride = tuple(call.attributes.get("strides", [1] * axes))
    dilation = tuple(call.attributes.get("dilations", [1] * axes))
    return stride, dilation


def _plain(values: Sequence[int]) -> Any:
    return values[0] if len(set(values)) == 1 else tuple(values)


def _conv(converter: Converter, call: _Call) -> Tensor:
    x, axes = _spatial(call)
    weight, bias = call.needed(1), call.constant(2)
    if weight.ndim != axes + 2:
        raise call.error(f"a weight of shape {weight.shape} does not fit {_shown(x)}")
    kernel, groups = weight.shape[2:], call.attributes.get("group", 1)
    if x.shape[1] != weight.shape[1] * groups:
        raise call.error(f"a weight of shape {weight.shape} with {groups} groups does not fit {_shown(x)}")
    stride, dilation = _settings(call, axes)
    pairs = _pairs(call, axes, x.shape[2:], kernel, stride, dilation)
    params = {} if bias is None else {"bias": bias.reshape(-1)}
    is_place = x.layout.order is not None and len(x.order) == 1 and x.groups[1:] == [(x.order[0],), *((),) * axes]
    if is_place and math.prod(kernel) == 1 and not any(map(sum, pairs)) and groups == 1:
        params["weight"] = np.ascontiguousarray(weight.reshape(weight.shape[:2]).T)
        units = Axis(1)
        step = call.step(x, L.Dense(len(weight), bias is not None), params)
        return applied(step, [(BATCH,), (units,), *((),) * axes], [units], call.output)
    x = arranged(x, _channels_last(x), call.node.name)
    params["weight"] = np.ascontiguousarray(weight.transpose(*range(2, axes + 2), 1, 0))
    layer = L.Conv(
        len(weight), tuple(kernel), _plain(stride), _padding(pairs), _plain(dilation), groups, bias is not None
    )
    return _placed(call, x, layer, params)


def _placed(call: _Call, x: Tensor, layer: Layer, params: Params | None = None) -> Tensor:
    """Return the output of a layer from (*spatial, channels) to the like."""
    order = [Axis(1) for _ in x.order]
    *spatial, channels = ((axis,) for axis in order)
    return applied(call.step(x, layer, params), [(BATCH,), channels, *spatial], order, call.output)


def _pool(converter: Converter, call: _Call) -> Tensor:
    x, axes = _spatial(call)
    kernel = tuple(call.attributes["kernel_shape"])
    stride, dilation = _settings(call, axes)
    is_max = call.node.operator == "MaxPool"
    if any(step != 1 for step in dilation):
        raise call.error("dilated pooling is not supported; dilate the convolution before it instead")
    if len([name for name in call.node.outputs if name]) > 1:
        raise call.error("its second output, the places of the largest numbers, is not supported")
    size = x.shape[2:]
    pairs = _pairs(call, axes, size, kernel, stride, dilation)
    more = _ceiled(pairs, size, kernel, stride) if call.attributes.get("ceil_mode", 0) else pairs
    counts = bool(call.attributes.get("count_include_pad", 0))
    if not is_max and counts and more != pairs and any(map(sum, pairs)):
        raise call.error("ceil_mode together with padding that counts is not supported; export it without ceil_mode")
    x = arranged(x, _channels_last(x), call.node.name)
    kind: Any = L.MaxPool
    if not is_max:
        kind = L.AvgPoolExcludePadding if any(map(sum, more)) and (not counts or more != pairs) else L.AvgPool
    return _placed(call, x, kind(kernel, None if stride == kernel else _plain(stride), _padding(more)))


def _ceiled(
    pairs: list[tuple[int, int]], size: Sequence[int], kernel: Sequence[int], stride: Sequence[int]
) -> list[tuple[int, int]]:
    """Return padding with which the last window, which begins in the input, is whole."""
    found = []
    for (before, after), n, k, s in zip(pairs, size, kernel, stride, strict=True):
        outputs = -(-max(n + before + after - k, 0) // s) + 1
        if (outputs - 1) * s >= n + before:
            outputs -= 1
        found.append((before, max(after, (outputs - 1) * s + k - n - before)))
    return found


def _global_pool(converter: Converter, call: _Call) -> Tensor:
    x = call.batch_first()
    if not any(x.groups[2:]):
        return x
    if len(x.groups) not in (3, 4):
        raise call.error(f"has {len(x.groups) - 2} spatial axes; one or two are supported")
    x = arranged(x, _channels_last(x), call.node.name)
    layer = L.GlobalAvgPool() if call.node.operator == "GlobalAveragePool" else L.GlobalMaxPool()
    channels = Axis(1)
    groups: list[Group] = [(BATCH,), (channels,), *(() for _ in x.groups[2:])]
    return applied(call.step(x, layer), groups, [channels], call.output)


def _pad(converter: Converter, call: _Call) -> Tensor:
    x = call.batch_first()
    mode = call.attributes.get("mode", "constant")
    given = call.constant(1)
    pads = call.attributes.get("pads") if given is None else given.reshape(-1).tolist()
    rank = len(x.groups)
    axes_given = call.constant(3)
    axes = list(range(rank)) if axes_given is None else [int(axis) % rank for axis in axes_given.reshape(-1)]
    if pads is None or len(pads) != 2 * len(axes) or min(pads, default=0) < 0:
        raise call.error(f"pads {pads} are not supported; they must be two for each axis, at least 0")
    value = call.number("value", 2, 0.0) or 0.0
    around = {axis: (pads[n], pads[n + len(axes)]) for n, axis in enumerate(axes) if pads[n] or pads[n + len(axes)]}
    if not around:
        return x
    if mode != "constant":
        raise call.error(f"pads by mode {mode!r}; only a constant is supported")
    if 0 in around:
        raise call.error("pads the batch, which is not supported")
    x = arranged(x, _channels_last(x), call.node.name)
    pairs = [around.get(number, (0, 0)) for number in ([*range(2, rank), 1] if rank > 2 else [1])]
    step = call.step(x, L.Pad(pairs, value))
    order = [Axis(1) for _ in x.order]
    *spatial, channels = ((axis,) for axis in order)
    return applied(step, [(BATCH,), channels, *spatial], order, call.output)


# --- features ------------------------------------------------------------------------------------------------------


def _gemm(converter: Converter, call: _Call) -> Tensor:
    x, weight, bias = call.batch_first(), call.needed(1), call.constant(2)
    if call.attributes.get("transA", 0):
        raise call.error("transA is not supported; export the network without it")
    weight = weight.T if call.attributes.get("transB", 0) else weight
    weight = weight * np.float32(call.attributes.get("alpha", 1.0))
    if bias is not None:
        bias = np.broadcast_to(bias * np.float32(call.attributes.get("beta", 1.0)), (1, weight.shape[1])).reshape(-1)
    return _dense(call, x, weight, bias)


def _dense(call: _Call, x: Tensor, weight: Array, bias: Array | None) -> Tensor:
    """Return features times a weight (features, units): the last axis of the file's tensor, all others of size 1."""
    *before, last = x.groups[1:]
    if weight.ndim != 2 or x.shape[-1] != len(weight):
        raise call.error(f"a weight of shape {weight.shape} does not fit {_shown(x)}")
    if x.layout.order is None:
        arranged(x, [(axis,) for axis in last] or [()], call.node.name)
    order = [axis for axis in x.order if axis in last]
    # The weight's rows are in the file's order of features, (C, H, W); the array lies as (H, W, C).
    rows = weight.reshape(*(axis.size for axis in last), -1).transpose(*(last.index(axis) for axis in order), len(last))
    if len(x.order) > 1:
        flat = Axis(1)
        groups: list[Group] = [*x.groups[:-1], (flat,)]
        x = applied(Step(f"{call.node.name}, flatten", "Flatten", [x], L.Flatten()), groups, [flat], x.name)
    params: Params = {"weight": np.ascontiguousarray(rows.reshape(weight.shape))}
    if bias is not None:
        params["bias"] = np.ascontiguousarray(bias)
    units = Axis(1)
    step = call.step(x, L.Dense(weight.shape[1], bias is not None), params)
    return applied(step, [(BATCH,), *before, (units,)], [units], call.output)


def _matmul(converter: Converter, call: _Call) -> Tensor:
    first, second = (name in converter.tensors for name in call.node.inputs)
    if first and second:
        raise call.error("of two computed tensors is not supported; only with a constant")
    x = call.batch_first(0 if first else 1)
    weight = call.needed(1 if first else 0)
    weight = weight.reshape(weight.shape[-2:]) if math.prod(weight.shape[:-2]) == 1 and weight.ndim > 2 else weight
    if weight.ndim != 2:
        raise call.error(f"a weight of shape {weight.shape} is not supported; it must be a matrix")
    rank = len(x.groups)
    axis = rank - 1 if first else rank - 2
    weight = weight if first else weight.T
    if axis < 1 or x.shape[axis] != len(weight):
        raise call.error(f"a weight of shape {weight.shape} does not fit {_shown(x)}")
    others = [number for number in range(1, rank) if number != axis]
    if first and not any(x.groups[number] for number in others):
        return _dense(call, x, weight, None)
    if len(others) > 2:
        raise call.error(f"{_shown(x)} has more than two axes besides the features")
    x = arranged(x, [*(x.groups[number] for number in others), x.groups[axis]], call.node.name)
    order = [Axis(1) for _ in x.order]
    groups: list[Group] = [(BATCH,), *[()] * (rank - 1)]
    for number, new in zip([*others, axis], order, strict=True):
        groups[number] = (new,)
    kernel = np.ascontiguousarray(weight.reshape(*(1,) * len(others), *weight.shape))
    step = call.step(x, L.Conv(weight.shape[1], (1,) * len(others), bias=False), {"weight": kernel})
    return applied(step, groups, order, call.output)


def _batch_norm(converter: Converter, call: _Call) -> Tensor:
    x = _channels_last_axis(call, call.batch_first())
    names = ("weight", "bias", "running_mean", "running_var")
    params = {name: call.needed(number + 1).reshape(-1) for number, name in enumerate(names)}
    if any(array.shape != x.array_shape[-1:] for array in params.values()):
        raise call.error(f"its parameters do not fit {_shown(x)}")
    momentum = _number(1 - np.float64(np.float32(call.attributes.get("momentum", 0.9))))
    layer = L.BatchNorm(round(momentum, 6), _attribute(call, "epsilon", 1e-5))
    return call.pointwise(x, layer, params)


def _shown(tensor: Tensor) -> str:
    return f"({', '.join('N' if size == BATCH.size else str(size) for size in tensor.shape)})"


_RULES: dict[str, Callable[[Converter, _Call], Tensor]] = {
    "Add": _arithmetic,
    "AveragePool": _pool,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Clip": _activation(_clip),
    "Concat": _concat,
    "Conv": _conv,
    "Div": _arithmetic,
    "Dropout": _same,
    "Elu": _activation(lambda call: L.ELU(_attribute(call, "alpha", 1.0))),
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_pool,
    "GlobalMaxPool": _global_pool,
    "HardSigmoid": _activation(_hard_sigmoid),
    "HardSwish": _activation(lambda call: L.HardSwish()),
    "Identity": _same,
    "LeakyRelu": _activation(lambda call: L.LeakyReLU(_attribute(call, "alpha", 0.01))),
    "LogSoftmax": _softmax,
    "MatMul": _matmul,
    "Max": _arithmetic,
    "MaxPool": _pool,
    "Min": _arithmetic,
    "Mul": _arithmetic,
    "Neg": _activation(lambda call: L.Power(scale=-1.0)),
    "PRelu": _prelu,
    "Pad": _pad,
    "Pow": _arithmetic,
    "Reciprocal": _activation(lambda call: L.Power(-1.0)),
    "ReduceMax": _reduce,
    "ReduceMean": _reduce,
    "Relu": _activation(lambda call: L.ReLU()),
    "Reshape": _reshape,
    "Sigmoid": _activation(lambda call: L.Sigmoid()),
    "Softmax": _softmax,
    "Sqrt": _activation(lambda call: L.Power(0.5)),
    "Squeeze": _squeeze,
    "Sub": _arithmetic,
    "Sum": _arithmetic,
    "Tanh": _activation(lambda call: L.Tanh()),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}

OPERATORS = tuple(_RULES)
"""Operators on what a network computes; those on constants are in `constants`."""
