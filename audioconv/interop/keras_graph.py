"""Graph of a Keras configuration, sequential or functional, as nodes with ONNX's operators."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from audioconv.errors import ModelFileError
from audioconv.interop.errors import UnsupportedError
from audioconv.interop.keras_layers import RULES, Call, Weights
from audioconv.interop.node_writer import NodeWriter


class KerasGraph:
    """Writer of the nodes of a Keras configuration."""

    def __init__(self, config: dict[str, Any], weights: Weights, version: int) -> None:
        self._kind, self._config = config["class_name"], config["config"]
        self._weights, self._version = weights, version
        self._writer = NodeWriter()
        self._rank: dict[str, int] = {}
        self._counts: dict[str, int] = {}

    def nodes(self) -> tuple[NodeWriter, list[str]]:
        """Return the nodes, and the names of the outputs."""
        layers = self._config if isinstance(self._config, list) else self._config["layers"]
        if self._kind not in ("Sequential", "Functional", "Model"):
            raise UnsupportedError(
                f"a model of class {self._kind} is not supported; only Sequential and Functional are",
                remedy="build it of the same layers as one of these and save that",
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
                raise UnsupportedError(
                    "is used more than once, which is not supported",
                    self._place(layer),
                    "use two layers of equal weights",
                )
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
        rule = RULES.get(kind)
        snake = re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", re.sub(r"\W", "", kind)))
        snake = snake.lower()
        number = self._counts.get(snake, 0)
        self._counts[snake] = number + 1
        key = f"/{snake}_{number}" if number else f"/{snake}"
        arrays = self._weights.get(name, self._weights.get(key, []))
        call = Call(self._writer, self._rank, name, config, sources, arrays, self._version)
        try:
            if rule is None:
                raise UnsupportedError("the layer is not supported")
            if config.get("data_format") == "channels_first":
                raise UnsupportedError("channels_first is not supported", remedy="save the model channels last")
            output = rule(call)
            activation = config.get("activation")
            if activation not in (None, "linear") and kind != "Activation":
                output = call.activated(output, activation)
        except UnsupportedError as error:
            before = next((source for source in sources if source not in self._writer.inputs), None)
            raise error.completed(self._place(layer), before) from None
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
