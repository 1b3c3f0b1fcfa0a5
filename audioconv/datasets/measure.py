"""Measuring clips: the numbers of a recording or a picture, from one reading of it."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audioconv.audio.read import Segment, probe, read, read_window
from audioconv.datasets.collection import Collection, Item
from audioconv.errors import DataError

CLIPPED_LEVEL, CLIPPED_RUN, CLIPPED_SHARE = 0.98, 3, 0.001
"""Samples beyond the level that are equal to their neighbours, so many in a row, are clipped; up to this share passes.

The level is below full scale because mu-law ends there, and because recordings are made quieter after they were cut.
"""
FLOOR = -120.0
"""dBFS; digital silence has this level, since minus infinity is no number that JSON knows."""


@dataclass(frozen=True, slots=True)
class Sound:
    """What was measured of a recording, or of the part of one that is the clip. The channels are averaged.

    Attributes
    ----------
    digest : bytes
        SHA-256 of the decoded samples and their rate.
    seconds : float
        Its length.
    sample_rate : int
        In Hz.
    channels : int
        Of the file.
    loudness : float
        Root mean square without the offset, in dBFS: a full-scale square wave has 0.
    peak : float
        The largest sample without the offset, in dBFS.
    clipped : float
        Share of the samples that were cut off, 0 to 1.
    offset : float
        Mean of the samples; full scale is 1.
    """

    digest: bytes
    seconds: float
    sample_rate: int
    channels: int
    loudness: float
    peak: float
    clipped: float
    offset: float

    @property
    def is_empty(self) -> bool:
        """Whether all samples are equal."""
        return self.peak <= FLOOR


@dataclass(frozen=True, slots=True)
class Picture:
    """What was measured of a picture.

    Attributes
    ----------
    digest : bytes
        SHA-256 of the pixels and their shape.
    height, width : int
        In pixels.
    channels : int
        1 for grey, 3 for colours.
    brightness : float
        Mean of the pixels, 0 to 1.
    contrast : float
        Standard deviation of the pixels in each channel, 0 to 0.5; the root of the mean square over channels.
    """

    digest: bytes
    height: int
    width: int
    channels: int
    brightness: float
    contrast: float

    @property
    def is_empty(self) -> bool:
        """Whether all pixels are equal."""
        return self.contrast == 0


def measure_all(collection: Collection, on_file: Callable[[], object] | None) -> Iterator[Sound | Picture | DataError]:
    """Yield what is measured of each clip, in order; of its samples nothing stays in memory."""
    measure = measure_picture if collection.kind == "images" else measure_sound

    def attempt(item: Item) -> Sound | Picture | DataError:
        try:
            return measure(item.example)
        except DataError as error:
            return error

    # The libraries that decode, and SHA-256, let other Python threads run meanwhile.
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        try:
            for one in pool.map(attempt, collection.items):
                yield one
                if on_file is not None:
                    on_file()
        except BaseException:  # Ctrl-C too: leaving the block would wait for all files to be read
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def measure_sound(example: Path | Segment) -> Sound:
    """Return the numbers of a recording or a part of one at its own rate; raises `DataError` as `audio.read` does."""
    header = probe(example.path if isinstance(example, Segment) else example)
    rate = header.sample_rate
    if isinstance(example, Segment):
        samples = read_window(example, rate, max(1, round(example.duration * rate)))
    else:
        samples = read(example, rate)
    offset = float(samples.mean(dtype=np.float64))
    # Rounding would give silence with an offset a sound.
    is_flat = np.ptp(samples) == 0
    spread = 0.0 if is_flat else float(samples.std(dtype=np.float64))
    peak = 0.0 if is_flat else max(float(samples.max()) - offset, offset - float(samples.min()))
    return Sound(
        hashlib.sha256(samples.tobytes() + rate.to_bytes(4, "little")).digest(),
        len(samples) / rate,
        rate,
        header.channels,
        _decibels(spread),
        _decibels(peak),
        _clipped_share(samples),
        offset,
    )


def measure_picture(example: Path | Segment) -> Picture:
    """Return the numbers of a picture; raises `DataError` as `images.read` does."""
    from audioconv.images.read import read as read_picture

    assert not isinstance(example, Segment), "pictures have no parts"
    pixels = read_picture(example)
    height, width, channels = pixels.shape
    return Picture(
        hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest(),
        height,
        width,
        channels,
        float(pixels.mean()),
        # As with silence: rounding would give equal pixels a contrast.
        float(np.sqrt(pixels.var(axis=(0, 1)).mean())) if np.ptp(pixels, axis=(0, 1)).any() else 0.0,
    )


def _clipped_share(samples: NDArray[np.float32]) -> float:
    """Return the share of `samples` (T,) in runs that are cut off flat near full scale."""
    high = np.flatnonzero(np.abs(samples) >= CLIPPED_LEVEL)
    if len(high) < CLIPPED_RUN:
        return 0.0
    # A run ends where the next high sample is not beside this one or not equal to it.
    ends = np.flatnonzero((np.diff(high) > 1) | (np.diff(samples[high]) != 0))
    lengths = np.diff(np.concatenate(([-1], ends, [len(high) - 1])))
    return float(lengths[lengths >= CLIPPED_RUN].sum()) / len(samples)


def _decibels(level: float) -> float:
    return max(FLOOR, 20 * math.log10(level)) if level > 0 else FLOOR
