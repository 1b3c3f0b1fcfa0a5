"""What is said in recordings: tables of any encoding beside them, and LibriSpeech's ``*.trans.txt``."""

from __future__ import annotations

import csv
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from audioconv.audio.read import AUDIO_SUFFIXES
from audioconv.datasets.build.sentences import count_unspaced, normalise
from audioconv.datasets.folder import files_below
from audioconv.datasets.table import encoding_of
from audioconv.errors import DataError
from audioconv.io.files import display_path, reason

_PATH, _TEXT, _SPEAKER = ("file", "path"), ("text", "sentence", "transcript"), ("speaker", "client_id")
"""Names of the columns of a table of transcripts, in lower case."""

_SEPARATOR = re.compile(r'"?sep=(.)"?[,;\t ]*\s*$', re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_APOSTROPHES = dict.fromkeys(map(ord, "\u2018\u2019\u02bc\uff07`\u00b4"), "'")

# Bytes that are not UTF-8 come as half characters (surrogates), and are taken for Latin-1.
_LATIN_1 = {0xDC00 + byte: chr(byte) for byte in range(0x80, 0x100)}

Phrase = tuple[str, ...]


@dataclass(frozen=True)
class Transcript:
    """What is said in a recording, or what a sound is, and by whom, where that is known."""

    text: str | None = None
    speaker: str | None = None


NOTHING_KNOWN = Transcript()


def read_transcripts(folder: Path, recordings: Sequence[Path]) -> dict[Path, Transcript]:
    """Return what is said in the recordings of a folder, for those that its tables name.

    Tables are ``*.csv`` and ``*.tsv`` with a header that has the columns ``file`` (or ``path``) and ``text`` (or
    ``sentence``), and perhaps ``speaker`` (or ``client_id``), separated by commas, semicolons, tabs or bars; and
    LibriSpeech's ``*.trans.txt``. Other tables, rows that are too short, and rows of other files do not count.

    Parameters
    ----------
    folder : Path
    recordings : sequence of Path
        Files below the folder.

    Raises
    ------
    DataError
        If a table cannot be read: what it would tell is not known then.
    """
    index = _Index(folder, recordings)
    found: dict[Path, Transcript] = {}
    for file in files_below(folder):
        name = file.name.lower()
        rows = _of_chapter if name.endswith(".trans.txt") else _of_table if name.endswith((".csv", ".tsv")) else None
        if rows is None:
            continue
        place = file.parent.relative_to(folder).as_posix()
        try:
            for path, transcript in rows(file):
                for recording in index.find(place, path):
                    found[recording] = _both(found.get(recording, NOTHING_KNOWN), transcript)
        except OSError as error:
            shown = display_path(file)
            raise DataError(f"{shown}: the table of transcripts cannot be read ({reason(error)})") from None
    return found


class _Index:
    """Recordings by what tables may call them."""

    def __init__(self, folder: Path, recordings: Sequence[Path]) -> None:
        self._by_path: defaultdict[str, list[Path]] = defaultdict(list)
        self._by_name: defaultdict[str, list[Path]] = defaultdict(list)
        for recording in recordings:
            stem = _stem(recording.relative_to(folder).as_posix())
            self._by_path[stem].append(recording)
            self._by_name[posixpath.basename(stem)].append(recording)

    def find(self, place: str, name: str) -> list[Path]:
        """Return the recordings that a table in the folder `place` calls `name`."""
        stem = _stem(name.strip().replace("\\", "/"))
        # Common Voice's tables name files that lie in a folder beside them.
        for path in (f"{place}/{stem}", f"{place}/clips/{stem}"):
            if found := self._by_path.get(posixpath.normpath(path)):
                return found
        # The files may have moved since the table was written; a name that several have tells nothing.
        named = self._by_name.get(posixpath.basename(stem), [])
        return named if len(named) == 1 else []


def _stem(path: str) -> str:
    """Return a path without the suffix of a recording.

    >>> _stem("1/84-121-0000.flac"), _stem("84-121.take.2")
    ('1/84-121-0000', '84-121.take.2')
    """
    stem, suffix = posixpath.splitext(path)
    return stem if suffix.lower() in AUDIO_SUFFIXES else path


def _both(one: Transcript, other: Transcript) -> Transcript:
    """Return what two tables tell of a recording."""
    texts = one.text.split("\n") if one.text else []
    if other.text and other.text not in texts:
        texts.append(other.text)
    return Transcript("\n".join(texts) or None, one.speaker or other.speaker)


def _lines(file: Path) -> Iterator[str]:
    """Yield the lines of a text of any encoding."""
    with open(file, "rb") as content:
        codec, other = encoding_of(content.read(64))
    with open(file, encoding=codec, errors="replace" if other else "surrogateescape", newline="") as text:
        for line in text:
            yield line.translate(_LATIN_1).removeprefix("\ufeff")


def _of_chapter(file: Path) -> Iterator[tuple[str, Transcript]]:
    """Yield the transcripts of a chapter of LibriSpeech; the names of its utterances are speaker-chapter-number."""
    for line in _lines(file):
        utterance, _, text = line.strip().partition(" ")
        if utterance:
            yield utterance, Transcript(text.strip() or None, utterance.partition("-")[0])


def _of_table(file: Path) -> Iterator[tuple[str, Transcript]]:
    """Yield the transcripts of a table; nothing if it has not their columns."""
    lines = _lines(file)
    header = next(lines, "")
    if told := _SEPARATOR.match(header):
        header = next(lines, "")
    for delimiter in told[1] if told else ",;\t|":
        names = [name.strip(' \r\n"').lower() for name in header.split(delimiter)]
        path, said, speaker = (_column(names, some) for some in (_PATH, _TEXT, _SPEAKER))
        if path is not None and said is not None:
            break
    else:
        return
    # A quotation mark in a table with tabs, such as those of Common Voice, is just that.
    reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:  # a row beyond all measure
            continue
        if len(row) > max(path, said):
            who = row[speaker].strip() if speaker is not None and speaker < len(row) else ""
            yield row[path], Transcript(row[said].strip() or None, who or None)


def _column(names: Sequence[str], some: Sequence[str]) -> int | None:
    return next((names.index(name) for name in some if name in names), None)


def words_of(text: str) -> list[str]:
    """Return the words of a text, in lower case.

    >>> words_of("Don\u2019t go, LEFT! E-mail")
    ["don't", 'go', 'left', 'e', 'mail']
    """
    return [word for part in text.translate(_APOSTROPHES).split() for word in _words_of_part(part)]


@lru_cache(maxsize=100_000)
def _words_of_part(part: str) -> tuple[str, ...]:
    if part.isascii():
        return tuple(_WORD.findall(part.casefold()))
    return tuple(normalise(part).split())


def phrase_of(label: str) -> Phrase:
    """Return the words of a label; an underscore is a space.

    >>> phrase_of("turn_on")
    ('turn', 'on')
    """
    return tuple(words_of(label.replace("_", " ")))


class Vocabulary:
    """The words and phrases of a classifier, to be found in transcripts.

    Parameters
    ----------
    phrases : sequence of tuple of str
        See `phrase_of`.
    homophones : mapping of str to set of str
        Words that sound like one of the phrases' words, and which.
    """

    def __init__(self, phrases: Sequence[Phrase], homophones: Mapping[str, frozenset[str]] | None = None) -> None:
        self._phrases = [phrase for phrase in phrases if phrase]
        self._homophones = homophones or {}
        self._known = {word for phrase in self._phrases for word in phrase} | set(self._homophones)
        # In scripts without spaces a word is anywhere in the text.
        self._unspaced = ["".join(phrase) for phrase in self._phrases if count_unspaced("".join(phrase))]

    def is_in(self, text: str) -> bool:
        """Return whether a word or phrase stands in a text, by its spelling or its sound.

        >>> of = Vocabulary([("up",), ("hey", "view")], {"vue": frozenset({"view"})})
        >>> of.is_in("UP THE HILL"), of.is_in("upon"), of.is_in("hey you view"), of.is_in("Hey Vue!")
        (True, False, False, True)
        """
        words = words_of(text)
        if any(one in "".join(words) for one in self._unspaced):
            return True
        # "l'ami" is "l'ami", and "ami" behind an article.
        return self._found(words) or self._found([part for word in words for part in word.split("'")])

    def _found(self, words: Sequence[str]) -> bool:
        if self._known.isdisjoint(words):
            return False
        return any(
            all(map(self._same, phrase, words[place : place + len(phrase)]))
            for phrase in self._phrases
            for place in range(len(words) - len(phrase) + 1)
        )

    def _same(self, word: str, said: str) -> bool:
        return word == said or word in self._homophones.get(said, ())
