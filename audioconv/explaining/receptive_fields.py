"""Receptive fields: the part of the input that one value of a feature map depends on."""

from __future__ import annotations

from dataclasses import dataclass

from audioconv import ops
from audioconv.geometry import Window
from audioconv.layers import (
    AvgPool,
    AvgPoolExcludePadding,
    Chain,
    Concat,
    Conv,
    DepthwiseConv,
    FrequencyAvgPool,
    Layer,
    MaxPool,
    Multiply,
    Residual,
    Sum,
)
from audioconv.layers.base import Shape


@dataclass(frozen=True)
class Field:
    """Receptive field, along one axis, of the first number of a feature map; each later one is a step further.

    Attributes
    ----------
    begin, end : int
        First input, and one behind the last; padding lies below 0 and behind the input.
    step : int
        Inputs from one number of the feature map to the next.
    """

    begin: int = 0
    end: int = 1
    step: int = 1

    def size(self, inputs: int) -> int:
        """Return how many inputs that is, of an axis of `inputs`."""
        return min(self.end - self.begin, inputs)

    def through(self, kernel: int, stride: int, dilation: int, before: int) -> Field:
        """Return the field behind a window over this feature map, with so many zeros before it."""
        last = dilation * (kernel - 1) - before
        return Field(self.begin - before * self.step, self.end + last * self.step, self.step * stride)

    def joined(self, other: Field) -> Field:
        """Return the field of what is made of both."""
        return Field(min(self.begin, other.begin), max(self.end, other.end), max(self.step, other.step))


def receptive_fields(network: Layer, in_shape: Shape) -> dict[str, tuple[Field, ...]]:
    """Return the receptive field of each layer that is not made of others, for inputs of `in_shape`.

    Parameters
    ----------
    network : Layer
    in_shape : tuple of int
        Shape of one example.

    Returns
    -------
    dict of str to tuple of Field
        By the layer's path; a field for each spatial axis of the input. Where something is averaged over a whole axis,
        it is the whole axis.

    Examples
    --------
    >>> from audioconv import layers as L
    >>> network = L.Chain([L.Conv(4, 3), L.MaxPool(2), L.Conv(4, 3)])
    >>> receptive_fields(network, (20, 1))["2"]
    (Field(begin=0, end=8, step=2),)
    """
    found: dict[str, tuple[Field, ...]] = {}
    _follow(network, tuple(in_shape), (Field(),) * (len(in_shape) - 1), tuple(in_shape), "", found)
    return found


def _follow(
    layer: Layer, shape: Shape, fields: tuple[Field, ...], in_shape: Shape, path: str,
    found: dict[str, tuple[Field, ...]],
) -> tuple[Field, ...]:  # fmt: skip
    """Return the fields behind `layer`, whose input has `shape` and `fields`; those of its parts go to `found`."""
    below = f"{path}." if path else ""
    if isinstance(layer, Chain):
        for name, part, part_shape in layer.parts(shape):
            fields = _follow(part, part_shape, fields, in_shape, below + name, found)
        return fields
    if isinstance(layer, Residual | Concat | Sum | Multiply):
        sides = [_follow(part, shape, fields, in_shape, below + name, found) for name, part, _ in layer.parts(shape)]
        joined = sides[0]
        for side in sides[1:]:
            joined = tuple(one.joined(other) for one, other in zip(joined, side, strict=True))
        return joined
    found[path] = _behind(layer, shape, fields, in_shape)
    return found[path]


def _behind(layer: Layer, shape: Shape, fields: tuple[Field, ...], in_shape: Shape) -> tuple[Field, ...]:
    """Return the fields behind a layer that is not made of others."""
    everything = tuple(Field(0, size) for size in in_shape[:-1])
    if isinstance(layer, FrequencyAvgPool):
        return (fields[0], everything[1])
    window = _window(layer, shape)
    if window is not None:
        moves = zip(fields, window.kernel, window.stride, window.dilation, window.padding, strict=True)
        return tuple(one.through(k, s, d, before) for one, k, s, d, (before, _) in moves)
    # Of the others, those that keep the spatial axes work on each place by itself.
    return fields if layer.out_shape(shape)[:-1] == shape[:-1] and len(shape) > 1 else everything


def _window(layer: Layer, shape: Shape) -> Window | None:
    axes = len(shape) - 1
    if isinstance(layer, Conv):
        return layer.window(axes)
    if isinstance(layer, DepthwiseConv):
        return layer.conv(shape[-1]).window(axes)
    if isinstance(layer, MaxPool | AvgPool | AvgPoolExcludePadding):
        return ops.pool_window(layer.size, layer.stride, layer.padding, axes)
    return None
