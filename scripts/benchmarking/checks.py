"""Whether a result is right, before anybody asks how long it took."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

TOLERANCE = 1e-4
"""Greatest error of a float32 result, as a share of its Euclidean norm."""

KINKS = 2e-2
"""The same for the gradients of a whole network. They jump where a number before a ReLU changes its sign, or another
one wins a max-pool, and of a million such numbers rounding moves a few across: PyTorch's own float32 gradients of `cnn`
and `ds-cnn-s` are off by up to 5e-3. Networks without such an accident agree to 1e-6."""


class WrongResultError(Exception):
    """What was computed differs from the reference."""


def check_array(what: str, found: Array, expected: Array, tolerance: float = TOLERANCE, slack: float = 0.0) -> None:
    """Raise `WrongResultError` unless both agree up to `tolerance` of the expected norm, plus `slack`."""
    if found.shape != expected.shape:
        raise WrongResultError(f"{what}: has shape {found.shape}, should have {expected.shape}")
    error = float(np.linalg.norm(np.subtract(found, expected, dtype=np.float64)))
    allowed = tolerance * float(np.linalg.norm(expected.astype(np.float64))) + slack
    if not error <= allowed:  # also where it is NaN
        raise WrongResultError(f"{what}: differs from the reference by {error:.3g}, at most {allowed:.3g} is right")


def check_training(
    what: str,
    losses: list[float],
    gradients: Mapping[str, Array],
    expected_losses: list[float],
    expected_gradients: Mapping[str, Array],
) -> None:
    """Check the gradients of the first step and the losses of all.

    A gradient's error is measured against its own norm, plus a little of the norm of all: that of a bias before a
    batch normalisation is zero but for rounding. Losses of later steps carry what came before.
    """
    if gradients.keys() != expected_gradients.keys():
        raise WrongResultError(f"{what}: has gradients {sorted(gradients)}, should have {sorted(expected_gradients)}")
    check_array(f"{what}: first loss", np.array(losses[:1]), np.array(expected_losses[:1]))
    everything = float(np.sqrt(sum(np.sum(np.square(g, dtype=np.float64)) for g in expected_gradients.values())))
    for path, expected in expected_gradients.items():
        check_array(f"{what}: gradient of {path}", gradients[path], expected, KINKS, 1e-5 * everything)
    check_array(f"{what}: later losses", np.array(losses), np.array(expected_losses), 10 * TOLERANCE)
