"""Executable programs and the memory of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from audioconv._types import cached_property
from audioconv.kernels import interpreter, opcodes, routines
from audioconv.kernels.counters import COUNTER_STRIDE
from audioconv.kernels.launch import address_in_memory, launch
from audioconv.kernels.threads import thread_count
from audioconv.runtime.memory_plan import assemble
from audioconv.runtime.program import Memory, Phase, Tables, aligned

MIN_WORK = 8e6
"""Operations that one thread completes before a second has woken up."""

PROGRAM_ARGUMENTS = interpreter.OFFSET_TABLES + 1
"""The number of a worker's first arguments, which belong to the program; the others belong to the workspace."""

NO_SEEDS = np.zeros(1, np.uint64)


def useful_threads(work: float) -> int:
    """Return the number of threads for so many operations: all, or one if the others would start too late."""
    return thread_count() if work > MIN_WORK else 1


class Workspace:
    """The memory of one run of a program: one caller at a time.

    Parameters
    ----------
    memory : Memory
        The size of each kind of memory.
    threads : int
        Each has scratch memory of its own.
    tasks : int
        Each has partial sums of its own.
    phases : int
        Each has two counters.
    """

    def __init__(self, memory: Memory, threads: int, tasks: int, phases: int) -> None:
        self.bases = np.zeros(opcodes.BASES, np.int64)
        self.counters = np.zeros((2 * phases + 1 + threads) * COUNTER_STRIDE, np.int64)
        self.arguments = np.zeros(interpreter.ARGUMENTS, np.int64)
        self.arguments_address = address_in_memory(self.arguments)
        self.arguments[interpreter.BASE_TABLE] = address_in_memory(self.bases)
        self.arguments[interpreter.COUNTERS] = address_in_memory(self.counters)
        self.arguments[interpreter.SCRATCH_SIZE] = memory.scratch
        self.threads = threads
        self._arrays: dict[int, NDArray[np.float32] | NDArray[np.float64]] = {
            opcodes.ARENA: aligned(memory.arena),
            opcodes.SCRATCH: aligned(memory.scratch * threads),
            opcodes.PARTIAL: aligned(memory.partial * tasks),
            opcodes.STATISTICS: np.zeros(memory.statistics),
        }
        for base, array in self._arrays.items():
            self.point(base, array)

    @property
    def nbytes(self) -> int:
        """Bytes of its memory."""
        return sum(array.nbytes for array in self._arrays.values())

    def point(self, base: int, array: NDArray[np.float32] | NDArray[np.float64]) -> None:
        """Use `array`, which the caller keeps alive, as the memory of operands of `base`."""
        self.bases[base] = address_in_memory(array)


class Executable:
    """Programs that share their memory, ready to run.

    Parameters
    ----------
    parts : list of list of Phase
        The phases of each program. A program finds in memory the values that the one before it has left there.
    tables : Tables
    memory : Memory
        The sizes reserved so far.
    examples : int
        The largest batch, if values of each example are kept.
    tasks : int
        The number of tasks with partial sums of their own.

    Attributes
    ----------
    program : Program
        All parts, one after the other, as the interpreter reads them. Its `listing` is their disassembly.
    traffic : int
        Bytes an example in arrays that outlive a phase, summed over the phases of all programs.
    """

    def __init__(
        self, parts: Sequence[Sequence[Phase]], tables: Tables, memory: Memory, examples: int, tasks: int = 0
    ) -> None:
        self.program = program = assemble([phase for part in parts for phase in part], examples, memory)
        self._memory, self._tasks = memory, tasks
        self.traffic = 4 * sum(program.traffic)
        self._words, self._reals, self._tables = program.words, program.reals, tables.array()
        ends = np.cumsum([len(part) for part in parts])
        self._phases = [np.ascontiguousarray(rows) for rows in np.split(program.phases, ends[:-1])]
        shared = [address_in_memory(array) for array in (self._words, self._reals, self._tables)]
        self._arguments = [np.array([address_in_memory(rows), len(rows), *shared]) for rows in self._phases]
        self._idle: list[Workspace] = []

    @cached_property
    def _routines(self) -> tuple[NDArray[np.int64], int]:
        """Addresses of the routines of the program's operations, compiled on its first run, and where they lie."""
        addresses = routines.routine_addresses(set(self._words[:, opcodes.CODE].tolist()))
        return addresses, address_in_memory(addresses)

    def new_workspace(self, threads: int) -> Workspace:
        """Return memory for a run on so many threads."""
        return Workspace(self._memory, threads, self._tasks, max(len(phases) for phases in self._phases))

    @contextmanager
    def workspace(self, threads: int) -> Iterator[Workspace]:
        """Lend memory for a run on so many threads; each of several concurrent callers gets its own."""
        # No lock: a process forked meanwhile would hold it for ever. The operations on lists are atomic.
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
        """Run program number `part` for so many examples."""
        space.counters.fill(0)
        arguments = space.arguments
        arguments[:PROGRAM_ARGUMENTS] = self._arguments[part]
        arguments[interpreter.SEEDS] = address_in_memory(seeds)
        arguments[interpreter.EXAMPLE_COUNT] = examples
        arguments[interpreter.THREADS] = threads
        # Held until the launch is over: of threads that run a program for the first time, each may make a table, and
        # the last one replaces the others.
        table = self._routines
        arguments[interpreter.ROUTINE_TABLE] = table[1]
        launch(interpreter.worker.address, space.arguments_address, threads)
