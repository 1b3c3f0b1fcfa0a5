"""Synthetic voices that say the words of a classifier, and others: how what is none of the words sounds.

Clips of a few words do not tell what else there is to hear: where no word ends in a nasal, "down" is "go" to the
network. Common words by espeak-ng tell. Since it says the classifier's own words too, a voice being synthetic tells
nothing.
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
    """What synthetic voices say for a classifier.

    Attributes
    ----------
    samples : array (N, T) float32
        The words.
    labels : tuple of str
        Which each is.
    others, others_to_choose : array (M, T) int16
        Other words, which a network is to reject; 32768 is full scale. The second, by other voices, choose its
        threshold.
    about : dict
        Which program and language, and how many clips; JSON-compatible.
    """

    samples: Samples
    labels: tuple[str, ...]
    others: NDArray[np.int16]
    others_to_choose: NDArray[np.int16]
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
    """Return the words, and others, by espeak-ng's voices; those that are kept for a test say what chooses alone.

    Parameters
    ----------
    labels : sequence of str
        The words; an underscore is a space.
    language : str
        How they are pronounced: one of `synth.languages`. In any but English the other words are English ones that
        somebody reads who does not know it, which are words of none.
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
        strangers = _that_sound_differently(_common_words(), words, cast)

        count = len(words) * CLIPS_OF_A_WORD + len(strangers) * (CLIPS_OF_ANOTHER + 1)
        numbers = itertools.count(1)

        def say(some: Sequence[str], times: int, *, for_test: bool = False) -> Iterator[Samples]:
            for word in some:
                for clip in cast.clips(word, times, rng, for_test=for_test):
                    yield _fitted(clip, sample_rate, clip_samples)
                    if progress:
                        progress(next(numbers), count)

        own = list(say(words, CLIPS_OF_A_WORD))
        others = _as_integers(say(strangers, CLIPS_OF_ANOTHER))
        to_choose = _as_integers(say(strangers, 1, for_test=True))
        about = {
            "program": cast.source,
            "language": language,
            "clips_of_each_word": CLIPS_OF_A_WORD,
            "other_words": len(strangers),
            "clips_of_others": len(others),
        }
    return Spoken(
        samples=np.stack(own),
        labels=tuple(label for label in labels for _ in range(CLIPS_OF_A_WORD)),
        others=others,
        others_to_choose=to_choose,
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


def _that_sound_differently(others: Sequence[str], words: Sequence[str], cast: EspeakVoices) -> list[str]:
    """Return the `others` that no voice says as it says one of the words: "write" is no stranger to "right"."""
    strangers = list(others)
    for accent in cast.accents:
        sounds = {cast.speaker.phonemes(word, accent.identifier) for word in words}
        strangers = [word for word in strangers if cast.speaker.phonemes(word, accent.identifier) not in sounds]
    return strangers


def _as_integers(clips: Iterable[Samples]) -> NDArray[np.int16]:
    """Return clips in half the memory."""
    return np.stack([np.rint(clip * (FULL_SCALE - 1)).astype(np.int16) for clip in clips])


def _fitted(clip: SpokenClip, sample_rate: int, clip_samples: int) -> Samples:
    samples = clip.samples.astype(np.float32) / np.float32(FULL_SCALE)
    return fit_length(resample(samples, SAMPLE_RATE, sample_rate), clip_samples)
