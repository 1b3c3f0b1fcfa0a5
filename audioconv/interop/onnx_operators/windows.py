"""Convolution, pooling and padding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from audioconv import layers as L
from audioconv.interop.graph import BATCH, Axis, Group, Tensor, applied, arranged
from audioconv.interop.onnx_operators.axes import channels_last, shown
from audioconv.interop.onnx_operators.call import Call
from audioconv.layers.base import Layer, Params

CROP = "crop the input before it enters the network"


def _spatial(call: Call) -> tuple[Tensor, int]:
    """Return the input and how many spatial axes it has: one or two."""
    x = call.batch_first()
    axes = len(x.groups) - 2
    if axes not in (1, 2):
        raise call.error(f"has {axes} spatial axes; one or two are supported")
    return x, axes


def _pairs(
    call: Call, axes: int, size: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> list[tuple[int, int]]:
    """Return the padding before and after each spatial axis."""
    how = call.attributes.get("auto_pad", "NOTSET")
    if how in ("SAME_UPPER", "SAME_LOWER"):
        pairs = []
        for n, k, s, d in zip(size, kernel, stride, dilation, strict=True):
            zeros = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
            less, more = zeros // 2, zeros - zeros // 2
            pairs.append((less, more) if how == "SAME_UPPER" else (more, less))
        return pairs
    pads = [0] * 2 * axes if how == "VALID" else list(call.attributes.get("pads", [0] * 2 * axes))
    if len(pads) != 2 * axes or min(pads) < 0:
        raise call.error(f"pads {pads} are not supported; they must be {2 * axes} numbers of at least 0", CROP)
    return list(zip(pads[:axes], pads[axes:], strict=True))


def _padding(pairs: Sequence[tuple[int, int]]) -> Any:
    """Return padding as people write it: one number where all are equal."""
    if all(before == after for before, after in pairs):
        sides = [before for before, _ in pairs]
        return sides[0] if len(set(sides)) == 1 else tuple(sides)
    return tuple(pairs)


def _settings(call: Call, axes: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return stride and dilation."""
    stride = tuple(call.attributes.get("strides", [1] * axes))
    dilation = tuple(call.attributes.get("dilations", [1] * axes))
    return stride, dilation


def _plain(values: Sequence[int]) -> Any:
    return values[0] if len(set(values)) == 1 else tuple(values)


def conv(call: Call) -> Tensor:
    """Convert Conv with a constant weight; Dense where each example is one place."""
    x, axes = _spatial(call)
    weight, bias = call.needed(1), call.constant(2)
    if weight.ndim != axes + 2:
        raise call.error(f"a weight of shape {weight.shape} does not fit {shown(x)}")
    kernel, groups = weight.shape[2:], call.attributes.get("group", 1)
    if x.shape[1] != weight.shape[1] * groups:
        raise call.error(f"a weight of shape {weight.shape} with {groups} groups does not fit {shown(x)}")
    stride, dilation = _settings(call, axes)
    pairs = _pairs(call, axes, x.shape[2:], kernel, stride, dilation)
    params = {} if bias is None else {"bias": bias.reshape(-1)}
    is_place = x.layout.order is not None and len(x.order) == 1 and x.groups[1:] == [(x.order[0],), *((),) * axes]
    if is_place and math.prod(kernel) == 1 and not any(map(sum, pairs)) and groups == 1:
        params["weight"] = np.ascontiguousarray(weight.reshape(weight.shape[:2]).T)
        units = Axis(1)
        step = call.step(x, L.Dense(len(weight), bias is not None), params)
        return applied(step, [(BATCH,), (units,), *((),) * axes], [units], call.output)
    x = arranged(x, channels_last(x), call.node.name)
    params["weight"] = np.ascontiguousarray(weight.transpose(*range(2, axes + 2), 1, 0))
    layer = L.Conv(
        len(weight), tuple(kernel), _plain(stride), _padding(pairs), _plain(dilation), groups, bias is not None
    )
    return _placed(call, x, layer, params)


def _placed(call: Call, x: Tensor, layer: Layer, params: Params | None = None) -> Tensor:
    """Return the output of a layer whose input and output are (*spatial, channels)."""
    order = [Axis(1) for _ in x.order]
    *spatial, channels = ((axis,) for axis in order)
    return applied(call.step(x, layer, params), [(BATCH,), channels, *spatial], order, call.output)


def pool(call: Call) -> Tensor:
    """Convert MaxPool or AveragePool."""
    x, axes = _spatial(call)
    kernel = tuple(call.attributes["kernel_shape"])
    stride, dilation = _settings(call, axes)
    is_max = call.node.operator == "MaxPool"
    if any(step != 1 for step in dilation):
        raise call.error("dilated pooling is not supported", "dilate the convolution before it instead")
    if len([name for name in call.node.outputs if name]) > 1:
        raise call.error("its second output, the places of the largest numbers, is not supported")
    size = x.shape[2:]
    pairs = _pairs(call, axes, size, kernel, stride, dilation)
    more = _ceiled(pairs, size, kernel, stride) if call.attributes.get("ceil_mode", 0) else pairs
    counts = bool(call.attributes.get("count_include_pad", 0))
    if not is_max and counts and more != pairs and any(map(sum, pairs)):
        raise call.error("ceil_mode together with padding that counts is not supported", "export it without ceil_mode")
    x = arranged(x, channels_last(x), call.node.name)
    kind: Any = L.MaxPool
    if not is_max:
        kind = L.AvgPoolExcludePadding if any(map(sum, more)) and (not counts or more != pairs) else L.AvgPool
    return _placed(call, x, kind(kernel, None if stride == kernel else _plain(stride), _padding(more)))


def _ceiled(
    pairs: list[tuple[int, int]], size: Sequence[int], kernel: Sequence[int], stride: Sequence[int]
) -> list[tuple[int, int]]:
    """Return padding with which the last window, which begins in the input, is whole."""
    found = []
    for (before, after), n, k, s in zip(pairs, size, kernel, stride, strict=True):
        outputs = -(-max(n + before + after - k, 0) // s) + 1
        if (outputs - 1) * s >= n + before:
            outputs -= 1
        found.append((before, max(after, (outputs - 1) * s + k - n - before)))
    return found


def global_pool(call: Call) -> Tensor:
    """Convert GlobalAveragePool or GlobalMaxPool."""
    x = call.batch_first()
    if not any(x.groups[2:]):
        return x
    if len(x.groups) not in (3, 4):
        raise call.error(f"has {len(x.groups) - 2} spatial axes; one or two are supported")
    x = arranged(x, channels_last(x), call.node.name)
    layer = L.GlobalAvgPool() if call.node.operator == "GlobalAveragePool" else L.GlobalMaxPool()
    channels = Axis(1)
    groups: list[Group] = [(BATCH,), (channels,), *(() for _ in x.groups[2:])]
    return applied(call.step(x, layer), groups, [channels], call.output)


def pad(call: Call) -> Tensor:
    """Convert Pad with a constant."""
    x = call.batch_first()
    mode = call.attributes.get("mode", "constant")
    given = call.constant(1)
    pads = call.attributes.get("pads") if given is None else given.reshape(-1).tolist()
    rank = len(x.groups)
    axes_given = call.constant(3)
    axes = list(range(rank)) if axes_given is None else [int(axis) % rank for axis in axes_given.reshape(-1)]
    if pads is None or len(pads) != 2 * len(axes) or min(pads, default=0) < 0:
        raise call.error(f"pads {pads} are not supported; they must be two for each axis, at least 0", CROP)
    value = call.number("value", 2, 0.0) or 0.0
    around = {axis: (pads[n], pads[n + len(axes)]) for n, axis in enumerate(axes) if pads[n] or pads[n + len(axes)]}
    if not around:
        return x
    if mode != "constant":
        raise call.error(f"pads by mode {mode!r}; only a constant is supported", "export the network with zeros there")
    if 0 in around:
        raise call.error("pads the batch, which is not supported")
    x = arranged(x, channels_last(x), call.node.name)
    pairs = [around.get(number, (0, 0)) for number in ([*range(2, rank), 1] if rank > 2 else [1])]
    step = call.step(x, L.Pad(pairs, value))
    order = [Axis(1) for _ in x.order]
    *spatial, channels = ((axis,) for axis in order)
    return applied(step, [(BATCH,), channels, *spatial], order, call.output)
