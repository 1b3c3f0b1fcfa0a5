"""TFLite files: tensors and operators in a flatbuffer, written with its public schema, without TensorFlow."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from audioconv._types import Array
from audioconv.errors import missing_extra

IDENTIFIER, VERSION = b"TFL3", 3

SIGNATURE = "serving_default"
"""Name under which the outputs are found by theirs."""

ALIGNMENT = 16
"""Of a constant in the file, in bytes."""

TYPES = {"float32": "FLOAT32", "int8": "INT8", "int32": "INT32", "bool": "BOOL"}


@dataclass(frozen=True, eq=False)
class Quantisation:
    """``real = scale * (integer - zero)``: one pair, or one for each place along `axis`."""

    scale: Array
    zero: Array
    axis: int = 0


@dataclass(frozen=True, eq=False)
class TensorSpec:
    """A tensor of the file.

    Attributes
    ----------
    name : str
    shape : tuple of int
        With the batch; of a constant that of its array.
    dtype : {"float32", "int8", "int32", "bool"}
    data : array, optional
        Of a constant.
    quantisation : Quantisation, optional
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    data: Array | None = None
    quantisation: Quantisation | None = None


@dataclass(frozen=True, eq=False)
class OperatorSpec:
    """An operator of the file.

    Attributes
    ----------
    code : str
        Its name in the schema, such as ``CONV_2D``.
    inputs, outputs : tuple of int
        Numbers of tensors; -1 for an input that is left out.
    options : str
        The table of its options, such as ``Conv2DOptions``; nothing for none.
    settings : mapping
        Values of its options by their names in the schema.
    version : int
    """

    code: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1


def schema() -> tuple[Any, Any]:
    """Return the packages flatbuffers and tflite; `MissingExtraError` if one is not installed."""
    try:
        return importlib.import_module("flatbuffers"), importlib.import_module("tflite")
    except ImportError:
        raise missing_extra("writing TFLite files", "export") from None


def assemble(
    tensors: Sequence[TensorSpec],
    operators: Sequence[OperatorSpec],
    inputs: Mapping[str, int],
    outputs: Mapping[str, int],
    metadata: Mapping[str, bytes],
    any_batch: bool = True,
) -> bytes:
    """Return the bytes of a TFLite file.

    Parameters
    ----------
    tensors, operators : sequences
    inputs, outputs : mappings
        Numbers of tensors by the names that users know.
    metadata : mapping
        Bytes by name.
    any_batch : bool
        Whether the first axis of what is computed may be resized. Default: True.
    """
    flatbuffers, tflite = schema()
    return _Assembler(flatbuffers.Builder(1 << 20), tflite, any_batch).model(
        tensors, operators, inputs, outputs, metadata
    )


class _Assembler:
    def __init__(self, builder: Any, tflite: Any, any_batch: bool) -> None:
        self._builder, self._tflite, self._any_batch = builder, tflite, any_batch
        self._buffers: list[bytes] = [b""]  # the first means "none"

    def model(
        self,
        tensors: Sequence[TensorSpec],
        operators: Sequence[OperatorSpec],
        inputs: Mapping[str, int],
        outputs: Mapping[str, int],
        metadata: Mapping[str, bytes],
    ) -> bytes:
        builder = self._builder
        kinds = sorted({(operator.code, operator.version) for operator in operators})
        subgraph = self._table(
            "SubGraph",
            Tensors=self._offsets([self._tensor(spec) for spec in tensors]),
            Inputs=self._integers(list(inputs.values())),
            Outputs=self._integers(list(outputs.values())),
            Operators=self._offsets([self._operator(spec, kinds) for spec in operators]),
            Name=builder.CreateString("main"),
        )
        entries = [
            self._table("Metadata", Name=builder.CreateString(name), Buffer=self._buffer(content))
            for name, content in metadata.items()
        ]
        model = self._table(
            "Model",
            Version=VERSION,
            OperatorCodes=self._offsets([self._code(*kind) for kind in kinds]),
            Subgraphs=self._offsets([subgraph]),
            Description=builder.CreateString("audioconv"),
            SignatureDefs=self._offsets([self._signature(inputs, outputs)]),
            Metadata=self._offsets(entries),
            Buffers=self._offsets([self._bytes(content) for content in self._buffers]),
        )
        builder.Finish(model, file_identifier=IDENTIFIER)
        return bytes(builder.Output())

    def _table(self, kind: str, **fields: Any) -> int:
        """Return a table with these fields; those that are offsets are made before."""
        return _table(self._builder, self._tflite, kind, fields)

    def _tensor(self, spec: TensorSpec) -> int:
        fields: dict[str, Any] = {
            "Shape": self._integers(spec.shape),
            "Type": getattr(self._tflite.TensorType, TYPES[spec.dtype]),
            "Buffer": 0 if spec.data is None else self._buffer(_little_endian(spec.data)),
            "Name": self._builder.CreateString(spec.name),
        }
        if spec.data is None and self._any_batch:
            fields["ShapeSignature"] = self._integers((-1, *spec.shape[1:]))
        if spec.quantisation is not None:
            fields["Quantization"] = self._table(
                "QuantizationParameters",
                Scale=self._builder.CreateNumpyVector(np.asarray(spec.quantisation.scale, np.float32)),
                ZeroPoint=self._builder.CreateNumpyVector(np.asarray(spec.quantisation.zero, np.int64)),
                QuantizedDimension=spec.quantisation.axis,
            )
        return self._table("Tensor", **fields)

    def _operator(self, spec: OperatorSpec, kinds: list[tuple[str, int]]) -> int:
        fields: dict[str, Any] = {
            "OpcodeIndex": kinds.index((spec.code, spec.version)),
            "Inputs": self._integers(spec.inputs),
            "Outputs": self._integers(spec.outputs),
        }
        if spec.options:
            fields["BuiltinOptionsType"] = getattr(self._tflite.BuiltinOptions, spec.options)
            fields["BuiltinOptions"] = self._table(spec.options, **spec.settings)
        return self._table("Operator", **fields)

    def _code(self, code: str, version: int) -> int:
        number = getattr(self._tflite.BuiltinOperator, code)
        return self._table("OperatorCode", DeprecatedBuiltinCode=min(number, 127), BuiltinCode=number, Version=version)

    def _signature(self, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> int:
        def named(places: Mapping[str, int]) -> int:
            return self._offsets(
                [
                    self._table("TensorMap", Name=self._builder.CreateString(name), TensorIndex=number)
                    for name, number in places.items()
                ]
            )

        key = self._builder.CreateString(SIGNATURE)
        return self._table(
            "SignatureDef", Inputs=named(inputs), Outputs=named(outputs), SignatureKey=key, SubgraphIndex=0
        )

    def _buffer(self, content: bytes) -> int:
        self._buffers.append(content)
        return len(self._buffers) - 1

    def _bytes(self, content: bytes) -> int:
        if not content:
            return self._table("Buffer")
        builder = self._builder
        builder.StartVector(1, len(content), ALIGNMENT)
        builder.head -= len(content)
        builder.Bytes[builder.head : builder.head + len(content)] = content
        return self._table("Buffer", Data=builder.EndVector())

    def _integers(self, values: Sequence[int]) -> int:
        return int(self._builder.CreateNumpyVector(np.asarray(values, np.int32)))

    def _offsets(self, offsets: Sequence[int]) -> int:
        builder = self._builder
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return int(builder.EndVector())


def _table(builder: Any, tflite: Any, kind: str, fields: Mapping[str, Any]) -> int:
    getattr(tflite, f"{kind}Start")(builder)
    for name, value in fields.items():
        getattr(tflite, f"{kind}Add{name}")(builder, value)
    return int(getattr(tflite, f"{kind}End")(builder))


def _little_endian(array: Array) -> bytes:
    return np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()
