"""Programs under construction: phases of instructions on symbolic memory, which `memory_plan` gives addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audioconv.kernels import opcodes
from audioconv.kernels.jit import LANES
from audioconv.runtime.offsets import Layout, Pairs

SLACK = 4 * LANES
"""Elements reserved behind every array, because kernels read full SIMD vectors."""

ALIGNMENT = 16  # elements: a cache line

UNLIMITED = 2**62
"""The number of tasks of a phase that has one for each example."""

Border = tuple[int, int, int, int]
"""Pixels above, below, left and right of an image."""

NO_BORDER: Border = (0, 0, 0, 0)


@dataclass(eq=False)
class Buffer:
    """An image for each example, channels last, with a border around it.

    Attributes
    ----------
    shape : (int, int, int)
        Height, width and channels, without the border.
    border : (int, int, int, int)
        Pixels above, below, left and right.
    lasting : bool
        Whether its contents stay for the next example of the same task.
    """

    shape: tuple[int, int, int]
    border: Border = NO_BORDER
    persistent: bool = field(default=False, kw_only=True)

    @property
    def layout(self) -> Layout:
        """The strides between lines and between pixels."""
        width = self.shape[1] + self.border[2] + self.border[3]
        return Layout(width * self.shape[2], self.shape[2])

    @property
    def size(self) -> int:
        """Elements of one example, with the border."""
        return (self.shape[0] + self.border[0] + self.border[1]) * self.layout.line

    def at(self, line: int = 0, column: int = 0, channel: int = 0) -> Operand:
        """Return a pixel as an operand; the border above and to the left has negative coordinates."""
        line, column = line + self.border[0], column + self.border[2]
        return Operand(self, line * self.layout.line + column * self.layout.pixel + channel)


@dataclass(frozen=True, eq=False)
class Fixed:
    """Memory at a known offset: an array of the caller's, or values that the examples share.

    Attributes
    ----------
    base : int
        One of the bases in `kernels.opcodes`.
    offset : int
        Its first element.
    stride : int
        Elements from example to example, or from task to task in partial sums.
    """

    base: int
    offset: int = 0
    stride: int = 0

    def at(self, offset: int = 0) -> Operand:
        """Return the element at `offset` as an operand."""
        return Operand(self, offset)


@dataclass(frozen=True)
class Operand:
    """An operand of an instruction: an offset into a buffer or into fixed memory."""

    memory: Buffer | Fixed
    offset: int = 0


@dataclass(frozen=True, init=False)
class Instruction:
    """An operation and the values of its fields: what the interpreter executes.

    Parameters
    ----------
    opcode : module
        One of those in `kernels.opcodes`.
    **fields : Place, None, int or float
        A value for each field of the operation, by its name; None for an optional operand that is left out.

    Raises
    ------
    TypeError
        If a field has no value, a value has no field, or a value is not of its field's kind.
    """

    opcode: ModuleType
    operands: dict[str, Operand | None]
    integers: dict[str, int]
    reals: dict[str, float]

    def __init__(self, opcode: ModuleType, **fields: Operand | float | None) -> None:
        operation = opcodes.operation_of(opcode)
        names = {*operation.operands, *operation.integers, *operation.reals}
        if fields.keys() != names:
            missing, unknown = sorted(names - fields.keys()), sorted(fields.keys() - names)
            raise TypeError(
                f"an instruction {operation.name!r} takes each of its fields once: "
                f"missing {', '.join(missing) or 'none'}; unknown {', '.join(unknown) or 'none'}"
            )
        values: dict[str, Any] = fields
        for name, value in values.items():
            if name in operation.operands:
                fits = isinstance(value, Operand) or (value is None and name in operation.optional)
            elif name in operation.integers:
                fits = isinstance(value, int | np.integer)
            else:
                fits = isinstance(value, float | int | np.floating)
            if not fits:
                raise TypeError(f"field {name!r} of an instruction {operation.name!r} cannot be {value!r}")
        object.__setattr__(self, "opcode", opcode)
        object.__setattr__(self, "operands", {name: values[name] for name in operation.operands})
        object.__setattr__(self, "integers", {name: int(values[name]) for name in operation.integers})
        object.__setattr__(self, "reals", {name: float(values[name]) for name in operation.reals})

    def replaced(self, **fields: Operand | float | None) -> Instruction:
        """Return the instruction with other values of these fields."""
        return Instruction(self.opcode, **{**self.operands, **self.integers, **self.reals, **fields})


@dataclass
class Phase:
    """Instructions that depend on each other within one example only.

    Attributes
    ----------
    kind : int
        The unit of a task: ``opcodes.EXAMPLES``, ``INSTRUCTIONS`` or ``LINES``.
    tasks : int
        Into how many tasks the examples, or the lines of an image, are divided.
    instructions : list of Instruction
    """

    kind: int
    tasks: int
    instructions: list[Instruction] = field(default_factory=list)


@dataclass
class Section:
    """The instructions of one stage under construction, and the resources that all stages share.

    Attributes
    ----------
    instructions : list of Instruction
        Executed for each example.
    preparations, late_preparations : list of Instruction
        Executed once before the first example; the late ones after all others.
    transformed_weights : mapping of int to Fixed
        By the offset of a weight: its transformed kernels, if they are constants.
    """

    instructions: list[Instruction]
    preparations: list[Instruction]
    tables: Tables
    memory: Memory
    constants: Constants
    late_preparations: list[Instruction] = field(default_factory=list)
    transformed_weights: Mapping[int, Fixed] = field(default_factory=dict)

    def emit(self, opcode: ModuleType, **fields: Operand | float | None) -> None:
        """Append an instruction: see `Instruction`."""
        self.instructions.append(Instruction(opcode, **fields))

    def prepare(self, opcode: ModuleType, *, late: bool = False, **fields: Operand | float | None) -> None:
        """Append an instruction to the preparations or, if `late`, to the late ones."""
        (self.late_preparations if late else self.preparations).append(Instruction(opcode, **fields))


class Tables:
    """The tables of offsets; equal tables are stored once."""

    def __init__(self) -> None:
        self._offsets: dict[bytes, int] = {}
        self._parts: list[NDArray[np.int32]] = []
        self._size = 0

    def add(self, table: Pairs | NDArray[np.int32]) -> int:
        """Return the index in `array` at which `table` begins."""
        key = table.tobytes()
        if key not in self._offsets:
            self._offsets[key] = self._size
            self._parts.append(table.reshape(-1))
            self._size += table.size
        return self._offsets[key]

    def array(self) -> NDArray[np.int32]:
        """Return all tables, concatenated."""
        return np.concatenate([*self._parts, np.zeros(1, np.int32)])


@dataclass
class Memory:
    """The sizes of a program's own memory, in elements."""

    arena: int = 0
    scratch: int = 0
    partial: int = 0
    statistics: int = 0

    def fixed(self, size: int) -> Fixed:
        """Reserve memory in the arena that all examples share."""
        region = Fixed(opcodes.ARENA, self.arena)
        self.arena += round_up_to_cache_lines(size + SLACK)
        return region

    def per_task(self, size: int) -> Fixed:
        """Reserve `size` elements in the partial sums of each task."""
        region = Fixed(opcodes.PARTIAL, self.partial)
        self.partial += round_up_to_cache_lines(size + SLACK)
        return region

    def doubles(self, size: int, examples: int) -> Fixed:
        """Reserve `size` float64 elements for each example."""
        region = Fixed(opcodes.STATISTICS, self.statistics, size)
        self.statistics += round_up_to_cache_lines(size * examples)
        return region


class Constants:
    """Constant arrays that instructions read."""

    def __init__(self) -> None:
        self._offsets: dict[object, Fixed] = {}
        self._parts: list[NDArray[np.float32]] = []
        self._size = 0

    def add(self, key: object, values: NDArray[np.floating]) -> Fixed:
        """Store `values` under `key`, unless it is there; return their memory."""
        if key not in self._offsets:
            self._offsets[key] = Fixed(opcodes.CONSTANTS, self._size)
            part = np.zeros(round_up_to_cache_lines(values.size), np.float32)
            part[: values.size] = values.reshape(-1)
            self._parts.append(part)
            self._size += part.size
        return self._offsets[key]

    def __contains__(self, key: object) -> bool:
        return key in self._offsets

    def find(self, key: object) -> Fixed:
        """Return the memory of the values that were added under `key`."""
        return self._offsets[key]

    def zeros(self, size: int) -> Fixed:
        """Return memory with `size` zeros and more behind them."""
        return self.add(("zeros", size), np.zeros(size + SLACK))

    def no_norm(self, channels: int) -> Fixed:
        """Return mean, scale and shift of the identity."""
        return self.add(("no norm", channels), norm_vectors(channels, 0, 1, 0))

    def no_norm_gradient(self, channels: int) -> Fixed:
        """Return the factors of the identity's gradient."""
        return self.add(("no norm's gradient", channels), norm_vectors(channels, 1, 0, 0))

    def array(self) -> NDArray[np.float32]:
        """Return all constants, concatenated."""
        array = aligned(self._size + SLACK)
        array[: self._size] = np.concatenate(self._parts) if self._parts else 0
        array[self._size :] = 0
        return array


def norm_vectors(channels: int, *values: ArrayLike) -> NDArray[np.float32]:
    """Return three numbers or vectors, one behind the other, as a fused normalisation reads them."""
    vectors = np.zeros((3, round_up_to_lanes(channels)), np.float32)
    for row, number in zip(vectors, values, strict=True):
        row[:channels] = number
    return vectors


def round_up_to_lanes(channels: int) -> int:
    """Return `channels` rounded up to full SIMD vectors."""
    return -(-channels // LANES) * LANES


def aligned(size: int) -> NDArray[np.float32]:
    """Return an uninitialised float32 array of `size` elements that begins at a cache line."""
    room = np.empty(size + ALIGNMENT, np.float32)
    begin = -(room.ctypes.data // 4) % ALIGNMENT
    return room[begin : begin + size]


def aligned_with_slack(size: int) -> NDArray[np.float32]:
    """Return an uninitialised float32 array of `size` elements that full SIMD vectors may be read from."""
    return aligned(size + SLACK)[:size]


def round_up_to_cache_lines(size: int) -> int:
    """Return `size` rounded up to whole cache lines."""
    return -(-size // ALIGNMENT) * ALIGNMENT
