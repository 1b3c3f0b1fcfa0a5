"""Sounds that are no word."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioconv.audio.synthetic_sounds import bursts, gliding_tone, held, knocks

RATE = 8000


def strongest(sound: np.ndarray) -> float:
    """Return the frequency with most power, in Hz."""
    return float(np.abs(np.fft.rfft(sound * np.hanning(len(sound)))).argmax() * RATE / len(sound))


@given(st.integers(0, 2**32), st.integers(1, 9000), st.integers(1, 9000))
def test_a_held_sound_is_finite_and_no_longer_than_asked(seed, size, longest):
    sound = held(
        np.random.default_rng(1).standard_normal(size).astype(np.float32), longest, RATE, np.random.default_rng(seed)
    )
    assert 0 < len(sound) <= longest
    assert sound.dtype == np.float32
    assert np.isfinite(sound).all()


def test_a_held_sound_is_what_is_at_one_place_at_another_pitch():
    """Of a chirp from 200 to 2,000 Hz, a tone is left, somewhere between 200 * 0.6 and 2,000 * 1.8 Hz."""
    time = np.arange(RATE) / RATE
    chirp = np.sin(2 * np.pi * (200 * time + 900 * time**2)).astype(np.float32)
    for seed in range(20):
        sound = held(chirp, RATE, RATE, np.random.default_rng(seed))
        halves = [strongest(half) for half in np.array_split(sound, 2)]
        assert 100 < min(halves) <= max(halves) < 3700
        assert max(halves) / min(halves) < 1.35, "no chirp any more"


def test_tones_are_of_all_pitches_and_begin_and_end_softly():
    found = []
    for seed in range(60):
        tone = gliding_tone(RATE, RATE, np.random.default_rng(seed))
        assert 0.29 * RATE < len(tone) <= RATE
        assert np.abs(tone[[0, -1]]).max() < 0.02 * np.abs(tone).max() + 1e-6
        found.append(strongest(tone))
    assert min(found) < 400
    assert max(found) > 1500


@pytest.mark.parametrize("length", [1, 2, 100, RATE])
def test_bursts_are_an_envelope_of_any_length(length):
    for seed in range(20):
        envelope = bursts(length, RATE, np.random.default_rng(seed))
        assert envelope.shape == (length,)
        assert envelope.dtype == np.float32
        assert (envelope > 0).all()
        assert envelope.max() < 10


def test_bursts_set_in_fast_and_die_away_slowly():
    rises = []
    for seed in range(50):
        envelope = bursts(RATE, RATE, np.random.default_rng(seed))
        change = np.diff(envelope)
        rises.append(change.max() / -change.min())
    assert np.median(rises) > 1


@pytest.mark.parametrize("length", [1, RATE // 2, RATE, 3 * RATE + 7])
def test_knocks_come_and_go(length):
    sound = knocks(length, RATE, 1.0, np.random.default_rng(0))
    assert sound.shape == (length,)
    assert sound.dtype == np.float32
    assert np.isfinite(sound).all()
    if length > RATE:
        levels = np.square(sound[: length // 80 * 80].reshape(-1, 80)).mean(axis=1)
        assert np.quantile(levels, 0.9) > 10 * np.quantile(levels, 0.1)


def test_knocks_of_wind_are_low_and_of_clicks_high():
    low, high = (
        np.median([strongest(knocks(RATE, RATE, slope, np.random.default_rng(seed))) for seed in range(10)])
        for slope in (3.0, 0.0)
    )
    assert 20 <= low < 60
    assert high > 500
