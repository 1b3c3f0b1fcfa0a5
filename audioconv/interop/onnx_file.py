"""ONNX files as plain nodes and arrays. Nothing of a file is executed, and no more is read than the limits allow."""

from __future__ import annotations

import json
import math
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from audioconv._types import Array, StrPath
from audioconv.errors import DataError, ModelFileError, missing_extra
from audioconv.interop.files import MAX_BYTES, read_limited
from audioconv.interop.nodes import Node, NodeGraph
from audioconv.io.files import display_path, reason

MAX_NODES = 100_000

NETWORK = "audioconv_network"
"""Key in the metadata of files that audioconv wrote: the network's input, with its shape, and its output, as JSON."""

FLOATS = ("float32", "float16", "float64", "bfloat16")


def read_graph(path: StrPath) -> NodeGraph:
    """Return the graph in the ONNX file `path`.

    Arrays outside the file are read from the file's own folder only.

    Raises
    ------
    DataError
        If the file is missing or cannot be read.
    ModelFileError
        If it is not a whole ONNX model, or holds something that is not read, such as arrays elsewhere.
    MissingExtraError
        If the package onnx is not installed.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        raise missing_extra("reading ONNX files", "interop") from None
    shown = display_path(path)
    content = read_limited(path)
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError:
        raise ModelFileError(f"{shown}: truncated or damaged, or not an ONNX file") from None
    if not model.graph.node or not model.opset_import:
        raise ModelFileError(f"{shown}: not an ONNX file: it has no nodes or no operator set")
    if len(model.graph.node) > MAX_NODES:
        raise ModelFileError(f"{shown}: {len(model.graph.node):,} nodes; at most {MAX_NODES:,} are read")
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    arrays = _Arrays(Path(os.path.realpath(path)).parent, shown)
    try:
        constants = {tensor.name: arrays.read(tensor) for tensor in model.graph.initializer}
        nodes = [_node(proto, number, arrays) for number, proto in enumerate(model.graph.node)]
        inputs = {
            value.name: _shape(value) for value in model.graph.input if value.name not in constants
        }  # fmt: skip
    except (ValueError, TypeError, KeyError, OverflowError, AttributeError) as error:
        raise ModelFileError(f"{shown}: damaged: {' '.join(str(error).split())[:200]}") from None
    if model.graph.sparse_initializer:
        raise ModelFileError(f"{shown}: sparse arrays are not supported; write the model with dense ones")
    opset = opsets.get("", opsets.get("ai.onnx", 0))
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    return NodeGraph(opset, nodes, constants, inputs, [value.name for value in model.graph.output], metadata)


def own_network(graph: NodeGraph) -> NodeGraph:
    """Return the part of a file of audioconv's own that is the model's network; other graphs as they are.

    Around it lie the front end and the decision, which no layers stand for.
    """
    try:
        told = json.loads(graph.metadata[NETWORK])
        begin, shape, end = str(told["input"]), [int(size) for size in told["shape"]], str(told["output"])
    except (KeyError, TypeError, ValueError):
        return graph
    if end not in {name for node in graph.nodes for name in node.outputs}:
        return graph
    nodes = [node for node in graph.nodes if begin not in node.outputs]
    return replace(graph, nodes=nodes, inputs={**graph.inputs, begin: (None, *shape)}, outputs=[end])


class _Arrays:
    """Reads tensors; those outside the file from its `folder` alone."""

    def __init__(self, folder: Path, shown: str) -> None:
        self._folder, self._shown = folder, shown
        self._left = MAX_BYTES

    def read(self, tensor: Any) -> Array:
        """Return the array of a TensorProto; floating-point numbers as float32."""
        import onnx
        from onnx import numpy_helper

        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        size = math.prod(tensor.dims) * dtype.itemsize
        if size < 0 or size > self._left or len(tensor.dims) > 8:
            raise ModelFileError(
                f"{self._shown}: array {tensor.name!r} of shape {tuple(tensor.dims)} is too large; "
                f"at most {MAX_BYTES:,} bytes are read"
            )
        self._left -= size
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            array = self._external(tensor, size).view(dtype).reshape(tuple(tensor.dims))
        else:
            array = numpy_helper.to_array(tensor)
        if array.dtype.name in FLOATS:
            return np.asarray(array, np.float32)
        if array.dtype.kind in "iub":
            return array
        raise ModelFileError(
            f"{self._shown}: array {tensor.name!r} has elements of type {array.dtype.name}, which are not supported; "
            "write the model in float32"
        )

    def _external(self, tensor: Any, size: int) -> Array:
        """Return the bytes of an array that lies in another file of the model's folder."""
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        path = Path(os.path.realpath(self._folder / location))
        if not location or Path(location).is_absolute() or self._folder not in path.parents:
            raise ModelFileError(
                f"{self._shown}: array {tensor.name!r} lies in {display_path(location)}, outside the model's folder; "
                "only files in this folder are read"
            )
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", size))
        if offset < 0 or length != size:
            raise ModelFileError(f"{self._shown}: array {tensor.name!r} has {size:,} bytes, its file says {length:,}")
        try:
            with open(path, "rb") as file:
                about = os.fstat(file.fileno())
                if not stat.S_ISREG(about.st_mode) or about.st_size < offset + size:
                    raise ModelFileError(f"{display_path(path)}: too short for the arrays of {self._shown}")
                file.seek(offset)
                return np.frombuffer(file.read(size), np.uint8)
        except OSError as error:
            raise DataError(f"{display_path(path)}: cannot be read ({reason(error)})") from None


def _node(proto: Any, number: int, arrays: _Arrays) -> Node:
    import onnx

    attributes: dict[str, Any] = {}
    for attribute in proto.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, onnx.TensorProto):
            value = arrays.read(value)
        elif isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        attributes[attribute.name] = value
    operator = proto.op_type if proto.domain in ("", "ai.onnx") else f"{proto.domain}.{proto.op_type}"
    name = proto.name or (proto.output[0] if proto.output else f"number {number}")
    return Node(operator, name, tuple(proto.input), tuple(proto.output), attributes)


def _shape(value: Any) -> tuple[int | None, ...]:
    tensor = value.type.tensor_type
    return tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim)
