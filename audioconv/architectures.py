"""Named networks: functions that return a `Layer`.

Inputs are ``(frames, mels, 1)`` for a ``spectrogram-2d`` network, which serves pictures as well, ``(frames, mels)`` for
a ``spectrogram-1d`` network (mel bands are its channels) and ``(samples, 1)`` for ``samples``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Literal

from audioconv.errors import ConfigError
from audioconv.layers import (
    BatchNorm,
    Chain,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    MaxPool,
    ReLU,
    Residual,
)

InputKind = Literal["spectrogram-2d", "spectrogram-1d", "samples"]


def build(name: str, num_classes: int) -> Layer:
    """Return the network `name` for `num_classes` classes; it gives one logit a class.

    Raises
    ------
    ConfigError
        If there is no such network; names the nearest ones.

    Examples
    --------
    >>> build("cnn", num_classes=10).out_shape((101, 40, 1))
    (10,)
    """
    if num_classes < 2:
        raise ConfigError(f"a classifier needs at least 2 classes, got {num_classes}")
    return _find(name)[0](num_classes)


def input_kind(name: str) -> InputKind:
    """Return what the network `name` takes."""
    return _find(name)[1]


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


def cs231n(num_classes: int) -> Layer:
    """Return the article's, after CS231n: (conv, ReLU, conv, ReLU, pool) three times, ten kernels a layer, dense."""
    convolutions = [Conv(10, (3, 3), padding=1), ReLU(), Conv(10, (3, 3), padding=1), ReLU(), MaxPool((2, 2))]
    return Chain([*convolutions * 3, Flatten(), Dropout(0.2), Dense(num_classes)])


def ds_cnn_s(num_classes: int) -> Layer:
    """Return DS-CNN of 64 channels: depthwise 3 x 3, then 1 x 1, four times (Zhang et al., 2017, arXiv 1711.07128)."""

    def separable() -> list[Layer]:
        return [
            Conv(64, (3, 3), padding=1, groups=64, bias=False), BatchNorm(), ReLU(),
            Conv(64, (1, 1), bias=False), BatchNorm(), ReLU(),
        ]  # fmt: skip

    first = [Conv(64, (10, 4), stride=2, padding=(5, 1), bias=False), BatchNorm(), ReLU()]
    blocks = [layer for _ in range(4) for layer in separable()]
    return Chain([*first, *blocks, GlobalAvgPool(), Dropout(0.2), Dense(num_classes)])


def tc_resnet8(num_classes: int) -> Layer:
    """Return TC-ResNet8: residual blocks of 1-D convolutions over time (Choi et al., 2019, arXiv 1904.03814)."""

    def block(filters: int) -> list[Layer]:
        body = Chain([
            Conv(filters, 9, stride=2, padding=4, bias=False), BatchNorm(), ReLU(),
            Conv(filters, 9, padding=4, bias=False), BatchNorm(),
        ])  # fmt: skip
        shortcut = Chain([Conv(filters, 1, stride=2, bias=False), BatchNorm(), ReLU()])
        return [Residual(body, shortcut), ReLU()]

    return Chain([
        Conv(16, 3, padding=1, bias=False),
        *block(24), *block(32), *block(48),
        GlobalAvgPool(), Dropout(0.2), Dense(num_classes),
    ])  # fmt: skip


def m5(num_classes: int) -> Layer:
    """Return M5, 32 channels wide: 1-D convolutions on raw samples (Dai et al., 2017, arXiv 1610.00087)."""

    def block(filters: int, kernel: int, stride: int = 1) -> list[Layer]:
        return [Conv(filters, kernel, stride=stride), BatchNorm(), ReLU(), MaxPool(4)]

    return Chain([
        *block(32, 80, stride=4), *block(32, 3), *block(64, 3), *block(64, 3),
        GlobalAvgPool(), Dense(num_classes),
    ])  # fmt: skip


_ARCHITECTURES: dict[str, tuple[Callable[[int], Layer], InputKind]] = {
    "cnn": (cnn, "spectrogram-2d"),
    "cs231n": (cs231n, "spectrogram-2d"),
    "ds-cnn-s": (ds_cnn_s, "spectrogram-2d"),
    "tc-resnet8": (tc_resnet8, "spectrogram-1d"),
    "m5": (m5, "samples"),
}

NAMES = tuple(_ARCHITECTURES)


def _find(name: str) -> tuple[Callable[[int], Layer], InputKind]:
    if name not in _ARCHITECTURES:
        near = difflib.get_close_matches(name, NAMES)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ConfigError(f"there is no architecture {name!r}{hint} (known: {', '.join(NAMES)})")
    return _ARCHITECTURES[name]
