"""Batch normalisation within the weights before it: fewer operations, for formats that only compute forward."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from audioconv._types import Array
from audioconv.export.operations import Arithmetic, BatchNormalise, Convolution, Graph, GraphBuilder, Linear, Step


def folded(graph: Graph) -> Graph:
    """Return a graph without `BatchNormalise`: its factors are in the weights before it, or a product and a sum."""
    used = uses(graph)
    steps: list[Step] = []
    names = GraphBuilder()
    for step in graph.steps:
        operation = step.operation
        if isinstance(operation, Arithmetic) and operation.kind == "multiply" and operation.constant is not None:
            steps.append(_evened(steps, step, operation.constant, used))
            continue
        if not isinstance(operation, BatchNormalise):
            steps.append(step)
            continue
        factor, shift = operation.affine()
        before = steps[-1] if steps and steps[-1].output is step.inputs[0] else None
        if before is not None and used[before.output.name] == 1:
            merged = _merged(before.operation, factor, shift)
            if merged is not None:
                steps[-1] = Step(merged, before.place, before.inputs, step.output)
                continue
        scaled = names.tensor(f"{step.output.name}/scaled", step.output.shape)
        steps.append(Step(Arithmetic("multiply", factor), step.place, step.inputs, scaled))
        steps.append(Step(Arithmetic("add", shift), step.place, (scaled,), step.output))
    return replace(graph, steps=steps)


def _evened(steps: list[Step], step: Step, factors: Array, used: Counter[str]) -> Step:
    """Return a product with factors that differ along other axes than the channels, as after a sub-spectral norm.

    The largest factor of each channel goes into the weights of the convolution before it, in place: its channels have
    like ranges then, which 8-bit integers need.
    """
    before = steps[-1] if steps and steps[-1].output is step.inputs[0] else None
    if before is None or used[before.output.name] > 1 or factors.ndim < 2:
        return step
    largest = np.abs(factors).max(axis=tuple(range(factors.ndim - 1)))
    if not largest.all():
        return step
    merged = _merged(before.operation, largest, np.zeros_like(largest))
    if merged is None:
        return step
    steps[-1] = replace(before, operation=merged)
    return replace(step, operation=Arithmetic("multiply", np.asarray(factors / largest, np.float32)))


def uses(graph: Graph) -> Counter[str]:
    """Return by name how often each tensor is used, as an input of a step or from outside."""
    used = Counter(tensor.name for step in graph.steps for tensor in step.inputs)
    used.update(tensor.name for tensor in (*graph.outputs.values(), graph.network_input, graph.logits))
    return used


def _merged(operation: object, factor: Array, shift: Array) -> Convolution | Linear | None:
    if not isinstance(operation, Convolution | Linear):
        return None
    bias = shift if operation.bias is None else (operation.bias * factor + shift).astype(np.float32)
    return replace(operation, weight=np.ascontiguousarray(operation.weight * factor), bias=bias)
