"""The folder of clips that ``audioconv listen --save`` writes: its table, and the review of each clip."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from audioconv._types import StrPath
from audioconv.audio.read import Segment
from audioconv.errors import DataError
from audioconv.io.files import display_path, exclusive, reason, write_atomic

TABLE_NAME, WORDS_NAME, CLIPS_NAME = "heard.csv", "words.txt", "clips"
"""In the folder: the table, the words of the models that wrote it, and the folder of the clips."""

CONFIRMED, REFUSED, CORRECTED, SKIPPED = "confirmed", "refused", "corrected", "skipped"
REVIEWS = ("", CONFIRMED, REFUSED, CORRECTED, SKIPPED)
"""The answers of a review: none yet; the label is right; the clip holds none of the words; it holds another word; the
clip is skipped."""


@dataclass(frozen=True)
class HeardClip:
    """A row of the table. The fields are the columns.

    Attributes
    ----------
    path : str
        Path of the clip, relative to the folder.
    label : str
    score, threshold : float
    fired : bool
        Whether it was a detection: ``yes`` or ``no`` in the table.
    begin : float
        Begin of the clip in the stream or the recording, in seconds.
    start, end : float
        Begin and end of the event in the stream or the recording, in seconds.
    time : str
        Time at which the clip was written, as ISO 8601.
    source : str
        The recording or the device.
    review : str
        One of `REVIEWS`.
    word : str
        The word that it is, if it is confirmed or corrected.
    """

    path: str
    label: str
    score: float
    threshold: float
    fired: bool
    begin: float
    start: float
    end: float
    time: str
    source: str
    review: str = ""
    word: str = ""

    @property
    def is_positive(self) -> bool:
        """True if a person has named the word."""
        return self.review in (CONFIRMED, CORRECTED)

    def event_in(self, folder: StrPath) -> Segment:
        """Return the part of the clip in which the event lies."""
        begin = max(0.0, self.start - self.begin)
        return Segment(Path(folder, self.path), begin, max(self.end - self.begin, begin + 0.001))

    def texts(self) -> list[str]:
        """Return the row's fields as they stand in the table."""
        return [_text(value) for value in astuple(self)]


COLUMNS = tuple(field.name for field in fields(HeardClip))


def read_heard(folder: StrPath) -> list[HeardClip]:
    """Return the rows of the folder's table.

    A last row that is cut off, as a run that was killed may leave it, is left out.

    Raises
    ------
    DataError
        If the folder has no table, or a row of it is damaged: with its line number.
    """
    table = Path(folder, TABLE_NAME)
    shown = display_path(table)
    try:
        content = table.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(
            f"{display_path(folder)}: holds no {TABLE_NAME}; audioconv listen MODEL --save FOLDER writes such a folder"
        ) from None
    except OSError as error:
        raise DataError(f"{shown}: cannot be read ({reason(error)})") from None
    text = _whole_lines(content.decode("utf-8-sig", "surrogateescape"))
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    clips = []
    try:
        header = next(reader, [])
        if tuple(header) != COLUMNS:
            found = display_path(",".join(header))[:80] or "nothing"
            raise DataError(f"{shown}: line 1 must be {','.join(COLUMNS)}, and is {found}; restore it")
        for row in reader:
            if row:
                clips.append(_parsed(row, f"{shown}: line {reader.line_num}"))
    except csv.Error as error:
        raise DataError(f"{shown}: line {reader.line_num} is damaged ({error}); correct or delete it") from None
    return clips


def _whole_lines(text: str) -> str:
    """Return a table without a last line that is cut off."""
    lines, line_break, last = text.rpartition("\n")
    try:
        is_whole = len(next(csv.reader([last], strict=True), [])) == len(COLUMNS)
    except csv.Error:
        is_whole = False
    return text if is_whole or not line_break else lines + line_break


def write_heard(folder: StrPath, clips: Iterable[HeardClip]) -> None:
    """Write the folder's table, all of it or not at all; `DataError` if it cannot be written."""
    with write_atomic(Path(folder, TABLE_NAME), "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(clip.texts() for clip in clips)


def append_heard(folder: StrPath, clip: HeardClip) -> int:
    """Append a row to the folder's table, which ends with a line break; return its bytes.

    Raises
    ------
    DataError
        If it cannot be written; then the table is what it was before.
    """
    table = Path(folder, TABLE_NAME)
    line = row_bytes(clip)
    try:
        with open(table, "r+b", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            try:
                written = file.write(line)
                if written != len(line):
                    raise OSError("the disk is full")
                os.fsync(file.fileno())
            except BaseException:  # Ctrl-C, too
                file.truncate(end)
                raise
    except OSError as error:
        raise DataError(f"{display_path(table)}: could not be written ({reason(error)})") from None
    return len(line)


def row_bytes(clip: HeardClip) -> bytes:
    """Return a row as it stands in the table, with its line break."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(clip.texts())
    return line.getvalue().encode("utf-8", "surrogateescape")


def read_words(folder: StrPath) -> list[str]:
    """Return the words of the models that wrote the folder; none if their file is missing."""
    try:
        lines = Path(folder, WORDS_NAME).read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return []
    return [line for line in lines if line]


def write_words(folder: StrPath, words: Sequence[str]) -> None:
    """Add words to those of the folder."""
    known = read_words(folder)
    every = list(dict.fromkeys([*known, *words]))
    if every != known:
        with write_atomic(Path(folder, WORDS_NAME), "w") as file:
            file.writelines(f"{word}\n" for word in every)


@contextmanager
def held(folder: StrPath) -> Iterator[None]:
    """Let no other process write to the folder within the block; `DataError` if one does so already."""
    told = f"{display_path(folder)}: another audioconv writes to this folder; end it first, or give another folder"
    with exclusive(Path(folder, ".heard.lock"), told):
        yield


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _parsed(row: Sequence[str], place: str) -> HeardClip:
    """Return a row; `place` is what errors call it."""
    if len(row) != len(COLUMNS):
        raise DataError(f"{place} has {len(row)} fields, expected {len(COLUMNS)}; correct or delete it")
    named = dict(zip(COLUMNS, row, strict=True))
    numbers = {}
    for name in ("score", "threshold", "begin", "start", "end"):
        try:
            numbers[name] = float(named[name])
        except ValueError:
            numbers[name] = math.nan
        highest = 1.0 if name in ("score", "threshold") else math.inf
        if not (0 <= numbers[name] <= highest and math.isfinite(numbers[name])):
            wanted = "a number from 0 to 1" if highest == 1 else "seconds from 0 on"
            raise DataError(f"{place} has the {name} {display_path(named[name])!r}, expected {wanted}; correct it")
    review, word, label = named["review"], named["word"], named["label"]
    faults = {
        "no path": not named["path"],
        "no label": not label,
        f"fired {display_path(named['fired'])!r}, expected yes or no": named["fired"] not in ("yes", "no"),
        f"the review {display_path(review)!r}, expected {', '.join(REVIEWS[1:])} or nothing": review not in REVIEWS,
        "an end that is not behind its start": numbers["end"] <= numbers["start"],
        f"the review {CORRECTED}, but no word": review == CORRECTED and not word,
    }
    for fault, is_so in faults.items():
        if is_so:
            raise DataError(f"{place} has {fault}; correct or delete it")
    return HeardClip(
        path=named["path"],
        label=label,
        **numbers,
        fired=named["fired"] == "yes",
        time=named["time"],
        source=named["source"],
        review=review,
        word=word or (label if review == CONFIRMED else ""),
    )
