"""The forward pass of a graph as instructions: what each node does to one example.

There is one list of instructions for each stage. A stage ends where a batch normalisation needs the whole batch; which
stage a node belongs to follows from its inputs. What a later stage needs of a value is kept if it was dear
(convolutions) or several ask for it, and computed again otherwise: sweeps cost less than the memory they would fill,
and so does a first convolution that sums few numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from audioconv import ops
from audioconv.compiler.graph import (
    ActivationNode,
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
from audioconv.geometry import POINT, Window
from audioconv.kernels import interpreter as opcodes
from audioconv.runtime.copies import Outside, add, bare, clear_border, copy
from audioconv.runtime.program import (
    NO_BORDER,
    Border,
    Buffer,
    Constants,
    Fixed,
    Instruction,
    Memory,
    Section,
    Tables,
    whole,
)
from audioconv.runtime.views import geometry, view, views

CHANNELS = 16
"""Channels that one instruction merges the statistics of: with those of 64 examples they fit the first-level cache."""


class Writer:
    """Writes the forward pass.

    Parameters
    ----------
    graph : Graph
    parameter : callable
        From a path to where the parameter lies.
    examples : int
        At most so many at a time.
    constants : Constants
        Grows by what the instructions read.
    fixed_norms : mapping, optional
        By path: mean, scale and shift of each band of a normalisation, where they do not depend on the batch.

    Attributes
    ----------
    stages : list of list of Instruction
        What is done for each example.
    between : dict of int to list of Instruction
        What is done when a stage is done, for all examples together.
    preparations, later : list of Instruction
        What is done before the first stage, and what is done then, still before it.
    known : dict of int to Fixed
        By the offset of a weight: where its transformed kernels lie, if they are constants.
    stage_of : dict of Value to int
        In which stage each value is computed first.
    dropouts : list of DropoutNode
        In the order in which they draw their seeds.
    """

    def __init__(
        self,
        graph: Graph,
        parameter: Callable[[str], Fixed],
        examples: int,
        constants: Constants,
        fixed_norms: Mapping[str, Sequence[Fixed]] | None = None,
    ) -> None:
        self.graph, self.parameter, self.examples, self.constants = graph, parameter, examples, constants
        self.memory, self.tables = Memory(), Tables()
        self.stages: list[list[Instruction]] = []
        self.between: dict[int, list[Instruction]] = {}
        self.preparations: list[Instruction] = []
        self.later: list[Instruction] = []
        self.known: dict[int, Fixed] = {}
        self.stage_of: dict[Value, int] = {graph.input: 0}
        self.dropouts: list[DropoutNode] = [node for node in graph.nodes if isinstance(node, DropoutNode)]
        self._norms: dict[str, list[NormMemory]] = {}
        self._fixed_norms = fixed_norms
        self._borders = {value: _border(value) for value in graph.values()}
        self._here: dict[tuple[Value, int], Buffer] = {}
        self._kept: dict[Value, Buffer] = {}
        self._picked: dict[SweepNode, Buffer] = {}

    def section(self, stage: int) -> Section:
        """Return where the instructions of a stage are written."""
        while len(self.stages) <= stage:
            self.stages.append([])
        return Section(
            self.stages[stage], self.preparations, self.tables, self.memory, self.constants, self.later, self.known
        )

    def forward(self) -> None:
        """Write the forward pass."""
        for sweep in self._by_batch_behind(self.graph.input):
            self._moments(sweep, 0)
        for node in self.graph.nodes:
            stage = max(self.stage_of[value] for value in node.inputs)
            if isinstance(node, SweepNode) and self.by_batch(node):
                stage = max(stage, self.stage_of[node.inputs[0]] + 1)
            value = node.output
            self.stage_of[value] = stage
            norms = self._by_batch_behind(value)
            if not _is_cheap(node) or norms or value is self.graph.output:
                self.need(value, stage)
            for sweep in norms:
                self._moments(sweep, stage)
        output = self.graph.output
        stage = self.stage_of[output]
        logits = self.need(output, stage)
        add(self.section(stage), logits, None, Outside(output.shape, base=opcodes.OUTPUT))

    # --- values ------------------------------------------------------------------------------------------------------

    def need(self, value: Value, stage: int) -> Buffer:
        """Return where `value` is to be had in `stage`; where there is none yet, write what computes it."""
        if (value, stage) in self._here:
            return self._here[value, stage]
        if value in self._kept and self.is_kept(value):
            return self._kept[value]
        buffer = self._make(value, stage)
        self._here[value, stage] = buffer
        self._kept.setdefault(value, buffer)
        return buffer

    def is_kept(self, value: Value) -> bool:
        """Tell whether a value that has been computed in one stage is kept for later ones."""
        node = value.producer
        if isinstance(node, SweepNode) and node.pool is None and not _is_cheap(node.inputs[0].producer):
            return False  # it would be as much to read as what it is made of
        if isinstance(node, ConvNode) and node.inputs[0] is self.graph.input and node.conv.is_slight:
            return False
        return not _is_cheap(node) or len(value.consumers) > 1

    def _make(self, value: Value, stage: int) -> Buffer:
        """Write what computes `value` from its inputs."""
        node, buffer, section = value.producer, Buffer(value.shape, self._borders[value]), self.section(stage)
        if node is None:
            copy(section, Outside(value.shape, base=opcodes.INPUT), buffer)
            return buffer
        if isinstance(node, SweepNode) and self.picks(node):
            self._sweep(section, node, self.picked(node, stage), buffer, POINT)
            return buffer
        inputs = [self.need(x, stage) for x in node.inputs]
        if isinstance(node, ConvNode):
            bias = self.constants.zeros(node.conv.filters) if node.bias is None else self.parameter(node.bias)
            clear_border(section, buffer)
            node.conv.forward(section, inputs[0], self.parameter(node.weight), bias, buffer, node.slope, node.pooled)
        elif isinstance(node, SweepNode):
            self._sweep(section, node, inputs[0], buffer, node.pool or POINT)
        elif isinstance(node, ActivationNode):
            ((x, y),) = views(POINT, 1, inputs[0], buffer)
            integers = [*geometry(POINT, x, y), *y.border, 0, 0, ops.ACTIVATIONS[node.kind]]
            section.emit(opcodes.ACTIVATE, [x.place, y.place], integers)
        elif isinstance(node, AddNode):
            add(section, inputs[0], inputs[1], buffer, node.slope)
        elif isinstance(node, AverageNode):
            integers = [*geometry(node.window, view(inputs[0]), view(buffer)), *buffer.border]
            share = 1 / math.prod(node.window.kernel)
            section.emit(opcodes.AVERAGE, [inputs[0].at(), buffer.at()], integers, [share])
        elif isinstance(node, DropoutNode):
            dropped = Buffer(value.shape)
            self.drop(section, node, bare(section, inputs[0]), dropped)
            if buffer.border == NO_BORDER:
                return dropped
            add(section, dropped, None, buffer)
        return buffer

    def _sweep(self, section: Section, node: SweepNode, source: Buffer, buffer: Buffer, window: Window) -> None:
        for vectors, (x, y) in zip(self.vectors(node), views(window, node.bands, source, buffer), strict=True):
            operands = [x.place, y.place, vectors.at()]
            section.emit(opcodes.SWEEP, operands, [*geometry(window, x, y), *y.border], [node.slope])

    def picks(self, node: SweepNode) -> bool:
        """Tell whether a sweep keeps what it picked of each window: others ask for it in later stages."""
        return node.pool is not None and self.by_batch(node)

    def picked(self, node: SweepNode, stage: int) -> Buffer:
        """Return the numbers that a sweep's pooling picks, before the normalisation; if need be, write what does."""
        if node not in self._picked:
            assert node.pool is not None
            source, self._picked[node] = self.need(node.inputs[0], stage), Buffer(node.output.shape)
            bands = views(node.pool, node.bands, source, self._picked[node])
            for vectors, (x, y) in zip(self.vectors(node), bands, strict=True):
                operands = [x.place, y.place, vectors.at()]
                self.section(stage).emit(opcodes.PICK, operands, geometry(node.pool, x, y))
        return self._picked[node]

    def drop(self, section: Section, node: DropoutNode, x: Buffer, y: Buffer) -> None:
        """Write a dropout; both buffers have no border, since draws are counted through them."""
        size = math.prod(x.shape)
        period = x.shape[2] if node.whole_channels else size
        integers = [*geometry(POINT, view(x), view(y)), *NO_BORDER, size, period, self.dropouts.index(node)]
        section.emit(opcodes.DROPOUT, [x.at(), y.at()], integers, [node.rate])

    # --- normalisation -----------------------------------------------------------------------------------------------

    def by_batch(self, node: SweepNode) -> bool:
        """Tell whether the sweep normalises by the statistics of the batch."""
        return node.norm is not None and self._fixed_norms is None

    def _by_batch_behind(self, value: Value) -> list[SweepNode]:
        return [node for node in value.consumers if isinstance(node, SweepNode) and self.by_batch(node)]

    def vectors(self, node: SweepNode) -> Sequence[Fixed]:
        """Return mean, scale and shift of each band of a sweep."""
        if node.norm is None:
            return [self.constants.no_norm(node.inputs[0].shape[2])]
        if self._fixed_norms is not None:
            return self._fixed_norms[node.norm.path]
        return [memory.vectors for memory in self.norm(node)]

    def norm(self, node: SweepNode) -> list[NormMemory]:
        """Return where the numbers of each band of a normalisation by the batch lie."""
        assert node.norm is not None
        if node.norm.path not in self._norms:
            memory, size = self.memory, whole(node.inputs[0].shape[2])
            self._norms[node.norm.path] = [
                NormMemory(
                    memory.fixed(3 * size),
                    memory.fixed(3 * size),
                    memory.doubles(3 * size, self.examples),
                    memory.doubles(2 * size, self.examples),
                    memory.doubles(size, 1),
                )
                for _ in range(node.bands)
            ]
        return self._norms[node.norm.path]

    def _moments(self, node: SweepNode, stage: int) -> None:
        """Write the moments of each example, and how they are merged when all are there."""
        assert node.norm is not None
        buffer = self.need(node.inputs[0], stage)
        weight, bias, mean, variance = self.norm_parameters(node.norm)
        following = Fixed(opcodes.TRACKED_NEXT, mean.offset)
        bands = zip(self.norm(node), views(POINT, node.bands, buffer), strict=True)
        for band, (memory, (x,)) in enumerate(bands):
            H, W, C = x.shape
            operands = [x.place, None, None, memory.moments.at()]
            self.section(stage).emit(opcodes.MOMENTS, operands, [C, H, W, x.line, x.pixel])
            first = band * C
            merged = [
                memory.moments.at(), weight.at(first), memory.vectors.at(), mean.at(first), following.at(first),
                memory.inverse.at(),
            ]  # fmt: skip
            rest = [whole(C), H * W, bias.offset - weight.offset, variance.offset - mean.offset]
            self.between.setdefault(stage, []).extend(
                Instruction(opcodes.NORMALISE, merged, [*block, *rest], [node.norm.epsilon, node.norm.momentum])
                for block in channel_blocks(C)
            )

    def norm_parameters(self, norm: Norm) -> list[Fixed]:
        """Return where weight, bias, running mean and running variance lie."""
        return [self.parameter(f"{norm.path}.{name}") for name in ("weight", "bias", "running_mean", "running_var")]


@dataclass
class NormMemory:
    """Where the numbers of a batch normalisation's band lie: vectors for the sweeps, and sums of each example."""

    vectors: Fixed
    factors: Fixed
    moments: Fixed
    sums: Fixed
    inverse: Fixed


def channel_blocks(channels: int) -> list[list[int]]:
    """Return how many channels each of several instructions takes, and from which on."""
    return [[min(CHANNELS, channels - c), c] for c in range(0, channels, CHANNELS)]


def _is_cheap(node: Node | None) -> bool:
    return not isinstance(node, ConvNode)


def _border(value: Value) -> Border:
    """Return the zeros that the convolutions of `value` want around it."""
    wanted = [node.conv.in_border for node in value.consumers if isinstance(node, ConvNode)]
    return tuple(max(sides) for sides in zip(*wanted, strict=True)) if wanted else NO_BORDER
