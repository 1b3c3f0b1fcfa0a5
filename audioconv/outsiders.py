"""Recordings and pictures none of which is one of a model's words: what a model should turn away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv import inputs, pipeline
from audioconv.audio.read import Segment
from audioconv.audio.read import read as read_recording
from audioconv.datasets.collection import Kind
from audioconv.datasets.folder import expand
from audioconv.errors import DataError
from audioconv.evaluation import Scored
from audioconv.files import display_path
from audioconv.loading import StrPath
from audioconv.model import Model
from audioconv.pipeline import AudioInput, ImageInput

Array = NDArray[Any]

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

    def attempt(path: Path) -> tuple[Array, list[Any]] | DataError:
        try:
            return _read(source, path)
        except DataError as error:
            return error

    parts: list[Scored] = []
    failures: list[DataError] = []
    files = [(name, path) for name, paths in ((s.name, s.paths) for s in sources) for path in paths]
    with ThreadPoolExecutor(4) as pool:
        for start in range(0, len(files), _AT_ONCE):
            some = files[start : start + _AT_ONCE]
            for (name, _), found in zip(some, pool.map(attempt, [path for _, path in some]), strict=True):
                if not isinstance(found, DataError):
                    clips, examples = found
                    parts.append(Scored((name,) * len(clips), pipeline.probabilities(model, clips), tuple(examples)))
                elif strict:
                    raise found
                else:
                    failures.append(found)
                if on_file is not None:
                    on_file()
    if not parts:
        raise DataError(f"none of the {len(files)} outsiders can be read, such as {failures[0]}")
    return Scored.join(*parts), tuple(failures)


def _read(source: AudioInput | ImageInput, path: Path) -> tuple[Array, list[Any]]:
    """Return the examples (N, *shape) that a file holds, and where each is."""
    if isinstance(source, ImageInput):
        return source.read(path)[None], [path]
    rate, length = source.front_end.sample_rate, source.clip_samples
    samples = read_recording(path, rate)
    if len(samples) < (1 + LEAST_REST) * length:
        return source.convert(samples)[None], [path]
    begins = list(range(0, len(samples) - length + 1, length))
    if len(samples) - begins[-1] - length >= LEAST_REST * length:
        begins.append(len(samples) - length)
    clips = np.stack([samples[begin : begin + length] for begin in begins])
    return clips, [Segment(path, begin / rate, (begin + length) / rate) for begin in begins]
