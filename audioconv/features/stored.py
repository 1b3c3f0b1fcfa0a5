"""`StoredFeatures`: features of some training clips as a model file keeps them, in 8 bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Array
from audioconv.errors import ConfigError

LEVELS = 255
"""Steps between the lowest and the highest value of a band."""

MAX_BYTES = 500_000
"""Size of all stored features together."""


@dataclass(frozen=True, eq=False)
class StoredFeatures:
    """Features ``low + step * codes``, from which exported files get the ranges of their 8-bit integers.

    Parameters
    ----------
    codes : array (N, *feature_shape) uint8
    low, step : array (bands,) float32
        Lowest value and step size of each band, the last axis of the features.

    Raises
    ------
    ConfigError
        If the arrays do not fit together.
    """

    codes: NDArray[np.uint8]
    low: Array
    step: Array

    def __post_init__(self) -> None:
        bands = self.codes.shape[-1:]
        if self.codes.dtype != np.uint8 or self.codes.ndim < 2 or not len(self.codes):
            raise ConfigError(f"stored features must be (N, *feature_shape) uint8, got {_described(self.codes)}")
        for name in ("low", "step"):
            array = getattr(self, name)
            if array.shape != bands or array.dtype != np.float32 or not np.isfinite(array).all():
                raise ConfigError(f"{name} of stored features must be {bands} finite float32, got {_described(array)}")

    @classmethod
    def of(cls, features: Array) -> Self:
        """Return features (N, *feature_shape) float32 in 8 bits; the error is at most half a step."""
        axes = tuple(range(features.ndim - 1))
        low = features.min(axis=axes)
        step = ((features.max(axis=axes) - low) / np.float32(LEVELS)).astype(np.float32)
        codes = np.rint((features - low) / np.where(step > 0, step, 1)).clip(0, LEVELS).astype(np.uint8)
        return cls(codes, low.astype(np.float32), step)

    def features(self) -> Array:
        """Return the features (N, *feature_shape) float32."""
        features: Array = self.low + self.step * self.codes.astype(np.float32)
        return features


def stored_count(feature_size: int, wanted: int) -> int:
    """Return how many examples with so many features each are stored, at most `wanted`.

    >>> stored_count(101 * 40, 200), stored_count(16000, 200)
    (123, 31)
    """
    return min(wanted, MAX_BYTES // feature_size)


def _described(array: NDArray[np.generic]) -> str:
    return f"{array.shape} {array.dtype}"
