"""Operators that act on single numbers, and softmax."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from audioconv import layers as L
from audioconv.interop.graph import Tensor
from audioconv.interop.onnx_operators.axes import varying_axes, with_axis_merged, with_channels_last
from audioconv.interop.onnx_operators.call import Call, Rule
from audioconv.layers.base import Layer


def activation(make: Callable[[Call], Layer]) -> Rule:
    """Return the rule of an operator whose layer `make` returns."""
    return lambda call: call.pointwise(call.tensor(), make(call))


def hard_sigmoid(call: Call) -> Layer:
    """Return the layer of HardSigmoid."""
    slope = call.float_attribute("alpha", 0.2)
    return L.HardSigmoid(1 / 6 if np.float32(slope) == np.float32(1 / 6) else slope, call.float_attribute("beta", 0.5))


def clip(call: Call) -> Layer:
    """Return the layer of Clip, whose bounds are attributes or inputs."""
    low, high = call.number("min", 1, None), call.number("max", 2, None)
    return clamp(low, high)


def clamp(low: float | None, high: float | None) -> Layer:
    """Return the clamp with these bounds; a bound at the end of the range of float32 is left out."""
    most = float(np.finfo(np.float32).max) * 0.999
    low = None if low is None or low < -most else low
    high = None if high is None or high > most else high
    return L.ReLU() if low == 0 and high is None else L.Clamp(low, high)


def prelu(call: Call) -> Tensor:
    """Convert PRelu with one slope, or one for each channel."""
    slope, x = call.needed(1), call.batch_first()
    if slope.size == 1:
        return call.pointwise(x, L.PReLU(shared=True), {"weight": slope.reshape(1)})
    groups = varying_axes(call, x, slope)
    if groups != [1]:
        raise call.error(
            f"slopes of shape {slope.shape} are neither one nor one for each channel",
            "train the network with one slope for each channel",
        )
    x = with_channels_last(call, x)
    return call.pointwise(x, L.PReLU(), {"weight": slope.reshape(-1)})


def softmax(call: Call) -> Tensor:
    """Convert Softmax or LogSoftmax over one axis."""
    x = call.batch_first()
    axis = call.attributes.get("axis", 1 if call.state.opset < 13 else -1) % len(x.groups)
    if call.state.opset < 13 and any(size != 1 for size in x.shape[axis + 1 :]):
        raise call.error(
            f"with operator set {call.state.opset} it is over several axes", "export with operator set 13 or later"
        )
    if axis == 0 or not x.groups[axis]:
        raise call.error("is over the batch or over an axis of size 1")
    x = with_axis_merged(call, x, axis)
    place = x.order.index(x.groups[axis][0]) - len(x.order)
    return call.pointwise(x, L.Softmax(place, log=call.node.operator == "LogSoftmax"))


def same(call: Call) -> Tensor:
    """Convert an operator that changes nothing in inference."""
    return call.tensor()


def cast(call: Call) -> Tensor:
    """Convert Cast from one floating-point type to another."""
    if call.attributes.get("to") not in (1, 10, 11, 16):
        raise call.error("turns the network's numbers into integers, which is not supported")
    return call.tensor()
