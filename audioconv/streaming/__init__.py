"""Keyword detection in streams and long recordings, and its false accepts and misses."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audioconv.streaming.detector import Detector
    from audioconv.streaming.evaluate import score_recordings
    from audioconv.streaming.label_tracks import read_labels, write_labels
    from audioconv.streaming.offline import detect
    from audioconv.streaming.picker import Detection

# Public names and where they live, imported on first use: reading a label track must not wait for Numba.
_HOMES = {
    "Detection": "picker",
    "Detector": "detector",
    "detect": "offline",
    "read_labels": "label_tracks",
    "score_recordings": "evaluate",
    "write_labels": "label_tracks",
}

__all__ = ["Detection", "Detector", "detect", "read_labels", "score_recordings", "write_labels"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"audioconv.streaming.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'audioconv.streaming' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
