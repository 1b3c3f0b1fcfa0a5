"""Memory of a running program, and running it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from audioconv.kernels import interpreter as opcodes
from audioconv.kernels.counters import APART
from audioconv.kernels.launch import address_in_memory, launch
from audioconv.kernels.threads import thread_count
from audioconv.runtime.memory_plan import assemble
from audioconv.runtime.program import Memory, Phase, Tables, aligned

LEAST_WORK = 8e6
"""Operations that one thread does before another is awake."""

OF_PROGRAM = opcodes.OFFSET_TABLES + 1
"""How many of a worker's arguments are the program's; the next are the workspace's."""

NO_SEEDS = np.zeros(1, np.uint64)


def useful_threads(work: float) -> int:
    """Return on how many threads to do so many operations: all that there are, or one if others would come late."""
    return thread_count() if work > LEAST_WORK else 1


class Workspace:
    """The memory of one pass: nobody else may use it at the same time.

    Parameters
    ----------
    memory : Memory
        How much of everything.
    threads, tasks : int
        How many have scratch memory, and partial sums, of their own.
    phases : int
        How many counters are needed.
    """

    def __init__(self, memory: Memory, threads: int, tasks: int, phases: int) -> None:
        self.bases = np.zeros(opcodes.BASES, np.int64)
        self.counters = np.zeros((2 * phases + 1 + threads) * APART, np.int64)
        self.arguments = np.zeros(opcodes.ARGUMENTS, np.int64)
        self.arguments_address = address_in_memory(self.arguments)
        self.arguments[opcodes.BASE_TABLE] = address_in_memory(self.bases)
        self.arguments[opcodes.COUNTERS] = address_in_memory(self.counters)
        self.arguments[opcodes.SCRATCH_SIZE] = memory.scratch
        self.threads = threads
        self._arrays: dict[int, NDArray[np.float32] | NDArray[np.float64]] = {
            opcodes.ARENA: aligned(memory.arena),
            opcodes.SCRATCH: aligned(memory.scratch * threads),
            opcodes.PARTIAL: aligned(memory.partial * tasks),
            opcodes.STATISTICS: np.zeros(memory.statistics),
        }
        for base, array in self._arrays.items():
            self.point(base, array)

    def point(self, base: int, array: NDArray[np.float32] | NDArray[np.float64]) -> None:
        """Let operands of `base` lie in `array`, which the caller keeps alive."""
        self.bases[base] = address_in_memory(array)


class Executable:
    """Programs that share their memory, and can be run.

    Parameters
    ----------
    parts : list of list of Phase
        The phases of each program; what one leaves in memory is there for the next.
    tables : Tables
    memory : Memory
        What has been asked for so far.
    examples : int
        At most so many at a time where something is kept for each.
    tasks : int
        How many have partial sums of their own.

    Attributes
    ----------
    traffic : int
        Bytes an example that pass from phase to phase through memory, in all programs together.
    """

    def __init__(
        self, parts: Sequence[Sequence[Phase]], tables: Tables, memory: Memory, examples: int, tasks: int = 0
    ) -> None:
        whole = assemble([phase for part in parts for phase in part], examples, memory)
        self._memory, self._tasks = memory, tasks
        self.traffic = 4 * sum(whole.traffic)
        self._words, self._reals, self._tables = whole.words, whole.reals, tables.array()
        ends = np.cumsum([len(part) for part in parts])
        self._phases = [np.ascontiguousarray(rows) for rows in np.split(whole.phases, ends[:-1])]
        shared = [address_in_memory(array) for array in (self._words, self._reals, self._tables)]
        self._arguments = [np.array([address_in_memory(rows), len(rows), *shared]) for rows in self._phases]
        self._idle: list[Workspace] = []

    def new_workspace(self, threads: int) -> Workspace:
        """Return memory for a pass on so many threads."""
        return Workspace(self._memory, threads, self._tasks, max(len(phases) for phases in self._phases))

    @contextmanager
    def workspace(self, threads: int) -> Iterator[Workspace]:
        """Lend memory for a pass on so many threads; each of several callers at once gets its own."""
        # No lock, which a process that is forked meanwhile would hold for ever: lists are safe by themselves.
        try:
            space = self._idle.pop()
        except IndexError:
            space = None
        if space is None or space.threads < threads:
            space = self.new_workspace(threads)
        try:
            yield space
        finally:
            self._idle.append(space)

    def run(
        self,
        part: int,
        space: Workspace,
        examples: int,
        threads: int,
        seeds: NDArray[np.uint64] = NO_SEEDS,
    ) -> None:
        """Carry out program number `part` for so many examples."""
        space.counters.fill(0)
        arguments = space.arguments
        arguments[:OF_PROGRAM] = self._arguments[part]
        arguments[opcodes.SEEDS] = address_in_memory(seeds)
        arguments[opcodes.EXAMPLE_COUNT] = examples
        arguments[opcodes.APART] = threads
        launch(opcodes.worker.address, space.arguments_address, threads)
