"""Nodes with ONNX's operators, written by the readers of other formats."""

from __future__ import annotations

from typing import Any

import numpy as np

from audioconv._types import Array
from audioconv.interop.nodes import Node, NodeGraph

OPSET = 17


class NodeWriter:
    """Collects nodes and constants of a graph."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.constants: dict[str, Array] = {}
        self.inputs: dict[str, tuple[int | None, ...]] = {}

    def add(self, operator: str, name: str, inputs: list[str | Array], output: str = "", **attributes: Any) -> str:
        """Add a node and return its output; arrays among its inputs become constants."""
        names = [one if isinstance(one, str) else self.constant(one) for one in inputs]
        output = output or f"{name}#{len(self.nodes)}"
        self.nodes.append(Node(operator, name, tuple(names), (output,), attributes))
        return output

    def constant(self, array: Array) -> str:
        """Add a constant and return its name."""
        name = f"constant#{len(self.constants)}"
        self.constants[name] = np.asarray(array)
        return name

    def graph(self, outputs: list[str]) -> NodeGraph:
        """Return what was written."""
        return NodeGraph(OPSET, self.nodes, self.constants, self.inputs, outputs)
