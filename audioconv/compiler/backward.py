"""The backward pass: what each node does to the gradient of one example.

Gradients go through the graph from its end. A convolution's kernels get theirs summed by task, each task being a fixed
few examples, so that the sums are the same on any number of threads. Behind a normalisation by the batch a new stage
begins: its gradient needs two sums over the whole batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audioconv.compiler.graph import (
    POINT,
    AddNode,
    AverageNode,
    ConvNode,
    DropoutNode,
    Node,
    SweepNode,
    Value,
)
from audioconv.compiler.program import PARTIAL_SIZE, Buffer, Fixed, Instruction, Place
from audioconv.compiler.tables import gradient_border, input_gradients, pairs, pixels, rows
from audioconv.compiler.writer import (
    NO_BORDER,
    Border,
    Writer,
    channel_blocks,
    corner,
    geometry,
    groups,
    outputs,
    packed,
    strides,
    taps_of,
    whole,
)
from audioconv.kernels import program as machine


class Backward:
    """Writes the backward pass behind a forward pass.

    Parameters
    ----------
    writer : Writer
        Has written the forward pass; its stages are continued.
    gradient : callable
        From a parameter's path to where its gradient shall lie.

    Attributes
    ----------
    before : list of Instruction
        What is to be done first of all.
    between : dict of int to list of Instruction
        What is to be done when a stage is done, for all examples together.
    after : list of Instruction
        What is to be done last.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._emit = writer.emit
        self.first_stage = len(writer.stages)
        self.before: list[Instruction] = []
        self.between: dict[int, list[Instruction]] = {}
        self.after: list[Instruction] = []
        self._gradients: dict[Value, Buffer] = {}
        self._ready: dict[Value, int] = {}
        self._wanted = _wanted(writer.graph.nodes)

    def write(self) -> None:
        """Write the backward pass."""
        output = self._writer.graph.output
        channels = output.shape[2]
        dy = self._begin(output, self.first_stage)
        source = Fixed(machine.OUTPUT_GRADIENT, 0, channels)
        integers = [channels, 1, 1, channels, channels, 1, 1, *strides(dy), 0, 0, 0, 0, 0, 0, packed(dy.border), 0, 0]
        self._emit(self.first_stage, machine.ADD, [source.at(), dy.at(), None], integers)
        for node in reversed(self._writer.graph.nodes):
            if node.output in self._gradients:
                self._node(node)

    def _node(self, node: Node) -> None:
        value = node.output
        dy, stage = self._gradients[value], self._ready[value]
        if isinstance(node, ConvNode):
            self._weights(node, dy, stage)
            if node.inputs[0] in self._wanted:
                self._conv_input(node, dy, stage)
        elif isinstance(node, SweepNode):
            self._sweep(node, dy, stage)
        elif isinstance(node, AddNode):
            for x in node.inputs:
                if x in self._wanted:
                    self._add_up(dy, x, stage)
        elif isinstance(node, AverageNode):
            dx, stage, onward = self._accumulate(node.inputs[0], stage)
            integers = [*geometry(node.window, dx, dy), 0, machine.ALWAYS if onward else machine.NEVER]
            self._emit(stage, machine.AVERAGE_BACKWARD, [dy.at(), dx.at()], integers)
        elif isinstance(node, DropoutNode):
            dx = Buffer(node.inputs[0].shape)
            self._writer.dropout(node, self._writer.bare(dy, stage), dx, stage)
            self._add_up(dx, node.inputs[0], stage)

    # --- gradients of values -----------------------------------------------------------------------------------------

    def _begin(self, value: Value, stage: int) -> Buffer:
        """Return a new buffer for the gradient of `value`."""
        self._gradients[value] = Buffer(value.shape, self._border(value))
        self._ready[value] = stage
        return self._gradients[value]

    def _border(self, value: Value) -> Border:
        """Return the zeros that the convolution before `value` wants around its gradient."""
        node = value.producer
        if isinstance(node, ConvNode) and not node.dense and node.inputs[0] in self._wanted:
            return gradient_border(node.window, node.inputs[0].shape[:2], value.shape[:2])
        return NO_BORDER

    def _accumulate(self, value: Value, stage: int) -> tuple[Buffer, int, bool]:
        """Return the buffer to add to, in which stage, and whether there is something in it.

        Who adds knows nothing of borders, so that of a new buffer is written here.
        """
        if value in self._gradients:
            self._ready[value] = max(stage, self._ready[value])
            return self._gradients[value], self._ready[value], True
        dx = self._begin(value, stage)
        self._writer.border(dx, stage)
        return dx, stage, False

    def _whole(self, value: Value, stage: int) -> tuple[Buffer, bool]:
        """Return a buffer to write a whole gradient to, with its border, and whether it has to be added up then."""
        if value in self._gradients:
            return Buffer(value.shape), True
        return self._begin(value, stage), False

    def _add_up(self, part: Buffer, value: Value, stage: int) -> None:
        """Add `part` to the gradient of `value`."""
        border = self._border(value)
        if value not in self._gradients and len(value.consumers) == 1 and border == part.border == NO_BORDER:
            self._gradients[value], self._ready[value] = part, stage  # nobody else adds to it
        elif value not in self._gradients:
            self._writer.add(part, None, self._begin(value, stage), stage)
        else:
            dx, stage, _ = self._accumulate(value, stage)
            self._writer.add(dx, part, dx, stage)

    # --- nodes -------------------------------------------------------------------------------------------------------

    def _sweep(self, node: SweepNode, dy: Buffer, stage: int) -> None:
        writer, value = self._writer, node.inputs[0]
        vectors, window = writer.vectors(node), node.pool or POINT
        factors = writer.constants.no_norm_gradient(value.shape[2])
        if node.norm is not None:
            memory = writer.norm(node.norm, value.shape[2])
            x = writer.need(value, stage)
            operands = [x.at(), dy.at(), vectors.at(), memory.sums.at()]
            self._emit(stage, machine.SWEEP_SUMS, operands, [*geometry(window, x, dy), 0], [node.slope])
            self.between.setdefault(stage, []).extend(self._normalise(node))
            stage += 1
            factors = memory.factors
        if value not in self._wanted:
            return
        x = writer.need(value, stage)
        dx, more = self._whole(value, stage)
        operands = [x.at(), dy.at(), vectors.at(), factors.at(), dx.at()]
        integers = [*geometry(window, x, dy), packed(dx.border), *strides(dx)]
        self._emit(stage, machine.SWEEP_BACKWARD, operands, integers, [node.slope])
        if more:
            self._add_up(dx, value, stage)

    def _normalise(self, node: SweepNode) -> list[Instruction]:
        assert node.norm is not None
        H, W, C = node.inputs[0].shape
        memory = self._writer.norm(node.norm, C)
        weight, bias = (self._writer.parameter(f"{node.norm.path}.{name}") for name in ("weight", "bias"))
        gradient = Fixed(machine.GRADIENTS, weight.offset)
        operands = [memory.sums.at(), weight.at(), memory.factors.at(), gradient.at(), None, memory.inverse.at()]
        rest = [whole(C), H * W, bias.offset - weight.offset]
        return [Instruction(machine.NORMALISE_BACKWARD, operands, [*block, *rest]) for block in channel_blocks(C)]

    def _weights(self, node: ConvNode, dz: Buffer, stage: int) -> None:
        """Write the gradients of kernels and biases: the convolution with its two tables exchanged."""
        writer = self._writer
        value, K = node.inputs[0], node.output.shape[2]
        x = writer.need(value, stage)
        terms = outputs(node, x, dz)
        parts = groups(node)
        size = len(taps_of(node, x, parts[0][1])) * K
        partial = writer.memory.per_task(size)
        start = writer.constants.zeros(K)
        for c, channels, k, kernels in parts:
            writer.correlate(
                stage, node.depthwise, rows(taps_of(node, x, channels)), terms, kernels,
                corner(node, x, c), dz.at(0, 0, k), start.at(k), partial.at(k), machine.UNLESS_FIRST,
            )  # fmt: skip
        weight = writer.parameter(node.weight)
        # Parts that several threads can add up.
        for begin in range(0, size, _REDUCED):
            some = min(_REDUCED, size - begin)
            target = Fixed(machine.GRADIENTS, weight.offset).at(begin)
            integers = [some, writer.tasks, PARTIAL_SIZE]
            self.after.append(Instruction(machine.REDUCE, [partial.at(begin), target], integers))
        if node.bias is not None:
            sums = Fixed(machine.STATISTICS, writer.memory.doubles(whole(K) * writer.examples), whole(K))
            P, Q, _ = node.output.shape
            self._emit(stage, machine.CHANNEL_SUMS, [dz.at(), None, None, sums.at()], [K, P, Q, *strides(dz)])
            target = Fixed(machine.GRADIENTS, writer.parameter(node.bias).offset).at()
            self.after.append(Instruction(machine.REDUCE_DOUBLES, [sums.at(), target], [K]))

    def _conv_input(self, node: ConvNode, dz: Buffer, stage: int) -> None:
        """Write the gradient by the input: for each remainder by the stride, a convolution of its own."""
        writer, value = self._writer, node.inputs[0]
        K = node.output.shape[2]
        weight = writer.parameter(node.weight)
        if node.dense:
            dx, more = self._whole(value, stage)
            dense = dx if dx.border == NO_BORDER else Buffer(value.shape)
            size = math.prod(value.shape)
            order = np.arange(size * K).reshape(size, K).T
            turned = self._turned(weight, order)
            one, terms = np.zeros((1, 2), np.int32), pairs(np.arange(K), np.arange(K) * size)
            zeros = writer.constants.zeros(size)
            writer.correlate(
                stage, False, rows(one), terms, size,
                writer.bare(dz, stage).at(), turned.at(), zeros.at(), dense.at(), machine.NEVER,
            )  # fmt: skip
            if dense is not dx:
                writer.add(dense, None, dx, stage)
            if more:
                self._add_up(dx, value, stage)
            return
        dx, stage, onward = self._accumulate(value, stage)
        H, W, _ = value.shape
        top, _, left, _ = dz.border
        for part in input_gradients(node.window, H, W):
            inputs = pixels(part.height, part.width, dx.layout, node.window.stride)
            for c, channels, k, kernels in groups(node):
                shape = (*node.window.kernel, channels, K)
                numbers = np.arange(math.prod(shape)).reshape(shape)
                places = [(down + top) * dz.layout.line + (along + left) * dz.layout.pixel for *_, down, along in part.taps]
                if node.depthwise:
                    taken = [int(numbers[r, s, 0, 0]) for r, s, *_ in part.taps]
                    terms, b, columns, a = pairs(np.array(places), np.array(taken)), weight.at(), K, dz.at(-top, -left)
                else:
                    order = np.array([numbers[r, s, :, k : k + kernels].T for r, s, *_ in part.taps], np.int64)
                    b, columns, a = self._turned(weight, order).at(), channels, dz.at(-top, -left, k)
                    offsets = (np.array(places, np.int64)[:, None] + np.arange(kernels)).reshape(-1)
                    terms = pairs(offsets, np.arange(len(offsets)) * channels)
                table = pairs(pixels(part.height, part.width, dz.layout), inputs)
                writer.correlate(
                    stage, node.depthwise, rows(table), terms.reshape(-1, 2), columns,
                    a, b, writer.constants.zeros(columns).at(), dx.at(*part.corner, c),
                    machine.ALWAYS if onward else machine.NEVER,
                )  # fmt: skip

    def _turned(self, weight: Fixed, order: NDArray[np.int64]) -> Fixed:
        """Return where the numbers of a weight lie in another order."""
        memory = self._writer.memory.fixed(order.size)
        table = self._writer.tables.add(order.astype(np.int32))
        for begin in range(0, order.size, _REDUCED):
            some = min(_REDUCED, order.size - begin)
            operands: Sequence[Place] = [weight.at(), memory.at(begin)]
            self.before.append(Instruction(machine.TRANSPOSE, operands, [table + begin, some]))
        return memory


_REDUCED = 16384
"""Numbers of a task outside the stages."""



def _wanted(nodes: Sequence[Node]) -> set[Value]:
    """Return the values that depend on a parameter."""
    found: set[Value] = set()
    for node in nodes:
        own = isinstance(node, ConvNode) or (isinstance(node, SweepNode) and node.norm is not None)
        if own or found.intersection(node.inputs):
            found.add(node.output)
    return found
