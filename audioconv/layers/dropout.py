"""Dropout of single numbers and of whole channels (Srivastava et al., 2014; Tompson et al., 2015)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from audioconv import ops
from audioconv._types import Array
from audioconv.errors import ConfigError
from audioconv.layers.base import Layer, Params, Pass, Shape


@dataclass(frozen=True)
class Dropout(Layer):
    """In training, zero each number with probability `rate` and scale the others by ``1 / (1 - rate)``.

    No mask is kept: the backward pass draws the same numbers again from the same seed.
    """

    rate: float = 0.5

    whole_channels: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.rate < 1:
            raise ConfigError(f"{type(self).__name__}: rate must be at least 0 and below 1, got {self.rate}")

    def infer_shape(self, in_shape: Shape) -> Shape:
        return in_shape

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        if not run.training or self.rate == 0:
            return x, None
        seed = run.draw_seed()
        return ops.dropout(x, seed, self.rate, self.whole_channels), seed

    def backward(self, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        return (dy if saved is None else ops.dropout(dy, saved, self.rate, self.whole_channels)), {}


@dataclass(frozen=True)
class ChannelDropout(Dropout):
    """`Dropout` of whole channels: all pixels of an example's channel are kept or zeroed together."""

    whole_channels: ClassVar[bool] = True
