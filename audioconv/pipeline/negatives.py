"""Negative recordings and pictures: files that hold none of a model's words, to measure how many it accepts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audioconv._types import Array, StrPath
from audioconv.datasets.folder import expand
from audioconv.errors import DataError
from audioconv.evaluation import Scored
from audioconv.io.files import display_path
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

    def attempt(path: Path) -> list[tuple[Array, list[Any]]] | DataError | None:
        """Return the clips of a file; None for a recording of more than a minute or two, which is read in pieces."""
        try:
            found = spec.cut(path)
            first = next(found)
            return [first] if next(found, None) is None else None
        except DataError as error:
            return error

    parts: list[Scored] = []
    failures: list[DataError] = []
    files = [(name, path) for name, paths in ((s.name, s.paths) for s in sets) for path in paths]
    with ThreadPoolExecutor(4) as pool:
        for start in range(0, len(files), _AT_ONCE):
            some = files[start : start + _AT_ONCE]
            for (name, path), found in zip(some, pool.map(attempt, [path for _, path in some]), strict=True):
                try:
                    if isinstance(found, DataError):
                        raise found
                    parts += [
                        Scored((name,) * len(clips), model.predict(clips), tuple(examples))
                        for clips, examples in (found or spec.cut(path))
                    ]
                except DataError as error:
                    if strict:
                        raise
                    failures.append(error)
                if on_file is not None:
                    on_file()
    if not parts:
        raise DataError(f"none of the {len(files)} outsiders can be read, such as {failures[0]}")
    return Scored.join(*parts), tuple(failures)
