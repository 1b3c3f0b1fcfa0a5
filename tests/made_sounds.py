"""Music-like and bird-like sounds: chords of any octave and timbre, melodies, and calls under noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE = 8000
CHORDS = {"C major": (0, 4, 7), "A minor": (9, 0, 4), "F major": (5, 9, 0), "E minor": (4, 7, 11)}
"""Pitch classes. Two chords share two or one of them, and each octave and inversion has the same ones."""

CALLS = ("rising", "falling", "trill")


def note(midi: float, seconds: float, timbre: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a note with harmonics of the amplitudes `timbre`, which is struck and fades."""
    time = np.arange(round(seconds * RATE)) / RATE
    hertz = 440 * 2 ** ((midi - 69) / 12)
    sound = np.zeros(len(time))
    for number, amplitude in enumerate(timbre, 1):
        if number * hertz < 0.45 * RATE:
            sound += amplitude * np.sin(2 * np.pi * number * hertz * time + rng.uniform(0, 2 * np.pi))
    return sound * np.minimum(1, time / 0.01) * np.exp(-time / rng.uniform(0.3, 1.5))


def instrument(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the amplitudes of harmonics of an instrument: how fast they fall, with some missing or strong."""
    fall = rng.uniform(0.3, 0.9) ** np.arange(10)
    return fall * rng.uniform(0.2, 1.0, 10)


def chord(name: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return one second of a chord, its notes in octaves at random, by an instrument at random."""
    timbre = instrument(rng)
    sound = sum(note(48 + pitch + 12 * rng.integers(0, 2), 1.0, timbre, rng) for pitch in CHORDS[name])
    return _recorded(np.asarray(sound), rng)


def call(name: str, noise_db: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return one second with a bird's call, and noise of the wind and of a stream `noise_db` louder than it."""
    time = np.arange(RATE) / RATE
    begin, length = rng.uniform(0.15, 0.45), rng.uniform(0.3, 0.4)
    place = np.clip((time - begin) / length, 0, 1)
    low, high = np.sort(rng.uniform(1700, 3000, 2)) + np.array([-300, 300])
    if name == "trill":
        hertz = (low + high) / 2 + (high - low) / 2 * np.sin(2 * np.pi * rng.uniform(18, 26) * time)
    else:
        hertz = low + (high - low) * (place if name == "rising" else 1 - place)
    inside = (place > 0) & (place < 1)
    sound = np.sin(2 * np.pi * np.cumsum(hertz) / RATE) * np.sin(np.pi * place) * inside
    noise = coloured(rng)
    noise *= 10 ** (noise_db / 20) * np.sqrt(np.square(sound).sum() / inside.sum()) / np.sqrt(np.square(noise).mean())
    return _recorded(sound + noise, rng)


def coloured(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return steady noise with a spectrum at random: a slope, and some broad hills."""
    hertz = np.fft.rfftfreq(RATE, 1 / RATE)
    decibels = rng.uniform(-9, 0) * np.log2(np.maximum(hertz, 50) / 1000)
    for _ in range(3):
        decibels += rng.uniform(0, 20) * np.exp(-np.square((hertz - rng.uniform(300, 3700)) / 600))
    spectrum = np.fft.rfft(rng.standard_normal(RATE)) * 10 ** (decibels / 20)
    return np.fft.irfft(spectrum, RATE)


def _recorded(sound: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return sound at a level at random, with a recorder's noise."""
    level = 10 ** (rng.uniform(-20, -6) / 20) / np.abs(sound).max()
    return (level * sound + 1e-4 * rng.standard_normal(len(sound))).astype(np.float32)
