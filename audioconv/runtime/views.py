"""Views of images for instructions: a whole buffer or one band of its columns; lines first or columns first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from audioconv.geometry import POINT, Window
from audioconv.kernels.jit import LANES
from audioconv.runtime.program import NO_BORDER, Border, Buffer, Operand

MAX_TRANSPOSED_COLUMNS = 4
"""In lines of at most so many pixels, loops down the columns are faster."""

MIN_TRANSPOSED_LINES = 8
"""An image of at least so many lines is worth a loop down its columns, or over whole lines."""

MIN_FULL_CHANNELS = 8 * LANES
"""From so many channels on, a partly filled last vector hardly matters."""


@dataclass(frozen=True)
class View:
    """An image of one example, as an instruction addresses it.

    Attributes
    ----------
    origin : Operand
        Its first pixel.
    shape : (int, int, int)
        Height, width and channels.
    line, pixel : int
        Strides: elements from line to line and from pixel to pixel.
    border : (int, int, int, int)
        Pixels of zeros above, below, left and right that belong to it.
    """

    origin: Operand
    shape: tuple[int, int, int]
    line: int
    pixel: int
    border: Border

    @property
    def without_border(self) -> View:
        """The same pixels without the border, which stays as it is."""
        return View(self.origin, self.shape, self.line, self.pixel, NO_BORDER)

    @property
    def transposed(self) -> View:
        """The same pixels with lines and columns exchanged."""
        (H, W, C), (top, bottom, left, right) = self.shape, self.border
        return View(self.origin, (W, H, C), self.pixel, self.line, (left, right, top, bottom))

    def broadcast(self, height: int, width: int) -> View:
        """Return an image of this size: a single line or column stands for all, by a stride of 0."""
        H, W, C = self.shape
        line, pixel = self.line if height == H else 0, self.pixel if width == W else 0
        return View(self.origin, (height, width, C), line, pixel, self.border)


def view(buffer: Buffer, band: int = 0, bands: int = 1) -> View:
    """Return a buffer, or band number `band` of its columns, with its part of the border."""
    (H, W, C), (top, bottom, left, right) = buffer.shape, buffer.border
    width = W // bands
    sides = top, bottom, left if band == 0 else 0, right if band == bands - 1 else 0
    return View(buffer.at(0, band * width), (H, width, C), buffer.layout.line, buffer.layout.pixel, sides)


def channels(buffer: Buffer, first: int, count: int) -> View:
    """Return `count` channels of a buffer from number `first` on, with their part of the border."""
    H, W, _ = buffer.shape
    return View(buffer.at(0, 0, first), (H, W, count), buffer.layout.line, buffer.layout.pixel, buffer.border)


def elementwise_views(*images: View) -> tuple[View, ...]:
    """Return views of images of one shape for an elementwise operation, maybe in place.

    If the channels do not fill SIMD vectors, the elements of a whole line are taken for one pixel. If the images have
    borders, lines and columns are exchanged instead: a load just behind a partial store stalls until that is done.
    """
    H, W, C = images[0].shape
    if C % LANES == 0 or C >= MIN_FULL_CHANNELS or H < MIN_TRANSPOSED_LINES:
        return images
    if any(image.pixel != C or image.border != NO_BORDER for image in images):
        return tuple(image.transposed for image in images)
    return tuple(View(image.origin, (1, H, W * C), 0, image.line, NO_BORDER) for image in images)


def views(window: Window, bands: int, *buffers: Buffer) -> Iterator[tuple[View, ...]]:
    """Yield, for each band, the views that an instruction with this `window` pairs pixel by pixel."""
    for band in range(bands):
        images = tuple(view(buffer, band, bands) for buffer in buffers)
        H, W, _ = images[0].shape
        down = window == POINT and W <= MAX_TRANSPOSED_COLUMNS < H
        yield tuple(image.transposed for image in images) if down else images


def source(x: View) -> dict[str, int]:
    """Return the fields of an instruction that reads the image `x`."""
    (in_height, in_width, channels) = x.shape
    return {
        "channels": channels,
        "in_height": in_height,
        "in_width": in_width,
        "in_line": x.line,
        "in_pixel": x.pixel,
    }


def images(x: View, y: View) -> dict[str, int]:
    """Return the fields of an instruction that pairs pixels of the images `x` and `y`."""
    out_height, out_width, _ = y.shape
    return {
        **source(x),
        "out_height": out_height,
        "out_width": out_width,
        "out_line": y.line,
        "out_pixel": y.pixel,
    }


def windows(window: Window, x: View, y: View) -> dict[str, int]:
    """Return the fields of an instruction that pairs windows of the image `x` with pixels of `y`."""
    (padding_top, _), (padding_left, _) = window.padding
    return {
        **images(x, y),
        "kernel_height": window.kernel[0],
        "kernel_width": window.kernel[1],
        "stride_height": window.stride[0],
        "stride_width": window.stride[1],
        "padding_top": padding_top,
        "padding_left": padding_left,
    }


def border(sides: Border) -> dict[str, int]:
    """Return the fields of an instruction that writes zeros around an image."""
    return dict(zip(("border_top", "border_bottom", "border_left", "border_right"), sides, strict=True))
