"""A trained network's forward pass, compiled: normalisations folded into the weights, one call for all layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from audioconv.compiler.forward import Writer
from audioconv.compiler.graph import ConvNode, Graph, SweepNode, trace
from audioconv.errors import ShapeError
from audioconv.geometry import window
from audioconv.kernels import interpreter as opcodes
from audioconv.layers.base import Layer, Shape
from audioconv.runtime.executable import Executable, useful_threads
from audioconv.runtime.program import UNLIMITED, Constants, Fixed, Instruction, Phase, norm_vectors

Array = NDArray[np.float32]

TASK_WORK = 1e5  # operations that are worth a task


class Inference:
    """The forward pass of a trained network. Many threads may call it at once.

    Parameters
    ----------
    network : Layer
    params : mapping of str to array
        By path.
    in_shape : tuple of int
        Of one example.

    Raises
    ------
    NotCompiledError
        If the network has a part that cannot be compiled.
    """

    def __init__(self, network: Layer, params: Mapping[str, Array], in_shape: Shape) -> None:
        self.in_shape = tuple(in_shape)
        self.classes = network.out_shape(in_shape)[-1]
        self._work = 2 * network.multiply_adds(in_shape)
        self._constants = Constants()
        self._graph = trace(network, in_shape, training=False)
        _fold(self._graph, params, self._constants)
        self._by_example = self._compile(by_lines=False)
        self._by_lines = self._compile(by_lines=True)
        self._numbers = self._constants.array()

    def __call__(self, x: Array) -> Array:
        """Return the logits (N, classes) of examples x (N, *in_shape), float32 and contiguous."""
        if x.shape[1:] != self.in_shape:
            raise ShapeError(f"the network takes examples of shape {self.in_shape}, got an input of shape {x.shape}")
        N = len(x)
        threads = useful_threads(N * self._work)
        y = np.empty((N, self.classes), np.float32)
        program = self._by_lines if N == 1 and threads > 1 else self._by_example
        with program.workspace(threads) as space:
            space.point(opcodes.INPUT, x)
            space.point(opcodes.OUTPUT, y)
            space.point(opcodes.CONSTANTS, self._numbers)
            program.run(0, space, N, threads)
        return y

    def _compile(self, by_lines: bool) -> Executable:
        """Return the program: all of it for one example after the other, or each layer shared out among threads."""
        norms = {
            node.norm.path: [self._constants.find((node.norm, band)) for band in range(node.bands)]
            for node in self._graph.nodes
            if isinstance(node, SweepNode) and node.norm
        }
        writer = Writer(self._graph, self._constants.find, 1, self._constants, norms)
        for node in self._graph.nodes:
            if isinstance(node, ConvNode) and (node.weight, "transformed") in self._constants:
                kernels = self._constants.find((node.weight, "transformed"))
                writer.known[self._constants.find(node.weight).offset] = kernels
        writer.forward()
        (instructions,) = writer.stages
        if by_lines:
            first = [one for one in instructions if _waits_for_nothing(one)]
            rest = [one for one in instructions if not _waits_for_nothing(one)]
            phases = [Phase(opcodes.INSTRUCTIONS, 0, first)]
            phases += [Phase(opcodes.LINES, _tasks(one.operation, one.integers), [one]) for one in rest]
        else:
            phases = [Phase(opcodes.EXAMPLES, UNLIMITED, instructions)]
        return Executable([phases], writer.tables, writer.memory, 1)


def _waits_for_nothing(instruction: Instruction) -> bool:
    """Tell whether an instruction needs nothing of another: borders, and the copy of the input."""
    if instruction.operation == opcodes.BORDER:
        return True
    source = instruction.operands[0]
    return source is not None and isinstance(source.memory, Fixed) and source.memory.base == opcodes.INPUT


def _tasks(operation: int, integers: Sequence[int]) -> int:
    """Return into how many tasks an instruction is worth dividing."""
    if operation == opcodes.CORRELATE:
        columns, _, rows, _, terms = integers[:5]
        return int(max(1, min(8, 2 * columns * rows * terms // TASK_WORK, rows // 6)))
    if operation == opcodes.WINOGRAD:
        channels, kernels, _, _, _, lines, columns = integers[:7]
        tiles = -(-lines // 4) * -(-columns // 4)
        return int(max(1, min(8, 72 * channels * kernels * tiles // TASK_WORK, tiles // 3)))
    if operation == opcodes.WINOGRAD_LINE:
        channels, kernels, blocks, _, _, columns = integers[:6]
        tiles = -(-columns // 4)
        return int(max(1, min(8, 12 * blocks * channels * kernels * tiles // TASK_WORK, tiles // 6)))
    if operation == opcodes.NARROW:
        channels, kernels, _, _, _, _, lines, columns = integers[:8]
        tiles = -(-lines // 4)
        return int(max(1, min(8, 36 * channels * kernels * columns * tiles // TASK_WORK, tiles // 2)))
    if operation == opcodes.DEPTHWISE:
        channels, _, _, lines, columns = integers[:5]
        return int(max(1, min(8, 18 * channels * lines * columns // TASK_WORK, lines // 2)))
    if operation == opcodes.SWEEP:
        return int(max(1, min(4, integers[0] * integers[1] * integers[2] // 2e4)))
    return 1


def _fold(graph: Graph, params: Mapping[str, Array], constants: Constants) -> None:
    """Put the parameters into `constants`, and each normalisation that follows a convolution into its weights.

    What then does nothing is taken out of the graph.
    """
    for node in list(graph.nodes):
        if isinstance(node, ConvNode):
            follower = node.output.consumers[0] if len(node.output.consumers) == 1 else None
            weight, bias = params[node.weight], None if node.bias is None else params[node.bias]
            if isinstance(follower, SweepNode) and follower.norm is not None and follower.bands == 1:
                mean, scale, shift = _norm(params, follower.norm.path, follower.norm.epsilon)
                weight = np.asarray(weight * scale, np.float32)
                bias = np.asarray(shift + scale * ((0.0 if bias is None else bias) - mean), np.float32)
                follower.norm = None
                node.bias = node.bias or f"{node.weight}, with the normalisation's"
            constants.add(node.weight, weight)
            form = node.conv.form
            kernels = None if form is None else form.kernels(weight.reshape(node.conv.weight_shape))
            if kernels is not None:
                constants.add((node.weight, "transformed"), kernels)
            if node.bias is not None and bias is not None:
                constants.add(node.bias, bias)
        elif isinstance(node, SweepNode):
            if node.norm is not None:
                channels = node.inputs[0].shape[2]
                numbers = np.stack(_norm(params, node.norm.path, node.norm.epsilon)).reshape(3, node.bands, channels)
                for band in range(node.bands):
                    constants.add((node.norm, band), norm_vectors(channels, *numbers[:, band]))
            elif node.pool is None or _goes_with_tiles(node):
                before = node.inputs[0].producer
                if isinstance(before, ConvNode) and len(node.inputs[0].consumers) == 1 and before.slope == 1.0:
                    before.slope, node.slope = node.slope, 1.0
                    if node.pool is not None:
                        before.pooled, node.pool, before.output.shape = True, None, node.output.shape
                if node.slope == 1.0 and node.pool is None:
                    graph.take_out(node)


def _goes_with_tiles(node: SweepNode) -> bool:
    """Tell whether the windows of a pool are the tiles that the convolution before it computes."""
    before = node.inputs[0].producer
    halving = window((2, 2), axes=2, stride=2)
    form = before.conv.form if isinstance(before, ConvNode) else None
    return form is not None and form.pools and node.pool == halving


def _norm(params: Mapping[str, Array], path: str, epsilon: float) -> tuple[NDArray[np.float64], ...]:
    """Return mean, scale and shift of a trained normalisation."""
    mean, variance, weight, bias = (
        params[f"{path}.{name}"].astype(np.float64) for name in ("running_mean", "running_var", "weight", "bias")
    )
    return mean, weight / np.sqrt(variance + epsilon), bias
