"""The peers that are installed. Imported before audioconv, always.

PyTorch brings an OpenMP library of its own, but if Numba has loaded one before, PyTorch takes that: with the settings
that audioconv made for itself (waiting threads sleep), which are not what a user of PyTorch has.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import tempfile
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


def _narrow() -> bool:
    """Limit PyTorch to AVX2 where audioconv's vectors have 8 lanes on a processor with AVX-512; tell whether it is so.

    Processes that are started later inherit this.
    """
    if os.environ.get("AUDIOCONV_VECTOR_LANES") != "8":
        return False
    import llvmlite.binding

    if not llvmlite.binding.get_host_cpu_features().get("avx512f", False):
        return False
    os.environ.update(NARROW)
    # torch.compile finds its code by what it computes alone. Code for AVX-512 gives wrong results beside the rest.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", os.path.join(tempfile.gettempdir(), "torchinductor-avx2"))
    return True


NARROW = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
"""Settings of PyTorch and the libraries in it that limit them to AVX2. They are read when the libraries are loaded."""

narrowed = _narrow()

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
