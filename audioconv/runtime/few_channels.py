"""Convolutions of few channels: what the machine has to do for `kernels.narrow`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audioconv.kernels import interpreter as opcodes
from audioconv.kernels.few_channels import MORE
from audioconv.kernels.jit import LANES
from audioconv.kernels.winograd_transforms import SIDE, TILE
from audioconv.runtime.copies import strides
from audioconv.runtime.offsets import pairs, rows
from audioconv.runtime.program import Border, Buffer, Fixed, Place, Section, whole
from audioconv.runtime.winograd import MATRIX, Planes, Transformed

if TYPE_CHECKING:
    from audioconv.runtime.convolution import Convolution

STRIP_NUMBERS, LONG_STRIP_NUMBERS = 2**15, 2**17
"""What a strip may take of the second-level cache (512 KiB); that of the gradient by the weights, whose sums end with a
strip, may take most of it."""


class Narrow(Transformed):
    """3 x 3 of few channels, whose vectors are pixels: half of the multiplications.

    Parameters
    ----------
    conv : Convolution
        For which it `fits`.
    """

    pools, turns = True, True

    def __init__(self, conv: Convolution) -> None:
        self._conv = conv
        self.partial_size = SIDE * 3 * conv.in_shape[2] * conv.filters

    @staticmethod
    def fits(conv: Convolution) -> bool:
        """Tell whether it is of 3 x 3, goes by single pixels, and takes less time so than otherwise."""
        window = conv.window
        return (
            window.kernel == (3, 3)
            and window.stride == window.dilation == (1, 1)
            and conv.groups == 1
            and _own_work(conv) <= (_work_of_planes(conv) if Planes.fits(conv) else _work_of_the_tile(conv))
        )

    def border(self, border: Border, outputs: tuple[int, ...]) -> Border:
        """Return a border that lets whole tiles of outputs be computed."""
        top, bottom, left, right = border
        return top, bottom + -outputs[0] % TILE, left, right

    def _convolve(
        self, section: Section, corner: Place, x: Buffer, U: Fixed, start: Fixed, y: Buffer, onward: int,
        slope: float = 1.0, pooled: bool = False,
    ) -> None:  # fmt: skip
        C, K = x.shape[2], y.shape[2]
        height, width = (2 * y.shape[0], 2 * y.shape[1]) if pooled else y.shape[:2]
        strip, apart, V, M = _strip(C, K, height, width)
        kernels, numbers = np.arange(K), np.arange(3 * C)
        table = pairs(kernels, kernels * apart)
        terms = section.tables.add(pairs(numbers * K, numbers % C * apart + numbers // C))
        integers = [
            C, K, strip, apart, *strides(x), height, width, *strides(y), section.tables.add(rows(table)), K, terms,
            onward, int(pooled),
        ]  # fmt: skip
        zeros = section.constants.zeros(apart).at()
        operands = [corner, U.at(), start.at(), y.at(), Place(V), Place(M), zeros]
        section.emit(opcodes.NARROW, operands, integers, [slope])

    def weight_gradient(self, section: Section, x: Buffer, dz: Buffer, partial: Fixed) -> None:
        """Write how this example's weight gradient is added to the task's `partial`."""
        C, K = x.shape[2], dz.shape[2]
        strip, apart, V, M = _strip(C, K, *dz.shape[:2], LONG_STRIP_NUMBERS)
        integers = [C, K, strip, apart, *strides(x), *dz.shape[:2], *strides(dz)]
        operands = [self._conv.corner(x), dz.at(), None, partial.at(), Place(V), Place(M)]
        section.emit(opcodes.NARROW_GRADIENT, operands, integers)

    def _transformed(self, section: Section, weight: Fixed, later: bool) -> Fixed:
        """Return where the transformed kernels will lie."""
        size = 3 * self._conv.in_shape[2] * self._conv.filters
        memory = section.memory.fixed(SIDE * size)
        section.before(opcodes.WINOGRAD_LINE_KERNELS, [weight.at(), memory.at()], [size, 3 * size, 0, 1], later)
        return memory

    def kernels(self, weight: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return kernels (3, 3, C, K) as they are multiplied, (6, 3, C, K)."""
        return np.asarray(np.einsum("ir,rsck->isck", MATRIX, weight.astype(np.float64)), np.float32)


def _strip(C: int, K: int, height: int, width: int, most: int = STRIP_NUMBERS) -> tuple[int, int, Buffer, Buffer]:
    """Return how many tiles of lines go together, from where to where a plane is, and room for both sides."""
    tiles, wide = math.ceil(height / TILE), width + MORE
    strips = math.ceil(tiles / max(1, most // (SIDE * (C + K) * wide)))
    strip = math.ceil(tiles / strips)
    apart = whole(strip * wide) + LANES
    room = SIDE * whole(max(C, K)) * LANES
    return strip, apart, Buffer((1, 1, SIDE * C * apart)), Buffer((1, 1, SIDE * K * apart + room))


@dataclass(frozen=True)
class Costs:
    """What a pixel takes, in multiplications of this form; measured, for 2 to 32 channels and kernels.

    What the arrays' way to and from planes and tiles takes, and what parts of vectors do, comes from there.

    Attributes
    ----------
    inputs, outputs, own : float
        This form's, for each channel, for each kernel, and besides.
    vectors, planes : float
        By tiles: for each channel and kernel, and besides.
    tile, part : float
        By the register tile: for each multiplication, and where kernels leave a part of a vector empty.
    """

    inputs: float
    outputs: float
    own: float
    vectors: float
    planes: float
    tile: float
    part: float


COSTS = {8: Costs(10, 16, 120, 11, 380, 7.2, 130), 16: Costs(27, 30, 0, 0, 350, 6.8, 0)}[LANES]
"""With AVX2, and with AVX-512, where a multiplication takes half of the time and most else as long."""


def _own_work(conv: Convolution) -> float:
    (P, Q, K), C = conv.out_shape, conv.in_shape[2]
    moved = (COSTS.inputs * C + COSTS.outputs * K) * whole(Q) / Q
    return math.ceil(P / TILE) * TILE / P * (4.5 * C * K + moved + COSTS.own)


def _work_of_planes(conv: Convolution) -> float:
    (P, Q, K), C = conv.out_shape, conv.in_shape[2]
    tiles = math.ceil(P / TILE) * math.ceil(Q / TILE)
    work = 2.25 * whole(C) * whole(K) + COSTS.vectors * (whole(C) + whole(K)) + COSTS.planes
    return tiles * TILE**2 / (P * Q) * work


def _work_of_the_tile(conv: Convolution) -> float:
    C, K = conv.in_shape[2], conv.filters
    return COSTS.tile * C * whole(K) + (COSTS.part if K % LANES else 0)
