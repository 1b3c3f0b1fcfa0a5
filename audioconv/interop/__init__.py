"""Networks of other frameworks as layers and parameters, without these frameworks; and models for them.

>>> from audioconv import interop
>>> found = interop.read("network.onnx", until="layer3")  # doctest: +SKIP
>>> y, _ = found.network.forward(found.params, x, Pass())  # doctest: +SKIP
>>> interop.export("model.safetensors", "model.onnx")  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import Any

from audioconv.interop.caffe import read_caffe
from audioconv.interop.imported import Imported
from audioconv.interop.keras import read_keras
from audioconv.interop.onnx import read_onnx
from audioconv.interop.reading import NETWORKS, WEIGHTS, read
from audioconv.interop.weights import arrays_of, read_weights

__all__ = [
    "NETWORKS",
    "WEIGHTS",
    "Imported",
    "arrays_of",
    "export",
    "read",
    "read_caffe",
    "read_keras",
    "read_onnx",
    "read_weights",
]


def __getattr__(name: str) -> Any:
    if name == "export":  # of a package that imports this one
        return importlib.import_module("audioconv.export").export
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
