"""Networks between file and layers: steps on tensors, with the order of their axes in memory.

A file numbers a tensor's axes in its own way, usually (N, C, H, W), and exchanges, merges and removes them. Here a
tensor of the file is described by the axes of the array, channels last, that holds its numbers. An exchange then
changes the description alone; numbers are moved only where a layer needs them in another order.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from audioconv.errors import ShapeError
from audioconv.interop.errors import UnsupportedError
from audioconv.layers import Flatten, Layer, Params, Rearrange


@dataclass(eq=False)
class Axis:
    """An axis of an array, and its size."""

    size: int


BATCH = Axis(1_000_003_457)
"""The axis of the batch. Its size stands for "any", and occurs nowhere else."""


def shown_size(size: int) -> str:
    """Return a size as messages show it: N for the batch, in products and in sums with small numbers too."""
    count = round(size / BATCH.size)
    rest = size - count * BATCH.size
    if not count or abs(rest) > 64:
        return str(size)
    product = "N" if count == 1 else f"N * {shown_size(count)}"
    return f"{product} {'+' if rest > 0 else '-'} {abs(rest)}" if rest else product


def shown_shape(shape: Sequence[int]) -> str:
    """Return a shape as messages show it, with N for the batch."""
    return f"({', '.join(map(shown_size, shape))}{',' if len(shape) == 1 else ''})"


def shown_text(text: object) -> str:
    """Return a message of other code on one line, with N where it has the number that stands for the batch."""
    return re.sub(r"\d{10,}", lambda found: shown_size(int(found[0])), " ".join(str(text).split()))


Group = tuple[Axis, ...]
"""The axes that are one axis of the file's tensor, the slowest first; none for an axis of size 1."""


@dataclass(eq=False)
class Layout:
    """The order of an array's axes without the batch; None as long as nothing depends on it.

    `spare` are axes of size 1 that an input has and that may lie anywhere.
    """

    order: list[Axis] | None = None
    spare: list[Axis] = field(default_factory=list)


@dataclass(eq=False)
class Tensor:
    """A tensor of the file.

    Attributes
    ----------
    name : str
    groups : list of tuple of Axis
        Axes that make up each axis of the file's tensor, the batch included.
    layout : Layout
        Order of its numbers; shared by tensors between which there are only functions of single numbers.
    step : Step or None
        Step that computes it; None for the input.
    """

    name: str
    groups: list[Group]
    layout: Layout
    step: Step | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the file's tensor; the batch counts `BATCH.size`."""
        return tuple(math.prod(axis.size for axis in group) for group in self.groups)

    @property
    def order(self) -> list[Axis]:
        """The order of the array's axes; where none is decided, it becomes channels last."""
        if self.layout.order is None:
            _, *groups = self.groups
            last = [*groups[1:], groups[0]] if len(groups) > 1 else groups
            self.layout.order = [axis for group in last for axis in group]
        return self.layout.order

    @property
    def array_shape(self) -> tuple[int, ...]:
        """Shape of an example's array."""
        return tuple(axis.size for axis in self.order)

    def is_batch_first(self) -> bool:
        """Tell whether the first axis, and no other, is the batch."""
        return self.groups[:1] == [(BATCH,)] and not any(BATCH in group for group in self.groups[1:])


@dataclass(eq=False)
class Step:
    """A layer on one tensor, or a join of several: a sum, a product, or one behind the other.

    Attributes
    ----------
    name : str
        Name of the node in the file.
    operator : str
    inputs : list of Tensor
    layer : Layer or None
        None for a join.
    join : {"", "add", "multiply", "concat"}
    params : dict
    """

    name: str
    operator: str
    inputs: list[Tensor]
    layer: Layer | None = None
    join: str = ""
    params: Params = field(default_factory=dict)

    @property
    def place(self) -> str:
        """The node as messages name it."""
        return f"node {self.name!r} ({self.operator})"


def applied(step: Step, groups: Sequence[Group], order: list[Axis], name: str) -> Tensor:
    """Return the output of `step`, a layer whose array has the axes `order`; their sizes are filled in."""
    assert step.layer is not None
    try:
        sizes = step.layer.out_shape(step.inputs[0].array_shape)
    except ShapeError as error:
        raise UnsupportedError(str(error), step.place) from None
    for axis, size in zip(order, sizes, strict=True):
        axis.size = size
    return Tensor(name, list(groups), Layout(order), step)


def same_places(step: Step, name: str) -> Tensor:
    """Return the output of `step`, a function of single numbers: it lies as the input does."""
    source = step.inputs[0]
    return Tensor(name, list(source.groups), source.layout, step)


def arranged(tensor: Tensor, wanted: Sequence[Group], name: str) -> Tensor:
    """Return `tensor` with an array whose axes are `wanted`, groups of axes merged; `name` is the node that needs it.

    Nothing is added where the array lies so already, or where its order was not decided yet.
    """
    referenced = {id(axis) for group in tensor.groups for axis in group}
    if tensor.layout.order is None and all(len(group) < 2 for group in wanted):
        loose = [axis for axis in tensor.layout.spare if id(axis) not in referenced]
        tensor.layout.order = [group[0] if group else (loose.pop(0) if loose else Axis(1)) for group in wanted]
        return tensor
    order = tensor.order

    def is_at(position: int, group: Group) -> bool:
        if group:
            return len(group) == 1 and order[position] is group[0]
        return order[position].size == 1 and id(order[position]) not in referenced

    if len(order) == len(wanted) and all(is_at(position, group) for position, group in enumerate(wanted)):
        return tensor
    place = {id(axis): number for number, axis in enumerate(order)}
    numbers = [tuple(place[id(axis)] for axis in group) for group in wanted]
    merged = [group[0] if len(group) == 1 else Axis(math.prod(axis.size for axis in group)) for group in wanted]
    layer: Layer = Rearrange([group[0] if len(group) == 1 else group for group in numbers])
    if len(wanted) == 1 and list(numbers[0]) == sorted(numbers[0]):
        layer = Flatten()
    groups = [(merged[list(wanted).index(group)],) if len(group) > 1 and group in wanted else group
              for group in tensor.groups]  # fmt: skip
    return applied(Step(name, "arrange", [tensor], layer), groups, merged, tensor.name)


def reshaped(tensor: Tensor, shape: Sequence[int], place: str) -> Tensor:
    """Return `tensor` with the file's axes merged or split to `shape`; the array stays as it is."""
    atoms = [axis for group in tensor.groups for axis in group if axis.size != 1]
    groups: list[Group] = []
    for size in shape:
        group: list[Axis] = []
        while math.prod(axis.size for axis in group) < size and atoms:
            group.append(atoms.pop(0))
        if math.prod(axis.size for axis in group) != size or (BATCH in group and len(group) > 1):
            raise UnsupportedError(
                f"shape {shown_shape(tensor.shape)} becomes {shown_shape(shape)}, which splits an axis or moves the "
                "batch; only axes that are merged, removed or added are supported", place,
                "export the network with the batch as an axis of its own" if _moves_batch(shape) else "",
            )  # fmt: skip
        groups.append(tuple(group))
    return Tensor(tensor.name, groups, tensor.layout, tensor.step)


def _moves_batch(shape: Sequence[int]) -> bool:
    """Tell whether a shape has the batch elsewhere than as an axis of its own in front."""
    return not shape or shape[0] != BATCH.size
