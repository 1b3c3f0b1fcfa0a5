"""Checks that front ends share: of their settings, and of the samples that they take."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audioconv._types import Samples
from audioconv.errors import ConfigError, DataError, ShapeError


def as_batch(samples: ArrayLike) -> Samples:
    """Return `samples` as (N, T) float32 that the kernels take."""
    array = np.asarray(samples)
    if array.ndim not in (1, 2) or array.shape[-1] == 0:
        raise ShapeError(f"a front end takes samples of shape (clips, time) or (time,), got {array.shape}")
    check_floating(array)
    return np.require(np.atleast_2d(array), np.float32, ["C", "A"])


def check_floating(samples: NDArray[Any]) -> None:
    """Raise `DataError` if the samples are integers."""
    if not np.issubdtype(samples.dtype, np.floating):
        raise DataError(
            f"samples must be floating point with full scale 1, got {samples.dtype}; "
            "divide 16-bit integers by 32768, for example"
        )


def check_sample_count(sample_count: int) -> None:
    """Raise `ShapeError` for a clip without a sample."""
    if sample_count < 1:
        raise ShapeError(f"a clip needs at least one sample, got {sample_count}")


def check_integer(kind: str, name: str, value: Any, minimum: int = 1) -> None:
    """Raise `ConfigError` unless a setting of the front end `kind` is an integer from `minimum` on."""
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise ConfigError(f"{kind}: {name} must be an integer >= {minimum}, got {value!r}")


def check_number(kind: str, name: str, value: Any) -> None:
    """Raise `ConfigError` unless a setting of the front end `kind` is a finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ConfigError(f"{kind}: {name} must be a finite number, got {value!r}")
