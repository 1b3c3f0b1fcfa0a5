"""Training programs: forward and backward pass of a network, each one call for all layers."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from audioconv.compiler.backward import Backward
from audioconv.compiler.forward import Writer
from audioconv.compiler.graph import ConvNode
from audioconv.compiler.trace import trace
from audioconv.errors import ShapeError
from audioconv.kernels import opcodes
from audioconv.layers.base import Layer, Pass, Shape
from audioconv.runtime.executable import Executable, Workspace, useful_threads
from audioconv.runtime.program import UNLIMITED, Constants, Fixed, Phase
from audioconv.runtime.sums import part_count

Array = NDArray[np.float32]


class TrainingPasses:
    """The forward and backward pass of a training step, for one caller at a time.

    Parameters
    ----------
    network : Layer
    in_shape : tuple of int
        The shape of one example.
    examples : int
        The largest batch.
    offsets : mapping of str to int
        By path: the index in the vector of all parameters at which each trained one begins.
    tracked : mapping of str to array
        By path: the running statistics.
    frozen : collection of str
        Paths of parameters that do not learn. The backward pass ends where it would serve them alone, and it leaves
        the memory of their gradients undefined. Default: none.

    Attributes
    ----------
    tracked : dict of str to array
        By path: the running statistics after the last forward pass. The next pass overwrites them.
    traffic : int
        Bytes an example that both passes read and write in arrays that outlive a stage.

    Raises
    ------
    NotCompiledError
        If the network has a layer that the compiler does not support.
    """

    def __init__(
        self,
        network: Layer,
        in_shape: Shape,
        examples: int,
        offsets: Mapping[str, int],
        tracked: Mapping[str, Array],
        frozen: Collection[str] = (),
    ) -> None:
        self._classes = network.out_shape(in_shape)[-1]
        self._examples, self._in_shape = examples, tuple(in_shape)
        self._work = 2 * network.multiply_adds(in_shape)
        graph = trace(network, in_shape)
        graph.merge_activations()
        self._constants = Constants()
        self._tracked_offsets, size = {}, 0
        for path, array in tracked.items():
            self._tracked_offsets[path] = size
            size += array.size
        self._before, self._after = np.zeros((2, size), np.float32)
        self.tracked = {
            path: self._after[offset : offset + tracked[path].size] for path, offset in self._tracked_offsets.items()
        }

        def parameter(path: str) -> Fixed:
            if path in offsets:
                return Fixed(opcodes.PARAMETERS, offsets[path])
            return Fixed(opcodes.TRACKED, self._tracked_offsets[path])

        writer = Writer(graph, parameter, examples, self._constants)
        weights = sum(node.conv.partial_size for node in graph.nodes if isinstance(node, ConvNode))
        tasks = part_count(examples, weights, self._work // 2)
        writer.forward()
        backward = Backward(writer, tasks, frozen)
        backward.write()
        split = backward.first_stage
        programs = [
            [
                Phase(opcodes.INSTRUCTIONS, 0, backward.forward_preparations),
                *_phases(writer, range(split), UNLIMITED),
            ],
            [
                Phase(opcodes.INSTRUCTIONS, 0, writer.preparations),
                Phase(opcodes.INSTRUCTIONS, 0, writer.late_preparations),
                *_phases(writer, range(split, len(writer.stages)), tasks),
                Phase(opcodes.INSTRUCTIONS, 0, backward.reductions),
            ],
        ]
        self._program = Executable(programs, writer.tables, writer.memory, examples, tasks)
        self.traffic = self._program.traffic
        self._tasks = tasks
        self._dropouts = len(writer.dropouts)
        self._constant_values = self._constants.array()
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
            float32, contiguous; at most `examples` of them.
        tracked : mapping of str to array
            By path: the running statistics before the pass.
        rng : numpy.random.Generator
            Draws the seed of each dropout, in the network's order.
        """
        if len(x) > self._examples or x.shape[1:] != self._in_shape:
            raise ShapeError(
                f"the passes are for at most {self._examples} examples of shape {self._in_shape}, "
                f"got an input of shape {x.shape}"
            )
        threads = useful_threads(len(x) * self._work)
        if self._space is None or self._space.threads < threads:
            self._space = self._program.new_workspace(threads)
        for path, offset in self._tracked_offsets.items():
            self._before[offset : offset + tracked[path].size] = tracked[path]
        if self._dropouts:
            run = Pass(training=True, rng=rng)
            self._seeds[:] = [run.draw_seed() for _ in range(self._dropouts)]
        space = self._space
        for base, array in (
            (opcodes.INPUT, x),
            (opcodes.OUTPUT, self._logits),
            (opcodes.PARAMETERS, values),
            (opcodes.TRACKED, self._before),
            (opcodes.TRACKED_NEXT, self._after),
            (opcodes.CONSTANTS, self._constant_values),
        ):
            space.point(base, array)
        self._x, self._values = x, values  # the backward pass reads them again
        self._program.run(0, space, len(x), threads, self._seeds)
        return self._logits[: len(x)]

    def backward(self, dy: Array, gradient: Array) -> None:
        """Write the gradient by all parameters that learn into `gradient`, given that by the last logits."""
        assert self._space is not None, "there was no forward pass"
        self._dy = np.require(dy, np.float32, ["C", "A"])
        self._space.point(opcodes.OUTPUT_GRADIENT, self._dy)
        self._space.point(opcodes.GRADIENTS, gradient)
        # More threads than tasks would add nothing but their own memory for sums.
        threads = min(useful_threads(2 * len(self._x) * self._work), self._space.threads, self._tasks)
        self._program.run(1, self._space, len(self._x), threads, self._seeds)


def _phases(writer: Writer, stages: range, tasks: int) -> list[Phase]:
    """Return the phases of these stages and those between them."""
    phases = []
    for stage in stages:
        phases.append(Phase(opcodes.EXAMPLES, tasks, writer.stages[stage]))
        if stage in writer.between:
            phases.append(Phase(opcodes.INSTRUCTIONS, 0, writer.between[stage]))
    return phases
