"""Segments of running speech: stretches between two dips of the loudness, about as long as words and syllables are."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from audioconv._types import Samples

HOP_SECONDS, SMOOTHED_HOPS = 0.010, 7
"""The loudness is measured every 10 ms and smoothed over 70 ms."""

NEAR_HOPS, AROUND_HOPS, MIN_DEPTH_DB = 6, 15, 6.0
"""A dip is the least loudness within 60 ms, and 6 dB below the loudest places within 150 ms on both sides."""

SEGMENT_SECONDS, MAX_DIPS = (0.22, 0.9), 3
"""The length of a segment, and how many stretches between dips it spans at most."""

MIN_LEVEL = 0.4
"""Root of the mean power of a segment, at least this times that of the recording: pauses are no segments."""


def find_segments(samples: Samples, sample_rate: int) -> NDArray[np.int64]:
    """Return where segments of a recording begin and end, (n, 2) sample indices; they overlap.

    Parameters
    ----------
    samples : array (T,) float32
        With full scale 1.
    sample_rate : int
        In Hz.
    """
    hop = max(1, round(HOP_SECONDS * sample_rate))
    dips = hop * _dips(samples, hop)
    energy = np.concatenate([[0.0], np.cumsum(samples.astype(np.float64) ** 2)])
    least = MIN_LEVEL**2 * energy[-1] / max(1, len(samples))
    low, high = (seconds * sample_rate for seconds in SEGMENT_SECONDS)
    found = []
    for apart in range(1, MAX_DIPS + 1):
        begins, ends = dips[:-apart], dips[apart:]
        lengths = ends - begins
        loud = energy[ends] - energy[begins] > least * lengths
        kept = loud & (lengths >= low) & (lengths <= high)
        found.append(np.stack([begins[kept], ends[kept]], axis=1))
    return np.concatenate(found).astype(np.int64)


def _dips(samples: Samples, hop: int) -> NDArray[np.int64]:
    """Return the numbers of the hops where the loudness is least."""
    count = len(samples) // hop
    if count < 2 * AROUND_HOPS:
        return np.zeros(0, np.int64)
    power = (samples[: count * hop].astype(np.float64).reshape(count, hop) ** 2).mean(axis=1)
    window = np.hanning(SMOOTHED_HOPS)
    loudness = 10 * np.log10(np.convolve(power, window / window.sum(), "same") + 1e-9)
    near = _extreme(loudness, NEAR_HOPS, NEAR_HOPS, np.min)
    before, behind = _extreme(loudness, AROUND_HOPS, 0, np.max), _extreme(loudness, 0, AROUND_HOPS, np.max)
    is_dip = (loudness == near) & (np.minimum(before, behind) - loudness > MIN_DEPTH_DB)
    return np.flatnonzero(is_dip).astype(np.int64)


def _extreme(values: NDArray[np.float64], before: int, behind: int, of: np.ufunc | object) -> NDArray[np.float64]:
    """Return the least or greatest of the values around each, from `before` places before it to `behind` behind it."""
    padded = np.pad(values, (before, behind), mode="edge")
    extreme: NDArray[np.float64] = of(sliding_window_view(padded, before + behind + 1), axis=1)  # type: ignore[operator]
    return extreme
