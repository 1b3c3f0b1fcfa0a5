"""Rows of a manifest's text: encoding and delimiter."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from audioconv.errors import DataError
from audioconv.io.files import display_path, reason

Row = Mapping[str, str]
"""The fields of a row by the names of their columns in lower case, and its number in the file as ``#``."""

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
"""Separators of fields, with their names. The first that gives the needed columns counts."""

NEEDED = ("path", "label")
"""Columns that there must be."""

# Excel writes a first line that names the separator.
_SEPARATOR = re.compile(r'"?sep=(.)"?[,;\t ]*(?:\r\n|\r|\n)', re.IGNORECASE)

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")

# UTF-32 comes first: its mark for little endian begins as that of UTF-16 does.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", ""),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)


@dataclass(frozen=True)
class Table:
    """A manifest's rows.

    Attributes
    ----------
    rows : iterable of Row
        Without blank ones, made anew each time they are gone through. All values but paths are without spaces around.
    delimiter : str
        Separator of their fields.
    notes : tuple of str
        Assumptions, a line each.
    """

    rows: Iterable[Row]
    delimiter: str
    notes: tuple[str, ...]


def read_table(path: Path) -> Table:
    """Return the rows of a manifest; `DataError` if it cannot be read or has not the needed columns."""
    shown = display_path(path)
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise DataError(f"{shown}: the manifest cannot be read ({reason(error)})") from None
    text, encoding = _decoded(content, shown)
    skipped, delimiter = 0, ""
    if told := _SEPARATOR.match(text):
        skipped, delimiter, text = 1, told[1], text[told.end() :]
    delimiter = delimiter or _delimiter(text)
    rows = _Rows(text, delimiter, skipped, shown)
    next(iter(rows), None)  # a header that is no good is said at once
    notes = [f"the manifest is {encoding}"] if encoding else []
    if delimiter != ",":
        notes.append(f"the fields of the manifest are separated by {DELIMITERS.get(delimiter, repr(delimiter))}")
    return Table(rows, delimiter, tuple(notes))


@dataclass(frozen=True)
class _Rows:
    """The rows of a text."""

    text: str
    delimiter: str
    skipped: int
    shown: str

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows; `DataError` for one that is no good."""
        # Fields in quotes may hold line breaks, and lines end as they do on any system.
        lines = (match[0] for match in _LINE.finditer(self.text))
        reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
        try:
            yield from _rows(reader, self.delimiter, self.skipped, self.shown)
        except csv.Error as error:
            raise DataError(f"{self.shown}: is not a CSV file ({error})") from None


def _decoded(content: bytes, shown: str) -> tuple[str, str]:
    """Return the text of a manifest, and its encoding where that is worth a note."""
    if content.startswith(b"PK\x03\x04") or content.startswith(b"\xd0\xcf\x11\xe0"):
        raise DataError(f"{shown}: is a spreadsheet or an archive; save it as CSV (UTF-8)")
    codec, name = encoding_of(content)
    if not name:
        return content.decode(codec, "surrogateescape"), ""
    try:
        return content.decode(codec).removeprefix("\ufeff"), name
    except UnicodeDecodeError as error:
        raise DataError(f"{shown}: is {name}, but broken ({error.reason}); save it as CSV (UTF-8)") from None


def encoding_of(content: bytes) -> tuple[str, str]:
    """Return the codec of a text by its first bytes, and what it is called where that is not UTF-8."""
    return next(((codec, name) for mark, codec, name in _MARKS if content.startswith(mark)), _unmarked(content))


def _unmarked(content: bytes) -> tuple[str, str]:
    """Return the encoding of text without a mark: UTF-16 where every other byte is zero, else UTF-8."""
    begin = content[:64]
    even, odd = begin[::2], begin[1::2]
    if len(begin) >= 4 and len(content) % 2 == 0:
        if not any(odd) and 0 not in even:
            return "utf-16-le", "UTF-16"
        if not any(even) and 0 not in odd:
            return "utf-16-be", "UTF-16"
    return "utf-8", ""


def _delimiter(text: str) -> str:
    """Return what separates the fields of a header: the first that gives the needed columns, else a comma."""
    for delimiter in DELIMITERS:
        lines = (match[0] for match in _LINE.finditer(text))
        if set(NEEDED) <= set(_header(csv.reader(lines, delimiter=delimiter))):
            return delimiter
    return ","


def _header(reader: Iterator[list[str]]) -> list[str]:
    try:
        return [name.strip().lower() for name in next(reader, [])]
    except csv.Error:  # the whole table will be read, and say so
        return []


def _rows(reader: Iterator[list[str]], delimiter: str, skipped: int, shown: str) -> Iterator[Row]:
    """Yield the rows; blank ones are skipped."""
    header = [name.strip().lower() for name in next(reader, [])]
    missing = [name for name in NEEDED if name not in header]
    if missing:
        found = display_path(", ".join(header))[:80] or "nothing"
        raise DataError(
            f"{shown}: the manifest has no column {' and no column '.join(missing)}; "
            f"its first line must name the columns path,label[,speaker][,split], and has {found}"
        )
    for number, fields in enumerate(reader, start=2 + skipped):
        if not any(field.strip() for field in fields):
            continue
        if len(fields) > len(header):
            separator = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}.get(delimiter, delimiter)
            raise DataError(
                f"{shown}: row {number} has {len(fields)} fields for {len(header)} columns; "
                f"put double quotes around values that hold {separator}"
            )
        row = {"#": str(number), **dict(zip(header, fields, strict=False))}
        # Not the path: a file's name may begin or end with a space.
        row.update({name: value.strip() for name, value in row.items() if name != "path"})
        for name in NEEDED:
            if not row.get(name):
                raise DataError(f"{shown}: row {number} has no {name}")
        yield row
