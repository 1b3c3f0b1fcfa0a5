"""Predictions for many examples, which several processes share; all of them get the same bits."""

from __future__ import annotations

import numpy as np

from audioconv._types import Array
from audioconv.audio.windows import Windows
from audioconv.cluster.processes import Processes
from audioconv.model import BATCH_SIZE, Model


def logits(model: Model, x: Array | Windows, processes: Processes) -> Array:
    """Return what `Model.predict_logits` does, of which each process computes some rows."""
    if not len(x):
        return model.predict_logits(x)

    def some(part: slice) -> Array:
        rows = x.select(np.arange(len(x))[part]) if isinstance(x, Windows) else x[part]
        return model.predict_logits(rows)

    return processes.rows(len(x), BATCH_SIZE, some)


def probabilities(model: Model, x: Array | Windows, processes: Processes) -> Array:
    """Return what `Model.predict` does, of which each process computes some rows."""
    return model.decision.probabilities(model.labels, logits(model, x, processes))
