"""Offset tables of convolutions: the pairs of offsets that the register tile iterates over.

An image is stored line by line, with the strides of its `Layout`. Windows begin at the image's padded corner, so that
no offset is negative.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audioconv.geometry import Window
from audioconv.kernels.tile import SPARE

Pairs = NDArray[np.int32]


@dataclass(frozen=True)
class Layout:
    """Strides between lines and between pixels, in elements."""

    line: int
    pixel: int


def pixels(height: int, width: int, layout: Layout, step: Sequence[int] = (1, 1)) -> NDArray[np.int64]:
    """Return the offset of each pixel, or of each `step`-th, line by line."""
    lines = np.arange(height)[:, None] * step[0] * layout.line
    return (lines + np.arange(width) * step[1] * layout.pixel).reshape(-1)


def taps(window: Window, channels: int, layout: Layout) -> NDArray[np.int64]:
    """Return the offset of each element under a window: by row, column and channel."""
    R, S = window.kernel
    pixel_offsets = pixels(R, S, layout, window.dilation)
    return (pixel_offsets[:, None] + np.arange(channels)).reshape(-1)


def pairs(first: NDArray[np.int64], second: NDArray[np.int64]) -> Pairs:
    """Return two lists of offsets side by side."""
    return np.stack([first, second], axis=1).astype(np.int32)


def rows(table: Pairs) -> Pairs:
    """Return `table` with its last row repeated as often as a register tile may read beyond it."""
    return np.concatenate([table, np.repeat(table[-1:], SPARE, axis=0)])


@dataclass(frozen=True)
class InputGradient:
    """One of the convolutions that make up an input gradient: that of the inputs of one remainder by the stride.

    Attributes
    ----------
    height, width : int
        The number of inputs along each axis.
    corner : (int, int)
        The first input.
    taps : list of (row, column, down, along)
        The taps of the kernel that reach these inputs, with the distance of the output: input (u, v) of the part gets
        from output (u + down, v + along).
    """

    height: int
    width: int
    corner: tuple[int, int]
    taps: list[tuple[int, int, int, int]]


def input_gradients(window: Window, height: int, width: int) -> Iterator[InputGradient]:
    """Yield the convolutions that make up the gradient by an input of `height` x `width`.

    Output p reaches input h through tap r if ``h = p * stride - padding + r * dilation``. The same taps reach all h of
    one remainder by the stride. So each remainder is a convolution of its own with a part of the kernel, and no zeros
    are multiplied.
    """
    (R, S), (top, _), (left, _) = window.kernel, *window.padding
    for i in range(min(window.stride[0], height)):
        for j in range(min(window.stride[1], width)):
            down = _reaching(i + top, R, window.stride[0], window.dilation[0])
            along = _reaching(j + left, S, window.stride[1], window.dilation[1])
            found = [(r, s, d, a) for r, d in down for s, a in along]
            lines, columns = -(-(height - i) // window.stride[0]), -(-(width - j) // window.stride[1])
            yield InputGradient(lines, columns, (i, j), found)


def _reaching(position: int, taps: int, stride: int, dilation: int) -> list[tuple[int, int]]:
    distances = ((tap, position - tap * dilation) for tap in range(taps))
    return [(tap, distance // stride) for tap, distance in distances if distance % stride == 0]


def gradient_border(window: Window, in_size: tuple[int, int], out_size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the padding of the output gradient, above, below, left and right, for the input gradient."""
    top = bottom = left = right = 0
    for part in input_gradients(window, *in_size):
        for _, _, down, along in part.taps:
            top, left = max(top, -down), max(left, -along)
            bottom = max(bottom, part.height + down - out_size[0])
            right = max(right, part.width + along - out_size[1])
    return top, bottom, left, right
