"""Activations: functions of one number, with fixed or learned settings, and the softmax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from audioconv import ops
from audioconv._types import Array
from audioconv.errors import ConfigError
from audioconv.layers.base import Layer, Params, ParamShapes, Pass, Shape, check_axes, needs_axes, needs_channels


@dataclass(frozen=True)
class _Activation(Layer):
    """Base of the activations; `kind` is their key in `ops.ACTIVATIONS`."""

    kind: ClassVar[str]

    def infer_shape(self, in_shape: Shape) -> Shape:
        return in_shape

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        return ops.activate(x, self.kind, getattr(self, "slope", 0.0)), x if run.training else None

    def backward(self, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        return ops.activate_input_gradient(saved, dy, self.kind, getattr(self, "slope", 0.0)), {}


@dataclass(frozen=True)
class ReLU(_Activation):
    """Rectified linear unit: ``max(x, 0)``."""

    kind: ClassVar[str] = "relu"


@dataclass(frozen=True)
class LeakyReLU(_Activation):
    """``x`` above zero, ``slope * x`` below."""

    kind: ClassVar[str] = "leaky_relu"
    slope: float = 0.01


@dataclass(frozen=True)
class Sigmoid(_Activation):
    """``1 / (1 + exp(-x))``."""

    kind: ClassVar[str] = "sigmoid"


@dataclass(frozen=True)
class SiLU(_Activation):
    """``x * sigmoid(x)``, also known as swish (Ramachandran et al., 2017)."""

    kind: ClassVar[str] = "silu"


@dataclass(frozen=True)
class Tanh(_Activation):
    """Hyperbolic tangent."""

    kind: ClassVar[str] = "tanh"


@dataclass(frozen=True)
class _Elementwise(Layer):
    """A function of each number; outside of compiled networks NumPy computes value and derivative."""

    def infer_shape(self, in_shape: Shape) -> Shape:
        return in_shape

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        return self._value(x), x if run.training else None

    def backward(self, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        return dy * self._derivative(saved), {}

    def _value(self, x: Array) -> Array:
        raise NotImplementedError

    def _derivative(self, x: Array) -> Array:
        raise NotImplementedError


@dataclass(frozen=True)
class Clamp(_Elementwise):
    """``min(max(x, low), high)``; the gradient passes where x lies in the closed interval.

    Parameters
    ----------
    low, high : float, optional
        Bounds; None for no bound on that side. ReLU6 is ``Clamp(0, 6)``.
    """

    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ConfigError(f"Clamp: low must be at most high, got {self.low} and {self.high}")

    def _value(self, x: Array) -> Array:
        if self.low is None and self.high is None:
            return x
        low, high = (None if bound is None else np.float32(bound) for bound in (self.low, self.high))
        y: Array = np.clip(x, low, high)
        return y

    def _derivative(self, x: Array) -> Array:
        inside = np.ones(x.shape, bool)
        if self.low is not None:
            inside &= x >= np.float32(self.low)
        if self.high is not None:
            inside &= x <= np.float32(self.high)
        return inside.astype(np.float32)


@dataclass(frozen=True)
class HardSigmoid(_Elementwise):
    """``min(max(slope * x + shift, 0), 1)``: a sigmoid of straight lines (Courbariaux et al., 2015)."""

    slope: float = 1 / 6
    shift: float = 0.5

    def _value(self, x: Array) -> Array:
        y: Array = np.clip(np.float32(self.slope) * x + np.float32(self.shift), np.float32(0), np.float32(1))
        return y

    def _derivative(self, x: Array) -> Array:
        line = np.float32(self.slope) * x + np.float32(self.shift)
        return np.where((line > 0) & (line < 1), np.float32(self.slope), np.float32(0))


@dataclass(frozen=True)
class HardSwish(_Elementwise):
    """``x * min(max(x / 6 + 1/2, 0), 1)`` (Howard et al., 2019)."""

    def _value(self, x: Array) -> Array:
        return x * np.clip(x / np.float32(6) + np.float32(0.5), np.float32(0), np.float32(1))

    def _derivative(self, x: Array) -> Array:
        return np.where(x <= -3, np.float32(0), np.where(x >= 3, np.float32(1), x / np.float32(3) + np.float32(0.5)))


@dataclass(frozen=True)
class ELU(_Elementwise):
    """``x`` above zero, ``alpha * (exp(x) - 1)`` below (Clevert et al., 2016)."""

    alpha: float = 1.0

    def _value(self, x: Array) -> Array:
        return np.where(x > 0, x, np.float32(self.alpha) * np.expm1(np.minimum(x, np.float32(0))))

    def _derivative(self, x: Array) -> Array:
        return np.where(x > 0, np.float32(1), np.float32(self.alpha) * np.exp(np.minimum(x, np.float32(0))))


@dataclass(frozen=True)
class Power(_Elementwise):
    """``(scale * x + shift) ** power`` with fixed numbers: squares, roots, reciprocals, shifts, changes of scale."""

    power: float = 1.0
    scale: float = 1.0
    shift: float = 0.0

    def _value(self, x: Array) -> Array:
        y = np.float32(self.scale) * x + np.float32(self.shift)
        return y if self.power == 1 else y ** np.float32(self.power)

    def _derivative(self, x: Array) -> Array:
        if self.power == 1:
            return np.full(x.shape, self.scale, np.float32)
        y = np.float32(self.scale) * x + np.float32(self.shift)
        return np.float32(self.power * self.scale) * y ** np.float32(self.power - 1)


@dataclass(frozen=True)
class PReLU(Layer):
    """Leaky ReLU whose slope below zero is learned (He et al., 2015).

    Parameters
    ----------
    shared : bool
        Whether all channels share one slope; otherwise each channel has its own.

    Notes
    -----
    The parameter is ``weight``, ``(channels,)`` or ``(1,)``, 0.25 at first.
    """

    shared: bool = False

    def infer_shape(self, in_shape: Shape) -> Shape:
        needs_channels(in_shape)
        return in_shape

    def param_shapes(self, in_shape: Shape) -> ParamShapes:
        self.out_shape(in_shape)
        return {"weight": (1 if self.shared else in_shape[-1],)}

    def init(self, in_shape: Shape, rng: np.random.Generator) -> Params:
        return {"weight": np.full(self.param_shapes(in_shape)["weight"], 0.25, np.float32)}

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        return np.where(x > 0, x, params["weight"] * x), x if run.training else None

    def backward(self, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        x, weight = saved, params["weight"]
        dx = np.where(x > 0, dy, weight * dy)
        by_slope = ops.as_input(np.where(x > 0, np.float32(0), x * dy)).reshape(-1, x.shape[-1])
        sums = by_slope.sum(axis=0, dtype=np.float64)
        return dx, {"weight": (sums.sum(keepdims=True) if self.shared else sums).astype(np.float32)}


@dataclass(frozen=True)
class Softmax(Layer):
    """Probabilities: ``exp(x)`` divided by its sum along one axis.

    Parameters
    ----------
    axis : int
        Counted from the end: -1 for the channels.
    log : bool
        Whether to return the logarithm of the probabilities.
    """

    axis: int = -1
    log: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_axes((self.axis,), "Softmax")

    def infer_shape(self, in_shape: Shape) -> Shape:
        needs_axes(in_shape, -self.axis)
        return in_shape

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        x = ops.as_input(x)
        y = x - x.max(axis=self.axis, keepdims=True)
        if self.log:
            y -= np.log(np.exp(y).sum(axis=self.axis, keepdims=True))
        else:
            np.exp(y, out=y)
            y /= y.sum(axis=self.axis, keepdims=True)
        return y, y if run.training else None

    def backward(self, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        y, dy = saved, ops.as_input(dy)
        if self.log:
            return dy - np.exp(y) * dy.sum(axis=self.axis, keepdims=True), {}
        return y * (dy - (y * dy).sum(axis=self.axis, keepdims=True)), {}
