"""Predictions for many examples, which several processes share; all of them get the same bits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from audioconv._types import Array
from audioconv.audio.shared_windows import hold
from audioconv.audio.windows import Windows
from audioconv.cluster.processes import Processes
from audioconv.model import BATCH_SIZE, Model


def rows(x: Array | Windows, compute: Callable[[Array | Windows], Array], processes: Processes) -> Array:
    """Return what `compute` gives for examples, a row each, of which each process computes some batches."""
    if not len(x):
        return compute(x)
    own = processes.share(-(-len(x) // BATCH_SIZE))
    hold(x, range(own.start * BATCH_SIZE, min(len(x), own.stop * BATCH_SIZE)))

    def some(part: slice) -> Array:
        return compute(x.select(np.arange(len(x))[part]) if isinstance(x, Windows) else x[part])

    return processes.rows(len(x), BATCH_SIZE, some)


def logits(model: Model, x: Array | Windows, processes: Processes) -> Array:
    """Return what `Model.predict_logits` does, of which each process computes some rows."""
    return rows(x, model.predict_logits, processes)


def probabilities(model: Model, x: Array | Windows, processes: Processes) -> Array:
    """Return what `Model.predict` does, of which each process computes some rows."""
    return model.decision.probabilities(model.labels, logits(model, x, processes))
