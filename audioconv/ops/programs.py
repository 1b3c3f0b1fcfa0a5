"""Programs of single operations: a convolution or one of its gradients, cached by shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from audioconv.geometry import POINT
from audioconv.kernels import opcodes
from audioconv.kernels.jit import LANES
from audioconv.kernels.tile import ROWS
from audioconv.ops.arrays import Array
from audioconv.runtime import copies
from audioconv.runtime.convolution import Convolution, correlate
from audioconv.runtime.copies import CallerArray, permuted
from audioconv.runtime.executable import Executable, useful_threads
from audioconv.runtime.idle import IdleWorkspaces
from audioconv.runtime.offsets import input_gradients, pairs, pixels
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
    aligned_with_slack,
    round_up_to_cache_lines,
    round_up_to_lanes,
)
from audioconv.runtime.shares import task_count

CACHE_SIZE = 128
"""Programs of each kind that are kept."""

_idle = IdleWorkspaces(CACHE_SIZE, 2**25)

MAX_TASKS = 64  # of an instruction that threads share
STRIP_ELEMENTS = 2**16  # of input and output in a strip of rows: 256 KiB of the second-level cache


class Operation:
    """A program of one operation, with its constants. Several threads may run it at once.

    Parameters
    ----------
    conv : Convolution
    single : bool
        Whether there is one example only. Threads then share each instruction; otherwise each takes whole examples.
    tasks : int
        The number of tasks with partial sums of their own.
    """

    def __init__(self, conv: Convolution, single: bool, tasks: int = 0) -> None:
        self.conv, self._single, self._tasks = conv, single, tasks
        self._work = 2 * conv.multiplications
        self.section = Section([], [], Tables(), Memory(), Constants())

    def finish(self, after: Sequence[Instruction] = ()) -> None:
        """Assemble the program of the section; `after` is executed last, for all examples together."""
        section = self.section
        phases = [Phase(opcodes.INSTRUCTIONS, 0, some) for some in (section.preparations, section.late_preparations)]
        if self._single:
            phases += [Phase(opcodes.LINES, task_count(i, MAX_TASKS), [i]) for i in section.instructions]
        else:
            instructions = [strip for i in section.instructions for strip in self._strips(i)]
            phases.append(Phase(opcodes.EXAMPLES, self._tasks or UNLIMITED, instructions))
        phases.append(Phase(opcodes.INSTRUCTIONS, 0, list(after)))
        self._program = Executable([phases], section.tables, section.memory, 1, self._tasks)
        self._constants = section.constants.array()

    def _strips(self, instruction: Instruction) -> list[Instruction]:
        """Return the instruction divided into strips of rows, each of which fits the second-level cache."""
        channels = self.conv.in_shape[2] * math.prod(self.conv.window.stride)
        strip = max(8, STRIP_ELEMENTS // (ROWS * (channels + self.conv.filters))) * ROWS
        if instruction.opcode != opcodes.CORRELATE or self._tasks:
            return [instruction]
        table, count = instruction.integers["row_table"], instruction.integers["rows"]
        return [
            instruction.replaced(row_table=table + 2 * begin, rows=min(strip, count - begin))
            for begin in range(0, count, strip)
        ]

    def run(self, examples: int, arrays: dict[int, Array]) -> None:
        """Run it on `arrays`, given by their bases."""
        threads = useful_threads(examples * self._work)
        if self._tasks > 1:  # more threads than tasks would add nothing but their own memory for sums
            threads = min(threads, self._tasks)
        with _idle.lend(self._program, threads) as space:
            for base, array in arrays.items():
                space.point(base, array)
            space.point(opcodes.CONSTANTS, self._constants)
            self._program.run(0, space, examples, threads)


@lru_cache(CACHE_SIZE)
def forward(conv: Convolution, single: bool) -> Operation:
    """Return the program that convolves INPUT with PARAMETERS, in the layout of `parameters`, into OUTPUT."""
    operation = Operation(conv, single)
    x = _readable(operation.section, opcodes.INPUT, conv.in_shape, conv.in_border, _reads_vectors(conv))
    weight, bias = (
        Fixed(opcodes.PARAMETERS),
        Fixed(opcodes.PARAMETERS, round_up_to_cache_lines(math.prod(conv.weight_shape))),
    )
    y = CallerArray(conv.out_shape, base=opcodes.OUTPUT)
    conv.forward(operation.section, x, weight, bias, y)
    operation.finish()
    return operation


@lru_cache(CACHE_SIZE)
def input_gradient(conv: Convolution, single: bool) -> Operation:
    """Return the program that writes the gradient by the input to OUTPUT, given OUTPUT_GRADIENT and PARAMETERS."""
    operation = Operation(conv, single)
    section, weight = operation.section, Fixed(opcodes.PARAMETERS)
    dx = CallerArray(conv.in_shape, base=opcodes.OUTPUT)
    if _has_few_channels(conv):
        _input_gradient_by_patches(section, conv, weight, dx)
    else:
        border = conv.gradient_border
        dy = _readable(section, opcodes.OUTPUT_GRADIENT, conv.out_shape, border, _reads_vectors(conv))
        conv.input_gradient(section, dy, weight, dx)
    operation.finish()
    return operation


def _has_few_channels(conv: Convolution) -> bool:
    """Tell whether the channels of a whole patch fill SIMD vectors so much better that two steps are faster."""
    if conv.algorithm is not None and conv.algorithm.has_input_gradient:
        return False
    taps, C, K = math.prod(conv.window.kernel), conv.in_shape[2], conv.filters
    directly = taps * K * -(-C // LANES)
    by_patches = K * -(-taps * C // LANES) + 2 * taps * -(-C // LANES)
    return conv.groups == 1 and 3 * by_patches < 2 * directly


def _input_gradient_by_patches(section: Section, conv: Convolution, weight: Fixed, dx: Buffer) -> None:
    """Write the input gradient in two steps: the gradients of each output's patch of inputs, and their sums."""
    (P, Q, K), C, window = conv.out_shape, conv.in_shape[2], conv.window
    size = math.prod(window.kernel) * C
    dy = CallerArray(conv.out_shape, base=opcodes.OUTPUT_GRADIENT)
    patches = Buffer((P, Q, size), conv.gradient_border)
    transposed = permuted(section, weight, np.arange(size * K).reshape(size, K).T)
    copies.clear_border(section, patches)
    Convolution((P, Q, K), POINT, size, direct=True).forward(
        section, dy, transposed, section.constants.zeros(size), patches
    )
    ones, zeros = section.constants.add("ones", np.ones(round_up_to_lanes(C))), section.constants.zeros(C)
    (top, _, left, _), layout = patches.border, patches.layout
    for part in input_gradients(window, *conv.in_shape[:2]):
        inputs = pixels(part.height, part.width, dx.layout, window.stride)
        table = pairs(pixels(part.height, part.width, layout), inputs)
        offsets = [
            (down + top) * layout.line + (along + left) * layout.pixel + (r * window.kernel[1] + s) * C
            for r, s, down, along in part.taps
        ]
        terms = pairs(np.array(offsets, np.int64), np.zeros(len(offsets), np.int64))
        # The sum of the patches is a depthwise convolution with kernels of ones.
        correlate(
            section, True, table, terms, C, patches.at(-top, -left), ones.at(), zeros.at(), dx.at(*part.corner),
            opcodes.NEVER,
        )  # fmt: skip


@lru_cache(CACHE_SIZE)
def weight_gradient(conv: Convolution, parts: int) -> Operation:
    """Return the program that writes the gradient by the weights to OUTPUT, given INPUT and OUTPUT_GRADIENT.

    The sum over the examples has so many parts, each a task of its own. If there is one, it is that of a single
    example by the register tile, whose rows the threads share.
    """
    single = parts == 1
    operation = Operation(conv, single, parts)
    section = operation.section
    x = _readable(section, opcodes.INPUT, conv.in_shape, conv.in_border, _reads_vectors(conv))
    dy = _readable(section, opcodes.OUTPUT_GRADIENT, conv.out_shape, NO_BORDER, True, conv.groups)
    if single:
        conv.weight_gradient(section, x, dy, Fixed(opcodes.OUTPUT))
        operation.finish()
    else:
        partial = section.memory.per_task(conv.partial_size)
        conv.weight_gradient(section, x, dy, partial)
        operation.finish(conv.reduction(partial, Fixed(opcodes.OUTPUT), parts))
    return operation


def _reads_vectors(conv: Convolution) -> bool:
    """Tell whether a convolution reads the channels of a pixel as SIMD vectors, and not one by one."""
    return conv.depthwise or conv.algorithm is not None


def _readable(
    section: Section, base: int, shape: tuple[int, int, int], border: Border, vectors: bool, groups: int = 1
) -> Buffer:
    """Return an array of the caller's or, if it needs a border or slack behind it, a copy.

    An array that is read as SIMD `vectors` needs slack, unless the channels of each group fill the vectors.
    """
    x = CallerArray(shape, base=base)
    if border == NO_BORDER and not (vectors and shape[2] // groups % LANES):
        return x
    y = Buffer(shape, border)
    copies.copy(section, x, y)
    return y


def parameters(weight: Array, bias: Array | None = None) -> Array:
    """Return kernels, and biases behind them, in the layout of programs: aligned, with slack behind."""
    size, K = round_up_to_cache_lines(weight.size), weight.shape[-1]
    array = aligned(size + K + SLACK)
    array[: weight.size].reshape(weight.shape)[...] = weight
    array[size : size + K] = 0 if bias is None else bias
    return array


def new(shape: Sequence[int]) -> Array:
    """Return a new array for programs to write to, with slack behind: sums are read in full SIMD vectors."""
    return aligned_with_slack(math.prod(shape)).reshape(shape)
