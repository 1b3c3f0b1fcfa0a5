"""The decision as operators of TFLite."""

from __future__ import annotations

import numpy as np

from audioconv.export import operations as O
from audioconv.export.tflite_writer import OperatorWriter

FLOAT32, INT32 = 0, 2
"""Types by their numbers in the schema."""

FAR = -1e9
"""Stands for minus infinity."""


def _likeliest(writer: OperatorWriter, x: int) -> int:
    """Add the number (N,) of the greatest of (N, classes)."""
    y = writer.between((), like=x, dtype="int32")
    writer.operator("ARG_MAX", [x, writer.whole(1)], [y], "ArgMaxOptions", OutputType=INT32)
    return y


def _largest(writer: OperatorWriter, x: int, keep: bool) -> int:
    y = writer.between((1,) if keep else (), like=x)
    writer.operator("REDUCE_MAX", [x, writer.whole([1])], [y], "ReducerOptions", KeepDims=keep)
    return y


def odds(writer: OperatorWriter, step: O.Step) -> None:
    """Write `Odds`."""
    assert isinstance(step.operation, O.Odds)
    words = step.operation.words
    x, count = writer.input(step.inputs[0]), len(words)
    of_words = writer.between((count,), like=x)
    mask = writer.constant(np.where(words, 0.0, FAR)[np.newaxis])
    writer.operator("ADD", [x, mask], [of_words], "AddOptions")
    best = _largest(writer, of_words, keep=True)
    likeliest = writer.between((1,), like=x, dtype="int32")
    writer.operator("RESHAPE", [_likeliest(writer, of_words), writer.whole([-1, 1])], [likeliest], "ReshapeOptions")
    is_likeliest = writer.between((count,), like=x, dtype="bool")
    writer.operator("EQUAL", [likeliest, writer.whole(range(count))], [is_likeliest], "EqualOptions")
    rest = writer.between((count,), like=x)
    far = writer.constant(np.full((1, count), FAR))
    writer.operator("SELECT_V2", [is_likeliest, far, x], [rest], "SelectV2Options")
    largest = _largest(writer, rest, keep=True)
    shifted = writer.between((count,), like=x)
    writer.operator("SUB", [rest, largest], [shifted], "SubOptions")
    exponentials = writer.chained(shifted, ("EXP", None, "ExpOptions"))
    total = writer.between((1,), like=x)
    writer.operator("SUM", [exponentials, writer.whole([1])], [total], "ReducerOptions", KeepDims=True)
    against = writer.between((1,), like=x)
    writer.operator("ADD", [writer.chained(total, ("LOG", None, "")), largest], [against], "AddOptions")
    writer.operator("SUB", [best, against], [writer.output(step.output)], "SubOptions")


def answer(writer: OperatorWriter, step: O.Step) -> None:
    """Write `Answer`."""
    operation = step.operation
    assert isinstance(operation, O.Answer)
    possible = writer.input(step.inputs[0])
    count = len(operation.possible)
    if not operation.possible.all():
        only = writer.between((count,), like=possible)
        mask = writer.constant(np.where(operation.possible, 0.0, -2.0)[np.newaxis])
        writer.operator("ADD", [possible, mask], [only], "AddOptions")
        possible = only
    likeliest, score = _likeliest(writer, possible), _largest(writer, possible, keep=False)
    accepted = writer.between((), like=possible, dtype="bool")
    threshold = writer.constant(np.float32(operation.threshold))
    writer.operator("GREATER_EQUAL", [score, threshold], [accepted], "GreaterEqualOptions")
    if not operation.words.all():
        chosen = writer.between((), like=possible)
        is_word, both = (writer.between((), like=possible, dtype="bool") for _ in range(2))
        writer.operator("GATHER", [writer.constant(operation.words), likeliest], [chosen], "GatherOptions", Axis=0)
        writer.operator("GREATER", [chosen, writer.constant(0.5)], [is_word], "GreaterOptions")
        writer.operator("LOGICAL_AND", [accepted, is_word], [both], "LogicalAndOptions")
        accepted = both
    # TensorFlow Lite Micro selects among float32 only.
    code, answer = writer.between((), like=possible), writer.between((), like=possible)
    writer.operator("CAST", [likeliest], [code], "CastOptions", InDataType=INT32, OutDataType=FLOAT32)
    writer.operator("SELECT_V2", [accepted, code, writer.constant([-1.0])], [answer], "SelectV2Options")
    y = writer.integer_output(step.output)
    writer.operator("CAST", [answer], [y], "CastOptions", InDataType=FLOAT32, OutDataType=INT32)
