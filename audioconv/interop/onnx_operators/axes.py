"""Axes of a tensor: checks, and orders that a layer needs."""

from __future__ import annotations

from audioconv._types import Array
from audioconv.interop.graph import Group, Tensor, arranged, shown_shape
from audioconv.interop.onnx_operators.call import Call


def channels_last(tensor: Tensor) -> list[Group]:
    """Return the groups of axes behind the batch, with the file's axis 1 as the last."""
    _, *groups = tensor.groups
    return [*groups[1:], groups[0]] if len(groups) > 1 else groups


def with_channels_last(call: Call, x: Tensor) -> Tensor:
    """Return x with the file's axis 1 as the last of its array."""
    if x.layout.order is not None and x.groups[1] == (x.order[-1],):
        return x
    return arranged(x, channels_last(x), call.node.name)


def with_axis_merged(call: Call, x: Tensor, axis: int) -> Tensor:
    """Return x with an array in which an axis of the file is one axis; x itself if it is one already."""
    if len(x.groups[axis]) == 1 or not x.groups[axis]:
        return x
    used = [group for number, group in enumerate(x.groups) if number]
    return arranged(x, [*used[: axis - 1], *used[axis:], used[axis - 1]], call.node.name)


def varying_axes(call: Call, x: Tensor, constant: Array) -> list[int]:
    """Return the axes of the file's tensor along which a constant differs."""
    if constant.ndim > len(x.groups):
        raise call.error(f"a constant of shape {constant.shape} does not fit {shown(x)}")
    before = len(x.groups) - constant.ndim
    found = [axis + before for axis, size in enumerate(constant.shape) if size != 1]
    for axis in found:
        if axis == 0 or x.shape[axis] != constant.shape[axis - before]:
            raise call.error(f"a constant of shape {constant.shape} does not fit {shown(x)}")
    return found


def shown(tensor: Tensor) -> str:
    """Return the shape of a tensor as messages show it, with N for the batch."""
    return shown_shape(tensor.shape)
