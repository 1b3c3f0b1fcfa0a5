"""Recordings and pictures none of which is one of a model's words: what a model should turn away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audioconv._types import Array, StrPath
from audioconv.audio.read import Segment
from audioconv.datasets.collection import Kind
from audioconv.datasets.folder import expand
from audioconv.errors import DataError
from audioconv.evaluation import Scored
from audioconv.io.files import display_path
from audioconv.io.parallel import read_in_parallel
from audioconv.model import Model
from audioconv.pipeline import inputs, predict
from audioconv.pipeline.inputs import AudioInput, ImageInput
from audioconv.pipeline.windowing import pieces

LEAST_REST = 0.5
"""What is left at the end of a recording is heard too where it is at least this part of a clip."""

_AT_ONCE = 64
"""Files whose clips are in memory together."""


@dataclass(frozen=True)
class Source:
    """Files that were given together.

    Attributes
    ----------
    name : str
        What to call them: the name of their folder or file.
    paths : tuple of Path
    """

    name: str
    paths: tuple[Path, ...]


def find(model: Model, paths: Sequence[StrPath]) -> list[Source]:
    """Return the files in `paths`, files or folders, that `model` can hear or see; `DataError` where there are none."""
    kind: Kind = "images" if model.front_end is None else "audio"
    names = [display_path(Path(path).resolve().name) for path in paths]
    return [
        # Two folders of one name are told apart by what they were called.
        Source(name if names.count(name) == 1 else display_path(path), tuple(expand([Path(path)], kind)))
        for name, path in zip(names, paths, strict=True)
    ]


def score(
    model: Model,
    sources: Sequence[Source],
    *,
    strict: bool = False,
    on_file: Callable[[], object] | None = None,
) -> tuple[Scored, tuple[DataError, ...]]:
    """Return what `model` makes of all that is in `sources`, and why some files could not be read.

    A recording longer than a clip is cut into clips that follow each other, so that all of it is heard; the last one
    ends with the recording.

    Raises
    ------
    DataError
        If none of the files can be read, or `strict` and one cannot.
    """
    source = inputs.of_model(model)

    def whole(path: Path) -> list[Clips] | None:
        """Return the clips of a file; None for a recording of more than a minute or two, which is read in pieces."""
        found = _clips_of(source, path)
        first = next(found)
        return [first] if next(found, None) is None else None

    parts: list[Scored] = []
    failures: list[DataError] = []
    files = [(name, path) for name, paths in ((s.name, s.paths) for s in sources) for path in paths]
    for start in range(0, len(files), _AT_ONCE):
        some = files[start : start + _AT_ONCE]
        read = read_in_parallel([path for _, path in some], whole, on_file=on_file)
        for (name, path), found in zip(some, read, strict=True):
            try:
                if isinstance(found, DataError):
                    raise found
                parts += [
                    Scored((name,) * len(clips), predict.probabilities(model, clips), tuple(examples))
                    for clips, examples in (found or _clips_of(source, path))
                ]
            except DataError as error:
                if strict:
                    raise
                failures.append(error)
    if not parts:
        raise DataError(f"none of the {len(files)} outsiders can be read, such as {failures[0]}")
    return Scored.join(*parts), tuple(failures)


Clips = tuple[Array, list[Any]]
"""Examples (N, *shape), and where each is: a path or a `Segment`."""


def _clips_of(source: AudioInput | ImageInput, path: Path) -> Iterator[Clips]:
    """Yield the clips that a file holds; those of a long recording come in several parts."""
    if isinstance(source, ImageInput):
        yield source.read(path)[None], [path]
        return
    rate, length = source.front_end.sample_rate, source.clip_samples
    for place, samples in pieces(path, rate):
        if len(samples) < (1 + LEAST_REST) * length:
            # The rest of a long recording is told by its place.
            yield (
                source.convert(samples)[None],
                [Segment(path, place / rate, (place + length) / rate) if place else path],
            )
            continue
        begins = list(range(0, len(samples) - length + 1, length))
        if len(samples) - begins[-1] - length >= LEAST_REST * length:
            begins.append(len(samples) - length)
        clips = np.stack([samples[begin : begin + length] for begin in begins])
        yield clips, [Segment(path, (place + begin) / rate, (place + begin + length) / rate) for begin in begins]
