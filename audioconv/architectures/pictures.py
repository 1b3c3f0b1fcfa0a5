"""Networks for pictures, ``(height, width, channels)``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from audioconv.geometry import Padding
from audioconv.layers import (
    AvgPool,
    BatchNorm,
    Chain,
    Concat,
    Conv,
    Dense,
    Dropout,
    GlobalAvgPool,
    Layer,
    MaxPool,
    ReLU,
    Residual,
)


def resnet20(num_classes: int) -> Layer:
    """Return ResNet-20 for small pictures (He et al., 2016, arXiv 1512.03385, section 4.2).

    Where a block changes the size, its shortcut is a 1 x 1 convolution (the paper's option B).
    """

    def block(channels: int, filters: int) -> list[Layer]:
        stride = 1 if channels == filters else 2
        body = Chain([
            Conv(filters, (3, 3), stride=stride, padding=1, bias=False), BatchNorm(), ReLU(),
            Conv(filters, (3, 3), padding=1, bias=False), BatchNorm(),
        ])  # fmt: skip
        if channels == filters:
            return [Residual(body), ReLU()]
        return [Residual(body, Chain([Conv(filters, (1, 1), stride=2, bias=False), BatchNorm()])), ReLU()]

    widths = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64]
    blocks = [layer for before, filters in pairwise(widths) for layer in block(before, filters)]
    first = [Conv(16, (3, 3), padding=1, bias=False), BatchNorm(), ReLU()]
    return Chain([*first, *blocks, GlobalAvgPool(), Dense(num_classes)])


def inception_v3(num_classes: int) -> Layer:
    """Return Inception-v3 without its auxiliary head (Szegedy et al., 2016, arXiv 1512.00567).

    Made for 299 x 299 pixels in three colours; takes pictures from 75 x 75 on. The layers are those of the authors'
    later program, which the published weights are for.
    """
    return Chain([
        *_conv(32, 3, stride=2), *_conv(32, 3), *_conv(64, 3, padding=1), MaxPool((3, 3), stride=2),
        *_conv(80, 1), *_conv(192, 3), MaxPool((3, 3), stride=2),
        _inception_a(32), _inception_a(64), _inception_a(64),
        _shrink_to_17(),
        _inception_c(128), _inception_c(160), _inception_c(160), _inception_c(192),
        _shrink_to_8(),
        _inception_e(), _inception_e(),
        GlobalAvgPool(), Dropout(0.5), Dense(num_classes),
    ])  # fmt: skip


def _conv(filters: int, kernel: int | Sequence[int], stride: int = 1, padding: Padding = 0) -> list[Layer]:
    size = (kernel, kernel) if isinstance(kernel, int) else tuple(kernel)
    return [Conv(filters, size, stride=stride, padding=padding, bias=False), BatchNorm(epsilon=1e-3), ReLU()]


def _pooled(filters: int) -> Chain:
    return Chain([AvgPool((3, 3), stride=1, padding=1), *_conv(filters, 1)])


def _inception_a(pool_filters: int) -> Layer:
    """Return the block of 35 x 35: kernels of 1, 5 and twice 3."""
    return Concat([
        Chain(_conv(64, 1)),
        Chain([*_conv(48, 1), *_conv(64, 5, padding=2)]),
        Chain([*_conv(64, 1), *_conv(96, 3, padding=1), *_conv(96, 3, padding=1)]),
        _pooled(pool_filters),
    ])  # fmt: skip


def _shrink_to_17() -> Layer:
    return Concat([
        Chain(_conv(384, 3, stride=2)),
        Chain([*_conv(64, 1), *_conv(96, 3, padding=1), *_conv(96, 3, stride=2)]),
        MaxPool((3, 3), stride=2),
    ])  # fmt: skip


def _inception_c(hidden: int) -> Layer:
    """Return the block of 17 x 17: kernels of 1, and of 7 one axis after the other."""
    return Concat([
        Chain(_conv(192, 1)),
        Chain([*_conv(hidden, 1), *_wide(hidden), *_high(192)]),
        Chain([*_conv(hidden, 1), *_high(hidden), *_wide(hidden), *_high(hidden), *_wide(192)]),
        _pooled(192),
    ])  # fmt: skip


def _wide(filters: int) -> list[Layer]:
    return _conv(filters, (1, 7), padding=(0, 3))


def _high(filters: int) -> list[Layer]:
    return _conv(filters, (7, 1), padding=(3, 0))


def _shrink_to_8() -> Layer:
    return Concat([
        Chain([*_conv(192, 1), *_conv(320, 3, stride=2)]),
        Chain([*_conv(192, 1), *_wide(192), *_high(192), *_conv(192, 3, stride=2)]),
        MaxPool((3, 3), stride=2),
    ])  # fmt: skip


def _inception_e() -> Layer:
    """Return the block of 8 x 8: kernels of 1, and of 3 along each axis side by side."""
    both = Concat([Chain(_conv(384, (1, 3), padding=(0, 1))), Chain(_conv(384, (3, 1), padding=(1, 0)))])
    return Concat([
        Chain(_conv(320, 1)),
        Chain([*_conv(384, 1), both]),
        Chain([*_conv(448, 1), *_conv(384, 3, padding=1), both]),
        _pooled(192),
    ])  # fmt: skip
