"""Operators that change shape or order of axes, and reductions over axes."""

from __future__ import annotations

import math

from audioconv import layers as L
from audioconv.interop.constants import axes_of
from audioconv.interop.errors import FOLD
from audioconv.interop.graph import BATCH, Axis, Tensor, applied, arranged, reshaped, shown_shape
from audioconv.interop.onnx_operators.axes import shown
from audioconv.interop.onnx_operators.call import Call
from audioconv.layers.base import Layer


def reshape(call: Call) -> Tensor:
    """Convert Reshape to a constant shape."""
    x = call.tensor()
    constant = call.constant(1)
    wanted = list(call.attributes["shape"]) if constant is None else [int(size) for size in constant.reshape(-1)]
    if not call.attributes.get("allowzero", 0):
        wanted = [x.shape[number] if size == 0 else size for number, size in enumerate(wanted)]
    total = math.prod(x.shape[1:])
    if x.is_batch_first() and wanted:
        known = math.prod(size for size in wanted[1:] if size != -1)
        is_batch = wanted[0] in (BATCH.size, call.state.batch) or (wanted[0] == -1 and known == total)
        if is_batch:
            wanted[0] = BATCH.size
    if wanted.count(-1) > 1 or any(size < -1 for size in wanted):
        raise call.error(f"the shape {shown_shape(wanted)} is not one", FOLD)
    if -1 in wanted:
        known = math.prod(size for size in wanted if size != -1)
        everything = math.prod(x.shape)
        if not known or everything % known:
            raise call.error(f"{shown(x)} cannot become {shown_shape(wanted)}", FOLD)
        wanted[wanted.index(-1)] = everything // known
    return reshaped(x, wanted, call.place)


def flatten(call: Call) -> Tensor:
    """Convert Flatten."""
    x = call.tensor()
    axis = call.attributes.get("axis", 1)
    axis = axis + len(x.groups) if axis < 0 else axis
    return reshaped(x, [math.prod(x.shape[:axis]), math.prod(x.shape[axis:])], call.place)


def squeeze(call: Call) -> Tensor:
    """Convert Squeeze."""
    x = call.tensor()
    axes = axes_of(call.attributes, call.constant(1))
    shape = x.shape
    removed = [n for n, size in enumerate(shape) if size == 1] if axes is None else [a % len(shape) for a in axes]
    if any(shape[axis] != 1 for axis in removed):
        raise call.error(f"removes axes {removed} of {shown(x)}, which are not of size 1")
    return reshaped(x, [size for number, size in enumerate(shape) if number not in removed], call.place)


def unsqueeze(call: Call) -> Tensor:
    """Convert Unsqueeze."""
    x = call.tensor()
    axes = axes_of(call.attributes, call.constant(1)) or []
    rank = len(x.groups) + len(axes)
    added = {axis % rank for axis in axes}
    sizes = iter(x.shape)
    return reshaped(x, [1 if number in added else next(sizes) for number in range(rank)], call.place)


def transpose(call: Call) -> Tensor:
    """Convert Transpose, which changes the order of the file's axes alone."""
    x = call.tensor()
    order = call.attributes.get("perm") or range(len(x.groups))[::-1]
    return Tensor(x.name, [x.groups[axis] for axis in order], x.layout, x.step)


def reduce(call: Call) -> Tensor:
    """Convert ReduceMean or ReduceMax over any axes but the batch."""
    x = call.batch_first()
    is_mean = call.node.operator == "ReduceMean"
    found = axes_of(call.attributes, call.constant(1))
    axes = sorted({axis % len(x.groups) for axis in found} if found is not None else set(range(len(x.groups))))
    if axes and axes[0] == 0:
        raise call.error("reduces the batch, which is not supported")
    keep = bool(call.attributes.get("keepdims", 1))
    if not axes or not any(x.groups[axis] for axis in axes):
        return x if keep else _without(x, axes)
    left = [group for number, group in enumerate(x.groups) if number and number not in axes and group]
    if len(left) == 1 and x.layout.order is None:  # what is not reduced becomes the channels
        x = arranged(x, [*(group for number in axes if (group := x.groups[number])), left[0]], call.node.name)
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
    call: Call, x: Tensor, axes: list[int], layer: Layer, order: list[Axis], same: dict[int, Axis], keep: bool
) -> Tensor:
    groups = [tuple(same[id(axis)] for axis in group if id(axis) in same) for group in x.groups]
    groups[0] = (BATCH,)
    if not keep:
        groups = [group for number, group in enumerate(groups) if number not in axes]
    return applied(call.step(x, layer), groups, order, call.output)


def _without(x: Tensor, axes: list[int]) -> Tensor:
    groups = [group for number, group in enumerate(x.groups) if number not in axes]
    return Tensor(x.name, groups, x.layout, x.step)
