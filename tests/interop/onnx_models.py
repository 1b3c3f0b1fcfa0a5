"""Small ONNX files, and what ONNX Runtime makes of them."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from audioconv import interop
from audioconv import layers as L


def node(operator, inputs, output="y", **attributes):
    name = f"the {operator}" if output == "y" else f"{operator} of {output}"
    return helper.make_node(operator, inputs, [output], name=name, **attributes)


def model(nodes, shape, constants=None, opset=17, batch="batch", output="y", inputs="x"):
    """Return a model from x (batch, *shape) to the tensor `output`; `constants` are arrays by name."""
    initializers = [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()]
    graph = helper.make_graph(
        nodes, "test",
        [helper.make_tensor_value_info(inputs, TensorProto.FLOAT, [batch, *shape])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        initializers,
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    made.ir_version = 8
    return made


def save(made, folder, name="network.onnx"):
    path = folder / name
    onnx.save(made, path)
    return path


def run_onnx(path, x):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def run_layers(found, x):
    """Return the output of an imported network, with the file's order of axes on both sides."""
    y, _ = found.network.forward(found.params, found.from_file_order(x), L.Pass())
    return found.to_file_order(y)


def compare(path, shape, rng, batch=3, until=None, scale=1.0):
    """Assert that the layers compute what ONNX Runtime does; return the imported network and the largest difference."""
    found = interop.read_onnx(path, until=until)
    x = (scale * rng.standard_normal((batch, *shape))).astype(np.float32)
    wanted = run_onnx(path, x)
    y = run_layers(found, x)
    assert y.shape == wanted.shape
    assert y.dtype == np.float32
    largest = np.abs(wanted).max()
    difference = np.abs(y - wanted).max()
    assert difference <= 3e-6 * max(1, largest), (difference, largest)
    return found, difference
