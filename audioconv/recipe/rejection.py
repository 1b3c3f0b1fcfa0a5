"""Learning to reject: where the negatives come from, those that train and those that choose the decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Array, Samples
from audioconv.audio.augment import Augmentation
from audioconv.audio.negatives import RECORDED, NegativeClips, NegativeSampler, WithRefused
from audioconv.audio.samples import as_float
from audioconv.audio.segments import find_segments
from audioconv.audio.shared_windows import hold
from audioconv.audio.synthetic_sounds import knocks
from audioconv.audio.window_begins import Content
from audioconv.audio.windows import Windows
from audioconv.decision.classes import UNKNOWN, is_word
from audioconv.io.parallel import evenly
from audioconv.recipe.bank import NegativeBank
from audioconv.recipe.settings import Settings
from audioconv.recipe.spoken_words import Spoken

NEGATIVES_PER_CLASS = 4.0
"""Negatives to train with, for each clip of an average class."""

RECORDED_PER_CLASS, MIN_RECORDED = 8.0, 300
"""The same if there are recordings of negatives, and the least number of them in an epoch."""

BACKGROUNDS = ("babble",) * 8 + ("bursts", "glide", "sustained") * 2 + ("bursts", "glide")
KNOCK_SECONDS, KNOCK_SLOPES = 4, np.linspace(0, 3, 12)
MIN_GAIN_DB, MIN_SNR_DB = -24.0, 0.0
"""The sounds that words are mixed with besides noise, and how soft words become: see `Rejection.augmentation`."""

REFUSED_DRAWS, MAX_REFUSED_SHARE = 8, 0.25
"""How often an epoch shows each refused clip, on average, and the greatest share of the negatives that all of them are:
in hours of negative recordings they would hardly ever be drawn."""

CALIBRATION_NEGATIVES, FOLDS_NEGATIVES = 1000, 400
"""Negatives that choose the threshold; those of all folds of a cross-validation together, which has few words."""

CALIBRATION_CLIPS = 1000
"""Clips that they are made of, at most, where there are several replicas."""

GENERATED_HARDNESS, SPOKEN_HARDNESS, EMBEDDING_HARDNESS = 2.0, 2.5, 0.25
"""Ratio of the false accept rate on real speech to that on the calibration negatives: if all of them are generated from
the words; if synthetic voices speak half of them, of which hardly any is accepted; and if they are generated and the
network begins with the speech embedding, which tells other words apart but not the words' own pieces."""

BACKGROUND_SHARE = 0.15
"""Share of the negatives that is made of recordings of noise, if there are any."""

MINUTE = 60
"""In seconds."""

RECORDED_GIVEN_UP = 0.015
"""`calibration.GIVEN_UP` where recordings are the negatives, which are as hard as what the model is used on."""

MISSED_BY_CLEAR = 0.001
"""`missed_by_clear` of `decision.calibration.calibrate` with a bank. The negatives are far from wake words, and a
threshold for a share of the negatives alone would be near 0 for them."""


@dataclass(frozen=True, eq=False)
class _Recorded:
    """Recordings, where the segments of each lie, and how often they are drawn."""

    recordings: Sequence[Array]
    segments: Sequence[NDArray[np.int64]] = ()
    weights: Sequence[float] = ()

    @classmethod
    def of(cls, recordings: Sequence[Array], sample_rate: int, weights: Sequence[float] = ()) -> Self:
        segments = [_segments(recording, sample_rate) for recording in recordings]
        return cls(recordings, segments, weights)


def _segments(recording: Array, sample_rate: int) -> NDArray[np.int64]:
    """Return the segments of a recording, minute by minute: an hour in float64 would take half a gigabyte."""
    length = MINUTE * sample_rate
    begins = range(0, len(recording), length)
    return np.concatenate(
        [begin + find_segments(as_float(recording[begin : begin + length]), sample_rate) for begin in begins]
    )


class Rejection:
    """Negatives of one training run.

    Parameters
    ----------
    settings : Settings
    sample_rate : int
        In Hz.
    classes : sequence of str
        Those with examples.
    spoken : Spoken, optional
        Out-of-vocabulary words by synthetic voices.
    bank : NegativeBank, optional
        Recordings that hold none of the words.
    content : {"words", "sounds"}
        What the classes are. Negatives for sounds are windows of recordings if there are any: two sounds at once, or a
        piece of a sound, are no negatives of it.
    embedding : bool
        Whether the network begins with the speech embedding. Default: False.
    refused : sequence of arrays (T,) float32
        Clips of sounds that a model has taken for words, or nearly so.
    backgrounds : sequence of arrays (T,) float32 or int16
        Recordings of noise without words.

    Attributes
    ----------
    classes : tuple of str
        The same, with ``_unknown_`` among them.
    auxiliary : tuple of str
        ``_unknown_``, unless it has examples.
    negative_hardness_ratio : float
        Ratio of the false accept rate on real negatives to that on the calibration negatives.
    given_up, missed_by_clear : float or None
        What `decision.calibration.calibrate` takes.
    """

    def __init__(
        self,
        settings: Settings,
        sample_rate: int,
        classes: Sequence[str],
        spoken: Spoken | None = None,
        bank: NegativeBank | None = None,
        content: Content | None = "words",
        embedding: bool = False,
        refused: Sequence[Samples] = (),
        backgrounds: Sequence[Array] = (),
    ) -> None:
        self.classes = tuple(sorted({*classes, UNKNOWN}))
        self.auxiliary = () if UNKNOWN in classes else (UNKNOWN,)
        self._code = self.classes.index(UNKNOWN)
        self._words = np.array([is_word(label) for label in self.classes])
        self._seed, self._rate, self._replicas = settings.seed, sample_rate, settings.replicas
        self.bank, self._of_sounds = bank, content == "sounds" and bank is not None
        self._to_train, self._to_calibrate = (
            (_Recorded(()), _Recorded(()))
            if bank is None
            else (self._found(bank.training, bank.weights), self._found(bank.calibration))
        )
        hardness = SPOKEN_HARDNESS if spoken is not None else EMBEDDING_HARDNESS if embedding else GENERATED_HARDNESS
        self.negative_hardness_ratio = hardness if self.auxiliary and bank is None else 1.0
        self.given_up = RECORDED_GIVEN_UP if bank is not None else 0.0 if embedding else None
        self.missed_by_clear = None if bank is None else MISSED_BY_CLEAR
        self._spoken, self._refused, self._backgrounds = spoken, refused, backgrounds

    def _found(self, recordings: Sequence[Array], weights: Sequence[float] = ()) -> _Recorded:
        return _Recorded(recordings) if self._of_sounds else _Recorded.of(recordings, self._rate, weights)

    def for_training(self, x: Samples | Windows, codes: NDArray[np.integer]) -> NegativeClips:
        """Return the negatives of a replica beside its clips `x` (N, T) of the classes `codes` (N,)."""
        per_class, least = (NEGATIVES_PER_CLASS, 0) if self.bank is None else (RECORDED_PER_CLASS, MIN_RECORDED)
        least = -(-least // self._replicas)
        count = max(round(per_class * len(x) / max(self._words.sum(), 1)), least)
        spoken = None if self._spoken is None else self._spoken.negatives
        sampler: NegativeSampler | WithRefused = self._sampler(x, codes, self._to_train, spoken)
        if self._backgrounds:
            sampler = WithRefused(sampler, self._backgrounds, BACKGROUND_SHARE)
        if not self._refused:
            return NegativeClips(sampler, count, self._code, self._seed)
        share = min(MAX_REFUSED_SHARE, REFUSED_DRAWS * len(self._refused) / max(1, count))
        return NegativeClips(WithRefused(sampler, self._refused, share), count, self._code, self._seed)

    def for_calibration(
        self, x: Samples | Windows, codes: NDArray[np.integer], count: int = CALIBRATION_NEGATIVES
    ) -> NegativeClips:
        """Return so many negatives that choose the decision, beside clips that the network has not learned."""
        spoken = None if self._spoken is None else self._spoken.calibration_negatives
        if self._replicas > 1:  # each process needs all of these clips
            some = np.array(evenly(range(len(x)), CALIBRATION_CLIPS), np.int64)
            hold(x, some)
            x, codes = x.select(some) if isinstance(x, Windows) else x[some], codes[some]
        # Generated negatives are as hard as words of the same sounds, which are rare among those that people say.
        sampler = self._sampler(x, codes, self._to_calibrate, spoken, recorded=1.0)
        return NegativeClips(sampler, count, self._code, self._seed)

    def augmentation(
        self, augmentation: Augmentation, sampler: NegativeSampler | WithRefused, clips: int
    ) -> Augmentation:
        """Return the augmentation of so many training clips, with which words are found among other sounds.

        Without it, a network that is trained on isolated negatives (speech, cries, knocks) learns to reject every clip
        that contains them. So words are mixed with such sounds, too. They are also mixed with breath on the microphone,
        and made softer: a word that is hard to hear must differ from the negatives.
        """
        if self._of_sounds:
            return augmentation
        rng = np.random.default_rng([self._seed, clips])
        backgrounds = [sampler.background(kind, rng) for kind in BACKGROUNDS]
        backgrounds += [knocks(KNOCK_SECONDS * self._rate, self._rate, slope, rng) for slope in KNOCK_SLOPES]
        noises = (*augmentation.noises, *backgrounds)
        # As often speech as everything else: else all that has speech behind it is taken for running speech.
        noises += tuple(evenly(self._to_train.recordings, len(noises)))
        return replace(
            augmentation,
            noises=noises,
            gain_db=(min(MIN_GAIN_DB, augmentation.gain_db[0]), augmentation.gain_db[1]),
            snr_db=(min(MIN_SNR_DB, augmentation.snr_db[0]), augmentation.snr_db[1]),
        )

    def _sampler(
        self,
        x: Samples | Windows,
        codes: NDArray[np.integer],
        found: _Recorded,
        spoken: NDArray[np.int16] | None,
        recorded: float = RECORDED,
    ) -> NegativeSampler:
        of_words = self._words[codes]
        kept = of_words if of_words.any() else np.ones(len(codes), bool)
        samples = x if kept.all() else x.select(kept) if isinstance(x, Windows) else x[kept]
        share = 1.0 if self._of_sounds else recorded
        return NegativeSampler(
            samples, codes[kept], self._rate, found.recordings, spoken, found.segments, share, found.weights
        )


def describe(settings: Settings, rejection: Rejection | None) -> dict[str, Any]:
    """Return what a resumed run must share."""
    bank = None if rejection is None else rejection.bank
    return {
        "reject": rejection is not None,
        "others": None if bank is None else {name: bank.about[name] for name in ("recordings", "hours", "digest")},
        "speak": settings.tts_language,
    }
