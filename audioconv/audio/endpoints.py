"""End points of words: where in a recording the word is, or the words are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Samples
from audioconv.errors import ConfigError, DataError

HOP_SECONDS = 0.01
"""Energies are measured every 10 ms."""

SMOOTHED_HOPS = 3

PAUSE_SECONDS = 0.25
"""What lies so far apart at most is one word: the stop in "eight" is silent for up to a fifth of a second."""

MIN_SECONDS, LONGEST_SECONDS = 0.1, 1.8
"""What is shorter is a click, what is longer more than a word."""

MARGIN_SECONDS = 0.05
"""Before and after, where a word fades in and out below what can be told from noise."""

LEAST_RANGE = 10.0
"""So many dB, at least, a word stands out of what is around it."""

_WIDEST_RANGE = 45.0  # dB below the loudest: what is quieter counts as silence
_SHARE_OF_RANGE = 0.3  # of the dB between noise and word, where the word begins
_RIVAL = 0.1  # a second sound with this share of the word's energy is a second word
_QUIET_DISTANCE = 0.15  # seconds from the word
_DIGITAL_SILENCE = 1e-5

MIN_WORDS_AMONG_SOUNDS = 0.8
"""Share of a recording's sounds that must be no longer than a word, for each of them to be one."""


@dataclass(frozen=True)
class Stretch:
    """A part of a recording.

    Attributes
    ----------
    begin, end : float
        In seconds.
    """

    begin: float
    end: float

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.end - self.begin


class NoClearWordError(DataError):
    """A recording in which no single word stands out; the message says in which way."""


def find_word(samples: Samples, sample_rate: int) -> Stretch:
    """Return where the one word is.

    The loudness of 10 ms frames is compared to that of the quietest tenth of the recording. What stands out of it,
    with no pause of more than `PAUSE_SECONDS` inside, is a sound; shorter ones are clicks. The one sound that is left
    is the word.

    Parameters
    ----------
    samples : array (T,)
        Full scale is 1.
    sample_rate : int
        In Hz.

    Returns
    -------
    Stretch
        With `MARGIN_SECONDS` before and after, as far as the recording goes.

    Raises
    ------
    NoClearWordError
        If nothing stands out, or several sounds, or one that is too short or too long to be a word.
    """
    sounds = _prominent(samples, sample_rate)
    if len(sounds) > 1:
        raise NoClearWordError("several words, or noises as loud as the word")
    if sounds[0].duration - 2 * MARGIN_SECONDS > LONGEST_SECONDS:
        length = sounds[0].duration - 2 * MARGIN_SECONDS
        raise NoClearWordError(f"what stands out is too long for a word ({length:.1f} s)")
    return _within(sounds[0], len(samples) / sample_rate)


def find_words(samples: Samples, sample_rate: int) -> list[Stretch]:
    """Return where words are in a recording of words alone: one, a phrase, or one several times.

    Sounds that together are no longer than `LONGEST_SECONDS` are one phrase, such as "hey computer". In a longer
    recording each sound is a word, if hardly any is too long for one.

    Parameters
    ----------
    samples : array (T,)
        Full scale is 1.
    sample_rate : int
        In Hz.

    Returns
    -------
    list of Stretch
        In their order, with `MARGIN_SECONDS` before and after, as far as the recording goes.

    Raises
    ------
    NoClearWordError
        If nothing stands out, or most of what does is too short or too long for a word.
    """
    sounds = _prominent(samples, sample_rate)
    seconds = len(samples) / sample_rate
    phrase = Stretch(sounds[0].begin, sounds[-1].end)
    if phrase.duration - 2 * MARGIN_SECONDS <= LONGEST_SECONDS:
        return [_within(phrase, seconds)]
    words = [sound for sound in sounds if sound.duration - 2 * MARGIN_SECONDS <= LONGEST_SECONDS]
    if len(words) < MIN_WORDS_AMONG_SOUNDS * len(sounds):
        raise NoClearWordError("what stands out is too long for words")
    return [_within(word, seconds) for word in words]


def quiet_stretch(samples: Samples, sample_rate: int, word: Stretch, seconds: float = 1.0) -> Stretch | None:
    """Return the quietest stretch before or after a word; None where there is none, or only digital silence.

    Parameters
    ----------
    samples : array (T,)
        Full scale is 1.
    sample_rate : int
        In Hz.
    word : Stretch
        Where the word is.
    seconds : float
        Length of the stretch.
    """
    hops = round(seconds / HOP_SECONDS)
    power = 10 ** (_loudness(samples, sample_rate) / 10)
    if len(power) < hops:
        return None
    sums = np.concatenate(([0.0], np.cumsum(power)))
    energy = (sums[hops:] - sums[:-hops]) / hops
    begins = np.arange(len(energy)) * HOP_SECONDS
    apart = (begins + seconds <= word.begin - _QUIET_DISTANCE) | (begins >= word.end + _QUIET_DISTANCE)
    # No sound in it: at most the loudness that its own noise has now and then.
    apart &= energy > _DIGITAL_SILENCE**2
    if not apart.any():
        return None
    best = int(np.argmin(np.where(apart, energy, np.inf)))
    inside = power[best : best + hops]
    if inside.max() > 100 * np.median(inside):
        return None
    return Stretch(float(begins[best]), float(begins[best]) + seconds)


def _prominent(samples: Samples, sample_rate: int) -> list[Stretch]:
    """Return the sounds that are long enough for a word and not far softer than the loudest; at least one.

    Each has `MARGIN_SECONDS` before and after, which may lie beyond the recording.
    """
    loudness = _loudness(samples, sample_rate)
    low = max(float(np.percentile(loudness, 10)), float(loudness.max()) - _WIDEST_RANGE)
    range_ = float(loudness.max()) - low
    if range_ < LEAST_RANGE:
        raise NoClearWordError(f"nothing stands out ({range_:.0f} dB above the rest, {LEAST_RANGE:.0f} are needed)")
    sounds = _sounds(loudness > low + max(6.0, _SHARE_OF_RANGE * range_))
    long_enough = [(begin, end) for begin, end in sounds if (end - begin) * HOP_SECONDS >= MIN_SECONDS]
    if not long_enough:
        raise NoClearWordError("what stands out is too short for a word")
    power = 10 ** (loudness / 10)
    energies = np.array([power[begin:end].sum() for begin, end in long_enough])
    return [
        Stretch(begin * HOP_SECONDS - MARGIN_SECONDS, end * HOP_SECONDS + MARGIN_SECONDS)
        for (begin, end), energy in zip(long_enough, energies, strict=True)
        if energy >= _RIVAL * energies.max()
    ]


def _within(sound: Stretch, seconds: float) -> Stretch:
    """Return the part of a sound that lies in a recording of so many seconds."""
    return Stretch(max(0.0, sound.begin), min(seconds, sound.end))


def _loudness(samples: Samples, sample_rate: int) -> NDArray[np.float64]:
    """Return the power of each 10 ms, smoothed, in dB; the difference of neighbours leaves out hum and rumble."""
    hop = round(HOP_SECONDS * sample_rate)
    if hop < 1:
        raise ConfigError(f"needs a sample rate of at least 100 Hz, got {sample_rate}")
    frames = len(samples) // hop
    if frames < SMOOTHED_HOPS:
        raise NoClearWordError("shorter than any word")
    raised = np.diff(samples[: frames * hop], prepend=samples[:1])
    power = np.square(raised, dtype=np.float32).reshape(frames, hop).mean(axis=1, dtype=np.float64)
    window = np.ones(SMOOTHED_HOPS) / SMOOTHED_HOPS
    smooth = np.convolve(power, window, "same")
    return np.asarray(10 * np.log10(smooth + 1e-14))


def _sounds(loud: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return first and last frame, exclusive, of each run of loud frames, those with a short pause between as one."""
    edges = np.flatnonzero(np.diff(loud.astype(np.int8), prepend=0, append=0))
    sounds: list[tuple[int, int]] = []
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if sounds and (begin - sounds[-1][1]) * HOP_SECONDS <= PAUSE_SECONDS:
            sounds[-1] = (sounds[-1][0], end)
        else:
            sounds.append((begin, end))
    return sounds
