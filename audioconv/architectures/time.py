"""1-D networks for spectrograms, ``(frames, mels)``: the bands are the channels."""

from __future__ import annotations

from audioconv.layers import BatchNorm, Chain, Conv, Dense, DepthwiseConv, Dropout, GlobalAvgPool, Layer, ReLU, Residual


def tc_resnet8(num_classes: int) -> Layer:
    """Return TC-ResNet8: residual blocks of 1-D convolutions over time (Choi et al., 2019, arXiv 1904.03814)."""
    return _tc_resnet(num_classes, (24, 32, 48), blocks=1)


def tc_resnet14(num_classes: int) -> Layer:
    """Return TC-ResNet14: as `tc_resnet8`, with a second block behind each."""
    return _tc_resnet(num_classes, (24, 32, 48), blocks=2)


def _tc_resnet(num_classes: int, widths: tuple[int, ...], blocks: int) -> Layer:
    def block(filters: int, stride: int) -> list[Layer]:
        body = Chain([
            Conv(filters, 9, stride=stride, padding=4, bias=False), BatchNorm(), ReLU(),
            Conv(filters, 9, padding=4, bias=False), BatchNorm(),
        ])  # fmt: skip
        if stride == 1:
            return [Residual(body), ReLU()]
        return [Residual(body, Chain([Conv(filters, 1, stride=stride, bias=False), BatchNorm(), ReLU()])), ReLU()]

    body = [layer for filters in widths for n in range(blocks) for layer in block(filters, 2 if n == 0 else 1)]
    return Chain([
        Conv(16, 3, padding=1, bias=False), *body, GlobalAvgPool(), Dropout(0.2), Dense(num_classes),
    ])  # fmt: skip


def matchboxnet(num_classes: int, repeats: int) -> Layer:
    """Return MatchboxNet-3x`repeats`x64 (Majumdar and Ginsburg, 2020, arXiv 2004.08531).

    Between a first and two last convolutions, three residual blocks of 64 channels, each of `repeats` convolutions. All
    but those of 1 are separable: depthwise over time, then 1 x 1.
    """

    def separable(filters: int, kernel: int, dilation: int = 1) -> list[Layer]:
        depthwise = DepthwiseConv(kernel, padding="same", dilation=dilation, bias=False)
        return [depthwise, Conv(filters, 1, bias=False), BatchNorm()]

    def block(kernel: int) -> list[Layer]:
        hidden = [layer for _ in range(repeats - 1) for layer in (*separable(64, kernel), ReLU(), Dropout(0.1))]
        body = Chain([*hidden, *separable(64, kernel)])
        return [Residual(body, Chain([Conv(64, 1, bias=False), BatchNorm()])), ReLU(), Dropout(0.1)]

    return Chain([
        *separable(128, 11), ReLU(),
        *block(13), *block(15), *block(17),
        *separable(128, 29, dilation=2), ReLU(),
        Conv(128, 1, bias=False), BatchNorm(), ReLU(),
        GlobalAvgPool(), Dense(num_classes),
    ])  # fmt: skip
