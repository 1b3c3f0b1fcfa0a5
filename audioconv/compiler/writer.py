"""From a graph to instructions: what each node does to one example, forward and backward.

`Writer` keeps one list of instructions for each stage. A stage ends where a batch normalisation needs the whole batch;
which stage a node belongs to follows from its inputs. A value that is needed in a later stage is kept if it was dear
(convolutions) or several ask for it, and computed again otherwise: sweeps cost less than the memory they would fill.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audioconv.compiler.graph import (
    POINT,
    AddNode,
    AverageNode,
    ConvNode,
    DropoutNode,
    Graph,
    Node,
    Norm,
    SweepNode,
    Value,
)
from audioconv.compiler.program import SLACK, Buffer, Fixed, Instruction, Memory, Place, Tables, aligned, rounded
from audioconv.compiler.tables import Layout, Pairs, pairs, pixels, rows, taps
from audioconv.geometry import Window
from audioconv.kernels import program as machine
from audioconv.kernels.jit import LANES

NO_BORDER = (0, 0, 0, 0)
Border = tuple[int, int, int, int]


class Writer:
    """Writes the instructions of a graph's nodes.

    Parameters
    ----------
    graph : Graph
    parameter : callable
        From a path to where the parameter lies.
    examples : int
        At most so many at a time.
    memory : Memory
        Grows by what the normalisations need.
    constants : Constants
        Grows by what the instructions read.
    fixed_norms : mapping, optional
        By path: mean, scale and shift of each normalisation, where they do not depend on the batch.
    """

    def __init__(
        self,
        graph: Graph,
        parameter: Callable[[str], Fixed],
        examples: int,
        memory: Memory,
        constants: Constants,
        fixed_norms: Mapping[str, Fixed] | None = None,
    ) -> None:
        self.graph, self.examples, self.memory, self.constants = graph, examples, memory, constants
        self.tables = Tables()
        self.stages: list[list[Instruction]] = []
        self.dropouts: list[DropoutNode] = []
        self.norms: dict[str, NormMemory] = {}
        self.tasks = 0
        self.parameter = parameter
        self._fixed_norms = fixed_norms
        self._borders = {value: _border(value) for value in graph.values()}
        self._here: dict[tuple[Value, int], Buffer] = {}
        self._kept: dict[Value, Buffer] = {}
        self.stage_of: dict[Value, int] = {graph.input: 0}

    def emit(
        self,
        stage: int,
        operation: int,
        operands: Sequence[Place | None],
        integers: Sequence[int],
        reals: Sequence[float] = (),
    ) -> None:
        """Append an instruction to a stage."""
        while len(self.stages) <= stage:
            self.stages.append([])
        self.stages[stage].append(Instruction(operation, operands, integers, reals))

    # --- values ------------------------------------------------------------------------------------------------------

    def forward(self) -> None:
        """Write the forward pass."""
        for node in self.graph.nodes:
            stage = max(self.stage_of[value] for value in node.inputs)
            if isinstance(node, SweepNode) and self._by_batch(node):
                stage = max(stage, self.stage_of[node.inputs[0]] + 1)
            value = node.output
            self.stage_of[value] = stage
            norms = [c.norm for c in value.consumers if isinstance(c, SweepNode) and c.norm and self._by_batch(c)]
            if not _is_cheap(node) or norms or value is self.graph.output:
                self.need(value, stage)
            for norm in norms:
                self._moments(value, norm, stage)
        output = self.graph.output
        stage, channels = self.stage_of[output], output.shape[2]
        self._copy(self.need(output, stage), Fixed(machine.OUTPUT, 0, channels).at(), Layout(channels, channels), stage)

    def need(self, value: Value, stage: int) -> Buffer:
        """Return where `value` is to be had in `stage`; where there is none yet, write what computes it."""
        if (value, stage) in self._here:
            return self._here[value, stage]
        if value in self._kept and (not _is_cheap(value.producer) or len(value.consumers) > 1):
            return self._kept[value]
        buffer = self._make(value, stage)
        self._here[value, stage] = buffer
        self._kept.setdefault(value, buffer)
        return buffer

    def _make(self, value: Value, stage: int) -> Buffer:
        """Write what computes `value` from its inputs."""
        node, buffer = value.producer, Buffer(value.shape, self._borders[value])
        border = packed(buffer.border)
        if node is None:
            self._copy_input(buffer, stage)
            return buffer
        inputs = [self.need(x, stage) for x in node.inputs]
        if isinstance(node, ConvNode):
            self.border(buffer, stage)
            self._conv(node, inputs[0], buffer, stage)
        elif isinstance(node, SweepNode):
            operands = [inputs[0].at(), buffer.at(), self.vectors(node).at()]
            self.emit(stage, machine.SWEEP, operands, [*geometry(node.pool or POINT, inputs[0], buffer), border], [node.slope])
        elif isinstance(node, AddNode):
            self.add(inputs[0], inputs[1], buffer, stage)
        elif isinstance(node, AverageNode):
            integers = [*geometry(node.window, inputs[0], buffer), border]
            self.emit(stage, machine.AVERAGE, [inputs[0].at(), buffer.at()], integers)
        elif isinstance(node, DropoutNode):
            bare = self.bare(inputs[0], stage)
            dropped = buffer if not border else Buffer(value.shape)
            self.dropout(node, bare, dropped, stage)
            if border:
                self.add(dropped, None, buffer, stage)
        return buffer

    def _copy_input(self, buffer: Buffer, stage: int) -> None:
        H, W, C = buffer.shape
        self.border(buffer, stage)
        # A line is taken for one pixel of W * C channels: the longest vectors there are.
        integers = [W * C, H, 1, W * C, 0, H, 1, buffer.layout.line, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        source = Fixed(machine.INPUT, 0, H * W * C)
        self.emit(stage, machine.ADD, [source.at(), buffer.at(), None], integers)

    def _copy(self, source: Buffer, target: Place, layout: Layout, stage: int) -> None:
        H, W, C = source.shape
        integers = [C, H, W, *strides(source), H, W, layout.line, layout.pixel, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        self.emit(stage, machine.ADD, [source.at(), target, None], integers)

    def add(self, a: Buffer, b: Buffer | None, y: Buffer, stage: int) -> None:
        H, W, C = y.shape
        others = (0, 0) if b is None else strides(b)
        integers = [C, H, W, *strides(a), H, W, *strides(y), 0, int(b is not None), 0, 0, 0, 0, packed(y.border), *others]
        self.emit(stage, machine.ADD, [a.at(), y.at(), None if b is None else b.at()], integers)

    def border(self, buffer: Buffer, stage: int) -> None:
        """Zero what surrounds an image, for who writes nothing but the image."""
        if buffer.border != NO_BORDER:
            H, W, C = buffer.shape
            self.emit(stage, machine.BORDER, [buffer.at()], [C, H, W, *strides(buffer), packed(buffer.border)])

    def bare(self, buffer: Buffer, stage: int) -> Buffer:
        """Return `buffer` without a border."""
        if buffer.border == NO_BORDER:
            return buffer
        bare = Buffer(buffer.shape)
        self.add(buffer, None, bare, stage)
        return bare

    def dropout(self, node: DropoutNode, x: Buffer, y: Buffer, stage: int) -> None:
        if node not in self.dropouts:
            self.dropouts.append(node)
        size = math.prod(node.output.shape)
        run, period = (size, node.output.shape[2]) if node.whole_channels else (1, size * self.examples)
        integers = [*geometry(POINT, x, y), 0, size, run, period, self.dropouts.index(node)]
        self.emit(stage, machine.DROPOUT, [x.at(), y.at()], integers, [node.rate])

    # --- convolutions ------------------------------------------------------------------------------------------------

    def _conv(self, node: ConvNode, x: Buffer, z: Buffer, stage: int) -> None:
        K = node.output.shape[2]
        weight = self.parameter(node.weight)
        start = self.constants.zeros(K) if node.bias is None else self.parameter(node.bias)
        table = rows(outputs(node, x, z))
        for c, channels, k, kernels in groups(node):
            terms = taps_of(node, x, channels)
            self.correlate(
                stage, node.depthwise, table, terms, kernels,
                corner(node, x, c), weight.at(k), start.at(k), z.at(0, 0, k), machine.NEVER, node.slope,
            )  # fmt: skip

    def correlate(
        self, stage: int, depthwise: bool, table: Pairs, terms: Pairs, columns: int,
        a: Place, b: Place, start: Place, c: Place, onward: int, slope: float = 1.0,
    ) -> None:  # fmt: skip
        """Append a correlation."""
        integers = [
            columns, self.tables.add(table), len(table), self.tables.add(terms), len(terms), int(depthwise), onward,
            int(slope != 1.0),
        ]  # fmt: skip
        self.emit(stage, machine.CORRELATE, [a, b, start, c], integers, [slope])

    # --- normalisation -----------------------------------------------------------------------------------------------

    def _by_batch(self, node: SweepNode) -> bool:
        return node.norm is not None and self._fixed_norms is None

    def vectors(self, node: SweepNode) -> Fixed:
        C = node.inputs[0].shape[2]
        if node.norm is None:
            return self.constants.no_norm(C)
        return self._fixed_norms[node.norm.path] if self._fixed_norms is not None else self.norm(node.norm, C).vectors

    def norm(self, norm: Norm, channels: int) -> NormMemory:
        """Return where the numbers of a normalisation by the batch lie."""
        if norm.path not in self.norms:
            memory, N, size = self.memory, self.examples, whole(channels)
            self.norms[norm.path] = NormMemory(
                memory.fixed(3 * size),
                memory.fixed(3 * size),
                Fixed(machine.STATISTICS, memory.doubles(3 * size * N), 3 * size),
                Fixed(machine.STATISTICS, memory.doubles(2 * size * N), 2 * size),
                Fixed(machine.STATISTICS, memory.doubles(size)),
            )
        return self.norms[norm.path]

    def _moments(self, value: Value, norm: Norm, stage: int) -> None:
        buffer = self.need(value, stage)
        moments = self.norm(norm, value.shape[2]).moments.at()
        H, W, C = value.shape
        self.emit(stage, machine.MOMENTS, [buffer.at(), None, None, moments], [C, H, W, *strides(buffer)])


@dataclass
class NormMemory:
    """Where a batch normalisation's numbers lie: vectors for the sweeps, and sums of each example."""

    vectors: Fixed
    factors: Fixed
    moments: Fixed
    sums: Fixed
    inverse: Fixed


CHANNELS = 16
"""Channels that one instruction merges the statistics of: with those of 64 examples they fit the first-level cache."""


def channel_blocks(channels: int) -> list[list[int]]:
    """Return how many channels each of several instructions takes, and from which on."""
    return [[min(CHANNELS, channels - c), c] for c in range(0, channels, CHANNELS)]


class Constants:
    """Numbers that instructions read and nobody changes."""

    def __init__(self) -> None:
        self._places: dict[object, Fixed] = {}
        self._parts: list[NDArray[np.float32]] = []
        self._size = 0

    def add(self, key: object, numbers: NDArray[np.floating]) -> Fixed:
        """Return where `numbers` lie; `key` finds them again."""
        if key not in self._places:
            self._places[key] = Fixed(machine.CONSTANTS, self._size)
            part = np.zeros(rounded(numbers.size), np.float32)
            part[: numbers.size] = numbers.reshape(-1)
            self._parts.append(part)
            self._size += part.size
        return self._places[key]

    def find(self, key: object) -> Fixed:
        """Return where the numbers lie that were added under `key`."""
        return self._places[key]

    def zeros(self, size: int) -> Fixed:
        """Return where there are `size` zeros, and some more."""
        return self.add(("zeros", size), np.zeros(size + SLACK))

    def no_norm(self, channels: int) -> Fixed:
        """Return mean, scale and shift that change nothing."""
        return self.add(("no norm", channels), norm_vectors(channels, 0, 1, 0))

    def no_norm_gradient(self, channels: int) -> Fixed:
        """Return the factors that leave a gradient as it is."""
        return self.add(("no norm's gradient", channels), norm_vectors(channels, 1, 0, 0))

    def array(self) -> NDArray[np.float32]:
        """Return them all."""
        array = aligned(self._size + SLACK)
        array[: self._size] = np.concatenate(self._parts) if self._parts else 0
        array[self._size :] = 0
        return array


def norm_vectors(channels: int, *numbers: ArrayLike) -> NDArray[np.float32]:
    """Return three numbers or vectors one behind the other, as sweeps read them."""
    vectors = np.zeros((3, whole(channels)), np.float32)
    for row, number in zip(vectors, numbers, strict=True):
        row[:channels] = number
    return vectors


def whole(channels: int) -> int:
    """Return `channels` rounded up to whole vectors."""
    return -(-channels // LANES) * LANES


def _is_cheap(node: Node | None) -> bool:
    return not isinstance(node, ConvNode)


def _border(value: Value) -> Border:
    """Return the padding that the convolutions of `value` want."""
    wanted = [(*node.window.padding[0], *node.window.padding[1]) for node in value.consumers if isinstance(node, ConvNode)]
    return tuple(max(sides) for sides in zip(*wanted, strict=True)) if wanted else NO_BORDER


def packed(border: Border) -> int:
    return border[0] << 48 | border[1] << 32 | border[2] << 16 | border[3]


def strides(buffer: Buffer) -> tuple[int, int]:
    return buffer.layout.line, buffer.layout.pixel


def geometry(window: Window, x: Buffer, y: Buffer) -> list[int]:
    """Return what all sweeps and averages begin with."""
    H, W, C = x.shape
    P, Q, _ = y.shape
    (top, _), (left, _) = window.padding
    return [C, H, W, *strides(x), P, Q, *strides(y), *window.kernel, *window.stride, top, left]


def groups(node: ConvNode) -> list[tuple[int, int, int, int]]:
    """Return first channel, channels, first kernel and kernels of each group; those of a depthwise one go together."""
    C, K = node.inputs[0].shape[2], node.output.shape[2]
    if node.depthwise:
        return [(0, 1, 0, K)]
    each, out = C // node.groups, K // node.groups
    return [(g * each, each, g * out, out) for g in range(node.groups)]


def corner(node: ConvNode, x: Buffer, channel: int) -> Place:
    (top, _), (left, _) = node.window.padding
    return x.at(-top, -left, channel)


def outputs(node: ConvNode, x: Buffer, z: Buffer) -> Pairs:
    """Return each output's place in x and in z."""
    P, Q, _ = node.output.shape
    return pairs(pixels(P, Q, x.layout, node.window.stride), pixels(P, Q, z.layout))


def taps_of(node: ConvNode, x: Buffer, channels: int) -> Pairs:
    """Return each tap's place in x and in the weights."""
    offsets = taps(node.window, channels, x.layout)
    return pairs(offsets, np.arange(len(offsets)) * node.output.shape[2])
