"""2-D networks for spectrograms, ``(frames, mels, 1)``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from audioconv.layers import (
    BatchNorm,
    Chain,
    ChannelDropout,
    Conv,
    Dense,
    Dropout,
    Flatten,
    FrequencyAvgPool,
    GlobalAvgPool,
    GlobalMaxPool,
    Layer,
    MaxPool,
    ReLU,
    Residual,
    SiLU,
    SubSpectralNorm,
    Sum,
)


def cnn(num_classes: int) -> Layer:
    """Return the default: four convolutions of 3 x 3 with batch normalisation, three of them pooled."""

    def block(filters: int) -> list[Layer]:
        return [Conv(filters, (3, 3), padding="same", bias=False), BatchNorm(), ReLU()]

    return Chain([
        *block(16), MaxPool((2, 2)),
        *block(32), MaxPool((2, 2)),
        *block(64), MaxPool((2, 2)),
        *block(64),
        GlobalAvgPool(), Dropout(0.2), Dense(num_classes),
    ])  # fmt: skip


WIDE = (24, 48, 64, 96)
"""Filters of the wider networks that look along time."""


def tc_cnn(num_classes: int, widths: Sequence[int] = (16, 32, 48, 64)) -> Layer:
    """Return what `cnn` begins with, then one convolution over all frequencies that are left, then two along time.

    The mean over time at the end discards the order of the sounds, so words with the same sounds in another order are
    alike to it; the convolutions along time (5 x 80 ms, twice) have seen the order by then. For 40 bands.

    Parameters
    ----------
    num_classes : int
    widths : sequence of int
        Filters of the first, second and third convolution, and of those behind them.
    """
    return _along_time(num_classes, widths, GlobalAvgPool())


def tc_cnn_events(num_classes: int) -> Layer:
    """Return `tc_cnn`, wider, with the greatest value over time added to the mean at the end.

    In a clip of several seconds, a bark is a small part of the mean and the whole of the greatest value; rain is all of
    the mean. The sum of both is that of PANNs (Kong et al., 2020, arXiv 1912.10211).
    """
    return _along_time(num_classes, WIDE, Sum([GlobalMaxPool(), GlobalAvgPool()]))


def _along_time(num_classes: int, widths: Sequence[int], pool: Layer) -> Layer:
    def block(filters: int, kernel: tuple[int, int], padding: Literal["same", "valid"] = "same") -> list[Layer]:
        return [Conv(filters, kernel, padding=padding, bias=False), BatchNorm(), ReLU()]

    first, second, third, last = widths
    return Chain([
        *block(first, (3, 3)), MaxPool((2, 2)),
        *block(second, (3, 3)), MaxPool((2, 2)),
        *block(third, (3, 3)), MaxPool((2, 2)),
        *block(last, (1, 5), "valid"),
        *block(last, (5, 1)),
        *block(last, (5, 1)),
        pool, Dropout(0.2), Dense(num_classes),
    ])  # fmt: skip


def cs231n(num_classes: int) -> Layer:
    """Return the article's, after CS231n: (conv, ReLU, conv, ReLU, pool) three times, ten kernels a layer, dense."""
    convolutions = [Conv(10, (3, 3), padding=1), ReLU(), Conv(10, (3, 3), padding=1), ReLU(), MaxPool((2, 2))]
    return Chain([*convolutions * 3, Flatten(), Dropout(0.2), Dense(num_classes)])


def ds_cnn_s(num_classes: int) -> Layer:
    """Return DS-CNN of 64 channels: depthwise 3 x 3, then 1 x 1, four times (Zhang et al., 2017, arXiv 1711.07128)."""
    return _ds_cnn(num_classes, 64, 4, Conv(64, (10, 4), stride=2, padding=(5, 1), bias=False))


def ds_cnn_m(num_classes: int) -> Layer:
    """Return DS-CNN of 172 channels; as `ds_cnn_s`, but the second layer strides as well."""
    return _ds_cnn(num_classes, 172, 4, Conv(172, (10, 4), stride=(2, 1), padding="same", bias=False), second_stride=2)


def ds_cnn_l(num_classes: int) -> Layer:
    """Return DS-CNN of 276 channels and five blocks; as `ds_cnn_m`."""
    return _ds_cnn(num_classes, 276, 5, Conv(276, (10, 4), stride=(2, 1), padding="same", bias=False), second_stride=2)


def _ds_cnn(num_classes: int, filters: int, blocks: int, first: Conv, second_stride: int = 1) -> Layer:
    def separable(stride: int) -> list[Layer]:
        return [
            Conv(filters, (3, 3), stride=stride, padding=1, groups=filters, bias=False), BatchNorm(), ReLU(),
            Conv(filters, (1, 1), bias=False), BatchNorm(), ReLU(),
        ]  # fmt: skip

    body = [layer for n in range(blocks) for layer in separable(second_stride if n == 0 else 1)]
    return Chain([first, BatchNorm(), ReLU(), *body, GlobalAvgPool(), Dropout(0.2), Dense(num_classes)])


def bc_resnet(num_classes: int, scale: float) -> Layer:
    """Return BC-ResNet (Kim et al., 2021, arXiv 2106.04140), `scale` times as wide as the smallest.

    Each block adds what it finds along time, in the mean of all bands, to every band: the broadcasted residual. Takes
    spectrograms of 40 mels; of others, half the bands, rounded up, must divide by 5 and twice by 2.
    """
    base = round(8 * scale)
    widths = [base, int(1.5 * base), 2 * base, int(2.5 * base)]
    layers: list[Layer] = [Conv(2 * base, (5, 5), stride=(1, 2), padding=2, bias=False), BatchNorm(), ReLU()]
    channels = 2 * base
    for stage, (width, repeats) in enumerate(zip(widths, (2, 2, 4, 4), strict=True)):
        for n in range(repeats):
            stride = 2 if n == 0 and stage in (1, 2) else 1
            layers += _broadcasted_block(channels, width, stride, dilation=2**stage)
            channels = width
    return Chain([
        *layers,
        Conv(channels, (5, 5), padding=(2, 0), groups=channels, bias=False),
        Conv(4 * base, (1, 1), bias=False), BatchNorm(), ReLU(),
        GlobalAvgPool(), Dense(num_classes),
    ])  # fmt: skip


def _broadcasted_block(channels: int, width: int, stride: int, dilation: int) -> list[Layer]:
    along_time = Chain([
        FrequencyAvgPool(),
        Conv(width, (3, 1), padding=(dilation, 0), dilation=(dilation, 1), groups=width, bias=False), BatchNorm(),
        SiLU(), Conv(width, (1, 1), bias=False), ChannelDropout(0.1),
    ])  # fmt: skip
    along_bands = [
        Conv(width, (1, 3), stride=(1, stride), padding=(0, 1), groups=width, bias=False), SubSpectralNorm(5),
    ]  # fmt: skip
    if channels == width:
        return [Residual(Chain([*along_bands, Residual(along_time)])), ReLU()]
    transition = [Conv(width, (1, 1), bias=False), BatchNorm(), ReLU()]
    return [*transition, *along_bands, Residual(along_time), ReLU()]
