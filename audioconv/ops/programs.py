"""Programs of one operation: a convolution or one of its gradients, written once for each shape and kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from audioconv.geometry import POINT
from audioconv.kernels import interpreter as opcodes
from audioconv.kernels.jit import LANES
from audioconv.kernels.tile import ROWS
from audioconv.ops.arrays import Array
from audioconv.runtime import copies
from audioconv.runtime.convolution import Convolution
from audioconv.runtime.copies import Outside, turned
from audioconv.runtime.executable import Executable, useful_threads
from audioconv.runtime.offsets import input_gradients, pairs, pixels, rows
from audioconv.runtime.program import (
    NO_BORDER,
    SLACK,
    UNLIMITED,
    Border,
    Buffer,
    Constants,
    Fixed,
    Instruction,
    Memory,
    Phase,
    Section,
    Tables,
    aligned,
    roomy,
    rounded,
    whole,
)

KEPT = 128
"""Programs of each kind."""

MOST_TASKS = 64  # of an instruction that threads share
TASK_WORK = 2e5  # operations that are worth a task
STRIP = 2**16  # numbers of input and output that a strip of rows takes of the second-level cache: 256 KiB


class Operation:
    """A program of one operation, and its constants. Many threads may run it at once.

    Parameters
    ----------
    conv : Convolution
    alone : bool
        Whether there is just one example, of which threads share each instruction; else each takes whole examples.
    tasks : int
        How many have partial sums of their own, if it has any.
    """

    def __init__(self, conv: Convolution, alone: bool, tasks: int = 0) -> None:
        self.conv, self._alone, self._tasks = conv, alone, tasks
        self._work = 2 * math.prod(conv.out_shape) * math.prod(conv.weight_shape[:3])
        self.section = Section([], [], Tables(), Memory(), Constants())

    def finish(self, after: Sequence[Instruction] = ()) -> None:
        """Assemble what has been written into the section; `after` is done for all examples together."""
        section = self.section
        phases = [Phase(opcodes.INSTRUCTIONS, 0, section.preparations)]
        if self._alone:
            phases += [Phase(opcodes.LINES, _tasks(i), [i]) for i in section.instructions]
        else:
            instructions = [strip for i in section.instructions for strip in self._strips(i)]
            phases.append(Phase(opcodes.EXAMPLES, self._tasks or UNLIMITED, instructions))
        phases.append(Phase(opcodes.INSTRUCTIONS, 0, list(after)))
        self._program = Executable([phases], section.tables, section.memory, 1, self._tasks)
        self._constants = section.constants.array()

    def _strips(self, instruction: Instruction) -> list[Instruction]:
        """Return the instruction for a few rows after the other, whose numbers stay in the cache."""
        columns, table, count, *rest = instruction.integers
        channels = self.conv.in_shape[2] * math.prod(self.conv.window.stride)
        strip = max(8, STRIP // (ROWS * (channels + self.conv.filters))) * ROWS
        if instruction.operation != opcodes.CORRELATE or self._tasks or count <= strip:
            return [instruction]
        return [
            Instruction(
                instruction.operation,
                instruction.operands,
                [columns, table + 2 * begin, min(strip, count - begin), *rest],
                instruction.reals,
            )
            for begin in range(0, count, strip)
        ]

    def run(self, examples: int, arrays: dict[int, Array]) -> None:
        """Carry it out on `arrays`, given by their names."""
        threads = useful_threads(examples * self._work)
        # Memory of this call's own: kept, it would be that of every shape that was ever used.
        space = self._program.new_workspace(threads)
        for base, array in arrays.items():
            space.point(base, array)
        space.point(opcodes.CONSTANTS, self._constants)
        self._program.run(0, space, examples, threads)


@lru_cache(KEPT)
def forward(conv: Convolution, alone: bool) -> Operation:
    """Return the program that convolves INPUT with PARAMETERS, as `parameters` lays them down, into OUTPUT."""
    operation = Operation(conv, alone)
    x = _at_hand(operation.section, opcodes.INPUT, conv.in_shape, conv.in_border, conv.depthwise)
    weight, bias = Fixed(opcodes.PARAMETERS), Fixed(opcodes.PARAMETERS, rounded(math.prod(conv.weight_shape)))
    y = Outside(conv.out_shape, base=opcodes.OUTPUT)
    conv.forward(operation.section, x, weight, bias, y)
    operation.finish()
    return operation


@lru_cache(KEPT)
def input_gradient(conv: Convolution, alone: bool) -> Operation:
    """Return the program that puts the gradient by the input into OUTPUT, given OUTPUT_GRADIENT and PARAMETERS."""
    operation = Operation(conv, alone)
    section, weight = operation.section, Fixed(opcodes.PARAMETERS)
    dx = Outside(conv.in_shape, base=opcodes.OUTPUT)
    if _has_few_channels(conv):
        _input_gradient_by_patches(section, conv, weight, dx)
    else:
        border = conv.gradient_border
        dy = _at_hand(section, opcodes.OUTPUT_GRADIENT, conv.out_shape, border, conv.depthwise)
        conv.input_gradient(section, dy, weight, dx)
    operation.finish()
    return operation


def _has_few_channels(conv: Convolution) -> bool:
    """Tell whether input channels would leave most of a vector empty where those of a whole patch fill it."""
    taps, C, K = math.prod(conv.window.kernel), conv.in_shape[2], conv.filters
    directly = taps * K * -(-C // LANES)
    by_patches = K * -(-taps * C // LANES) + 2 * taps * -(-C // LANES)
    return conv.groups == 1 and 3 * by_patches < 2 * directly


def _input_gradient_by_patches(section: Section, conv: Convolution, weight: Fixed, dx: Buffer) -> None:
    """Write what each output gives back to the patch of inputs that it saw, and how an input adds up what it gets."""
    (P, Q, K), C, window = conv.out_shape, conv.in_shape[2], conv.window
    size = math.prod(window.kernel) * C
    dy = Outside(conv.out_shape, base=opcodes.OUTPUT_GRADIENT)
    patches = Buffer((P, Q, size), conv.gradient_border)
    transposed = turned(section, weight, np.arange(size * K).reshape(size, K).T)
    copies.clear_border(section, patches)
    Convolution((P, Q, K), POINT, size).forward(section, dy, transposed, section.constants.zeros(size), patches)
    ones, zeros = section.constants.add("ones", np.ones(whole(C))), section.constants.zeros(C)
    (top, _, left, _), layout = patches.border, patches.layout
    for part in input_gradients(window, *conv.in_shape[:2]):
        inputs = pixels(part.height, part.width, dx.layout, window.stride)
        table = pairs(pixels(part.height, part.width, layout), inputs)
        places = [
            (down + top) * layout.line + (along + left) * layout.pixel + (r * window.kernel[1] + s) * C
            for r, s, down, along in part.taps
        ]
        terms = pairs(np.array(places, np.int64), np.zeros(len(places), np.int64))
        # Each channel by itself: a depthwise convolution with kernels of ones.
        tables = section.tables
        integers = [C, tables.add(rows(table)), len(table), tables.add(terms), len(terms), 1, opcodes.NEVER, 0]
        operands = [patches.at(-top, -left), ones.at(), zeros.at(), dx.at(*part.corner)]
        section.emit(opcodes.CORRELATE, operands, integers, [1.0])


@lru_cache(KEPT)
def weight_gradient(conv: Convolution, alone: bool, tasks: int) -> Operation:
    """Return the program that puts the gradient by the weights into OUTPUT, given INPUT and OUTPUT_GRADIENT.

    Each of `tasks` adds up a fixed few examples, so that the sums are the same on any number of threads.
    """
    operation = Operation(conv, alone, tasks)
    section = operation.section
    x = _at_hand(section, opcodes.INPUT, conv.in_shape, conv.in_border, conv.depthwise)
    dy = _at_hand(section, opcodes.OUTPUT_GRADIENT, conv.out_shape, NO_BORDER, True, conv.groups)
    if alone:
        conv.weight_gradient(section, x, dy, Fixed(opcodes.OUTPUT))
        operation.finish()
    else:
        partial = section.memory.per_task(conv.partial_size)
        conv.weight_gradient(section, x, dy, partial)
        operation.finish(conv.reduction(partial, Fixed(opcodes.OUTPUT), tasks))
    return operation


def _at_hand(
    section: Section, base: int, shape: tuple[int, int, int], border: Border, vectors: bool, groups: int = 1
) -> Buffer:
    """Return an array of the caller's as it is or, where it needs a border or room behind it, a copy.

    Only what is read as `vectors` is read beyond its end, unless these are filled by the channels of each group.
    """
    x = Outside(shape, base=base)
    if border == NO_BORDER and not (vectors and shape[2] // groups % LANES):
        return x
    y = Buffer(shape, border)
    copies.copy(section, x, y)
    return y


def _tasks(instruction: Instruction) -> int:
    """Return into how many tasks an instruction is worth dividing."""
    if instruction.operation == opcodes.CORRELATE:
        columns, _, count, _, terms, *_ = instruction.integers
        # Each task reads all of the weights (or of the output's gradient): many tasks are for many rows.
        most = min(MOST_TASKS, max(8, count // (6 * ROWS)), count // ROWS)
        return max(1, min(most, int(2 * columns * count * terms // TASK_WORK)))
    channels, lines, *_ = instruction.integers
    return max(1, min(MOST_TASKS, int(channels * lines // TASK_WORK), lines))


def parameters(weight: Array, bias: Array | None = None) -> Array:
    """Return kernels, and biases behind them, as programs read them: aligned, and with room behind."""
    size, K = rounded(weight.size), weight.shape[-1]
    array = aligned(size + K + SLACK)
    array[: weight.size].reshape(weight.shape)[...] = weight
    array[size : size + K] = 0 if bias is None else bias
    return array


def new(shape: Sequence[int]) -> Array:
    """Return a new array for programs to write to: what they add to they read in whole vectors."""
    return roomy(math.prod(shape)).reshape(shape)
