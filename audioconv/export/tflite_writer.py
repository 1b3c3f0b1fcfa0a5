"""Tensors and operators of a TFLite file, as they are collected; in float32 or in 8-bit integers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from audioconv._types import Array
from audioconv.export.operations import Tensor
from audioconv.export.tflite_file import OperatorSpec, Quantisation, TensorSpec
from audioconv.layers.base import Shape

VERSIONS = {
    "ADD": 2, "AVERAGE_POOL_2D": 2, "CONCATENATION": 2, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "DEQUANTIZE": 2,
    "FULLY_CONNECTED": 4, "LEAKY_RELU": 2, "LOGISTIC": 2, "MAXIMUM": 2, "MAX_POOL_2D": 2, "MEAN": 2, "MINIMUM": 2,
    "MUL": 2, "PAD": 2, "PADV2": 2, "QUANTIZE": 2, "REDUCE_MAX": 2, "RELU": 2, "SUB": 2, "TANH": 2, "TRANSPOSE": 2,
}  # fmt: skip
"""First versions of operators that take 8-bit integers; of all others the first."""

Range = tuple[float, float]
"""The least and the greatest number of a tensor."""


def held(shape: Shape) -> Shape:
    """Return the shape in which a tensor lies in the file: what is 1-D is 2-D with height 1.

    >>> held((98, 16)), held((98, 40, 16)), held((10,))
    ((1, 98, 16), (98, 40, 16), (10,))
    """
    return (1, *shape) if len(shape) == 2 else tuple(shape)


class OperatorWriter:
    """Collects tensors and operators.

    Parameters
    ----------
    ranges : mapping, optional
        The range of each tensor by its name, of those that may be 8-bit integers. Default: everything is float32.

    Attributes
    ----------
    tensors : list of TensorSpec
    operators : list of OperatorSpec
    integers : bool
        Whether the present step is written in 8-bit integers.
    """

    def __init__(self, ranges: Mapping[str, Range] | None = None) -> None:
        self.tensors: list[TensorSpec] = []
        self.operators: list[OperatorSpec] = []
        self.integers = False
        self.place = ""
        self._ranges = ranges or {}
        self._numbers: dict[tuple[str, bool], int] = {}

    def begin(self, tensor: Tensor, shape: Shape) -> int:
        """Add the input of the file, float32 of a shape, and return its number."""
        start = self._known(tensor, False, TensorSpec(tensor.name, (1, *shape), "float32"))
        if held(tensor.shape) != shape:
            lying = self._known(tensor, False, replace(self._float(tensor), name=f"{tensor.name}/held"))
            self.place = tensor.name
            self.operator("RESHAPE", [start, self.whole([-1, *held(tensor.shape)])], [lying], "ReshapeOptions")
        return start

    def input(self, tensor: Tensor, like: Quantisation | None = None) -> int:
        """Return the number of a tensor in the present type; of integers with the scale `like`, where it is given."""
        key = (tensor.name, self.integers)
        if key not in self._numbers:
            source = self._numbers[tensor.name, not self.integers]
            spec = self._spec(tensor) if self.integers else replace(self._float(tensor), name=f"{tensor.name}/float")
            self._known(tensor, self.integers, spec)
            code = "QUANTIZE" if self.integers else "DEQUANTIZE"
            self.operators.append(OperatorSpec(code, (source,), (self._numbers[key],), version=VERSIONS[code]))
        number = self._numbers[key]
        if like is not None and not _is_same(self.tensors[number].quantisation, like):
            spec = self.tensors[number]
            again = self.add(replace(spec, name=f"{spec.name}/scaled", quantisation=like))
            self.operators.append(OperatorSpec("QUANTIZE", (number,), (again,), version=VERSIONS["QUANTIZE"]))
            return again
        return number

    def output(self, tensor: Tensor, quantisation: Quantisation | None = None) -> int:
        """Add what a step gives, in the present type, and return its number.

        Parameters
        ----------
        tensor : Tensor
        quantisation : Quantisation, optional
            Default: by the tensor's range.
        """
        spec = self._spec(tensor) if self.integers else self._float(tensor)
        if self.integers and quantisation is not None:
            spec = replace(spec, quantisation=quantisation)
        return self._known(tensor, self.integers, spec)

    def integer_output(self, tensor: Tensor) -> int:
        """Add what a step gives as 32-bit integers, and return its number."""
        return self._known(tensor, False, replace(self._float(tensor), dtype="int32"))

    def between(self, shape: Shape, like: int, dtype: str | None = None) -> int:
        """Add a tensor (1, *shape) between two operators of a step, with type and scale of another."""
        spec = self.tensors[like]
        if dtype is not None:
            spec = replace(spec, dtype=dtype, quantisation=None)
        return self.add(replace(spec, name=f"{self.place}/{len(self.tensors)}", shape=(1, *shape), data=None))

    def quantisation(self, number: int) -> Quantisation | None:
        """Return the scale of a tensor; None for float32."""
        return self.tensors[number].quantisation

    def operator(
        self, code: str, inputs: Sequence[int], outputs: Sequence[int], options: str = "", **settings: Any
    ) -> None:
        """Add an operator."""
        version = VERSIONS.get(code, 1) if self.integers else 1
        self.operators.append(OperatorSpec(code, tuple(inputs), tuple(outputs), options, settings, version))

    def chained(self, x: int, *operators: tuple[str, float | None, str]) -> int:
        """Add operators of one input and perhaps a number, one behind the other; return the output of the last."""
        for code, number, options in operators:
            y = self.between(self.tensors[x].shape[1:], like=x)
            self.operator(code, [x] if number is None else [x, self.constant(number)], [y], options)
            x = y
        return x

    def whole(self, values: ArrayLike) -> int:
        """Add a constant of 32-bit integers: axes, shapes and pads."""
        return self._constant(np.asarray(values, np.int32))

    def constant(self, values: ArrayLike, like: int | None = None) -> int:
        """Add a constant in the present type; of integers with its own scale, or with that of the tensor `like`."""
        array = np.asarray(values, np.float32)
        if not self.integers:
            return self._constant(array)
        scale = by_range(float(array.min(initial=0)), float(array.max(initial=0)))
        if like is not None:
            scale = self.quantisation(like) or scale
        return self._constant(quantised(array, scale), scale)

    def weight(self, values: Array, axis: int) -> int:
        """Add weights in the present type, integers with a scale for each place along `axis`."""
        if not self.integers:
            return self._constant(np.asarray(values, np.float32))
        others = tuple(other for other in range(values.ndim) if other != axis)
        largest = np.abs(values).max(axis=others)
        scale = np.where(largest > 0, largest / 127, 1.0).astype(np.float32)
        by_place = scale.reshape([-1 if other == axis else 1 for other in range(values.ndim)])
        integers = np.clip(np.round(values / by_place), -127, 127).astype(np.int8)
        return self._constant(integers, Quantisation(scale, np.zeros(len(scale)), axis))

    def bias(self, values: Array, x: int, weight: int) -> int:
        """Add a bias; 32-bit integers with the scale of the products of input and weight."""
        of_x, of_weight = self.quantisation(x), self.quantisation(weight)
        if not self.integers or of_x is None or of_weight is None:
            return self._constant(np.asarray(values, np.float32))
        scale = np.asarray(of_x.scale[0] * of_weight.scale, np.float64)
        integers = np.clip(np.round(values / scale), -(2**31), 2**31 - 1).astype(np.int32)
        return self._constant(integers, Quantisation(scale.astype(np.float32), np.zeros(len(scale))))

    def add(self, spec: TensorSpec) -> int:
        """Add a tensor and return its number."""
        self.tensors.append(spec)
        return len(self.tensors) - 1

    def _constant(self, array: Array, quantisation: Quantisation | None = None) -> int:
        name = f"{self.place}/constant{len(self.tensors)}"
        return self.add(TensorSpec(name, array.shape, array.dtype.name, array, quantisation))

    def _known(self, tensor: Tensor, integers: bool, spec: TensorSpec) -> int:
        number = self._numbers[tensor.name, integers] = self.add(spec)
        return number

    def _float(self, tensor: Tensor) -> TensorSpec:
        return TensorSpec(tensor.name, (1, *held(tensor.shape)), "float32")

    def _spec(self, tensor: Tensor) -> TensorSpec:
        return replace(self._float(tensor), dtype="int8", quantisation=by_range(*self._ranges[tensor.name]))


def by_range(low: float, high: float) -> Quantisation:
    """Return the scale of 8-bit integers for numbers between `low` and `high`; 0 is one of them.

    >>> found = by_range(-1.0, 1.55)
    >>> float(found.scale[0]).__round__(6), int(found.zero[0])
    (0.01, -28)
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255 if high > low else 1.0
    zero = min(127, max(-128, round(-128 - low / scale)))
    return Quantisation(np.array([scale], np.float32), np.array([zero]))


def fixed(scale: float, zero: int) -> Quantisation:
    """Return a scale that an operator prescribes."""
    return Quantisation(np.array([scale], np.float32), np.array([zero]))


def quantised(array: Array, scale: Quantisation) -> Array:
    """Return numbers as 8-bit integers of a scale."""
    integers = np.round(array.astype(np.float64) / scale.scale[0]) + scale.zero[0]
    return np.asarray(np.clip(integers, -128, 127), np.int8)


def _is_same(a: Quantisation | None, b: Quantisation | None) -> bool:
    if a is None or b is None:
        return a is b
    return math.isclose(float(a.scale[0]), float(b.scale[0]), rel_tol=1e-9) and int(a.zero[0]) == int(b.zero[0])
