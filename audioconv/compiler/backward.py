"""The backward pass of a graph as instructions: what each node does to the gradient of one example.

Gradients go through the graph from its end. A convolution's kernels get theirs summed by task, each task being a fixed
few examples, so that the sums are the same on any number of threads. Behind a normalisation by the batch a new stage
begins: its gradient needs two sums over the whole batch.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from audioconv import ops
from audioconv.compiler.forward import Writer, channel_blocks
from audioconv.compiler.graph import (
    ActivationNode,
    AddNode,
    AverageNode,
    ConvNode,
    DropoutNode,
    Node,
    SweepNode,
    Value,
)
from audioconv.geometry import POINT, window
from audioconv.kernels import interpreter as opcodes
from audioconv.runtime.copies import Outside, add, bare, clear_border, strides
from audioconv.runtime.program import NO_BORDER, Border, Buffer, Fixed, Instruction, whole
from audioconv.runtime.views import geometry, numbers, view, views


class Backward:
    """Writes the backward pass behind a forward pass.

    Parameters
    ----------
    writer : Writer
        Has written the forward pass; its stages are continued.
    tasks : int
        How many have partial sums of their own.

    Attributes
    ----------
    first_stage : int
        The first stage of the backward pass.
    forward_preparations : list of Instruction
        Those of the writer until now; from now on it collects those of the backward pass.
    after : list of Instruction
        What is done last, for all examples together.
    """

    def __init__(self, writer: Writer, tasks: int) -> None:
        self._writer, self._tasks = writer, tasks
        self.first_stage = len(writer.stages)
        self.forward_preparations = writer.preparations
        writer.preparations = []
        self.after: list[Instruction] = []
        self._gradients: dict[Value, Buffer] = {}
        self._ready: dict[Value, int] = {}
        self._holders: Counter[Buffer] = Counter()  # how many read it, or will
        self._owned: set[Buffer] = set()  # what is added to
        self._wanted = _wanted(writer.graph.nodes)

    def write(self) -> None:
        """Write the backward pass."""
        output = self._writer.graph.output
        source = Outside(output.shape, base=opcodes.OUTPUT_GRADIENT)
        add(self._writer.section(self.first_stage), source, None, self._begin(output, self.first_stage))
        for node in reversed(self._writer.graph.nodes):
            if node.output in self._gradients:
                self._node(node, self._gradients[node.output], self._ready[node.output])

    def _node(self, node: Node, dy: Buffer, stage: int) -> None:
        """Write what a node does, given its output's gradient, which is complete in `stage`."""
        if isinstance(node, ConvNode):
            if node.slope != 1.0:
                dy = self._behind_activation(node, dy, stage)
            self._weights(node, dy, stage)
            if node.inputs[0] in self._wanted:
                self._conv(node, dy, stage)
        elif isinstance(node, SweepNode):
            self._sweep(node, dy, stage)
        elif isinstance(node, AddNode):
            self._sum(node, dy, stage)
        elif isinstance(node, ActivationNode) and node.inputs[0] in self._wanted:
            self._activation(node, dy, stage)
        elif isinstance(node, AverageNode) and node.inputs[0] in self._wanted:
            self._average(node, dy, stage)
        elif isinstance(node, DropoutNode) and node.inputs[0] in self._wanted:
            dx, section = Buffer(node.inputs[0].shape), self._writer.section(stage)
            self._writer.drop(section, node, bare(section, dy), dx)
            self._add_up(dx, node.inputs[0], stage)

    # --- gradients of values -----------------------------------------------------------------------------------------

    def _begin(self, value: Value, stage: int) -> Buffer:
        """Return a new buffer for the gradient of `value`."""
        self._gradients[value] = Buffer(value.shape, self._border(value))
        self._holders[self._gradients[value]] = 1
        self._ready[value] = stage
        return self._gradients[value]

    def _border(self, value: Value) -> Border:
        """Return the zeros that the convolution before `value` wants around its gradient."""
        node = value.producer
        return node.conv.gradient_border if isinstance(node, ConvNode) and node.inputs[0] in self._wanted else NO_BORDER

    def _accumulate(self, value: Value, stage: int) -> tuple[Buffer, int, bool]:
        """Return the buffer to add to, in which stage, and whether there is something in it."""
        if value in self._gradients:
            self._ready[value] = max(stage, self._ready[value])
            return self._gradients[value], self._ready[value], True
        dx = self._begin(value, stage)
        clear_border(self._writer.section(stage), dx)
        return dx, stage, False

    def _whole(self, value: Value, stage: int) -> tuple[Buffer, bool]:
        """Return a buffer to write a whole gradient to, with its border, and whether it has to be added up then."""
        if value in self._gradients:
            return Buffer(value.shape), True
        return self._begin(value, stage), False

    def _add_up(self, part: Buffer, value: Value, stage: int, own: bool = False) -> None:
        """Add `part`, or its one line or column all along, to the gradient of `value`.

        Where `own`, nobody else reads it, and it may become the buffer that all else is added to.
        """
        fits = part.shape == value.shape and self._border(value) == part.border == NO_BORDER
        free = own or (len(value.consumers) == 1 and part not in self._owned)
        if value not in self._gradients and fits and free:
            self._gradients[value], self._ready[value] = part, stage
            self._holders[part] += 1
            if len(value.consumers) > 1:
                self._owned.add(part)
        elif value not in self._gradients:
            dx = self._begin(value, stage)
            add(self._writer.section(stage), part, None, dx)
        else:
            dx, stage, _ = self._accumulate(value, stage)
            add(self._writer.section(stage), dx, part, dx)

    # --- nodes -------------------------------------------------------------------------------------------------------

    def _sum(self, node: AddNode, dy: Buffer, stage: int) -> None:
        if node.slope != 1.0:
            dy = self._behind_activation(node, dy, stage)
        # A term whose gradient is ready in a later stage only reads it then: until the end, it is not to be changed.
        if all(self._ready.get(x, stage) <= stage for x in node.inputs):
            self._holders[dy] -= 1
        for x in node.inputs:
            if x in self._wanted and x.shape == dy.shape:
                self._add_up(dy, x, stage, own=self._holders[dy] == 0)
            elif x in self._wanted:
                self._repeated(dy, x, stage)

    def _behind_activation(self, node: AddNode | ConvNode, dy: Buffer, stage: int) -> Buffer:
        """Return the gradient before the node's activation: in place, if nobody else holds that behind it."""
        writer = self._writer
        y = writer.need(node.output, stage)  # has the sign of what was activated
        if self._holders[dy] > 1:
            dx = Buffer(dy.shape, self._border(node.output))
            self._holders[dx] = 1
            signs, g, d = numbers(view(y), view(dy), view(dx))
        else:
            dx = dy
            signs, g, d = numbers(*(view(image).bare for image in (y, dy, dx)))  # around dy there are zeros already
        C = d.shape[2]
        vectors, factors = writer.constants.no_norm(C), writer.constants.no_norm_gradient(C)
        operands = [signs.place, g.place, vectors.at(), factors.at(), d.place]
        integers = [*geometry(POINT, signs, g), *d.border, d.line, d.pixel]
        writer.section(stage).emit(opcodes.SWEEP_BACKWARD, operands, integers, [node.slope])
        return dx

    def _average(self, node: AverageNode, dy: Buffer, stage: int) -> None:
        value, share = node.inputs[0], 1 / math.prod(node.window.kernel)
        sizes = zip(node.window.kernel, dy.shape[:2], value.shape[:2], strict=True)
        if all((taps, outputs) in ((1, inputs), (inputs, 1)) for taps, outputs, inputs in sizes):
            # Whole axes: every input gets the same.
            part = Buffer(dy.shape)
            integers = [*geometry(POINT, view(dy), view(part)), *NO_BORDER]
            self._writer.section(stage).emit(opcodes.AVERAGE, [dy.at(), part.at()], integers, [share])
            self._add_up(part, value, stage)
            return
        dx, stage, onward = self._accumulate(value, stage)
        onward_or_not = opcodes.ALWAYS if onward else opcodes.NEVER
        integers = [*geometry(node.window, view(dx), view(dy)), *NO_BORDER, onward_or_not]
        self._writer.section(stage).emit(opcodes.AVERAGE_BACKWARD, [dy.at(), dx.at()], integers, [share])

    def _repeated(self, dy: Buffer, value: Value, stage: int) -> None:
        """Give a value that was added to many numbers the sum of their gradients."""
        many = tuple(n if m == 1 else 1 for m, n in zip(value.shape[:2], dy.shape[:2], strict=True))
        part, more = self._whole(value, stage)
        integers = [*geometry(window(many, axes=2), view(dy), view(part)), *part.border]
        self._writer.section(stage).emit(opcodes.AVERAGE, [dy.at(), part.at()], integers, [1.0])
        if more:
            self._add_up(part, value, stage)

    def _activation(self, node: ActivationNode, dy: Buffer, stage: int) -> None:
        value = node.inputs[0]
        x = self._writer.need(value, stage)
        dx, more = self._whole(value, stage)
        (images,) = views(POINT, 1, x, dy, dx)
        integers = [
            *geometry(POINT, *images[:2]), *images[2].border, images[2].line, images[2].pixel,
            ops.ACTIVATIONS[node.kind],
        ]  # fmt: skip
        places = [image.place for image in images]
        self._writer.section(stage).emit(opcodes.ACTIVATE_BACKWARD, places, integers)
        if more:
            self._add_up(dx, value, stage)

    def _sweep(self, node: SweepNode, dy: Buffer, stage: int) -> None:
        writer, value = self._writer, node.inputs[0]
        vectors, window = writer.vectors(node), node.pool or POINT
        factors = [writer.constants.no_norm_gradient(value.shape[2])]
        if node.norm is not None:
            memories = writer.norm(node)
            source = writer.picked(node, stage) if writer.picks(node) else writer.need(value, stage)
            bands = views(POINT, node.bands, source, dy)
            for vector, memory, (x, g) in zip(vectors, memories, bands, strict=True):
                sums = [x.place, g.place, vector.at(), memory.sums.at()]
                writer.section(stage).emit(opcodes.SWEEP_SUMS, sums, geometry(POINT, x, g), [node.slope])
            writer.between.setdefault(stage, []).extend(self._normalise(node))
            stage += 1
            factors = [memory.factors for memory in memories]
        if value not in self._wanted:
            return
        z = writer.need(value, stage)
        dx, more = self._whole(value, stage)
        bands = views(window, node.bands, z, dy, dx)
        for vector, factor, (x, g, d) in zip(vectors, factors, bands, strict=True):
            operands = [x.place, g.place, vector.at(), factor.at(), d.place]
            integers = [*geometry(window, x, g), *d.border, d.line, d.pixel]
            writer.section(stage).emit(opcodes.SWEEP_BACKWARD, operands, integers, [node.slope])
        if more:
            self._add_up(dx, value, stage)

    def _normalise(self, node: SweepNode) -> Iterator[Instruction]:
        """Yield how the sums of the examples become the gradients of weight and bias, and factors for the sweep."""
        assert node.norm is not None
        H, W, C = node.inputs[0].shape
        weight, bias, *_ = self._writer.norm_parameters(node.norm)
        gradient, rest = _gradient(weight), [whole(C), H * W // node.bands, bias.offset - weight.offset]
        for band, memory in enumerate(self._writer.norm(node)):
            operands = [
                memory.sums.at(), weight.at(band * C), memory.factors.at(), gradient.at(band * C), None,
                memory.inverse.at(),
            ]  # fmt: skip
            for block in channel_blocks(C):
                yield Instruction(opcodes.NORMALISE_BACKWARD, operands, [*block, *rest])

    def _weights(self, node: ConvNode, dz: Buffer, stage: int) -> None:
        """Write the gradients of kernels and biases."""
        writer, K = self._writer, node.conv.filters
        x = writer.need(node.inputs[0], stage)
        partial = writer.memory.per_task(node.conv.partial_size)
        node.conv.weight_gradient(writer.section(stage), x, dz, partial)
        target = _gradient(writer.parameter(node.weight))
        self.after.extend(node.conv.reduction(partial, target, self._tasks))
        if node.bias is not None:
            sums = writer.memory.doubles(whole(K), writer.examples)
            P, Q, _ = node.output.shape
            operands = [dz.at(), None, None, sums.at()]
            writer.section(stage).emit(opcodes.CHANNEL_SUMS, operands, [K, P, Q, *strides(dz)])
            target = _gradient(writer.parameter(node.bias))
            self.after.append(Instruction(opcodes.REDUCE_DOUBLES, [sums.at(), target.at()], [K]))

    def _conv(self, node: ConvNode, dz: Buffer, stage: int) -> None:
        """Write the gradient by a convolution's input."""
        value, weight = node.inputs[0], self._writer.parameter(node.weight)
        if not node.conv.dense:
            dx, stage, onward = self._accumulate(value, stage)
            node.conv.input_gradient(self._writer.section(stage), dz, weight, dx, onward)
            return
        dx = Buffer(value.shape)
        section = self._writer.section(stage)
        node.conv.input_gradient(section, bare(section, dz), weight, dx)
        self._add_up(dx, value, stage)


def _gradient(parameter: Fixed) -> Fixed:
    """Return where the gradient of a parameter lies."""
    return Fixed(opcodes.GRADIENTS, parameter.offset)


def _wanted(nodes: Sequence[Node]) -> set[Value]:
    """Return the values that depend on a parameter."""
    found: set[Value] = set()
    for node in nodes:
        own = isinstance(node, ConvNode) or (isinstance(node, SweepNode) and node.norm is not None)
        if own or found.intersection(node.inputs):
            found.add(node.output)
    return found
