"""Layers as operations: one rule for each type of layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from audioconv import layers as L
from audioconv.errors import ExportError
from audioconv.export.operations import (
    Arithmetic,
    BatchNormalise,
    Concatenate,
    Convolution,
    Function,
    GraphBuilder,
    Linear,
    Pad,
    ParametricRelu,
    Pool,
    Reduce,
    Reshape,
    Softmax,
    Tensor,
    Total,
    Transpose,
    single,
)
from audioconv.layers.base import Layer, Params
from audioconv.ops import pool_window

Rule = Callable[[GraphBuilder, Any, Params, Tensor, str], Tensor]
"""Adds what a layer does to a graph: builder, layer, its parameters, its input and its path; returns the output."""


def add_layer(graph: GraphBuilder, layer: Layer, params: Params, x: Tensor, path: str) -> Tensor:
    """Add what `layer` does with `x` to the graph and return its output.

    Parameters
    ----------
    graph : GraphBuilder
    layer : Layer
    params : dict
    x : Tensor
        Channels last, as the layer takes it.
    path : str
        Of the layer, such as ``2/body/0``.

    Raises
    ------
    ExportError
        If the layer is of a type that has no rule; names its path and its type.
    """
    rule = RULES.get(type(layer))
    if rule is None:
        place = path.partition("/")[2].replace("/", ".")
        raise ExportError(
            f"layer {place or 'network'} {layer.label()}: layers of the type {type(layer).__name__} are not one of "
            "audioconv's, so nothing is known of what they compute; only networks of audioconv's layers are exported"
        )
    return rule(graph, layer, params, x, path)


def _function(kind: Any, *names: str) -> Rule:
    def rule(graph: GraphBuilder, layer: Any, params: Params, x: Tensor, path: str) -> Tensor:
        return graph.add(Function(kind, tuple(float(getattr(layer, name)) for name in names)), path, x)

    return rule


def _identity(graph: GraphBuilder, layer: Layer, params: Params, x: Tensor, path: str) -> Tensor:
    return x


def _conv(graph: GraphBuilder, layer: L.Conv, params: Params, x: Tensor, path: str) -> Tensor:
    window = layer.window(len(x.shape) - 1)
    return graph.add(Convolution(params["weight"], params.get("bias"), window, layer.groups), path, x)


def _depthwise_conv(graph: GraphBuilder, layer: L.DepthwiseConv, params: Params, x: Tensor, path: str) -> Tensor:
    return _conv(graph, layer.conv(x.shape[-1]), params, x, path)


def _dense(graph: GraphBuilder, layer: L.Dense, params: Params, x: Tensor, path: str) -> Tensor:
    return graph.add(Linear(params["weight"], params.get("bias")), path, x)


def _flatten(graph: GraphBuilder, layer: L.Flatten, params: Params, x: Tensor, path: str) -> Tensor:
    return x if len(x.shape) == 1 else graph.add(Reshape((math.prod(x.shape),)), path, x)


def _pool(kind: Any) -> Rule:
    def rule(graph: GraphBuilder, layer: Any, params: Params, x: Tensor, path: str) -> Tensor:
        window = pool_window(layer.size, layer.stride, layer.padding, len(x.shape) - 1)
        if kind == "average_inside" and not any(map(sum, window.padding)):
            return graph.add(Pool("average", window), path, x)
        return graph.add(Pool(kind, window), path, x)

    return rule


def _global_pool(kind: Any) -> Rule:
    def rule(graph: GraphBuilder, layer: Layer, params: Params, x: Tensor, path: str) -> Tensor:
        return graph.add(Reduce(kind, tuple(range(-len(x.shape), -1)), keep=False), path, x)

    return rule


def _frequency_pool(graph: GraphBuilder, layer: Layer, params: Params, x: Tensor, path: str) -> Tensor:
    return graph.add(Reduce("mean", (-2,)), path, x)


def _mean(graph: GraphBuilder, layer: L.Mean, params: Params, x: Tensor, path: str) -> Tensor:
    return graph.add(Reduce("mean", tuple(layer.axes)), path, x)


def _batch_norm(graph: GraphBuilder, layer: L.BatchNorm, params: Params, x: Tensor, path: str) -> Tensor:
    return graph.add(_normalised(layer, params), path, x)


def _normalised(layer: L.BatchNorm | L.SubSpectralNorm, params: Params) -> BatchNormalise:
    weight, bias, mean, variance = (params[name] for name in ("weight", "bias", "running_mean", "running_var"))
    return BatchNormalise(weight, bias, mean, variance, layer.epsilon, layer.momentum)


def _sub_spectral_norm(graph: GraphBuilder, layer: L.SubSpectralNorm, params: Params, x: Tensor, path: str) -> Tensor:
    *_, bands, channels = x.shape

    def by_band(values: Any) -> Any:
        return np.repeat(values.reshape(layer.bands, channels), bands // layer.bands, axis=0)

    factor, shift = map(by_band, _normalised(layer, params).affine())
    return graph.add(Arithmetic("add", shift), path, graph.add(Arithmetic("multiply", factor), path, x))


def _scale(graph: GraphBuilder, layer: L.Scale, params: Params, x: Tensor, path: str) -> Tensor:
    if layer.weight:
        x = graph.add(Arithmetic("multiply", params["weight"]), path, x)
    return graph.add(Arithmetic("add", params["bias"]), path, x) if layer.bias else x


def _silu(graph: GraphBuilder, layer: Layer, params: Params, x: Tensor, path: str) -> Tensor:
    return graph.add(Arithmetic("multiply"), path, x, graph.add(Function("sigmoid"), path, x))


def _clamp(graph: GraphBuilder, layer: L.Clamp, params: Params, x: Tensor, path: str) -> Tensor:
    if layer.low is None and layer.high is None:
        return x
    low = -math.inf if layer.low is None else float(layer.low)
    high = math.inf if layer.high is None else float(layer.high)
    return graph.add(Function("clip", (low, high)), path, x)


def _power(graph: GraphBuilder, layer: L.Power, params: Params, x: Tensor, path: str) -> Tensor:
    if layer.scale != 1:
        x = graph.add(Arithmetic("multiply", single(layer.scale)), path, x)
    if layer.shift != 0:
        x = graph.add(Arithmetic("add", single(layer.shift)), path, x)
    return x if layer.power == 1 else graph.add(Function("power", (float(layer.power),)), path, x)


def _prelu(graph: GraphBuilder, layer: L.PReLU, params: Params, x: Tensor, path: str) -> Tensor:
    return graph.add(ParametricRelu(params["weight"]), path, x)


def _softmax(graph: GraphBuilder, layer: L.Softmax, params: Params, x: Tensor, path: str) -> Tensor:
    return graph.add(Softmax(layer.axis, layer.log), path, x)


def _rearrange(graph: GraphBuilder, layer: L.Rearrange, params: Params, x: Tensor, path: str) -> Tensor:
    shape = layer.out_shape(x.shape)
    groups = [tuple(group) if isinstance(group, tuple | list) else (group,) for group in layer.axes]
    named = [axis for group in groups for axis in group]
    order = (*named, *(axis for axis in range(len(x.shape)) if axis not in named))
    if order != tuple(range(len(x.shape))):
        x = graph.add(Transpose(order), path, x)
    return x if x.shape == shape else graph.add(Reshape(shape), path, x)


def _pad(graph: GraphBuilder, layer: L.Pad, params: Params, x: Tensor, path: str) -> Tensor:
    pairs = tuple((int(before), int(after)) for before, after in layer.padding)
    return graph.add(Pad(pairs, float(layer.value)), path, x) if any(map(sum, pairs)) else x


def _chain(graph: GraphBuilder, layer: L.Chain, params: Params, x: Tensor, path: str) -> Tensor:
    for number, part in enumerate(layer.layers):
        x = add_layer(graph, part, params.get(str(number), {}), x, f"{path}/{number}")
    return x


def _residual(graph: GraphBuilder, layer: L.Residual, params: Params, x: Tensor, path: str) -> Tensor:
    body, shortcut = (
        add_layer(graph, part, params.get(name, {}), x, f"{path}/{name}")
        for name, part in (("body", layer.body), ("shortcut", layer.shortcut))
    )
    return graph.add(Arithmetic("add"), path, body, shortcut)


def _branches(graph: GraphBuilder, layer: Any, params: Params, x: Tensor, path: str) -> list[Tensor]:
    return [
        add_layer(graph, part, params.get(str(number), {}), x, f"{path}/{number}")
        for number, part in enumerate(layer.branches)
    ]


def _sum(graph: GraphBuilder, layer: L.Sum, params: Params, x: Tensor, path: str) -> Tensor:
    outputs = _branches(graph, layer, params, x, path)
    return outputs[0] if len(outputs) == 1 else graph.add(Total(), path, *outputs)


def _concat(graph: GraphBuilder, layer: L.Concat, params: Params, x: Tensor, path: str) -> Tensor:
    outputs = _branches(graph, layer, params, x, path)
    return outputs[0] if len(outputs) == 1 else graph.add(Concatenate(), path, *outputs)


def _multiply(graph: GraphBuilder, layer: L.Multiply, params: Params, x: Tensor, path: str) -> Tensor:
    outputs = _branches(graph, layer, params, x, path)
    axes = max(len(output.shape) for output in outputs)
    product: Tensor | None = None
    for output in outputs:
        if len(output.shape) < axes:  # features scale the channels at every place
            output = graph.add(Reshape((*(1,) * (axes - 1), *output.shape)), path, output)
        product = output if product is None else graph.add(Arithmetic("multiply"), path, product, output)
    assert product is not None
    return product


RULES: dict[type[Layer], Rule] = {
    L.AvgPool: _pool("average"),
    L.AvgPoolExcludePadding: _pool("average_inside"),
    L.BatchNorm: _batch_norm,
    L.Chain: _chain,
    L.ChannelDropout: _identity,
    L.Clamp: _clamp,
    L.Concat: _concat,
    L.Conv: _conv,
    L.Dense: _dense,
    L.DepthwiseConv: _depthwise_conv,
    L.Dropout: _identity,
    L.ELU: _function("elu", "alpha"),
    L.Flatten: _flatten,
    L.FrequencyAvgPool: _frequency_pool,
    L.GlobalAvgPool: _global_pool("mean"),
    L.GlobalMaxPool: _global_pool("max"),
    L.HardSigmoid: _function("hard_sigmoid", "slope", "shift"),
    L.HardSwish: _function("hard_swish"),
    L.Identity: _identity,
    L.LeakyReLU: _function("leaky_relu", "slope"),
    L.MaxPool: _pool("max"),
    L.Mean: _mean,
    L.Multiply: _multiply,
    L.PReLU: _prelu,
    L.Pad: _pad,
    L.Power: _power,
    L.ReLU: _function("relu"),
    L.Rearrange: _rearrange,
    L.Residual: _residual,
    L.Scale: _scale,
    L.SiLU: _silu,
    L.Sigmoid: _function("sigmoid"),
    L.Softmax: _softmax,
    L.SubSpectralNorm: _sub_spectral_norm,
    L.Sum: _sum,
    L.Tanh: _function("tanh"),
}
"""How each type of layer is described."""
