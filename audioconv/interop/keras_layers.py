"""Layers of Keras as nodes with ONNX's operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from audioconv._types import Array
from audioconv.interop.errors import UnsupportedError
from audioconv.interop.node_writer import NodeWriter

Weights = dict[str, list[Array]]
"""Arrays of each layer, in Keras' order, by the layer's name."""


SAVE = "build the model, then save it with its weights"


class Call:
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
            raise UnsupportedError(
                f"has {len(self.arrays)} arrays in the file; at least {number + 1} are needed", remedy=SAVE
            )
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
        rule = ACTIVATIONS.get(str(activation))
        if rule is None:
            raise UnsupportedError(f"the activation {activation!r} is not supported")
        return rule(self, source)


def _each(value: Any, axes: int) -> list[int]:
    return [int(one) for one in value] if isinstance(value, list | tuple) else [int(value)] * axes


def _softmax(call: Call, source: str, operator: str = "Softmax") -> str:
    return call.add(operator, source, axis=-1)


def _hard_sigmoid(call: Call, source: str) -> str:
    alpha = 1 / 6 if call.version >= 3 else 0.2
    return call.add("HardSigmoid", source, alpha=alpha, beta=0.5)


ACTIVATIONS: dict[str, Callable[[Call, str], str]] = {
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


def _conv(call: Call) -> str:
    kernel = call.array(0)
    weight = kernel.transpose(-1, -2, *range(kernel.ndim - 2))
    settings = {**call.windows(), "group": call.config.get("groups", 1)}
    return call.channels_last(call.add("Conv", call.channels_first(call.sources[0]), weight, *call.bias(1), **settings))


def _depthwise(call: Call, bias: bool = True) -> str:
    kernel = call.array(0)  # (*kernel, channels, multiplier)
    *size, channels, multiplier = kernel.shape
    weight = kernel.transpose(-2, -1, *range(len(size))).reshape(channels * multiplier, 1, *size)
    x = call.channels_first(call.sources[0])
    return call.channels_last(
        call.add("Conv", x, weight, *(call.bias(1) if bias else []), **call.windows(), group=channels)
    )


def _separable(call: Call) -> str:
    x = call.channels_first(_depthwise(call, bias=False))
    pointwise = call.array(1)
    weight = pointwise.transpose(-1, -2, *range(pointwise.ndim - 2))
    return call.channels_last(call.add("Conv", x, weight, *call.bias(2)))


def _batch_norm(call: Call) -> str:
    axis = call.config["axis"]
    axis = axis[0] if isinstance(axis, list) else axis
    if axis % call.rank != call.rank - 1:
        raise UnsupportedError("normalises another axis than the last, which is not supported")
    arrays = list(call.arrays)
    channels = len(arrays[-1]) if arrays else 0
    gamma = arrays.pop(0) if call.config.get("scale", True) and arrays else np.ones(channels, np.float32)
    beta = arrays.pop(0) if call.config.get("center", True) and arrays else np.zeros(channels, np.float32)
    if len(arrays) != 2:
        raise UnsupportedError(f"has {len(call.arrays)} arrays in the file, which do not fit its settings", remedy=SAVE)
    x = call.channels_first(call.sources[0])
    epsilon, momentum = call.config["epsilon"], call.config["momentum"]
    y = call.add("BatchNormalization", x, gamma, beta, *arrays, epsilon=epsilon, momentum=momentum)
    return call.channels_last(y)


def _dense(call: Call) -> str:
    output = call.add("MatMul", call.sources[0], call.array(0))
    return call.add("Add", output, *call.bias(1)) if call.config.get("use_bias", True) else output


def _pool(operator: str) -> Callable[[Call], str]:
    def rule(call: Call) -> str:
        size = _each(call.config["pool_size"], call.rank - 2)
        strides = call.config.get("strides")
        padding = {"same": "SAME_UPPER", "valid": "VALID"}[call.config["padding"]]
        x = call.add(
            operator, call.channels_first(call.sources[0]), kernel_shape=size,
            strides=_each(strides or size, call.rank - 2), auto_pad=padding,
        )  # fmt: skip
        return call.channels_last(x)

    return rule


def _global_pool(operator: str) -> Callable[[Call], str]:
    def rule(call: Call) -> str:
        keep = bool(call.config.get("keepdims", False))
        axes = list(range(1, call.rank - 1))
        rank = call.rank if keep else 2
        return call.add(operator, call.sources[0], rank=rank, axes=axes, keepdims=int(keep))

    return rule


def _relu(call: Call) -> str:
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


def _leaky(call: Call) -> str:
    slope = _value(call.config.get("negative_slope", call.config.get("alpha", 0.3)))
    return call.add("LeakyRelu", call.sources[0], alpha=slope)


def _prelu(call: Call) -> str:
    alpha = call.array(0)
    if any(size != 1 for size in alpha.shape[:-1]):
        raise UnsupportedError("slopes that differ from place to place are not supported", remedy="give it shared_axes")
    slopes = alpha.reshape(-1, *(1,) * (call.rank - 2))
    return call.channels_last(call.add("PRelu", call.channels_first(call.sources[0]), slopes))


def _padded(call: Call) -> str:
    axes = call.rank - 2
    padding = call.config["padding"]
    sides = [padding] if axes == 1 or not isinstance(padding, list) else padding
    pairs = [side if isinstance(side, list) else [side, side] for side in sides]
    pairs = pairs * axes if len(pairs) < axes else pairs
    pads = [0, 0, *(before for before, _ in pairs), 0, 0, *(after for _, after in pairs)]
    return call.channels_last(call.add("Pad", call.channels_first(call.sources[0]), np.asarray(pads, np.int64)))


def _rescaled(call: Call) -> str:
    x = call.add("Mul", call.sources[0], np.asarray(call.config["scale"], np.float32))
    return call.add("Add", x, np.asarray(call.config["offset"], np.float32))


def _reshaped(call: Call) -> str:
    shape = [0, *call.config["target_shape"]]
    return call.add("Reshape", call.sources[0], np.asarray(shape, np.int64), rank=len(shape))


def _joined(operator: str) -> Callable[[Call], str]:
    def rule(call: Call) -> str:
        total = call.sources[0]
        for source in call.sources[1:]:
            total = call.add(operator, [total, source])
        return total

    return rule


def _nothing(call: Call) -> str:
    return call.add("Identity", call.sources[0])


RULES: dict[str, Callable[[Call], str]] = {
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
"""Rule of each class of layers: it adds the layer's nodes and returns the name of their output."""
