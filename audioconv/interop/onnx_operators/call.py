"""State of a graph's conversion, and one node with its inputs looked up in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from audioconv._types import Array
from audioconv.interop.errors import AGAIN, FOLD, UnsupportedError
from audioconv.interop.graph import Step, Tensor, same_places
from audioconv.interop.nodes import Node
from audioconv.layers.base import Layer, Params


@dataclass(eq=False)
class ConversionState:
    """Constants and tensors that are known while the nodes of a graph are converted in order.

    Attributes
    ----------
    opset : int
        Version of the operators.
    constants : dict of str to array
    batch : int or None
        Size of the batch in the file; None if open.
    tensors : dict of str to Tensor
        The network's input, and outputs of nodes that depend on it.
    makers : dict of str to Node
        The node that computes each of these outputs.
    concats : list
        Sources and output of each concatenation.
    """

    opset: int
    constants: dict[str, Array]
    batch: int | None
    tensors: dict[str, Tensor] = field(default_factory=dict)
    makers: dict[str, Node] = field(default_factory=dict)
    concats: list[tuple[list[tuple[int, tuple[int, ...]]], Tensor]] = field(default_factory=list)


class Call:
    """A node with its inputs looked up."""

    def __init__(self, state: ConversionState, node: Node, place: str) -> None:
        self.state, self.node, self.place = state, node, place
        self.attributes = node.attributes
        self.output = node.outputs[0]

    def given(self, number: int) -> bool:
        """Tell whether there is an input of this number."""
        return number < len(self.node.inputs) and bool(self.node.inputs[number])

    def tensor(self, number: int = 0) -> Tensor:
        """Return an input that depends on the network's input."""
        name = self.node.inputs[number]
        if name not in self.state.tensors:
            raise self.error(f"its input {name!r} is a constant, which is not supported here", FOLD)
        return self.state.tensors[name]

    def batch_first(self, number: int = 0) -> Tensor:
        """Return an input whose first axis is the batch."""
        return self.checked_batch_first(self.tensor(number))

    def checked_batch_first(self, tensor: Tensor) -> Tensor:
        """Return the tensor; `UnsupportedError` if its first axis is not the batch."""
        if not tensor.is_batch_first():
            raise self.error(
                "needs the batch as its first axis; the network moves it elsewhere",
                "export the network with the batch as the first axis of all tensors",
            )
        return tensor

    def constant(self, number: int) -> Array | None:
        """Return an input that is a constant, or None if it was left out."""
        if not self.given(number):
            return None
        name = self.node.inputs[number]
        if name not in self.state.constants:
            raise self.error(
                f"its input {name!r} is computed from the network's input; only constants are supported", FOLD
            )
        return self.state.constants[name]

    def needed(self, number: int) -> Array:
        """Return an input that must be a constant."""
        value = self.constant(number)
        if value is None:
            raise self.error(f"its input number {number} is missing", AGAIN)
        return value

    def number(self, key: str, position: int, default: float | None) -> float | None:
        """Return a number that is an attribute in old files and an input in new ones."""
        if self.given(position):
            return scalar(self.needed(position))
        value = self.attributes.get(key, default)
        return None if value is None else scalar(np.float32(value))

    def float_attribute(self, key: str, default: float) -> float:
        """Return an attribute that is a number."""
        return scalar(self.attributes.get(key, default))

    def error(self, message: str, remedy: str = "") -> UnsupportedError:
        """Return the error for this node; `convert` adds the general remedy to the special one."""
        return UnsupportedError(message, self.place, remedy)

    def step(self, source: Tensor, layer: Layer, params: Params | None = None) -> Step:
        """Return the step that is this node."""
        return Step(self.node.name, self.node.operator, [source], layer, params=params or {})

    def pointwise(self, source: Tensor, layer: Layer, params: Params | None = None) -> Tensor:
        """Return the output of a function of single numbers."""
        return same_places(self.step(source, layer, params), self.output)


def scalar(value: Any) -> float:
    """Return the shortest decimal that rounds to a float32: 0.1, not 0.10000000149."""
    array = np.asarray(value)
    if array.size != 1:
        raise UnsupportedError(f"needs one number, got an array of shape {array.shape}")
    return float(str(np.float32(array.reshape(-1)[0])))


Rule = Callable[[Call], Tensor]
"""Function that converts one node."""
