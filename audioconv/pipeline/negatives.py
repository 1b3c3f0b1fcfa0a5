"""Negative recordings and pictures: files that hold none of a model's words, to measure how many it accepts."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audioconv._types import Array, StrPath
from audioconv.audio.read import Segment
from audioconv.datasets.folder import expand
from audioconv.errors import DataError
from audioconv.evaluation import Scored
from audioconv.io.columns import Column, PathColumn, View
from audioconv.io.files import display_path
from audioconv.io.parallel import read_in_parallel
from audioconv.model import Model
from audioconv.pipeline import inputs

_AT_ONCE = 64
"""Files whose clips are in memory together."""


@dataclass(frozen=True)
class NegativeSet:
    """Negative files that were given together.

    Attributes
    ----------
    name : str
        Name of their folder or file.
    paths : sequence of Path
    """

    name: str
    paths: Sequence[Path]


def find(model: Model, paths: Sequence[StrPath]) -> list[NegativeSet]:
    """Return the files in `paths`, files or folders, that `model` can classify; `DataError` if there are none."""
    names = [display_path(Path(path).resolve().name) for path in paths]
    return [
        # Two folders of one name are told apart by what they were called.
        NegativeSet(
            name if names.count(name) == 1 else display_path(path), PathColumn.of(expand([Path(path)], model.kind))
        )
        for name, path in zip(names, paths, strict=True)
    ]


def score(
    model: Model,
    sets: Sequence[NegativeSet],
    *,
    strict: bool = False,
    on_file: Callable[[], object] | None = None,
) -> tuple[Scored, tuple[DataError, ...]]:
    """Return what `model` makes of all files in `sets`, and why some could not be read.

    A recording longer than a clip is cut into consecutive clips that cover it; the last one ends with the recording.

    Raises
    ------
    DataError
        If none of the files can be read, or `strict` and one cannot.
    """
    spec = inputs.of_model(model)

    def first_clips(path: Path) -> tuple[Array, list[Any]] | None:
        """Return the clips of a file; None for a recording of more than a minute or two, which is read in pieces."""
        found = spec.cut(path)
        first = next(found)
        return first if next(found, None) is None else None

    failures = list[DataError]()
    paths = PathColumn.of(path for one in sets for path in one.paths)
    names = Column.of(one.name for one in sets for _ in one.paths)
    # Of each clip its set, its file and its part; as Python objects they would take 300 bytes each.
    numbers, parts, probabilities = array("I"), array("d"), array("f")

    def add(number: int, found: Iterable[tuple[Array, list[Any]]]) -> None:
        # First all of a file, which may be damaged behind its first minute.
        for rows, places in [(model.predict(clips), places) for clips, places in found]:
            probabilities.frombytes(rows.tobytes())
            for place in places:
                numbers.append(number)
                is_part = isinstance(place, Segment)
                parts.extend((place.begin, place.end) if is_part else (math.nan, math.nan))

    def example(clip: int) -> Path | Segment:
        path, begin, end = paths[numbers[clip]], parts[2 * clip], parts[2 * clip + 1]
        return path if math.isnan(begin) else Segment(path, begin, end)

    for start in range(0, len(paths), _AT_ONCE):
        read = read_in_parallel(paths[start : start + _AT_ONCE], first_clips, strict=strict, on_file=on_file)
        for number, found in enumerate(read, start):
            try:
                if isinstance(found, DataError):
                    raise found
                add(number, spec.cut(paths[number]) if found is None else [found])
            except DataError as error:  # perhaps a recording that is damaged behind its first minute
                if strict:
                    raise
                failures.append(error)
    if not len(numbers):
        raise DataError(f"none of the {len(paths)} negatives can be read, such as {failures[0]}")
    of = np.array(numbers)
    scored = np.frombuffer(probabilities, np.float32).reshape(len(of), -1)
    return Scored(names.take(of), scored, View(len(of), example)), tuple(failures)
