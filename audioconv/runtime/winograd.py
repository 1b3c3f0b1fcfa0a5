"""Winograd convolutions, of planes and of lines, as instructions for `kernels.winograd` and `kernels.winograd_1d`."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audioconv.kernels import opcodes
from audioconv.kernels.tile import ROWS
from audioconv.kernels.winograd import POSITIONS
from audioconv.kernels.winograd_1d import TAPS
from audioconv.kernels.winograd_transforms import FAR, NEAR, SIDE, TILE
from audioconv.runtime.copies import BLOCK_ELEMENTS, in_strides, out_strides, permuted
from audioconv.runtime.offsets import pairs, rows
from audioconv.runtime.program import Border, Buffer, Fixed, Operand, Section, round_up_to_lanes

if TYPE_CHECKING:
    from audioconv.runtime.convolution import Convolution

MIN_CHANNELS = 8
MAX_SHARE_2D, MAX_SHARE_1D = 0.5, 0.6
"""The largest share of the multiplications that a transform may leave; if tiles fit, it leaves a quarter or half."""

STRIP_ELEMENTS, MAX_TILES = 2**18, 60
"""Elements of a strip of tiles (1 MiB of the second-level cache), and its largest number of tiles.

The transformed kernels are read again for each strip, so few long strips are better even if they do not quite fit."""

MATRIX = np.array(
    [
        [1, 0, 0],
        *([1 / -1.5, sign * NEAR / -1.5, NEAR**2 / -1.5] for sign in (1, -1)),
        *([1 / 6, sign * FAR / 6, FAR**2 / 6] for sign in (1, -1)),
        [0, 0, 1],
    ]
)
"""G of `kernels.winograd_transforms`."""


class WinogradBase(ABC):
    """The common part of the Winograd algorithms."""

    _conv: Convolution

    def forward(
        self, section: Section, x: Buffer, weight: Fixed, bias: Fixed, z: Buffer, slope: float, pooled: bool
    ) -> None:
        """Emit ``z = x * weight + bias`` with an activation and maybe a max-pool."""
        U = section.transformed_weights.get(weight.offset) or self._emit_transform(section, weight, late=False)
        self._convolve(section, self._conv.corner(x), x, U, bias, z, opcodes.NEVER, slope, pooled)

    def input_gradient(self, section: Section, dz: Buffer, weight: Fixed, dx: Buffer, accumulate: int) -> None:
        """Emit the gradient by the input, or its addition to dx."""
        U = self._emit_transform(section, _flipped(section, self._conv, weight), late=True)
        zeros = section.constants.zeros(dx.shape[2])
        self._convolve(section, self._conv.gradient_corner(dz), dz, U, zeros, dx, accumulate)

    @abstractmethod
    def _emit_transform(self, section: Section, weight: Fixed, late: bool) -> Fixed:
        """Emit the transform of the kernels, before the first example; return their memory."""

    @abstractmethod
    def _convolve(
        self, section: Section, corner: Operand, x: Buffer, U: Fixed, bias: Fixed, y: Buffer, accumulate: int,
        slope: float = 1.0, pooled: bool = False,
    ) -> None:  # fmt: skip
        """Emit ``y = x * U + bias`` with an activation and maybe a max-pool, or its addition to y."""


class Winograd2d(WinogradBase):
    """3 x 3 kernels by tiles of 4 x 4: a quarter of the multiplications.

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
        """Tell whether the channels fill SIMD vectors, and tiles fill the image."""
        return (
            conv.is_plain_3x3
            and conv.groups == 1
            and min(conv.in_shape[2], conv.filters) >= MIN_CHANNELS
            and all(
                POSITIONS * _tiles(*shape[:2]) < MAX_SHARE_2D * 9 * math.prod(shape[:2])
                for shape in (conv.in_shape, conv.out_shape)
            )
        )

    def border(self, border: Border, outputs: tuple[int, ...]) -> Border:
        """Return a border for whole tiles of outputs."""
        top, bottom, left, right = border
        return top, bottom + -outputs[0] % TILE, left, right + -outputs[1] % TILE

    def _convolve(
        self, section: Section, corner: Operand, x: Buffer, U: Fixed, bias: Fixed, y: Buffer, accumulate: int,
        slope: float = 1.0, pooled: bool = False,
    ) -> None:  # fmt: skip
        C, K = x.shape[2], y.shape[2]
        height, width = (2 * y.shape[0], 2 * y.shape[1]) if pooled else y.shape[:2]
        strip, V, M = _strip(C, K, _tiles(height, width))
        tiles, channels = np.arange(strip), np.arange(C)
        table = section.tables.add(pairs(tiles * round_up_to_lanes(C), tiles * round_up_to_lanes(K)))
        terms = section.tables.add(pairs(channels, channels * K))
        section.emit(
            opcodes.WINOGRAD, x=corner, U=U.at(), bias=bias.at(), y=y.at(), V=Operand(V), M=Operand(M),
            zeros=section.constants.zeros(K).at(), channels=C, filters=K, strip=strip, **in_strides(x),
            out_height=height, out_width=width, **out_strides(y), row_table=table, term_table=terms,
            accumulate=accumulate, pooled=pooled, slope=slope,
        )  # fmt: skip

    def weight_gradient(self, section: Section, x: Buffer, dz: Buffer, partial: Fixed) -> None:
        """Emit the addition of this example's weight gradient to the task's `partial`."""
        C, K = x.shape[2], dz.shape[2]
        strip, V, M = _strip(C, K, _tiles(*dz.shape[:2]), persistent=True)
        tiles, channels = np.arange(strip), np.arange(C)
        table = pairs(channels, channels * K)
        terms = section.tables.add(pairs(tiles * round_up_to_lanes(C), tiles * round_up_to_lanes(K)))
        section.emit(
            opcodes.WINOGRAD_GRADIENT, x=self._conv.corner(x), dy=dz.at(), sums=sums_of_thread(POSITIONS * C * K),
            gradient=partial.at(), V=Operand(V), M=Operand(M), zeros=section.constants.zeros(K).at(), channels=C,
            filters=K, strip=strip, **in_strides(x), out_height=dz.shape[0], out_width=dz.shape[1], **out_strides(dz),
            row_table=section.tables.add(rows(table)), rows=len(table), term_table=terms,
        )  # fmt: skip

    def _emit_transform(self, section: Section, weight: Fixed, late: bool) -> Fixed:
        """Emit the transform of the kernels, before the first example; return their memory."""
        size = self._conv.in_shape[2] * self._conv.filters
        memory = section.memory.fixed(POSITIONS * size)
        for begin in range(0, size, BLOCK_ELEMENTS):
            section.prepare(
                opcodes.WINOGRAD_KERNELS, weight=weight.at(), U=memory.at(), size=size, begin=begin,
                end=min(size, begin + BLOCK_ELEMENTS), late=late,
            )  # fmt: skip
        return memory

    def kernels(self, weight: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return kernels (3, 3, C, K) transformed, (36, C, K)."""
        U = np.einsum("ir,js,rsck->ijck", MATRIX, MATRIX, weight.astype(np.float64))
        return np.asarray(U.reshape(POSITIONS, *weight.shape[2:]), np.float32)


class Winograd1d(WinogradBase):
    """1-D kernels by tiles of four: half of the multiplications for kernels of three, six, nine ... weights.

    Parameters
    ----------
    conv : Convolution
        One that it `fits`.
    """

    fuses_pool = False

    def __init__(self, conv: Convolution) -> None:
        self._conv = conv
        self.has_input_gradient = conv.window.stride[1] == 1 and conv.in_shape[2] >= MIN_CHANNELS
        self._stride = conv.window.stride[1]
        self._blocks = _blocks(conv)
        self.partial_size = TAPS * self._blocks * self._stride * conv.in_shape[2] * conv.filters

    @staticmethod
    def fits(conv: Convolution) -> bool:
        """Tell whether sums are long enough, and padding to blocks of weights and tiles of outputs costs little."""
        window, (height, _, channels) = conv.window, conv.in_shape
        if height > 1 or window.kernel[0] > 1 or window.padding[0] != (0, 0) or window.dilation != (1, 1):
            return False
        stride, outputs = window.stride[1], conv.out_shape[1]
        terms_of_sum = _blocks(conv) * stride * channels  # in each of the six products of an output
        multiplications = SIDE * math.ceil(outputs / TILE) * terms_of_sum
        return (
            conv.groups == 1
            and min(terms_of_sum, conv.filters) >= MIN_CHANNELS
            and multiplications <= MAX_SHARE_1D * outputs * window.kernel[1] * channels
        )

    def border(self, border: Border, outputs: tuple[int, ...]) -> Border:
        """Return a border for whole tiles of outputs and whole blocks of weights."""
        top, bottom, left, right = border
        more = self._stride * (-outputs[1] % TILE + TAPS * self._blocks) - self._conv.window.kernel[1]
        return top, bottom, left, right + more

    def _convolve(
        self, section: Section, corner: Operand, x: Buffer, U: Fixed, bias: Fixed, y: Buffer, accumulate: int,
        slope: float = 1.0, pooled: bool = False,
    ) -> None:  # fmt: skip
        assert not pooled
        C, K, width = self._stride * x.shape[2], y.shape[2], y.shape[1]
        strip, plane_stride, V, M = self._strip(C, K, width)
        table = section.tables.add(self._tile_offsets(strip, C, K))
        terms = section.tables.add(self._term_offsets(C, K))
        section.emit(
            opcodes.WINOGRAD_1D, x=corner, U=U.at(), bias=bias.at(), y=y.at(), V=Operand(V), M=Operand(M),
            zeros=section.constants.zeros(K).at(), channels=C, filters=K, blocks=self._blocks, strip=strip,
            plane_stride=plane_stride, out_width=width, out_pixel=y.layout.pixel, row_table=table, term_table=terms,
            accumulate=accumulate, slope=slope,
        )  # fmt: skip

    def weight_gradient(self, section: Section, x: Buffer, dz: Buffer, partial: Fixed) -> None:
        """Emit the addition of this example's weight gradient to the task's `partial`."""
        C, K, width = self._stride * x.shape[2], dz.shape[2], dz.shape[1]
        strip, plane_stride, V, M = self._strip(C, K, width)
        table = self._term_offsets(C, K)
        terms = section.tables.add(self._tile_offsets(strip, C, K))
        section.emit(
            opcodes.WINOGRAD_1D_GRADIENT, x=self._conv.corner(x), dy=dz.at(),
            sums=sums_of_thread(SIDE * self._blocks * C * K), gradient=partial.at(), V=Operand(V), M=Operand(M),
            zeros=section.constants.zeros(K).at(), channels=C, filters=K, blocks=self._blocks,
            strip=strip, plane_stride=plane_stride, out_width=width, out_pixel=dz.layout.pixel,
            row_table=section.tables.add(rows(table)), rows=len(table), term_table=terms,
        )  # fmt: skip

    def _strip(self, C: int, K: int, width: int) -> tuple[int, int, Buffer, Buffer]:
        """Return the number of tiles in a strip, the distance between the planes of V, and buffers for V and M."""
        tiles = math.ceil(width / TILE)
        a = round_up_to_lanes(C) if self._blocks == 1 else TILE * C
        most = max(ROWS, STRIP_ELEMENTS // (SIDE * (a + round_up_to_lanes(K))) // ROWS * ROWS)
        strip = math.ceil(math.ceil(tiles / math.ceil(tiles / most)) / ROWS) * ROWS
        plane_stride = strip * a if self._blocks == 1 else round_up_to_lanes(strip * a + TAPS * self._blocks * C)
        return (
            strip,
            plane_stride,
            Buffer((1, 1, SIDE * plane_stride)),
            Buffer((1, 1, SIDE * strip * round_up_to_lanes(K))),
        )

    def _tile_offsets(self, strip: int, C: int, K: int) -> NDArray[np.int32]:
        """Return each tile's offset in V and in M."""
        tiles = np.arange(strip)
        return pairs(tiles * (round_up_to_lanes(C) if self._blocks == 1 else TILE * C), tiles * round_up_to_lanes(K))

    def _term_offsets(self, C: int, K: int) -> NDArray[np.int32]:
        """Return, for each block and channel, the offset in V and that in U or in the sums."""
        blocks, channels = np.arange(self._blocks)[:, None], np.arange(C)
        return pairs((TAPS * blocks * C + channels).ravel(), ((SIDE * blocks * C + channels) * K).ravel())

    def _emit_transform(self, section: Section, weight: Fixed, late: bool) -> Fixed:
        """Emit the transform of the kernels, before the first example; return their memory."""
        conv = self._conv
        size = self._stride * conv.in_shape[2] * conv.filters
        memory = section.memory.fixed(SIDE * self._blocks * size)
        some = max(1, BLOCK_ELEMENTS // size)
        for begin in range(0, self._blocks, some):
            section.prepare(
                opcodes.WINOGRAD_1D_KERNELS, weight=weight.at(), U=memory.at(), size=size,
                count=math.prod(conv.weight_shape), begin=begin, end=min(self._blocks, begin + some), late=late,
            )  # fmt: skip
        return memory

    def kernels(self, weight: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return kernels (1, S, C, K) transformed, (blocks, 6, stride * C, K)."""
        size = self._stride * math.prod(weight.shape[2:])
        g = np.zeros((self._blocks * TAPS * size,))
        g[: weight.size] = weight.ravel()
        return np.asarray(np.einsum("ij,bjn->bin", MATRIX, g.reshape(self._blocks, TAPS, size)), np.float32)


def sums_of_thread(size: int) -> Operand:
    """Return memory of a thread's own for the transformed sums of its task, which several examples are added to.

    They are two to four times as many as the weights. Only the gradient that is made of them is kept for the sum over
    the tasks.
    """
    return Operand(Buffer((1, 1, size), persistent=True))


def _blocks(conv: Convolution) -> int:
    return math.ceil(math.ceil(conv.window.kernel[1] / conv.window.stride[1]) / TAPS)


def _flipped(section: Section, conv: Convolution, weight: Fixed) -> Fixed:
    """Flip the weights along both axes and exchange channels and filters; return their memory."""
    order = np.arange(math.prod(conv.weight_shape)).reshape(conv.weight_shape)[::-1, ::-1].swapaxes(2, 3)
    return permuted(section, weight, order)


def _tiles(P: int, Q: int) -> int:
    """Return the number of tiles of P x Q outputs."""
    return math.ceil(P / TILE) * math.ceil(Q / TILE)


def _strip(C: int, K: int, tiles: int, persistent: bool = False) -> tuple[int, Buffer, Buffer]:
    """Return the number of tiles in a strip, and buffers for V and M.

    If `persistent`, several examples of few tiles share a strip of the largest size.
    """
    a, b = round_up_to_lanes(C), round_up_to_lanes(K)
    most = max(ROWS, min(MAX_TILES, STRIP_ELEMENTS // (POSITIONS * (a + b))) // ROWS * ROWS)
    even = math.ceil(tiles / math.ceil(tiles / most))
    strip = most if persistent and 2 * tiles <= most else math.ceil(even / ROWS) * ROWS
    V, M = (Buffer((1, 1, POSITIONS * strip * size), persistent=persistent) for size in (a, b))
    return strip, V, M
