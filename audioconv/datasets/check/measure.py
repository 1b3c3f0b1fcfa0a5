"""Measurements of a recording or a picture, from one reading."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv.audio.read import Blocks, Segment, blocks, part
from audioconv.datasets.collection import Collection, Kind
from audioconv.errors import DataError
from audioconv.io.columns import Lazy
from audioconv.io.parallel import read_in_parallel

CLIPPED_LEVEL, CLIPPED_RUN, CLIPPED_SHARE = 0.98, 3, 0.001
"""Samples beyond the level that are equal to their neighbours, so many in a row, are clipped; up to this share passes.

The level is below full scale because mu-law ends there, and because recordings are made quieter after they were cut.
"""
FLOOR = -120.0
"""Level of digital silence in dBFS, as JSON has no minus infinity."""


@dataclass(frozen=True, slots=True)
class Sound:
    """Measurements of a recording, or of its part that is the clip. The channels are averaged.

    Attributes
    ----------
    digest : bytes
        SHA-256 of the decoded samples and their rate.
    seconds : float
        Its length.
    sample_rate : int
        In Hz.
    channels : int
        Number of channels of the file.
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
        """True if all samples are equal."""
        return self.peak <= FLOOR


@dataclass(frozen=True, slots=True)
class Picture:
    """Measurements of a picture.

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
        """True if all pixels are equal."""
        return self.contrast == 0


class Measurements(Lazy[Sound | Picture | None]):
    """The measurements of many clips, None for one that cannot be read: 80 bytes for each.

    Attributes
    ----------
    table : structured array (N,)
        With the fields of `Sound` or `Picture`.
    is_readable : array (N,) bool
    failures : dict of int to DataError
        Why the others cannot be read, by their place.
    """

    def __init__(self, count: int, kind: Kind) -> None:
        self._kind: type[Sound | Picture] = Picture if kind == "images" else Sound
        self.table = np.zeros(count, _ROWS[self._kind])
        self.is_readable = np.zeros(count, bool)
        self.failures: dict[int, DataError] = {}

    @classmethod
    def of(cls, found: Sequence[Sound | Picture | DataError], kind: Kind) -> Measurements:
        """Return what was found of each clip as one table."""
        measured = cls(len(found), kind)
        for place, one in enumerate(found):
            measured.put(place, one)
        return measured

    def put(self, place: int, found: Sound | Picture | DataError) -> None:
        """Set what was found of the clip at a place."""
        if isinstance(found, DataError):
            self.failures[place] = found
        else:
            self.table[place] = astuple(found)
            self.is_readable[place] = True

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.table)

    def _make(self, place: int) -> Sound | Picture | None:
        if not self.is_readable[place]:
            return None
        digest, *numbers = self.table[place].tolist()
        return self._kind(bytes(digest), *numbers)

    @property
    def is_empty(self) -> NDArray[np.bool_]:
        """Whether all samples or pixels of each clip are equal, (N,)."""
        empty = self.table["contrast"] == 0 if self._kind is Picture else self.table["peak"] <= FLOOR
        return np.asarray(empty & self.is_readable)


_ROWS: dict[type[Sound | Picture], Any] = {
    Sound: [("digest", "V32"), ("seconds", float), ("sample_rate", np.int64), ("channels", np.int16)]
    + [(name, float) for name in ("loudness", "peak", "clipped", "offset")],
    Picture: [("digest", "V32"), ("height", np.int32), ("width", np.int32), ("channels", np.int16)]
    + [(name, float) for name in ("brightness", "contrast")],
}


def measure_all(collection: Collection, on_file: Callable[[], object] | None) -> Measurements:
    """Return what is measured of each clip; of its samples nothing stays in memory."""
    measure: Callable[[Any], Sound | Picture] = measure_picture if collection.kind == "images" else measure_sound
    measured = Measurements(len(collection), collection.kind)
    # SHA-256, too, lets other Python threads run meanwhile.
    for place, found in enumerate(read_in_parallel(collection.examples, measure, on_file=on_file)):
        measured.put(place, found)
    return measured


def measure_sound(example: Path | Segment) -> Sound:
    """Return the numbers of a recording or a part of one at its own rate; raises `DataError` as `audio.read` does."""
    if isinstance(example, Segment):
        with part(example) as found:
            return _measured(found)
    with blocks(example) as found:
        return _measured(found)


def _measured(found: Blocks) -> Sound:
    numbers = _Numbers()
    for block in found.mono():
        numbers.add(block)
    rate = found.info.sample_rate
    numbers.digest.update(rate.to_bytes(4, "little"))
    return Sound(
        numbers.digest.digest(),
        numbers.count / rate,
        rate,
        found.info.channels,
        _decibels(numbers.spread),
        _decibels(numbers.peak),
        numbers.clipped / numbers.count,
        numbers.mean,
    )


class _Numbers:
    """The numbers of a recording, from its blocks: none of them stays in memory.

    Attributes
    ----------
    digest : hash
        SHA-256 of the samples.
    count : int
        Number of samples.
    mean : float
    clipped : int
        Number of samples in runs that are cut off flat near full scale.
    """

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.count, self.mean, self.clipped = 0, 0.0, 0
        self._squares = 0.0  # sum of the squared distances from the mean
        self._highest, self._lowest = -math.inf, math.inf
        # The run of equal high samples with which the last block ended.
        self._run_value, self._run_length = 0.0, 0

    @property
    def spread(self) -> float:
        """Root mean square without the offset."""
        # Rounding would give silence with an offset a sound.
        return math.sqrt(self._squares / self.count) if self._highest > self._lowest else 0.0

    @property
    def peak(self) -> float:
        """The largest sample without the offset."""
        if self._highest <= self._lowest:
            return 0.0
        return max(self._highest - self.mean, self.mean - self._lowest)

    def add(self, samples: NDArray[np.float32]) -> None:
        """Take the next samples (T,), at least one."""
        self.digest.update(samples.tobytes())
        mean = float(samples.mean(dtype=np.float64))
        squares = len(samples) * float(samples.var(dtype=np.float64))
        # Chan, Golub and LeVeque (1979): the moments of two parts together.
        total, distance = self.count + len(samples), mean - self.mean
        self._squares += squares + distance**2 * self.count * len(samples) / total
        self.mean = mean if not self.count else self.mean + distance * len(samples) / total
        self.count = total
        self._highest = max(self._highest, float(samples.max()))
        self._lowest = min(self._lowest, float(samples.min()))
        self._add_clipped(samples)

    def _add_clipped(self, samples: NDArray[np.float32]) -> None:
        begins, lengths = _runs(samples)
        before, self._run_length = self._run_length, 0
        if not len(begins):
            return
        if begins[0] == 0 and samples[0] == self._run_value and before:
            # Of a run that was too short so far, the samples before count only now.
            self.clipped -= before if before >= CLIPPED_RUN else 0
            lengths[0] += before
        self.clipped += int(lengths[lengths >= CLIPPED_RUN].sum())
        if abs(samples[-1]) >= CLIPPED_LEVEL:
            self._run_value, self._run_length = float(samples[-1]), int(lengths[-1])


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


def _runs(samples: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return begins and lengths of the runs of equal samples near full scale in `samples` (T,), in order."""
    high = np.flatnonzero(np.abs(samples) >= CLIPPED_LEVEL)
    if not len(high):
        return high, high
    # A run ends where the next high sample is not beside this one or not equal to it.
    ends = np.flatnonzero((np.diff(high) > 1) | (np.diff(samples[high]) != 0))
    lengths = np.diff(np.concatenate(([-1], ends, [len(high) - 1])))
    return high[np.concatenate(([0], ends + 1))], lengths


def _decibels(level: float) -> float:
    return max(FLOOR, 20 * math.log10(level)) if level > 0 else FLOOR
