"""Places of a network's arrays in one scratch array: memory is used again after an array's last reader."""

from __future__ import annotations

import math
from dataclasses import dataclass

from audioconv.export.operations import (
    Arithmetic,
    Function,
    ParametricRelu,
    Reshape,
    Softmax,
    Step,
    Tensor,
    Total,
)
from audioconv.runtime.memory_plan import pack

IN_PLACE = (Arithmetic, Function, ParametricRelu, Softmax, Total)
"""Operations that may write over an input of the output's shape: each number depends on those at its own place only,
or, of softmax, is read before it is written."""


@dataclass(frozen=True)
class Plan:
    """Where arrays lie.

    Attributes
    ----------
    places : dict of str to int
        For the name of each tensor, where it begins in the scratch array.
    work : int
        Where the memory of the front end begins. It does not overlap with the network's input.
    size : int
        Of the scratch array, in numbers.
    """

    places: dict[str, int]
    work: int
    size: int


def plan(start: Tensor, steps: list[Step], end: Tensor, work: int) -> Plan:
    """Return the places of all tensors of a network, and of `work` numbers that are used before it."""
    last = len(steps)
    last_use = {tensor.name: number for number, step in enumerate(steps) for tensor in step.inputs}
    last_use[end.name] = last
    storage_of = {start.name: 0}
    lifetimes, sizes = {0: (-1, last_use.get(start.name, 0))}, {0: math.prod(start.shape)}
    for number, step in enumerate(steps):
        storage = _reused(step, number, storage_of, lifetimes)
        until = last_use.get(step.output.name, number)
        if storage is None:
            storage = len(sizes)
            lifetimes[storage], sizes[storage] = (number, until), math.prod(step.output.shape)
        else:
            lifetimes[storage] = (lifetimes[storage][0], max(until, lifetimes[storage][1]))
        storage_of[step.output.name] = storage
    if work:
        lifetimes[-1], sizes[-1] = (-1, -1), work
    offsets = pack(lifetimes, sizes)
    places = {name: offsets[storage] for name, storage in storage_of.items()}
    size = max(offsets[storage] + sizes[storage] for storage in sizes)
    return Plan(places, offsets.get(-1, 0), size)


def _reused(step: Step, number: int, storage_of: dict[str, int], lifetimes: dict[int, tuple[int, int]]) -> int | None:
    """Return the storage of an input that the output takes over; None if it needs its own."""
    if isinstance(step.operation, Reshape):
        return storage_of[step.inputs[0].name]
    if isinstance(step.operation, IN_PLACE):
        for tensor in step.inputs:
            storage = storage_of[tensor.name]
            # Another view of it with another shape would be read at other places.
            views = {one.shape for one in step.inputs if storage_of[one.name] == storage}
            if views == {step.output.shape} and lifetimes[storage][1] <= number:
                return storage
    return None
