"""Graphs of nodes with ONNX's operators: the common form of all file formats."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from audioconv._types import Array


@dataclass(frozen=True, eq=False)
class Node:
    """One operation: its operator, its name, the names of its inputs and outputs, and its attributes."""

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any] = field(default_factory=dict)


def place_of(node: Node) -> str:
    """Return a node as messages name it."""
    return f"node {node.name!r} ({node.operator})"


@dataclass(frozen=True, eq=False)
class NodeGraph:
    """Nodes, constants by name, and inputs and outputs.

    Attributes
    ----------
    opset : int
        Version of the operators.
    nodes : list of Node
    constants : dict of str to array
    inputs : dict of str to tuple of (int or None)
        Shape of each input, the batch included; None where the file leaves a size open.
    outputs : list of str
    metadata : dict of str to str
        What else the file tells.
    """

    opset: int
    nodes: list[Node]
    constants: dict[str, Array]
    inputs: dict[str, tuple[int | None, ...]]
    outputs: list[str]
    metadata: dict[str, str] = field(default_factory=dict)
