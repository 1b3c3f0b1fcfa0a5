"""Concatenation of tensors along an axis."""

from __future__ import annotations

from audioconv.interop.graph import Axis, Layout, Step, Tensor, arranged
from audioconv.interop.onnx_operators.axes import shown, with_axis_merged
from audioconv.interop.onnx_operators.call import Call


def concat(call: Call) -> Tensor:
    """Convert Concat along any axis but the batch."""
    for name in call.node.inputs:
        if name not in call.state.tensors:
            raise call.error(
                f"joins the constant {name!r}, which is not supported", "add to the next layer's bias what it gives"
            )
    tensors = [call.batch_first(number) for number in range(len(call.node.inputs))]
    if len(tensors) == 1:
        return tensors[0]
    axis = call.attributes["axis"] % len(tensors[0].groups)
    if axis == 0 or len({len(tensor.groups) for tensor in tensors}) > 1:
        raise call.error("joins batches, or tensors with different numbers of axes")
    # One that begins with all of another (DenseNet's blocks) takes what that one gives.
    sources = [_source(tensor) for tensor in tensors]
    for begin, made in reversed(call.state.concats):
        if made.groups[axis] == (made.order[-1],) and len(begin) < len(sources) and sources[: len(begin)] == begin:
            tensors = [made, *tensors[len(begin) :]]
            break
    tensors = [with_axis_merged(call, tensor, axis) for tensor in tensors]
    is_last = all(tensor.groups[axis] == (tensor.order[-1],) for tensor in tensors)
    if not is_last or not all(_lie_alike_but_last(tensors[0], tensor) for tensor in tensors[1:]):
        others = [number for number in (*range(2, len(tensors[0].groups)), 1) if number != axis]
        for number in others:
            tensors = [with_axis_merged(call, tensor, number) for tensor in tensors]
        tensors = [
            arranged(tensor, [*(tensor.groups[number] for number in others), tensor.groups[axis]], call.node.name)
            for tensor in tensors
        ]
    step = Step(call.node.name, call.node.operator, tensors, join="concat")
    first = tensors[0]
    last = Axis(sum(tensor.order[-1].size for tensor in tensors))
    if len({tensor.array_shape[:-1] for tensor in tensors}) > 1:
        raise call.error(f"joins {', '.join(map(shown, tensors))}, which differ in other axes")
    groups = [(last,) if number == axis else group for number, group in enumerate(first.groups)]
    found = Tensor(call.output, groups, Layout([*first.order[:-1], last]), step)
    call.state.concats.append((sources, found))
    return found


def _source(tensor: Tensor) -> tuple[int, tuple[int, ...]]:
    """Return the identity of a tensor: the step that computes it, and its axes in the file."""
    return id(tensor.step), tuple(id(axis) for group in tensor.groups for axis in group)


def _lie_alike_but_last(a: Tensor, b: Tensor) -> bool:
    def others(tensor: Tensor) -> list[list[int]]:
        rest = tensor.order[:-1]
        return [[rest.index(axis) for axis in group if axis in rest] for group in tensor.groups[1:]]

    return len(a.order) == len(b.order) and (a.layout is b.layout or others(a) == others(b))
