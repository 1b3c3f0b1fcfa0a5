"""The speech embedding network: layers that were pretrained on speech, and a head along time."""

from __future__ import annotations

from audioconv.layers import (
    BatchNorm,
    Chain,
    Clamp,
    Conv,
    Dense,
    Dropout,
    GlobalAvgPool,
    GlobalMaxPool,
    Layer,
    LeakyReLU,
    MaxPool,
    ReLU,
    Sum,
)

EMBEDDING_FRAMES, EMBEDDING_BANDS, EMBEDDING_STRIDE = 76, 32, 8
"""Frames and mel bands that one embedding is computed from, and frames between two of them."""

CONTEXT_FRAMES = 32
"""Frames of silence before and behind a clip. Without them a clip of 1 s has 4 embeddings, in all of which the same
middle of it lies; with them it has 12, the first of its beginning alone. docs/recipes.md has their effect."""

_HEAD_FILTERS = 64


def embedding_layers(context_frames: int = 0) -> Chain:
    """Return the network that Google published as ``speech_embedding``, ``(frames, 32, 1)`` to ``(n, 1, 96)``.

    20 convolutions without padding along time: T frames give ``(T - 76) // 8 + 1`` embeddings, each of 96 numbers and
    of 0.76 s. Its parameters, batch normalisation folded into them, are the pretrained ones of
    `recipe.speech_embedding`.

    Parameters
    ----------
    context_frames : int
        Frames of silence that are added before and behind the input. Default: 0, as published.

    References
    ----------
    J. Lin et al., Training keyword spotters with limited and synthesized speech data, ICASSP 2020.
    """

    def block(filters: int) -> list[Layer]:
        pair = (
            Conv(filters, (1, 3), padding=(0, 1)), LeakyReLU(0.2), Clamp(low=-0.4),
            Conv(filters, (3, 1)), LeakyReLU(0.2), Clamp(low=-0.4),
        )  # fmt: skip
        return list(pair)

    return Chain([
        Conv(24, (3, 3), padding=(context_frames, 1)), LeakyReLU(0.2), Clamp(low=-0.4),
        *block(24), MaxPool((2, 2)),
        *block(48), *block(48), MaxPool((1, 2)),
        *block(72), *block(72), MaxPool((2, 2)),
        *block(96), *block(96), MaxPool((1, 2)),
        *block(96), *block(96), MaxPool((2, 2)),
        Conv(96, (3, 1), bias=False),
    ])  # fmt: skip


def speech_embedding(num_classes: int, context_frames: int = CONTEXT_FRAMES) -> Layer:
    """Return the speech embedding network with a head: a convolution along time, its greatest value and mean, dense."""
    return Chain([
        embedding_layers(context_frames),
        BatchNorm(), Conv(_HEAD_FILTERS, (3, 1), padding="same", bias=False), BatchNorm(), ReLU(),
        Sum([GlobalMaxPool(), GlobalAvgPool()]), Dropout(0.2), Dense(num_classes),
    ])  # fmt: skip
