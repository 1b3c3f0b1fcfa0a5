"""Tracing of a network: its layers, by a rule for each, as nodes of a graph."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from audioconv import layers as L
from audioconv import ops
from audioconv.compiler.graph import (
    ActivationNode,
    AddNode,
    AverageNode,
    ConcatNode,
    ConvNode,
    DropoutNode,
    Graph,
    MultiplyNode,
    Node,
    Norm,
    NormActivationPoolNode,
    NotCompiledError,
    Value,
)
from audioconv.geometry import Window, window
from audioconv.kernels import activations
from audioconv.layers.base import Layer, Shape
from audioconv.runtime.convolution import Convolution


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
        return self.convolution(Convolution(x.shape, window, layer.filters, layer.groups), layer.bias, path, x)

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

    def smooth(self, layer: L.SiLU | L.Sigmoid | L.Tanh, path: str, x: Value, shape: Shape) -> Value:
        return self.add(ActivationNode([x], Value(x.shape), ops.ACTIVATIONS[layer.kind]))

    def hard_sigmoid(self, layer: L.HardSigmoid, path: str, x: Value, shape: Shape) -> Value:
        return self.add(ActivationNode([x], Value(x.shape), activations.HARD_SIGMOID, layer.slope, layer.shift))

    def hard_swish(self, layer: L.HardSwish, path: str, x: Value, shape: Shape) -> Value:
        return self.add(ActivationNode([x], Value(x.shape), activations.HARD_SWISH, 1 / 6, 0.5))

    def elu(self, layer: L.ELU, path: str, x: Value, shape: Shape) -> Value:
        return self.add(ActivationNode([x], Value(x.shape), activations.ELU, layer.alpha))

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
    L.SiLU: _Tracer.smooth,  # type: ignore[dict-item]
    L.Sigmoid: _Tracer.smooth,  # type: ignore[dict-item]
    L.Tanh: _Tracer.smooth,  # type: ignore[dict-item]
    L.HardSigmoid: _Tracer.hard_sigmoid,  # type: ignore[dict-item]
    L.HardSwish: _Tracer.hard_swish,  # type: ignore[dict-item]
    L.ELU: _Tracer.elu,  # type: ignore[dict-item]
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
