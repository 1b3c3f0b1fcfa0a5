"""Networks of other frameworks as layers and parameters, without these frameworks."""

from audioconv.interop.imported import Imported
from audioconv.interop.onnx import read_onnx

__all__ = ["Imported", "read_onnx"]
