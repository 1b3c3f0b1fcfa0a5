"""The operations that a model is described with: plain configuration and constants, for a writer of any format.

Shapes exclude the batch; axes are counted from the end. Channels are last: ``(frames, bands, channels)``, ``(time,
channels)`` or ``(features,)``. Numbers are float32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audioconv._types import Array
from audioconv.geometry import Window
from audioconv.layers.base import Shape


@dataclass(frozen=True, eq=False)
class Tensor:
    """What an operation takes or gives: a name, and the shape of one example."""

    name: str
    shape: Shape


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation: its configuration and its constants."""

    def infer_shape(self, *shapes: Shape) -> Shape:
        """Return the shape of the output for inputs of `shapes`. Default: that of the first."""
        return shapes[0]


@dataclass(frozen=True, eq=False)
class Step:
    """An operation with its place in the network, its inputs and its output."""

    operation: Operation
    place: str
    inputs: tuple[Tensor, ...]
    output: Tensor


@dataclass(frozen=True, eq=False)
class Graph:
    """A model as steps, each behind those whose outputs it takes.

    Attributes
    ----------
    input : Tensor
        Samples, features or pixels, as the model takes them.
    steps : list of Step
    network_input, logits : Tensor
        Where the network begins, behind front end and normalisation, and where it ends, before the decision.
    outputs : dict of str to Tensor
    """

    input: Tensor
    steps: list[Step]
    network_input: Tensor
    logits: Tensor
    outputs: dict[str, Tensor]


class GraphBuilder:
    """Collects steps."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._names: dict[str, int] = {}

    def tensor(self, name: str, shape: Shape) -> Tensor:
        """Return a tensor whose name is the only one of its kind."""
        count = self._names[name] = self._names.get(name, 0) + 1
        return Tensor(name if count == 1 else f"{name}#{count}", tuple(shape))

    def add(self, operation: Operation, place: str, *inputs: Tensor) -> Tensor:
        """Add a step and return its output."""
        shape = operation.infer_shape(*(one.shape for one in inputs))
        output = self.tensor(f"{place}/{type(operation).__name__}", shape)
        self.steps.append(Step(operation, place, inputs, output))
        return output


@dataclass(frozen=True, eq=False)
class Convolution(Operation):
    """Convolution over one or two spatial axes.

    Attributes
    ----------
    weight : array (*kernel, C/groups, K) float32
    bias : array (K,) float32, or None
    window : Window
    groups : int
    """

    weight: Array
    bias: Array | None
    window: Window
    groups: int = 1

    def infer_shape(self, *shapes: Shape) -> Shape:
        return (*self.window.out_size(shapes[0][:-1]), self.weight.shape[-1])


@dataclass(frozen=True, eq=False)
class Linear(Operation):
    """The last axis times a matrix (features, units), plus a bias (units,) or None."""

    weight: Array
    bias: Array | None = None

    def infer_shape(self, *shapes: Shape) -> Shape:
        return (*shapes[0][:-1], self.weight.shape[1])


@dataclass(frozen=True, eq=False)
class Pool(Operation):
    """The largest or the average number of each window; padding counts as zeros, or not at all (`average_inside`)."""

    kind: Literal["max", "average", "average_inside"]
    window: Window

    def infer_shape(self, *shapes: Shape) -> Shape:
        return (*self.window.out_size(shapes[0][:-1]), shapes[0][-1])


@dataclass(frozen=True, eq=False)
class Reduce(Operation):
    """The mean, the largest number or the sum over some axes, which stay with size 1 if `keep`."""

    kind: Literal["mean", "max", "sum"]
    axes: tuple[int, ...]
    keep: bool = True

    def infer_shape(self, *shapes: Shape) -> Shape:
        reduced = [axis % len(shapes[0]) for axis in self.axes]
        if self.keep:
            return tuple(1 if axis in reduced else size for axis, size in enumerate(shapes[0]))
        return tuple(size for axis, size in enumerate(shapes[0]) if axis not in reduced)


@dataclass(frozen=True, eq=False)
class BatchNormalise(Operation):
    """``(x - mean) / sqrt(variance + epsilon) * weight + bias``, each (channels,); `momentum` is that of training."""

    weight: Array
    bias: Array
    mean: Array
    variance: Array
    epsilon: float
    momentum: float

    def affine(self) -> tuple[Array, Array]:
        """Return factor and shift (channels,) float32 that do the same."""
        factor = self.weight / np.sqrt(self.variance.astype(np.float64) + self.epsilon)
        return factor.astype(np.float32), (self.bias - self.mean * factor).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Function(Operation):
    """A function of each number; `settings` are its numbers.

    ========================= ==============================================
    relu, sigmoid, tanh, exp  as their names say
    log, square, sqrt         as their names say
    leaky_relu (slope)        x above zero, slope * x below
    elu (alpha)               x above zero, alpha * (exp(x) - 1) below
    clip (low, high)          min(max(x, low), high); -inf and inf: no bound
    power (exponent)          x ** exponent
    hard_sigmoid (slope, shift)  min(max(slope * x + shift, 0), 1)
    hard_swish                x * min(max(x / 6 + 1/2, 0), 1)
    ========================= ==============================================
    """

    kind: Literal[
        "relu", "sigmoid", "tanh", "exp", "log", "square", "sqrt", "leaky_relu", "elu", "clip", "power",
        "hard_sigmoid", "hard_swish",
    ]  # fmt: skip
    settings: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class ParametricRelu(Operation):
    """``x`` above zero, ``slope * x`` below; slope (channels,) or (1,)."""

    slope: Array


@dataclass(frozen=True, eq=False)
class Arithmetic(Operation):
    """Two tensors, or a tensor and a constant, number by number. Axes of size 1 are repeated, as by NumPy."""

    kind: Literal["add", "subtract", "multiply", "divide"]
    constant: Array | None = None

    def infer_shape(self, *shapes: Shape) -> Shape:
        other = shapes[1] if self.constant is None else self.constant.shape
        return tuple(int(size) for size in np.broadcast_shapes(shapes[0], other))


@dataclass(frozen=True, eq=False)
class Total(Operation):
    """The sum of any number of tensors of one shape: networks that decide together."""


@dataclass(frozen=True, eq=False)
class Softmax(Operation):
    """Softmax along an axis; its logarithm if `log`."""

    axis: int = -1
    log: bool = False


@dataclass(frozen=True, eq=False)
class Reshape(Operation):
    """The same numbers in the same order with other axes."""

    shape: Shape

    def infer_shape(self, *shapes: Shape) -> Shape:
        assert math.prod(shapes[0]) == math.prod(self.shape)
        return self.shape


@dataclass(frozen=True, eq=False)
class Transpose(Operation):
    """Axes in another order: axis n of the output is axis ``order[n]`` of the input, counted from 0."""

    order: tuple[int, ...]

    def infer_shape(self, *shapes: Shape) -> Shape:
        return tuple(shapes[0][axis] for axis in self.order)


@dataclass(frozen=True, eq=False)
class Pad(Operation):
    """A constant around the input: (before, after) for each axis."""

    pairs: tuple[tuple[int, int], ...]
    value: float

    def infer_shape(self, *shapes: Shape) -> Shape:
        return tuple(size + sum(pair) for size, pair in zip(shapes[0], self.pairs, strict=True))


@dataclass(frozen=True, eq=False)
class Concatenate(Operation):
    """Tensors one behind the other along their last axis."""

    def infer_shape(self, *shapes: Shape) -> Shape:
        return (*shapes[0][:-1], sum(shape[-1] for shape in shapes))


@dataclass(frozen=True, eq=False)
class Odds(Operation):
    """The logarithm of the likeliest word's odds against all other classes: (classes,) to (1,).

    Attributes
    ----------
    words : array (classes,) bool
        Which classes are words.
    """

    words: NDArray[np.bool_]

    def infer_shape(self, *shapes: Shape) -> Shape:
        return (1,)


@dataclass(frozen=True, eq=False)
class Answer(Operation):
    """The number of the likeliest class, or -1: from probabilities (classes,) to ().

    Attributes
    ----------
    possible, words : array (classes,) bool
        Which classes may be the answer, and which are words.
    threshold : float
        The least probability of a word; below it, and where the likeliest class is no word, the answer is -1.
    """

    possible: NDArray[np.bool_]
    words: NDArray[np.bool_]
    threshold: float

    def infer_shape(self, *shapes: Shape) -> Shape:
        return ()


def single(values: ArrayLike) -> Array:
    """Return numbers as a constant, float32."""
    return np.asarray(values, np.float32)
