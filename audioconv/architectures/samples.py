"""Networks for samples, ``(samples, 1)`` (Dai et al., 2017, arXiv 1610.00087)."""

from __future__ import annotations

from collections.abc import Sequence

from audioconv.layers import BatchNorm, Chain, Conv, Dense, GlobalAvgPool, Layer, MaxPool, ReLU


def m5(num_classes: int) -> Layer:
    """Return M5: four convolutions, each pooled by four."""
    return _deep(num_classes, [[128], [128], [256], [512]], pool_last=True)


def m5_32(num_classes: int) -> Layer:
    """Return M5 as it is often built: 32 channels wide at first, 64 at last."""
    return _deep(num_classes, [[32], [32], [64], [64]], pool_last=True)


def m11(num_classes: int) -> Layer:
    """Return M11: ten convolutions in five groups."""
    return _deep(num_classes, [[64], [64] * 2, [128] * 2, [256] * 3, [512] * 2], pool_last=False)


def _deep(num_classes: int, groups: Sequence[Sequence[int]], *, pool_last: bool) -> Layer:
    """Return convolutions of 3 behind a first one of 80 samples, pooled behind each group."""
    layers: list[Layer] = []
    for place, group in enumerate(groups):
        for filters in group:
            layers += [Conv(filters, 3) if layers else Conv(filters, 80, stride=4), BatchNorm(), ReLU()]
        if pool_last or place < len(groups) - 1:
            layers.append(MaxPool(4))
    return Chain([*layers, GlobalAvgPool(), Dense(num_classes)])
