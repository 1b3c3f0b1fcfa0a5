"""Backward pass of a graph as instructions.

Gradients propagate through the graph from its end, one example at a time. The gradient of a convolution's kernels is
summed by task; each task has a fixed number of examples, so that the sums do not depend on the number of threads.
Before a batch normalisation a new stage begins: its gradient needs two sums over the whole batch.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from audioconv.compiler.forward import Writer, channel_blocks
from audioconv.compiler.graph import (
    ActivationNode,
    AddNode,
    AverageNode,
    ConcatNode,
    ConvNode,
    DropoutNode,
    MultiplyNode,
    Node,
    NormActivationPoolNode,
    Value,
)
from audioconv.geometry import POINT, Window, window
from audioconv.kernels import opcodes
from audioconv.runtime.copies import CallerArray, add, add_channels, clear_border, multiply, without_border
from audioconv.runtime.program import NO_BORDER, Border, Buffer, Fixed, Instruction, Section, round_up_to_lanes
from audioconv.runtime.views import View, border, elementwise_views, images, source, view, views, windows


class Backward:
    """Writer of the backward pass that follows a forward pass.

    Parameters
    ----------
    writer : Writer
        Writer of the forward pass; the backward pass continues its stages.
    tasks : int
        The number of tasks with partial sums of their own.
    frozen : collection of str
        Paths of parameters that do not learn; instructions for their gradients alone are left out. Default: none.

    Attributes
    ----------
    first_stage : int
        The first stage of the backward pass.
    forward_preparations : list of Instruction
        The preparations of the forward pass. From now on the writer collects those of the backward pass.
    reductions : list of Instruction
        Executed last: the sums over tasks and examples.
    """

    def __init__(self, writer: Writer, tasks: int, frozen: Collection[str] = ()) -> None:
        self._writer, self._tasks, self._frozen = writer, tasks, frozenset(frozen)
        self.first_stage = len(writer.stages)
        self.forward_preparations = writer.preparations
        writer.preparations = []
        self.reductions: list[Instruction] = []
        self._gradients: dict[Value, Buffer] = {}
        self._ready: dict[Value, int] = {}
        self._holders: Counter[Buffer] = Counter()  # the number of nodes that still read it
        self._owned: set[Buffer] = set()  # buffers that further gradients are added to
        self._needs_gradient = _needs_gradient(writer.graph.nodes, self._frozen)

    def write(self) -> None:
        """Write the backward pass."""
        output = self._writer.graph.output
        given = CallerArray(output.shape, base=opcodes.OUTPUT_GRADIENT)
        add(self._writer.section(self.first_stage), given, None, self._new_gradient(output, self.first_stage))
        for node in reversed(self._writer.graph.nodes):
            if node.output in self._gradients and node.output in self._needs_gradient:
                self._node(node, self._gradients[node.output], self._ready[node.output])

    def _node(self, node: Node, dy: Buffer, stage: int) -> None:
        """Write the gradients of a node's inputs and parameters, given its output's, complete in `stage`."""
        if isinstance(node, ConvNode):
            if node.slope != 1.0:
                dy = self._through_activation(node, dy, stage)
            self._weights(node, dy, stage)
            if node.inputs[0] in self._needs_gradient:
                self._conv(node, dy, stage)
        elif isinstance(node, NormActivationPoolNode):
            self._norm_activation_pool(node, dy, stage)
        elif isinstance(node, AddNode):
            self._sum(node, dy, stage)
        elif isinstance(node, MultiplyNode):
            self._product(node, dy, stage)
        elif isinstance(node, ConcatNode):
            self._concat(node, dy, stage)
        elif isinstance(node, ActivationNode) and node.inputs[0] in self._needs_gradient:
            self._activation(node, dy, stage)
        elif isinstance(node, AverageNode) and node.inputs[0] in self._needs_gradient:
            self._average(node, dy, stage)
        elif isinstance(node, DropoutNode) and node.inputs[0] in self._needs_gradient:
            dx, section = Buffer(node.inputs[0].shape), self._writer.section(stage)
            self._writer.dropout(section, node, without_border(section, dy), dx)
            self._add_to_gradient(dx, node.inputs[0], stage)

    # --- gradients of values -----------------------------------------------------------------------------------------

    def _new_gradient(self, value: Value, stage: int) -> Buffer:
        """Return a new buffer for the gradient of `value`."""
        self._gradients[value] = Buffer(value.shape, self._border(value))
        self._holders[self._gradients[value]] = 1
        self._ready[value] = stage
        return self._gradients[value]

    def _border(self, value: Value) -> Border:
        """Return the border that the convolution before `value` needs around its gradient."""
        node = value.producer
        if isinstance(node, ConvNode) and node.inputs[0] in self._needs_gradient:
            return node.conv.gradient_border
        return NO_BORDER

    def _accumulate(self, value: Value, stage: int) -> tuple[Buffer, int, int]:
        """Return the buffer of a value's gradient, the stage to write it in, and the field `accumulate`."""
        if value in self._gradients:
            self._ready[value] = max(stage, self._ready[value])
            return self._gradients[value], self._ready[value], opcodes.ALWAYS
        dx = self._new_gradient(value, stage)
        clear_border(self._writer.section(stage), dx)
        return dx, stage, opcodes.NEVER

    def _gradient_buffer(self, value: Value, stage: int) -> tuple[Buffer, bool]:
        """Return a buffer for a gradient with its border, and whether it must then be added to another gradient."""
        if value in self._gradients:
            return Buffer(value.shape), True
        return self._new_gradient(value, stage), False

    def _add_to_gradient(self, part: Buffer, value: Value, stage: int, own: bool = False) -> None:
        """Add `part`, with broadcasting of a single line or column, to the gradient of `value`.

        If `own`, no other node reads `part`, and it may become the buffer that further gradients are added to.
        """
        fits = part.shape == value.shape and self._border(value) == part.border == NO_BORDER
        free = own or (len(value.consumers) == 1 and part not in self._owned)
        if value not in self._gradients and fits and free:
            self._gradients[value], self._ready[value] = part, stage
            self._holders[part] += 1
            if len(value.consumers) > 1:
                self._owned.add(part)
        elif value not in self._gradients:
            dx = self._new_gradient(value, stage)
            add(self._writer.section(stage), part, None, dx)
        else:
            dx, stage, _ = self._accumulate(value, stage)
            add(self._writer.section(stage), dx, part, dx)

    # --- nodes -------------------------------------------------------------------------------------------------------

    def _sum(self, node: AddNode, dy: Buffer, stage: int) -> None:
        if node.slope != 1.0:
            dy = self._through_activation(node, dy, stage)
        # A term whose gradient is complete in a later stage reads dy there, so dy must not change before.
        if all(self._ready.get(x, stage) <= stage for x in node.inputs):
            self._holders[dy] -= 1
        for x in node.inputs:
            if x in self._needs_gradient and x.shape == dy.shape:
                self._add_to_gradient(dy, x, stage, own=self._holders[dy] == 0)
            elif x in self._needs_gradient:
                self._sum_of_broadcast(dy, x, stage)

    def _product(self, node: MultiplyNode, dy: Buffer, stage: int) -> None:
        for value, other in zip(node.inputs, reversed(node.inputs), strict=True):
            if value not in self._needs_gradient:
                continue
            part = Buffer(dy.shape)
            multiply(self._writer.section(stage), dy, self._writer.buffer_of(other, stage), part)
            if value.shape == dy.shape:
                self._holders[part] = 0
                self._add_to_gradient(part, value, stage, own=True)
            else:
                self._sum_of_broadcast(part, value, stage)

    def _concat(self, node: ConcatNode, dy: Buffer, stage: int) -> None:
        channel = 0
        for value in node.inputs:
            if value in self._needs_gradient:
                is_first = value not in self._gradients
                if is_first:
                    dx, ready = self._new_gradient(value, stage), stage
                else:
                    dx, ready, _ = self._accumulate(value, stage)
                add_channels(self._writer.section(ready), None if is_first else dx, dy, channel, dx)
            channel += value.shape[2]

    def _through_activation(self, node: AddNode | ConvNode, dy: Buffer, stage: int) -> Buffer:
        """Return the gradient before the node's activation, in place if no other node reads dy."""
        writer = self._writer
        y = writer.buffer_of(node.output, stage)  # has the sign of the activation's input
        if self._holders[dy] > 1:
            dx = Buffer(dy.shape, self._border(node.output))
            self._holders[dx] = 1
            signs, g, d = elementwise_views(view(y), view(dy), view(dx))
        else:
            dx = dy
            # dy has a border of zeros already.
            signs, g, d = elementwise_views(*(view(image).without_border for image in (y, dy, dx)))
        C = d.shape[2]
        vectors, factors = writer.constants.no_norm(C), writer.constants.no_norm_gradient(C)
        _norm_activation_pool_backward(writer.section(stage), POINT, signs, g, d, vectors, factors, slope=node.slope)
        return dx

    def _average(self, node: AverageNode, dy: Buffer, stage: int) -> None:
        value, share = node.inputs[0], 1 / math.prod(node.window.kernel)
        sizes = zip(node.window.kernel, dy.shape[:2], value.shape[:2], strict=True)
        if all((taps, outputs) in ((1, inputs), (inputs, 1)) for taps, outputs, inputs in sizes):
            # The average is over whole axes, so all inputs have the same gradient.
            part = Buffer(dy.shape)
            self._writer.section(stage).emit(
                opcodes.AVERAGE, x=dy.at(), y=part.at(), **windows(POINT, view(dy), view(part)), **border(NO_BORDER),
                share=share,
            )  # fmt: skip
            self._add_to_gradient(part, value, stage)
            return
        dx, stage, accumulate = self._accumulate(value, stage)
        self._writer.section(stage).emit(
            opcodes.AVERAGE_BACKWARD, dy=dy.at(), dx=dx.at(), **windows(node.window, view(dx), view(dy)),
            accumulate=accumulate, share=share,
        )  # fmt: skip

    def _sum_of_broadcast(self, dy: Buffer, value: Value, stage: int) -> None:
        """Write the gradient of a value that was broadcast: the sum over the broadcast axes."""
        many = tuple(n if m == 1 else 1 for m, n in zip(value.shape[:2], dy.shape[:2], strict=True))
        part, more = self._gradient_buffer(value, stage)
        self._writer.section(stage).emit(
            opcodes.AVERAGE, x=dy.at(), y=part.at(), **windows(window(many, axes=2), view(dy), view(part)),
            **border(part.border), share=1.0,
        )  # fmt: skip
        if more:
            self._add_to_gradient(part, value, stage)

    def _activation(self, node: ActivationNode, dy: Buffer, stage: int) -> None:
        value = node.inputs[0]
        x = self._writer.buffer_of(value, stage)
        dx, more = self._gradient_buffer(value, stage)
        ((x_view, g, d),) = views(POINT, 1, x, dy, dx)
        self._writer.section(stage).emit(
            opcodes.ACTIVATE_BACKWARD, x=x_view.origin, dy=g.origin, dx=d.origin, **images(x_view, g),
            **border(d.border), dx_line=d.line, dx_pixel=d.pixel, kind=node.kind, slope=node.slope, shift=node.shift,
        )  # fmt: skip
        if more:
            self._add_to_gradient(dx, value, stage)

    def _norm_activation_pool(self, node: NormActivationPoolNode, dy: Buffer, stage: int) -> None:
        writer, value = self._writer, node.inputs[0]
        vectors, window = writer.vectors(node), node.pool or POINT
        factors = [writer.constants.no_norm_gradient(value.shape[2])]
        if node.norm is not None:
            memories = writer.norm(node)
            values = writer.selected(node, stage) if writer.selects(node) else writer.buffer_of(value, stage)
            bands = views(POINT, node.bands, values, dy)
            for vector, memory, (x, g) in zip(vectors, memories, bands, strict=True):
                writer.section(stage).emit(
                    opcodes.NORM_ACTIVATION_SUMS, x=x.origin, dy=g.origin, vectors=vector.at(), sums=memory.sums.at(),
                    **images(x, g), slope=node.slope, low=node.low, high=node.high,
                )  # fmt: skip
            writer.between.setdefault(stage, []).extend(self._normalise(node))
            stage += 1
            factors = [memory.factors for memory in memories]
        if value not in self._needs_gradient:
            return
        z = writer.buffer_of(value, stage)
        dx, more = self._gradient_buffer(value, stage)
        bands = views(window, node.bands, z, dy, dx)
        for vector, factor, (x, g, d) in zip(vectors, factors, bands, strict=True):
            _norm_activation_pool_backward(
                writer.section(stage), window, x, g, d, vector, factor, node.slope, node.low, node.high
            )
        if more:
            self._add_to_gradient(dx, value, stage)

    def _normalise(self, node: NormActivationPoolNode) -> Iterator[Instruction]:
        """Yield the instructions from the examples' sums to the gradients of weight and bias, and the factors of dx."""
        assert node.norm is not None
        H, W, C = node.inputs[0].shape
        weight, bias, *_ = self._writer.norm_parameters(node.norm)
        gradient = _gradient(weight)
        for band, memory in enumerate(self._writer.norm(node)):
            for block in channel_blocks(C):
                yield Instruction(
                    opcodes.BATCH_STATISTICS_BACKWARD, sums=memory.sums.at(), parameters=weight.at(band * C),
                    factors=memory.factors.at(), gradients=gradient.at(band * C), inverse_deviation=memory.inverse.at(),
                    **block, padded_channels=round_up_to_lanes(C), pixels=H * W // node.bands,
                    bias_distance=bias.offset - weight.offset,
                )  # fmt: skip

    def _weights(self, node: ConvNode, dz: Buffer, stage: int) -> None:
        """Write the gradients of kernels and biases."""
        writer, K = self._writer, node.conv.filters
        if node.weight not in self._frozen:
            x = writer.buffer_of(node.inputs[0], stage)
            partial = writer.memory.per_task(node.conv.partial_size)
            node.conv.weight_gradient(writer.section(stage), x, dz, partial)
            target = _gradient(writer.parameter(node.weight))
            self.reductions.extend(node.conv.reduction(partial, target, self._tasks))
        if node.bias is not None and node.bias not in self._frozen:
            sums = writer.memory.doubles(round_up_to_lanes(K), writer.examples)
            writer.section(stage).emit(opcodes.CHANNEL_SUMS, x=dz.at(), sums=sums.at(), **source(view(dz)))
            target = _gradient(writer.parameter(node.bias))
            self.reductions.append(Instruction(opcodes.REDUCE_FLOAT64, source=sums.at(), target=target.at(), size=K))

    def _conv(self, node: ConvNode, dz: Buffer, stage: int) -> None:
        """Write the gradient by a convolution's input."""
        value, weight = node.inputs[0], self._writer.parameter(node.weight)
        if not node.conv.dense:
            dx, stage, accumulate = self._accumulate(value, stage)
            node.conv.input_gradient(self._writer.section(stage), dz, weight, dx, accumulate)
            return
        dx = Buffer(value.shape)
        section = self._writer.section(stage)
        node.conv.input_gradient(section, without_border(section, dz), weight, dx)
        self._add_to_gradient(dx, value, stage)


def _norm_activation_pool_backward(
    section: Section,
    window: Window,
    x: View,
    dy: View,
    dx: View,
    vectors: Fixed,
    factors: Fixed,
    slope: float,
    low: float = -math.inf,
    high: float = math.inf,
) -> None:
    section.emit(
        opcodes.NORM_ACTIVATION_POOL_BACKWARD, x=x.origin, dy=dy.origin, vectors=vectors.at(), factors=factors.at(),
        dx=dx.origin, **windows(window, x, dy), **border(dx.border), dx_line=dx.line, dx_pixel=dx.pixel, slope=slope,
        low=low, high=high,
    )  # fmt: skip


def _gradient(parameter: Fixed) -> Fixed:
    """Return the memory of a parameter's gradient."""
    return Fixed(opcodes.GRADIENTS, parameter.offset)


def _needs_gradient(nodes: Sequence[Node], frozen: Collection[str]) -> set[Value]:
    """Return the values that depend on a parameter which learns."""
    found: set[Value] = set()
    for node in nodes:
        if not set(_parameters(node)).issubset(frozen) or found.intersection(node.inputs):
            found.add(node.output)
    return found


def _parameters(node: Node) -> Iterator[str]:
    """Yield the paths of a node's parameters, without running statistics."""
    if isinstance(node, ConvNode):
        yield node.weight
        if node.bias is not None:
            yield node.bias
    elif isinstance(node, NormActivationPoolNode) and node.norm is not None:
        yield from (f"{node.norm.path}.{name}" for name in ("weight", "bias"))
