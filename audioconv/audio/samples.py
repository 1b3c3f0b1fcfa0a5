"""Samples in memory: channels averaged, another rate, another length; and whole recordings put together from blocks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Samples
from audioconv.errors import ConfigError, ShapeError

# Beyond these a header is broken rather than unusual, and resampling would fill the memory.
LOWEST_RATE, HIGHEST_RATE = 1_000, 1_000_000

FULL_SCALE = 32768
"""The 16-bit integer that stands for 1.0."""

MIN_EXPONENT = -126
"""Of a scale: smaller powers of two are no normal numbers in float32, and slow."""

GROWTH = 1.25
"""A buffer that is full grows by this factor."""

LONG_SIGNAL = 1 << 20
"""Longer signals are searched in chunks of so many samples, to bound the memory that the search takes."""


def to_mono(samples: NDArray[np.floating]) -> Samples:
    """Return the average of the channels of `samples`, (T,) or (T, channels), as (T,) float32."""
    if samples.ndim == 1:
        return samples.astype(np.float32, copy=False)
    if samples.ndim != 2 or samples.shape[1] == 0:
        raise ShapeError(f"a recording has shape (time,) or (time, channels), got {samples.shape}")
    if samples.shape[1] == 1:
        return np.ascontiguousarray(samples[:, 0], np.float32)
    mono: Samples = samples.mean(axis=1, dtype=np.float64).astype(np.float32)
    return mono


def as_float(samples: NDArray[np.float32] | NDArray[np.int16]) -> Samples:
    """Return `samples` with full scale 1, not copied where they have it; integers are of 16 bits.

    >>> as_float(np.array([16384, -32768], np.int16))
    array([ 0.5, -1. ], dtype=float32)
    """
    if samples.dtype != np.int16:
        return samples.astype(np.float32, copy=False)
    return samples * np.float32(1 / FULL_SCALE)


def resample(samples: Samples, from_rate: float, to_rate: float) -> Samples:
    """Return `samples` (T,) at `to_rate` Hz instead of `from_rate`: (round(T * to_rate / from_rate),), at least one.

    Band-limited (soxr, high quality): what the lower rate cannot hold is filtered out.
    """
    _check_rates(from_rate, to_rate)
    if from_rate == to_rate:
        return samples
    import soxr

    changed: Samples = soxr.resample(samples, from_rate, to_rate, quality="HQ")
    return changed if changed.size else samples[:1]


def resample_blocks(blocks: Iterable[Samples], from_rate: float, to_rate: float) -> Iterator[Samples]:
    """Yield the mono `blocks` (T,) of one recording at `to_rate` Hz instead of `from_rate`.

    What is yielded, put together, equals what `resample` makes of the whole recording.
    """
    _check_rates(from_rate, to_rate)
    if from_rate == to_rate:
        yield from blocks
        return
    import soxr

    stream = soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32", quality="HQ")
    came, first = False, np.zeros(0, np.float32)
    for block in blocks:
        if not len(first):
            first = block[:1].copy()
        changed = stream.resample_chunk(block)
        if len(changed):
            came = True
            yield changed
    changed = stream.resample_chunk(np.zeros(0, np.float32), last=True)
    if len(changed):
        yield changed
    elif not came:
        yield first


def _check_rates(*rates: float) -> None:
    for rate in rates:
        if not LOWEST_RATE <= rate <= HIGHEST_RATE:
            raise ConfigError(f"sample rates lie between {LOWEST_RATE} and {HIGHEST_RATE} Hz, got {rate}")


class Recorder:
    """A recording of unknown length that is put together from blocks, in one buffer that grows by little.

    Parameters
    ----------
    dtype : {float32, int16}
    expected : int
        Number of samples that will probably come; memory for them is reserved, and used as they come.
    """

    def __init__(self, dtype: type[np.float32] | type[np.int16], expected: int) -> None:
        self._buffer: NDArray[Any] = np.empty(max(1, expected), dtype)
        self._length = 0

    def append(self, block: NDArray[Any]) -> None:
        """Add samples (T,) of the buffer's type."""
        end = self._length + len(block)
        if end > len(self._buffer):
            # Large buffers are grown by the system's page tables, where it can: there are not two of them.
            self._buffer.resize(max(end, round(GROWTH * len(self._buffer))), refcheck=False)
        self._buffer[self._length : end] = block
        self._length = end

    def halve(self, times: int) -> None:
        """Divide all that came by 2 ** `times`, rounded."""
        for begin in range(0, self._length, LONG_SIGNAL):
            part = self._buffer[begin : min(begin + LONG_SIGNAL, self._length)]
            part[:] = np.rint(part * 0.5**times)

    def take(self) -> NDArray[Any]:
        """Return the recording (T,); the object is used up."""
        buffer, self._buffer = self._buffer, self._buffer[:0]
        buffer.resize(self._length, refcheck=False)
        return buffer


def record(blocks: Iterable[Samples], expected: int) -> Samples:
    """Return mono `blocks` (T,) put together; `expected` as for `Recorder`."""
    recorder = Recorder(np.float32, expected)
    for block in blocks:
        recorder.append(block)
    return recorder.take()


def record_int16(blocks: Iterable[Samples], expected: int) -> tuple[NDArray[np.int16], float]:
    """Return mono `blocks` (T,) put together as (T,) int16, and the scale that gives the samples back.

    The scale is 1 / 32768, and larger by the smallest sufficient power of two where samples exceed full scale.
    """
    recorder, halvings = Recorder(np.int16, expected), 0
    for block in blocks:
        largest = max(float(block.max()), -float(block.min())) * FULL_SCALE if len(block) else 0.0
        needed = halvings
        while np.rint(largest * 0.5**needed) > FULL_SCALE:
            needed += 1
        if needed > halvings:
            recorder.halve(needed - halvings)
            halvings = needed
        scaled = np.rint(block * np.float32(FULL_SCALE * 0.5**halvings))
        # Full scale itself is one more than the largest integer.
        recorder.append(np.minimum(scaled, FULL_SCALE - 1, out=scaled))
    return recorder.take(), 2.0**halvings / FULL_SCALE


def quantised(samples: Samples | NDArray[np.int16]) -> tuple[NDArray[np.int16], float]:
    """Return samples (T,) as (T,) int16, and the scale that gives them back: ``integers * np.float32(scale)``.

    Integers of 16 bits, whose scale is 1 / 32768, are changed in their place.

    The scale is the smallest power of two with which all of them fit. So the product is exact, samples that come from
    16-bit integers (at any gain by powers of two) come back to the bit, and others with an error of half a scale, at
    most 1/32768 of the largest sample: 90 dB below it.

    >>> integers, scale = quantised(np.array([0.5, -1, 0.25], np.float32))
    >>> integers.tolist(), scale == 1 / 32768
    ([16384, -32768, 8192], True)
    """
    if samples.dtype == np.int16:
        return _quantised_integers(samples)
    low, high = float(samples.min(initial=0)), float(samples.max(initial=0))
    peak = max(high, -low)
    if not peak:
        return np.zeros(len(samples), np.int16), 1 / FULL_SCALE
    exponent = max(math.frexp(peak)[1] - 16, MIN_EXPONENT)
    while round(math.ldexp(high, -exponent)) >= FULL_SCALE or round(math.ldexp(low, -exponent)) < -FULL_SCALE:
        exponent += 1
    scaled = samples * np.float32(math.ldexp(1, -exponent))
    return np.rint(scaled, out=scaled).astype(np.int16), math.ldexp(1, exponent)


def _quantised_integers(samples: NDArray[Any]) -> tuple[NDArray[np.int16], float]:
    """Return what `quantised` makes of integers of 16 bits, without a number in floating point."""
    low, high = int(samples.min(initial=0)), int(samples.max(initial=0))
    bits = max(high, ~low).bit_length()  # of the magnitude, where -32768 has as many as 32767
    shift = 15 - bits if low or high else 0
    if shift:
        samples *= 1 << shift if shift < 15 else -1 << 15
    return samples, math.ldexp(1 / FULL_SCALE, -shift)


def fit_length(samples: Samples, length: int) -> Samples:
    """Return `samples` (T,) as exactly `length` samples.

    A shorter clip lies in the middle, between zeros (the odd one behind). Of a longer one, the window with the most
    energy is kept; the earliest of several.

    Examples
    --------
    >>> fit_length(np.array([1, 2], np.float32), 5)
    array([0., 1., 2., 0., 0.], dtype=float32)
    >>> fit_length(np.array([0, 1, 3, 0], np.float32), 2)
    array([1., 3.], dtype=float32)
    """
    begin = fitted_begin(samples, length)
    if len(samples) >= length:
        return samples[begin : begin + length].copy()
    fitted = np.zeros(length, np.float32)
    fitted[-begin : len(samples) - begin] = samples
    return fitted


def fitted_begin(samples: Samples, length: int) -> int:
    """Return which of `samples` (T,) is the first that `fit_length` keeps; below 0, so many zeros come before them.

    Examples
    --------
    >>> fitted_begin(np.array([0, 1, 3, 0], np.float32), 2), fitted_begin(np.array([1, 2], np.float32), 5)
    (1, -1)
    """
    if length < 1:
        raise ConfigError(f"a clip needs at least one sample, got a length of {length}")
    if len(samples) <= length:
        return -((length - len(samples)) // 2)
    # Of a short signal, which is one chunk, the energies are computed once.
    short = list(_window_energies(samples, length)) if len(samples) <= LONG_SIGNAL else None
    highest, total = 0.0, 0.0
    for _, energy, so_far in short or _window_energies(samples, length):
        highest, total = max(highest, float(energy.max())), so_far
    # Windows that differ only by the rounding of the running sum count as equal.
    lowest = highest - 1e-12 * total
    for begin, energy, _ in short or _window_energies(samples, length):
        if energy.max() >= lowest:
            return begin + int(np.argmax(energy >= lowest))
    return 0  # samples that are not finite


def _window_energies(samples: Samples, length: int) -> Iterator[tuple[int, NDArray[np.float64], float]]:
    """Yield the energies of all windows of `length`, in chunks: the first begin, (W,) energies, and the running sum."""
    at_end = 0.0
    for begin in range(0, length, LONG_SIGNAL):
        at_end = float(_running_energy(samples[begin : min(begin + LONG_SIGNAL, length)], at_end)[-1])
    at_begin, count = 0.0, len(samples) - length + 1
    for begin in range(0, count, LONG_SIGNAL):
        end = min(begin + LONG_SIGNAL, count)
        begins = _running_energy(samples[begin:end], at_begin)
        ends = _running_energy(samples[length + begin : length + end], at_end)
        yield begin, ends[: end - begin] - begins[:-1], float(ends[-1])
        at_begin, at_end = float(begins[-1]), float(ends[-1])


def _running_energy(samples: Samples, before: float) -> NDArray[np.float64]:
    """Return the sums (T + 1,) of the squares of `samples` (T,) up to each, `before` added."""
    sums: NDArray[np.float64] = np.concatenate(([before], np.square(samples, dtype=np.float64))).cumsum()
    return sums
