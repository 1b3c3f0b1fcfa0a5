"""Words by synthetic voices: those of a classifier, and out-of-vocabulary words as negatives.

A few words do not show a network how other words sound: if none of them ends in a nasal, it takes "down" for "go".
Common words by espeak-ng show it. The classifier's own words are synthesised as well, so that a synthetic voice alone
does not tell a negative.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Samples
from audioconv.audio.samples import FULL_SCALE, fit_length, resample
from audioconv.decision.classes import is_word
from audioconv.tts.dataset import checked_words
from audioconv.tts.espeak import EspeakVoices
from audioconv.tts.voices import SAMPLE_RATE, SpokenClip

CLIPS_OF_A_WORD, CLIPS_OF_ANOTHER = 200, 16


@dataclass(frozen=True, eq=False)
class Spoken:
    """Clips by synthetic voices.

    Attributes
    ----------
    samples : array (N, T) float32
        The words.
    labels : tuple of str
        The class of each.
    negatives, calibration_negatives : array (M, T) int16
        Out-of-vocabulary words, which a network is to reject; 32768 is full scale. The second choose its threshold;
        held-out voices speak them.
    about : dict
        Program, language and numbers of clips; JSON-compatible.
    """

    samples: Samples
    labels: tuple[str, ...]
    negatives: NDArray[np.int16]
    calibration_negatives: NDArray[np.int16]
    about: dict[str, Any]


def speak(
    labels: Sequence[str],
    language: str,
    *,
    sample_rate: int,
    clip_samples: int,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Spoken:
    """Synthesise the words, and out-of-vocabulary words, with espeak-ng; held-out voices speak the calibration clips.

    Parameters
    ----------
    labels : sequence of str
        The words; an underscore is a space.
    language : str
        Their pronunciation: one of `synth.languages`. In other languages than English the out-of-vocabulary words are
        English words with the pronunciation of that language.
    sample_rate, clip_samples : int
        Of the clips.
    seed : int
        The same gives the same clips.
    progress : callable, optional
        Called with the number of clips that are done and of all.

    Raises
    ------
    ConfigError
        If a word or the language is not possible.
    MissingExtraError
        If espeak-ng is not installed.
    """
    words = checked_words([label.replace("_", " ") for label in labels])
    rng = np.random.default_rng(seed)
    with EspeakVoices(language) as cast:
        other_words = _out_of_vocabulary(_common_words(), words, cast)

        count = len(words) * CLIPS_OF_A_WORD + len(other_words) * (CLIPS_OF_ANOTHER + 1)
        numbers = itertools.count(1)

        def say(some: Sequence[str], times: int, *, for_test: bool = False) -> Iterator[Samples]:
            for word in some:
                for clip in cast.clips(word, times, rng, for_test=for_test):
                    yield _fitted(clip, sample_rate, clip_samples)
                    if progress:
                        progress(next(numbers), count)

        own = list(say(words, CLIPS_OF_A_WORD))
        negatives = _as_integers(say(other_words, CLIPS_OF_ANOTHER))
        calibration_negatives = _as_integers(say(other_words, 1, for_test=True))
        about = {
            "program": cast.source,
            "language": language,
            "clips_of_each_word": CLIPS_OF_A_WORD,
            "other_words": len(other_words),
            "clips_of_others": len(negatives),
        }
    return Spoken(
        samples=np.stack(own),
        labels=tuple(label for label in labels for _ in range(CLIPS_OF_A_WORD)),
        negatives=negatives,
        calibration_negatives=calibration_negatives,
        about=about,
    )


def count_to_learn(labels: Sequence[str], language: str | None) -> int:
    """Return how many clips of these labels an epoch has, with those that are spoken if there is a language.

    >>> count_to_learn(["left", "right", "left", "_unknown_"], "en")
    404
    """
    words = set(filter(is_word, labels)) if language is not None else ()
    return len(labels) + CLIPS_OF_A_WORD * len(words)


def describe(about: object) -> str | None:
    """Return in a line what `Spoken.about` tells, as it is in a model's file; None where it tells nothing.

    >>> describe({"program": "espeak-ng 1.52.0", "language": "en", "clips_of_each_word": 200, "clips_of_others": 7760})
    'espeak-ng 1.52.0 (en): 200 clips of each word, 7,760 of others'
    """
    if not isinstance(about, dict):
        return None
    own, others = (about.get(f"clips_of_{what}") for what in ("each_word", "others"))
    if not (isinstance(own, int) and isinstance(others, int)):
        return None
    return f"{about.get('program')} ({about.get('language')}): {own:,} clips of each word, {others:,} of others"


def check_language(language: str) -> None:
    """Raise `ConfigError` if there are no voices for a language, `MissingExtraError` if there are none at all."""
    with EspeakVoices(language):
        pass


@cache
def _common_words() -> tuple[str, ...]:
    return tuple(Path(__file__).with_name("common_words.txt").read_text("utf-8").split())


def _out_of_vocabulary(candidates: Sequence[str], words: Sequence[str], cast: EspeakVoices) -> list[str]:
    """Return the candidates that no voice pronounces like one of the words, as "write" is pronounced like "right"."""
    kept = list(candidates)
    for accent in cast.accents:
        sounds = {cast.speaker.phonemes(word, accent.identifier) for word in words}
        kept = [word for word in kept if cast.speaker.phonemes(word, accent.identifier) not in sounds]
    return kept


def _as_integers(clips: Iterable[Samples]) -> NDArray[np.int16]:
    """Return clips in half the memory."""
    return np.stack([np.rint(clip * (FULL_SCALE - 1)).astype(np.int16) for clip in clips])


def _fitted(clip: SpokenClip, sample_rate: int, clip_samples: int) -> Samples:
    samples = clip.samples.astype(np.float32) / np.float32(FULL_SCALE)
    return fit_length(resample(samples, SAMPLE_RATE, sample_rate), clip_samples)
