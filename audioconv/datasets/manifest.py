"""Manifests: a CSV file that lists labelled files."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from audioconv.datasets.collection import SPLITS, Collection, Item, check_classes, one_kind
from audioconv.errors import DataError
from audioconv.files import display_path, reason, write_atomic

MANIFEST_NAME = "manifest.csv"
"""A folder with a file of this name is read by it."""

MANIFEST_SUFFIXES = frozenset({".csv", ".tsv", ".tab", ".txt"})
"""Names that end so (in lower case) are taken for manifests."""

# How else people and tools call the splits.
SPLIT_ALIASES = {
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "testing": "test",
}

SHOWN_ROWS = 3
"""How many of the rows that have the same fault an error shows."""


def read_manifest(path: str | os.PathLike[str], *, minimum_classes: int = 2) -> Collection:
    """Read a CSV manifest with a header line.

    Parameters
    ----------
    path : path-like
        UTF-8 (file names that are not UTF-8 are kept as they are). Columns: ``path`` (relative to the manifest's
        folder, or absolute) and ``label``; optional ``speaker``, ``split`` (train, validation, test or empty),
        ``begin`` and ``end`` (seconds: the row is that part of the recording), ``source`` and ``licence``. Others are
        ignored, as are their order and case.
    minimum_classes : int
        How many classes there must be: 2 to train, 1 to evaluate.

    Returns
    -------
    Collection
        In the order of the rows.

    Raises
    ------
    DataError
        If the manifest cannot be read, lacks columns, has rows that cannot be used, or lists files that do not exist.
        It names the first few such rows and how many there are.
    """
    path = Path(path)
    shown = display_path(path)
    try:
        # "utf-8-sig": spreadsheets put a byte order mark first.
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            rows = list(_rows(csv.reader(file, strict=True), shown))
    except OSError as error:
        raise DataError(f"{shown}: the manifest cannot be read ({reason(error)})") from None
    except csv.Error as error:
        raise DataError(f"{shown}: is not a CSV file ({error})") from None
    if not rows:
        raise DataError(f"{shown}: the manifest lists no files; add a row path,label for each")

    items = [
        Item(
            path.parent / row["path"],
            display_path(row["label"]),
            _text(row, "speaker"),
            split,
            *_part(row, shown),
            _text(row, "source"),
            _text(row, "licence") or _text(row, "license"),
        )
        for row, split in zip(rows, _splits(rows, shown), strict=True)
    ]
    _check_files(rows, items, shown)
    name = path.resolve().parent.name if path.name == MANIFEST_NAME else path.stem
    collection = Collection(tuple(items), one_kind((item.path for item in items), shown), display_path(name))
    check_classes(collection, minimum_classes, shown, "add rows of other labels")
    return collection


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
    items, more = list(items), more or {}
    folder = Path(path).parent
    columns: dict[str, Sequence[str]] = {
        "path": [_listed(item.path, folder) for item in items],
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
    columns |= {name: values for name, values in optional.items() if any(values)} | dict(more)
    with write_atomic(path, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def _listed(path: Path, folder: Path) -> str:
    return (path.relative_to(folder) if path.is_relative_to(folder) else path.absolute()).as_posix()


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _rows(reader: Iterator[list[str]], shown: str) -> Iterator[dict[str, str]]:
    """Yield the rows by column name, with their number in the file as ``#``; blank ones are skipped."""
    header = [name.strip().lower() for name in next(reader, [])]
    missing = [name for name in ("path", "label") if name not in header]
    if missing:
        found = display_path(", ".join(header))[:80] or "nothing"
        raise DataError(
            f"{shown}: the manifest has no column {' and no column '.join(missing)}; "
            f"its first line must name the columns path,label[,speaker][,split], and has {found}"
        )
    for number, fields in enumerate(reader, start=2):
        if not any(field.strip() for field in fields):
            continue
        if len(fields) > len(header):
            raise DataError(
                f"{shown}: row {number} has {len(fields)} fields for {len(header)} columns; "
                "put double quotes around values that hold a comma"
            )
        row = {"#": str(number), **dict(zip(header, fields, strict=False))}
        # Not the path: a file's name may begin or end with a space.
        row.update({name: value.strip() for name, value in row.items() if name != "path"})
        for name in ("path", "label"):
            if not row.get(name):
                raise DataError(f"{shown}: row {number} has no {name}")
        yield row


def _splits(rows: list[dict[str, str]], shown: str) -> Iterator[str | None]:
    for row in rows:
        value = row.get("split", "").lower()
        split = SPLIT_ALIASES.get(value, value) or None
        if split is not None and split not in SPLITS:
            raise DataError(
                f"{shown}: row {row['#']} has the split {display_path(value)!r}; "
                f"it must be {', '.join(SPLITS)} or empty"
            )
        yield split


def _text(row: dict[str, str], column: str) -> str | None:
    return display_path(row.get(column, "")) or None


def _part(row: dict[str, str], shown: str) -> tuple[float | None, float | None]:
    """Return begin and end in seconds; (None, None) where the row is a whole recording."""
    values = row.get("begin", ""), row.get("end", "")
    if values == ("", ""):
        return None, None
    try:
        begin, end = map(float, values)
    except ValueError:
        begin = end = math.nan
    if not 0 <= begin < end < math.inf:
        given = display_path(",".join(values))
        raise DataError(f"{shown}: row {row['#']} has begin,end {given!r}; they must be seconds, 0 <= begin < end")
    return begin, end


def _check_files(rows: list[dict[str, str]], items: list[Item], shown: str) -> None:
    """Raise `DataError` for files that are not there or are listed twice."""
    missing = [f"row {row['#']}: {display_path(row['path'])}" for row, item in zip(rows, items, strict=True)
               if not item.path.is_file()]  # fmt: skip
    if missing:
        raise DataError(
            f"{shown}: {len(missing)} of {len(items)} listed files do not exist ({_some(missing)}); "
            "paths are relative to the manifest's folder"
        )
    first: dict[tuple[object, ...], str] = {}
    twice = []
    for row, item in zip(rows, items, strict=True):
        before = first.setdefault((os.path.normpath(item.path), item.begin, item.end), row["#"])
        if before != row["#"]:
            twice.append(f"rows {before} and {row['#']}: {display_path(row['path'])}")
    if twice:
        raise DataError(f"{shown}: {len(twice)} files are listed twice ({_some(twice)}); keep one row of each")


def _some(faults: list[str]) -> str:
    """Return the first few of `faults`, and dots for the others."""
    return "; ".join([*islice(faults, SHOWN_ROWS), *(["..."] if len(faults) > SHOWN_ROWS else [])])
