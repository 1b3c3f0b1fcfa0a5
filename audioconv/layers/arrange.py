"""Layers that move numbers or put others around them, and compute nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audioconv._types import Array
from audioconv.errors import ConfigError, ShapeError
from audioconv.layers.base import Layer, Params, Pass, Shape


@dataclass(frozen=True)
class Rearrange(Layer):
    """Exchange, merge, remove and add axes.

    Parameters
    ----------
    axes : tuple of int or of tuple of int
        For each axis of the output, the axis of the input (the batch does not count) that it is, or the axes that are
        merged into it, the slowest first; ``()`` adds an axis of size 1. Axes that are not named must have size 1.

    Examples
    --------
    >>> from audioconv import layers as L
    >>> L.Rearrange((0, (2, 1))).out_shape((101, 20, 8))  # frequencies become channels
    (101, 160)
    >>> L.Rearrange((0, (), 2)).out_shape((101, 1, 8))
    (101, 1, 8)
    """

    axes: Sequence[int | Sequence[int]]

    def __post_init__(self) -> None:
        super().__post_init__()
        order = self._order()
        if len(set(order)) < len(order) or not all(isinstance(axis, int) and axis >= 0 for axis in order):
            raise ConfigError(f"Rearrange: axes are counted from 0, each at most once; got {self.axes}")

    def infer_shape(self, in_shape: Shape) -> Shape:
        order = self._order()
        rest = [size for axis, size in enumerate(in_shape) if axis not in order]
        if max(order, default=-1) >= len(in_shape) or any(size != 1 for size in rest):
            raise ShapeError(f"needs axes {sorted(order)}, and others only of size 1, got input of shape {in_shape}")
        return tuple(math.prod(in_shape[axis] for axis in group) for group in self._groups())

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        out_shape = self.infer_shape(x.shape[1:])
        y = np.ascontiguousarray(x.transpose(self._transposition(x.ndim))).reshape(len(x), *out_shape)
        return y, x.shape if run.training else None

    def backward(self, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        transposition = self._transposition(len(saved))
        moved = dy.reshape([saved[axis] for axis in transposition])
        return np.ascontiguousarray(moved.transpose(np.argsort(transposition))), {}

    def _groups(self) -> list[tuple[int, ...]]:
        return [tuple(group) if isinstance(group, Sequence) else (group,) for group in self.axes]

    def _order(self) -> list[int]:
        return [axis for group in self._groups() for axis in group]

    def _transposition(self, ndim: int) -> list[int]:
        """Return the order of a batch's axes before those that belong together are merged."""
        order = self._order()
        return [0, *(axis + 1 for axis in order), *(axis + 1 for axis in range(ndim - 1) if axis not in order)]


@dataclass(frozen=True)
class Pad(Layer):
    """Put a constant around the input.

    Parameters
    ----------
    padding : tuple of (int, int)
        Numbers to add before and after, one pair for each axis of an example, the channels included.
    value : float
        Number that fills the padding.
    """

    padding: Sequence[Sequence[int]]
    value: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        pairs = [pair if isinstance(pair, Sequence) else () for pair in self.padding]
        if not all(len(pair) == 2 and all(isinstance(n, int) and n >= 0 for n in pair) for pair in pairs):
            raise ConfigError(f"Pad: padding must be (before, after) for each axis, at least 0; got {self.padding}")

    def infer_shape(self, in_shape: Shape) -> Shape:
        if len(in_shape) != len(self.padding):
            raise ShapeError(f"needs {len(self.padding)} axes, got input of shape {in_shape}; give a pair for each")
        return tuple(size + before + after for size, (before, after) in zip(in_shape, self.padding, strict=True))

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        y = np.full((len(x), *self.infer_shape(x.shape[1:])), self.value, np.float32)
        y[self._inside(x.shape)] = x
        return y, x.shape if run.training else None

    def backward(self, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        return np.ascontiguousarray(dy[self._inside(saved)]), {}

    def _inside(self, batch_shape: Shape) -> tuple[slice, ...]:
        """Return where the input lies in the output."""
        pairs = zip(self.padding, batch_shape[1:], strict=True)
        return (slice(None), *(slice(before, before + size) for (before, _), size in pairs))
