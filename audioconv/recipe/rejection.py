"""Learning to say "none of these": other sounds to train with, and a decision that is chosen on clips kept apart."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Array
from audioconv.audio.augment import Augmentation
from audioconv.audio.clips import AudioClips, ClipsWithOthers
from audioconv.audio.negatives import Others
from audioconv.audio.synthetic_sounds import knocks
from audioconv.audio.windows import Windows
from audioconv.decision.calibration import calibrate
from audioconv.decision.classes import UNKNOWN, is_word
from audioconv.decision.decision import Decision
from audioconv.features.normalisation import Normalisation
from audioconv.model import Model
from audioconv.pipeline import inputs, predict
from audioconv.pipeline.inputs import AudioInput, ImageInput
from audioconv.recipe.settings import Settings
from audioconv.recipe.spoken_words import Spoken

OTHERS_PER_CLASS = 4.0
"""Other sounds to train with, for each clip of an average class."""

BACKGROUNDS = ("babble",) * 8 + ("bursts", "glide", "sustained") * 2 + ("bursts", "glide")
KNOCK_SECONDS, KNOCK_SLOPES = 4, np.linspace(0, 3, 12)
SOFTEST_DB, LEAST_SNR_DB = -24.0, 0.0
"""What words are mixed with beside noise, and how soft they are: see `Rejection.augmentation`."""

CALIBRATION_OTHERS = 1000
"""Made to choose the threshold on."""

MADE_ARE_EASIER = 2.0
"""What people say beside the words passes about so many times as often as what is made of the words."""

SPOKEN_ARE_EASIER = 2.5
"""The same where half of what chooses is said by synthetic voices, of which hardly any passes."""

RECORDED_FOR_TRAINING = 0.85
"""Of each recording of other things, from its beginning; the rest chooses the threshold."""


def shall_reject(settings: Settings, source: AudioInput | ImageInput, few_speakers: bool) -> bool:
    """Return whether other sounds are made: where asked for, or where the classes are words that many people say."""
    if not isinstance(source, AudioInput):
        return False
    if settings.reject is not None:
        return settings.reject
    # Who has heard few voices say the words takes those of others for something else.
    return bool(settings.others or settings.speak) or (source.holds_a_word and not few_speakers)


class Rejection:
    """What one training run needs in order to learn to reject.

    Parameters
    ----------
    settings : Settings
    source : AudioInput
    classes : sequence of str
        Of which there are examples.
    spoken : Spoken, optional
        Other words, by synthetic voices.

    Attributes
    ----------
    classes : tuple of str
        The same, with ``_unknown_`` among them.
    made : tuple of str
        ``_unknown_``, unless there are examples of it.
    easier : float
        How many times as often as the sounds that choose the threshold those pass that one hears.
    """

    def __init__(
        self, settings: Settings, source: AudioInput, classes: Sequence[str], spoken: Spoken | None = None
    ) -> None:
        self.classes = tuple(sorted({*classes, UNKNOWN}))
        self.made = () if UNKNOWN in classes else (UNKNOWN,)
        self._code = self.classes.index(UNKNOWN)
        self._words = np.array([is_word(label) for label in self.classes])
        self._seed, self._rate = settings.seed, source.front_end.sample_rate
        recordings = [] if settings.others is None else inputs.read_noises(settings.others, self._rate)
        cuts = [round(RECORDED_FOR_TRAINING * len(recording)) for recording in recordings]
        self._to_train = [recording[:cut] for recording, cut in zip(recordings, cuts, strict=True) if cut]
        made_are_easier = MADE_ARE_EASIER if spoken is None else SPOKEN_ARE_EASIER
        self.easier = made_are_easier if self.made and not recordings else 1.0
        self._spoken_to_train = None if spoken is None else spoken.others
        self._spoken_to_choose = None if spoken is None else spoken.others_to_choose
        self._to_choose = [r[cut:] for r, cut in zip(recordings, cuts, strict=True) if cut < len(r)]

    def to_train(self, clips: AudioClips) -> ClipsWithOthers:
        """Return the clips to train on, with other sounds behind them."""
        count = round(OTHERS_PER_CLASS * len(clips) / max(self._words.sum(), 1))
        others = self._others(clips, self._to_train, self._spoken_to_train)
        return ClipsWithOthers(clips, others, count, self._code, self._seed)

    def augmentation(self, augmentation: Augmentation, clips: AudioClips) -> Augmentation:
        """Return an augmentation with which words keep their place among the other sounds.

        Who learns from talk, cries and knocks by themselves would otherwise learn that where they are there is no word.
        So words are mixed with them too; and with breath on the microphone, and made softer, since a word that is hard
        to hear must stand out from what is none.
        """
        others = self._others(clips, ())
        rng = np.random.default_rng([self._seed, len(clips)])
        made = [others.background(kind, rng) for kind in BACKGROUNDS]
        made += [knocks(KNOCK_SECONDS * self._rate, self._rate, slope, rng) for slope in KNOCK_SLOPES]
        return replace(
            augmentation,
            noises=(*augmentation.noises, *made),
            gain_db=(min(SOFTEST_DB, augmentation.gain_db[0]), augmentation.gain_db[1]),
            snr_db=(min(LEAST_SNR_DB, augmentation.snr_db[0]), augmentation.snr_db[1]),
        )

    def to_choose(self, clips: AudioClips) -> ClipsWithOthers:
        """Return the clips that choose the decision, with many other sounds behind them."""
        others = self._others(clips, self._to_choose, self._spoken_to_choose)
        return ClipsWithOthers(clips, others, CALIBRATION_OTHERS, self._code, self._seed)

    def _others(
        self, clips: AudioClips, recordings: Sequence[Array], spoken: NDArray[np.int16] | None = None
    ) -> Others:
        of_words = self._words[clips.labels]
        kept = of_words if of_words.any() else np.ones(len(clips), bool)
        samples = clips.samples.select(kept) if isinstance(clips.samples, Windows) else clips.samples[kept]
        return Others(samples, clips.labels[kept], self._rate, recordings, spoken)


def decide(
    model: Model, settings: Settings, x: Array | Windows, codes: NDArray[np.integer], rejection: Rejection | None
) -> Decision:
    """Return the decision of `model` that fits clips or pictures it has not learned.

    Parameters
    ----------
    model : Model
    settings : Settings
    x : array (N, *source.shape) float32, or Windows
        Examples.
    codes : array (N,) int64
        Their classes.
    rejection : Rejection, optional
        Where other sounds were made.
    """
    if not len(x):
        return Decision(made=() if rejection is None else rejection.made)
    made: tuple[str, ...] = ()
    easier = 1.0
    if rejection is not None:
        easier = rejection.easier
        assert model.front_end is not None
        made = rejection.made
        # What is normalised does not matter here: the samples are wanted, and the model does the rest.
        nothing = np.zeros(model.feature_shape[-1], np.float32)
        clips = AudioClips(x, codes.astype(np.int64), model.front_end, Normalisation(nothing, nothing + 1))
        chosen = rejection.to_choose(clips)
        x, codes = chosen.samples(), chosen.labels
    has_others = not all(map(is_word, model.labels))
    return calibrate(
        model.labels,
        predict.logits(model, x),
        codes,
        made=made,
        false_accepts=settings.false_accepts if has_others else None,
        easier=easier,
    )


def describe(settings: Settings, rejection: Rejection | None) -> dict[str, Any]:
    """Return what a resumed run must share."""
    others = None if settings.others is None else os.fspath(settings.others)
    return {"reject": rejection is not None, "others": others, "speak": settings.speak}
