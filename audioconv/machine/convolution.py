"""What the machine has to do for a convolution, forward and backward, for one example.

All three are correlations by the register tile and differ in their tables alone (see `kernels.tile`):

==================  =======================  =========================  =======================
..                  rows                     terms of the sum           columns
==================  =======================  =========================  =======================
forward             outputs                  taps                       kernels
weight gradient     taps                     outputs                    kernels
input gradient      inputs                   taps and kernels           input channels
==================  =======================  =========================  =======================

A convolution of 3 x 3 with enough channels may go by `kernels.winograd` instead: less than half the multiplications.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from audioconv.geometry import Window
from audioconv.kernels import program as opcodes
from audioconv.kernels.winograd import FAR, NEAR, POSITIONS, TILE
from audioconv.machine.moves import strides
from audioconv.machine.program import (
    NO_BORDER,
    Border,
    Buffer,
    Fixed,
    Instruction,
    Place,
    Section,
    whole,
)
from audioconv.machine.tables import Pairs, gradient_border, input_gradients, pairs, pixels, rows, taps

LEAST_CHANNELS = 8
WORTHWHILE = 0.5
"""Of the multiplications, what the transform may take at most; where tiles fit, it takes a quarter."""

STRIP_NUMBERS, MOST_TILES = 2**18, 60
"""What a strip of tiles may take of the second-level cache (1 MiB), and how many they are at most. What they are
multiplied with is read again for each strip, so few long strips are better even where they do not quite fit."""

FEW_TERMS = 16
"""Numbers of a sum that takes less time than reading its result from memory: at the register tile's peak and copying's
rate, 23."""

REDUCED = 16384
"""Numbers that one instruction adds up or brings into another order: what several threads can share."""


@dataclass(frozen=True)
class Convolution:
    """A convolution of one example.

    Attributes
    ----------
    in_shape : (int, int, int)
        Height, width and channels.
    window : Window
    filters, groups : int
    winograd : bool
        Whether to go by the transform where that can be.
    """

    in_shape: tuple[int, int, int]
    window: Window
    filters: int
    groups: int = 1
    winograd: bool = False

    @cached_property
    def out_shape(self) -> tuple[int, int, int]:
        """Height, width and kernels."""
        return (*self.window.out_size(self.in_shape[:2]), self.filters)  # type: ignore[return-value]

    @property
    def depthwise(self) -> bool:
        """Whether each channel has a kernel of its own."""
        return self.groups > 1 and self.groups == self.in_shape[2] == self.filters

    @property
    def dense(self) -> bool:
        """Whether the one output sees all of the input through kernels of its size."""
        return self.groups == 1 and self.window.kernel == self.in_shape[:2] and self.in_border == NO_BORDER

    @property
    def is_slight(self) -> bool:
        """Whether an output is computed sooner than it is read from memory."""
        return math.prod(self.window.kernel) * (self.in_shape[2] // self.groups) <= FEW_TERMS

    @cached_property
    def transformed(self) -> bool:
        """Whether it goes by the transform: where the channels fill the vectors, and the transform is little beside."""
        window = self.window
        return (
            self.winograd
            and window.kernel == (3, 3)
            and window.stride == window.dilation == (1, 1)
            and self.groups == 1
            and min(self.in_shape[2], self.filters) >= LEAST_CHANNELS
            and all(_saves(*shape[:2]) for shape in (self.in_shape, self.out_shape))
        )

    @property
    def partial_size(self) -> int:
        """Numbers of the partial sums of the weight gradient."""
        taps = POSITIONS if self.transformed else math.prod(self.window.kernel)
        return taps * self.in_shape[2] // self.groups * self.filters

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """Of the kernels."""
        return (*self.window.kernel, self.in_shape[2] // self.groups, self.filters)  # type: ignore[return-value]

    @property
    def in_border(self) -> Border:
        """Zeros that the input needs around it."""
        (top, bottom), (left, right) = self.window.padding
        return self._for_tiles((top, bottom, left, right), self.out_shape)

    @property
    def gradient_border(self) -> Border:
        """Zeros that the output's gradient needs around it for that of the input."""
        if self.dense:
            return NO_BORDER
        return self._for_tiles(gradient_border(self.window, self.in_shape[:2], self.out_shape[:2]), self.in_shape)

    def _for_tiles(self, border: Border, out_shape: tuple[int, int, int]) -> Border:
        """Return a border that lets whole tiles of outputs be computed."""
        if not self.transformed:
            return border
        top, bottom, left, right = border
        return top, bottom + -out_shape[0] % TILE, left, right + -out_shape[1] % TILE

    # --- the three passes --------------------------------------------------------------------------------------------

    def forward(
        self, section: Section, x: Buffer, weight: Fixed, start: Fixed, z: Buffer, slope: float = 1.0,
        pooled: bool = False,
    ) -> None:  # fmt: skip
        """Write ``z = x * weight + start``, an activation of this `slope` behind it.

        Where `pooled`, a max-pool of 2 x 2 stands behind both: `z` is its output. That takes a `transformed` one.
        """
        if self.transformed:
            size = math.prod(self.weight_shape)
            U = section.known.get(weight.offset) or _transformed(section, weight, size, later=False)
            self._transform(section, self._corner(x, 0), x, U, start.at(), z, opcodes.NEVER, slope, pooled)
            return
        table = rows(self._outputs(x, z))
        for c, channels, k, kernels in self._groups():
            _correlate(
                section, self.depthwise, table, self._taps(x, channels), kernels,
                self._corner(x, c), weight.at(k), start.at(k), z.at(0, 0, k), opcodes.NEVER, slope,
            )  # fmt: skip

    def weight_gradient(self, section: Section, x: Buffer, dz: Buffer, partial: Fixed) -> None:
        """Write how this example's weight gradient is added to the task's `partial`, of which `reduction` makes one."""
        if self.transformed:
            self._transformed_weight_gradient(section, x, dz, partial)
            return
        terms, start = self._outputs(x, dz), section.constants.zeros(self.filters)
        for c, channels, k, kernels in self._groups():
            _correlate(
                section, self.depthwise, rows(self._taps(x, channels)), terms, kernels,
                self._corner(x, c), dz.at(0, 0, k), start.at(k), partial.at(k), opcodes.UNLESS_FIRST,
            )  # fmt: skip

    def input_gradient(self, section: Section, dz: Buffer, weight: Fixed, dx: Buffer, onward: bool = False) -> None:
        """Write the gradient by the input, or add it to what is there; of a dense layer into a `dx` without border."""
        if self.dense:
            self._dense_input_gradient(section, dz, weight, dx, onward)
            return
        add = opcodes.ALWAYS if onward else opcodes.NEVER
        top, _, left, _ = dz.border
        K = self.filters
        if self.transformed:
            order = np.arange(math.prod(self.weight_shape)).reshape(self.weight_shape)[::-1, ::-1].swapaxes(2, 3)
            U = _transformed(section, turned(section, weight, order), order.size, later=True)
            zeros = section.constants.zeros(self.in_shape[2]).at()
            self._transform(section, dz.at(-top, -left), dz, U, zeros, dx, add, 1.0)
            return
        numbers = np.arange(math.prod(self.weight_shape)).reshape(self.weight_shape)
        for part in input_gradients(self.window, *self.in_shape[:2]):
            inputs = pixels(part.height, part.width, dx.layout, self.window.stride)
            table = rows(pairs(pixels(part.height, part.width, dz.layout), inputs))
            places = np.array(
                [(down + top) * dz.layout.line + (along + left) * dz.layout.pixel for *_, down, along in part.taps],
                np.int64,
            )
            if self.depthwise:
                taken = np.array([numbers[r, s, 0, 0] for r, s, *_ in part.taps], np.int64)
                _correlate(
                    section, True, table, pairs(places, taken), K, dz.at(-top, -left), weight.at(),
                    section.constants.zeros(K).at(), dx.at(*part.corner), add,
                )  # fmt: skip
                continue
            for c, channels, k, kernels in self._groups():
                order = np.array([numbers[r, s, :, k : k + kernels].T for r, s, *_ in part.taps], np.int64)
                offsets = (places[:, None] + np.arange(kernels)).reshape(-1)
                terms = pairs(offsets, np.arange(len(offsets)) * channels)
                _correlate(
                    section, False, table, terms, channels, dz.at(-top, -left, k), turned(section, weight, order).at(),
                    section.constants.zeros(channels).at(), dx.at(*part.corner, c), add,
                )  # fmt: skip

    def _dense_input_gradient(self, section: Section, dz: Buffer, weight: Fixed, dx: Buffer, onward: bool) -> None:
        size, K = math.prod(self.in_shape), self.filters
        order = np.arange(size * K).reshape(size, K).T
        terms = pairs(np.arange(K), np.arange(K) * size)
        _correlate(
            section, False, rows(np.zeros((1, 2), np.int32)), terms, size, dz.at(),
            turned(section, weight, order).at(), section.constants.zeros(size).at(), dx.at(),
            opcodes.ALWAYS if onward else opcodes.NEVER,
        )  # fmt: skip

    def reduction(self, partial: Fixed, gradient: Fixed, tasks: int) -> list[Instruction]:
        """Return what adds up the partial sums of all tasks, and writes the gradient in the weights' own order."""
        size = math.prod(self.weight_shape)
        instructions = []
        for begin in range(0, size, REDUCED):
            operands = [partial.at(begin), gradient.at(begin)]
            instructions.append(Instruction(opcodes.REDUCE, operands, [min(REDUCED, size - begin), tasks]))
        return instructions

    # --- the transform -----------------------------------------------------------------------------------------------

    def _strip(self, *channels: int) -> tuple[int, Buffer, Buffer]:
        """Return how many tiles go together, and room for them on both sides of the product."""
        a, b = (whole(c) for c in channels)
        strip = min(MOST_TILES, STRIP_NUMBERS // (POSITIONS * (a + b))) // 6 * 6
        strip = max(6, strip)
        return strip, Buffer((1, 1, POSITIONS * strip * a)), Buffer((1, 1, POSITIONS * strip * b))

    def _transform(
        self, section: Section, corner: Place, x: Buffer, U: Fixed, start: Place, y: Buffer, onward: int, slope: float,
        pooled: bool = False,
    ) -> None:  # fmt: skip
        C, K = x.shape[2], y.shape[2]
        strip, V, M = self._strip(C, K)
        tiles, channels = np.arange(strip), np.arange(C)
        table = section.tables.add(pairs(tiles * whole(C), tiles * whole(K)))
        terms = section.tables.add(pairs(channels, channels * K))
        height, width = (2 * y.shape[0], 2 * y.shape[1]) if pooled else y.shape[:2]
        integers = [C, K, strip, *strides(x), height, width, *strides(y), table, terms, onward, int(pooled)]
        zeros = section.constants.zeros(K).at()
        operands = [corner, U.at(), start, y.at(), Place(V), Place(M), zeros]
        section.emit(opcodes.WINOGRAD, operands, integers, [slope])

    def _transformed_weight_gradient(self, section: Section, x: Buffer, dz: Buffer, partial: Fixed) -> None:
        C, K = self.in_shape[2], self.filters
        strip, V, M = self._strip(C, K)
        tiles, channels = np.arange(strip), np.arange(C)
        table = rows(pairs(channels, channels * K))
        terms = section.tables.add(pairs(tiles * whole(C), tiles * whole(K)))
        integers = [
            C, K, strip, *strides(x), *self.out_shape[:2], *strides(dz), section.tables.add(table), len(table), terms,
        ]  # fmt: skip
        zeros = section.constants.zeros(K).at()
        operands = [self._corner(x, 0), dz.at(), None, partial.at(), Place(V), Place(M), zeros]
        section.emit(opcodes.WINOGRAD_GRADIENT, operands, integers)

    # --- tables ------------------------------------------------------------------------------------------------------

    def _groups(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield first channel, channels, first kernel and kernels of each group; all of a depthwise one go together."""
        if self.depthwise:
            yield 0, 1, 0, self.filters
            return
        channels, kernels = self.in_shape[2] // self.groups, self.filters // self.groups
        for group in range(self.groups):
            yield group * channels, channels, group * kernels, kernels

    def _corner(self, x: Buffer, channel: int) -> Place:
        top, _, left, _ = self.in_border
        return x.at(-top, -left, channel)

    def _outputs(self, x: Buffer, z: Buffer) -> Pairs:
        """Return each output's place in x and in z."""
        P, Q, _ = self.out_shape
        return pairs(pixels(P, Q, x.layout, self.window.stride), pixels(P, Q, z.layout))

    def _taps(self, x: Buffer, channels: int) -> Pairs:
        """Return each tap's place in x and in the weights."""
        offsets = taps(self.window, channels, x.layout)
        return pairs(offsets, np.arange(len(offsets)) * self.filters)


def _saves(P: int, Q: int) -> bool:
    """Tell whether P x Q numbers take few enough multiplications by tiles."""
    return POSITIONS * math.ceil(P / TILE) * math.ceil(Q / TILE) < WORTHWHILE * 9 * P * Q


def _transformed(section: Section, weight: Fixed, size: int, later: bool) -> Fixed:
    """Return where the transformed kernels will lie."""
    memory = section.memory.fixed(POSITIONS * size // 9)
    for begin in range(0, size // 9, REDUCED):
        integers = [size // 9, begin, min(size // 9, begin + REDUCED)]
        section.before(opcodes.WINOGRAD_KERNELS, [weight.at(), memory.at()], integers, later)
    return memory


def transform_kernels(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return kernels (3, 3, C, K) as the transform multiplies them, (36, C, K)."""
    points = np.array([[1, sign * point, point**2] for point in (NEAR, FAR) for sign in (1, -1)])
    G = np.array([[1, 0, 0], *points[:2] / -1.5, *points[2:] / 6, [0, 0, 1]])
    U = np.einsum("ir,js,rsck->ijck", G, G, weight.astype(np.float64))
    transformed: NDArray[np.float32] = U.reshape(POSITIONS, *weight.shape[2:]).astype(np.float32)
    return transformed


def turned(section: Section, weight: Fixed, order: NDArray[np.int64]) -> Fixed:
    """Return where the numbers of `weight` will lie in another order, from before the first example on."""
    memory = section.memory.fixed(order.size)
    table = section.tables.add(order.astype(np.int32))
    for begin in range(0, order.size, REDUCED):
        some = min(REDUCED, order.size - begin)
        section.before(opcodes.TRANSPOSE, [weight.at(), memory.at(begin)], [table + begin, some])
    return memory


def _correlate(
    section: Section, depthwise: bool, table: Pairs, terms: Pairs, columns: int,
    a: Place, b: Place, start: Place, c: Place, onward: int, slope: float = 1.0,
) -> None:  # fmt: skip
    tables = section.tables
    integers = [
        columns, tables.add(table), len(table), tables.add(terms), len(terms), int(depthwise), onward,
        int(slope != 1.0),
    ]  # fmt: skip
    section.emit(opcodes.CORRELATE, [a, b, start, c], integers, [slope])
