"""Keras models: ``.keras`` and ``.h5`` files, sequential or functional, of the layers that there is a counterpart for.

The configuration is read as data: custom layers, lambdas and whatever else would need code are refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from audioconv._types import Array, StrPath
from audioconv.errors import ModelFileError
from audioconv.interop import hdf5
from audioconv.interop.errors import UnsupportedError
from audioconv.interop.files import member, open_archive, read_limited
from audioconv.interop.imported import Imported
from audioconv.interop.network import network_of
from audioconv.interop.node_writer import NodeWriter
from audioconv.io.files import display_path

Weights = dict[str, list[Array]]


def read_keras(
    path: StrPath, *, until: str | None = None, shape: Sequence[int] | None = None, open_size: int | None = None
) -> Imported:
    """Return the network in a Keras file as layers with its parameters.

    Parameters
    ----------
    path : path-like
        ``.keras``, or ``.h5`` that holds a whole model.
    until : str, optional
        Name of the layer where to cut. Default: the model's output.
    shape : sequence of int, optional
        Shape of the input without the batch, where the file leaves it open.
    open_size : int, optional
        As in `read_onnx`.

    Raises
    ------
    DataError, ModelFileError, MissingExtraError
        As `read_onnx`; the package is h5py.
    """
    shown = display_path(path)
    config, weights, version = _content(path, shown)
    if config is None:
        raise ModelFileError(f"{shown}: holds weights alone; read it onto a network: read(path, onto=...)")
    try:
        writer, outputs = _Reader(config, weights, version).graph()
    except UnsupportedError as error:
        raise UnsupportedError(f"{shown}: {error}") from None
    except ModelFileError as error:
        raise ModelFileError(f"{shown}: {error}") from None
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        message = " ".join(str(error).split())
        raise ModelFileError(f"{shown}: its configuration is damaged, or of another version: {message}") from None
    return network_of(writer.graph(outputs), until, shape, shown, open_size)


def keras_weights(path: StrPath) -> Weights:
    """Return the arrays of each layer in a Keras file, in Keras' order, by the layer's name."""
    return _content(path, display_path(path))[1]


def _content(path: StrPath, shown: str) -> tuple[dict[str, Any] | None, Weights, int]:
    """Return configuration, weights and Keras' major version of a file."""
    content = read_limited(path)
    if content[:2] == b"PK":
        with open_archive(path) as archive:
            config = _json(member(archive, "config.json", shown), shown)
            meta = (
                _json(member(archive, "metadata.json", shown), shown) if "metadata.json" in archive.namelist() else {}
            )
            weights = hdf5.opened(member(archive, "model.weights.h5", shown), shown, _new_weights)
        return config, weights, _major(meta.get("keras_version", "3"))

    def old(file: Any) -> tuple[dict[str, Any] | None, Weights, int]:
        if "layers" in file or "_layer_checkpoint_dependencies" in file:
            return None, _new_weights(file), 3
        text = file.attrs.get("model_config")
        config = None if text is None else _json(text if isinstance(text, bytes) else str(text).encode(), shown)
        return config, _old_weights(file), _major(file.attrs.get("keras_version", "2"))

    return hdf5.opened(content, shown, old)


def _json(content: bytes, shown: str) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise ModelFileError(f"{shown}: its configuration is not JSON") from None
    if not isinstance(found, dict):
        raise ModelFileError(f"{shown}: its configuration is no object")
    return found


def _major(version: Any) -> int:
    text = version.decode() if isinstance(version, bytes) else str(version)
    return int(text[0]) if text[:1].isdigit() else 3


def _new_weights(file: Any) -> Weights:
    """Return the arrays of Keras 3: numbered, under each layer's class name."""
    found: Weights = {}
    parent = "layers" if "layers" in file else "_layer_checkpoint_dependencies"
    layers = hdf5.item(file, parent)
    for key in layers:
        if "vars" not in hdf5.item(layers, key):
            continue
        variables = hdf5.item(layers, f"{key}/vars")
        name = variables.attrs.get("name", key)
        numbers = sorted(variables, key=int)
        arrays = [hdf5.array(hdf5.item(variables, number)) for number in numbers]
        found[name.decode() if isinstance(name, bytes) else str(name)] = arrays
        found.setdefault(f"/{key}", arrays)  # for files without names
    return found


def _old_weights(file: Any) -> Weights:
    """Return the arrays of a legacy file: by the names that each layer lists."""
    root = hdf5.item(file, "model_weights") if "model_weights" in file else file
    found: Weights = {}
    for name in hdf5.texts(root.attrs["layer_names"]):
        group = hdf5.item(root, name)
        found[name] = [hdf5.array(hdf5.item(group, key)) for key in hdf5.texts(group.attrs["weight_names"])]
    return found


class _Reader:
    """Writes the nodes of a configuration."""

    def __init__(self, config: dict[str, Any], weights: Weights, version: int) -> None:
        self._kind, self._config = config["class_name"], config["config"]
        self._weights, self._version = weights, version
        self._writer = NodeWriter()
        self._rank: dict[str, int] = {}
        self._counts: dict[str, int] = {}

    def graph(self) -> tuple[NodeWriter, list[str]]:
        """Return the nodes, and the names of the outputs."""
        layers = self._config if isinstance(self._config, list) else self._config["layers"]
        if self._kind not in ("Sequential", "Functional", "Model"):
            raise UnsupportedError(
                f"a model of class {self._kind} is not supported; only Sequential and Functional are"
            )
        is_sequential = self._kind == "Sequential"
        before: str | None = None
        for layer in layers:
            config = layer["config"]
            name = config["name"]
            sources = [before] if is_sequential else list(_sources(layer.get("inbound_nodes", [])))
            if layer["class_name"] == "InputLayer" or (is_sequential and before is None):
                before = self._input(layer, config, name)
                if layer["class_name"] == "InputLayer":
                    continue
                sources = [before]
            if not is_sequential and len(layer.get("inbound_nodes", [])) != 1:
                raise UnsupportedError("is used more than once, which is not supported", self._place(layer))
            before = self._layer(layer, config, name, [source for source in sources if source is not None])
        if is_sequential:
            assert before is not None
            return self._writer, [before]
        return self._writer, list(_histories(self._config["output_layers"]))

    @staticmethod
    def _place(layer: dict[str, Any]) -> str:
        return f"layer {layer['config'].get('name')!r} ({layer['class_name']})"

    def _input(self, layer: dict[str, Any], config: dict[str, Any], name: str) -> str:
        shape = config.get("batch_shape") or config.get("batch_input_shape")
        if shape is None:
            shape = (layer.get("build_config") or self._config.get("build_config") or {}).get("input_shape")
        if shape is None:
            raise ModelFileError("the shape of the input is not in the file; build the model before it is saved")
        name = name if layer["class_name"] == "InputLayer" else f"{name}_input"
        self._writer.inputs[name] = tuple(shape)
        self._rank[name] = len(shape)
        return name

    def _layer(self, layer: dict[str, Any], config: dict[str, Any], name: str, sources: list[str]) -> str:
        kind = layer["class_name"]
        rule = _RULES.get(kind)
        if rule is None:
            before = f" (until={sources[0]!r})" if sources else ""
            raise UnsupportedError(f"the layer is not supported; cut the network before it{before}", self._place(layer))
        if config.get("data_format") == "channels_first":
            raise UnsupportedError("channels_first is not supported; save the model channels last", self._place(layer))
        snake = re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", re.sub(r"\W", "", kind)))
        snake = snake.lower()
        number = self._counts.get(snake, 0)
        self._counts[snake] = number + 1
        key = f"/{snake}_{number}" if number else f"/{snake}"
        arrays = self._weights.get(name, self._weights.get(key, []))
        call = _Call(self._writer, self._rank, name, config, sources, arrays, self._version)
        try:
            output = rule(call)
            activation = config.get("activation")
            if activation not in (None, "linear") and kind != "Activation":
                output = call.activated(output, activation)
        except UnsupportedError as error:
            raise UnsupportedError(error.message, self._place(layer)) from None
        self._rank[name] = self._rank[output]
        return self._writer.add("Identity", f"{name}/output", [output], name)


def _sources(nodes: Any) -> Iterator[str]:
    """Yield the names of the layers whose outputs a layer takes."""
    for node in nodes[:1]:
        if isinstance(node, dict):
            yield from _histories(node.get("args", []))
        else:
            yield from (entry[0] for entry in node)


def _histories(value: Any) -> Iterator[str]:
    """Yield the names of the layers that tensors in a configuration come from."""
    if isinstance(value, dict):
        history = value.get("config", {}).get("keras_history") if isinstance(value.get("config"), dict) else None
        if history:
            yield history[0]
        return
    if isinstance(value, list):
        if len(value) == 3 and isinstance(value[0], str):
            yield value[0]
            return
        for part in value:
            yield from _histories(part)


class _Call:
    """A layer with its settings, inputs and arrays."""

    def __init__(
        self, writer: NodeWriter, rank: dict[str, int], name: str, config: dict[str, Any], sources: list[str],
        arrays: list[Array], version: int,
    ) -> None:  # fmt: skip
        self._writer, self._rank = writer, rank
        self.name, self.config, self.sources, self.arrays, self.version = name, config, sources, arrays, version

    @property
    def rank(self) -> int:
        """Number of axes of the input."""
        return self._rank[self.sources[0]]

    def add(self, operator: str, source: str | list[str], *more: Array | str, rank: int = 0, **attributes: Any) -> str:
        """Add a node whose output has `rank` axes, those of its input unless given."""
        sources = [source] if isinstance(source, str) else source
        output = self._writer.add(operator, self.name, [*sources, *more], **attributes)
        self._rank[output] = rank or self._rank[sources[0]]
        return output

    def channels_first(self, source: str) -> str:
        """Return the input in ONNX's order of axes."""
        rank = self._rank[source]
        return self.add("Transpose", source, perm=[0, rank - 1, *range(1, rank - 1)]) if rank > 2 else source

    def channels_last(self, source: str) -> str:
        """Return what `channels_first` and operators behind it gave in Keras' order of axes."""
        rank = self._rank[source]
        return self.add("Transpose", source, perm=[0, *range(2, rank), 1]) if rank > 2 else source

    def bias(self, number: int) -> list[Array]:
        """Return the bias among the arrays, if there is one."""
        return [self.array(number)] if self.config.get("use_bias", True) else []

    def array(self, number: int) -> Array:
        """Return an array of the layer."""
        if number >= len(self.arrays):
            raise UnsupportedError(f"has {len(self.arrays)} arrays in the file; at least {number + 1} are needed")
        return self.arrays[number]

    def windows(self) -> dict[str, Any]:
        """Return strides, dilations and padding as ONNX has them."""
        axes = self.rank - 2
        padding = self.config.get("padding", "valid")
        found: dict[str, Any] = {"strides": _each(self.config["strides"], axes)}
        found["dilations"] = _each(self.config.get("dilation_rate", 1), axes)
        if padding == "causal":
            kernel = _each(self.config["kernel_size"], axes)
            found["pads"] = [d * (k - 1) for k, d in zip(kernel, found["dilations"], strict=True)] + [0] * axes
        else:
            found["auto_pad"] = {"same": "SAME_UPPER", "valid": "VALID"}[padding]
        return found

    def activated(self, source: str, activation: Any) -> str:
        """Return the output of an activation that is given by its name, or as an object with one."""
        if isinstance(activation, dict):
            activation = activation.get("config") if activation.get("class_name") == "function" else None
        rule = _ACTIVATIONS.get(str(activation))
        if rule is None:
            raise UnsupportedError(f"the activation {activation!r} is not supported")
        return rule(self, source)


def _each(value: Any, axes: int) -> list[int]:
    return [int(one) for one in value] if isinstance(value, list | tuple) else [int(value)] * axes


def _softmax(call: _Call, source: str, operator: str = "Softmax") -> str:
    return call.add(operator, source, axis=-1)


def _hard_sigmoid(call: _Call, source: str) -> str:
    alpha = 1 / 6 if call.version >= 3 else 0.2
    return call.add("HardSigmoid", source, alpha=alpha, beta=0.5)


_ACTIVATIONS: dict[str, Callable[[_Call, str], str]] = {
    "linear": lambda call, x: x,
    "relu": lambda call, x: call.add("Relu", x),
    "relu6": lambda call, x: call.add("Clip", x, np.asarray(0, np.float32), np.asarray(6, np.float32)),
    "sigmoid": lambda call, x: call.add("Sigmoid", x),
    "tanh": lambda call, x: call.add("Tanh", x),
    "elu": lambda call, x: call.add("Elu", x, alpha=1.0),
    "softmax": _softmax,
    "log_softmax": lambda call, x: _softmax(call, x, "LogSoftmax"),
    "swish": lambda call, x: call.add("Mul", [x, call.add("Sigmoid", x)]),
    "silu": lambda call, x: call.add("Mul", [x, call.add("Sigmoid", x)]),
    "hard_sigmoid": _hard_sigmoid,
    "hard_swish": lambda call, x: call.add("HardSwish", x),
    "hard_silu": lambda call, x: call.add("HardSwish", x),
    "leaky_relu": lambda call, x: call.add("LeakyRelu", x, alpha=0.2),
}


def _conv(call: _Call) -> str:
    kernel = call.array(0)
    weight = kernel.transpose(-1, -2, *range(kernel.ndim - 2))
    settings = {**call.windows(), "group": call.config.get("groups", 1)}
    return call.channels_last(call.add("Conv", call.channels_first(call.sources[0]), weight, *call.bias(1), **settings))


def _depthwise(call: _Call, bias: bool = True) -> str:
    kernel = call.array(0)  # (*kernel, channels, multiplier)
    *size, channels, multiplier = kernel.shape
    weight = kernel.transpose(-2, -1, *range(len(size))).reshape(channels * multiplier, 1, *size)
    x = call.channels_first(call.sources[0])
    return call.channels_last(
        call.add("Conv", x, weight, *(call.bias(1) if bias else []), **call.windows(), group=channels)
    )


def _separable(call: _Call) -> str:
    x = call.channels_first(_depthwise(call, bias=False))
    pointwise = call.array(1)
    weight = pointwise.transpose(-1, -2, *range(pointwise.ndim - 2))
    return call.channels_last(call.add("Conv", x, weight, *call.bias(2)))


def _batch_norm(call: _Call) -> str:
    axis = call.config["axis"]
    axis = axis[0] if isinstance(axis, list) else axis
    if axis % call.rank != call.rank - 1:
        raise UnsupportedError("normalises another axis than the last, which is not supported")
    arrays = list(call.arrays)
    channels = len(arrays[-1]) if arrays else 0
    gamma = arrays.pop(0) if call.config.get("scale", True) and arrays else np.ones(channels, np.float32)
    beta = arrays.pop(0) if call.config.get("center", True) and arrays else np.zeros(channels, np.float32)
    if len(arrays) != 2:
        raise UnsupportedError(f"has {len(call.arrays)} arrays in the file, which do not fit its settings")
    x = call.channels_first(call.sources[0])
    epsilon, momentum = call.config["epsilon"], call.config["momentum"]
    y = call.add("BatchNormalization", x, gamma, beta, *arrays, epsilon=epsilon, momentum=momentum)
    return call.channels_last(y)


def _dense(call: _Call) -> str:
    output = call.add("MatMul", call.sources[0], call.array(0))
    return call.add("Add", output, *call.bias(1)) if call.config.get("use_bias", True) else output


def _pool(operator: str) -> Callable[[_Call], str]:
    def rule(call: _Call) -> str:
        size = _each(call.config["pool_size"], call.rank - 2)
        strides = call.config.get("strides")
        padding = {"same": "SAME_UPPER", "valid": "VALID"}[call.config["padding"]]
        x = call.add(
            operator, call.channels_first(call.sources[0]), kernel_shape=size,
            strides=_each(strides or size, call.rank - 2), auto_pad=padding,
        )  # fmt: skip
        return call.channels_last(x)

    return rule


def _global_pool(operator: str) -> Callable[[_Call], str]:
    def rule(call: _Call) -> str:
        keep = bool(call.config.get("keepdims", False))
        axes = list(range(1, call.rank - 1))
        rank = call.rank if keep else 2
        return call.add(operator, call.sources[0], rank=rank, axes=axes, keepdims=int(keep))

    return rule


def _relu(call: _Call) -> str:
    config = call.config
    slope = _value(config.get("negative_slope", 0)) or 0.0
    if config.get("threshold"):
        raise UnsupportedError("a threshold is not supported")
    x = call.add("LeakyRelu", call.sources[0], alpha=slope) if slope else call.add("Relu", call.sources[0])
    top = _value(config.get("max_value"))
    return x if top is None else call.add("Min", x, np.asarray(top, np.float32))


def _value(number: Any) -> float | None:
    """Return a number that older files hold as an array's configuration."""
    if isinstance(number, dict):
        number = number.get("config", {}).get("value", number.get("value"))
    return None if number is None else float(number)


def _leaky(call: _Call) -> str:
    slope = _value(call.config.get("negative_slope", call.config.get("alpha", 0.3)))
    return call.add("LeakyRelu", call.sources[0], alpha=slope)


def _prelu(call: _Call) -> str:
    alpha = call.array(0)
    if any(size != 1 for size in alpha.shape[:-1]):
        raise UnsupportedError("slopes that differ from place to place are not supported; give it shared_axes")
    slopes = alpha.reshape(-1, *(1,) * (call.rank - 2))
    return call.channels_last(call.add("PRelu", call.channels_first(call.sources[0]), slopes))


def _padded(call: _Call) -> str:
    axes = call.rank - 2
    padding = call.config["padding"]
    sides = [padding] if axes == 1 or not isinstance(padding, list) else padding
    pairs = [side if isinstance(side, list) else [side, side] for side in sides]
    pairs = pairs * axes if len(pairs) < axes else pairs
    pads = [0, 0, *(before for before, _ in pairs), 0, 0, *(after for _, after in pairs)]
    return call.channels_last(call.add("Pad", call.channels_first(call.sources[0]), np.asarray(pads, np.int64)))


def _rescaled(call: _Call) -> str:
    x = call.add("Mul", call.sources[0], np.asarray(call.config["scale"], np.float32))
    return call.add("Add", x, np.asarray(call.config["offset"], np.float32))


def _reshaped(call: _Call) -> str:
    shape = [0, *call.config["target_shape"]]
    return call.add("Reshape", call.sources[0], np.asarray(shape, np.int64), rank=len(shape))


def _joined(operator: str) -> Callable[[_Call], str]:
    def rule(call: _Call) -> str:
        total = call.sources[0]
        for source in call.sources[1:]:
            total = call.add(operator, [total, source])
        return total

    return rule


def _nothing(call: _Call) -> str:
    return call.add("Identity", call.sources[0])


_RULES: dict[str, Callable[[_Call], str]] = {
    "Activation": lambda call: call.activated(call.sources[0], call.config["activation"]),
    "ActivityRegularization": _nothing,
    "Add": _joined("Add"),
    "AlphaDropout": _nothing,
    "BatchNormalization": _batch_norm,
    "Concatenate": lambda call: call.add("Concat", call.sources, axis=call.config.get("axis", -1)),
    "Dense": _dense,
    "Dropout": _nothing,
    "ELU": lambda call: call.add("Elu", call.sources[0], alpha=_value(call.config.get("alpha", 1.0))),
    "Flatten": lambda call: call.add("Flatten", call.sources[0], rank=2),
    "GaussianDropout": _nothing,
    "GaussianNoise": _nothing,
    "LeakyReLU": _leaky,
    "Multiply": _joined("Mul"),
    "PReLU": _prelu,
    "Permute": lambda call: call.add("Transpose", call.sources[0], perm=[0, *call.config["dims"]]),
    "ReLU": _relu,
    "Rescaling": _rescaled,
    "Reshape": _reshaped,
    "Softmax": lambda call: call.add("Softmax", call.sources[0], axis=call.config.get("axis", -1)),
    "Subtract": _joined("Sub"),
    **{
        name.format(axes): rule
        for axes in (1, 2)
        for name, rule in (
            ("AveragePooling{}D", _pool("AveragePool")),
            ("Conv{}D", _conv),
            ("DepthwiseConv{}D", _depthwise),
            ("GlobalAveragePooling{}D", _global_pool("ReduceMean")),
            ("GlobalMaxPooling{}D", _global_pool("ReduceMax")),
            ("MaxPooling{}D", _pool("MaxPool")),
            ("SeparableConv{}D", _separable),
            ("SpatialDropout{}D", _nothing),
            ("ZeroPadding{}D", _padded),
        )
    },
}
