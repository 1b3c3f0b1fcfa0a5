"""Convolutions as instructions: forward pass and both gradients of one example.

All three are correlations by the register tile and differ only in their offset tables (see `kernels.tile`):

==================  =======================  =========================  =======================
..                  rows                     terms of the sum           columns
==================  =======================  =========================  =======================
forward             outputs                  taps                       kernels
weight gradient     taps                     outputs                    kernels
input gradient      inputs                   taps and kernels           input channels
==================  =======================  =========================  =======================

Some use another algorithm, with fewer multiplications or fewer loads: see `algorithms`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from audioconv._types import cached_property
from audioconv.geometry import Window
from audioconv.kernels import opcodes
from audioconv.runtime.algorithms import Algorithm, algorithm_for
from audioconv.runtime.copies import BLOCK_ELEMENTS, permuted
from audioconv.runtime.offsets import Pairs, gradient_border, input_gradients, pairs, pixels, rows, taps
from audioconv.runtime.program import NO_BORDER, Border, Buffer, Fixed, Instruction, Operand, Section

MAX_CHEAP_TERMS = 16
"""Terms of a sum up to which computing it again takes less time than reading it from memory.

At the register tile's peak and the rate of copying the two are equal at 23 terms (two cores with AVX-512)."""


@dataclass(frozen=True)
class Convolution:
    """A convolution of one example.

    Attributes
    ----------
    in_shape : (int, int, int)
        Height, width and channels.
    window : Window
    filters, groups : int
    direct : bool
        True if only the register tile may compute it: its results have the rounding errors of plain sums.
    """

    in_shape: tuple[int, int, int]
    window: Window
    filters: int
    groups: int = 1
    direct: bool = False

    @cached_property
    def out_shape(self) -> tuple[int, int, int]:
        """Height, width and filters of the output."""
        return (*self.window.out_size(self.in_shape[:2]), self.filters)  # type: ignore[return-value]

    @property
    def depthwise(self) -> bool:
        """True if each channel has a kernel of its own."""
        return self.groups > 1 and self.groups == self.in_shape[2] == self.filters

    @property
    def is_plain_3x3(self) -> bool:
        """True if the kernels are 3 x 3, with stride and dilation 1."""
        return self.window.kernel == (3, 3) and self.window.stride == self.window.dilation == (1, 1)

    @property
    def dense(self) -> bool:
        """True if the kernels cover all of the input, so that there is one output pixel."""
        return self.groups == 1 and self.window.kernel == self.in_shape[:2] and self.in_border == NO_BORDER

    @property
    def is_cheap(self) -> bool:
        """True if an output is computed in less time than it is read from memory."""
        return math.prod(self.window.kernel) * (self.in_shape[2] // self.groups) <= MAX_CHEAP_TERMS

    @cached_property
    def algorithm(self) -> Algorithm | None:
        """Algorithm that computes it; None for the register tile."""
        return None if self.direct else algorithm_for(self)

    @property
    def partial_size(self) -> int:
        """Elements of the partial sums of the weight gradient."""
        return math.prod(self.weight_shape) if self.algorithm is None else self.algorithm.partial_size

    @property
    def multiplications(self) -> int:
        """Multiplications of one example by the direct sum."""
        return math.prod(self.out_shape) * math.prod(self.weight_shape[:3])

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """Kernel height, kernel width, channels of a group, filters."""
        return (*self.window.kernel, self.in_shape[2] // self.groups, self.filters)  # type: ignore[return-value]

    @property
    def in_border(self) -> Border:
        """The border of zeros that the input needs."""
        (top, bottom), (left, right) = self.window.padding
        border = top, bottom, left, right
        return border if self.algorithm is None else self.algorithm.border(border, self.out_shape)

    @property
    def gradient_border(self) -> Border:
        """The border of zeros that the output's gradient needs for the input's gradient."""
        if self.dense:
            return NO_BORDER
        border = gradient_border(self.window, self.in_shape[:2], self.out_shape[:2])
        if self.algorithm is None or not self.algorithm.has_input_gradient:
            return border
        return self.algorithm.border(border, self.in_shape)

    def corner(self, x: Buffer, channel: int = 0) -> Operand:
        """Return the first element of the first window in `x`, whose border may be wider than needed."""
        top, _, left, _ = self.in_border
        return x.at(-top, -left, channel)

    def gradient_corner(self, dz: Buffer) -> Operand:
        """Return the first element in `dz` of the input gradient's first window, at stride and dilation 1."""
        (R, S), (top, _), (left, _) = self.window.kernel, *self.window.padding
        return dz.at(top - R + 1, left - S + 1)

    # --- the three passes --------------------------------------------------------------------------------------------

    def forward(
        self, section: Section, x: Buffer, weight: Fixed, bias: Fixed, z: Buffer, slope: float = 1.0,
        pooled: bool = False,
    ) -> None:  # fmt: skip
        """Emit ``z = x * weight + bias`` with an activation of this `slope`.

        If `pooled`, a max-pool of 2 x 2 follows, and `z` is its output; only algorithms that fuse pools do that.
        """
        if self.algorithm is not None:
            self.algorithm.forward(section, x, weight, bias, z, slope, pooled)
            return
        table = self._outputs(x, z)
        for c, channels, k, kernels in self._groups():
            correlate(
                section, self.depthwise, table, self._taps(x, channels), kernels,
                self.corner(x, c), weight.at(k), bias.at(k), z.at(0, 0, k), opcodes.NEVER, slope,
            )  # fmt: skip

    def weight_gradient(self, section: Section, x: Buffer, dz: Buffer, partial: Fixed) -> None:
        """Emit the addition of this example's weight gradient to the task's `partial` (see `reduction`)."""
        if self.algorithm is not None:
            self.algorithm.weight_gradient(section, x, dz, partial)
            return
        terms, bias = self._outputs(x, dz), section.constants.zeros(self.filters)
        for c, channels, k, kernels in self._groups():
            correlate(
                section, self.depthwise, self._taps(x, channels), terms, kernels,
                self.corner(x, c), dz.at(0, 0, k), bias.at(k), partial.at(k), opcodes.UNLESS_FIRST,
            )  # fmt: skip

    def input_gradient(
        self, section: Section, dz: Buffer, weight: Fixed, dx: Buffer, accumulate: int = opcodes.NEVER
    ) -> None:
        """Emit the gradient by the input, or its addition to `dx`; that of a dense layer has no border."""
        if self.dense:
            self._dense_input_gradient(section, dz, weight, dx, accumulate)
            return
        top, _, left, _ = dz.border
        K = self.filters
        if self.algorithm is not None and self.algorithm.has_input_gradient:
            self.algorithm.input_gradient(section, dz, weight, dx, accumulate)
            return
        indices = np.arange(math.prod(self.weight_shape)).reshape(self.weight_shape)
        for part in input_gradients(self.window, *self.in_shape[:2]):
            inputs = pixels(part.height, part.width, dx.layout, self.window.stride)
            table = pairs(pixels(part.height, part.width, dz.layout), inputs)
            tap_offsets = np.array(
                [(down + top) * dz.layout.line + (along + left) * dz.layout.pixel for *_, down, along in part.taps],
                np.int64,
            )
            if self.depthwise:
                taken = np.array([indices[r, s, 0, 0] for r, s, *_ in part.taps], np.int64)
                correlate(
                    section, True, table, pairs(tap_offsets, taken), K, dz.at(-top, -left), weight.at(),
                    section.constants.zeros(K).at(), dx.at(*part.corner), accumulate,
                )  # fmt: skip
                continue
            for c, channels, k, kernels in self._groups():
                order = np.array([indices[r, s, :, k : k + kernels].T for r, s, *_ in part.taps], np.int64)
                offsets = (tap_offsets[:, None] + np.arange(kernels)).reshape(-1)
                terms = pairs(offsets, np.arange(len(offsets)) * channels)
                correlate(
                    section, False, table, terms, channels,
                    dz.at(-top, -left, k), permuted(section, weight, order).at(),
                    section.constants.zeros(channels).at(), dx.at(*part.corner, c), accumulate,
                )  # fmt: skip

    def _dense_input_gradient(self, section: Section, dz: Buffer, weight: Fixed, dx: Buffer, accumulate: int) -> None:
        size, K = math.prod(self.in_shape), self.filters
        order = np.arange(size * K).reshape(size, K).T
        terms = pairs(np.arange(K), np.arange(K) * size)
        correlate(
            section, False, np.zeros((1, 2), np.int32), terms, size, dz.at(),
            permuted(section, weight, order).at(), section.constants.zeros(size).at(), dx.at(),
            accumulate,
        )  # fmt: skip

    def reduction(self, partial: Fixed, gradient: Fixed, tasks: int) -> list[Instruction]:
        """Return the instructions that sum the partial sums of all tasks into the gradient."""
        size = math.prod(self.weight_shape)
        instructions = []
        for begin in range(0, size, BLOCK_ELEMENTS):
            some = min(BLOCK_ELEMENTS, size - begin)
            instructions.append(
                Instruction(opcodes.REDUCE, source=partial.at(begin), target=gradient.at(begin), size=some, tasks=tasks)
            )
        return instructions

    # --- tables ------------------------------------------------------------------------------------------------------

    def _groups(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield first channel, channels, first filter and filters of each group; of a depthwise one, all at once."""
        if self.depthwise:
            yield 0, 1, 0, self.filters
            return
        channels, kernels = self.in_shape[2] // self.groups, self.filters // self.groups
        for group in range(self.groups):
            yield group * channels, channels, group * kernels, kernels

    def _outputs(self, x: Buffer, z: Buffer) -> Pairs:
        """Return each output's offset in x and in z."""
        P, Q, _ = self.out_shape
        return pairs(pixels(P, Q, x.layout, self.window.stride), pixels(P, Q, z.layout))

    def _taps(self, x: Buffer, channels: int) -> Pairs:
        """Return each tap's offset in x and in the weights."""
        offsets = taps(self.window, channels, x.layout)
        return pairs(offsets, np.arange(len(offsets)) * self.filters)


def correlate(
    section: Section, depthwise: bool, table: Pairs, terms: Pairs, columns: int,
    a: Operand, b: Operand, bias: Operand, c: Operand, accumulate: int, slope: float = 1.0,
) -> None:  # fmt: skip
    """Emit ``c = a * b + bias`` by the register tile: `table` has its rows, `terms` the terms of its sums."""
    tables = section.tables
    section.emit(
        opcodes.CORRELATE, a=a, b=b, bias=bias, c=c, columns=columns, row_table=tables.add(rows(table)),
        rows=len(table), term_table=tables.add(terms), terms=len(terms), depthwise=depthwise, accumulate=accumulate,
        activate=slope != 1.0, slope=slope,
    )  # fmt: skip
