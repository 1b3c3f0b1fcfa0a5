"""Caffe's ``.caffemodel``: a network and its weights in one protocol buffer (Jia et al., 2014, arXiv 1408.5093)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from audioconv._types import Array, StrPath
from audioconv.errors import ModelFileError
from audioconv.interop import protobuf
from audioconv.interop.errors import UnsupportedError
from audioconv.interop.files import read_limited
from audioconv.interop.imported import Imported
from audioconv.interop.network import network_of
from audioconv.interop.node_writer import NodeWriter
from audioconv.interop.protobuf import Message
from audioconv.io.files import display_path

# Numbers of fields in caffe.proto: of a network, of its layers in the present and in the old form.
_LAYERS, _OLD_LAYERS = 100, 2
_NEW = {"name": 1, "type": 2, "bottom": 3, "top": 4, "blobs": 7}
_OLD = {"name": 4, "type": 5, "bottom": 2, "top": 3, "blobs": 6}
_OLD_TYPES = {
    3: "Concat", 4: "Convolution", 5: "Data", 6: "Dropout", 8: "Flatten", 14: "InnerProduct", 15: "LRN", 17: "Pooling",
    18: "ReLU", 19: "Sigmoid", 20: "Softmax", 21: "SoftmaxWithLoss", 22: "Split", 23: "TanH", 25: "Eltwise",
    26: "Power", 1: "Accuracy",
}  # fmt: skip
# Where each layer's settings are, in the present and in the old form.
_SETTINGS = {
    "BatchNorm": (139, 0), "Concat": (104, 9), "Convolution": (106, 10), "ELU": (140, 0), "Eltwise": (110, 24),
    "Flatten": (135, 0), "InnerProduct": (117, 17), "Input": (143, 0), "PReLU": (131, 0), "Pooling": (121, 19),
    "Power": (122, 21), "ReLU": (123, 30), "Scale": (142, 0), "Softmax": (125, 39),
}  # fmt: skip
_DATA = {"Data", "ImageData", "HDF5Data", "MemoryData", "DummyData", "WindowData", "AnnotatedData"}
_TRAINING = {"SoftmaxWithLoss", "Accuracy", "EuclideanLoss", "HingeLoss", "SigmoidCrossEntropyLoss", "Silence"}


def read_caffe(
    path: StrPath, *, until: str | None = None, shape: Sequence[int] | None = None, open_size: int | None = None
) -> Imported:
    """Return the network in a ``.caffemodel`` as layers with its parameters.

    Parameters
    ----------
    path : path-like
    until : str, optional
        Name of the layer where to cut. Default: the network's only output.
    shape : sequence of int, optional
        Shape of the input without the batch, (C, H, W); needed where the network was saved with its data layer.
    open_size : int, optional
        As in `read_onnx`.

    Raises
    ------
    DataError, ModelFileError, ConfigError
        As `read_onnx`.
    """
    shown = display_path(path)
    network = _parsed(path, shown)
    try:
        writer, outputs = _Reader().graph(network)
    except UnsupportedError as error:
        raise error.in_file(shown) from None
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise ModelFileError(f"{shown}: damaged: {' '.join(str(error).split())[:200]}") from None
    return network_of(writer.graph(outputs), until, shape, shown, open_size)


def caffe_weights(path: StrPath) -> dict[str, tuple[str, list[Array]]]:
    """Return the type and the arrays of each layer that has some, in Caffe's order of axes, by the layer's name."""
    shown = display_path(path)
    found = {}
    try:
        for layer in _layers(_parsed(path, shown)):
            if layer.blobs:
                found[layer.name] = (layer.kind, layer.blobs)
    except ValueError as error:
        raise ModelFileError(f"{shown}: damaged: {error}") from None
    return found


def _parsed(path: StrPath, shown: str) -> Message:
    try:
        network = protobuf.parse(read_limited(path))
    except ValueError as error:
        raise ModelFileError(f"{shown}: truncated or damaged, or no Caffe model: {error}") from None
    if not network.get(_LAYERS) and not network.get(_OLD_LAYERS):
        raise ModelFileError(f"{shown}: not a Caffe model: it has no layers")
    return network


class _Layer:
    """A layer of the file."""

    def __init__(self, message: Message, fields: dict[str, int], is_old: bool) -> None:
        self.name = protobuf.text(message, fields["name"])
        kind = protobuf.integer(message, fields["type"], 0) if is_old else protobuf.text(message, fields["type"])
        self.kind = _OLD_TYPES.get(kind, f"number {kind}") if isinstance(kind, int) else kind
        self.bottoms, self.tops = (
            [value.decode("utf-8", "replace") for value in message.get(fields[key], []) if isinstance(value, bytes)]
            for key in ("bottom", "top")
        )
        self.blobs = [_blob(blob) for blob in protobuf.messages(message, fields["blobs"])]
        found = protobuf.messages(message, _SETTINGS.get(self.kind, (0, 0))[is_old])
        self.settings: Message = found[-1] if found else {}

    @property
    def place(self) -> str:
        """The layer as messages name it."""
        return f"layer {self.name!r} ({self.kind})"

    def blob(self, number: int) -> Array:
        """Return one of the layer's arrays."""
        if number >= len(self.blobs):
            raise UnsupportedError(
                f"has {len(self.blobs)} arrays in the file; at least {number + 1} are needed", self.place,
                "save the model with all of its arrays",
            )  # fmt: skip
        return self.blobs[number]

    def sizes(self, both: int, height: int, width: int, default: int) -> list[int]:
        """Return a setting of each of two spatial axes: one number, one each, or two fields."""
        values = protobuf.integers(self.settings, both) or [default]
        values = values * 2 if len(values) == 1 else values
        high, wide = (protobuf.integer(self.settings, field, -1) for field in (height, width))
        return [values[0] if high < 0 else high, values[1] if wide < 0 else wide]


def _layers(network: Message) -> list[_Layer]:
    new = [_Layer(message, _NEW, is_old=False) for message in protobuf.messages(network, _LAYERS)]
    return new or [_Layer(message, _OLD, is_old=True) for message in protobuf.messages(network, _OLD_LAYERS)]


def _blob(message: Message) -> Array:
    data = protobuf.floats(message, 5)
    if not data.size:
        data = protobuf.floats(message, 8, "<f8")
    shapes = protobuf.messages(message, 7)
    if shapes:
        shape = protobuf.integers(shapes[-1], 1)
    else:  # num, channels, height and width of the old form
        shape = [protobuf.integer(message, field, 1) for field in (1, 2, 3, 4)]
    if math.prod(shape) != data.size:
        raise ValueError(f"an array of shape {tuple(shape)} has {data.size} numbers")
    return data.reshape(shape)


class _Reader:
    """Writes the nodes of a network. Layers may work in place: what they give then takes the name of what they got."""

    def __init__(self) -> None:
        self.writer = NodeWriter()
        self.tensors: dict[str, str] = {}
        self.norms: dict[str, list[str]] = {}  # constants of a normalisation, by its output

    def graph(self, network: Message) -> tuple[NodeWriter, list[str]]:
        """Return the nodes, and the names of the outputs."""
        names = [value.decode("utf-8", "replace") for value in network.get(3, []) if isinstance(value, bytes)]
        dims, shapes = protobuf.integers(network, 4), protobuf.messages(network, 8)
        for number, name in enumerate(names):
            shape = protobuf.integers(shapes[number], 1) if shapes else dims[4 * number : 4 * number + 4]
            self._input(name, shape)
        outputs: dict[str, None] = {}
        for layer in _layers(network):
            if layer.kind in _DATA or layer.kind == "Input":
                self._data(layer)
                continue
            if layer.kind in _TRAINING:
                continue
            sources = []
            for bottom in layer.bottoms:
                if bottom not in self.tensors:
                    raise UnsupportedError(
                        f"takes {bottom!r}, which no layer before it gives", layer.place, "save the model again"
                    )
                sources.append(self.tensors[bottom])
                outputs.pop(bottom, None)
            rule = RULES.get(layer.kind)
            try:
                if rule is None:
                    raise UnsupportedError("the layer is not supported")
                output = rule(self, layer, sources)
            except UnsupportedError as error:
                raise error.completed(layer.place, self._before(sources)) from None
            for top in layer.tops:
                self.tensors[top] = output
                outputs[top] = None
        return self.writer, [self.tensors[name] for name in outputs]

    def _before(self, sources: Sequence[str]) -> str | None:
        """Return where the network can be cut before a layer that takes `sources`; None behind the input."""
        return next((source for source in sources if source not in self.writer.inputs), None)

    def _input(self, name: str, shape: Sequence[int]) -> None:
        self.writer.inputs[name] = tuple(shape)
        self.tensors[name] = name

    def _data(self, layer: _Layer) -> None:
        shapes = protobuf.messages(layer.settings, 1) if layer.kind == "Input" else []
        for number, top in enumerate(layer.tops[: 1 if layer.kind != "Input" else None]):  # the second is the label
            shape = protobuf.integers(shapes[min(number, len(shapes) - 1)], 1) if shapes else [None, None, None, None]
            self._input(top, shape)  # type: ignore[arg-type]

    def add(self, layer: _Layer, operator: str, sources: Sequence[str | Array], **attributes: Any) -> str:
        """Add a node that bears the layer's name."""
        taken = {output for node in self.writer.nodes for output in node.outputs}
        output = layer.name if layer.name not in taken and layer.name not in self.writer.inputs else ""
        return self.writer.add(operator, layer.name, list(sources), output, **attributes)


def _convolution(reader: _Reader, layer: _Layer, sources: list[str]) -> str:
    weight = layer.blob(0)
    if weight.ndim != 4:
        raise UnsupportedError(f"a weight of shape {weight.shape} is not supported; only two spatial axes are")
    bias = [layer.blob(1).reshape(-1)] if protobuf.integer(layer.settings, 2, 1) else []
    pads = layer.sizes(3, 9, 10, 0)
    dilations = layer.sizes(18, 0, 0, 1)
    return reader.add(
        layer, "Conv", [*sources, weight, *bias], pads=pads * 2, strides=layer.sizes(6, 13, 14, 1), dilations=dilations,
        group=protobuf.integer(layer.settings, 5, 1),
    )  # fmt: skip


def _inner_product(reader: _Reader, layer: _Layer, sources: list[str]) -> str:
    weight = layer.blob(0)
    weight = weight.reshape(weight.shape[-2:])
    if protobuf.integer(layer.settings, 5, 1) != 1 or protobuf.integer(layer.settings, 6, 0):
        raise UnsupportedError("another axis than 1, or a transposed weight, is not supported")
    bias = [layer.blob(1).reshape(-1)] if protobuf.integer(layer.settings, 2, 1) else []
    flat = reader.writer.add("Flatten", f"{layer.name}, flatten", list(sources), axis=1)
    return reader.add(layer, "Gemm", [flat, weight, *bias], transB=1)


def _pooling(reader: _Reader, layer: _Layer, sources: list[str]) -> str:
    kind = protobuf.integer(layer.settings, 1, 0)
    if kind not in (0, 1):
        raise UnsupportedError("stochastic pooling is not supported")
    if protobuf.integer(layer.settings, 12, 0):
        return reader.add(layer, "GlobalAveragePool" if kind else "GlobalMaxPool", sources)
    pads = layer.sizes(4, 9, 10, 0)
    settings = {"kernel_shape": layer.sizes(2, 5, 6, 1), "strides": layer.sizes(3, 7, 8, 1), "pads": pads * 2}
    counts = int(any(pads))  # Caffe's averages count the zeros around the input
    more = {"count_include_pad": counts} if kind else {}
    return reader.add(layer, "AveragePool" if kind else "MaxPool", sources, ceil_mode=1, **settings, **more)


def _relu(reader: _Reader, layer: _Layer, sources: list[str]) -> str:
    slope = protobuf.number(layer.settings, 1, 0.0)
    return reader.add(layer, "LeakyRelu", sources, alpha=slope) if slope else reader.add(layer, "Relu", sources)


def _batch_norm(reader: _Reader, layer: _Layer, sources: list[str]) -> str:
    mean, variance, factor = (layer.blob(number).reshape(-1) for number in range(3))
    scale = np.float32(0 if factor[0] == 0 else 1 / factor[0])
    arrays = [np.ones_like(mean), np.zeros_like(mean), mean * scale, variance * scale]
    names = [reader.writer.constant(array) for array in arrays]
    output = reader.add(
        layer, "BatchNormalization", [*sources, *names], epsilon=protobuf.number(layer.settings, 3, 1e-5),
        momentum=protobuf.number(layer.settings, 2, 0.999),
    )  # fmt: skip
    reader.norms[output] = names
    return output


def _scale(reader: _Reader, layer: _Layer, sources: list[str]) -> str:
    if len(sources) == 2:
        return reader.add(layer, "Mul", sources)
    factors = layer.blob(0).reshape(-1)
    shifts = layer.blob(1).reshape(-1) if protobuf.integer(layer.settings, 5, 0) else np.zeros_like(factors)
    if protobuf.integer(layer.settings, 1, 1) != 1:
        raise UnsupportedError("another axis than 1 is not supported")
    if sources[0] in reader.norms:  # Caffe writes a batch normalisation as two layers
        weight, bias, *_ = reader.norms.pop(sources[0])
        reader.writer.constants[weight], reader.writer.constants[bias] = factors, shifts
        return reader.add(layer, "Identity", sources)
    product = reader.writer.add("Mul", layer.name, [sources[0], factors.reshape(-1, 1, 1)])
    return reader.add(layer, "Add", [product, shifts.reshape(-1, 1, 1)])


def _eltwise(reader: _Reader, layer: _Layer, sources: list[str]) -> str:
    operation = protobuf.integer(layer.settings, 1, 1)
    coefficients = protobuf.floats(layer.settings, 2)
    if operation not in (0, 1) or np.any(coefficients != 1):
        raise UnsupportedError("only plain sums and products are supported")
    total = sources[0]
    for number, source in enumerate(sources[1:], 2):
        operator, operands = "Add" if operation else "Mul", [total, source]
        is_last = number == len(sources)
        total = reader.add(layer, operator, operands) if is_last else reader.writer.add(operator, layer.name, operands)  # type: ignore[arg-type]
    return total


def _concat(reader: _Reader, layer: _Layer, sources: list[str]) -> str:
    axis = protobuf.integer(layer.settings, 2, protobuf.integer(layer.settings, 1, 1))
    return reader.add(layer, "Concat", sources, axis=axis)


def _power(reader: _Reader, layer: _Layer, sources: list[str]) -> str:
    power, scale, shift = (
        protobuf.number(layer.settings, field, default) for field, default in ((1, 1), (2, 1), (3, 0))
    )
    x: str = sources[0]
    for operator, value in (("Mul", scale), ("Add", shift)):
        x = reader.writer.add(operator, layer.name, [x, np.asarray(value, np.float32)])
    return reader.add(layer, "Pow", [x, np.asarray(power, np.float32)])


def _plain(operator: str, **attributes: Any) -> Callable[[_Reader, _Layer, list[str]], str]:
    return lambda reader, layer, sources: reader.add(layer, operator, sources, **attributes)


def _prelu(reader: _Reader, layer: _Layer, sources: list[str]) -> str:
    slopes = layer.blob(0).reshape(-1)
    return reader.add(layer, "PRelu", [*sources, slopes.reshape(-1, 1, 1)])


RULES: dict[str, Callable[[_Reader, _Layer, list[str]], str]] = {
    "BatchNorm": _batch_norm,
    "Concat": _concat,
    "Convolution": _convolution,
    "Dropout": _plain("Identity"),
    "ELU": lambda reader, layer, sources: reader.add(
        layer, "Elu", sources, alpha=protobuf.number(layer.settings, 1, 1.0)
    ),
    "Eltwise": _eltwise,
    "Flatten": _plain("Flatten", axis=1),
    "InnerProduct": _inner_product,
    "PReLU": _prelu,
    "Pooling": _pooling,
    "Power": _power,
    "ReLU": _relu,
    "Scale": _scale,
    "Sigmoid": _plain("Sigmoid"),
    "Softmax": _plain("Softmax", axis=1),
    "Split": _plain("Identity"),
    "TanH": _plain("Tanh"),
}
"""Rule of each type of layers: it adds the layer's nodes and returns the name of their output."""
