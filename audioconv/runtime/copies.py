"""Instructions that copy and add images, clear their borders, and permute weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audioconv.kernels import opcodes
from audioconv.runtime.program import NO_BORDER, Buffer, Fixed, Operand, Section
from audioconv.runtime.views import View, border, channels, elementwise_views, images, view

BLOCK_ELEMENTS = 16384
"""Elements that one instruction reduces or permutes, so that several threads can share the work."""


@dataclass(eq=False)
class CallerArray(Buffer):
    """An image for each example in an array of the caller's, one behind the other.

    Attributes
    ----------
    base : int
        The array, as one of the bases in `kernels.opcodes`.
    """

    base: int = opcodes.INPUT

    def at(self, line: int = 0, column: int = 0, channel: int = 0) -> Operand:
        """Return a pixel as an operand."""
        return Operand(Fixed(self.base, 0, self.size), super().at(line, column, channel).offset)


def copy(section: Section, x: Buffer, y: Buffer) -> None:
    """Copy `x`, which has no border, into `y` and clear the border of `y`; reads nothing behind `x`."""
    H, W, C = y.shape
    clear_border(section, y)
    # A line is taken for one pixel of W * C channels, for the longest loops.
    lines = View(x.at(), (H, 1, W * C), W * C, 0, NO_BORDER), View(y.at(), (H, 1, W * C), y.layout.line, 0, NO_BORDER)
    _add(section, *lines, None, 1.0)


def add(section: Section, a: Buffer, b: Buffer | None, y: Buffer, slope: float = 1.0) -> None:
    """Compute ``y = a + b``, or ``y = a``, with y's border and an activation of this `slope`.

    A single line or column of `a` or `b` is broadcast. Reads nothing behind `a` and `b`.
    """
    size = y.shape[:2]
    out, one, two = elementwise_views(view(y), view(a).broadcast(*size), view(a if b is None else b).broadcast(*size))
    _add(section, one, out, None if b is None else two, slope)


def multiply(section: Section, a: Buffer, b: Buffer, y: Buffer) -> None:
    """Compute ``y = a * b`` with y's border; a single line or column of `a` or `b` is broadcast."""
    size = y.shape[:2]
    out, one, two = elementwise_views(view(y), view(a).broadcast(*size), view(b).broadcast(*size))
    section.emit(
        opcodes.MULTIPLY, x=one.origin, y=out.origin, second=two.origin, second_line=two.line, second_pixel=two.pixel,
        **images(one, out), **border(out.border),
    )  # fmt: skip


def copy_into_channels(section: Section, x: Buffer, y: Buffer, channel: int) -> None:
    """Copy `x` into the channels of `y` from number `channel` on, and clear their border."""
    out, one = elementwise_views(channels(y, channel, x.shape[2]), view(x))
    _add(section, one, out, None, 1.0)


def add_channels(section: Section, a: Buffer | None, b: Buffer, channel: int, y: Buffer) -> None:
    """Compute ``y = a + b``, or ``y = b``, of the channels of `b` from number `channel` on, with y's border."""
    part = channels(b, channel, y.shape[2])
    out, one, two = elementwise_views(view(y), part, part if a is None else view(a))
    _add(section, one, out, None if a is None else two, 1.0)


def _add(section: Section, x: View, y: View, second: View | None, slope: float) -> None:
    section.emit(
        opcodes.ADD,
        x=x.origin,
        y=y.origin,
        second=None if second is None else second.origin,
        second_line=0 if second is None else second.line,
        second_pixel=0 if second is None else second.pixel,
        has_second=second is not None,
        slope=slope,
        **images(x, y),
        **border(y.border),
    )


def without_border(section: Section, buffer: Buffer) -> Buffer:
    """Return `buffer`, copied if it has a border."""
    if buffer.border == NO_BORDER:
        return buffer
    copy = Buffer(buffer.shape)
    add(section, buffer, None, copy)
    return copy


def clear_border(section: Section, buffer: Buffer) -> None:
    """Clear the border of an image that is written by an instruction without a border."""
    if buffer.border != NO_BORDER:
        H, W, C = buffer.shape
        section.emit(
            opcodes.CLEAR_BORDER, y=buffer.at(), channels=C, out_height=H, out_width=W, **out_strides(buffer),
            **border(buffer.border),
        )  # fmt: skip


def in_strides(buffer: Buffer) -> dict[str, int]:
    """Return the fields with the strides of an image that is read."""
    return {"in_line": buffer.layout.line, "in_pixel": buffer.layout.pixel}


def out_strides(buffer: Buffer) -> dict[str, int]:
    """Return the fields with the strides of the image on the output's side."""
    return {"out_line": buffer.layout.line, "out_pixel": buffer.layout.pixel}


def permuted(section: Section, weight: Fixed, order: NDArray[np.int64]) -> Fixed:
    """Permute `weight` before the first example, so that element i is number `order[i]`; return its memory."""
    memory = section.memory.fixed(order.size)
    table = section.tables.add(order.astype(np.int32))
    for begin in range(0, order.size, BLOCK_ELEMENTS):
        some = min(BLOCK_ELEMENTS, order.size - begin)
        section.prepare(opcodes.PERMUTE, source=weight.at(), target=memory.at(begin), table=table + begin, size=some)
    return memory
