"""Segments of running speech, on bursts of noise with pauses between them, beside plain loops, and on real speech."""

from __future__ import annotations

import numpy as np
import pytest

from audioconv.audio.read import read
from audioconv.audio.segments import (
    AROUND_HOPS,
    HOP_SECONDS,
    MAX_DIPS,
    MIN_DEPTH_DB,
    MIN_LEVEL,
    NEAR_HOPS,
    SEGMENT_SECONDS,
    SMOOTHED_HOPS,
    find_segments,
)

RATE = 8000
SYLLABLE, PAUSE = 0.3, 1.5


def syllables(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return syllables of noise that swell and fade, one after the other, without pauses."""
    length = round(SYLLABLE * RATE)
    return np.concatenate(
        [0.3 * rng.standard_normal(length) * (0.02 + np.hanning(length)) for _ in range(count)]
    ).astype(np.float32)


def speech(rng: np.random.Generator) -> np.ndarray:
    """Return six syllables, a pause with a soft noise, and six more."""
    pause = (0.001 * rng.standard_normal(round(PAUSE * RATE))).astype(np.float32)
    return np.concatenate([syllables(6, rng), pause, syllables(6, rng)])


def segments_by_loops(samples: np.ndarray, rate: int) -> list[tuple[int, int]]:
    """Return what `find_segments` is to return, by the definition: one place after the other."""
    hop = round(HOP_SECONDS * rate)
    x = samples.astype(np.float64)
    count = len(x) // hop
    if count < 2 * AROUND_HOPS:
        return []
    power = [np.mean(x[n * hop : (n + 1) * hop] ** 2) for n in range(count)]
    window = np.hanning(SMOOTHED_HOPS) / np.hanning(SMOOTHED_HOPS).sum()
    half = SMOOTHED_HOPS // 2
    loudness = []
    for n in range(count):
        near = [window[k + half] * power[n + k] for k in range(-half, half + 1) if 0 <= n + k < count]
        loudness.append(10 * np.log10(sum(near) + 1e-9))
    dips = []
    for n in range(count):
        lowest = min(loudness[max(0, n - NEAR_HOPS) : n + NEAR_HOPS + 1])
        before = max(loudness[max(0, n - AROUND_HOPS) : n + 1])
        behind = max(loudness[n : n + AROUND_HOPS + 1])
        if loudness[n] <= lowest + 1e-9 and min(before, behind) - loudness[n] > MIN_DEPTH_DB:
            dips.append(n * hop)
    found = []
    for apart in range(1, MAX_DIPS + 1):
        for begin, end in zip(dips, dips[apart:], strict=False):
            seconds = (end - begin) / rate
            loud = np.mean(x[begin:end] ** 2) > MIN_LEVEL**2 * np.mean(x**2)
            if loud and SEGMENT_SECONDS[0] <= seconds <= SEGMENT_SECONDS[1]:
                found.append((begin, end))
    return found


def test_segments_lie_between_the_dips_and_not_in_the_pause(rng):
    samples = speech(rng)
    segments = find_segments(samples, RATE)
    assert segments.dtype == np.int64
    assert len(segments) >= 12
    lengths = (segments[:, 1] - segments[:, 0]) / RATE
    assert lengths.min() >= SEGMENT_SECONDS[0]
    assert lengths.max() <= SEGMENT_SECONDS[1]
    assert segments.min() >= 0
    assert segments.max() <= len(samples)
    first, last = round(6 * SYLLABLE * RATE), round((6 * SYLLABLE + PAUSE) * RATE)
    in_pause = [min(end, last) - max(begin, first) for begin, end in segments.tolist()]
    assert max(in_pause) < 0.1 * RATE, "only the edges of a segment touch the pause"
    # Ends are where a syllable begins: within the 70 ms over which the loudness is smoothed.
    borders = [n * SYLLABLE * RATE for n in range(7)]
    borders += [(n * SYLLABLE + 6 * SYLLABLE + PAUSE) * RATE for n in range(7)]
    for place in segments.ravel().tolist():
        assert min(abs(place - border) for border in borders) < 0.1 * RATE


@pytest.mark.parametrize("gain", [0.01, 0.5, 2.0])
def test_the_gain_does_not_matter(gain, rng):
    samples = speech(rng)
    np.testing.assert_array_equal(find_segments(samples * np.float32(gain), RATE), find_segments(samples, RATE))


@pytest.mark.parametrize("rate", [8000, 16000, 22050])
def test_vectors_and_loops_agree(rate, rng):
    samples = np.concatenate([speech(rng), syllables(3, rng)[: rng.integers(1000, 5000)]])
    assert find_segments(samples, rate).tolist() == [list(one) for one in segments_by_loops(samples, rate)]


@pytest.mark.parametrize("seconds", [0, 0.001, 0.1, 0.29, 3])
def test_silence_and_short_recordings_have_none(seconds, rng):
    assert find_segments(np.zeros(round(seconds * RATE), np.float32), RATE).shape == (0, 2)
    if seconds < 0.3:
        short = rng.standard_normal(round(seconds * RATE)).astype(np.float32)
        assert find_segments(short, RATE).shape == (0, 2)


def test_steady_noise_has_none(rng):
    assert len(find_segments(0.1 * rng.standard_normal(5 * RATE).astype(np.float32), RATE)) == 0


def test_real_speech(test_data):
    path = sorted((test_data / "librispeech-some").glob("*.flac"))[0]
    samples = read(path, 16000)
    segments = find_segments(samples, 16000)
    assert len(segments) / (len(samples) / 16000) > 1, "read speech has several syllables a second"
    assert segments.tolist() == [list(one) for one in segments_by_loops(samples, 16000)]
