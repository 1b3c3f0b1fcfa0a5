"""Words that sound like those of a classifier, by the phonemes that espeak-ng gives them."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audioconv.errors import DataError, MissingExtraError
from audioconv.recipe.transcripts import Phrase
from audioconv.tts.espeak import accents_of
from audioconv.tts.espeak_process import Speaker, Voice

_LOG = logging.getLogger("audioconv")

MAX_DISTANCE = 0.5
"""Two words are similar if so many of the longer one's phonemes differ at most, as a share."""

DEFAULT_LANGUAGE = "en"

Phonemes = tuple[str, ...]


@dataclass(frozen=True)
class SoundAlikes:
    """Words of transcripts that sound like those of a classifier.

    Attributes
    ----------
    homophones : mapping of str to set of str
        Words that are pronounced like a word of a label, and which.
    similar : set of str
        Words whose pronunciation is similar to that of a label, without the homophones and the labels' words.
    """

    homophones: Mapping[str, frozenset[str]]
    similar: frozenset[str]


def find_sound_alikes(
    phrases: Sequence[Phrase], words: Collection[str], language: str | None = None
) -> SoundAlikes | None:
    """Return which of the words sound like the phrases of a classifier; None where espeak-ng is not installed.

    Parameters
    ----------
    phrases : sequence of tuple of str
        The labels, as `transcripts.phrase_of` gives them.
    words : collection of str
        The vocabulary of transcripts.
    language : str, optional
        Language of labels and transcripts. Default: English, for words in Latin letters.
    """
    own = {word for phrase in phrases for word in phrase}
    others = sorted(word for word in words if word not in own and (language is not None or _is_latin(word)))
    own = {word for word in own if language is not None or _is_latin(word)}
    if not own or not others:
        return SoundAlikes({}, frozenset())
    try:
        with Speaker() as speaker:
            return _compared(speaker, phrases, sorted(own), others, language or DEFAULT_LANGUAGE)
    except MissingExtraError:
        return None
    except DataError as error:
        _LOG.warning("%s; until then words are compared by their spelling only", error)
        return None


def _compared(
    speaker: Speaker, phrases: Sequence[Phrase], own: Sequence[str], others: Sequence[str], language: str
) -> SoundAlikes:
    """Return which of the other words sound like the phrases, of which `own` are the words that can be said."""
    accents = accents_of(speaker.voices, language)
    usual = _usual(accents, language)
    said = dict(zip(others, speaker.phoneme_lists(others, usual.identifier), strict=True))
    texts = sorted({*own, *(" ".join(phrase) for phrase in phrases if set(own).issuperset(phrase))})
    labels = dict(zip(texts, speaker.phoneme_lists(texts, usual.identifier), strict=True))
    near = set(nearest(said, labels.values()))
    # Homophones of one accent are at least similar in another, so these are asked for few words.
    homophones: dict[str, frozenset[str]] = {}
    for accent in accents:
        for word, found in _homophones(speaker, accent, sorted(near), own).items():
            homophones[word] = homophones.get(word, frozenset()) | found
    whole = [labels[" ".join(phrase)] for phrase in phrases if " ".join(phrase) in labels]
    return SoundAlikes(homophones, frozenset(nearest(said, whole)) - homophones.keys())


def _homophones(speaker: Speaker, accent: Voice, words: Sequence[str], own: Sequence[str]) -> dict[str, frozenset[str]]:
    """Return which of the words an accent pronounces like one of the own words, and which those are."""
    by_sound: dict[Phonemes, set[str]] = {}
    for word, sounds in zip(own, speaker.phoneme_lists(own, accent.identifier), strict=True):
        by_sound.setdefault(sounds, set()).add(word)
    pairs = zip(words, speaker.phoneme_lists(words, accent.identifier), strict=True)
    return {word: frozenset(by_sound[sounds]) for word, sounds in pairs if sounds and sounds in by_sound}


def nearest(said: Mapping[str, Phonemes], labels: Iterable[Phonemes], max_distance: float = MAX_DISTANCE) -> list[str]:
    """Return the words whose pronunciation is similar to that of a label.

    Parameters
    ----------
    said : mapping of str to tuple of str
        The phonemes of each word.
    labels : iterable of tuple of str
        The phonemes of each label.
    max_distance : float
        Greatest edit distance, as a share of the phonemes of the longer one.

    Examples
    --------
    >>> nearest({"cap": ("k", "a", "p"), "dog": ("d", "0", "g")}, [("k", "a", "t")])
    ['cap']
    """
    words = [word for word, sounds in said.items() if sounds]
    if not words:
        return []
    codes: dict[str, int] = {}
    lengths = np.array([len(said[word]) for word in words])
    table = np.full((len(words), int(lengths.max())), -1, np.int64)
    for row, word in enumerate(words):
        table[row, : len(said[word])] = [codes.setdefault(sound, len(codes)) for sound in said[word]]
    close = np.zeros(len(words), bool)
    for label in labels:
        if label:
            numbers = [codes.setdefault(sound, len(codes)) for sound in label]
            longer = np.maximum(lengths, len(label))
            # The lengths alone are so far apart: most words of a large vocabulary need no comparison.
            rows = np.flatnonzero(~close & (np.abs(lengths - len(label)) <= max_distance * longer))
            width = int(lengths[rows].max(initial=0))
            distances = edit_distances(numbers, table[rows, :width], lengths[rows])
            close[rows] = distances <= max_distance * longer[rows]
    return [word for word, is_close in zip(words, close.tolist(), strict=True) if is_close]


def edit_distances(one: Sequence[int], others: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the edit distance of one sequence to each of many others, all at once.

    Parameters
    ----------
    one : sequence of int
    others : array (N, T) int64
        A sequence in each row, with anything behind its end.
    lengths : array (N,) int64
        Of the others.

    Returns
    -------
    array (N,) int64
        How many insertions, deletions and replacements there are at least.

    References
    ----------
    R. A. Wagner, M. J. Fischer: The String-to-String Correction Problem, Journal of the ACM 21 (1), 1974.
    """
    count, width = others.shape
    row = np.tile(np.arange(width + 1), (count, 1))
    for number, symbol in enumerate(one, 1):
        above, row = row, np.empty_like(row)
        row[:, 0] = number
        for column in range(1, width + 1):
            replaced = above[:, column - 1] + (others[:, column - 1] != symbol)
            row[:, column] = np.minimum(np.minimum(above[:, column], row[:, column - 1]) + 1, replaced)
    distances: NDArray[np.int64] = row[np.arange(count), lengths]
    return distances


def _usual(accents: Sequence[Voice], language: str) -> Voice:
    """Return the voice that speaks a language where nobody asks for an accent."""
    ranks = {voice: [rank for tag, rank in voice.languages if tag.lower() == language.lower()] for voice in accents}
    return min(accents, key=lambda voice: min(ranks[voice], default=100))


def _is_latin(word: str) -> bool:
    return all(unicodedata.name(letter, "").startswith("LATIN") for letter in word if letter.isalpha())
