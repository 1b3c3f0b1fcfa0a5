"""Manifests: a CSV file that lists labelled files."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from audioconv.datasets.collection import SPLITS, Collection, Item, check_classes, one_kind
from audioconv.errors import DataError
from audioconv.files import display_path, reason, write_atomic

MANIFEST_NAME = "manifest.csv"
"""A folder with a file of this name is read by it."""

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
        ``source`` and ``licence``. Others are ignored, as are their order and case.
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
        Item(path.parent / row["path"], display_path(row["label"]), display_path(row.get("speaker", "")) or None, split)
        for row, split in zip(rows, _splits(rows, shown), strict=True)
    ]
    _check_files(rows, items, shown)
    name = path.resolve().parent.name if path.name == MANIFEST_NAME else path.stem
    collection = Collection(
        tuple(items),
        one_kind((item.path for item in items), shown),
        display_path(name),
        licence=_distinct(rows, "licence") or _distinct(rows, "license"),
        source=_distinct(rows, "source"),
    )
    check_classes(collection, minimum_classes, shown, "add rows of other labels")
    return collection


def write_manifest(path: str | os.PathLike[str], items: Iterable[Item], extra: Mapping[str, str] | None = None) -> None:
    """Write a manifest of `items`, all of it or not at all.

    Parameters
    ----------
    path : path-like
        The CSV file; files below its folder are listed relative to it.
    items : iterable of Item
        The rows, with the columns ``path,label,speaker,split``.
    extra : mapping of str to str, optional
        Further columns with the same value in every row, such as ``source`` and ``licence``.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    extra = extra or {}
    folder = Path(path).parent
    with write_atomic(path, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "label", "speaker", "split", *extra])
        for item in items:
            listed = item.path.relative_to(folder) if item.path.is_relative_to(folder) else item.path.absolute()
            writer.writerow([listed.as_posix(), item.label, item.speaker or "", item.split or "", *extra.values()])


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


def _check_files(rows: list[dict[str, str]], items: list[Item], shown: str) -> None:
    """Raise `DataError` for files that are not there or are listed twice."""
    missing = [f"row {row['#']}: {display_path(row['path'])}" for row, item in zip(rows, items, strict=True)
               if not item.path.is_file()]  # fmt: skip
    if missing:
        raise DataError(
            f"{shown}: {len(missing)} of {len(items)} listed files do not exist ({_some(missing)}); "
            "paths are relative to the manifest's folder"
        )
    first: dict[str, str] = {}
    twice = []
    for row, item in zip(rows, items, strict=True):
        before = first.setdefault(os.path.normpath(item.path), row["#"])
        if before != row["#"]:
            twice.append(f"rows {before} and {row['#']}: {display_path(row['path'])}")
    if twice:
        raise DataError(f"{shown}: {len(twice)} files are listed twice ({_some(twice)}); keep one row of each")


def _some(faults: list[str]) -> str:
    """Return the first few of `faults`, and dots for the others."""
    return "; ".join([*islice(faults, SHOWN_ROWS), *(["..."] if len(faults) > SHOWN_ROWS else [])])


def _distinct(rows: list[dict[str, str]], column: str) -> str | None:
    """Return the distinct values of `column` in the order of their first row; None without any."""
    values = dict.fromkeys(display_path(row.get(column, "")) for row in rows)
    return "; ".join(value for value in values if value) or None
