"""Manifests: tables of labelled files."""

from __future__ import annotations

import csv
import math
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from audioconv.datasets.collection import (
    SPLITS,
    Collection,
    Item,
    check_classes,
    label_of,
    one_kind,
    one_spelling,
)
from audioconv.datasets.items import Items
from audioconv.datasets.table import Row, Table, read_table
from audioconv.errors import DataError
from audioconv.io.files import display_path, write_atomic

MANIFEST_NAME = "manifest.csv"
"""A folder with a file of this name is read by it."""

MANIFEST_SUFFIXES = frozenset({".csv", ".tsv", ".tab", ".txt"})
"""Suffixes, in lower case, of manifests."""

# How else people and tools call the splits.
SPLIT_ALIASES = {
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "testing": "test",
}

SHOWN_ROWS = 3
"""Number of rows with the same fault that an error shows."""


def read_manifest(path: str | os.PathLike[str], *, minimum_classes: int = 2) -> Collection:
    """Read a manifest: a table in a text file, with a header line.

    Parameters
    ----------
    path : path-like
        Fields separated by commas, semicolons, tabs or bars, in UTF-8 or UTF-16 (bytes of file names that are not
        UTF-8 are kept as they are). Columns: ``path`` (relative to the manifest's folder, or absolute) and ``label``;
        optional ``speaker``, ``split`` (train, validation, test or empty), ``begin`` and ``end`` (seconds: the row is
        that part of the recording), ``source`` and ``licence``. Others are ignored, as are their order and case.
    minimum_classes : int
        Least number of classes: 2 to train, 1 to evaluate.

    Returns
    -------
    Collection
        In the order of the rows. Its notes have the assumptions, such as the separator.

    Raises
    ------
    DataError
        If the manifest cannot be read, lacks columns, has rows that cannot be used, or lists files that do not exist.
        It names the first few such rows and how many there are.
    """
    path = Path(path)
    shown = display_path(path)
    table = read_table(path)
    found = _Found(path.parent)
    items = _items(table, found, shown)
    if not len(items):
        raise DataError(f"{shown}: the manifest lists no files; add a row path,label for each")
    found.check(len(items), shown)
    _check_once(table.rows, items, shown)
    name = path.resolve().parent.name if path.name == MANIFEST_NAME else path.stem
    kind = one_kind(items.paths, shown)
    merged, label_notes = one_spelling(items)
    notes = (*table.notes, *found.notes, *_not_utf8(table.rows), *label_notes)
    collection = Collection(merged, kind, display_path(name), notes)
    check_classes(collection, minimum_classes, shown, "add rows of other labels")
    return collection


def listed_items(table: Table, path: Path) -> tuple[Items, tuple[str, ...]]:
    """Return the items that the rows of a manifest at `path` list, whether their files exist or not.

    Returns
    -------
    items : Items
    notes : tuple of str
        What was assumed to find the files, a line each.

    Raises
    ------
    DataError
        If a row has a split, a beginning or an end that cannot be one.
    """
    found = _Found(path.parent)
    items = _items(table, found, display_path(path))
    return items, tuple(found.notes)


def _items(table: Table, found: _Found, shown: str) -> Items:
    # One row at a time: as Python objects, all of them would take a kilobyte each.
    return Items.of(_item(row, found, shown, table.delimiter) for row in table.rows)


def write_manifest(
    path: str | os.PathLike[str], items: Iterable[Item], more: Mapping[str, Sequence[str]] | None = None
) -> None:
    """Write a manifest of `items`, all of it or not at all.

    Parameters
    ----------
    path : path-like
        The CSV file; files below its folder are listed relative to it.
    items : iterable of Item
        The rows, with the columns ``path,label,speaker,split``, and ``begin,end,source,licence`` where any has them.
    more : mapping of str to sequence of str, optional
        Further columns by name, with a value for each row.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    items = list(items)
    folder = Path(path).parent
    write_rows(path, [_listed(item.path, folder) for item in items], items, more)


def write_rows(
    path: str | os.PathLike[str],
    listed: Sequence[str],
    items: Sequence[Item],
    more: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Write a manifest like `write_manifest`, of `items` whose paths are `listed` so."""
    columns: dict[str, Sequence[str]] = {
        "path": listed,
        "label": [item.label for item in items],
        "speaker": [item.speaker or "" for item in items],
        "split": [item.split or "" for item in items],
    }
    optional = {
        "begin": [_seconds(item.begin) for item in items],
        "end": [_seconds(item.end) for item in items],
        "source": [item.source or "" for item in items],
        "licence": [item.licence or "" for item in items],
    }
    columns |= {name: values for name, values in optional.items() if any(values)} | dict(more or {})
    with write_atomic(path, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def _listed(path: Path, folder: Path) -> str:
    return (path.relative_to(folder) if path.is_relative_to(folder) else path.absolute()).as_posix()


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _item(row: Row, found: _Found, shown: str, delimiter: str) -> Item:
    return Item(
        found.path(row),
        label_of(row["label"]),
        _text(row, "speaker"),
        _split(row, shown),
        *_part(row, shown, delimiter),
        _text(row, "source"),
        _text(row, "licence") or _text(row, "license"),
    )


def _split(row: Row, shown: str) -> str | None:
    value = row.get("split", "").lower()
    split = SPLIT_ALIASES.get(value, value) or None
    if split is not None and split not in SPLITS:
        raise DataError(
            f"{shown}: row {row['#']} has the split {display_path(value)!r}; it must be {', '.join(SPLITS)} or empty"
        )
    return split


def _text(row: Row, column: str) -> str | None:
    return display_path(row.get(column, "")) or None


def _part(row: Row, shown: str, delimiter: str) -> tuple[float | None, float | None]:
    """Return begin and end in seconds; (None, None) where the row is a whole recording."""
    values = row.get("begin", ""), row.get("end", "")
    if values == ("", ""):
        return None, None
    # Spreadsheets that put semicolons between fields write decimal commas.
    numbers = values if delimiter == "," else tuple(value.replace(",", ".") for value in values)
    try:
        begin, end = map(float, numbers)
    except ValueError:
        begin = end = math.nan
    if not 0 <= begin < end < math.inf:
        given = display_path(",".join(values))
        raise DataError(f"{shown}: row {row['#']} has begin,end {given!r}; they must be seconds, 0 <= begin < end")
    return begin, end


# How a path may be written differently from what is meant. The next one counts if the file is not there.
_OTHER_PATHS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("spaces around paths are left out", str.strip),
    ("backslashes in paths are read as slashes", lambda path: path.strip().replace("\\", "/")),
    ("letters with accents are composed in another way in the names of the files",
     lambda path: unicodedata.normalize("NFC", path)),
    ("letters with accents are composed in another way in the names of the files",
     lambda path: unicodedata.normalize("NFD", path)),
)  # fmt: skip


class _Found:
    """Finds the listed files.

    Attributes
    ----------
    notes : list of str
        What was assumed to find them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._missing = folder, list[Row]()
        self.notes: list[str] = []

    def path(self, row: Row) -> Path:
        """Return where the file of a row is; a missing one is as it is listed."""
        path = self._folder / row["path"]
        if path.is_file():
            return path
        for note, change in _OTHER_PATHS:
            other = self._folder / change(row["path"])
            if other != path and other.is_file():
                if note not in self.notes:
                    self.notes.append(note)
                return other
        self._missing.append(row)
        return path

    def check(self, count: int, shown: str) -> None:
        """Raise `DataError` if one of so many files is missing."""
        if self._missing:
            told = [f"row {row['#']}: {display_path(row['path'])}" for row in self._missing]
            raise DataError(
                f"{shown}: {len(told)} of {count} listed files do not exist ({_some(told)}); "
                f"paths are relative to the manifest's folder{_hint(self._missing)}"
            )


def _check_once(rows: Iterable[Row], items: Items, shown: str) -> None:
    """Raise `DataError` for files that are listed twice."""
    hashes = np.fromiter((hash(_identity(item)) for item in items), np.int64, len(items))
    values, counts = np.unique(hashes, return_counts=True)
    several = set(values[counts > 1].tolist())
    if not several:
        return
    first: dict[tuple[object, ...], str] = {}
    twice = []
    for row, item in zip(rows, items, strict=True):
        if hash(_identity(item)) in several:
            before = first.setdefault(_identity(item), row["#"])
            if before != row["#"]:
                twice.append(f"rows {before} and {row['#']}: {display_path(row['path'])}")
    if twice:
        raise DataError(f"{shown}: {len(twice)} files are listed twice ({_some(twice)}); keep one row of each")


def _identity(item: Item) -> tuple[object, ...]:
    return os.path.normpath(item.path), item.begin, item.end


def _hint(missing: Sequence[Row]) -> str:
    """Return what else may be wrong with the paths of files that do not exist."""
    if os.sep == "/" and all(re.match(r"[A-Za-z]:[\\/]", row["path"]) for row in missing):
        return ". These are paths of Windows"
    if all(not row["path"].isascii() for row in missing) and any(_is_escaped(row["path"]) for row in missing):
        return ". The names are not UTF-8: save the manifest as CSV UTF-8"
    return ""


def _not_utf8(rows: Iterable[Row]) -> tuple[str, ...]:
    """Return a note where labels have bytes that are not UTF-8: which letters they are meant to be is not known."""
    label = next((row["label"] for row in rows if _is_escaped(row["label"])), None)
    if label is None:
        return ()
    return (f"labels are not UTF-8, and have escapes ({display_path(label)}): save the manifest as CSV UTF-8",)


def _is_escaped(text: str) -> bool:
    """Return whether `text` has bytes that are not UTF-8."""
    return any("\udc80" <= letter <= "\udcff" for letter in text)


def _some(faults: list[str]) -> str:
    """Return the first few of `faults`, and dots for the others."""
    return "; ".join([*islice(faults, SHOWN_ROWS), *(["..."] if len(faults) > SHOWN_ROWS else [])])
