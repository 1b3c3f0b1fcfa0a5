"""Named networks: functions that return a `Layer`.

Inputs are ``(frames, mels, 1)`` for a ``spectrogram-2d`` network, which serves pictures as well, ``(frames, mels)`` for
a ``spectrogram-1d`` network (mel bands are its channels) and ``(samples, 1)`` for ``samples``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from audioconv.architectures.pictures import inception_v3, resnet20
from audioconv.architectures.samples import m5, m5_32, m11
from audioconv.architectures.sounds import yamnet
from audioconv.architectures.spectrograms import (
    WIDE,
    bc_resnet,
    cnn,
    cs231n,
    ds_cnn_l,
    ds_cnn_m,
    ds_cnn_s,
    tc_cnn,
    tc_cnn_events,
)
from audioconv.architectures.speech import speech_embedding
from audioconv.architectures.time import matchboxnet, tc_resnet8, tc_resnet14
from audioconv.errors import ConfigError, did_you_mean
from audioconv.layers import Layer

__all__ = ["NAMES", "InputKind", "build", "input_kind"]

InputKind = Literal["spectrogram-2d", "spectrogram-1d", "samples"]

_ARCHITECTURES: dict[str, tuple[Callable[[int], Layer], InputKind]] = {
    "cnn": (cnn, "spectrogram-2d"),
    "tc-cnn": (tc_cnn, "spectrogram-2d"),
    "tc-cnn-l": (partial(tc_cnn, widths=WIDE), "spectrogram-2d"),
    "tc-cnn-events": (tc_cnn_events, "spectrogram-2d"),
    "cs231n": (cs231n, "spectrogram-2d"),
    "ds-cnn-s": (ds_cnn_s, "spectrogram-2d"),
    "ds-cnn-m": (ds_cnn_m, "spectrogram-2d"),
    "ds-cnn-l": (ds_cnn_l, "spectrogram-2d"),
    "tc-resnet8": (tc_resnet8, "spectrogram-1d"),
    "tc-resnet14": (tc_resnet14, "spectrogram-1d"),
    **{f"bc-resnet-{scale:g}": (partial(bc_resnet, scale=scale), "spectrogram-2d") for scale in (1, 1.5, 2, 3, 6, 8)},
    "matchboxnet-3x1x64": (partial(matchboxnet, repeats=1), "spectrogram-1d"),
    "matchboxnet-3x2x64": (partial(matchboxnet, repeats=2), "spectrogram-1d"),
    "m5": (m5, "samples"),
    "m5-32": (m5_32, "samples"),
    "m11": (m11, "samples"),
    "speech-embedding": (speech_embedding, "spectrogram-2d"),
    "yamnet": (yamnet, "spectrogram-2d"),
    "resnet20": (resnet20, "spectrogram-2d"),
    "inception-v3": (inception_v3, "spectrogram-2d"),
}

NAMES = tuple(_ARCHITECTURES)


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


def _find(name: str) -> tuple[Callable[[int], Layer], InputKind]:
    if name not in _ARCHITECTURES:
        meant = did_you_mean(name, NAMES)
        hint = f"; {meant}" if meant else ""
        raise ConfigError(f"there is no architecture {name!r}{hint} (known: {', '.join(NAMES)})")
    return _ARCHITECTURES[name]
