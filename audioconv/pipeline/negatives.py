"""Negative recordings and pictures: files that hold none of a model's words, to measure how many it accepts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audioconv._types import Array, StrPath
from audioconv.datasets.folder import expand
from audioconv.errors import DataError
from audioconv.evaluation import Scored
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
    paths : tuple of Path
    """

    name: str
    paths: tuple[Path, ...]


def find(model: Model, paths: Sequence[StrPath]) -> list[NegativeSet]:
    """Return the files in `paths`, files or folders, that `model` can classify; `DataError` if there are none."""
    names = [display_path(Path(path).resolve().name) for path in paths]
    return [
        # Two folders of one name are told apart by what they were called.
        NegativeSet(name if names.count(name) == 1 else display_path(path), tuple(expand([Path(path)], model.kind)))
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

    parts, failures = list[Scored](), list[DataError]()
    files = [(one.name, path) for one in sets for path in one.paths]
    for start in range(0, len(files), _AT_ONCE):
        some = files[start : start + _AT_ONCE]
        read = read_in_parallel([path for _, path in some], first_clips, strict=strict, on_file=on_file)
        for (name, path), found in zip(some, read, strict=True):
            try:
                if isinstance(found, DataError):
                    raise found
                parts += [
                    Scored((name,) * len(clips), model.predict(clips), tuple(examples))
                    for clips, examples in (spec.cut(path) if found is None else [found])
                ]
            except DataError as error:  # perhaps a recording that is damaged behind its first minute
                if strict:
                    raise
                failures.append(error)
    if not parts:
        raise DataError(f"none of the {len(files)} negatives can be read, such as {failures[0]}")
    return Scored.join(*parts), tuple(failures)
