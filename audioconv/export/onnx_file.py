"""ONNX files: a model as one graph, and what ONNX Runtime computes with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from audioconv._types import Array
from audioconv._version import __version__
from audioconv.errors import missing_extra
from audioconv.export import onnx_nodes
from audioconv.export.onnx_writer import OPSET, NodeSpec, NodeWriter
from audioconv.export.operations import Graph
from audioconv.interop.onnx_file import NETWORK

IR_VERSION = 8
"""Version of the file format; programs of 2021 read it."""

BATCH = "N"


def write(graph: Graph, facts: Mapping[str, Any], *, any_batch: bool = True) -> bytes:
    """Return the ONNX file of a described model.

    Parameters
    ----------
    graph : Graph
    facts : mapping
        Goes into ``metadata_props``: each value as JSON under its key.
    any_batch : bool
        Whether the size of the batch is open; it is 1 otherwise. Default: True.

    Raises
    ------
    ExportError
        If ONNX files cannot hold an operation; names the layer.
    MissingExtraError
        If the package onnx is not installed.
    """
    try:
        import onnx
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        raise missing_extra("writing ONNX files", "export") from None
    batch = BATCH if any_batch else 1
    writer, names = _written(graph)
    nodes = [
        helper.make_node(node.operator, list(node.inputs), [node.output], node.name, **node.attributes)
        for node in _renamed(writer.nodes, names)
    ]
    outputs = [
        helper.make_tensor_value_info(
            name, TensorProto.INT64 if name == "answer" else TensorProto.FLOAT, [batch, *tensor.shape]
        )
        for name, tensor in graph.outputs.items()
    ]
    made = helper.make_graph(
        nodes,
        "audioconv",
        [helper.make_tensor_value_info(graph.input.name, TensorProto.FLOAT, [batch, *graph.input.shape])],
        outputs,
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in writer.constants.items()],
    )
    model = helper.make_model(
        made,
        producer_name="audioconv",
        producer_version=__version__,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    network = {
        "input": names[writer.name_of(graph.network_input)],
        "shape": [graph.network_input.shape[axis] for axis in writer.held(graph.network_input).order],
        "output": names[writer.name_of(graph.logits)],
    }
    metadata = {**facts, NETWORK: network}
    helper.set_model_props(model, {key: json.dumps(value) for key, value in metadata.items()})
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _written(graph: Graph) -> tuple[NodeWriter, dict[str, str]]:
    """Return the nodes, and the names in the file of tensors that are known outside by other names."""
    writer = NodeWriter(graph.input)
    for step in graph.steps:
        if graph.network_input in step.inputs:
            writer.held(graph.network_input)  # the network begins with this order of axes, whatever its first layer
        onnx_nodes.write(writer, step)
    names = {writer.channels_last(tensor): name for name, tensor in graph.outputs.items()}
    for tensor, name in ((graph.network_input, "network_input"), (graph.logits, "logits")):
        held = writer.name_of(tensor)
        names.setdefault(held, held if held == graph.input.name else name)
    return writer, names


def _renamed(nodes: list[NodeSpec], names: Mapping[str, str]) -> list[NodeSpec]:
    return [
        replace(
            node,
            inputs=tuple(names.get(name, name) for name in node.inputs),
            output=names.get(node.output, node.output),
        )
        for node in nodes
    ]


class Runner:
    """Runs an ONNX file: by ONNX Runtime if it is installed, otherwise by the reference of the package onnx."""

    def __init__(self, content: bytes) -> None:
        self._run: Callable[[Array], Any]
        try:
            import onnxruntime
        except ImportError:
            from onnx.reference import ReferenceEvaluator

            evaluator: Any = ReferenceEvaluator(content)
            self.program = "the reference of onnx"
            self._run = lambda x: evaluator.run(None, {evaluator.input_names[0]: x})
            self._names = [str(name) for name in evaluator.output_names]
            return
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1  # more threads than processors that this process may use would wait actively
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self.program = f"ONNX Runtime {onnxruntime.__version__}"
        self._run = lambda x: session.run(None, {session.get_inputs()[0].name: x})
        self._names = [output.name for output in session.get_outputs()]

    def __call__(self, x: Array) -> dict[str, Array]:
        """Return the outputs by name for an input (N, ...) float32."""
        return dict(zip(self._names, self._run(np.ascontiguousarray(x, np.float32)), strict=True))
