"""Inference programs: the forward pass of a trained network, with its normalisations folded into the weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from audioconv.compiler.forward import Writer
from audioconv.compiler.graph import ConvNode, Graph, NormActivationPoolNode
from audioconv.compiler.trace import trace
from audioconv.errors import ShapeError
from audioconv.geometry import window
from audioconv.kernels import opcodes
from audioconv.kernels.threads import thread_count
from audioconv.layers.base import Layer, Shape
from audioconv.runtime.executable import Executable, useful_threads
from audioconv.runtime.program import UNLIMITED, Constants, Fixed, Instruction, Phase, norm_vectors
from audioconv.runtime.shares import task_count

Array = NDArray[np.float32]

MIN_TASKS, TASKS_OF_THREAD = 8, 2
"""Tasks of an instruction that all threads share: with two for each thread, one that starts late costs less."""


class Inference:
    """The forward pass of a trained network. Many threads may call it at once.

    Parameters
    ----------
    network : Layer
    params : mapping of str to array
        By path.
    in_shape : tuple of int
        The shape of one example.

    Raises
    ------
    NotCompiledError
        If the network has a layer that the compiler does not support.
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
        self._constant_values = self._constants.array()

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
            space.point(opcodes.CONSTANTS, self._constant_values)
            program.run(0, space, N, threads)
        return y

    def _compile(self, by_lines: bool) -> Executable:
        """Return the program: an example is one task, or each layer of one example is divided among threads."""
        norms = {
            node.norm.path: [self._constants.find((node.norm, band)) for band in range(node.bands)]
            for node in self._graph.nodes
            if isinstance(node, NormActivationPoolNode) and node.norm
        }
        writer = Writer(self._graph, self._constants.find, 1, self._constants, norms)
        for node in self._graph.nodes:
            if isinstance(node, ConvNode) and (node.weight, "transformed") in self._constants:
                kernels = self._constants.find((node.weight, "transformed"))
                writer.transformed_weights[self._constants.find(node.weight).offset] = kernels
        writer.forward()
        (instructions,) = writer.stages
        if by_lines:
            first = [one for one in instructions if _is_independent(one)]
            rest = [one for one in instructions if not _is_independent(one)]
            phases = [Phase(opcodes.INSTRUCTIONS, 0, first)]
            most = max(MIN_TASKS, TASKS_OF_THREAD * thread_count())
            phases += [Phase(opcodes.LINES, task_count(one, most), [one]) for one in rest]
        else:
            phases = [Phase(opcodes.EXAMPLES, UNLIMITED, instructions)]
        return Executable([phases], writer.tables, writer.memory, 1)


def _is_independent(instruction: Instruction) -> bool:
    """Tell whether an instruction reads no result of another: clearing a border, and the copy of the input."""
    if instruction.opcode == opcodes.CLEAR_BORDER:
        return True
    x = instruction.operands.get("x")
    return x is not None and isinstance(x.memory, Fixed) and x.memory.base == opcodes.INPUT


def _fold(graph: Graph, params: Mapping[str, Array], constants: Constants) -> None:
    """Store the parameters in `constants`, with normalisations folded into the convolutions before them.

    Activations and max-pools are fused into convolutions if possible. Nodes that become the identity are removed.
    """
    for node in list(graph.nodes):
        if isinstance(node, ConvNode):
            follower = node.output.consumers[0] if len(node.output.consumers) == 1 else None
            weight, bias = params[node.weight], None if node.bias is None else params[node.bias]
            if isinstance(follower, NormActivationPoolNode) and follower.norm is not None and follower.bands == 1:
                mean, scale, shift = _norm(params, follower.norm.path, follower.norm.epsilon)
                weight = np.asarray(weight * scale, np.float32)
                bias = np.asarray(shift + scale * ((0.0 if bias is None else bias) - mean), np.float32)
                follower.norm = None
                node.bias = node.bias or f"{node.weight}, with the normalisation's"
            constants.add(node.weight, weight)
            algorithm = node.conv.algorithm
            kernels = None if algorithm is None else algorithm.kernels(weight.reshape(node.conv.weight_shape))
            if kernels is not None:
                constants.add((node.weight, "transformed"), kernels)
            if node.bias is not None and bias is not None:
                constants.add(node.bias, bias)
        elif isinstance(node, NormActivationPoolNode):
            if node.norm is not None:
                channels = node.inputs[0].shape[2]
                vectors = np.stack(_norm(params, node.norm.path, node.norm.epsilon)).reshape(3, node.bands, channels)
                for band in range(node.bands):
                    constants.add((node.norm, band), norm_vectors(channels, *vectors[:, band]))
            elif node.pool is None or _pool_fits_tiles(node):
                before = node.inputs[0].producer
                if isinstance(before, ConvNode) and len(node.inputs[0].consumers) == 1 and before.slope == 1.0:
                    before.slope, node.slope = node.slope, 1.0
                    if node.pool is not None:
                        before.pooled, node.pool, before.output.shape = True, None, node.output.shape
                if node.slope == 1.0 and node.pool is None and not node.is_clamped:
                    graph.remove(node)


def _pool_fits_tiles(node: NormActivationPoolNode) -> bool:
    """Tell whether the convolution before a max-pool can compute it, its windows being parts of tiles."""
    before = node.inputs[0].producer
    halving = window((2, 2), axes=2, stride=2)
    algorithm = before.conv.algorithm if isinstance(before, ConvNode) else None
    return algorithm is not None and algorithm.fuses_pool and node.pool == halving


def _norm(params: Mapping[str, Array], path: str, epsilon: float) -> tuple[NDArray[np.float64], ...]:
    """Return mean, scale and shift of a trained normalisation."""
    mean, variance, weight, bias = (
        params[f"{path}.{name}"].astype(np.float64) for name in ("running_mean", "running_var", "weight", "bias")
    )
    return mean, weight / np.sqrt(variance + epsilon), bias
