"""Labelled files of a folder or a manifest."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

from audioconv.audio.read import AUDIO_SUFFIXES, Segment
from audioconv.datasets.items import Item as Item
from audioconv.datasets.items import Items
from audioconv.datasets.left_out import NOTHING, LeftOut, counted
from audioconv.decision.classes import BACKGROUND, is_word, negative_label
from audioconv.errors import DataError
from audioconv.images.read import IMAGE_SUFFIXES
from audioconv.io.columns import Column
from audioconv.io.files import display_path

Kind = Literal["audio", "images"]
SPLITS = ("train", "validation", "test")


class Origin(NamedTuple):
    """Origin of files: their data set, its licence, and their number."""

    source: str | None
    licence: str | None
    clips: int


@dataclass(frozen=True)
class Collection:
    """Labelled files of one kind.

    Attributes
    ----------
    items : sequence of Item
        In a fixed order: that of the names in a folder, or of the rows in a manifest. Kept as `Items`.
    kind : {"audio", "images"}
        Kind of the files, by their names.
    name : str
        A short name to show.
    notes : tuple of str
        Assumptions made when it was opened, a line each, to be shown to the user. Default: none.
    left_out : LeftOut
        Files that were found and are not used. Default: none.
    backgrounds : tuple of (path or Segment)
        Recordings of noise without words, in the folder ``_background_noise_`` beside the classes. Default: none.
    """

    items: Sequence[Item]
    kind: Kind
    name: str
    notes: tuple[str, ...] = ()
    left_out: LeftOut = NOTHING
    backgrounds: tuple[Path | Segment, ...] = ()

    def __post_init__(self) -> None:
        """Put the items into columns."""
        object.__setattr__(self, "items", Items.of(self.items))

    @property
    def _columns(self) -> Items:
        assert isinstance(self.items, Items)
        return self.items

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self.items)

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels, sorted."""
        return tuple(sorted(self._columns.labels.counts()))

    @property
    def counts(self) -> dict[str, int]:
        """Number of files of each class, by sorted label."""
        return dict(sorted(self._columns.labels.counts().items()))

    @property
    def licence(self) -> str | None:
        """The licences, where known, separated by ``"; "``."""
        return _distinct(self._columns.licences.counts())

    @property
    def source(self) -> str | None:
        """The data sets that the files are from, where known, separated by ``"; "``."""
        return _distinct(self._columns.sources.counts())

    @property
    def origins(self) -> tuple[Origin, ...]:
        """The data sets and licences that are known, each with how many files come from there."""
        counts = Counter(zip(self._columns.sources, self._columns.licences, strict=True))
        return tuple(Origin(*names, count) for names, count in counts.items() if any(names))

    @property
    def paths(self) -> Sequence[Path]:
        """The paths, in order."""
        return self._columns.paths

    @property
    def examples(self) -> Sequence[Path | Segment]:
        """The files to read, or their parts, in order."""
        return self._columns.examples

    @property
    def labels(self) -> Column[str]:
        """The labels, in order."""
        return self._columns.labels

    @property
    def speakers(self) -> Column[str | None]:
        """The speakers, in order."""
        return self._columns.speakers

    @property
    def splits(self) -> Column[str | None]:
        """The splits, in order."""
        return self._columns.splits

    def select(self, *splits: str | None) -> Collection:
        """Return the part whose split is one of `splits`, which may have None for items without a split.

        Examples
        --------
        >>> items = (Item(Path("a.wav"), "yes", split="test"), Item(Path("b.wav"), "no"))
        >>> len(Collection(items, "audio", "few").select("train", None))
        1
        """
        are_chosen = self.splits.are(lambda split: split in splits)
        return self if are_chosen.all() else replace(self, items=self._columns.take(are_chosen))

    def with_backgrounds_apart(self) -> Collection:
        """Return the same files with those labelled ``_background_noise_`` in `backgrounds`, and no class of them.

        Nothing changes for pictures, and where no other class would be left.

        Examples
        --------
        >>> items = (Item(Path("a.wav"), "yes"), Item(Path("b.wav"), "_background_noise_"))
        >>> [path.name for path in Collection(items, "audio", "few").with_backgrounds_apart().backgrounds]
        ['b.wav']
        """
        are_apart = self.labels.equals(BACKGROUND)
        if self.kind != "audio" or not are_apart.any() or are_apart.all():
            return self
        apart = self._columns.take(are_apart).examples
        return replace(self, items=self._columns.take(~are_apart), backgrounds=(*self.backgrounds, *apart))

    def with_negatives(self, keep: Sequence[str] = ()) -> Collection:
        """Return the same files with the classes of negatives as ``_unknown_`` and ``_silence_``.

        Those are known by their names, see `classes.negative_label`; `keep` are left as they are. A note is added for
        each. Nothing changes for pictures, and where no other class would be left.

        Examples
        --------
        >>> items = (Item(Path("a.wav"), "yes"), Item(Path("b.wav"), "Other"))
        >>> Collection(items, "audio", "few").with_negatives().classes
        ('_unknown_', 'yes')
        """
        meant = {label: label if label in keep else negative_label(label) or label for label in self.classes}
        renamed = {label: new for label, new in meant.items() if label != new}
        if self.kind != "audio" or not renamed or not any(is_word(label) for label in meant.values()):
            return self
        notes = (
            f"class {label!r} ({counted(self.counts[label], 'file')}) is nothing to listen for: it is trained as {new} "
            "(--keep-classes turns that off)"
            for label, new in renamed.items()
        )
        items = self._columns.relabelled(meant.__getitem__)
        left_out = self.left_out.relabelled(lambda label: negative_label(label) or label)
        return replace(self, items=items, notes=(*self.notes, *notes), left_out=left_out)


def _distinct(values: Iterable[str | None]) -> str | None:
    """Return the distinct values in the order of their first appearance; None without any."""
    return "; ".join(value for value in dict.fromkeys(values) if value) or None


def kind_of(path: Path) -> Kind | None:
    """Return what a file is by the ending of its name; None for neither a recording nor a picture."""
    suffix = path.suffix.lower()
    if suffix in AUDIO_SUFFIXES:
        return "audio"
    return "images" if suffix in IMAGE_SUFFIXES else None


def one_kind(paths: Iterable[Path], place: str) -> Kind:
    """Return the one kind that `paths` are; `DataError` if they are mixed. `place` is named in the error."""
    examples: dict[Kind, Path] = {}
    for path in paths:
        kind = kind_of(path)
        if kind:
            examples.setdefault(kind, path)
    if len(examples) == 2:
        recording, picture = display_path(examples["audio"].name), display_path(examples["images"].name)
        raise DataError(
            f"{place}: holds recordings ({recording}) and pictures ({picture}); a data set is one of the two, "
            "so move one kind elsewhere"
        )
    # Names in a manifest without a known ending: reading them by content will tell.
    return next(iter(examples), "audio")


def one_spelling(items: Iterable[Item]) -> tuple[Items, tuple[str, ...]]:
    """Return `items` with one label for labels that differ in case only, and a note for each such label.

    The label that most items have stands for all; of those as frequent, the one in lower case.
    """
    items = Items.of(items)
    counts = items.labels.counts()
    spellings: dict[str, list[str]] = {}
    for label in sorted(counts):
        spellings.setdefault(spelled_alike(label), []).append(label)
    meant: dict[str, str] = {}
    notes = []
    for same in spellings.values():
        label = max(same, key=lambda one: (counts[one], one.islower(), one))
        meant |= dict.fromkeys(same, label)
        if len(same) > 1:
            named = [repr(one) for one in same]
            notes.append(f"{', '.join(named[:-1])} and {named[-1]} are one class, {label!r}")
    if not notes:
        return items, ()
    return items.relabelled(meant.__getitem__), tuple(notes)


def spelled_alike(label: str) -> str:
    """Return what is equal for labels that differ in case only. Not `casefold`: it makes one word of Maß and Mass."""
    return unicodedata.normalize("NFC", label.lower())


@lru_cache(maxsize=1024)  # it is called for each file
def label_of(name: str) -> str:
    """Return the label that a folder or a manifest names: printable, composed as one types it, without spaces around.

    macOS decomposes letters with accents.
    """
    shown = unicodedata.normalize("NFC", display_path(name))
    return shown.strip() or shown


def check_classes(collection: Collection, minimum: int, place: str, hint: str) -> None:
    """Raise `DataError` unless `collection` has `minimum` classes; `hint` says what to do."""
    classes = collection.classes
    if len(classes) < minimum:
        left_out = "".join(f"; {note}" for note in collection.left_out.notes)
        files = "1 file" if len(collection) == 1 else f"{len(collection)} files"
        raise DataError(
            f"{place}: has only one class, {classes[0]!r} ({files}), "
            f"and a classifier needs at least {minimum}; {hint}{left_out}"
        )
