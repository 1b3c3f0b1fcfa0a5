"""Nodes of an ONNX file, as they are collected, and how tensors lie there: channels first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from audioconv._types import Array
from audioconv.export import operations as O
from audioconv.layers.base import Shape

OPSET = 15
"""Version of the operators: the oldest that has all that are used."""


@dataclass(frozen=True, eq=False)
class NodeSpec:
    """A node before it is one of the package onnx."""

    operator: str
    name: str
    inputs: tuple[str, ...]
    output: str
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Held:
    """How a tensor lies in the file.

    Attributes
    ----------
    name : str
    order : tuple of int
        For each axis in the file behind the batch, the axis of the tensor that it is.
    rows : array of int, optional
        Of features that were flattened channels first: which feature of the tensor each is.
    """

    name: str
    order: tuple[int, ...]
    rows: Array | None = None


def channels_first(rank: int) -> tuple[int, ...]:
    """Return the order of axes in which tensors lie in the file.

    >>> channels_first(3), channels_first(1)
    ((2, 0, 1), (0,))
    """
    return (rank - 1, *range(rank - 1)) if rank > 1 else tuple(range(rank))


class NodeWriter:
    """Collects the nodes of a file, and knows how each tensor lies in it.

    Attributes
    ----------
    nodes : list of NodeSpec
    constants : dict of str to array
    """

    def __init__(self, start: O.Tensor) -> None:
        self.nodes: list[NodeSpec] = []
        self.constants: dict[str, Array] = {}
        self._held = {start.name: Held(start.name, tuple(range(len(start.shape))))}
        self._counts: dict[str, int] = {}
        self._place = ""

    def begin(self, step: O.Step) -> None:
        """Let what comes next belong to `step`."""
        self._place = step.place

    def end(self, step: O.Step, held: Held) -> None:
        """Remember how the output of `step` lies."""
        self._held[step.output.name] = held

    def name_of(self, tensor: O.Tensor) -> str:
        """Return the name in the file of a tensor that lies there channels first."""
        return self.held(tensor).name

    def channels_last(self, tensor: O.Tensor) -> str:
        """Return the name in the file of a tensor that lies there channels last."""
        found, rank = self.held(tensor), len(tensor.shape)
        if rank < 2:
            return found.name
        return self.node("Transpose", [found.name], perm=[0, *(found.order.index(axis) + 1 for axis in range(rank))])

    def lying(self, tensor: O.Tensor) -> Held:
        """Return how a tensor lies in the file, whatever the order of its axes; features lie in their own order."""
        found = self._held[tensor.name]
        return found if found.rows is None else self.held(tensor)

    def held(self, tensor: O.Tensor, *, any_rows: bool = False) -> Held:
        """Return how a tensor lies in the file: channels first, and features in their order unless `any_rows`."""
        found = self._held[tensor.name]
        wanted = channels_first(len(tensor.shape))
        if found.order != wanted:
            name = found.name
            sizes = [tensor.shape[axis] for axis in found.order]
            if runs(found.order, tensor.shape) != runs(wanted, tensor.shape):
                name = self.node("Transpose", [name], perm=[0, *(found.order.index(axis) + 1 for axis in wanted)])
            elif sizes != [tensor.shape[axis] for axis in wanted]:
                name = reshaped(self, name, [tensor.shape[axis] for axis in wanted])
            found = self._held[tensor.name] = Held(name, wanted)
        if found.rows is not None and not any_rows:
            places = self.constant("order", np.argsort(found.rows).astype(np.int64))
            found = self._held[tensor.name] = Held(self.node("Gather", [found.name, places], axis=1), wanted)
        return found

    def node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node at the present place and return the name of its output."""
        name = self._unique(f"{self._place}/{operator}")
        self.nodes.append(NodeSpec(operator, name, tuple(inputs), name, attributes))
        return name

    def constant(self, name: str, array: ArrayLike) -> str:
        """Add a constant of the present place and return its name."""
        path = self._unique(f"{self._place.removeprefix('network/').replace('/', '.')}.{name}")
        self.constants[path] = np.asarray(array)
        return path

    def integers(self, name: str, values: Sequence[int]) -> str:
        """Add integers as a constant and return its name."""
        return self.constant(name, np.asarray(values, np.int64))

    def _unique(self, name: str) -> str:
        count = self._counts[name] = self._counts.get(name, 0) + 1
        return name if count == 1 else f"{name}.{count}"


def runs(order: Sequence[int], shape: Shape) -> list[tuple[int, int]]:
    """Return how the numbers follow one another in the file: (step in the tensor, how many), the slowest first."""
    runs: list[tuple[int, int]] = []
    for axis in order:
        step, size = math.prod(shape[axis + 1 :]), shape[axis]
        if runs and runs[-1][0] == step * size:
            runs[-1] = (step, runs[-1][1] * size)
        elif size > 1:
            runs.append((step, size))
    return runs


def reshaped(writer: NodeWriter, name: str, sizes: Sequence[int]) -> str:
    """Add a node that gives a tensor other sizes behind the batch, and return its output."""
    if len(sizes) == 1:
        return writer.node("Flatten", [name], axis=1)
    return writer.node("Reshape", [name, writer.integers("shape", [0, *sizes])])
