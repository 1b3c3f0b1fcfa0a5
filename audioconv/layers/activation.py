"""Activations: one number in, one number out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from audioconv import ops
from audioconv._types import Array
from audioconv.layers.base import Layer, Params, Pass, Shape


@dataclass(frozen=True)
class _Activation(Layer):
    """What all activations share; `kind` is their key in `ops.ACTIVATIONS`."""

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
