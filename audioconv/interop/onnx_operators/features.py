"""Matrix products and batch normalisation."""

from __future__ import annotations

import math

import numpy as np

from audioconv import layers as L
from audioconv._types import Array
from audioconv.interop.graph import BATCH, Axis, Group, Step, Tensor, applied, arranged
from audioconv.interop.onnx_operators.axes import shown, with_channels_last
from audioconv.interop.onnx_operators.call import Call, scalar
from audioconv.layers.base import Params


def gemm(call: Call) -> Tensor:
    """Convert Gemm with a constant weight."""
    x, weight, bias = call.batch_first(), call.needed(1), call.constant(2)
    if call.attributes.get("transA", 0):
        raise call.error("transA is not supported", "export the network without it")
    weight = weight.T if call.attributes.get("transB", 0) else weight
    weight = weight * np.float32(call.attributes.get("alpha", 1.0))
    if bias is not None:
        bias = np.broadcast_to(bias * np.float32(call.attributes.get("beta", 1.0)), (1, weight.shape[1])).reshape(-1)
    return _dense(call, x, weight, bias)


def _dense(call: Call, x: Tensor, weight: Array, bias: Array | None) -> Tensor:
    """Return features times a weight (features, units): the last axis of the file's tensor, all others of size 1."""
    *before, last = x.groups[1:]
    if weight.ndim != 2 or x.shape[-1] != len(weight):
        raise call.error(f"a weight of shape {weight.shape} does not fit {shown(x)}")
    if x.layout.order is None:
        arranged(x, [(axis,) for axis in last] or [()], call.node.name)
    order = [axis for axis in x.order if axis in last]
    # The weight's rows are in the file's order of features, (C, H, W); the array lies as (H, W, C).
    rows = weight.reshape(*(axis.size for axis in last), -1).transpose(*(last.index(axis) for axis in order), len(last))
    if len(x.order) > 1:
        flat = Axis(1)
        groups: list[Group] = [*x.groups[:-1], (flat,)]
        x = applied(Step(f"{call.node.name}, flatten", "Flatten", [x], L.Flatten()), groups, [flat], x.name)
    params: Params = {"weight": np.ascontiguousarray(rows.reshape(weight.shape))}
    if bias is not None:
        params["bias"] = np.ascontiguousarray(bias)
    units = Axis(1)
    step = call.step(x, L.Dense(weight.shape[1], bias is not None), params)
    return applied(step, [(BATCH,), *before, (units,)], [units], call.output)


def matmul(call: Call) -> Tensor:
    """Convert MatMul of a tensor and a constant matrix."""
    first, second = (name in call.state.tensors for name in call.node.inputs)
    if first and second:
        raise call.error("of two computed tensors is not supported; only with a constant")
    x = call.batch_first(0 if first else 1)
    weight = call.needed(1 if first else 0)
    weight = weight.reshape(weight.shape[-2:]) if math.prod(weight.shape[:-2]) == 1 and weight.ndim > 2 else weight
    if weight.ndim != 2:
        raise call.error(f"a weight of shape {weight.shape} is not supported; it must be a matrix")
    rank = len(x.groups)
    axis = rank - 1 if first else rank - 2
    weight = weight if first else weight.T
    if axis < 1 or x.shape[axis] != len(weight):
        raise call.error(f"a weight of shape {weight.shape} does not fit {shown(x)}")
    others = [number for number in range(1, rank) if number != axis]
    if first and not any(x.groups[number] for number in others):
        return _dense(call, x, weight, None)
    if len(others) > 2:
        raise call.error(f"{shown(x)} has more than two axes besides the features")
    x = arranged(x, [*(x.groups[number] for number in others), x.groups[axis]], call.node.name)
    order = [Axis(1) for _ in x.order]
    groups: list[Group] = [(BATCH,), *[()] * (rank - 1)]
    for number, new in zip([*others, axis], order, strict=True):
        groups[number] = (new,)
    kernel = np.ascontiguousarray(weight.reshape(*(1,) * len(others), *weight.shape))
    step = call.step(x, L.Conv(weight.shape[1], (1,) * len(others), bias=False), {"weight": kernel})
    return applied(step, groups, order, call.output)


def batch_norm(call: Call) -> Tensor:
    """Convert BatchNormalization in inference."""
    x = with_channels_last(call, call.batch_first())
    names = ("weight", "bias", "running_mean", "running_var")
    params = {name: call.needed(number + 1).reshape(-1) for number, name in enumerate(names)}
    if any(array.shape != x.array_shape[-1:] for array in params.values()):
        raise call.error(f"its parameters do not fit {shown(x)}")
    momentum = scalar(1 - np.float64(np.float32(call.attributes.get("momentum", 0.9))))
    layer = L.BatchNorm(round(momentum, 6), call.float_attribute("epsilon", 1e-5))
    return call.pointwise(x, layer, params)
