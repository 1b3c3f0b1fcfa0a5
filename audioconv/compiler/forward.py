"""Forward pass of a graph as instructions.

There is one list of instructions for each stage. A stage ends where a batch normalisation needs the whole batch; the
stage of a node follows from its inputs. A later stage reads the stored output of a convolution, or of a node with
several consumers, and computes other values again: a fused normalisation, activation and pool takes less time than
the memory traffic of its result, and so does a first convolution with few terms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from audioconv.compiler.graph import (
    ActivationNode,
    AddNode,
    AverageNode,
    ConcatNode,
    ConvNode,
    DropoutNode,
    Graph,
    MultiplyNode,
    Node,
    Norm,
    NormActivationPoolNode,
    Value,
)
from audioconv.geometry import POINT, Window
from audioconv.kernels import opcodes
from audioconv.runtime.copies import CallerArray, add, clear_border, copy, copy_into_channels, multiply, without_border
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
    round_up_to_lanes,
)
from audioconv.runtime.views import border, images, source, view, views, windows

CHANNEL_BLOCK = 16
"""Channels whose statistics one instruction merges: those of 64 examples fit the first-level cache."""


class Writer:
    """Writer of the forward pass.

    Parameters
    ----------
    graph : Graph
    parameter : callable
        From a path to the memory of the parameter.
    examples : int
        The largest batch.
    constants : Constants
        Gets the constants that the instructions read.
    fixed_norms : mapping, optional
        By path: mean, scale and shift of each band of a normalisation, if they do not depend on the batch.

    Attributes
    ----------
    stages : list of list of Instruction
        Executed for each example.
    between : dict of int to list of Instruction
        By stage: executed behind it, for all examples together.
    preparations, late_preparations : list of Instruction
        Executed before the first stage; the late ones after all others.
    transformed_weights : dict of int to Fixed
        By the offset of a weight: its transformed kernels, if they are constants.
    stage_of : dict of Value to int
        The first stage in which each value is computed.
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
        self.late_preparations: list[Instruction] = []
        self.transformed_weights: dict[int, Fixed] = {}
        self.stage_of: dict[Value, int] = {graph.input: 0}
        self.dropouts: list[DropoutNode] = [node for node in graph.nodes if isinstance(node, DropoutNode)]
        self._norms: dict[str, list[NormMemory]] = {}
        self._fixed_norms = fixed_norms
        self._borders = {value: _border(value) for value in graph.values()}
        self._by_stage: dict[tuple[Value, int], Buffer] = {}
        self._kept: dict[Value, Buffer] = {}
        self._selected: dict[NormActivationPoolNode, Buffer] = {}

    def section(self, stage: int) -> Section:
        """Return the section of a stage."""
        while len(self.stages) <= stage:
            self.stages.append([])
        return Section(
            self.stages[stage],
            self.preparations,
            self.tables,
            self.memory,
            self.constants,
            self.late_preparations,
            self.transformed_weights,
        )

    def forward(self) -> None:
        """Write the forward pass."""
        for norm in self._batch_norms_of(self.graph.input):
            self._moments(norm, 0)
        for node in self.graph.nodes:
            stage = max(self.stage_of[value] for value in node.inputs)
            if isinstance(node, NormActivationPoolNode) and self.uses_batch_statistics(node):
                stage = max(stage, self.stage_of[node.inputs[0]] + 1)
            value = node.output
            self.stage_of[value] = stage
            norms = self._batch_norms_of(value)
            if not _is_cheap(node) or norms or value is self.graph.output:
                self.buffer_of(value, stage)
            for norm in norms:
                self._moments(norm, stage)
        output = self.graph.output
        stage = self.stage_of[output]
        logits = self.buffer_of(output, stage)
        add(self.section(stage), logits, None, CallerArray(output.shape, base=opcodes.OUTPUT))

    # --- values ------------------------------------------------------------------------------------------------------

    def buffer_of(self, value: Value, stage: int) -> Buffer:
        """Return a buffer with `value` in `stage`; write the instructions that compute it, if there is none."""
        if (value, stage) in self._by_stage:
            return self._by_stage[value, stage]
        if value in self._kept and self.is_kept(value):
            return self._kept[value]
        buffer = self._make(value, stage)
        self._by_stage[value, stage] = buffer
        self._kept.setdefault(value, buffer)
        return buffer

    def is_kept(self, value: Value) -> bool:
        """Tell whether a value that is computed in one stage is stored for later ones."""
        node = value.producer
        if isinstance(node, NormActivationPoolNode) and node.pool is None and not _is_cheap(node.inputs[0].producer):
            return False  # reading it would take as long as reading its input
        if isinstance(node, ConvNode) and node.inputs[0] is self.graph.input and node.conv.is_cheap:
            return False
        return not _is_cheap(node) or len(value.consumers) > 1

    def _make(self, value: Value, stage: int) -> Buffer:
        """Write the instructions that compute `value` from its inputs; return its buffer."""
        node, buffer, section = value.producer, Buffer(value.shape, self._borders[value]), self.section(stage)
        if node is None:
            copy(section, CallerArray(value.shape, base=opcodes.INPUT), buffer)
            return buffer
        if isinstance(node, NormActivationPoolNode) and self.selects(node):
            self._norm_activation_pool(section, node, self.selected(node, stage), buffer, POINT)
            return buffer
        inputs = [self.buffer_of(x, stage) for x in node.inputs]
        if isinstance(node, ConvNode):
            bias = self.constants.zeros(node.conv.filters) if node.bias is None else self.parameter(node.bias)
            clear_border(section, buffer)
            node.conv.forward(section, inputs[0], self.parameter(node.weight), bias, buffer, node.slope, node.pooled)
        elif isinstance(node, NormActivationPoolNode):
            self._norm_activation_pool(section, node, inputs[0], buffer, node.pool or POINT)
        elif isinstance(node, ActivationNode):
            ((x, y),) = views(POINT, 1, inputs[0], buffer)
            section.emit(
                opcodes.ACTIVATE, x=x.origin, y=y.origin, **images(x, y), **border(y.border), kind=node.kind,
                slope=node.slope, shift=node.shift,
            )  # fmt: skip
        elif isinstance(node, AddNode):
            add(section, inputs[0], inputs[1], buffer, node.slope)
        elif isinstance(node, MultiplyNode):
            multiply(section, inputs[0], inputs[1], buffer)
        elif isinstance(node, ConcatNode):
            channel = 0
            for part in inputs:
                copy_into_channels(section, part, buffer, channel)
                channel += part.shape[2]
        elif isinstance(node, AverageNode):
            section.emit(
                opcodes.AVERAGE, x=inputs[0].at(), y=buffer.at(),
                **windows(node.window, view(inputs[0]), view(buffer)), **border(buffer.border),
                share=1 / math.prod(node.window.kernel),
            )  # fmt: skip
        elif isinstance(node, DropoutNode):
            dropped = Buffer(value.shape)
            self.dropout(section, node, without_border(section, inputs[0]), dropped)
            if buffer.border == NO_BORDER:
                return dropped
            add(section, dropped, None, buffer)
        return buffer

    def _norm_activation_pool(
        self, section: Section, node: NormActivationPoolNode, input: Buffer, buffer: Buffer, window: Window
    ) -> None:
        for vectors, (x, y) in zip(self.vectors(node), views(window, node.bands, input, buffer), strict=True):
            section.emit(
                opcodes.NORM_ACTIVATION_POOL, x=x.origin, y=y.origin, vectors=vectors.at(), **windows(window, x, y),
                **border(y.border), slope=node.slope, low=node.low, high=node.high,
            )  # fmt: skip

    def selects(self, node: NormActivationPoolNode) -> bool:
        """Tell whether a max-pool stores the selected inputs: the backward pass reads them in later stages."""
        return node.pool is not None and self.uses_batch_statistics(node)

    def selected(self, node: NormActivationPoolNode, stage: int) -> Buffer:
        """Return the inputs that a max-pool selects, before the normalisation; write their selection, if need be."""
        if node not in self._selected:
            assert node.pool is not None
            values, self._selected[node] = self.buffer_of(node.inputs[0], stage), Buffer(node.output.shape)
            bands = views(node.pool, node.bands, values, self._selected[node])
            for vectors, (x, y) in zip(self.vectors(node), bands, strict=True):
                self.section(stage).emit(
                    opcodes.POOL_SELECT, x=x.origin, y=y.origin, vectors=vectors.at(), **windows(node.pool, x, y)
                )
        return self._selected[node]

    def dropout(self, section: Section, node: DropoutNode, x: Buffer, y: Buffer) -> None:
        """Write a dropout. The buffers have no border: each element has the draw of its index."""
        size = math.prod(x.shape)
        period = x.shape[2] if node.whole_channels else size
        seed = self.dropouts.index(node)
        section.emit(opcodes.DROPOUT, x=x.at(), y=y.at(), size=size, period=period, seed=seed, rate=node.rate)

    # --- normalisation -----------------------------------------------------------------------------------------------

    def uses_batch_statistics(self, node: NormActivationPoolNode) -> bool:
        """Tell whether the node normalises by the statistics of the batch."""
        return node.norm is not None and self._fixed_norms is None

    def _batch_norms_of(self, value: Value) -> list[NormActivationPoolNode]:
        return [
            node
            for node in value.consumers
            if isinstance(node, NormActivationPoolNode) and self.uses_batch_statistics(node)
        ]

    def vectors(self, node: NormActivationPoolNode) -> Sequence[Fixed]:
        """Return mean, scale and shift of each band of a node."""
        if node.norm is None:
            return [self.constants.no_norm(node.inputs[0].shape[2])]
        if self._fixed_norms is not None:
            return self._fixed_norms[node.norm.path]
        return [memory.vectors for memory in self.norm(node)]

    def norm(self, node: NormActivationPoolNode) -> list[NormMemory]:
        """Return the memory of each band of a batch normalisation."""
        assert node.norm is not None
        if node.norm.path not in self._norms:
            memory, size = self.memory, round_up_to_lanes(node.inputs[0].shape[2])
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

    def _moments(self, node: NormActivationPoolNode, stage: int) -> None:
        """Write the moments of each example and, behind the stage, their merging."""
        assert node.norm is not None
        buffer = self.buffer_of(node.inputs[0], stage)
        weight, bias, mean, variance = self.norm_parameters(node.norm)
        following = Fixed(opcodes.TRACKED_NEXT, mean.offset)
        bands = zip(self.norm(node), views(POINT, node.bands, buffer), strict=True)
        for band, (memory, (x,)) in enumerate(bands):
            H, W, C = x.shape
            self.section(stage).emit(opcodes.MOMENTS, x=x.origin, sums=memory.moments.at(), **source(x))
            first = band * C
            self.between.setdefault(stage, []).extend(
                Instruction(
                    opcodes.BATCH_STATISTICS, moments=memory.moments.at(), parameters=weight.at(first),
                    vectors=memory.vectors.at(), tracked=mean.at(first), tracked_next=following.at(first),
                    inverse_deviation=memory.inverse.at(), **block, padded_channels=round_up_to_lanes(C), pixels=H * W,
                    bias_distance=bias.offset - weight.offset, variance_distance=variance.offset - mean.offset,
                    epsilon=node.norm.epsilon, momentum=node.norm.momentum,
                )
                for block in channel_blocks(C)
            )  # fmt: skip

    def norm_parameters(self, norm: Norm) -> list[Fixed]:
        """Return the memory of weight, bias, running mean and running variance."""
        return [self.parameter(f"{norm.path}.{name}") for name in ("weight", "bias", "running_mean", "running_var")]


@dataclass
class NormMemory:
    """The memory of one band of a batch normalisation: vectors for all examples, and sums of each example."""

    vectors: Fixed
    factors: Fixed
    moments: Fixed
    sums: Fixed
    inverse: Fixed


def channel_blocks(channels: int) -> list[dict[str, int]]:
    """Return the fields of several instructions that share `channels`: the count of each, and its first one."""
    return [
        {"channels": min(CHANNEL_BLOCK, channels - c), "first_channel": c} for c in range(0, channels, CHANNEL_BLOCK)
    ]


def _is_cheap(node: Node | None) -> bool:
    return not isinstance(node, ConvNode)


def _border(value: Value) -> Border:
    """Return the border that the convolutions of `value` need around it."""
    wanted = [node.conv.in_border for node in value.consumers if isinstance(node, ConvNode)]
    return tuple(max(sides) for sides in zip(*wanted, strict=True)) if wanted else NO_BORDER
