"""Graph of a network: few kinds of nodes, into which its layers are fused.

Every value is 2-D, ``(H, W, C)``: a 1-D one has height 1, and features are one pixel. A dense layer is a convolution
whose kernel covers all of its input, so `Flatten` needs no node.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from audioconv.errors import AudioconvError
from audioconv.geometry import Window
from audioconv.runtime.convolution import Convolution


class NotCompiledError(AudioconvError):
    """A network has a layer that the compiler does not support; it runs layer by layer instead."""


@dataclass(eq=False)
class Value:
    """The output of a node, or the graph's input, for one example.

    Attributes
    ----------
    shape : (int, int, int)
        Height, width and channels.
    producer : Node or None
        None for the input.
    consumers : list of Node
    pinned : bool
        Whether other nodes need it as it is, so that nothing may be fused into its producer.
    """

    shape: tuple[int, int, int]
    producer: Node | None = None
    consumers: list[Node] = field(default_factory=list)
    pinned: bool = False


@dataclass(eq=False)
class Node:
    """An operation. Its parameters are paths."""

    inputs: list[Value]
    output: Value


@dataclass(eq=False)
class ConvNode(Node):
    """A convolution, fused with an activation of this `slope` and, if `pooled`, with a max-pool of 2 x 2."""

    conv: Convolution
    weight: str
    bias: str | None
    slope: float = 1.0
    pooled: bool = False


@dataclass(frozen=True)
class Norm:
    """A batch normalisation: path of its parameters, momentum and epsilon.

    Each of several `bands` of columns may have statistics of its own; the parameters of the first band come first.
    """

    path: str
    momentum: float
    epsilon: float
    bands: int = 1


@dataclass(eq=False)
class NormActivationPoolNode(Node):
    """A fused normalisation, activation and max-pool; each may be missing.

    The activation has this `slope` below zero, 1 for none, and is then clamped to `low` and `high`, infinite for none.
    """

    norm: Norm | None = None
    slope: float = 1.0
    low: float = -math.inf
    high: float = math.inf
    pool: Window | None = None

    @property
    def is_clamped(self) -> bool:
        """True if the activation has a bound."""
        return math.isfinite(self.low) or math.isfinite(self.high)

    @property
    def bands(self) -> int:
        """Number of bands of columns that have statistics of their own."""
        return 1 if self.norm is None else self.norm.bands


@dataclass(eq=False)
class ActivationNode(Node):
    """An activation of `kernels.activations`, by its kind; it need not be monotonic, so no pool is fused with it.

    `slope` and `shift` are those of the hard ones; ELU has its alpha as `slope`.
    """

    kind: int
    slope: float = 0.0
    shift: float = 0.0


@dataclass(eq=False)
class AddNode(Node):
    """The sum of two values, with broadcasting of a single line or column, and an activation of this `slope`."""

    slope: float = 1.0


@dataclass(eq=False)
class MultiplyNode(Node):
    """The product of two values, with broadcasting of a single line or column."""


@dataclass(eq=False)
class ConcatNode(Node):
    """Values one behind the other along the channels."""


@dataclass(eq=False)
class AverageNode(Node):
    """Average pooling."""

    window: Window


@dataclass(eq=False)
class DropoutNode(Node):
    """Dropout of elements or of whole channels."""

    rate: float
    whole_channels: bool


@dataclass
class Graph:
    """A network's nodes in topological order."""

    input: Value
    output: Value
    nodes: list[Node]

    def values(self) -> list[Value]:
        """Return the input and the output of each node."""
        return [self.input, *(node.output for node in self.nodes)]

    def merge_activations(self) -> None:
        """Fuse each activation into the convolution before it, if it is that one's only consumer."""
        for node in list(self.nodes):
            before = node.inputs[0].producer
            if (
                isinstance(node, NormActivationPoolNode)
                and node.norm is None
                and node.pool is None
                and not node.is_clamped
                and isinstance(before, ConvNode)
                and before.slope == 1.0
                and len(before.output.consumers) == 1
            ):
                before.slope = node.slope
                self.remove(node)

    def remove(self, node: Node) -> None:
        """Remove a node that computes the identity; its consumers read its input."""
        source = node.inputs[0]
        self.nodes.remove(node)
        source.consumers.remove(node)
        for consumer in node.output.consumers:
            consumer.inputs = [source if value is node.output else value for value in consumer.inputs]
            source.consumers.append(consumer)
        if self.output is node.output:
            self.output = source
