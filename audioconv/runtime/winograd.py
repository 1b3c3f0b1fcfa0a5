"""Convolutions with fewer multiplications: what the machine has to do for `kernels.winograd` and `winograd_line`."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audioconv.kernels import interpreter as opcodes
from audioconv.kernels.tile import ROWS
from audioconv.kernels.winograd import POSITIONS
from audioconv.kernels.winograd_1d import TAPS
from audioconv.kernels.winograd_transforms import FAR, NEAR, SIDE, TILE
from audioconv.runtime.copies import SHARED, strides, turned
from audioconv.runtime.offsets import pairs, rows
from audioconv.runtime.program import Border, Buffer, Fixed, Place, Section, whole

if TYPE_CHECKING:
    from audioconv.runtime.convolution import Convolution

LEAST_CHANNELS = 8
PLANE_WORTHWHILE, LINE_WORTHWHILE = 0.5, 0.6
"""Of the multiplications, what a transform may leave at most; where tiles fit, it leaves a quarter or half."""

STRIP_NUMBERS, MOST_TILES = 2**18, 60
"""What a strip of tiles may take of the second-level cache (1 MiB), and how many they are at most. What they are
multiplied with is read again for each strip, so few long strips are better even where they do not quite fit."""

MATRIX = np.array(
    [
        [1, 0, 0],
        *([1 / -1.5, sign * NEAR / -1.5, NEAR**2 / -1.5] for sign in (1, -1)),
        *([1 / 6, sign * FAR / 6, FAR**2 / 6] for sign in (1, -1)),
        [0, 0, 1],
    ]
)
"""G of `kernels.transforms`."""


class Transformed(ABC):
    """What both have in common."""

    _conv: Convolution

    def forward(
        self, section: Section, x: Buffer, weight: Fixed, start: Fixed, z: Buffer, slope: float, pooled: bool
    ) -> None:
        """Write ``z = x * weight + start``, activated and maybe pooled."""
        U = section.known.get(weight.offset) or self._transformed(section, weight, later=False)
        self._convolve(section, self._conv.corner(x), x, U, start, z, opcodes.NEVER, slope, pooled)

    def input_gradient(self, section: Section, dz: Buffer, weight: Fixed, dx: Buffer, onward: int) -> None:
        """Write the gradient by the input, or add it to what is in dx."""
        U = self._transformed(section, _from_last(section, self._conv, weight), later=True)
        zeros = section.constants.zeros(dx.shape[2])
        self._convolve(section, self._conv.gradient_corner(dz), dz, U, zeros, dx, onward)

    @abstractmethod
    def _transformed(self, section: Section, weight: Fixed, later: bool) -> Fixed:
        """Return where the transformed kernels will lie."""

    @abstractmethod
    def _convolve(
        self, section: Section, corner: Place, x: Buffer, U: Fixed, start: Fixed, y: Buffer, onward: int,
        slope: float = 1.0, pooled: bool = False,
    ) -> None:  # fmt: skip
        """Write ``y = x * U + start``, activated and maybe pooled, or add it to what is in y."""


class Planes(Transformed):
    """3 x 3 by tiles of 4 x 4: a quarter of the multiplications.

    Parameters
    ----------
    conv : Convolution
        For which it `fits`.
    """

    pools, turns = True, True

    def __init__(self, conv: Convolution) -> None:
        self._conv = conv
        self.partial_size = POSITIONS * conv.in_shape[2] * conv.filters

    @staticmethod
    def fits(conv: Convolution) -> bool:
        """Tell whether the channels fill the vectors, and tiles the image."""
        window = conv.window
        return (
            window.kernel == (3, 3)
            and window.stride == window.dilation == (1, 1)
            and conv.groups == 1
            and min(conv.in_shape[2], conv.filters) >= LEAST_CHANNELS
            and all(
                POSITIONS * _tiles(*shape[:2]) < PLANE_WORTHWHILE * 9 * math.prod(shape[:2])
                for shape in (conv.in_shape, conv.out_shape)
            )
        )

    def border(self, border: Border, outputs: tuple[int, ...]) -> Border:
        """Return a border that lets whole tiles of outputs be computed."""
        top, bottom, left, right = border
        return top, bottom + -outputs[0] % TILE, left, right + -outputs[1] % TILE

    def _convolve(
        self, section: Section, corner: Place, x: Buffer, U: Fixed, start: Fixed, y: Buffer, onward: int,
        slope: float = 1.0, pooled: bool = False,
    ) -> None:  # fmt: skip
        C, K = x.shape[2], y.shape[2]
        height, width = (2 * y.shape[0], 2 * y.shape[1]) if pooled else y.shape[:2]
        strip, V, M = _strip(C, K, _tiles(height, width))
        tiles, channels = np.arange(strip), np.arange(C)
        table = section.tables.add(pairs(tiles * whole(C), tiles * whole(K)))
        terms = section.tables.add(pairs(channels, channels * K))
        integers = [C, K, strip, *strides(x), height, width, *strides(y), table, terms, onward, int(pooled)]
        operands = [corner, U.at(), start.at(), y.at(), Place(V), Place(M), section.constants.zeros(K).at()]
        section.emit(opcodes.WINOGRAD, operands, integers, [slope])

    def weight_gradient(self, section: Section, x: Buffer, dz: Buffer, partial: Fixed) -> None:
        """Write how this example's weight gradient is added to the task's `partial`."""
        C, K = x.shape[2], dz.shape[2]
        strip, V, M = _strip(C, K, _tiles(*dz.shape[:2]), lasting=True)
        tiles, channels = np.arange(strip), np.arange(C)
        table = pairs(channels, channels * K)
        terms = section.tables.add(pairs(tiles * whole(C), tiles * whole(K)))
        integers = [
            C, K, strip, *strides(x), *dz.shape[:2], *strides(dz), section.tables.add(rows(table)), len(table), terms,
        ]  # fmt: skip
        zeros = section.constants.zeros(K).at()
        operands = [self._conv.corner(x), dz.at(), None, partial.at(), Place(V), Place(M), zeros]
        section.emit(opcodes.WINOGRAD_GRADIENT, operands, integers)

    def _transformed(self, section: Section, weight: Fixed, later: bool) -> Fixed:
        """Return where the transformed kernels will lie."""
        size = self._conv.in_shape[2] * self._conv.filters
        memory = section.memory.fixed(POSITIONS * size)
        for begin in range(0, size, SHARED):
            integers = [size, begin, min(size, begin + SHARED)]
            section.before(opcodes.WINOGRAD_KERNELS, [weight.at(), memory.at()], integers, later)
        return memory

    def kernels(self, weight: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return kernels (3, 3, C, K) as they are multiplied, (36, C, K)."""
        U = np.einsum("ir,js,rsck->ijck", MATRIX, MATRIX, weight.astype(np.float64))
        return np.asarray(U.reshape(POSITIONS, *weight.shape[2:]), np.float32)


class Lines(Transformed):
    """1-D kernels by tiles of four: half of the multiplications where they are of three, six, nine ... weights.

    Parameters
    ----------
    conv : Convolution
        For which it `fits`.
    """

    pools = False

    def __init__(self, conv: Convolution) -> None:
        self._conv = conv
        self.turns = conv.window.stride[1] == 1 and conv.in_shape[2] >= LEAST_CHANNELS
        self._stride = conv.window.stride[1]
        self._blocks = _blocks(conv)
        self.partial_size = SIDE * self._blocks * self._stride * conv.in_shape[2] * conv.filters

    @staticmethod
    def fits(conv: Convolution) -> bool:
        """Tell whether sums are long enough, and blocks of weights and tiles of outputs waste little."""
        window, (height, _, channels) = conv.window, conv.in_shape
        if height > 1 or window.kernel[0] > 1 or window.padding[0] != (0, 0) or window.dilation != (1, 1):
            return False
        stride, outputs = window.stride[1], conv.out_shape[1]
        numbers = _blocks(conv) * stride * channels  # that an output is the sum of, in each of the six products
        multiplications = SIDE * math.ceil(outputs / TILE) * numbers
        return (
            conv.groups == 1
            and min(numbers, conv.filters) >= LEAST_CHANNELS
            and multiplications <= LINE_WORTHWHILE * outputs * window.kernel[1] * channels
        )

    def border(self, border: Border, outputs: tuple[int, ...]) -> Border:
        """Return a border that lets whole tiles of outputs be computed, and whole blocks of weights."""
        top, bottom, left, right = border
        more = self._stride * (-outputs[1] % TILE + TAPS * self._blocks) - self._conv.window.kernel[1]
        return top, bottom, left, right + more

    def _convolve(
        self, section: Section, corner: Place, x: Buffer, U: Fixed, start: Fixed, y: Buffer, onward: int,
        slope: float = 1.0, pooled: bool = False,
    ) -> None:  # fmt: skip
        assert not pooled
        C, K, width = self._stride * x.shape[2], y.shape[2], y.shape[1]
        strip, apart, V, M = self._strip(C, K, width)
        table = section.tables.add(self._tiles_of(strip, C, K))
        terms = section.tables.add(self._numbers_of(C, K))
        integers = [C, K, self._blocks, strip, apart, width, y.layout.pixel, table, terms, onward]
        operands = [corner, U.at(), start.at(), y.at(), Place(V), Place(M), section.constants.zeros(K).at()]
        section.emit(opcodes.WINOGRAD_LINE, operands, integers, [slope])

    def weight_gradient(self, section: Section, x: Buffer, dz: Buffer, partial: Fixed) -> None:
        """Write how this example's weight gradient is added to the task's `partial`."""
        C, K, width = self._stride * x.shape[2], dz.shape[2], dz.shape[1]
        strip, apart, V, M = self._strip(C, K, width)
        table = self._numbers_of(C, K)
        terms = section.tables.add(self._tiles_of(strip, C, K))
        integers = [
            C, K, self._blocks, strip, apart, width, dz.layout.pixel, section.tables.add(rows(table)), len(table),
            terms,
        ]  # fmt: skip
        zeros = section.constants.zeros(K).at()
        operands = [self._conv.corner(x), dz.at(), None, partial.at(), Place(V), Place(M), zeros]
        section.emit(opcodes.WINOGRAD_LINE_GRADIENT, operands, integers)

    def _strip(self, C: int, K: int, width: int) -> tuple[int, int, Buffer, Buffer]:
        """Return how many tiles go together, from where to where an array of V is, and room for both V and M."""
        tiles = math.ceil(width / TILE)
        a = whole(C) if self._blocks == 1 else TILE * C
        most = max(ROWS, STRIP_NUMBERS // (SIDE * (a + whole(K))) // ROWS * ROWS)
        strip = math.ceil(math.ceil(tiles / math.ceil(tiles / most)) / ROWS) * ROWS
        apart = strip * a if self._blocks == 1 else whole(strip * a + TAPS * self._blocks * C)
        return strip, apart, Buffer((1, 1, SIDE * apart)), Buffer((1, 1, SIDE * strip * whole(K)))

    def _tiles_of(self, strip: int, C: int, K: int) -> NDArray[np.int32]:
        """Return each tile's place in V and in M."""
        tiles = np.arange(strip)
        return pairs(tiles * (whole(C) if self._blocks == 1 else TILE * C), tiles * whole(K))

    def _numbers_of(self, C: int, K: int) -> NDArray[np.int32]:
        """Return the place in V, and in U or the sums, of what each block meets."""
        blocks, channels = np.arange(self._blocks)[:, None], np.arange(C)
        return pairs((TAPS * blocks * C + channels).ravel(), ((SIDE * blocks * C + channels) * K).ravel())

    def _transformed(self, section: Section, weight: Fixed, later: bool) -> Fixed:
        """Return where the transformed kernels will lie."""
        conv = self._conv
        size = self._stride * conv.in_shape[2] * conv.filters
        memory = section.memory.fixed(SIDE * self._blocks * size)
        some = max(1, SHARED // size)
        for begin in range(0, self._blocks, some):
            integers = [size, math.prod(conv.weight_shape), begin, min(self._blocks, begin + some)]
            section.before(opcodes.WINOGRAD_LINE_KERNELS, [weight.at(), memory.at()], integers, later)
        return memory

    def kernels(self, weight: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return kernels (1, S, C, K) as they are multiplied, (blocks, 6, stride * C, K)."""
        size = self._stride * math.prod(weight.shape[2:])
        g = np.zeros((self._blocks * TAPS * size,))
        g[: weight.size] = weight.ravel()
        return np.asarray(np.einsum("ij,bjn->bin", MATRIX, g.reshape(self._blocks, TAPS, size)), np.float32)


def _blocks(conv: Convolution) -> int:
    return math.ceil(math.ceil(conv.window.kernel[1] / conv.window.stride[1]) / TAPS)


def _from_last(section: Section, conv: Convolution, weight: Fixed) -> Fixed:
    """Return where the weights will lie from the last to the first, kernels before channels."""
    order = np.arange(math.prod(conv.weight_shape)).reshape(conv.weight_shape)[::-1, ::-1].swapaxes(2, 3)
    return turned(section, weight, order)


def _tiles(P: int, Q: int) -> int:
    """Return how many tiles P x Q numbers take."""
    return math.ceil(P / TILE) * math.ceil(Q / TILE)


def _strip(C: int, K: int, tiles: int, lasting: bool = False) -> tuple[int, Buffer, Buffer]:
    """Return how many tiles go together, and room for them on both sides of the product.

    Where `lasting`, examples of few tiles share what room there is at most.
    """
    a, b = whole(C), whole(K)
    most = max(ROWS, min(MOST_TILES, STRIP_NUMBERS // (POSITIONS * (a + b))) // ROWS * ROWS)
    even = math.ceil(tiles / math.ceil(tiles / most))
    strip = most if lasting and 2 * tiles <= most else math.ceil(even / ROWS) * ROWS
    V, M = (Buffer((1, 1, POSITIONS * strip * size), lasting=lasting) for size in (a, b))
    return strip, V, M
