"""Moving images: from and to arrays of the caller's, and zeros around them."""

from __future__ import annotations

from dataclasses import dataclass

from audioconv.kernels import program as opcodes
from audioconv.machine.program import NO_BORDER, Buffer, Fixed, Place, Section


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
    integers = [W * C, H, 1, W * C, 0, H, 1, y.layout.line, 0, *[0] * 9]
    section.emit(opcodes.ADD, [x.at(), y.at(), None], integers)


def clear_border(section: Section, y: Buffer) -> None:
    """Write how zeros are put around `y`, for who writes nothing but the image."""
    if y.border == NO_BORDER:
        return
    (H, W, C), (top, bottom, left, right) = y.shape, y.border
    width = left + W + right
    # Above and below go whole lines at once.
    for line, lines in ((-top, top), (H, bottom)):
        _clear(section, y, y.at(line, -left), lines, width * C)
    for column, columns in ((-left, left), (W, right)):
        _clear(section, y, y.at(0, column), H, columns * C)


def _clear(section: Section, y: Buffer, corner: Place, lines: int, numbers: int) -> None:
    """Write how the first `numbers` of `lines` from `corner` on become zero."""
    if lines == 0 or numbers == 0:
        return
    integers = [numbers, lines, 1, 0, 0, lines, 1, y.layout.line, 0, *[0] * 9]
    section.emit(opcodes.ADD, [section.constants.zeros(numbers).at(), corner, None], integers)
