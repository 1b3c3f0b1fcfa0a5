"""What the machine has to do for a convolution, forward and backward, for one example.

All three are correlations by the register tile and differ in their tables alone (see `kernels.tile`):

==================  =======================  =========================  =======================
..                  rows                     terms of the sum           columns
==================  =======================  =========================  =======================
forward             outputs                  taps                       kernels
weight gradient     taps                     outputs                    kernels
input gradient      inputs                   taps and kernels           input channels
==================  =======================  =========================  =======================
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
from audioconv.machine.program import NO_BORDER, Border, Buffer, Fixed, Place, Section
from audioconv.machine.tables import Pairs, gradient_border, input_gradients, pairs, pixels, rows, taps

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
    """

    in_shape: tuple[int, int, int]
    window: Window
    filters: int
    groups: int = 1

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
    def weight_shape(self) -> tuple[int, int, int, int]:
        """Of the kernels."""
        return (*self.window.kernel, self.in_shape[2] // self.groups, self.filters)  # type: ignore[return-value]

    @property
    def in_border(self) -> Border:
        """Zeros that the input needs around it."""
        (top, bottom), (left, right) = self.window.padding
        return top, bottom, left, right

    @property
    def gradient_border(self) -> Border:
        """Zeros that the output's gradient needs around it for that of the input."""
        return NO_BORDER if self.dense else gradient_border(self.window, self.in_shape[:2], self.out_shape[:2])

    # --- the three passes --------------------------------------------------------------------------------------------

    def forward(self, section: Section, x: Buffer, weight: Fixed, start: Fixed, z: Buffer, slope: float = 1.0) -> None:
        """Write ``z = x * weight + start``, an activation of this `slope` behind it."""
        table = rows(self._outputs(x, z))
        for c, channels, k, kernels in self._groups():
            _correlate(
                section, self.depthwise, table, self._taps(x, channels), kernels,
                self._corner(x, c), weight.at(k), start.at(k), z.at(0, 0, k), opcodes.NEVER, slope,
            )  # fmt: skip

    def weight_gradient(self, section: Section, x: Buffer, dz: Buffer, partial: Fixed) -> None:
        """Write the sum of this example's weight gradient into the task's `partial`, whose numbers lie as the weights'."""
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
