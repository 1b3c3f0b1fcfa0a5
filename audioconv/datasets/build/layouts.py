"""Layouts of public archives: label, speaker and split of each file."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal

from audioconv.cluster.shards import Shard
from audioconv.datasets.archives.reader import Archive, Member, Progress
from audioconv.datasets.build.sampling import SILENCE, UNKNOWN, Chooser
from audioconv.datasets.build.sentences import WordList
from audioconv.datasets.collection import Item, kind_of
from audioconv.datasets.folder import speaker_in_name
from audioconv.datasets.splits import speaker_split, speech_commands_split
from audioconv.errors import ConfigError, DataError
from audioconv.io.files import display_path

SPARE_UNKNOWN = 4
"""So many times the wanted clips of other words are looked at: some will not be usable."""


@dataclass(frozen=True)
class Options:
    """Selection from a data set.

    Attributes
    ----------
    language : str or None
        The language's code, such as ``"en"``, where a data set has several.
    words : WordList or None
        The words or classes that are wanted; None: all.
    limit : int or None
        The most clips of each class.
    unknown : int
        Number of clips of other words in the class ``_unknown_``.
    silence : int
        Number of clips without speech in the class ``_silence_``.
    min_votes : int
        Number of listeners that must have confirmed a clip of Common Voice.
    split : {"official", "speaker"} or None
        By the data set's own rule, where it has one, or so that no speaker is in two splits; None: as the layout of
        the data set has it.
    fold : int
        Which of the folds of ESC is the test.
    shard : Shard or None
        Only this part of the clips, by their names; None: all.
    """

    language: str | None = None
    words: WordList | None = None
    limit: int | None = None
    unknown: int = 0
    silence: int = 0
    min_votes: int = 0
    split: Literal["official", "speaker"] | None = None
    fold: int = 5
    shard: Shard | None = None

    def __post_init__(self) -> None:
        if self.shard is not None and (self.limit is not None or self.unknown or self.silence):
            raise ConfigError("limit, unknown and silence count clips of the whole data set; a shard has none of them")
        if self.unknown and self.words is None:
            raise ConfigError("clips of other words need to know which words are wanted; give words too")
        if self.split not in ("official", "speaker", None):
            raise ConfigError(f"the split must be official or speaker; got {self.split!r}")

    @property
    def takes_all(self) -> bool:
        """True if the options leave nothing out."""
        return self.words is None and self.limit is None and not self.min_votes and self.shard is None


class Layout:
    """Layout of an archive: the class, speaker and split of each file.

    A layout is made for one use: `prepare` first reads the tables, then `item` is called for each
    file, and `look` for those that are no examples.

    Parameters
    ----------
    options : Options
        Selection from the data set.
    """

    inspects: ClassVar[bool] = False
    """True if `inspect` needs the content of each clip."""

    own_split: ClassVar[bool] = False
    """True if the data set has a split of its own."""

    by_speaker: ClassVar[bool] = False
    """True if the default split keeps speakers apart."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.split = options.split or ("speaker" if self.by_speaker else "official")

    def prepare(self, archives: Sequence[Archive], progress: Progress | None = None) -> None:
        """Read what stands in tables."""

    def item(self, name: PurePosixPath) -> Item | None:
        """Return what the file `name` is, with the word or class as its label; None for what is no example."""
        raise NotImplementedError

    def is_noise(self, name: PurePosixPath) -> bool:
        """Return whether the file `name` is a long recording of noise."""
        return name.parent.name == "_background_noise_" and kind_of(Path(name)) == "audio"

    def look(self, member: Member) -> None:
        """Read a file that is no example, such as a table."""

    def label(self, item: Item) -> str | None:
        """Return the class of an item by the wanted words; None where it is not wanted."""
        if self.options.words is None:
            return item.label
        return self.options.words.label(item.label) or (UNKNOWN if self.options.unknown else None)

    def inspect(self, item: Item, content: bytes) -> list[Item] | str:
        """Return what a clip's content is good for, or why it is good for nothing."""
        raise NotImplementedError

    def finish(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the chosen items with their splits."""
        for item in items:
            by_rule = item.split if self.own_split and self.split == "official" else None
            yield replace(item, split=by_rule or (speaker_split(item.speaker) if item.speaker else item.split))

    def write_more(self, folder: Path, items: Sequence[Item]) -> None:
        """Write what goes with the chosen items into their folder, besides the manifest and the licence."""


class Fsdd(Layout):
    """``recordings/{digit}_{speaker}_{n}.wav``: n from 0 to 4 is the official test part."""

    own_split = True

    def item(self, name: PurePosixPath) -> Item | None:
        """Return the recording's digit and speaker."""
        match = re.fullmatch(r"(\d)_([a-z]+)_(\d+)\.wav", name.name)
        if match is None or name.parent.name != "recordings":
            return None
        digit, speaker, n = match.groups()
        return Item(Path(name.name), digit, speaker, "test" if int(n) < 5 else "train")

    def finish(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items by the official rule, or with one speaker to test with and one to validate with.

        A hash would leave some split of six speakers empty.
        """
        if self.split == "official":
            yield from items
            return
        of = {"theo": "validation", "yweweler": "test"}
        for item in items:
            yield replace(item, split=of.get(item.speaker or "", "train"))


class SpeechCommands(Layout):
    """``{word}/{speaker}_nohash_{n}.wav``, split by its lists or else by the hash that made them."""

    own_split = True

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._listed: dict[str, str] = {}

    def item(self, name: PurePosixPath) -> Item | None:
        """Return the recording's word and speaker."""
        if name.suffix not in (".wav", ".flac") or "_nohash_" not in name.name:
            return None
        word, speaker = name.parent.name, name.name.partition("_nohash_")[0]
        return Item(Path(name.name), word, speaker, speech_commands_split(name.name))

    def look(self, member: Member) -> None:
        """Read the official lists."""
        split = {"validation_list.txt": "validation", "testing_list.txt": "test"}.get(member.name.name)
        if split:
            self._listed |= dict.fromkeys(member.read().decode("utf-8", "replace").split(), split)

    def finish(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items as the lists have them, which the hash agrees with; by speaker, they are either way."""
        for item in items:
            word = item.path.parent.name
            by_list = self._listed.get(f"{word}/{item.path.name}", "train") if self._listed else None
            yield replace(item, split=by_list or item.split)


class SpeechCommandsTest(Layout):
    """``{class}/{name}.wav``: the official test with twelve classes, all of it test."""

    def item(self, name: PurePosixPath) -> Item | None:
        """Return the recording's class."""
        if name.suffix != ".wav":
            return None
        return Item(Path(name.name), name.parent.name, speaker_in_name(Path(name.name)), "test")

    def finish(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items as they are."""
        return iter(items)


class Esc(Layout):
    """``audio/{fold}-{source}-{take}-{class}.wav``; ``meta/esc50.csv`` names the classes."""

    own_split = True
    only_ten: ClassVar[bool] = False

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        if not 1 <= options.fold <= 5:
            raise ConfigError(f"the fold must be 1 to 5; got {options.fold}")
        self._rows: dict[str, dict[str, str]] = {}
        self.folds: dict[str, str] = {}

    def prepare(self, archives: Sequence[Archive], progress: Progress | None = None) -> None:
        """Read the table of the recordings."""
        for table in tables(archives, lambda name: name.name == "esc50.csv", progress):
            self._rows = {row["filename"]: row for row in table_rows(table, ("filename", "fold", "category", "esc10"))}
            return
        raise DataError(f"{display_path(archives[0].path.name)}: has no meta/esc50.csv, so its classes are not known")

    def item(self, name: PurePosixPath) -> Item | None:
        """Return the recording's class and source; one fold is the test, the one after it watches the training."""
        row = self._rows.get(name.name)
        in_ten = row is not None and row["esc10"].lower() == "true"
        if row is None or name.parent.name != "audio" or (self.only_ten and not in_ten):
            return None
        fold, test = int(row["fold"]), self.options.fold
        split = {test: "test", test % 5 + 1: "validation"}.get(fold, "train")
        licence = "CC-BY-3.0" if in_ten else "CC-BY-NC-3.0"
        return Item(Path(name.name), row["category"], row.get("src_file") or None, split, licence=licence)

    def finish(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items by their folds: no source recording is in two."""
        return iter(items)


class Esc10(Esc):
    """The ten classes of ESC-50 that are free for commerce."""

    only_ten = True


class Mswc(Layout):
    """``{language}/clips/{word}/{name}.opus``; ``{language}_splits.csv`` has the speakers.

    Clips are split by the hash of the speaker, as it is not known whether its own split keeps speakers apart.
    """

    own_split = True
    by_speaker = True
    SETS: ClassVar[Mapping[str, str]] = {"TRAIN": "train", "DEV": "validation", "TEST": "test"}

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._items: dict[str, Item] = {}

    def prepare(self, archives: Sequence[Archive], progress: Progress | None = None) -> None:
        """Read the speaker of each clip of the wanted words."""
        language = self.options.language
        found = []
        for table in tables(archives, lambda name: name.name.endswith("_splits.csv"), progress):
            found.append(table.name.name.removesuffix("_splits.csv"))
            if language in (None, found[-1]):
                self._read(table, found[-1])
        if language is not None and language not in found:
            have = ", ".join(found) or "none"
            raise ConfigError(f"the archive has no language {language!r}; it has {have}")

    def _read(self, table: Member, language: str) -> None:
        unknown = Chooser(SPARE_UNKNOWN * self.options.unknown)
        for row in table_rows(table, ("SET", "LINK", "WORD", "VALID", "SPEAKER")):
            key = f"{language}/clips/{row['LINK']}"
            name = Path(PurePosixPath(row["LINK"]).name)
            item = Item(name, row["WORD"], row["SPEAKER"] or None, self.SETS.get(row["SET"]))
            label = self.label(item)
            if row["VALID"].lower() == "false" or label is None:
                continue
            if label == UNKNOWN:
                if not unknown.would_keep(UNKNOWN, item.speaker, key):
                    continue
                dropped = unknown.keep(UNKNOWN, item.speaker, key)
                if dropped:
                    del self._items[dropped]
            self._items[key] = item

    def item(self, name: PurePosixPath) -> Item | None:
        """Return the recording's word and speaker."""
        return self._items.get("/".join(name.parts[-4:]))

    def is_noise(self, name: PurePosixPath) -> bool:
        """Return False: there are words only."""
        return False


def tables(
    archives: Sequence[Archive], wanted: Callable[[PurePosixPath], bool], progress: Progress | None = None
) -> Iterator[Member]:
    """Yield the files of the archives that `wanted` names, before anything else is read."""
    for archive in archives:
        with closing(archive.members(progress)) as members:
            yield from (member for member in members if wanted(member.name))


def table_rows(table: Member, columns: Sequence[str], delimiter: str = ",") -> Iterator[dict[str, str]]:
    """Yield the rows of a table by its header's names; `DataError` where one of `columns` is missing."""
    shown = display_path(table.name)
    with table.open() as source:
        text = (line.decode("utf-8", "replace").removeprefix("\ufeff") for line in source)
        quoted = delimiter != "\t"  # quotes in a sentence are just quotes
        reader = csv.reader(text, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
        try:
            header = next(reader, [])
            missing = [column for column in columns if column not in header]
            if missing:
                raise DataError(f"{shown}: has no column {', '.join(missing)}; it has {', '.join(header) or 'nothing'}")
            for fields in reader:
                yield dict(zip(header, fields, strict=False)) | dict.fromkeys(header[len(fields) :], "")
        except csv.Error as error:
            raise DataError(f"{shown}: is not a table that can be read ({error})") from None


def silence_items(noises: Sequence[tuple[Path, float]], count: int, seconds: float = 1.0) -> list[Item]:
    """Return `count` stretches of long recordings of noise as the class ``_silence_``.

    Of each recording the first eight tenths are for training, then a tenth to validate with and a tenth to test with:
    no stretch of one split overlaps one of another.

    Parameters
    ----------
    noises : sequence of (Path, float)
        The recordings and their durations in seconds.
    count : int
        Number of clips in all; an eighth of those for training to validate with, and to test with.
    seconds : float
        Length of each clip.
    """
    parts = {"train": (0.0, 0.8), "validation": (0.8, 0.9), "test": (0.9, 1.0)}
    usable = [(path, duration) for path, duration in noises if duration >= 10 * seconds]
    items: list[Item] = []
    tenth = round(count / 10)
    for split, number in {"train": count - 2 * tenth, "validation": tenth, "test": tenth}.items():
        turns = Counter(i % len(usable) for i in range(number)) if usable else Counter()
        for i, times in sorted(turns.items()):
            path, duration = usable[i]
            first, last = (duration * share for share in parts[split])
            step = (last - first - seconds) / max(1, times - 1)
            items += [
                Item(path, SILENCE, None, split, begin := round(first + n * step, 3), round(begin + seconds, 3))
                for n in range(times)
            ]
    return items
