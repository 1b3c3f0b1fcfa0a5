"""What the machine has to do for a convolution, forward and backward, for one example.

All three are correlations by the register tile and differ in their tables alone (see `kernels.tile`):

==================  =======================  =========================  =======================
..                  rows                     terms of the sum           columns
==================  =======================  =========================  =======================
forward             outputs                  taps                       kernels
weight gradient     taps                     outputs                    kernels
input gradient      inputs                   taps and kernels           input channels
==================  =======================  =========================  =======================

In a compiled network some have a form of their own, with fewer multiplications or fewer loads: see `forms`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from audioconv._types import cached_property
from audioconv.geometry import Window
from audioconv.kernels import interpreter as opcodes
from audioconv.runtime.algorithms import Form, form_of
from audioconv.runtime.copies import SHARED, turned
from audioconv.runtime.offsets import Pairs, gradient_border, input_gradients, pairs, pixels, rows, taps
from audioconv.runtime.program import NO_BORDER, Border, Buffer, Fixed, Instruction, Place, Section

FEW_TERMS = 16
"""Numbers of a sum that takes less time than reading its result from memory: at the register tile's peak and copying's
rate, 23."""


@dataclass(frozen=True)
class Convolution:
    """A convolution of one example.

    Attributes
    ----------
    in_shape : (int, int, int)
        Height, width and channels.
    window : Window
    filters, groups : int
    compiled : bool
        Whether it may take a form of its own.
    """

    in_shape: tuple[int, int, int]
    window: Window
    filters: int
    groups: int = 1
    compiled: bool = False

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
    def form(self) -> Form | None:
        """How it is computed, if not by the register tile's tables."""
        return form_of(self) if self.compiled else None

    @property
    def partial_size(self) -> int:
        """Numbers of the partial sums of the weight gradient."""
        return math.prod(self.weight_shape) if self.form is None else self.form.partial_size

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """Of the kernels."""
        return (*self.window.kernel, self.in_shape[2] // self.groups, self.filters)  # type: ignore[return-value]

    @property
    def in_border(self) -> Border:
        """Zeros that the input needs around it."""
        (top, bottom), (left, right) = self.window.padding
        border = top, bottom, left, right
        return border if self.form is None else self.form.border(border, self.out_shape)

    @property
    def gradient_border(self) -> Border:
        """Zeros that the output's gradient needs around it for that of the input."""
        if self.dense:
            return NO_BORDER
        border = gradient_border(self.window, self.in_shape[:2], self.out_shape[:2])
        if self.form is None or not self.form.turns:
            return border
        return self.form.border(border, self.in_shape)

    def corner(self, x: Buffer, channel: int = 0) -> Place:
        """Return where the first window in `x` begins, which may have a wider border than this needs."""
        top, _, left, _ = self.in_border
        return x.at(-top, -left, channel)

    def gradient_corner(self, dz: Buffer) -> Place:
        """Return where in `dz` the first window of the gradient by the input begins, at stride and dilation 1."""
        (R, S), (top, _), (left, _) = self.window.kernel, *self.window.padding
        return dz.at(top - R + 1, left - S + 1)

    # --- the three passes --------------------------------------------------------------------------------------------

    def forward(
        self, section: Section, x: Buffer, weight: Fixed, start: Fixed, z: Buffer, slope: float = 1.0,
        pooled: bool = False,
    ) -> None:  # fmt: skip
        """Write ``z = x * weight + start``, an activation of this `slope` behind it.

        Where `pooled`, a max-pool of 2 x 2 stands behind both: `z` is its output. That takes a form that `pools`.
        """
        if self.form is not None:
            self.form.forward(section, x, weight, start, z, slope, pooled)
            return
        table = self._outputs(x, z)
        for c, channels, k, kernels in self._groups():
            _correlate(
                section, self.depthwise, table, self._taps(x, channels), kernels,
                self.corner(x, c), weight.at(k), start.at(k), z.at(0, 0, k), opcodes.NEVER, slope,
            )  # fmt: skip

    def weight_gradient(self, section: Section, x: Buffer, dz: Buffer, partial: Fixed) -> None:
        """Write how this example's weight gradient is added to the task's `partial`, of which `reduction` makes one."""
        if self.form is not None:
            self.form.weight_gradient(section, x, dz, partial)
            return
        terms, start = self._outputs(x, dz), section.constants.zeros(self.filters)
        for c, channels, k, kernels in self._groups():
            _correlate(
                section, self.depthwise, self._taps(x, channels), terms, kernels,
                self.corner(x, c), dz.at(0, 0, k), start.at(k), partial.at(k), opcodes.UNLESS_FIRST,
            )  # fmt: skip

    def input_gradient(self, section: Section, dz: Buffer, weight: Fixed, dx: Buffer, onward: bool = False) -> None:
        """Write the gradient by the input, or add it to what is there; of a dense layer into a `dx` without border."""
        if self.dense:
            self._dense_input_gradient(section, dz, weight, dx, onward)
            return
        add = opcodes.ALWAYS if onward else opcodes.NEVER
        top, _, left, _ = dz.border
        K = self.filters
        if self.form is not None and self.form.turns:
            self.form.input_gradient(section, dz, weight, dx, add)
            return
        numbers = np.arange(math.prod(self.weight_shape)).reshape(self.weight_shape)
        for part in input_gradients(self.window, *self.in_shape[:2]):
            inputs = pixels(part.height, part.width, dx.layout, self.window.stride)
            table = pairs(pixels(part.height, part.width, dz.layout), inputs)
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
            section, False, np.zeros((1, 2), np.int32), terms, size, dz.at(),
            turned(section, weight, order).at(), section.constants.zeros(size).at(), dx.at(),
            opcodes.ALWAYS if onward else opcodes.NEVER,
        )  # fmt: skip

    def reduction(self, partial: Fixed, gradient: Fixed, tasks: int) -> list[Instruction]:
        """Return what adds up the partial sums of all tasks, and writes the gradient in the weights' own order."""
        size = math.prod(self.weight_shape)
        instructions = []
        for begin in range(0, size, SHARED):
            operands = [partial.at(begin), gradient.at(begin)]
            instructions.append(Instruction(opcodes.REDUCE, operands, [min(SHARED, size - begin), tasks]))
        return instructions

    # --- tables ------------------------------------------------------------------------------------------------------

    def _groups(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield first channel, channels, first kernel and kernels of each group; all of a depthwise one go together."""
        if self.depthwise:
            yield 0, 1, 0, self.filters
            return
        channels, kernels = self.in_shape[2] // self.groups, self.filters // self.groups
        for group in range(self.groups):
            yield group * channels, channels, group * kernels, kernels

    def _outputs(self, x: Buffer, z: Buffer) -> Pairs:
        """Return each output's place in x and in z."""
        P, Q, _ = self.out_shape
        return pairs(pixels(P, Q, x.layout, self.window.stride), pixels(P, Q, z.layout))

    def _taps(self, x: Buffer, channels: int) -> Pairs:
        """Return each tap's place in x and in the weights."""
        offsets = taps(self.window, channels, x.layout)
        return pairs(offsets, np.arange(len(offsets)) * self.filters)


def _correlate(
    section: Section, depthwise: bool, table: Pairs, terms: Pairs, columns: int,
    a: Place, b: Place, start: Place, c: Place, onward: int, slope: float = 1.0,
) -> None:  # fmt: skip
    tables = section.tables
    integers = [
        columns, tables.add(rows(table)), len(table), tables.add(terms), len(terms), int(depthwise), onward,
        int(slope != 1.0),
    ]  # fmt: skip
    section.emit(opcodes.CORRELATE, [a, b, start, c], integers, [slope])
