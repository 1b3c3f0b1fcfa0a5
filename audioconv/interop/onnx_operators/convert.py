"""Conversion of nodes, by a table with the rule of each operator."""

from __future__ import annotations

import numpy as np

from audioconv import layers as L
from audioconv.interop.constants import folded
from audioconv.interop.errors import FOLD, UnsupportedError
from audioconv.interop.graph import Tensor, shown_text
from audioconv.interop.nodes import Node, place_of
from audioconv.interop.onnx_operators.arithmetic import arithmetic
from audioconv.interop.onnx_operators.call import Call, ConversionState, Rule
from audioconv.interop.onnx_operators.concat import concat
from audioconv.interop.onnx_operators.features import batch_norm, gemm, matmul
from audioconv.interop.onnx_operators.pointwise import activation, cast, clip, hard_sigmoid, prelu, same, softmax
from audioconv.interop.onnx_operators.shapes import flatten, reduce, reshape, squeeze, transpose, unsqueeze
from audioconv.interop.onnx_operators.windows import conv, global_pool, pad, pool


def convert(node: Node, state: ConversionState) -> None:
    """Add the output of `node` to the constants or the tensors of `state`.

    Raises
    ------
    UnsupportedError
        If the node has no counterpart among the layers: names it, its operator, and what can be done.
    """
    place = place_of(node)
    try:
        _convert(node, state, place)
    except UnsupportedError as error:
        raise error.completed(place, _before(node, state)) from None


def _before(node: Node, state: ConversionState) -> str | None:
    """Return the name of the tensor at which the network can be cut before `node`; None behind the network's input.

    Several nodes in a row may stand for one layer of a file: those that bear its name, with or without an addition.
    """
    name = next((name for name in node.inputs if name in state.makers), None)
    while name is not None and f"{state.makers[name].name},".startswith((f"{node.name},", f"{node.name}/")):
        name = next((source for source in state.makers[name].inputs if source in state.makers), None)
    return name


def _convert(node: Node, state: ConversionState, place: str) -> None:
    known = [state.constants.get(name) for name in node.inputs]
    if all(value is not None or not name for value, name in zip(known, node.inputs, strict=True)):
        try:
            value = folded(node, known)
        except (ValueError, TypeError, KeyError, IndexError, AssertionError, ArithmeticError) as error:
            raise UnsupportedError(f"its constants do not fit: {shown_text(error)}", place, FOLD) from None
        if value is None:
            raise UnsupportedError(
                "computes a constant in a way that is not supported, or a very large one", place, FOLD
            )
        state.constants[node.outputs[0]] = value
        return
    if node.operator == "Shape":
        shape = np.asarray(state.tensors[node.inputs[0]].shape, np.int64)
        state.constants[node.outputs[0]] = shape[node.attributes.get("start", 0) : node.attributes.get("end")]
        return
    rule = RULES.get(node.operator)
    if rule is None:
        raise UnsupportedError("the operator is not supported", place, "export the network without it")
    try:
        tensor = rule(Call(state, node, place))
    except (ValueError, TypeError, KeyError, IndexError, ArithmeticError) as error:
        raise UnsupportedError(f"its attributes do not fit: {shown_text(error)}", place) from None
    state.makers[node.outputs[0]] = node
    state.tensors[node.outputs[0]] = Tensor(node.outputs[0], tensor.groups, tensor.layout, tensor.step)


RULES: dict[str, Rule] = {
    "Add": arithmetic,
    "AveragePool": pool,
    "BatchNormalization": batch_norm,
    "Cast": cast,
    "Clip": activation(clip),
    "Concat": concat,
    "Conv": conv,
    "Div": arithmetic,
    "Dropout": same,
    "Elu": activation(lambda call: L.ELU(call.float_attribute("alpha", 1.0))),
    "Flatten": flatten,
    "Gemm": gemm,
    "GlobalAveragePool": global_pool,
    "GlobalMaxPool": global_pool,
    "HardSigmoid": activation(hard_sigmoid),
    "HardSwish": activation(lambda call: L.HardSwish()),
    "Identity": same,
    "LeakyRelu": activation(lambda call: L.LeakyReLU(call.float_attribute("alpha", 0.01))),
    "LogSoftmax": softmax,
    "MatMul": matmul,
    "Max": arithmetic,
    "MaxPool": pool,
    "Min": arithmetic,
    "Mul": arithmetic,
    "Neg": activation(lambda call: L.Power(scale=-1.0)),
    "PRelu": prelu,
    "Pad": pad,
    "Pow": arithmetic,
    "Reciprocal": activation(lambda call: L.Power(-1.0)),
    "ReduceMax": reduce,
    "ReduceMean": reduce,
    "Relu": activation(lambda call: L.ReLU()),
    "Reshape": reshape,
    "Sigmoid": activation(lambda call: L.Sigmoid()),
    "Softmax": softmax,
    "Sqrt": activation(lambda call: L.Power(0.5)),
    "Squeeze": squeeze,
    "Sub": arithmetic,
    "Sum": arithmetic,
    "Tanh": activation(lambda call: L.Tanh()),
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
"""Rule of each operator, besides those on constants alone; `Shape` becomes a constant too."""
