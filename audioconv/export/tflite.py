"""A described model as a TFLite file, and what LiteRT computes with it."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from audioconv._types import Array
from audioconv.errors import missing_extra
from audioconv.export import tflite_operators
from audioconv.export.folding import folded, uses
from audioconv.export.operations import Arithmetic, Graph, Step
from audioconv.export.tflite_file import SIGNATURE, assemble, schema
from audioconv.export.tflite_writer import OperatorWriter, Range

METADATA = "audioconv"
"""Name of the metadata, JSON."""


def write(
    graph: Graph, facts: Mapping[str, Any], ranges: Mapping[str, Range] | None = None, *, any_batch: bool = True
) -> bytes:
    """Return the TFLite file of a described model.

    Parameters
    ----------
    graph : Graph
    facts : mapping
        Goes into the metadata as JSON.
    ranges : mapping, optional
        The range of each tensor between `network_input` and `logits`; see `calibration.ranges`. What lies between is
        computed in 8-bit integers then. Default: everything in float32.
    any_batch : bool
        Whether the batch may be resized; it is 1 at first. Default: True.

    Raises
    ------
    ExportError
        If TFLite files cannot hold an operation; names the layer.
    MissingExtraError
        If flatbuffers or tflite is not installed.
    """
    schema()
    plain = folded(graph)
    writer = OperatorWriter(ranges)
    start = writer.begin(plain.input, plain.input.shape)
    used = uses(plain)
    waiting = list(plain.steps)
    while waiting:
        step = waiting.pop(0)
        inside = ranges is not None and step.place.partition("/")[0] == "network" and not _is_evened(step, waiting)
        activation = _activation(step, waiting, used)
        if activation:
            following = waiting.pop(0)
            writer.integers = inside and tflite_operators.takes_integers(step.operation)
            writer.place = step.place
            rule = tflite_operators.WITH_ACTIVATION[type(step.operation)]
            rule(writer, Step(step.operation, step.place, step.inputs, following.output), activation)
        else:
            tflite_operators.write(writer, step, inside)
    writer.integers = False
    outputs = {name: writer.input(tensor) for name, tensor in plain.outputs.items()}
    metadata = {METADATA: json.dumps(dict(facts)).encode()}
    return assemble(writer.tensors, writer.operators, {plain.input.name: start}, outputs, metadata, any_batch=any_batch)


def _is_evened(step: Step, following: list[Step]) -> bool:
    """Tell whether what a step gives is scaled differently from place to place next, as by a sub-spectral norm.

    One scale for all of it would leave few integers for the bands that are scaled up, so it is computed in float32.
    """
    if not following or following[0].inputs[:1] != (step.output,):
        return False
    after = following[0].operation
    return isinstance(after, Arithmetic) and after.constant is not None and after.constant.ndim > 1


def _activation(step: Step, following: list[Step], used: Mapping[str, int]) -> int:
    """Return the number of the activation that comes next and that an operator can do itself; 0 for none."""
    if type(step.operation) not in tflite_operators.WITH_ACTIVATION or not following:
        return 0
    after = following[0]
    if after.inputs != (step.output,) or used[step.output.name] > 1:
        return 0
    return tflite_operators.fused(after.operation)


class Runner:
    """Runs a TFLite file by LiteRT.

    Parameters
    ----------
    content : bytes
    fast : bool
        Use XNNPACK, as programs do by default; LiteRT then writes a line to standard error. Default: its own kernels.

    Raises
    ------
    MissingExtraError
        If the package ai-edge-litert is not installed.
    """

    def __init__(self, content: bytes, *, fast: bool = False) -> None:
        try:
            interpreter = importlib.import_module("ai_edge_litert.interpreter")
        except ImportError:
            raise missing_extra("checking TFLite files", "export") from None
        self.program = "LiteRT"
        kinds = interpreter.OpResolverType
        kernels = kinds.AUTO if fast else kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        self._interpreter = interpreter.Interpreter(
            model_content=content, num_threads=1, experimental_op_resolver_type=kernels
        )
        (name,) = self._interpreter.get_signature_list()[SIGNATURE]["inputs"]
        self._input, self._shape = name, (0,)
        self._details = self._interpreter.get_input_details()[0]

    def __call__(self, x: Array) -> dict[str, Array]:
        """Return the outputs by name for an input (N, ...) float32."""
        if x.shape != self._shape:
            self._interpreter.resize_tensor_input(self._details["index"], x.shape)
            self._interpreter.allocate_tensors()
            self._shape = x.shape
        runner = self._interpreter.get_signature_runner(SIGNATURE)
        found = runner(**{self._input: np.ascontiguousarray(x, np.float32)})
        return {name: np.array(array) for name, array in found.items()}
