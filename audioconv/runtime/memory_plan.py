"""Where the memory of a program lies.

What is used in one phase only becomes scratch memory of the thread that works on the example; what is used in several
is kept for every example. Both are used again as soon as their last reader is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audioconv.kernels import interpreter as opcodes
from audioconv.runtime.program import SLACK, Buffer, Instruction, Memory, Phase, Place, rounded

LEAST_CARRIED = 4 * 2**20
"""Bytes of all examples together that are not in the caches any more when the next phase asks for them."""


@dataclass
class Program:
    """What `kernels.program.worker` reads, beside the memory.

    Attributes
    ----------
    phases, words, reals : arrays
        As the machine reads them.
    traffic : list of int
        For each phase: numbers an example in arrays that outlive the phase. So many have to be read or written.
    """

    phases: NDArray[np.int64]
    words: NDArray[np.int64]
    reals: NDArray[np.float64]
    traffic: list[int]


def assemble(phases: Sequence[Phase], examples: int, memory: Memory) -> Program:
    """Give every buffer its place in `memory`, for so many examples; return the phases as the machine reads them."""
    phases = _carried(phases, examples)
    buffers = _lifetimes(phases)
    kept = {buffer: (uses[0][0], uses[-1][0]) for buffer, uses in buffers.items() if uses[0][0] != uses[-1][0]}
    sizes = {buffer: rounded(buffer.size) * examples + SLACK for buffer in kept}
    places = {b: (opcodes.ARENA, memory.arena + offset, rounded(b.size)) for b, offset in _pack(kept, sizes).items()}
    memory.arena += max((offset - memory.arena + sizes[b] for b, (_, offset, _) in places.items()), default=0)
    for number in range(len(phases)):
        passing = {
            buffer: (0, len(phases[number].instructions)) if buffer.lasting else (uses[0][1], uses[-1][1])
            for buffer, uses in buffers.items()
            if buffer not in kept and uses[0][0] == number
        }
        sizes = {buffer: rounded(buffer.size + SLACK) for buffer in passing}
        for buffer, offset in _pack(passing, sizes).items():
            places[buffer] = (opcodes.SCRATCH, offset, 0)
            memory.scratch = max(memory.scratch, offset + sizes[buffer])
    count = sum(len(phase.instructions) for phase in phases)
    words = np.zeros((max(count, 1), opcodes.WORDS), np.int64)
    reals = np.zeros((max(count, 1), opcodes.REALS))
    table = np.zeros((len(phases), opcodes.PHASE_WORDS), np.int64)
    row = 0
    for number, phase in enumerate(phases):
        tasks = len(phase.instructions) if phase.kind == opcodes.INSTRUCTIONS else phase.tasks
        table[number] = row, row + len(phase.instructions), tasks, phase.kind
        for instruction in phase.instructions:
            word = words[row]
            word[0] = instruction.operation
            for i, operand in enumerate(instruction.operands):
                if operand is not None:
                    word[1 + 3 * i : 4 + 3 * i] = _address(operand, places, memory)
            end = opcodes.FIRST_INTEGER + len(instruction.integers)
            word[opcodes.FIRST_INTEGER : end] = instruction.integers
            reals[row, : len(instruction.reals)] = instruction.reals
            row += 1
    traffic = [
        sum(buffer.size for buffer in kept if any(number == phase for phase, _ in buffers[buffer]))
        for number in range(len(phases))
    ]
    return Program(table, words, reals, traffic)


def _carried(phases: Sequence[Phase], examples: int) -> list[Phase]:
    """Return the phases with what is large and outlives the phase that makes it made in scratch memory there.

    A copy of it goes to memory past the caches. Written there at once, each line would be read before it is written.
    """
    phases = [Phase(phase.kind, phase.tasks, list(phase.instructions)) for phase in phases]
    for buffer, uses in _lifetimes(phases).items():
        first, last = uses[0][0], uses[-1][0]
        phase = phases[first]
        if first == last or phase.kind != opcodes.EXAMPLES or 4 * buffer.size * examples < LEAST_CARRIED:
            continue
        here = Buffer(buffer.shape, buffer.border)
        for number, one in enumerate(phase.instructions):
            operands = [Place(here, o.offset) if o and o.memory is buffer else o for o in one.operands]
            phase.instructions[number] = replace(one, operands=operands)
        copy = Instruction(opcodes.CARRY, [Place(here), Place(buffer)], [buffer.size])
        end = max(number for number, one in enumerate(phase.instructions) if _uses(one, here)) + 1
        phase.instructions.insert(end, copy)
    return phases


def _uses(instruction: Instruction, buffer: Buffer) -> bool:
    return any(operand is not None and operand.memory is buffer for operand in instruction.operands)


def _lifetimes(phases: Sequence[Phase]) -> dict[Buffer, list[tuple[int, int]]]:
    """Return, for each buffer, the phases and instructions that use it, in order."""
    uses: dict[Buffer, list[tuple[int, int]]] = {}
    for number, phase in enumerate(phases):
        for index, instruction in enumerate(phase.instructions):
            for operand in instruction.operands:
                if operand is not None and isinstance(operand.memory, Buffer):
                    uses.setdefault(operand.memory, []).append((number, index))
    return uses


def _pack(lifetimes: dict[Buffer, tuple[int, int]], sizes: dict[Buffer, int]) -> dict[Buffer, int]:
    """Return an offset for each buffer such that those whose lifetimes meet do not: the largest first, each lowest."""
    placed: dict[Buffer, int] = {}
    for buffer in sorted(lifetimes, key=lambda b: -sizes[b]):
        begin, end = lifetimes[buffer]
        taken = sorted(
            (placed[other], placed[other] + sizes[other])
            for other in placed
            if lifetimes[other][0] <= end and begin <= lifetimes[other][1]
        )
        offset = 0
        for low, high in taken:
            if offset + sizes[buffer] <= low:
                break
            offset = max(offset, high)
        placed[buffer] = offset
    return placed


def _address(place: Place, places: dict[Buffer, tuple[int, int, int]], memory: Memory) -> tuple[int, int, int]:
    if isinstance(place.memory, Buffer):
        base, offset, stride = places[place.memory]
    else:
        base, offset, stride = place.memory.base, place.memory.offset, place.memory.stride
        if base == opcodes.PARTIAL:
            stride = memory.partial  # from task to task, which is known at the end only
    return base, offset + place.offset, stride
