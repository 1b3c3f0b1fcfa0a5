"""Arrays as kernels take them: one kind, and 2-D."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audioconv.errors import ShapeError

Array = NDArray[np.float32]


def as_input(x: ArrayLike, ndim: int | None = None, name: str = "x") -> Array:
    """Return `x` as an array that kernels take: float32, contiguous, writable (a read-only one is copied).

    Numba compiles a kernel anew for each kind of array, so there shall be one kind.
    """
    array: Array = np.require(x, np.float32, ["C", "A", "W"])
    if ndim is not None and array.ndim != ndim:
        raise ShapeError(f"{name} must have {ndim} axes, got shape {array.shape}")
    return array


def check_gradient(dy: Array, shape: Sequence[int]) -> None:
    """Raise `ShapeError` unless `dy` has the `shape` of the output: kernels would read beyond its end."""
    if dy.shape != tuple(shape):
        raise ShapeError(f"the gradient by an output of shape {tuple(shape)} must have that shape, got {dy.shape}")


def lift_size(size: Sequence[int]) -> tuple[int, int]:
    """Return the spatial size `size` as height and width; the height of a 1-D one is 1."""
    return (1, size[0]) if len(size) == 1 else (size[0], size[1])


def lift(x: Array) -> Array:
    """Return the 1-D batch (N, T, C) as 2-D with height 1; a 2-D one as it is."""
    return x[:, None] if x.ndim == 3 else x


def lift_weight(weight: Array) -> Array:
    """Return 1-D kernels (R, C/groups, K) as 2-D ones with height 1; 2-D ones as they are."""
    return weight[None] if weight.ndim == 3 else weight
