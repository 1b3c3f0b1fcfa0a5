"""Sentences of a single word, in any script."""

from __future__ import annotations

import csv
import os
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

from audioconv.errors import ConfigError, DataError
from audioconv.io.files import display_path, reason

# What people write as an apostrophe; some of them count as letters.
_APOSTROPHES = frozenset("'`\u00b4\u02bb\u02bc\u02bd\u02c8\u2018\u2019\u201b\u2032\u055a\u05f3\ua78c\uff07")

_TATWEEL = "\u0640"

# Vowel points are written or not, as one likes: Arabic ones, and Hebrew ones with the accents.
_OPTIONAL_MARKS = frozenset(map(chr, (*range(0x0610, 0x061B), *range(0x064B, 0x0653), 0x0670, *range(0x0591, 0x05C8))))

_SAME_LETTER = {"\u0131": "i"}  # in capitals, the Turkish dotless i is the other languages' I

# Scripts that put no spaces between words: a sentence of more letters than this is not taken for a word.
_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
MAX_UNSPACED_LETTERS = 4


def normalise(text: str) -> str:
    r"""Return `text` normalised, so that the same words are the same string.

    Case, width and the composition of letters do not count, nor do punctuation, quotes and what cannot be seen. Digits
    stand for their value in every script. Arabic and Hebrew vowel points are left out, since most people leave them
    out; the marks of other scripts make other words, and stay. Words are separated by one space, and hyphens
    separate. An apostrophe does not.

    References
    ----------
    Unicode 15.0, section 3.13 (caseless matching) and annex 15 (normalisation forms).

    Examples
    --------
    >>> normalise("\u201cDON\u2019T!\u201d"), normalise("e-mail"), normalise("\u0663")
    ('dont', 'e mail', '3')
    """
    text = unicodedata.normalize("NFD", text).casefold()
    text = unicodedata.normalize("NFKD", text).casefold()
    text = unicodedata.normalize("NFKD", text).replace("i\u0307", "i")
    letters = unicodedata.normalize("NFC", "".join(map(_folded, text)))
    # A mark that is left without its letter is no word.
    return " ".join(word for word in letters.split() if any(unicodedata.category(c)[0] in "LN" for c in word))


def _folded(character: str) -> str:
    """Return what is left of a character, a space where it separates."""
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if character in _APOSTROPHES or character in _OPTIONAL_MARKS or character == _TATWEEL or category == "Cf":
        return ""
    return _SAME_LETTER.get(character, character) if category[0] in "LMN" else " "


def single_word(sentence: str) -> str | None:
    """Return the one word that a sentence is, normalised; None where there are more, or none.

    Examples
    --------
    >>> single_word("Firefox."), single_word("Hey, Firefox!")
    ('firefox', None)
    """
    text = normalise(sentence)
    if not text or " " in text:
        return None
    return text if count_unspaced(text) <= MAX_UNSPACED_LETTERS else None


def count_unspaced(text: str) -> int:
    """Return how many letters of a text are of scripts that put no spaces between words.

    >>> count_unspaced("\u306f\u3044"), count_unspaced("yes")
    (2, 0)
    """
    return sum(unicodedata.name(c, "").startswith(_UNSPACED) and unicodedata.category(c)[0] == "L" for c in text)


class WordList:
    """Words that are wanted, and the classes they make.

    Parameters
    ----------
    words : iterable of str, or mapping of str to str
        Words or short phrases; a mapping gives the class of each, so that several can make one.

    Attributes
    ----------
    labels : tuple of str
        The classes, in their order.

    Raises
    ------
    ConfigError
        If there are none, one has no letters, or two that are the same have different classes.

    Examples
    --------
    >>> WordList(["yes", "no"]).label("YES!")
    'yes'
    """

    def __init__(self, words: Iterable[str] | Mapping[str, str]) -> None:
        pairs = words.items() if isinstance(words, Mapping) else ((word.strip(), word.strip()) for word in words)
        self._labels: dict[str, str] = {}
        for word, label in pairs:
            key = normalise(word)
            if not key or not label.strip():
                raise ConfigError(f"{word!r} is no word: it has no letters or digits")
            if not label.isprintable():
                raise ConfigError(f"{label!r} cannot be the name of a class: it has characters that cannot be shown")
            before = self._labels.setdefault(key, label)
            if before != label and isinstance(words, Mapping):
                raise ConfigError(f"{word!r} is to be {label!r} and {before!r} too; decide for one")
        if not self._labels:
            raise ConfigError("no words are given; name some, separated by commas")
        self.labels = tuple(dict.fromkeys(self._labels.values()))

    def label(self, text: str) -> str | None:
        """Return the class of a transcript, or None if it is not one of the words."""
        return self._labels.get(normalise(text))

    def as_json(self) -> dict[str, str]:
        """Return the class of each normalised word."""
        return dict(sorted(self._labels.items()))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> WordList:
        """Read a list from a file: a word in each line, then, after a tab or comma, its class where that is another.

        Empty lines, and lines that begin with ``#``, do not count.

        Raises
        ------
        DataError
            If the file cannot be read or holds no words.
        """
        shown = display_path(path)
        try:
            lines = Path(path).read_text("utf-8-sig").splitlines()
        except OSError as error:
            raise DataError(f"{shown}: the list of words cannot be read ({reason(error)})") from None
        except UnicodeDecodeError:
            raise DataError(f"{shown}: the list of words is not UTF-8; save it as UTF-8 text") from None
        words: dict[str, str] = {}
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            fields = [field.strip() for field in next(csv.reader([line], delimiter="\t" if "\t" in line else ","))]
            if len(fields) > 2 or not normalise(fields[0]):
                raise DataError(f"{shown}, line {number}: expected a word, and perhaps its class, got {line!r}")
            word, label = fields[0], fields[-1] or fields[0]
            if words.setdefault(word, label) != label:
                raise DataError(f"{shown}, line {number}: {word!r} has another class in an earlier line")
        if not words:
            raise DataError(f"{shown}: holds no words; write one in each line")
        return cls(words)
