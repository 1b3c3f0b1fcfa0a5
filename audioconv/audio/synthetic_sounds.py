"""Sounds that are no word, as of crying, animals, machines and things that knock: drawn at random, at any pitch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Samples
from audioconv.audio.effects import coloured_noise

GRAIN_SECONDS, JITTER_SECONDS = (0.04, 0.1), 0.015
"""Length of the grains that a sound is held with, and how far from its place each is taken."""

HELD, HELD_SPEEDS = (0.3, 1.0), (0.6, 1.8)
"""Length of a sound as a share of the clip, and factor of its pitch."""

PITCHES_HZ, GLIDES, TURNS = (80.0, 800.0), (0.6, 1.6), 4
RESONANCES, RESONANCE_HZ, RESONANCE_WIDTH, BETWEEN = 2, (300.0, 3500.0), 0.15, 0.02

MIN_KNOCK_HZ = 20.0
"""Breath and wind push the microphone's membrane slower than any sound of speech does."""

BURSTS, ATTACK_SECONDS, DECAY_SECONDS, FLOORS = (1, 8), (0.001, 0.03), (0.01, 0.2), (-4.0, -1.5)


def held(sound: Samples, longest: int, sample_rate: int, rng: np.random.Generator) -> Samples:
    """Return one place of a sound (T,) as if it were held, at most `longest` samples, its pitch changed.

    Grains from about the same place, which overlap by half.
    """
    hop = max(1, round(rng.uniform(*GRAIN_SECONDS) * sample_rate / 2))
    jitter = round(JITTER_SECONDS * sample_rate)
    if len(sound) <= 2 * hop:
        return sound[:longest].copy()
    place = rng.uniform(0.2, 0.8) * (len(sound) - 2 * hop)
    window = np.hanning(2 * hop + 1)[:-1].astype(np.float32)
    grains = max(2, round(rng.uniform(*HELD) * longest / hop))
    long = np.zeros((grains + 1) * hop, np.float32)
    for number in range(grains):
        begin = int(np.clip(place + rng.integers(-jitter, jitter + 1), 0, len(sound) - 2 * hop))
        long[number * hop : (number + 2) * hop] += window * sound[begin : begin + 2 * hop]
    places = np.arange(0, len(long) - 1, rng.uniform(*HELD_SPEEDS))[:longest]
    changed: Samples = np.interp(places, np.arange(len(long)), long).astype(np.float32)
    return changed


def gliding_tone(longest: int, sample_rate: int, rng: np.random.Generator) -> Samples:
    """Return a tone with all its harmonics and some resonances, whose pitch and loudness come and go."""
    length = max(2, round(rng.uniform(*HELD) * longest))
    time = np.arange(length)
    pitches = _drawn(PITCHES_HZ, rng) * _drawn(GLIDES, rng, TURNS)
    curve = np.interp(time, np.linspace(0, length, TURNS), pitches)
    saw = np.cumsum(curve / sample_rate) % 1 - 0.5
    frequencies = np.fft.rfftfreq(length, 1 / sample_rate)
    shape = np.full(len(frequencies), BETWEEN)
    for centre in _drawn(RESONANCE_HZ, rng, RESONANCES):
        shape += 1 / (1 + np.square((frequencies - centre) / (RESONANCE_WIDTH * centre)))
    tone = np.fft.irfft(np.fft.rfft(saw) * shape, length)
    swell = np.interp(time, np.linspace(0, length, TURNS + 2), [0, *rng.random(TURNS), 0])
    heard: Samples = (tone * swell).astype(np.float32)
    return heard


def bursts(length: int, sample_rate: int, rng: np.random.Generator) -> Samples:
    """Return an envelope (length,) that sets in and dies away, once or several times, over a low floor."""
    time = np.arange(length) / sample_rate
    envelope = np.full(length, 10 ** rng.uniform(*FLOORS))
    attack, decay = rng.uniform(*ATTACK_SECONDS), _drawn(DECAY_SECONDS, rng)[0]
    for begin in rng.uniform(0, time[-1], int(rng.integers(BURSTS[0], BURSTS[1] + 1))):
        since = time - begin
        fall = np.exp(-np.maximum(0, since - attack) / decay)
        envelope += rng.uniform(0.2, 1) * np.clip(since / attack, 0, fall)
    return envelope.astype(np.float32)


def knocks(length: int, sample_rate: int, slope: float, rng: np.random.Generator) -> Samples:
    """Return noise (length,) in bursts, about one to eight a second, as of knocks, clicks, and breath on a microphone.

    Its power density falls with frequency f as ``f ** -slope``: 0 for a click, 3 for wind.
    """
    noise = coloured_noise(length, sample_rate, slope, rng, MIN_KNOCK_HZ)
    seconds = [bursts(min(sample_rate, length - begin), sample_rate, rng) for begin in range(0, length, sample_rate)]
    heard: Samples = noise * np.concatenate(seconds)
    return heard


def _drawn(interval: tuple[float, float], rng: np.random.Generator, count: int = 1) -> NDArray[np.float64]:
    """Return numbers of an interval, each octave as likely as the next."""
    low, high = np.log(interval)
    return np.exp(rng.uniform(low, high, count))
