"""Endpoint detection: where in a recording or a clip a word is, or words are.

One rule (`Rule`) decides which frames are loud, from the range in dB between the background and the loudest frame. Its
parameters depend on the purpose: one word in a recording of several seconds (`RECORDING`), a clip that was cut to a
word (`CLIP`), a window of a stream (`WINDOW`), synthetic speech without noise (`NOISELESS`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Samples
from audioconv.errors import ConfigError, DataError

FRAME_SECONDS = 0.01
"""Length of the frames in which loudness is measured."""

MIN_SECONDS, MAX_SECONDS = 0.1, 1.8
"""Shorter sounds are clicks, longer ones more than a word."""

PHRASE_PAUSE_SECONDS, MAX_PHRASE_SECONDS, MAX_PHRASE_RECORDING_SECONDS = 0.3, 3.0, 4.5
"""Sounds with no longer pauses between them are one phrase, which is no longer than this. In longer recordings than the
last, a sound of more than `MAX_SECONDS` is rather an animal or a machine than a phrase."""

MARGIN_SECONDS = 0.05
"""Before and after a word, where it fades in and out below the noise."""

MIN_RANGE = 10.0
"""dB from the background to the loudest frame, in which a recording has to have a word."""

RIVAL = 0.1
"""A second sound with this share of the word's energy is a second word."""

MIN_POWER = 1e-14
"""Added to a power, so that it has a logarithm."""

STEADY_SHARE, STEADY_RANGE = 30, 10.0
"""Percentile of the loudness, and dB: where it is no further above the quietest tenth, that tenth is steady noise."""

_QUIET_DISTANCE = 0.15  # seconds from the word

DIGITAL_SILENCE_DB = -100.0
"""Frames that are softer have no sound in them, in dB of full scale."""


@dataclass(frozen=True)
class Rule:
    """Threshold of loud frames: ``background + max(min_step, share * range)``, in dB.

    Attributes
    ----------
    background : float
        Percentile of the frames' loudness that is taken for the background.
    share : float
        Share of the range from the background to the loudest frame.
    deepest : float
        dB below the loudest frame, below which the background does not lie.
    min_step : float
        dB above the background.
    pause_seconds : float
        A pause that is no longer joins the sounds beside it.
    smoothed_frames : int
        Length of the moving average of the frames' power.
    pre_emphasis : bool
        True to take the power of the difference of neighbouring samples, which leaves out hum and rumble.
    """

    background: float
    share: float
    deepest: float = np.inf
    min_step: float = 0.0
    pause_seconds: float = 0.0
    smoothed_frames: int = 3
    pre_emphasis: bool = False

    def threshold(self, levels: NDArray[Any]) -> tuple[float, float]:
        """Return the level above which frames are loud, and the range from background to loudest frame, in dB."""
        loudest = float(levels.max())
        background = max(float(np.percentile(levels, self.background)), loudest - self.deepest)
        range_ = loudest - background
        return background + max(self.min_step, self.share * range_), range_

    def sounds(self, loud: NDArray[np.bool_], frame_seconds: float = FRAME_SECONDS) -> list[tuple[int, int]]:
        """Return first and last frame, exclusive, of each run of loud frames; short pauses are inside a run."""
        edges = np.flatnonzero(np.diff(loud.astype(np.int8), prepend=0, append=0))
        sounds: list[tuple[int, int]] = []
        for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            if sounds and (begin - sounds[-1][1]) * frame_seconds <= self.pause_seconds:
                sounds[-1] = (sounds[-1][0], end)
            else:
                sounds.append((begin, end))
        return sounds


RECORDING = Rule(10, 0.3, deepest=45.0, min_step=6.0, pause_seconds=0.25, pre_emphasis=True)
"""A word in a recording. The pause holds the stop in "eight", which is silent for up to a fifth of a second."""

CLIP = Rule(10, 0.4, deepest=50.0, smoothed_frames=5)
"""The sound in a clip of one word, from its first loud frame to its last."""

WINDOW = Rule(20, 0.4, pause_seconds=0.1)
"""The word in a window of a stream, whose levels are decibels; the pause holds the silence before a plosive."""

NOISELESS = Rule(0, 0.0, deepest=40.0, smoothed_frames=1)
"""Synthetic speech, between digital silence."""

MIN_CONTRAST = 6.0
"""dB from the background to the loudest frame, in which a window of a stream has to have a word."""

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
    """A recording in which no single word stands out; the message has the reason."""


def find_word(samples: Samples, sample_rate: int) -> Stretch:
    """Return where the one word is.

    The loudness of 10 ms frames is compared to that of the quietest tenth of the recording. What stands out of it,
    with no pause of more than 0.25 s inside, is a sound; shorter ones are clicks. The one sound that is left is the
    word.

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
    if sounds[0].duration - 2 * MARGIN_SECONDS > MAX_SECONDS:
        length = sounds[0].duration - 2 * MARGIN_SECONDS
        raise NoClearWordError(f"what stands out is too long for a word ({length:.1f} s)")
    return _within(sounds[0], len(samples) / sample_rate)


def find_words(samples: Samples, sample_rate: int) -> list[Stretch]:
    """Return where words are in a recording of words alone: one, a phrase, or one several times.

    Sounds that together are no longer than `MAX_SECONDS` are one phrase, such as "hey computer". In a longer
    recording sounds with short pauses between them are one word or phrase, if hardly any is too long for one.

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
    if phrase.duration - 2 * MARGIN_SECONDS <= MAX_SECONDS:
        return [_within(phrase, seconds)]
    phrases = [sounds[0]]
    for sound in sounds[1:]:
        if sound.begin - phrases[-1].end + 2 * MARGIN_SECONDS <= PHRASE_PAUSE_SECONDS:
            phrases[-1] = Stretch(phrases[-1].begin, sound.end)
        else:
            phrases.append(sound)
    longest = MAX_PHRASE_SECONDS if seconds <= MAX_PHRASE_RECORDING_SECONDS else MAX_SECONDS
    words = [phrase for phrase in phrases if phrase.duration - 2 * MARGIN_SECONDS <= longest]
    if len(words) < MIN_WORDS_AMONG_SOUNDS * len(phrases):
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
        Begin and end of the word.
    seconds : float
        Length of the stretch.
    """
    hops = round(seconds / FRAME_SECONDS)
    power = 10 ** (loudness(samples, sample_rate, RECORDING) / 10)
    if len(power) < hops:
        return None
    sums = np.concatenate(([0.0], np.cumsum(power)))
    energy = (sums[hops:] - sums[:-hops]) / hops
    begins = np.arange(len(energy)) * FRAME_SECONDS
    apart = (begins + seconds <= word.begin - _QUIET_DISTANCE) | (begins >= word.end + _QUIET_DISTANCE)
    # No sound in it: at most the loudness that its own noise has now and then.
    apart &= energy > 10 ** (DIGITAL_SILENCE_DB / 10)
    if not apart.any():
        return None
    best = int(np.argmin(np.where(apart, energy, np.inf)))
    inside = power[best : best + hops]
    if inside.max() > 100 * np.median(inside):
        return None
    return Stretch(float(begins[best]), float(begins[best]) + seconds)


def sounding(samples: Samples, sample_rate: int, rule: Rule = CLIP) -> tuple[int, int]:
    """Return the first sample, and the one after the last, of what is loud in a clip (T,); all if nothing stands out.

    Parameters
    ----------
    samples : array (T,)
        Full scale is 1.
    sample_rate : int
        In Hz.
    rule : Rule
        Default: `CLIP`.
    """
    if len(samples) < rule.smoothed_frames * _frame_length(sample_rate):
        return 0, len(samples)
    levels = loudness(samples, sample_rate, rule)
    loud = np.flatnonzero(levels > rule.threshold(levels)[0])
    if not len(loud):
        return 0, len(samples)
    return int(loud[0]) * _frame_length(sample_rate), int(loud[-1] + 1) * _frame_length(sample_rate)


def word_extent(levels: NDArray[Any], row_seconds: float) -> tuple[int, int]:
    """Return the first row of what stands out most in a window of a stream, and the row behind its last.

    Of several sounds, the one with most of its loudness above the threshold, and nearest to the middle: the model has
    been trained on words in the middle. If nothing stands out by `MIN_CONTRAST`, all rows.

    Parameters
    ----------
    levels : array (rows,)
        In dB.
    row_seconds : float

    Examples
    --------
    >>> levels = np.full(100, -60.0)
    >>> levels[40:70] = -20
    >>> word_extent(levels, 0.01)
    (40, 70)
    """
    count = len(levels)
    smooth = _averaged(levels, max(1, round(WINDOW.smoothed_frames * FRAME_SECONDS / row_seconds)))
    threshold, range_ = WINDOW.threshold(smooth)
    if range_ < MIN_CONTRAST:
        return 0, count
    weighted = np.maximum(0, smooth - threshold) * (1.05 - np.abs(np.linspace(-1, 1, count)))
    sounds = WINDOW.sounds(smooth > threshold, row_seconds)
    return max(sounds, key=lambda sound: float(weighted[slice(*sound)].sum()))


def loudness(samples: Samples, sample_rate: int, rule: Rule) -> NDArray[np.float64]:
    """Return the power of each frame in dB, (T // frame length,), averaged as the rule says.

    Raises
    ------
    ConfigError
        If a frame has no sample.
    NoClearWordError
        If there are fewer frames than are averaged.
    """
    length = _frame_length(sample_rate)
    frames = len(samples) // length
    if frames < rule.smoothed_frames:
        raise NoClearWordError("shorter than any word")
    used = samples[: frames * length]
    if rule.pre_emphasis:
        used = np.diff(used, prepend=used[:1])
    power = np.square(used, dtype=np.float32).reshape(frames, length).mean(axis=1, dtype=np.float64)
    window = np.ones(rule.smoothed_frames) / rule.smoothed_frames
    smooth = np.convolve(power, window, "same")
    return np.asarray(10 * np.log10(smooth + MIN_POWER))


def _prominent(samples: Samples, sample_rate: int) -> list[Stretch]:
    """Return the sounds that are long enough for a word and not far softer than the loudest; at least one.

    Each has `MARGIN_SECONDS` before and after, which may lie beyond the recording.
    """
    levels = loudness(samples, sample_rate, RECORDING)
    threshold, range_ = RECORDING.threshold(_without_padding(levels))
    if range_ < MIN_RANGE:
        raise NoClearWordError(f"nothing stands out ({range_:.0f} dB above the rest, {MIN_RANGE:.0f} are needed)")
    sounds = RECORDING.sounds(levels > threshold)
    long_enough = [(begin, end) for begin, end in sounds if (end - begin) * FRAME_SECONDS >= MIN_SECONDS]
    if not long_enough:
        raise NoClearWordError("what stands out is too short for a word")
    power = 10 ** (levels / 10)
    energies = np.array([power[begin:end].sum() for begin, end in long_enough])
    return [
        Stretch(begin * FRAME_SECONDS - MARGIN_SECONDS, end * FRAME_SECONDS + MARGIN_SECONDS)
        for (begin, end), energy in zip(long_enough, energies, strict=True)
        if energy >= RIVAL * energies.max()
    ]


def _without_padding(levels: NDArray[Any]) -> NDArray[Any]:
    """Return the levels without those of digital silence that pads a recording with steady noise.

    A tenth of such silence would be the background, and all of the noise would be loud. Where no noise remains, such as
    in synthetic speech and behind a noise gate, the silence is the background.
    """
    rest = levels[levels > DIGITAL_SILENCE_DB]
    if not len(rest):
        return levels
    quiet, usual = np.percentile(rest, [RECORDING.background, STEADY_SHARE])
    return rest if usual - quiet < STEADY_RANGE else levels


def _within(sound: Stretch, seconds: float) -> Stretch:
    """Return the part of a sound that lies in a recording of so many seconds."""
    return Stretch(max(0.0, sound.begin), min(seconds, sound.end))


def _frame_length(sample_rate: int) -> int:
    length = round(FRAME_SECONDS * sample_rate)
    if length < 1:
        raise ConfigError(f"needs a sample rate of at least 100 Hz, got {sample_rate}")
    return length


def _averaged(levels: NDArray[Any], width: int) -> NDArray[np.float64]:
    """Return running means over `width` rows, of which the first and last are repeated beyond the window."""
    padded = np.pad(np.asarray(levels, np.float64), (width // 2, width - 1 - width // 2), mode="edge")
    means: NDArray[np.float64] = np.convolve(padded, np.full(width, 1 / width), mode="valid")
    return means
