"""Moving images: from and to arrays of the caller's, from buffer to buffer, adding them, and zeros around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audioconv.kernels import interpreter as opcodes
from audioconv.runtime.program import NO_BORDER, Buffer, Fixed, Place, Section
from audioconv.runtime.views import numbers, view

SHARED = 16384
"""Numbers that one instruction adds up or brings into another order: what several threads can share."""


@dataclass(eq=False)
class Outside(Buffer):
    """An image for each example in an array of the caller's, one behind the other.

    Attributes
    ----------
    base : int
        By which name the caller gives the array.
    """

    base: int = opcodes.INPUT

    def at(self, line: int = 0, column: int = 0, channel: int = 0) -> Place:
        """Return the place of a pixel, the border being negative."""
        return Place(Fixed(self.base, 0, self.size), super().at(line, column, channel).offset)


def copy(section: Section, x: Buffer, y: Buffer) -> None:
    """Write how `x`, which has no border, is copied into `y` with zeros around it; no number too many is read."""
    H, W, C = y.shape
    clear_border(section, y)
    # A line is taken for one pixel of W * C channels: the longest vectors there are.
    integers = [W * C, H, 1, W * C, 0, H, 1, y.layout.line, 0]
    section.emit(opcodes.ADD, [x.at(), y.at(), None], integers, [1.0])


def add(section: Section, a: Buffer, b: Buffer | None, y: Buffer, slope: float = 1.0) -> None:
    """Write ``y = a + b``, or ``y = a``, with y's border and an activation of this `slope`; reads no number too many.

    Along an axis where `a` or `b` has one line or column, and y more, it is added to each.
    """
    size = y.shape[:2]
    out, one, two = numbers(view(y), view(a).repeated(*size), view(a if b is None else b).repeated(*size))
    H, W, C = out.shape
    window = [0, int(b is not None), 0, 0, 0, 0]
    integers = [C, H, W, one.line, one.pixel, H, W, out.line, out.pixel, *window, *out.border, two.line, two.pixel]
    section.emit(opcodes.ADD, [a.at(), y.at(), None if b is None else b.at()], integers, [slope])


def bare(section: Section, buffer: Buffer) -> Buffer:
    """Return `buffer` without a border."""
    if buffer.border == NO_BORDER:
        return buffer
    copy = Buffer(buffer.shape)
    add(section, buffer, None, copy)
    return copy


def clear_border(section: Section, buffer: Buffer) -> None:
    """Zero what surrounds an image, for who writes nothing but the image."""
    if buffer.border != NO_BORDER:
        H, W, C = buffer.shape
        integers = [C, H, W, *strides(buffer), *buffer.border]
        section.emit(opcodes.BORDER, [buffer.at()], integers)


def strides(buffer: Buffer) -> tuple[int, int]:
    """Return the distances between lines and between pixels."""
    return buffer.layout.line, buffer.layout.pixel


def turned(section: Section, weight: Fixed, order: NDArray[np.int64]) -> Fixed:
    """Return where the numbers of `weight` will lie in another order, from before the first example on."""
    memory = section.memory.fixed(order.size)
    table = section.tables.add(order.astype(np.int32))
    for begin in range(0, order.size, SHARED):
        some = min(SHARED, order.size - begin)
        section.before(opcodes.TRANSPOSE, [weight.at(), memory.at(begin)], [table + begin, some])
    return memory
