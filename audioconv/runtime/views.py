"""Images as instructions take them: a whole buffer, or the columns of one band; lines first or columns first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from audioconv.geometry import POINT, Window
from audioconv.kernels.jit import LANES
from audioconv.runtime.program import NO_BORDER, Border, Buffer, Place

FEW_COLUMNS = 4
"""In lines as short as that, going down the columns is faster."""

LEAST_LINES = 8
"""So many make up for going from line to line instead of from pixel to pixel."""

MANY_CHANNELS = 8 * LANES
"""From so many on, the last vector, which they do not fill, hardly counts."""


@dataclass(frozen=True)
class View:
    """An image of one example, where an instruction finds it.

    Attributes
    ----------
    place : Place
        Of its first pixel.
    shape : (int, int, int)
        Height, width and channels.
    line, pixel : int
        Numbers from line to line and from pixel to pixel.
    border : (int, int, int, int)
        Pixels above, below, left and right that belong to it.
    """

    place: Place
    shape: tuple[int, int, int]
    line: int
    pixel: int
    border: Border

    @property
    def bare(self) -> View:
        """The same pixels, for who leaves what surrounds them as it is."""
        return View(self.place, self.shape, self.line, self.pixel, NO_BORDER)

    @property
    def exchanged(self) -> View:
        """The same pixels, its columns taken for lines."""
        (H, W, C), (top, bottom, left, right) = self.shape, self.border
        return View(self.place, (W, H, C), self.pixel, self.line, (left, right, top, bottom))

    def repeated(self, height: int, width: int) -> View:
        """Return an image of this size: a single line or column is that of all lines or columns."""
        H, W, C = self.shape
        line, pixel = self.line if height == H else 0, self.pixel if width == W else 0
        return View(self.place, (height, width, C), line, pixel, self.border)


def view(buffer: Buffer, band: int = 0, bands: int = 1) -> View:
    """Return a buffer, or band number `band` of its columns, with what lies above, below and beside it."""
    (H, W, C), (top, bottom, left, right) = buffer.shape, buffer.border
    width = W // bands
    border = top, bottom, left if band == 0 else 0, right if band == bands - 1 else 0
    return View(buffer.at(0, band * width), (H, width, C), buffer.layout.line, buffer.layout.pixel, border)


def numbers(*images: View) -> tuple[View, ...]:
    """Return images of one shape for what is done to each number alone, whichever channel it is of, maybe in place.

    Where channels would leave a part of each vector empty, those of a whole line go together, from line to line. Where
    that cannot be, columns are gone down: what reads just behind a part of a vector that was written waits for it.
    """
    H, W, C = images[0].shape
    if C % LANES == 0 or C >= MANY_CHANNELS or H < LEAST_LINES:
        return images
    if any(image.pixel != C or image.border != NO_BORDER for image in images):
        return tuple(image.exchanged for image in images)
    return tuple(View(image.place, (1, H, W * C), 0, image.line, NO_BORDER) for image in images)


def views(window: Window, bands: int, *buffers: Buffer) -> Iterator[tuple[View, ...]]:
    """Yield, for each band, the images that an instruction with this `window` pairs pixel by pixel."""
    for band in range(bands):
        images = tuple(view(buffer, band, bands) for buffer in buffers)
        H, W, _ = images[0].shape
        down = window == POINT and W <= FEW_COLUMNS < H
        yield tuple(image.exchanged for image in images) if down else images


def geometry(window: Window, x: View, y: View) -> list[int]:
    """Return the integers that all sweeps and averages begin with."""
    (H, W, C), (P, Q, _) = x.shape, y.shape
    (top, _), (left, _) = window.padding
    return [C, H, W, x.line, x.pixel, P, Q, y.line, y.pixel, *window.kernel, *window.stride, top, left]
