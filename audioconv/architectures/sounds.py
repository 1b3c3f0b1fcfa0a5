"""YAMNet: layers that were pretrained on 521 kinds of sound, and a head."""

from __future__ import annotations

from audioconv.layers import (
    BatchNorm,
    Chain,
    Clamp,
    Conv,
    Dense,
    DepthwiseConv,
    Dropout,
    GlobalAvgPool,
    GlobalMaxPool,
    Layer,
    ReLU,
    Sum,
)

YAMNET_BANDS = 64
"""Mel bands that the network takes."""

SILENCE = -6.9077554
"""Its least input, the logarithm of 0.001 as a float32: the published front end adds 0.001 to a band's magnitude."""

_HEAD_FILTERS = 128

# Filters and stride of each pair of a depthwise and a pointwise convolution, behind one convolution of stride 2.
_PAIRS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
    (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip


def yamnet_layers() -> Chain:
    """Return the convolutions of the network that Google published as YAMNet, ``(frames, 64, 1)`` to ``(n, 2, 1024)``.

    It is MobileNet version 1: 27 convolutions, batch normalisation folded into them, each followed by ReLU6. One vector
    of 1,024 numbers stands for 32 frames and half of the bands. Pretrained parameters are those of `recipe.yamnet`.

    References
    ----------
    A. Howard et al., MobileNets, 2017 (arXiv 1704.04861); S. Hershey et al., CNN architectures for large-scale audio
    classification, ICASSP 2017; https://github.com/tensorflow/models/tree/master/research/audioset/yamnet.
    """

    def padding(stride: int) -> tuple[tuple[int, int], tuple[int, int]]:
        # That of TensorFlow's "same" for an even length. It pads an odd one on both sides, which moves frames by one.
        return ((0, 1), (0, 1)) if stride == 2 else ((1, 1), (1, 1))

    layers: list[Layer] = [Clamp(low=SILENCE), Conv(32, (3, 3), stride=2, padding=padding(2)), Clamp(0.0, 6.0)]
    for filters, stride in _PAIRS:
        layers += [DepthwiseConv((3, 3), stride=stride, padding=padding(stride)), Clamp(0.0, 6.0)]
        layers += [Conv(filters, (1, 1)), Clamp(0.0, 6.0)]
    return Chain(layers)


def yamnet(num_classes: int) -> Layer:
    """Return YAMNet's convolutions with a head: a convolution of one frame, its greatest value and mean, dense."""
    return Chain([
        yamnet_layers(),
        BatchNorm(), Conv(_HEAD_FILTERS, (1, 1), bias=False), BatchNorm(), ReLU(),
        Sum([GlobalMaxPool(), GlobalAvgPool()]), Dropout(0.2), Dense(num_classes),
    ])  # fmt: skip
