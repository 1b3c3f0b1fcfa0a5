"""Networks of other frameworks as layers and parameters, without these frameworks.

>>> from audioconv import interop
>>> found = interop.read("network.onnx", until="layer3")  # doctest: +SKIP
>>> y, _ = found.network.forward(found.params, x, Pass())  # doctest: +SKIP
"""

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
    "read",
    "read_caffe",
    "read_keras",
    "read_onnx",
    "read_weights",
]
