"""Trained models as files of other programs.

`description` says a model as a list of operations with constants, the layers by the table in `layers`; `onnx_nodes`
writes these in the terms of ONNX, `tflite_operators` in those of TFLite, and `c99` as source.
`exporting` compares a file with its model before it is written.
"""

from audioconv.export.exporting import FORMATS, Exported, export

__all__ = ["FORMATS", "Exported", "export"]
