"""A network as C: one statement or loop for each operation, on places in one scratch array."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from audioconv._types import Array
from audioconv.errors import ExportError
from audioconv.export import operations as O
from audioconv.export.c99 import loops, text
from audioconv.export.c99.memory import Plan, plan
from audioconv.export.folding import folded
from audioconv.geometry import Window
from audioconv.layers.base import Shape

SCRATCH = "scratch"
"""Name of the array that all results lie in."""

LARGEST_INT8 = 127


@dataclass(frozen=True)
class Network:
    """A network as source.

    Attributes
    ----------
    constants : str
        Definitions of weights and sizes.
    function : str
        Definition of ``static void network(float *scratch)``.
    routines : tuple of str
        Names of the routines that it calls.
    input, output, work, size : int
        Where its input and its logits begin, where the front end's memory begins, and the size of the scratch array,
        in numbers.
    constant_bytes : int
    int8 : bool
        Whether weights are 8-bit integers.
    """

    constants: str
    function: str
    routines: tuple[str, ...]
    input: int
    output: int
    work: int
    size: int
    constant_bytes: int
    int8: bool


def lower(graph: O.Graph, *, work: int = 0, int8: bool = False) -> Network:
    """Return what lies between a graph's input and its logits as C.

    Parameters
    ----------
    graph : Graph
    work : int
        Numbers of memory that the front end needs while it writes the input. Default: 0.
    int8 : bool
        Keep the weights of convolutions and dense layers as 8-bit integers, with a scale for each output. Activations
        and sums stay float32. Default: False.

    Raises
    ------
    ExportError
        If an operation has no C code; names the layer.
    """
    plain = folded(graph)
    steps = []
    if graph.logits is not graph.input:
        for step in plain.steps:
            steps.append(step)
            if step.output.name == graph.logits.name:
                break
    places = plan(graph.input, steps, graph.logits, work)
    writer = NetworkWriter(places, int8)
    for step in steps:
        writer.write(step)
    body = "\n".join(writer.statements) or f"    (void){SCRATCH};"
    return Network(
        constants="\n".join(writer.constants),
        function=f"static void network(float *{SCRATCH})\n{{\n{body}\n}}\n",
        routines=tuple(writer.routines),
        input=places.places[graph.input.name],
        output=places.places[graph.logits.name],
        work=places.work,
        size=places.size,
        constant_bytes=writer.bytes,
        int8=int8,
    )


class NetworkWriter:
    """Writes steps as statements.

    Attributes
    ----------
    statements, constants : list of str
    routines : dict
        Whose keys are the names of the routines that are called.
    bytes : int
        Of all constants.
    """

    def __init__(self, places: Plan, int8: bool) -> None:
        self.statements: list[str] = []
        self.constants: list[str] = []
        self.routines: dict[str, None] = {}
        self.bytes = 0
        self.int8 = int8
        self._places = places.places
        self._count = 0

    def write(self, step: O.Step) -> None:
        """Write one step; `ExportError` if its operation has no rule."""
        if isinstance(step.operation, O.Reshape):  # the output lies where the input does
            return
        rule = RULES.get(type(step.operation))
        if rule is None:
            raise ExportError(f"{step.place}: there is no C code for the operation {type(step.operation).__name__}")
        comment = f"    /* {text.comment(step.place)}: {type(step.operation).__name__}"
        self.statements.append(f"{comment} to {'x'.join(map(str, step.output.shape)) or 'a number'} */")
        rule(self, step)

    def at(self, tensor: O.Tensor) -> str:
        """Return where a tensor lies, as an expression."""
        return f"{SCRATCH} + {self._places[tensor.name]}"

    def constant(self, values: Array) -> str:
        """Define an array of float32 and return its name."""
        name = self._name("constant")
        self.constants.append(text.array("float", name, values))
        self.bytes += 4 * values.size
        return name

    def weights(self, values: Array) -> tuple[str, str]:
        """Define weights whose last axis is that of the outputs; return their name, and that of their scale or NULL."""
        if not self.int8:
            return self.constant(values), "NULL"
        rows = values.reshape(-1, values.shape[-1]).astype(np.float64)
        scale = np.abs(rows).max(axis=0, initial=0.0) / LARGEST_INT8
        integers = np.rint(rows / np.where(scale > 0, scale, 1.0)).astype(int)
        name = self._name("constant")
        self.constants.append(text.array("int8_t", name, integers.ravel().tolist()))
        self.bytes += values.size
        return name, self.constant(scale)

    def sizes(self, window: Window, in_shape: Shape, out_shape: Shape, groups: int = 1) -> str:
        """Define the sizes of a convolution or pooling and return how they are passed."""
        self.routines["window_sizes"] = None
        window = window.lifted()
        shapes = [(1, *shape) if len(shape) == 2 else shape for shape in (in_shape, out_shape)]
        (top, _), (left, _) = window.padding
        fields = (*shapes[0], *shapes[1], *window.kernel, *window.stride, *window.dilation, top, left, groups)
        name = self._name("sizes")
        self.constants.append(f"static const window_sizes {name} = {{{', '.join(map(str, fields))}}};\n")
        self.bytes += 4 * len(fields)
        return f"&{name}"

    def call(self, name: str, *arguments: str) -> None:
        """Add a call of a routine."""
        self.routines[name] = None
        self.statements.append(f"    {name}({', '.join(arguments)});")

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count}"


# --- windows ---


def _convolution(writer: NetworkWriter, step: O.Step) -> None:
    operation = _as(O.Convolution, step)
    (x,) = step.inputs
    sizes = writer.sizes(operation.window, x.shape, step.output.shape, operation.groups)
    depthwise = operation.groups == x.shape[-1] == step.output.shape[-1] and operation.groups > 1
    _convolve(writer, step, "convolve_depthwise" if depthwise else "convolve", sizes, operation)


def _linear(writer: NetworkWriter, step: O.Step) -> None:
    operation = _as(O.Linear, step)
    features, units = operation.weight.shape
    places = math.prod(step.inputs[0].shape[:-1])
    one = Window((1,), (1,), (1,), ((0, 0),))
    _convolve(writer, step, "convolve", writer.sizes(one, (places, features), (places, units)), operation)


def _convolve(
    writer: NetworkWriter, step: O.Step, routine: str, sizes: str, operation: O.Convolution | O.Linear
) -> None:
    weights, scale = writer.weights(operation.weight)
    bias = "NULL" if operation.bias is None else writer.constant(operation.bias)
    writer.call(routine, sizes, writer.at(step.inputs[0]), weights, scale, bias, writer.at(step.output))


def _pool(writer: NetworkWriter, step: O.Step) -> None:
    operation = _as(O.Pool, step)
    sizes = writer.sizes(operation.window, step.inputs[0].shape, step.output.shape)
    inside = [] if operation.kind == "max" else [str(int(operation.kind == "average_inside"))]
    name = "pool_max" if operation.kind == "max" else "pool_average"
    writer.call(name, sizes, *inside, writer.at(step.inputs[0]), writer.at(step.output))


# --- number by number ---


def _each(writer: NetworkWriter, step: O.Step, expression: str, *names: str) -> None:
    """Add a loop over all numbers of the output: `expression` of those at the same place of the inputs."""
    inputs = dict(zip(names, step.inputs, strict=True))
    where = {name: (writer.at(tensor), loops.strides(tensor.shape)) for name, tensor in inputs.items()}
    writer.statements.append(loops.over(step.output.shape, writer.at(step.output), expression, where))


def _function(writer: NetworkWriter, step: O.Step) -> None:
    operation = _as(O.Function, step)
    _each(writer, step, _expression(operation.kind, *operation.settings), "x")


def _expression(kind: str, *settings: float) -> str:
    numbers = [text.number(value) for value in settings]
    if kind == "clip":
        low, high = settings
        found = "{x}"
        if low > -math.inf:
            found = f"fmaxf({found}, {numbers[0]})"
        return f"fminf({found}, {numbers[1]})" if high < math.inf else found
    if kind == "hard_sigmoid":
        return f"fminf(fmaxf({numbers[0]} * {{x}} + {numbers[1]}, 0.0f), 1.0f)"
    return _FUNCTIONS[kind].replace("SETTING", numbers[0] if numbers else "")


_FUNCTIONS = {
    "relu": "{x} > 0.0f ? {x} : 0.0f",
    "sigmoid": "1.0f / (1.0f + expf(-{x}))",
    "tanh": "tanhf({x})",
    "exp": "expf({x})",
    "log": "logf({x})",
    "square": "{x} * {x}",
    "sqrt": "sqrtf({x})",
    "leaky_relu": "{x} > 0.0f ? {x} : SETTING * {x}",
    "elu": "{x} > 0.0f ? {x} : SETTING * expm1f({x})",
    "power": "powf({x}, SETTING)",
    "hard_swish": "{x} * fminf(fmaxf({x} / 6.0f + 0.5f, 0.0f), 1.0f)",
}


def _parametric_relu(writer: NetworkWriter, step: O.Step) -> None:
    slope = np.broadcast_to(_as(O.ParametricRelu, step).slope, step.output.shape[-1:])
    _with_constant(writer, step, "{x} > 0.0f ? {x} : {c} * {x}", np.ascontiguousarray(slope))


def _arithmetic(writer: NetworkWriter, step: O.Step) -> None:
    operation = _as(O.Arithmetic, step)
    sign = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}[operation.kind]
    if operation.constant is not None:
        _with_constant(writer, step, f"{{x}} {sign} {{c}}", operation.constant)
        return
    shape = step.output.shape
    where = {
        name: (writer.at(tensor), loops.strides(tensor.shape, shape))
        for name, tensor in zip("xy", step.inputs, strict=True)
    }
    writer.statements.append(loops.over(shape, writer.at(step.output), f"{{x}} {sign} {{y}}", where))


def _with_constant(writer: NetworkWriter, step: O.Step, expression: str, constant: Array) -> None:
    """Add a loop over the output: `expression` of the input x and a constant c, whose axes of size 1 are repeated."""
    shape, (x,) = step.output.shape, step.inputs
    where = {"x": (writer.at(x), loops.strides(x.shape, shape))}
    if constant.size == 1:
        expression = expression.replace("{c}", text.number(float(constant.ravel()[0])))
    else:
        where["c"] = (writer.constant(constant), loops.strides(constant.shape, shape))
    writer.statements.append(loops.over(shape, writer.at(step.output), expression, where))


def _total(writer: NetworkWriter, step: O.Step) -> None:
    names = [f"x{number}" for number in range(len(step.inputs))]
    _each(writer, step, " + ".join(f"{{{name}}}" for name in names), *names)


# --- along axes ---


def _reduce(writer: NetworkWriter, step: O.Step) -> None:
    operation, (x,) = _as(O.Reduce, step), step.inputs
    reduced = {axis % len(x.shape) for axis in operation.axes}
    kept = tuple(1 if axis in reduced else size for axis, size in enumerate(x.shape))
    out, into = writer.at(step.output), loops.strides(kept, x.shape)
    where = {"x": (writer.at(x), loops.strides(x.shape))}
    largest = operation.kind == "max"
    writer.statements.append(loops.over(kept, out, "-FLT_MAX" if largest else "0.0f", {}))
    expression = "{out} > {x} ? {out} : {x}" if largest else "{out} + {x}"
    writer.statements.append(loops.over(x.shape, out, expression, where, into))
    if operation.kind == "mean":
        count = math.prod(x.shape[axis] for axis in reduced)
        writer.statements.append(loops.over(kept, out, f"{{out}} / {text.number(count)}", {}))


def _softmax(writer: NetworkWriter, step: O.Step) -> None:
    operation, shape = _as(O.Softmax, step), step.output.shape
    axis = operation.axis % len(shape)
    sizes = (math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :]))
    settings = [*map(str, sizes), str(int(operation.log))]
    writer.call("softmax_axis", *settings, writer.at(step.inputs[0]), writer.at(step.output))


# --- axes ---


def _transpose(writer: NetworkWriter, step: O.Step) -> None:
    (x,) = step.inputs
    along = loops.strides(x.shape)
    moved = tuple(along[axis] for axis in _as(O.Transpose, step).order)
    writer.statements.append(loops.over(step.output.shape, writer.at(step.output), "{x}", {"x": (writer.at(x), moved)}))


def _pad(writer: NetworkWriter, step: O.Step) -> None:
    operation, (x,) = _as(O.Pad, step), step.inputs
    out, shape = writer.at(step.output), step.output.shape
    writer.statements.append(loops.over(shape, out, text.number(operation.value), {}))
    into = loops.strides(shape)
    first = sum(before * stride for (before, _), stride in zip(operation.pairs, into, strict=True))
    where = {"x": (writer.at(x), loops.strides(x.shape))}
    writer.statements.append(loops.over(x.shape, f"{out} + {first}", "{x}", where, into))


def _concatenate(writer: NetworkWriter, step: O.Step) -> None:
    rows, width, begin = math.prod(step.output.shape[:-1]), step.output.shape[-1], 0
    for x in step.inputs:
        place = f"{writer.at(step.output)} + {begin}"
        writer.call("copy_rows", str(rows), str(x.shape[-1]), str(width), writer.at(x), place)
        begin += x.shape[-1]


def _as(kind: type[Any], step: O.Step) -> Any:
    assert isinstance(step.operation, kind)
    return step.operation


RULES: dict[type[O.Operation], Callable[[NetworkWriter, O.Step], None]] = {
    O.Arithmetic: _arithmetic,
    O.Concatenate: _concatenate,
    O.Convolution: _convolution,
    O.Function: _function,
    O.Linear: _linear,
    O.Pad: _pad,
    O.ParametricRelu: _parametric_relu,
    O.Pool: _pool,
    O.Reduce: _reduce,
    O.Softmax: _softmax,
    O.Total: _total,
    O.Transpose: _transpose,
}
"""How each operation is written; batch normalisation is folded, and the decision is a routine of its own."""
