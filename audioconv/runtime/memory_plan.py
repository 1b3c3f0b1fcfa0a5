"""Memory planning: an address for every buffer of a program, and the encoding of its instructions.

A buffer that is used in one phase only lies in the scratch memory of the thread that works on the example. A buffer
that is used in several phases lies in the arena, once for every example. Memory is reused after a buffer's last reader.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from audioconv.kernels import opcodes
from audioconv.runtime.program import (
    SLACK,
    UNLIMITED,
    Buffer,
    Instruction,
    Memory,
    Operand,
    Phase,
    round_up_to_cache_lines,
)

K = TypeVar("K")

MIN_SPILL_BYTES = 4 * 2**20
"""Bytes of a buffer, over all examples, from which on the next phase no longer finds it in the caches."""


@dataclass
class Program:
    """An encoded program, as `kernels.interpreter` reads it.

    Attributes
    ----------
    phases : (phases, PHASE_WORDS) int64 array
    words : (instructions, WORDS) int64 array
        Codes, operands and integers.
    reals : (instructions, REALS) float64 array
    traffic : list of int
        For each phase: elements an example in arrays that outlive the phase, each of which it reads or writes.
    """

    phases: NDArray[np.int64]
    words: NDArray[np.int64]
    reals: NDArray[np.float64]
    traffic: list[int]

    def listing(self) -> str:
        """Return the program as text: a line for each phase, and one for each of its instructions.

        An operand is given as ``base[offset + stride n]``: n is the example or, in ``partial``, the task.
        """
        lines = []
        for number, phase in enumerate(self.phases):
            tasks, kind = phase[opcodes.PHASE_TASKS], opcodes.KIND_NAMES[phase[opcodes.PHASE_KIND]]
            lines.append(f"phase {number}: {'a task each' if tasks == UNLIMITED else f'tasks={tasks}'}, {kind}")
            rows = range(phase[opcodes.PHASE_BEGIN], phase[opcodes.PHASE_END])
            lines += [f"  {_decode(self.words[row], self.reals[row])}" for row in rows]
        return "\n".join(lines)


def assemble(phases: Sequence[Phase], examples: int, memory: Memory) -> Program:
    """Give every buffer an address in `memory`, for so many examples; return the encoded program."""
    phases = _with_spills(phases, examples)
    buffers = _lifetimes(phases)
    kept = {buffer: (uses[0][0], uses[-1][0]) for buffer, uses in buffers.items() if uses[0][0] != uses[-1][0]}
    sizes = {buffer: round_up_to_cache_lines(buffer.size) * examples + SLACK for buffer in kept}
    addresses = {
        b: (opcodes.ARENA, memory.arena + offset, round_up_to_cache_lines(b.size))
        for b, offset in pack(kept, sizes).items()
    }
    memory.arena += max((offset - memory.arena + sizes[b] for b, (_, offset, _) in addresses.items()), default=0)
    for number in range(len(phases)):
        transient = {
            buffer: (0, len(phases[number].instructions)) if buffer.persistent else (uses[0][1], uses[-1][1])
            for buffer, uses in buffers.items()
            if buffer not in kept and uses[0][0] == number
        }
        sizes = {buffer: round_up_to_cache_lines(buffer.size + SLACK) for buffer in transient}
        for buffer, offset in pack(transient, sizes).items():
            addresses[buffer] = (opcodes.SCRATCH, offset, 0)
            memory.scratch = max(memory.scratch, offset + sizes[buffer])
    count = sum(len(phase.instructions) for phase in phases)
    words = np.zeros((max(count, 1), opcodes.WORDS), np.int64)
    reals = np.zeros((max(count, 1), opcodes.REALS))
    table = np.zeros((len(phases), opcodes.PHASE_WORDS), np.int64)
    row = 0
    for number, phase in enumerate(phases):
        tasks = len(phase.instructions) if phase.kind == opcodes.INSTRUCTIONS else phase.tasks
        table[number, opcodes.PHASE_BEGIN] = row
        table[number, opcodes.PHASE_END] = row + len(phase.instructions)
        table[number, opcodes.PHASE_TASKS] = tasks
        table[number, opcodes.PHASE_KIND] = phase.kind
        for instruction in phase.instructions:
            operands = {
                name: _address(o, addresses, memory) for name, o in instruction.operands.items() if o is not None
            }
            _encode(instruction, operands, words[row], reals[row])
            row += 1
    traffic = [
        sum(buffer.size for buffer in kept if any(number == phase for phase, _ in buffers[buffer]))
        for number in range(len(phases))
    ]
    return Program(table, words, reals, traffic)


def _encode(
    instruction: Instruction,
    addresses: Mapping[str, tuple[int, int, int]],
    word: NDArray[np.int64],
    real: NDArray[np.float64],
) -> None:
    """Write an instruction, whose operands have these addresses, into its rows of words and of real numbers."""
    operation = opcodes.operation_of(instruction.opcode)
    word[opcodes.CODE] = instruction.opcode.code
    for name, address in addresses.items():
        begin = opcodes.FIRST_OPERAND + opcodes.OPERAND_WORDS * operation.operands[name]
        word[begin : begin + opcodes.OPERAND_WORDS] = address
    for name, integer in instruction.integers.items():
        word[opcodes.FIRST_INTEGER + operation.integers[name]] = integer
    for name, number in instruction.reals.items():
        real[operation.reals[name]] = number


def _decode(word: NDArray[np.int64], real: NDArray[np.float64]) -> str:
    """Return an instruction as a line of text, its fields by their names."""
    operation = opcodes.OPERATIONS[word[opcodes.CODE]]
    fields = []
    for name, number in operation.operands.items():
        begin = opcodes.FIRST_OPERAND + opcodes.OPERAND_WORDS * number
        base, offset, stride = word[begin : begin + opcodes.OPERAND_WORDS]
        fields.append(f"{name}={opcodes.BASE_NAMES[base]}[{offset}{f' + {stride} n' if stride else ''}]")
    fields += [f"{name}={word[opcodes.FIRST_INTEGER + number]}" for name, number in operation.integers.items()]
    fields += [f"{name}={real[number]:g}" for name, number in operation.reals.items()]
    return f"{operation.name} {' '.join(fields)}"


def _with_spills(phases: Sequence[Phase], examples: int) -> list[Phase]:
    """Return the phases with a spill of each large buffer at the end of its writing in its first phase.

    There the buffer lies in scratch memory, and a copy goes to the arena with non-temporal stores. Written to the
    arena directly, each cache line would be read before it is written.
    """
    phases = [Phase(phase.kind, phase.tasks, list(phase.instructions)) for phase in phases]
    for buffer, uses in _lifetimes(phases).items():
        first, last = uses[0][0], uses[-1][0]
        phase = phases[first]
        if first == last or phase.kind != opcodes.EXAMPLES or 4 * buffer.size * examples < MIN_SPILL_BYTES:
            continue
        here = Buffer(buffer.shape, buffer.border)
        for number, one in enumerate(phase.instructions):
            moved = {name: Operand(here, o.offset) for name, o in one.operands.items() if o and o.memory is buffer}
            if moved:
                phase.instructions[number] = one.replaced(**moved)
        copy = Instruction(opcodes.SPILL, source=Operand(here), target=Operand(buffer), size=buffer.size)
        end = max(number for number, one in enumerate(phase.instructions) if _uses(one, here)) + 1
        phase.instructions.insert(end, copy)
    return phases


def _uses(instruction: Instruction, buffer: Buffer) -> bool:
    return any(operand is not None and operand.memory is buffer for operand in instruction.operands.values())


def _lifetimes(phases: Sequence[Phase]) -> dict[Buffer, list[tuple[int, int]]]:
    """Return, for each buffer, the (phase, instruction) of its uses, in order."""
    uses: dict[Buffer, list[tuple[int, int]]] = {}
    for number, phase in enumerate(phases):
        for index, instruction in enumerate(phase.instructions):
            for operand in instruction.operands.values():
                if operand is not None and isinstance(operand.memory, Buffer):
                    uses.setdefault(operand.memory, []).append((number, index))
    return uses


def pack(lifetimes: Mapping[K, tuple[int, int]], sizes: Mapping[K, int]) -> dict[K, int]:
    """Return an offset for each buffer; those with overlapping lifetimes do not overlap.

    The largest buffer is placed first, each at the lowest free offset.

    Parameters
    ----------
    lifetimes : mapping
        For each buffer, when it is first and last used.
    sizes : mapping

    Examples
    --------
    >>> pack({"a": (0, 1), "b": (1, 2), "c": (2, 3)}, {"a": 10, "b": 5, "c": 8})
    {'a': 0, 'c': 0, 'b': 10}
    """
    placed: dict[K, int] = {}
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


def _address(operand: Operand, addresses: dict[Buffer, tuple[int, int, int]], memory: Memory) -> tuple[int, int, int]:
    if isinstance(operand.memory, Buffer):
        base, offset, stride = addresses[operand.memory]
    else:
        base, offset, stride = operand.memory.base, operand.memory.offset, operand.memory.stride
        if base == opcodes.PARTIAL:
            stride = memory.partial  # from task to task: final only when all partial sums are reserved
    return base, offset + operand.offset, stride
