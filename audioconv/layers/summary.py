"""A table of a network's layers for people."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from audioconv.layers.base import Layer, Shape, flatten

remarks: list[Callable[[Layer, Shape], str]] = []
"""Functions of a network and the shape of its input that return a further line of a summary, or an empty text. Other
packages add theirs, such as `compiler.execution`."""


@dataclass(frozen=True)
class Row:
    """One layer of a `Summary`: where it is, what it is, what it gives and costs."""

    path: str
    label: str
    out_shape: Shape
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Summary:
    """The layers of a network, in order; ``str()`` is a table.

    Attributes
    ----------
    in_shape : tuple of int
    rows : tuple of Row
    parameters : int
        Numbers that training changes; running statistics are not among them.
    multiply_adds : int
        Multiplications of one example's forward pass.
    remarks : tuple of str
        Further remarks, such as that the network is not compiled, and why.
    """

    in_shape: Shape
    rows: tuple[Row, ...]
    parameters: int
    multiply_adds: int
    remarks: tuple[str, ...] = ()

    def __str__(self) -> str:
        head = ("", "layer", "output", "parameters", "multiply-adds")
        body = [
            (row.path, row.label, _shape(row.out_shape), f"{row.parameters:,}", f"{row.multiply_adds:,}")
            for row in self.rows
        ]
        first = ("", "input", _shape(self.in_shape), "", "")
        last = ("", "total", "", f"{self.parameters:,}", f"{self.multiply_adds:,}")
        widths = [max(map(len, column)) for column in zip(head, first, *body, last, strict=True)]

        def line(cells: tuple[str, ...]) -> str:
            left = [cell.ljust(width) for cell, width in zip(cells[:3], widths[:3], strict=True)]
            right = [cell.rjust(width) for cell, width in zip(cells[3:], widths[3:], strict=True)]
            return "  ".join([*left, *right]).rstrip()

        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        return "\n".join([line(head), rule, line(first), *map(line, body), rule, line(last), *self.remarks])


def summary(network: Layer, in_shape: Shape) -> Summary:
    """Return the `Summary` of `network` for inputs of `in_shape`; `ShapeError` if they do not fit.

    Examples
    --------
    >>> from audioconv import layers as L
    >>> print(summary(L.Chain([L.Conv(4, 3), L.ReLU(), L.Flatten(), L.Dense(2)]), (10, 1)))
       layer       output  parameters  multiply-adds
    ------------------------------------------------
       input       10 x 1
    0  Conv(4, 3)  8 x 4           16             96
    1  ReLU()      8 x 4            0              0
    2  Flatten()   32               0              0
    3  Dense(2)    2               66             64
    ------------------------------------------------
       total                       82            160
    """
    network.out_shape(in_shape)
    rows = tuple(_rows("", network, tuple(in_shape)))
    said = tuple(filter(None, (remark(network, tuple(in_shape)) for remark in remarks)))
    parameters, multiply_adds = (sum(getattr(row, name) for row in rows) for name in ("parameters", "multiply_adds"))
    return Summary(tuple(in_shape), rows, parameters, multiply_adds, said)


def count_parameters(network: Layer, in_shape: Shape) -> int:
    """Return how many numbers training changes."""
    shapes = flatten(network.param_shapes(in_shape))
    return sum(math.prod(shape) for path, shape in shapes.items() if is_trained(path))


def is_trained(path: str) -> bool:
    """Tell whether the parameter at `path` is trained; running statistics are not."""
    return not path.rpartition(".")[2].startswith("running_")


def _rows(path: str, layer: Layer, in_shape: Shape) -> Iterator[Row]:
    parts = list(layer.parts(in_shape))
    for name, part, shape in parts:
        yield from _rows(f"{path}.{name}" if path else name, part, shape)
    if not parts:
        yield Row(path, layer.label(), layer.out_shape(in_shape), count_parameters(layer, in_shape),
                  layer.multiply_adds(in_shape))  # fmt: skip


def _shape(shape: Shape) -> str:
    return " x ".join(map(str, shape))
