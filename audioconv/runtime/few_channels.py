"""Convolutions of few channels as instructions for `kernels.few_channels`, and when they are the fastest."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audioconv.kernels import opcodes
from audioconv.kernels.few_channels import MORE
from audioconv.kernels.jit import LANES
from audioconv.kernels.winograd_transforms import SIDE, TILE
from audioconv.runtime.copies import in_strides, out_strides
from audioconv.runtime.offsets import pairs, rows
from audioconv.runtime.program import Border, Buffer, Fixed, Operand, Section, round_up_to_lanes
from audioconv.runtime.winograd import MATRIX, MIN_CHANNELS, WinogradBase, sums_of_thread

if TYPE_CHECKING:
    from audioconv.runtime.convolution import Convolution

STRIP_ELEMENTS, GRADIENT_STRIP_ELEMENTS = 2**15, 2**17
"""Elements of a strip of lines in the forward pass (128 KiB) and in the gradient by the weights (512 KiB).

A second-level cache of 512 KiB holds both; the gradient's sums are reduced once a strip, so it takes longer ones."""

MAX_PADDED_LINES, MAX_PADDED_PIXELS = 4 / 3, 2
"""The largest shares of lines that whole tiles may have, and of pixels that whole vectors may have."""

SOME_CHANNELS, MAX_FILTERS = 4, 24
"""From so many channels on, and up to so many filters, the transforms cost less than multiplications that are saved."""

MAX_PARTLY_FILLED = 12
"""Up to so many channels, two vectors of eight are filled so little that vectors of pixels are faster."""


class FewChannels(WinogradBase):
    """3 x 3 kernels of few channels, with SIMD vectors of pixels: half of the multiplications.

    Parameters
    ----------
    conv : Convolution
        One that it `fits`.
    """

    fuses_pool, has_input_gradient = True, True

    def __init__(self, conv: Convolution) -> None:
        self._conv = conv
        self.partial_size = math.prod(conv.weight_shape)

    @staticmethod
    def fits(conv: Convolution) -> bool:
        """Tell whether `conv` is of 3 x 3 with stride and dilation 1, and this is the fastest algorithm for it."""
        return conv.is_plain_3x3 and conv.groups == 1 and _pays(conv)

    def border(self, border: Border, outputs: tuple[int, ...]) -> Border:
        """Return a border for whole tiles of outputs."""
        top, bottom, left, right = border
        return top, bottom + -outputs[0] % TILE, left, right

    def _convolve(
        self, section: Section, corner: Operand, x: Buffer, U: Fixed, bias: Fixed, y: Buffer, accumulate: int,
        slope: float = 1.0, pooled: bool = False,
    ) -> None:  # fmt: skip
        C, K = x.shape[2], y.shape[2]
        height, width = (2 * y.shape[0], 2 * y.shape[1]) if pooled else y.shape[:2]
        strip, plane_stride, V, M = _strip(C, K, height, width)
        kernels, terms_of_line = np.arange(K), np.arange(3 * C)
        table = pairs(kernels, kernels * plane_stride)
        terms = section.tables.add(pairs(terms_of_line * K, terms_of_line % C * plane_stride + terms_of_line // C))
        section.emit(
            opcodes.FEW_CHANNELS, x=corner, U=U.at(), bias=bias.at(), y=y.at(), V=Operand(V), M=Operand(M),
            zeros=section.constants.zeros(plane_stride).at(), channels=C, filters=K, strip=strip,
            plane_stride=plane_stride, **in_strides(x), out_height=height, out_width=width, **out_strides(y),
            row_table=section.tables.add(rows(table)), rows=K, term_table=terms, accumulate=accumulate, pooled=pooled,
            slope=slope,
        )  # fmt: skip

    def weight_gradient(self, section: Section, x: Buffer, dz: Buffer, partial: Fixed) -> None:
        """Emit the addition of this example's weight gradient to the task's `partial`."""
        C, K = x.shape[2], dz.shape[2]
        strip, plane_stride, V, M = _strip(C, K, *dz.shape[:2], GRADIENT_STRIP_ELEMENTS)
        section.emit(
            opcodes.FEW_CHANNELS_GRADIENT, x=self._conv.corner(x), dy=dz.at(), sums=sums_of_thread(SIDE * 3 * C * K),
            gradient=partial.at(), V=Operand(V), M=Operand(M), channels=C, filters=K, strip=strip,
            plane_stride=plane_stride, **in_strides(x), out_height=dz.shape[0], out_width=dz.shape[1],
            **out_strides(dz),
        )  # fmt: skip

    def _emit_transform(self, section: Section, weight: Fixed, late: bool) -> Fixed:
        """Emit the transform of the kernels, before the first example; return their memory."""
        size = 3 * self._conv.in_shape[2] * self._conv.filters
        memory = section.memory.fixed(SIDE * size)
        section.prepare(
            opcodes.WINOGRAD_1D_KERNELS, weight=weight.at(), U=memory.at(), size=size, count=3 * size, begin=0, end=1,
            late=late,
        )  # fmt: skip
        return memory

    def kernels(self, weight: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return kernels (3, 3, C, K) transformed, (6, 3, C, K)."""
        return np.asarray(np.einsum("ir,rsck->isck", MATRIX, weight.astype(np.float64)), np.float32)


def _strip(C: int, K: int, height: int, width: int, most: int = STRIP_ELEMENTS) -> tuple[int, int, Buffer, Buffer]:
    """Return the number of tiles in a strip, the distance between planes, and buffers for V and M."""
    tiles, wide = math.ceil(height / TILE), width + MORE
    strips = math.ceil(tiles / max(1, most // (SIDE * (C + K) * wide)))
    strip = math.ceil(tiles / strips)
    plane_stride = round_up_to_lanes(strip * wide) + LANES
    room = SIDE * round_up_to_lanes(max(C, K)) * LANES
    return strip, plane_stride, Buffer((1, 1, SIDE * C * plane_stride)), Buffer((1, 1, SIDE * K * plane_stride + room))


def _pays(conv: Convolution) -> bool:
    """Tell whether this algorithm is faster than the others, by bounds that hold for vectors of 8 and of 16 lanes.

    In the mean over both widths, the choice takes 1.3 % more time than the fastest algorithm. The mean is that of 2 to
    32 channels and filters on 12 x 12 and 40 x 40 pixels, forward and both gradients together.
    """
    (P, Q, K), C = conv.out_shape, conv.in_shape[2]
    if math.ceil(P / TILE) * TILE > MAX_PADDED_LINES * P or round_up_to_lanes(Q) > MAX_PADDED_PIXELS * Q:
        return False
    if min(C, K) < MIN_CHANNELS:  # too few for the transform of planes
        return C > 1 and ((C >= SOME_CHANNELS and K <= MAX_FILTERS) or C + K <= MIN_CHANNELS)
    return min(C, K) > LANES and max(C, K) <= MAX_PARTLY_FILLED
