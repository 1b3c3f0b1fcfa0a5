"""The scores of clips as a table, a line each: what the shards of an evaluation write, and what is read again."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audioconv._types import StrPath
from audioconv.audio.read import Segment
from audioconv.errors import DataError
from audioconv.evaluation.scores import Scored
from audioconv.io.columns import Column
from audioconv.io.files import display_path, reason, write_atomic

COLUMNS = ("negatives", "label", "path", "begin", "end", "error", "files")
"""Columns before those of the classes. `negatives` names the set of a negative clip and is empty for clips with a
label. Two kinds of rows are no clips. In one, `error` says why a file could not be read. In the other, `files` is the
number of files of a set of negatives."""


@dataclass(frozen=True, eq=False)
class ClipScores:
    """The scores of a model on the clips of an evaluation.

    Attributes
    ----------
    labelled : Scored
        Clips named by their labels.
    negatives : Scored or None
        Negative clips, named by their sets.
    failures : tuple of DataError
        Why files could not be read.
    negative_files : mapping of str to int
        Number of files of each set of negatives.
    """

    labelled: Scored
    negatives: Scored | None
    failures: tuple[DataError, ...]
    negative_files: Mapping[str, int]

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.labelled) + len(self.negatives or ())


def write_scores(path: StrPath, labels: Sequence[str], scores: ClipScores, *, header: bool = True) -> None:
    """Write scores; tables of shards, of which the first one has the `header`, join by concatenation.

    Parameters
    ----------
    path : path-like
        The CSV file.
    labels : sequence of str
        The model's.
    scores : ClipScores
    header : bool
        Whether the first line names the columns.
    """
    with write_atomic(path, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        if header:
            writer.writerow([*COLUMNS, *labels])
        for scored, is_negative in ((scores.labelled, False), (scores.negatives, True)):
            if scored is None:
                continue
            for name, example, row in zip(scored.names, scored.examples, scored.table, strict=True):
                named = [name, ""] if is_negative else ["", name]
                writer.writerow([*named, *_place(example), "", "", *map(float, row)])
        for failure in scores.failures:
            writer.writerow(["", "", "", "", "", str(failure), "", *[""] * len(labels)])
        for name, count in scores.negative_files.items():
            writer.writerow([name, "", "", "", "", "", count, *[""] * len(labels)])


def read_scores(path: StrPath, labels: Sequence[str]) -> ClipScores:
    """Return what `write_scores` wrote.

    Raises
    ------
    DataError
        If the file cannot be read, or is not a table of scores of a model with these `labels`.
    """
    shown = display_path(path)
    header = [*COLUMNS, *labels]
    labelled, sets, failures = list[list[str]](), dict[str, list[list[str]]](), list[DataError]()
    files = dict[str, int]()
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            rows = csv.reader(file)
            found = next(rows, [])
            if found != header:
                raise DataError(
                    f"{shown}: is not a table of scores of this model, whose first line begins "
                    f"{','.join(header)[:80]}; `audioconv evaluate --write-scores` writes one, and of shards the first "
                    "one must come first"
                )
            for row in rows:
                if len(row) != len(header):
                    raise DataError(f"{shown}, line {rows.line_num}: needs {len(header)} fields, got {len(row)}")
                if row[5]:
                    failures.append(DataError(row[5]))
                elif row[6]:
                    files[row[0]] = files.get(row[0], 0) + int(row[6])
                else:
                    (sets.setdefault(row[0], []) if row[0] else labelled).append(row)
    except OSError as error:
        raise DataError(f"{shown}: cannot be read ({reason(error)})") from None
    except (csv.Error, ValueError) as error:
        raise DataError(f"{shown}: is not a table of scores ({error})") from None
    if not labelled:
        raise DataError(f"{shown}: has no clips with a label")
    negatives = [row for of_set in sets.values() for row in of_set]
    return ClipScores(
        _scored(labelled, 1, shown),
        _scored(negatives, 0, shown) if negatives else None,
        tuple(failures),
        files,
    )


def _place(example: Any) -> list[Any]:
    """Return the path of an example, and its begin and end where it is a part of a recording."""
    if isinstance(example, str | os.PathLike):
        return [os.fspath(example), "", ""]
    return [os.fspath(example.path), example.begin, example.end]


def _scored(rows: Sequence[Sequence[str]], column: int, shown: str) -> Scored:
    try:
        probabilities = np.array([row[len(COLUMNS) :] for row in rows], np.float32)
        examples = tuple(
            Segment(Path(row[2]), float(row[3]), float(row[4])) if row[3] else Path(row[2]) for row in rows
        )
    except ValueError as error:
        raise DataError(f"{shown}: a number cannot be read ({error})") from None
    return Scored(Column.of(row[column] for row in rows), probabilities, examples)
