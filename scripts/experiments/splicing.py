"""Words put into long recordings, at random times and at given levels above what is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv.streaming.label_tracks import Label

Samples = NDArray[Any]

FRAME_SECONDS = 0.025
ACTIVE = 0.01
"""Of the power in the loudest frame of a word (20 dB below it): frames above it are the word, the rest is its room."""

AROUND_SECONDS = 1.0
"""Of a background before and behind a word; its level there is what the word's is measured against."""


@dataclass(frozen=True)
class Word:
    """A clip to put in: its label, and samples (T,) at the rate of the recording."""

    label: str
    samples: Samples


@dataclass(frozen=True)
class Spliced:
    """A recording with words in it.

    Attributes
    ----------
    samples : array (T,) float32
        May exceed full scale where a word is loud; it is not clipped.
    labels : tuple of Label
        Where each word's clip lies.
    snrs : tuple of float
        The level of each, in dB.
    """

    samples: Samples
    labels: tuple[Label, ...]
    snrs: tuple[float, ...]


def draw_places(rng: np.random.Generator, lengths: Sequence[int], total: int, gap: int) -> list[int]:
    """Return a random begin for each of some parts of these lengths, in this order, within `total`.

    There is at least `gap` between them. All such choices are equally likely. `ValueError` if they do not fit.
    """
    free = total - sum(lengths) - gap * max(0, len(lengths) - 1)
    if free < 0:
        raise ValueError(f"{len(lengths)} parts of {sum(lengths)} in all, {gap} apart, do not fit into {total}")
    before = np.cumsum([0, *(length + gap for length in lengths[:-1])]) if lengths else np.zeros(0, int)
    return (np.sort(rng.integers(0, free + 1, len(lengths))) + before).tolist()


def active_power(samples: Samples, rate: int) -> float:
    """Return the mean square of the parts of a clip that are not much softer than its loudest."""
    frame = max(1, round(FRAME_SECONDS * rate))
    squares = np.square(samples, dtype=np.float64)
    power = np.convolve(squares, np.full(frame, 1 / frame), "same")
    return float(squares[power >= ACTIVE * power.max()].mean())


def splice(
    background: Samples, words: Sequence[Word], snrs: Sequence[float], places: Sequence[int], rate: int
) -> Spliced:
    """Put words into a recording.

    Parameters
    ----------
    background : array (T,) float32
    words : sequence of Word
    snrs : sequence of float
        Of each word, in dB: the power of its active part over that of the background from a second before it to a
        second behind. Where there is silence, a word keeps its own level.
    places : sequence of int
        The sample at which each begins.
    rate : int
        In Hz.
    """
    mixed = background.astype(np.float32)
    around = round(AROUND_SECONDS * rate)
    labels = []
    for word, snr, begin in zip(words, snrs, places, strict=True):
        end = begin + len(word.samples)
        power = float(np.square(background[max(0, begin - around) : end + around], dtype=np.float64).mean())
        own = active_power(word.samples, rate)
        gain = np.sqrt(power * 10 ** (snr / 10) / own) if power and own else 1.0
        mixed[begin:end] += (gain * word.samples).astype(np.float32)
        labels.append(Label(word.label, begin / rate, end / rate))
    return Spliced(mixed, tuple(labels), tuple(float(snr) for snr in snrs))


def spliced_recordings(
    backgrounds: Sequence[Samples],
    words: Sequence[Word],
    snrs: Sequence[float],
    rate: int,
    rng: np.random.Generator,
    *,
    passes: int,
    seconds_each: float = 6.0,
    gap_seconds: float = 2.0,
) -> Iterator[Spliced]:
    """Yield each background `passes` times, each time with other words at other places and levels.

    Parameters
    ----------
    words : sequence of Word
        Taken in random order, all of them before one comes again.
    snrs : sequence of float
        Each about equally often in each recording.
    seconds_each : float
        Of background for one word, on average.
    gap_seconds : float
        At least so much between two words.
    """
    waiting: list[int] = []
    for _ in range(passes):
        for background in backgrounds:
            count = int(len(background) / (seconds_each * rate))
            while len(waiting) < count:
                waiting += rng.permutation(len(words)).tolist()
            chosen, waiting = [words[place] for place in waiting[:count]], waiting[count:]
            levels = rng.permutation(np.resize(rng.permutation(snrs), count))
            lengths = [len(word.samples) for word in chosen]
            places = draw_places(rng, lengths, len(background), round(gap_seconds * rate))
            yield splice(background, chosen, levels.tolist(), places, rate)
