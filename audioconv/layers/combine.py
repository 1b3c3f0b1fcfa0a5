"""Layers made of layers: one after the other, around a shortcut, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from audioconv._types import Array
from audioconv.errors import ConfigError, ShapeError
from audioconv.layers.base import Layer, Params, ParamShapes, Pass, Shape, inside


@dataclass(frozen=True)
class Identity(Layer):
    """The identity: the output is the input."""

    def infer_shape(self, in_shape: Shape) -> Shape:
        return in_shape

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        return x, None

    def backward(self, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        return dy, {}


@dataclass(frozen=True)
class _Combinator(Layer):
    """Base of the combinators, which keep everything about one part under the part's name."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, layer in self._named():
            if not isinstance(layer, Layer):
                raise ConfigError(f"{type(self).__name__}: part {name} must be a layer such as ReLU(), got {layer!r}")

    def label(self) -> str:
        return type(self).__name__

    def param_shapes(self, in_shape: Shape) -> ParamShapes:
        self.out_shape(in_shape)
        shapes: ParamShapes = {}
        for name, layer, shape in self.parts(in_shape):
            with inside(name):
                shapes[name] = layer.param_shapes(shape)
        return shapes

    def init(self, in_shape: Shape, rng: np.random.Generator) -> Params:
        self.out_shape(in_shape)
        params: Params = {}
        for name, layer, shape in self.parts(in_shape):
            with inside(name):
                params[name] = layer.init(shape, rng)
        return params

    def updates(self, params: Params, saved: Any) -> Params:
        return (
            {}
            if saved is None
            else {
                name: layer.updates(params.get(name, {}), part)
                for (name, layer), part in zip(self._named(), saved, strict=True)
            }
        )

    def multiply_adds(self, in_shape: Shape) -> int:
        return sum(layer.multiply_adds(shape) for _, layer, shape in self.parts(in_shape))

    def _named(self) -> Iterator[tuple[str, Layer]]:
        """Yield name and layer of each part, in the order in which `forward` saves for them."""
        raise NotImplementedError


@dataclass(frozen=True)
class Chain(_Combinator):
    """Layers one after the other. Parts are named by number, from 0.

    Examples
    --------
    >>> from audioconv import layers as L
    >>> net = L.Chain([L.Conv(8, (3, 3), padding="same"), L.ReLU(), L.GlobalAvgPool(), L.Dense(2)])
    >>> net.out_shape((101, 40, 1))
    (2,)
    """

    layers: Sequence[Layer]

    def _named(self) -> Iterator[tuple[str, Layer]]:
        return ((str(i), layer) for i, layer in enumerate(self.layers))

    def parts(self, in_shape: Shape) -> Iterator[tuple[str, Layer, Shape]]:
        shape = in_shape
        for name, layer in self._named():
            yield name, layer, shape
            with inside(name):
                shape = layer.out_shape(shape)

    def infer_shape(self, in_shape: Shape) -> Shape:
        shape = in_shape
        for name, layer in self._named():
            with inside(name):
                shape = layer.out_shape(shape)
        return shape

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        saved = []
        for name, layer in self._named():
            with inside(name):
                x, part = layer.forward(params.get(name, {}), x, run)
            saved.append(part)
        return x, saved if run.training else None

    def backward(self, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        return self._backward(0, params, saved, dy, run)

    def gradients(self, params: Params, saved: Any, dy: Array, run: Pass) -> Params:
        if not self.layers:
            return {}
        dy, grads = self._backward(1, params, saved, dy, run)
        return {**grads, "0": self.layers[0].gradients(params.get("0", {}), saved[0], dy, run)}

    def _backward(self, first: int, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        """Go backward from the last layer to number `first`."""
        grads: Params = {}
        for number in range(len(self.layers) - 1, first - 1, -1):
            name, layer = str(number), self.layers[number]
            dy, grads[name] = layer.backward(params.get(name, {}), saved[number], dy, run)
        return dy, grads


@dataclass(frozen=True)
class Residual(_Combinator):
    """``body(x) + shortcut(x)`` (He et al., 2016); the shortcut is the identity unless given.

    Where one of both has a spatial axis of size 1, it is added all along the other's (Kim et al., 2021, arXiv
    2106.04140: the broadcasted residual).
    """

    body: Layer
    shortcut: Layer = field(default_factory=Identity)

    def _named(self) -> Iterator[tuple[str, Layer]]:
        yield "body", self.body
        yield "shortcut", self.shortcut

    def parts(self, in_shape: Shape) -> Iterator[tuple[str, Layer, Shape]]:
        return ((name, layer, in_shape) for name, layer in self._named())

    def infer_shape(self, in_shape: Shape) -> Shape:
        with inside("body"):
            shape = self.body.out_shape(in_shape)
        with inside("shortcut"):
            other = self.shortcut.out_shape(in_shape)
        if not _can_be_added(shape, other):
            raise ShapeError(
                f"body gives {shape} and shortcut {other} for input {in_shape}; they must be equal to be added: "
                "give a shortcut such as Conv(filters, 1, stride=...)"
            )
        return tuple(map(max, shape, other))

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        outputs, saved = _forward_each(self._named(), params, x, run)
        # What the backward pass sums its gradient over, where an output was added all along an axis.
        return outputs[0] + outputs[1], None if saved is None else [*saved, [output.shape for output in outputs]]

    def backward(self, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        *parts, shapes = saved
        return _backward_each(self._named(), params, parts, [_summed(dy, shape) for shape in shapes], run)

    def updates(self, params: Params, saved: Any) -> Params:
        return super().updates(params, None if saved is None else saved[:-1])


def _can_be_added(one: Shape, other: Shape) -> bool:
    """Tell whether shapes are equal but for spatial axes of size 1."""
    if len(one) != len(other) or one[-1:] != other[-1:]:
        return False
    return all(a == b or 1 in (a, b) for a, b in zip(one[:-1], other[:-1], strict=True))


def _summed(dy: Array, shape: Shape) -> Array:
    """Return `dy` summed over the axes along which an array of `shape` was repeated."""
    axes = tuple(axis for axis, (a, b) in enumerate(zip(dy.shape, shape, strict=True)) if a != b)
    return dy.sum(axis=axes, keepdims=True) if axes else dy


@dataclass(frozen=True)
class _SideBySide(_Combinator):
    """Branches that take the same input. Parts are named by number, from 0."""

    branches: Sequence[Layer]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.branches:
            raise ShapeError("needs at least one branch", type(self).__name__)

    def _named(self) -> Iterator[tuple[str, Layer]]:
        return ((str(i), layer) for i, layer in enumerate(self.branches))

    def parts(self, in_shape: Shape) -> Iterator[tuple[str, Layer, Shape]]:
        return ((name, layer, in_shape) for name, layer in self._named())

    def _out_shapes(self, in_shape: Shape) -> list[Shape]:
        shapes = []
        for name, layer in self._named():
            with inside(name):
                shapes.append(layer.out_shape(in_shape))
        return shapes


@dataclass(frozen=True)
class Sum(_SideBySide):
    """Branches side by side, their outputs added: of whole networks, so that several decide together."""

    def infer_shape(self, in_shape: Shape) -> Shape:
        shapes = self._out_shapes(in_shape)
        if len(set(shapes)) > 1:
            raise ShapeError(f"branches must agree in all axes, got {', '.join(map(str, shapes))}")
        return shapes[0]

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        outputs, saved = _forward_each(self._named(), params, x, run)
        return np.sum(outputs, axis=0), saved

    def backward(self, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        return _backward_each(self._named(), params, saved, [dy] * len(self.branches), run)


@dataclass(frozen=True)
class Concat(_SideBySide):
    """Branches side by side, their outputs one behind the other along the channels (Szegedy et al., 2015)."""

    def infer_shape(self, in_shape: Shape) -> Shape:
        shapes = self._out_shapes(in_shape)
        if len({shape[:-1] for shape in shapes}) > 1:
            raise ShapeError(f"branches must agree in all axes but the channels, got {', '.join(map(str, shapes))}")
        return (*shapes[0][:-1], sum(shape[-1] for shape in shapes))

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        outputs, saved = _forward_each(self._named(), params, x, run)
        y = np.concatenate(outputs, axis=-1)
        # Where each branch's channels end is known again in the backward pass from these widths.
        return y, None if saved is None else [*saved, [output.shape[-1] for output in outputs]]

    def backward(self, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        *parts, widths = saved
        pieces = np.split(dy, np.cumsum(widths)[:-1], axis=-1)
        return _backward_each(self._named(), params, parts, [np.ascontiguousarray(p) for p in pieces], run)

    def updates(self, params: Params, saved: Any) -> Params:
        return super().updates(params, None if saved is None else saved[:-1])


@dataclass(frozen=True)
class Multiply(_SideBySide):
    """Branches side by side, their outputs multiplied: gates, such as squeeze-and-excite (Hu et al., 2018).

    Axes of size 1 are repeated along those of the other branches; an output of features ``(channels,)`` scales the
    channels at every place.

    Examples
    --------
    >>> from audioconv import layers as L
    >>> gate = L.Chain([L.GlobalAvgPool(), L.Dense(2), L.ReLU(), L.Dense(8), L.Sigmoid()])
    >>> L.Multiply([L.Identity(), gate]).out_shape((50, 20, 8))
    (50, 20, 8)
    """

    def infer_shape(self, in_shape: Shape) -> Shape:
        shapes = self._out_shapes(in_shape)
        axes = max(map(len, shapes))
        lifted = [_over_places(shape, axes) for shape in shapes]
        if any(len(shape) != axes for shape in lifted) or any(
            len({*sizes} - {1}) > 1 for sizes in zip(*lifted, strict=True)
        ):
            raise ShapeError(f"branches must agree in all axes that are not 1, got {', '.join(map(str, shapes))}")
        return tuple(max(sizes) for sizes in zip(*lifted, strict=True))

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        outputs, saved = _forward_each(self._named(), params, x, run)
        factors = _factors(outputs)
        y = factors[0]
        for factor in factors[1:]:
            y = y * factor
        return y, None if saved is None else [*saved, outputs]

    def backward(self, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        *parts, outputs = saved
        factors = _factors(outputs)
        dys = []
        for number, output in enumerate(outputs):
            gradient = dy
            for other, factor in enumerate(factors):
                if other != number:
                    gradient = gradient * factor
            dys.append(_summed(np.ascontiguousarray(gradient), factors[number].shape).reshape(output.shape))
        return _backward_each(self._named(), params, parts, dys, run)

    def updates(self, params: Params, saved: Any) -> Params:
        return super().updates(params, None if saved is None else saved[:-1])


def _over_places(shape: Shape, axes: int) -> Shape:
    """Return a shape of features as that of one place with so many axes; others as they are."""
    return (*(1,) * (axes - 1), *shape) if len(shape) == 1 else shape


def _factors(outputs: list[Array]) -> list[Array]:
    """Return the branches' outputs with equally many axes."""
    axes = max(output.ndim for output in outputs) - 1
    return [output.reshape(len(output), *_over_places(output.shape[1:], axes)) for output in outputs]


def _forward_each(
    named: Iterator[tuple[str, Layer]], params: Params, x: Array, run: Pass
) -> tuple[list[Array], list[Any] | None]:
    """Run each layer on the same input."""
    outputs, saved = [], []
    for name, layer in named:
        with inside(name):
            y, part = layer.forward(params.get(name, {}), x, run)
        outputs.append(y)
        saved.append(part)
    return outputs, saved if run.training else None


def _backward_each(
    named: Iterator[tuple[str, Layer]], params: Params, saved: Sequence[Any], dys: Sequence[Array], run: Pass
) -> tuple[Array, Params]:
    """Run each layer backward and add up the gradients of their common input."""
    grads: Params = {}
    total: Array | None = None
    for (name, layer), part, dy in zip(named, saved, dys, strict=True):
        dx, grads[name] = layer.backward(params.get(name, {}), part, dy, run)
        total = dx if total is None else total + dx
    assert total is not None  # a combinator has at least one part
    return total, grads
