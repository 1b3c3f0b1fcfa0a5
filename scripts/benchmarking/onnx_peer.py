"""ONNX Runtime's part: the same networks with the same weights, written as ONNX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from audioconv import layers as L
from benchmarking.ours import CLASSES, Case, channels_first

Array = NDArray[Any]

OPSET, IR_VERSION = 17, 8  # of 2022: every ONNX Runtime that there is for these versions of Python reads them


def forward(case: Case, batch: int, threads: int) -> Callable[[], Array]:
    """Return what classifies the first `batch` examples on `threads` threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    model = graph(case, batch).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    x = np.moveaxis(case.x[:batch], -1, 1).copy()
    return lambda: session.run(None, {"x": x})[0]


def graph(case: Case, batch: int) -> onnx.ModelProto:
    """Return the network for batches of that size: ONNX Runtime can plan more where all sizes are known."""
    nodes: list[onnx.NodeProto] = []
    params = channels_first(case, case.params)

    def emit(layer: L.Layer, path: str, in_shape: tuple[int, ...], x: str) -> str:
        """Add the nodes of `layer` and return the name of its output."""
        prefix = f"{path}." if path else ""

        def node(kind: str, *names: str, inputs: tuple[str, ...] = (x,), **attributes: Any) -> str:
            weights = [prefix + name for name in names if prefix + name in params]
            output = f"{prefix}{kind}"
            nodes.append(helper.make_node(kind, [*inputs, *weights], [output], **attributes))
            return output

        match layer:
            case L.Chain():
                for name, part, shape in layer.parts(in_shape):
                    x = emit(part, prefix + name, shape, x)
                return x
            case L.Residual():
                ends = tuple(emit(part, prefix + name, shape, x) for name, part, shape in layer.parts(in_shape))
                return node("Add", inputs=ends)
            case L.Conv():
                window = layer.window(len(in_shape) - 1)
                pads = [before for before, _ in window.padding] + [after for _, after in window.padding]
                return node(
                    "Conv",
                    "weight",
                    "bias",
                    kernel_shape=window.kernel,
                    strides=window.stride,
                    dilations=window.dilation,
                    pads=pads,
                    group=layer.groups,
                )
            case L.BatchNorm():
                names = ("weight", "bias", "running_mean", "running_var")
                return node("BatchNormalization", *names, epsilon=layer.epsilon)
            case L.ReLU():
                return node("Relu")
            case L.MaxPool():
                size = layer.size if isinstance(layer.size, tuple) else (layer.size,) * (len(in_shape) - 1)
                if layer.stride is not None or layer.padding != 0:
                    break_off(layer)
                return node("MaxPool", kernel_shape=size, strides=size)
            case L.GlobalAvgPool():
                return node("Flatten", inputs=(node("GlobalAveragePool"),))
            case L.Flatten():
                return node("Flatten")
            case L.Dense():
                return node("Gemm", "weight", "bias", transB=1)
            case L.Identity():
                return x
        return break_off(layer)

    output = emit(case.network, "", case.in_shape, "x")
    x_shape = (batch, case.in_shape[-1], *case.in_shape[:-1])
    made = helper.make_graph(
        nodes,
        case.name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x_shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, (batch, CLASSES))],
        [numpy_helper.from_array(array, path) for path, array in params.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return model


def break_off(layer: L.Layer) -> str:
    """Raise, since this file has no ONNX for the layer."""
    raise TypeError(f"the benchmark knows no {layer.label()} of ONNX's")
