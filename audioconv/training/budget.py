"""Number of epochs that fit into a time, measured on this machine."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv.layers.base import Layer, Params
from audioconv.training.data import Dataset
from audioconv.training.fitting import evaluate_logits, fit

TRIAL_BATCHES = 12
MARGIN = 0.9
"""Share of the budget that is planned for: a machine has other things to do as well."""


class _Some:
    """A part of a data set."""

    def __init__(self, data: Dataset, count: int) -> None:
        self._data, self.labels = data, data.labels[:count]

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: NDArray[Any], rng: np.random.Generator | None) -> NDArray[Any]:
        return self._data.batch(indices, rng)


def epochs_within(
    seconds: float, network: Layer, data: Dataset, validation: Dataset | None, params: Params | None, batch_size: int
) -> int:
    """Return how many epochs can be trained in so many seconds, at least one, measured on a few batches.

    Compiling comes before the measurement, and counts; the parameters found are thrown away.
    """
    begun = time.perf_counter()
    some = _Some(data, min(len(data), TRIAL_BATCHES * batch_size))
    tried = fit(network, some, epochs=2, batch_size=batch_size, params=params)
    epoch = tried.history[-1].seconds * len(data) / len(some)
    if validation is not None:
        watched = _Some(validation, min(len(validation), TRIAL_BATCHES * batch_size))
        evaluate_logits(network, tried.params, watched, batch_size)  # compiles
        before = time.perf_counter()
        evaluate_logits(network, tried.params, watched, batch_size)
        epoch += (time.perf_counter() - before) * len(validation) / len(watched)
    left = MARGIN * seconds - (time.perf_counter() - begun)
    return max(1, math.floor(left / epoch))
