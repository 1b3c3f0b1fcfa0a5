"""A program being written: instructions with names for their memory. `assembly` gives them addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audioconv.kernels import interpreter as opcodes
from audioconv.kernels.jit import LANES
from audioconv.runtime.offsets import Layout, Pairs

SLACK = 4 * LANES
"""Numbers behind every array: vectors are read whole."""

ALIGNMENT = 16  # numbers: a cache line

UNLIMITED = 2**62
"""Tasks of a phase that has one for each example."""

MOST_PARTIAL = 2**24
"""Numbers in the partial sums of all tasks together (64 MiB)."""


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
        Whether what an example leaves there is to be found by the next example of its task.
    """

    shape: tuple[int, int, int]
    border: Border = NO_BORDER
    lasting: bool = field(default=False, kw_only=True)

    @property
    def layout(self) -> Layout:
        """Where its lines and pixels lie."""
        width = self.shape[1] + self.border[2] + self.border[3]
        return Layout(width * self.shape[2], self.shape[2])

    @property
    def size(self) -> int:
        """Numbers an example, with the border."""
        return (self.shape[0] + self.border[0] + self.border[1]) * self.layout.line

    def at(self, line: int = 0, column: int = 0, channel: int = 0) -> Place:
        """Return the place of a pixel, the border being negative."""
        line, column = line + self.border[0], column + self.border[2]
        return Place(self, line * self.layout.line + column * self.layout.pixel + channel)


@dataclass(frozen=True, eq=False)
class Fixed:
    """Memory whose place is known: an array of the caller's, or numbers that no example has of its own."""

    base: int
    offset: int = 0
    stride: int = 0

    def at(self, offset: int = 0) -> Place:
        """Return the place `offset` numbers behind its begin."""
        return Place(self, offset)


@dataclass(frozen=True)
class Place:
    """An operand."""

    memory: Buffer | Fixed
    offset: int = 0


@dataclass(frozen=True)
class Instruction:
    """What `kernels.program` carries out."""

    operation: int
    operands: Sequence[Place | None]
    integers: Sequence[int]
    reals: Sequence[float] = ()


@dataclass
class Phase:
    """Instructions that need nothing of each other's other examples."""

    kind: int
    tasks: int
    instructions: list[Instruction] = field(default_factory=list)


@dataclass
class Section:
    """Where instructions of one stage are written, and what they ask for.

    Attributes
    ----------
    instructions : list of Instruction
        What is done for each example.
    preparations, later : list of Instruction
        What is done once, before the first example; and what is done then, still before it.
    known : mapping of int to Fixed
        By the offset of a weight: where its transformed kernels lie, if that was done before.
    """

    instructions: list[Instruction]
    preparations: list[Instruction]
    tables: Tables
    memory: Memory
    constants: Constants
    later: list[Instruction] = field(default_factory=list)
    known: Mapping[int, Fixed] = field(default_factory=dict)

    def emit(
        self,
        operation: int,
        operands: Sequence[Place | None],
        integers: Sequence[int],
        reals: Sequence[float] = (),
    ) -> None:
        """Append an instruction."""
        self.instructions.append(Instruction(operation, operands, integers, reals))

    def before(
        self, operation: int, operands: Sequence[Place | None], integers: Sequence[int], later: bool = False
    ) -> None:
        """Append an instruction to the preparations, or to those that are `later`."""
        (self.later if later else self.preparations).append(Instruction(operation, operands, integers))


class Tables:
    """The tables of offsets, each kept once."""

    def __init__(self) -> None:
        self._places: dict[bytes, int] = {}
        self._parts: list[NDArray[np.int32]] = []
        self._size = 0

    def add(self, table: Pairs | NDArray[np.int32]) -> int:
        """Return where `table` begins among all."""
        key = table.tobytes()
        if key not in self._places:
            self._places[key] = self._size
            self._parts.append(table.reshape(-1))
            self._size += table.size
        return self._places[key]

    def array(self) -> NDArray[np.int32]:
        """Return all tables, one behind the other."""
        return np.concatenate([*self._parts, np.zeros(1, np.int32)])


@dataclass
class Memory:
    """How much of its own memory a program needs, in numbers."""

    arena: int = 0
    scratch: int = 0
    partial: int = 0
    statistics: int = 0

    def fixed(self, size: int) -> Fixed:
        """Return room in the arena that all examples share."""
        place = Fixed(opcodes.ARENA, self.arena)
        self.arena += rounded(size + SLACK)
        return place

    def per_task(self, size: int) -> Fixed:
        """Return room for `size` numbers in each task's partial sums."""
        place = Fixed(opcodes.PARTIAL, self.partial)
        self.partial += rounded(size + SLACK)
        return place

    def doubles(self, size: int, examples: int) -> Fixed:
        """Return room for `size` float64 numbers of each example."""
        place = Fixed(opcodes.STATISTICS, self.statistics, size)
        self.statistics += rounded(size * examples)
        return place


class Constants:
    """Numbers that instructions read and nobody changes."""

    def __init__(self) -> None:
        self._places: dict[object, Fixed] = {}
        self._parts: list[NDArray[np.float32]] = []
        self._size = 0

    def add(self, key: object, numbers: NDArray[np.floating]) -> Fixed:
        """Return where `numbers` lie; `key` finds them again."""
        if key not in self._places:
            self._places[key] = Fixed(opcodes.CONSTANTS, self._size)
            part = np.zeros(rounded(numbers.size), np.float32)
            part[: numbers.size] = numbers.reshape(-1)
            self._parts.append(part)
            self._size += part.size
        return self._places[key]

    def __contains__(self, key: object) -> bool:
        return key in self._places

    def find(self, key: object) -> Fixed:
        """Return where the numbers lie that were added under `key`."""
        return self._places[key]

    def zeros(self, size: int) -> Fixed:
        """Return where there are `size` zeros, and some more."""
        return self.add(("zeros", size), np.zeros(size + SLACK))

    def no_norm(self, channels: int) -> Fixed:
        """Return mean, scale and shift that change nothing."""
        return self.add(("no norm", channels), norm_vectors(channels, 0, 1, 0))

    def no_norm_gradient(self, channels: int) -> Fixed:
        """Return the factors that leave a gradient as it is."""
        return self.add(("no norm's gradient", channels), norm_vectors(channels, 1, 0, 0))

    def array(self) -> NDArray[np.float32]:
        """Return them all."""
        array = aligned(self._size + SLACK)
        array[: self._size] = np.concatenate(self._parts) if self._parts else 0
        array[self._size :] = 0
        return array


def norm_vectors(channels: int, *numbers: ArrayLike) -> NDArray[np.float32]:
    """Return three numbers or vectors one behind the other, as sweeps read them."""
    vectors = np.zeros((3, whole(channels)), np.float32)
    for row, number in zip(vectors, numbers, strict=True):
        row[:channels] = number
    return vectors


def whole(channels: int) -> int:
    """Return `channels` rounded up to whole vectors."""
    return -(-channels // LANES) * LANES


def aligned(size: int) -> NDArray[np.float32]:
    """Return room for `size` float32 numbers, from a cache line on."""
    room = np.empty(size + ALIGNMENT, np.float32)
    begin = -(room.ctypes.data // 4) % ALIGNMENT
    return room[begin : begin + size]


def roomy(size: int) -> NDArray[np.float32]:
    """Return room for `size` numbers that whole vectors may be read from: aligned, and with more room behind."""
    return aligned(size + SLACK)[:size]


def rounded(size: int) -> int:
    """Return `size` as a whole number of cache lines."""
    return -(-size // ALIGNMENT) * ALIGNMENT
