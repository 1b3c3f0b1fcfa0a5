"""Graph of a network: few kinds of nodes, into which its layers are fused.

Every value is 2-D, ``(H, W, C)``: a 1-D one has height 1, and features are one pixel. A dense layer is a convolution
whose kernel covers all of its input, so `Flatten` needs no node.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from audioconv import layers as L
from audioconv import ops
from audioconv.errors import AudioconvError
from audioconv.geometry import Window, window
from audioconv.layers.base import Layer, Shape
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
        """Whether the activation has a bound."""
        return math.isfinite(self.low) or math.isfinite(self.high)

    @property
    def bands(self) -> int:
        """How many bands of columns have statistics of their own."""
        return 1 if self.norm is None else self.norm.bands


@dataclass(eq=False)
class ActivationNode(Node):
    """A smooth activation, by its key in `ops.ACTIVATIONS`; it need not be monotonic, so no pool is fused with it."""

    kind: str


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


def trace(network: Layer, in_shape: Shape, training: bool = True) -> Graph:
    """Return the graph of `network` for examples of `in_shape`, with dropout in training only.

    Raises
    ------
    NotCompiledError
        If it has a layer that no node can stand for.
    """
    network.out_shape(in_shape)
    if not 1 <= len(in_shape) <= 3:
        raise NotCompiledError(f"only inputs of up to two spatial axes are compiled, got {in_shape}")
    entry = Value(_lifted(in_shape), pinned=True)
    tracer = _Tracer([], training)
    end, _ = tracer.layer(network, "", entry, in_shape)
    if end.producer is None or end.shape[:2] != (1, 1):
        raise NotCompiledError("only networks that end in one row of numbers are compiled")
    nodes = tracer.nodes
    for node in nodes:
        for value in node.inputs:
            value.consumers.append(node)
    return Graph(entry, end, nodes)


@dataclass
class _Tracer:
    nodes: list[Node]
    training: bool

    def layer(self, layer: Layer, path: str, x: Value, shape: Shape) -> tuple[Value, Shape]:
        """Add the nodes of `layer`, whose parameters lie under `path`; return its output and its shape."""
        rule = _RULES.get(type(layer))
        if rule is None:
            raise NotCompiledError(f"{path or 'the network'} is {type(layer).__name__}, which is not compiled")
        return rule(self, layer, path, x, shape), layer.out_shape(shape)

    def add(self, node: Node) -> Value:
        node.output.producer = node
        self.nodes.append(node)
        return node.output

    def chain(self, layer: L.Chain, path: str, x: Value, shape: Shape) -> Value:
        for number, part in enumerate(layer.layers):
            x, shape = self.layer(part, _join(path, str(number)), x, shape)
        return x

    def residual(self, layer: L.Residual, path: str, x: Value, shape: Shape) -> Value:
        x.pinned = True
        body, _ = self.layer(layer.body, _join(path, "body"), x, shape)
        shortcut, _ = self.layer(layer.shortcut, _join(path, "shortcut"), x, shape)
        if body is shortcut:
            raise NotCompiledError(f"{path}: adds a value to itself, which is not compiled")
        height, width, channels = map(max, body.shape, shortcut.shape)
        return self.add(AddNode([body, shortcut], Value((height, width, channels))))

    def sum(self, layer: L.Sum, path: str, x: Value, shape: Shape) -> Value:
        x.pinned = True
        values = [self.layer(part, _join(path, name), x, shape)[0] for name, part, _ in layer.parts(shape)]
        if len(set(map(id, values))) < len(values):
            raise NotCompiledError(f"{path or 'the network'}: adds a value to itself, which is not compiled")
        total = values[0]
        for value in values[1:]:
            total = self.add(AddNode([total, value], Value(value.shape)))
        return total

    def branches(self, layer: L.Concat | L.Multiply, path: str, x: Value, shape: Shape) -> list[Value]:
        """Add the nodes of branches; return their outputs, which have equally many axes."""
        x.pinned = True
        found = []
        for name, part, _ in layer.parts(shape):
            value, out_shape = self.layer(part, _join(path, name), x, shape)
            if len(out_shape) == 1 and value.shape[:2] != (1, 1):
                raise NotCompiledError(f"{path or 'the network'}: joining branches behind Flatten is not compiled")
            found.append(value)
        if len(set(map(id, found))) < len(found):
            raise NotCompiledError(f"{path or 'the network'}: joins a value with itself, which is not compiled")
        return found

    def concat(self, layer: L.Concat, path: str, x: Value, shape: Shape) -> Value:
        values = self.branches(layer, path, x, shape)
        if len(values) == 1:
            return values[0]
        height, width, _ = values[0].shape
        return self.add(ConcatNode(values, Value((height, width, sum(value.shape[2] for value in values)))))

    def multiply(self, layer: L.Multiply, path: str, x: Value, shape: Shape) -> Value:
        product, *others = self.branches(layer, path, x, shape)
        for value in others:
            if value.shape[2] != product.shape[2]:
                raise NotCompiledError(f"{path or 'the network'}: a factor with one channel is not compiled")
            height, width, channels = map(max, product.shape, value.shape)
            product = self.add(MultiplyNode([product, value], Value((height, width, channels))))
        return product

    def conv(self, layer: L.Conv, path: str, x: Value, shape: Shape) -> Value:
        window = layer.window(len(shape) - 1).lifted()
        return self.convolution(
            Convolution(x.shape, window, layer.filters, layer.groups, compiled=True), layer.bias, path, x
        )

    def depthwise(self, layer: L.DepthwiseConv, path: str, x: Value, shape: Shape) -> Value:
        return self.conv(layer.conv(shape[-1]), path, x, shape)

    def dense(self, layer: L.Dense, path: str, x: Value, shape: Shape) -> Value:
        return self.convolution(Convolution(x.shape, window(x.shape[:2], axes=2), layer.units), layer.bias, path, x)

    def convolution(self, conv: Convolution, with_bias: bool, path: str, x: Value) -> Value:
        bias = _join(path, "bias") if with_bias else None
        return self.add(ConvNode([x], Value(conv.out_shape), conv, _join(path, "weight"), bias))

    def norm_activation_pool(self, x: Value) -> NormActivationPoolNode:
        """Return the node that produces x if more can be fused into it, otherwise a new one behind x."""
        if isinstance(x.producer, NormActivationPoolNode) and not x.pinned and x.producer.pool is None:
            return x.producer
        node = NormActivationPoolNode([x], Value(x.shape))
        self.add(node)
        return node

    def norm(self, layer: L.BatchNorm | L.SubSpectralNorm, path: str, x: Value, shape: Shape) -> Value:
        if len(shape) == 1 and x.shape[:2] != (1, 1):
            raise NotCompiledError(f"{path}: a normalisation behind Flatten is not compiled")
        bands = layer.bands if isinstance(layer, L.SubSpectralNorm) else 1
        return self.add(NormActivationPoolNode([x], Value(x.shape), Norm(path, layer.momentum, layer.epsilon, bands)))

    def activation(self, layer: Layer, path: str, x: Value, shape: Shape) -> Value:
        slope = float(getattr(layer, "slope", 0.0))
        if slope < 0:
            raise NotCompiledError(f"{path}: a negative slope is not compiled")
        if isinstance(x.producer, AddNode) and not x.pinned and x.producer.slope == 1.0:
            x.producer.slope = slope
            return x
        node = self.norm_activation_pool(x)
        if node.slope != 1.0 or node.is_clamped:
            node = NormActivationPoolNode([node.output], Value(x.shape))
            self.add(node)
        node.slope = slope
        return node.output

    def clamp(self, layer: L.Clamp, path: str, x: Value, shape: Shape) -> Value:
        if layer.low is None and layer.high is None:
            return x
        node = self.norm_activation_pool(x)
        if node.is_clamped:
            node = NormActivationPoolNode([node.output], Value(x.shape))
            self.add(node)
        node.low = -math.inf if layer.low is None else float(layer.low)
        node.high = math.inf if layer.high is None else float(layer.high)
        return node.output

    def smooth(self, layer: Layer, path: str, x: Value, shape: Shape) -> Value:
        assert isinstance(layer, L.SiLU | L.Sigmoid | L.Tanh)
        return self.add(ActivationNode([x], Value(x.shape), layer.kind))

    def max_pool(self, layer: Layer, path: str, x: Value, shape: Shape) -> Value:
        node = self.norm_activation_pool(x)
        if node.bands > 1:  # a window may overlap two bands
            node = NormActivationPoolNode([x], Value(x.shape))
            self.add(node)
        node.pool = _pool_window(layer, shape)
        node.output.shape = (*node.pool.out_size(x.shape[:2]), x.shape[2])  # type: ignore[assignment]
        return node.output

    def average(self, layer: Layer, path: str, x: Value, shape: Shape) -> Value:
        window = _pool_window(layer, shape)
        out = Value((*window.out_size(x.shape[:2]), x.shape[2]))  # type: ignore[arg-type]
        return self.add(AverageNode([x], out, window))

    def dropout(self, layer: L.Dropout, path: str, x: Value, shape: Shape) -> Value:
        if layer.rate == 0 or not self.training:
            return x
        if layer.whole_channels and len(shape) == 1 and x.shape[:2] != (1, 1):
            raise NotCompiledError(f"{path}: dropping channels behind Flatten is not compiled")
        return self.add(DropoutNode([x], Value(x.shape), layer.rate, layer.whole_channels))

    def identity(self, layer: Layer, path: str, x: Value, shape: Shape) -> Value:
        return x


_Rule = Callable[[_Tracer, "L.Layer", str, Value, Shape], Value]

_RULES: dict[type[Layer], _Rule] = {
    L.Chain: _Tracer.chain,  # type: ignore[dict-item]
    L.Residual: _Tracer.residual,  # type: ignore[dict-item]
    L.Sum: _Tracer.sum,  # type: ignore[dict-item]
    L.Concat: _Tracer.concat,  # type: ignore[dict-item]
    L.Multiply: _Tracer.multiply,  # type: ignore[dict-item]
    L.Conv: _Tracer.conv,  # type: ignore[dict-item]
    L.DepthwiseConv: _Tracer.depthwise,  # type: ignore[dict-item]
    L.Dense: _Tracer.dense,  # type: ignore[dict-item]
    L.BatchNorm: _Tracer.norm,  # type: ignore[dict-item]
    L.SubSpectralNorm: _Tracer.norm,  # type: ignore[dict-item]
    L.ReLU: _Tracer.activation,
    L.LeakyReLU: _Tracer.activation,
    L.Clamp: _Tracer.clamp,  # type: ignore[dict-item]
    L.SiLU: _Tracer.smooth,
    L.Sigmoid: _Tracer.smooth,
    L.Tanh: _Tracer.smooth,
    L.MaxPool: _Tracer.max_pool,
    L.GlobalMaxPool: _Tracer.max_pool,
    L.AvgPool: _Tracer.average,
    L.GlobalAvgPool: _Tracer.average,
    L.FrequencyAvgPool: _Tracer.average,
    L.Dropout: _Tracer.dropout,  # type: ignore[dict-item]
    L.ChannelDropout: _Tracer.dropout,  # type: ignore[dict-item]
    L.Flatten: _Tracer.identity,
    L.Identity: _Tracer.identity,
}


def _pool_window(layer: Layer, shape: Shape) -> Window:
    if isinstance(layer, L.FrequencyAvgPool):
        return layer.window(shape)
    if isinstance(layer, L.GlobalMaxPool | L.GlobalAvgPool):
        return window(_lifted(shape)[:2], axes=2, stride=1)
    assert isinstance(layer, L.MaxPool | L.AvgPool)
    return ops.pool_window(layer.size, layer.stride, layer.padding, len(shape) - 1).lifted()


def _lifted(shape: Shape) -> tuple[int, int, int]:
    return (*(1,) * (3 - len(shape)), *shape)  # type: ignore[return-value]


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
