"""What the pictures of docs/convolution.md begin with, and what is computed of it."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv import ops
from audioconv.audio import LogMel
from drawing.still_life import still_life
from drawing.utterance import SAMPLE_RATE, seven

Array = NDArray[Any]

KERNELS = np.array([
    [[-0.2, 0.0, 0.5], [1.0, 0.3, -0.6], [0.0, 0.0, 0.8]],
    [[0.0, 0.0, 0.0], [0.8, -0.5, 0.8], [0.0, -0.2, 0.0]],
    [[0.4, 0.2, -0.2], [-0.8, 0.0, 0.8], [0.0, -0.5, 0.2]],
], np.float32)  # fmt: skip
"""The article's three kernels; the last one brings out edges."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


@functools.cache
def photo() -> Array:
    """Return the picture, (256, 256, 3)."""
    return still_life(256)


@functools.cache
def grey_photo() -> Array:
    """Return the picture in grey, (256, 256)."""
    grey: Array = photo() @ LUMA
    return grey


@functools.cache
def spectrogram() -> Array:
    """Return the log-mel spectrogram of a word, (101 frames, 40 bands): 0 is its quietest place and 1 its loudest."""
    decibels = LogMel(SAMPLE_RATE)(seven())[0]
    scaled: Array = (decibels - decibels.min()) / np.ptp(decibels)
    return scaled


def convolved(x: Array, kernel: Array, padding: int = 1, stride: int = 1) -> Array:
    """Convolve one channel (H, W) with one kernel."""
    return ops.conv2d(x[None, :, :, None], kernel[:, :, None, None], padding=padding, stride=stride)[0, :, :, 0]


def per_channel(x: Array, kernel: Array) -> Array:
    """Convolve each channel of x (H, W, C) with the same kernel, by itself."""
    channels = x.shape[2]
    weight = np.repeat(kernel[:, :, None, None], channels, axis=3)
    return ops.conv2d(x[None], weight, padding=1, groups=channels)[0]
