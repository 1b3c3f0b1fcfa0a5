"""Forward and backward pass of a network that is being trained, compiled: each one call for all layers."""

from __future__ import annotations

from collections.abc import Mapping

import numba
import numpy as np
from numpy.typing import NDArray

from audioconv.compiler.backward import Backward
from audioconv.compiler.graph import ConvNode, Graph, SweepNode, trace
from audioconv.compiler.program import Fixed, Instruction, Memory, Phase
from audioconv.compiler.workspace import Executable, Workspace
from audioconv.compiler.writer import Constants, Writer, channel_blocks, whole
from audioconv.kernels import program as machine
from audioconv.kernels.jit import PARTS
from audioconv.layers.base import Layer, Pass, Shape

Array = NDArray[np.float32]

UNLIMITED = 2**62
MOST_PARTIAL = 2**24
"""Numbers in all tasks' partial sums together (64 MiB)."""


class TrainingPasses:
    """The two passes of a training step. One step at a time.

    Parameters
    ----------
    network : Layer
    in_shape : tuple of int
        Of one example.
    examples : int
        The largest batch.
    places : mapping of str to int
        By path: where each trained parameter begins in the vector of all.
    tracked : mapping of str to array
        By path: the running statistics.

    Attributes
    ----------
    tracked : dict of str to array
        By path: the running statistics after the last forward pass. The next pass overwrites them.

    Raises
    ------
    NotCompiledError
        If the network has a part that cannot be compiled.
    """

    def __init__(
        self,
        network: Layer,
        in_shape: Shape,
        examples: int,
        places: Mapping[str, int],
        tracked: Mapping[str, Array],
    ) -> None:
        self._classes = network.out_shape(in_shape)[-1]
        self._examples = examples
        graph = trace(network, in_shape)
        memory, self._constants = Memory(), Constants()
        self._tracked_places, size = {}, 0
        for path, array in tracked.items():
            self._tracked_places[path] = size
            size += array.size
        self._before, self._after = np.zeros((2, size), np.float32)
        self.tracked = {
            path: self._after[place : place + tracked[path].size] for path, place in self._tracked_places.items()
        }
        writer = Writer(
            graph, lambda path: Fixed(machine.PARAMETERS, places[path]), examples, memory, self._constants
        )
        writer.tasks = max(1, min(examples, PARTS, MOST_PARTIAL // max(1, _weight_numbers(graph))))
        writer.forward()
        norms = self._normalisations(graph, writer)
        forward = []
        for stage, instructions in enumerate(writer.stages):
            forward.append(Phase(machine.EXAMPLES, UNLIMITED, instructions))
            if stage in norms:
                forward.append(Phase(machine.INSTRUCTIONS, 0, norms[stage]))
        written = Backward(writer)
        written.write()
        backward = [Phase(machine.INSTRUCTIONS, 0, written.before)] if written.before else []
        for stage in range(written.first_stage, len(writer.stages)):
            backward.append(Phase(machine.EXAMPLES, writer.tasks, writer.stages[stage]))
            if stage in written.between:
                backward.append(Phase(machine.INSTRUCTIONS, 0, written.between[stage]))
        backward.append(Phase(machine.INSTRUCTIONS, 0, written.after))
        self._numbers = self._constants.array()
        self._dropouts = len(writer.dropouts)
        self._program = Executable([forward, backward], writer.tables, memory, examples, writer.tasks)
        self._space: Workspace | None = None
        self._logits = np.empty((examples, self._classes), np.float32)
        self._seeds = np.zeros(max(1, self._dropouts), np.uint64)

    def forward(self, values: Array, x: Array, tracked: Mapping[str, Array], rng: np.random.Generator | None) -> Array:
        """Return the logits (N, classes) of a batch x (N, *in_shape); the next pass overwrites them.

        Parameters
        ----------
        values : array
            All trained parameters.
        x : array (N, *in_shape)
            float32, contiguous; of at most as many examples as was said.
        tracked : mapping of str to array
            By path: the running statistics before the pass.
        rng : numpy.random.Generator
            Gives each dropout its seed, in the network's order.
        """
        threads = numba.get_num_threads()
        if self._space is None or self._space.threads < threads:
            self._space = self._program.new_workspace(threads)
        for path, place in self._tracked_places.items():
            self._before[place : place + tracked[path].size] = tracked[path]
        if self._dropouts:
            run = Pass(training=True, rng=rng)
            self._seeds[:] = [run.draw_seed() for _ in range(self._dropouts)]
        space = self._space
        for base, array in (
            (machine.INPUT, x),
            (machine.OUTPUT, self._logits),
            (machine.PARAMETERS, values),
            (machine.TRACKED, self._before),
            (machine.TRACKED_NEXT, self._after),
            (machine.CONSTANTS, self._numbers),
        ):
            space.point(base, array)
        self._x, self._values = x, values  # they are read again in the backward pass
        self._program.run(0, space, len(x), threads, self._seeds)
        return self._logits[: len(x)]

    def backward(self, dy: Array, gradient: Array) -> None:
        """Put the gradient by all trained parameters into `gradient`, given that by the logits of the last forward pass."""
        assert self._space is not None, "there was no forward pass"
        self._dy = np.require(dy, np.float32, ["C", "A"])
        self._space.point(machine.OUTPUT_GRADIENT, self._dy)
        self._space.point(machine.GRADIENTS, gradient)
        threads = min(numba.get_num_threads(), self._space.threads)
        self._program.run(1, self._space, len(self._x), threads, self._seeds)

    def _normalisations(self, graph: Graph, writer: Writer) -> dict[int, list[Instruction]]:
        """Return what is to be done behind each stage: merging the statistics of the examples."""
        found: dict[int, list[Instruction]] = {}
        for node in graph.nodes:
            if not isinstance(node, SweepNode) or node.norm is None:
                continue
            H, W, C = node.inputs[0].shape
            memory, path = writer.norm(node.norm, C), node.norm.path
            weight, bias = (writer.parameter(f"{path}.{name}") for name in ("weight", "bias"))
            mean, variance = (self._tracked_places[f"{path}.{name}"] for name in ("running_mean", "running_var"))
            operands = [
                memory.moments.at(),
                weight.at(),
                memory.vectors.at(),
                Fixed(machine.TRACKED).at(mean),
                Fixed(machine.TRACKED_NEXT).at(mean),
                memory.inverse.at(),
            ]
            rest = [whole(C), H * W, bias.offset - weight.offset, variance - mean]
            instructions = [
                Instruction(machine.NORMALISE, operands, [*block, *rest], [node.norm.epsilon, node.norm.momentum])
                for block in channel_blocks(C)
            ]
            found.setdefault(writer.stage_of[node.inputs[0]], []).extend(instructions)
        return found


def _weight_numbers(graph: Graph) -> int:
    return sum(
        (node.window.kernel[0] * node.window.kernel[1] * node.inputs[0].shape[2] // node.groups) * node.output.shape[2]
        for node in graph.nodes
        if isinstance(node, ConvNode)
    )
