"""Training of networks: data, losses, optimizers, schedules, checkpoints, and `fit`, for arrays of any kind."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audioconv.training.data import ArrayData, Dataset
    from audioconv.training.fitting import FitResult, fit
    from audioconv.training.trainer import DivergedError, evaluate_logits

# Public names and where they live, imported on first use: a table of epochs must not load Numba.
_HOMES = {
    "ArrayData": "data",
    "Dataset": "data",
    "DivergedError": "trainer",
    "FitResult": "fitting",
    "evaluate_logits": "trainer",
    "fit": "fitting",
}

__all__ = ["ArrayData", "Dataset", "DivergedError", "FitResult", "evaluate_logits", "fit"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"audioconv.training.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'audioconv.training' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
