"""From a graph of nodes to a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from audioconv.errors import ConfigError, ModelFileError, did_you_mean
from audioconv.interop.build import built
from audioconv.interop.errors import AGAIN, UnsupportedError
from audioconv.interop.graph import BATCH, Axis, Group, Layout, Tensor, arranged
from audioconv.interop.imported import Imported
from audioconv.interop.nodes import Node, NodeGraph, place_of
from audioconv.interop.onnx_operators.call import ConversionState
from audioconv.interop.onnx_operators.convert import convert

MAX_SIZE = 2**24
"""Largest size of one axis of an input."""


def network_of(
    graph: NodeGraph, until: str | None, shape: Sequence[int] | None, shown: str, open_size: int | None = None
) -> Imported:
    """Return the network of `graph` as `read_onnx` does; `shown` is the file in messages."""
    try:
        return _network(graph, until, shape, open_size)
    except UnsupportedError as error:
        raise error.in_file(shown) from None
    except (ConfigError, ModelFileError) as error:
        raise type(error)(f"{shown}: {error}") from None


def _network(graph: NodeGraph, until: str | None, shape: Sequence[int] | None, open_size: int | None) -> Imported:
    end = _end(graph, until)
    nodes = _needed(graph, end)
    start = _input(graph, nodes, shape, open_size)
    declared = graph.inputs[start.name][0]
    file_groups = list(start.groups)
    state = ConversionState(graph.opset, dict(graph.constants), declared)
    state.tensors[start.name] = start
    for node in nodes:
        convert(node, state)
    if end not in state.tensors:
        raise ModelFileError(f"the output {end!r} does not depend on the input; choose another with until=")
    output = state.tensors[end]
    if not output.is_batch_first():
        raise ModelFileError(f"the output {end!r} has no batch as its first axis; cut the network earlier with until=")
    output = _laid_out(output)
    found = built(start, output, file_groups)
    is_open = [size is None for size in graph.inputs[start.name]] if shape is None else []
    axes = tuple(
        place for place, axis in enumerate(found.input_axes) if axis is not None and any(is_open[axis : axis + 1])
    )
    return replace(found, open_axes=axes)


def _laid_out(output: Tensor) -> Tensor:
    """Return the output with each axis of the file as one axis of the array."""
    groups = output.groups[1:]
    if all(len(group) < 2 for group in groups):
        _ = output.order
        return output
    return arranged(output, [*groups[1:], groups[0]] if len(groups) > 1 else groups, output.name)


def _end(graph: NodeGraph, until: str | None) -> str:
    """Return the name of the tensor where the network ends."""
    if until is None:
        if len(graph.outputs) != 1:
            raise ConfigError(
                f"the network has {len(graph.outputs)} outputs ({', '.join(graph.outputs)}); choose one with until="
            )
        return graph.outputs[0]
    for node in graph.nodes:
        if until in node.outputs:
            return until
    for node in graph.nodes:
        if until == node.name:
            return node.outputs[0]
    within = [node for node in graph.nodes if until.strip("/") in node.name.split("/")[:-1]]
    within = within or [node for node in graph.nodes if node.name.startswith(until.rstrip("/.") + "/")]
    if within:
        return within[-1].outputs[0]
    layers = {part for node in graph.nodes for part in node.name.split("/") if part}
    known = [*{name for node in graph.nodes for name in (node.name, *node.outputs)}, *layers]
    meant = did_you_mean(until, sorted(set(known)), shown=repr, cutoff=0.4)
    raise ConfigError(f"has no layer, node or tensor {until!r}" + (f"; {meant}" if meant else ""))


def _needed(graph: NodeGraph, end: str) -> list[Node]:
    """Return the nodes that `end` depends on, each behind those whose outputs it takes."""
    makers = {name: node for node in graph.nodes for name in node.outputs if name}
    done: set[int] = set()
    entered: set[int] = set()
    order: list[Node] = []
    waiting = [end]
    while waiting:
        node = makers.get(waiting[-1])
        if node is None or id(node) in done:
            waiting.pop()
            continue
        missing = [name for name in node.inputs if name in makers and id(makers[name]) not in done]
        if missing:
            if id(node) in entered:
                raise UnsupportedError("depends on its own output", place_of(node), AGAIN)
            entered.add(id(node))
            waiting += missing
            continue
        done.add(id(node))
        order.append(node)
        waiting.pop()
    for node in order:
        for name in node.inputs:
            if name and name not in makers and name not in graph.constants and name not in graph.inputs:
                raise UnsupportedError(f"takes {name!r}, which is nowhere", place_of(node), AGAIN)
    return order


def _input(graph: NodeGraph, nodes: Sequence[Node], shape: Sequence[int] | None, open_size: int | None) -> Tensor:
    used = {name for node in nodes for name in node.inputs}
    names = [name for name in graph.inputs if name in used]
    if len(names) != 1:
        raise ModelFileError(
            f"the network has {len(names)} inputs ({', '.join(names)}); only one is supported; cut it with until="
        )
    declared = graph.inputs[names[0]]
    if len(declared) < 2 and shape is None:
        raise ModelFileError(f"the input {names[0]!r} has no shape in the file; give its shape without the batch")
    sizes = list(declared[1:])
    if shape is not None:
        fits = len(shape) == len(sizes) or len(declared) < 2
        if not fits or any(n not in (None, m) for n, m in zip(sizes, shape, strict=False)):
            raise ConfigError(f"the input {names[0]!r} has the shape {_shown(declared)}, got {tuple(shape)}")
        sizes = list(shape)
    sizes = [open_size if size is None else size for size in sizes]
    if any(size is None or not 0 < size <= MAX_SIZE for size in sizes):
        raise ConfigError(f"the input {names[0]!r} has the shape {_shown(declared)}; give its shape without the batch")
    groups: list[Group] = [(BATCH,), *((Axis(int(size or 0)),) for size in sizes)]
    return Tensor(names[0], groups, Layout(spare=[axis for (axis,) in groups[1:] if axis.size == 1]))


def _shown(shape: Sequence[int | None]) -> str:
    return f"({', '.join('?' if size is None else str(size) for size in shape)})"
