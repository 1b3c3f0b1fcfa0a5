"""Common Voice as keywords: clips of a single wanted word, and the position of the word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np

from audioconv._types import Samples
from audioconv.audio.endpoints import find_word, quiet_stretch
from audioconv.audio.read import read_bytes
from audioconv.datasets.archives.reader import Archive, Member, Progress
from audioconv.datasets.build.layouts import SPARE_UNKNOWN, Layout, Options, table_rows, tables
from audioconv.datasets.build.sampling import SILENCE, UNKNOWN, Chooser
from audioconv.datasets.build.sentences import single_word
from audioconv.datasets.collection import Item
from audioconv.errors import ConfigError, DataError
from audioconv.io.files import display_path

TABLES = ("validated.tsv", "train.tsv", "dev.tsv", "test.tsv")
"""Tables of clips that listeners have confirmed; the last three are parts of the first.

The tables ``other`` and ``invalidated`` are not used."""

SAMPLE_RATE = 16000
"""Sample rate in Hz at which words are detected."""

UNKNOWN_SECONDS = 1.0
"""Length of the clip that is cut out of a sentence for the class ``_unknown_``."""


class CommonVoice(Layout):
    """``cv-corpus-{release}/{language}/clips/*.mp3`` with ``{language}/validated.tsv`` and its parts.

    The official parts are made for whole sentences, and have few of the clips with one word, so clips are split by the
    hash of their speaker.
    """

    inspects: ClassVar[bool] = True

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._items: dict[str, Item] = {}
        self._of_words: set[str] = set()

    def prepare(self, archives: Sequence[Archive], progress: Progress | None = None) -> None:
        """Read which clips are wanted, up to the table that says so: in releases it is behind the clips."""
        language = self.options.language
        found: set[str] = set()
        read: set[PurePosixPath] = set()
        for table in tables(archives, lambda name: name.name in TABLES, progress):
            found.add(table.name.parent.name)
            # A release has one language and the single words have many, each in a folder of its own.
            if language in (None, table.name.parent.name) or len(table.name.parts) <= 2:
                read.add(table.name.parent)
                if len(read) > 1:
                    raise ConfigError(f"{_shown(archives)}: has several languages; choose one of {_list(found)}")
                self._read(table)
                if table.name.name == TABLES[0] and language is not None:
                    break  # it has the rows of the others
        if not found:
            raise DataError(f"{_shown(archives)}: holds no {TABLES[0]}, so it is not a release of Common Voice")
        if not read:
            raise ConfigError(f"{_shown(archives)}: has no language {language!r}; it has {_list(found)}")

    def _read(self, table: Member) -> None:
        unknown = Chooser(SPARE_UNKNOWN * self.options.unknown)
        votes = ("up_votes",) if self.options.min_votes else ()
        for row in table_rows(table, ("client_id", "path", "sentence", *votes), "\t"):
            if votes and _number(row["up_votes"]) < self.options.min_votes:
                continue
            sentence = row["sentence"]
            word = sentence if self.options.words else single_word(sentence)
            if word is None and "single" not in row.get("segment", "").lower():
                continue
            name = row["path"] if PurePosixPath(row["path"]).suffix else row["path"] + ".mp3"
            item = Item(Path(PurePosixPath(name).name), word or sentence.strip(), row["client_id"] or None)
            label = self.label(item)
            key = (table.name.parent / "clips" / name).as_posix()
            if label is None:
                continue
            if label == UNKNOWN:
                if key in self._items or not unknown.would_keep(UNKNOWN, item.speaker, key):
                    continue
                dropped = unknown.keep(UNKNOWN, item.speaker, key)
                if dropped:
                    del self._items[dropped]
            self._items[key] = item
            if single_word(sentence):
                self._of_words.add(item.path.name)

    def item(self, name: PurePosixPath) -> Item | None:
        """Return the clip's sentence and speaker."""
        return self._items.get(name.as_posix())

    def is_noise(self, name: PurePosixPath) -> bool:
        """Return False: the noise is between the words."""
        return False

    def inspect(self, item: Item, content: bytes) -> list[Item] | str:
        """Return the word, and what is quiet around it; or why there is no clear word."""
        shown = display_path(item.path)
        try:
            samples = read_bytes(content, shown, SAMPLE_RATE)
            if item.label == UNKNOWN and item.path.name not in self._of_words:
                begin, end = _loudest(samples)
                return [replace(item, begin=begin, end=end)]
            word = find_word(samples, SAMPLE_RATE)
        except DataError as error:
            return str(error).removeprefix(f"{shown}: ")
        items = [replace(item, begin=round(word.begin, 3), end=round(word.end, 3))]
        quiet = quiet_stretch(samples, SAMPLE_RATE, word) if self.options.silence else None
        if quiet is not None:
            begin, end = round(quiet.begin, 3), round(quiet.end, 3)
            items.append(replace(item, label=SILENCE, begin=begin, end=end))
        return items


def _loudest(samples: Samples) -> tuple[float, float]:
    """Return the loudest stretch of `UNKNOWN_SECONDS`, in seconds."""
    length = round(UNKNOWN_SECONDS * SAMPLE_RATE)
    if len(samples) <= length:
        return 0.0, round(len(samples) / SAMPLE_RATE, 3)
    sums = np.concatenate(([0.0], np.cumsum(np.square(samples, dtype=np.float64))))
    begin = int(np.argmax(sums[length:] - sums[:-length])) / SAMPLE_RATE
    return round(begin, 3), round(begin + UNKNOWN_SECONDS, 3)


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _shown(archives: Sequence[Archive]) -> str:
    return ", ".join(display_path(archive.path.name) for archive in archives)


def _list(names: set[str]) -> str:
    return ", ".join(sorted(display_path(name) for name in names))
