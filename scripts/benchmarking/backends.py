"""The peers that are installed. Imported before audioconv, always.

PyTorch brings an OpenMP library of its own, but if Numba has loaded one before, PyTorch takes that: with the settings
that audioconv made for itself (waiting threads sleep), which are not what a user of PyTorch has.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from types import ModuleType
from typing import Any

INSTALL = {
    "torch": "pip install torch==2.13.0, the build for processors",
    "onnxruntime": "pip install '.[bench]'",
    "onnx": "pip install '.[bench]'",
    "librosa": "pip install '.[bench]'",
}
"""The peers, and how to install them; onnx writes what ONNX Runtime reads."""


def _load(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


torch: Any = _load("torch")
"""None where it is not installed."""


def missing() -> list[str]:
    """Return the peers that are not installed, or do not work."""
    return [name for name in INSTALL if _load(name) is None]


def versions() -> dict[str, str]:
    """Return the version of each peer that is there, and of what audioconv stands on."""
    found = {}
    for name in (*INSTALL, "numpy", "numba", "llvmlite", "rocket-fft"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
