"""Negative examples, generated from the word clips: a network learns to reject them.

A classifier that was trained on its words alone takes every sound for one of them. The negatives have the voices, the
rooms and the loudness of the words, so that only the content tells them apart: the beginning of one word with the end
of another, a piece of a word, a reversed word, two words at once, a sustained sound of a word. Gliding tones, bursts
and noise stand for sounds without a voice. Negative recordings, and out-of-vocabulary words by synthetic voices, can be
added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Samples
from audioconv.audio.effects import coloured_noise, mean_power, time_shift
from audioconv.audio.endpoints import sounding
from audioconv.audio.samples import as_float, fit_length
from audioconv.audio.synthetic_sounds import bursts, gliding_tone, held
from audioconv.audio.windows import Windows
from audioconv.errors import DataError

KINDS = {
    "splice": 0.16, "overlap": 0.27, "piece": 0.09, "reverse": 0.08, "babble": 0.23,
    "sustained": 0.05, "glide": 0.04, "bursts": 0.04, "noise": 0.04,
}  # fmt: skip
"""Probability of each kind."""

OF_TWO_WORDS = {"splice", "overlap", "babble"}

RECORDED, SEGMENTS, SPOKEN = 0.9, 0.5, 0.5
"""Share of negative recordings, if there are any, and of segments among them; of the rest, share of synthetic words."""

BACKGROUND_PROBABILITY, MIN_PAUSE_SECONDS = 0.7, 0.05
"""Probability that a segment lies in the pause of a word clip, and length of the shortest pause that is used."""

FADE_SECONDS = 0.005
"""In which a cut end fades, so that it does not click."""

MAX_SHIFT_SECONDS = 0.1
PIECE, SEAM = (0.25, 0.5), (0.35, 0.65)
"""Shares of a word: how long a piece is, and where two words are joined."""

BACKGROUND_CLIPS, BACKGROUND_POWER = 4, 0.0025
"""Length of a background, in clips, and mean power of each of its clips."""

SYLLABLE_SECONDS = (0.06, 0.25)
"""Length of a syllable of babble."""

NOISES, NOISE_SECONDS, NOISE_SLOPES = 16, 4, (0.0, 2.0)
NOISE_DB, HUM_HZ, SWELLS = (-60.0, -10.0), (60.0, 4000.0), 12


class NegativeSampler:
    """Generates negative clips.

    Parameters
    ----------
    samples : array (N, T) float32, or Windows
        Clips of the words.
    labels : array (N,)
        The class of each.
    sample_rate : int
        In Hz.
    recordings : sequence of arrays (samples,) float32 or int16
        Negative recordings of any length, such as other speech.
    segments : sequence of arrays (n, 2) int64, optional
        Begin and end of the segments of each recording; see `audio.segments.find_segments`.
    recorded : float
        Share of the negative recordings, if there are any. Default: `RECORDED`.
    segment_weights : sequence of float, optional
        Relative frequency with which segments of each recording are drawn. Default: equal.
    spoken : array (M, T) int16, optional
        Clips of out-of-vocabulary words.
    """

    def __init__(
        self,
        samples: Samples | Windows,
        labels: NDArray[np.integer],
        sample_rate: int,
        recordings: Sequence[Samples | NDArray[np.int16]] = (),
        spoken: NDArray[np.int16] | None = None,
        segments: Sequence[NDArray[np.int64]] = (),
        recorded: float = RECORDED,
        segment_weights: Sequence[float] = (),
    ) -> None:
        if not len(samples):
            raise DataError("there are no clips to make others of")
        self._samples, self._labels, self._rate = samples, np.asarray(labels), sample_rate
        self._length = samples.shape[1]
        self._recordings, self._spoken, self._recorded_share = tuple(recordings), spoken, recorded
        # By length, so that an hour of speech counts for more than a second of it.
        self._shares = np.cumsum([len(recording) for recording in self._recordings], dtype=float)
        self._segments = [(number, *place) for number, some in enumerate(segments) for place in some.tolist()]
        self._weight_sums = np.cumsum(
            [segment_weights[number] if segment_weights else 1.0 for number, *_ in self._segments]
        )
        # Where a word lies in its clip, and its power: computed once, when the clip is first drawn. Below 0: not yet.
        self._spans, self._powers = np.full((len(samples), 2), -1, np.int32), np.zeros(len(samples))
        rng = np.random.default_rng(len(samples))
        self._noises = [
            coloured_noise(NOISE_SECONDS * sample_rate + samples.shape[1], sample_rate, slope, rng)
            for slope in np.linspace(*NOISE_SLOPES, NOISES)
        ]
        self._ramp = np.linspace(0, 1, max(1, round(FADE_SECONDS * sample_rate)), dtype=np.float32)
        self._of_class = {int(label): np.flatnonzero(self._labels == label) for label in np.unique(self._labels)}
        self._kinds = [kind for kind in KINDS if kind not in OF_TWO_WORDS or len(self._of_class) > 1]
        weights = np.array([KINDS[kind] for kind in self._kinds])
        self._weights = weights / weights.sum()

    def make(self, rng: np.random.Generator) -> Samples:
        """Return a new negative clip (T,) float32."""
        if self._recordings and rng.random() < self._recorded_share:
            return self._segment(rng) if self._segments and rng.random() < SEGMENTS else self._recorded(rng)
        if self._spoken is not None and rng.random() < SPOKEN:
            return as_float(self._spoken[int(rng.integers(len(self._spoken)))])
        kind = self._kinds[int(rng.choice(len(self._kinds), p=self._weights))]
        made: Samples = getattr(self, f"_{kind}")(rng)
        return made

    def stretch(self, samples: Samples | NDArray[np.int16], rng: np.random.Generator) -> Samples:
        """Return a stretch (T,) of a recording, as it is; of a shorter one all of it, between zeros."""
        length = self._length
        if len(samples) <= length:
            return fit_length(as_float(samples), length)
        begin = int(rng.integers(len(samples) - length + 1))
        return as_float(samples[begin : begin + length].copy())

    def background(self, kind: str, rng: np.random.Generator) -> Samples:
        """Return `BACKGROUND_CLIPS` clips of a kind one after the other, (samples,) float32: to mix with words."""
        clips = [getattr(self, f"_{kind}")(rng) for _ in range(BACKGROUND_CLIPS)]
        powers = [mean_power(clip) for clip in clips]
        gains = [np.float32(np.sqrt(BACKGROUND_POWER / power)) if power else np.float32(1) for power in powers]
        return np.concatenate([clip * gain for clip, gain in zip(clips, gains, strict=True)])

    def _recorded(self, rng: np.random.Generator) -> Samples:
        """Return a stretch of one of the recordings."""
        number = int(np.searchsorted(self._shares, rng.random() * self._shares[-1], side="right"))
        return self.stretch(self._recordings[min(number, len(self._recordings) - 1)], rng)

    def _segment(self, rng: np.random.Generator) -> Samples:
        """Return a segment of a recording as a word clip has its word: as loud, and in the pause of one."""
        place = int(np.searchsorted(self._weight_sums, rng.random() * self._weight_sums[-1], side="right"))
        number, begin, end = self._segments[min(place, len(self._segments) - 1)]
        part = as_float(self._recordings[number][begin : min(end, begin + self._length)].copy())
        power, wanted = mean_power(part), self._power(int(rng.integers(len(self._samples))))
        clip = self._placed(self._faded(part * np.float32(np.sqrt(wanted / power)) if power else part), rng)
        if rng.random() < BACKGROUND_PROBABILITY:
            clip += self._pause(int(rng.integers(len(self._samples))))
        return clip

    def _pause(self, index: int) -> Samples:
        """Return the longer pause of a word clip, forwards and backwards until it fills a clip; else zeros."""
        (begin, end), clip = self._span(index), self._samples[index]
        pause = clip[:begin] if begin > self._length - end else clip[end:]
        if len(pause) < MIN_PAUSE_SECONDS * self._rate:
            return np.zeros(self._length, np.float32)
        return np.resize(np.concatenate([pause, pause[::-1]]), self._length)

    def _splice(self, rng: np.random.Generator) -> Samples:
        """Return the beginning of one word with the end of another."""
        one, other = self._pair(rng)
        seam, begin = (rng.uniform(*SEAM) for _ in range(2))
        first, second = self._word(one), self._word(other)
        head, tail = first[: round(seam * len(first))], second[round(begin * len(second)) :]
        return self._placed(np.concatenate([self._faded(head), self._faded(tail * self._gain(one, other))]), rng)

    def _overlap(self, rng: np.random.Generator) -> Samples:
        """Return two words at once, equally loud."""
        one, other = self._pair(rng)
        both: Samples = self._samples[one] + self._samples[other] * self._gain(one, other)
        return both

    def _piece(self, rng: np.random.Generator) -> Samples:
        """Return the beginning or the end of a word."""
        word = self._word(int(rng.integers(len(self._samples))))
        length = round(rng.uniform(*PIECE) * len(word))
        part = word[:length] if rng.random() < 0.5 else word[len(word) - length :]
        return self._placed(self._faded(part), rng)

    def _reverse(self, rng: np.random.Generator) -> Samples:
        """Return a word backwards."""
        return self._samples[int(rng.integers(len(self._samples)))][::-1].copy()

    def _babble(self, rng: np.random.Generator) -> Samples:
        """Return pieces of words without pauses, like continuous speech."""
        length = self._length
        talk = np.empty(length, np.float32)
        loudest, filled = int(rng.integers(len(self._samples))), 0
        while filled < length:
            index = int(rng.integers(len(self._samples)))
            word = self._word(index)
            size = min(len(word), max(1, round(rng.uniform(*SYLLABLE_SECONDS) * self._rate)))
            begin = int(rng.integers(len(word) - size + 1))
            part = self._faded(word[begin : begin + size] * self._gain(loudest, index))[: length - filled]
            talk[filled : filled + len(part)] = part
            filled += len(part)
        return talk

    def _sustained(self, rng: np.random.Generator) -> Samples:
        """Return a sustained sound of a word, higher or lower, like crying or singing."""
        word = self._word(int(rng.integers(len(self._samples))))
        return self._placed(held(word, self._length, self._rate, rng), rng)

    def _glide(self, rng: np.random.Generator) -> Samples:
        """Return a gliding tone, like that of an animal, a horn or a siren."""
        return self._placed(_at_any_level(gliding_tone(self._length, self._rate, rng), rng), rng)

    def _bursts(self, rng: np.random.Generator) -> Samples:
        """Return bursts of noise, like knocking, crackling, ticking or sneezing."""
        length = self._length
        return _at_any_level(self._some_noise(length, rng) * bursts(length, self._rate, rng), rng)

    def _noise(self, rng: np.random.Generator) -> Samples:
        """Return noise of any colour and loudness: steady, swelling, or with a hum."""
        length = self._length
        noise = self._some_noise(length, rng)
        form = rng.random()
        if form < 0.3:
            swell = np.abs(np.interp(np.arange(length), np.linspace(0, length, SWELLS), rng.standard_normal(SWELLS)))
            noise = noise * swell.astype(np.float32)
        elif form < 0.5:
            top = min(HUM_HZ[1], self._rate / 2)
            phase = 2 * np.pi * rng.uniform(HUM_HZ[0], top) / self._rate * np.arange(length)
            noise = noise + np.sin(phase).astype(np.float32) * np.float32(10 ** (rng.uniform(-20, 20) / 20))
        scaled: Samples = noise * np.float32(10 ** (rng.uniform(*NOISE_DB) / 20))
        return scaled

    def _some_noise(self, length: int, rng: np.random.Generator) -> Samples:
        noise = self._noises[int(rng.integers(len(self._noises)))]
        begin = int(rng.integers(len(noise) - length + 1))
        return noise[begin : begin + length]

    def _pair(self, rng: np.random.Generator) -> tuple[int, int]:
        """Draw two clips of different words."""
        one = int(rng.integers(len(self._samples)))
        # Counts the clips of other words: before the i-th clip of its own word are so many more of others than of own.
        own = self._of_class[int(self._labels[one])]
        number = int(rng.integers(len(self._labels) - len(own)))
        return one, number + int(np.searchsorted(own - np.arange(len(own)), number, side="right"))

    def _word(self, index: int) -> Samples:
        begin, end = self._span(index)
        return self._samples[index][begin:end]

    def _span(self, index: int) -> tuple[int, int]:
        """Return where the word lies in its clip: the first sample, and the one behind the last."""
        if self._spans[index, 0] < 0:
            clip = self._samples[index]
            begin, end = self._spans[index] = sounding(clip, self._rate)
            self._powers[index] = mean_power(clip[begin:end])
        begin, end = self._spans[index].tolist()
        return begin, end

    def _power(self, index: int) -> float:
        self._span(index)
        return float(self._powers[index])

    def _faded(self, part: Samples) -> Samples:
        faded = part.copy()
        if 2 * len(self._ramp) <= len(faded):
            faded[: len(self._ramp)] *= self._ramp
            faded[len(faded) - len(self._ramp) :] *= self._ramp[::-1]
        return faded

    def _gain(self, one: int, other: int) -> np.float32:
        """Return by what to multiply a word so that it is as loud as `one`; 1 where one of them is silent."""
        powers = self._power(one), self._power(other)
        return np.float32(np.sqrt(powers[0] / powers[1]) if all(powers) else 1.0)

    def _placed(self, part: Samples, rng: np.random.Generator) -> Samples:
        """Return a part near the middle of a clip, between zeros."""
        clip = fit_length(part, self._length) if len(part) else np.zeros(self._length, np.float32)
        room = max(0, (len(clip) - len(part)) // 2)  # nothing of it may be shifted out
        most = min(room, round(MAX_SHIFT_SECONDS * self._rate))
        return time_shift(clip, int(rng.integers(-most, most + 1)))


class WithRefused:
    """A sampler that also draws from given recordings: clips that a person has refused, or noise without words.

    Parameters
    ----------
    sampler : NegativeSampler or WithRefused
        The source of all other negatives.
    clips : sequence of arrays (samples,) float32, or int16 with the full scale 32768
    share : float
        Share of the negatives that is made of one of these clips, 0 to 1.
    """

    def __init__(
        self,
        sampler: NegativeSampler | WithRefused,
        clips: Sequence[Samples | NDArray[np.int16]],
        share: float,
    ) -> None:
        self._sampler, self._clips, self._share = sampler, tuple(clips), share

    def make(self, rng: np.random.Generator) -> Samples:
        """Return a new negative clip (T,) float32."""
        if rng.random() < self._share:
            return self.stretch(self._clips[int(rng.integers(len(self._clips)))], rng)
        return self._sampler.make(rng)

    def stretch(self, samples: Samples | NDArray[np.int16], rng: np.random.Generator) -> Samples:
        """Return what `NegativeSampler.stretch` does."""
        return self._sampler.stretch(samples, rng)

    def background(self, kind: str, rng: np.random.Generator) -> Samples:
        """Return what `NegativeSampler.background` does: words are not mixed with refused clips."""
        return self._sampler.background(kind, rng)


@dataclass(frozen=True, eq=False)
class NegativeClips:
    """A number of negative clips that stand behind the clips of a data set.

    Attributes
    ----------
    sampler : NegativeSampler or WithRefused
    count : int
    label : int
        Their class.
    seed : int
        Seed of the clips that are generated without a generator.
    """

    sampler: NegativeSampler | WithRefused
    count: int
    label: int
    seed: int

    def clip(self, number: int, rng: np.random.Generator | None = None) -> Samples:
        """Return a new clip (T,) float32 drawn with `rng`; without it, always the same clip for a `number`."""
        return self.sampler.make(np.random.default_rng([self.seed, number]) if rng is None else rng)

    def samples(self, first: int, part: slice = slice(None)) -> Samples:
        """Return the clips (count, T) float32 with the numbers from `first` on: how many clips they stand behind.

        `part` returns some of them.
        """
        numbers = range(self.count)[part]
        clips = np.empty((len(numbers), len(self.clip(first))), np.float32)
        for place, number in enumerate(numbers):
            clips[place] = self.clip(first + number)
        return clips


def _at_any_level(sound: Samples, rng: np.random.Generator) -> Samples:
    """Return a sound at a power drawn from `NOISE_DB`."""
    power = mean_power(sound)
    return sound * np.float32(10 ** (rng.uniform(*NOISE_DB) / 20) / np.sqrt(power)) if power else sound
