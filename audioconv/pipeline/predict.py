"""What a model makes of whole recordings: of each the windows that matter, and what they say together."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from audioconv._types import Array, Samples, StrPath
from audioconv.audio.read import (
    Segment,
    fitted_begin,
    read_window,
)
from audioconv.audio.windows import Windows, covering_begins, window_at, window_begins, word_begins
from audioconv.errors import DataError
from audioconv.io.parallel import read_in_parallel
from audioconv.model import Model
from audioconv.pipeline.inputs import AudioInput, ImageInput
from audioconv.pipeline.windowing import pieces

LONG = 2.0
"""A recording longer than this many windows is looked through, and its best windows are told."""

HOPS = 4
"""Windows that begin within the length of one, where a long recording is looked through for words."""

MAX_TOLD = 3
"""Windows of a long recording that are told."""

_AT_ONCE = 64
"""Files whose windows are in memory together."""


@dataclass(frozen=True, eq=False)
class WindowScores:
    """What a model makes of one window of a recording.

    Attributes
    ----------
    begin, end : float
        In seconds.
    probabilities : array (labels,) float32
    """

    begin: float
    end: float
    probabilities: Array


@dataclass(frozen=True, eq=False)
class RecordingScores:
    """What a model makes of one recording, or picture.

    Attributes
    ----------
    probabilities : array (labels,) float32
        Probabilities of the best window for a model of words, their mean over all windows for a model of sounds.
    windows : tuple of WindowScores
        The best windows of a long recording, at most `MAX_TOLD` that hardly overlap, in the order of their times;
        empty for other recordings and for pictures.
    """

    probabilities: Array
    windows: tuple[WindowScores, ...] = ()


def score_files(
    model: Model,
    source: AudioInput | ImageInput,
    files: Sequence[StrPath | Segment],
    *,
    strict: bool = False,
    on_file: Callable[[], object] | None = None,
) -> Iterator[RecordingScores | DataError]:
    """Yield what `model` makes of each file, or why it cannot be read, in their order; memory does not grow with them.

    Parameters
    ----------
    model : Model
    source : AudioInput or ImageInput
        How files become the model's examples.
    files : sequence of (path-like or Segment)
    strict : bool
        Whether the first unreadable file ends it all.
    on_file : callable, optional
        Called after each file.

    Raises
    ------
    DataError
        If `strict` and a file cannot be read.
    """
    for start in range(0, len(files), _AT_ONCE):
        some = files[start : start + _AT_ONCE]
        if isinstance(source, ImageInput):
            yield from _score_pictures(model, read_in_parallel(some, source.read, strict=strict, on_file=on_file))
        else:
            yield from _score_sounds(model, source, some, strict, on_file)


def _score_pictures(model: Model, read: Iterator[Array | DataError]) -> Iterator[RecordingScores | DataError]:
    found = list(read)
    pictures = [one for one in found if not isinstance(one, DataError)]
    rows = iter(probabilities(model, np.stack(pictures)) if pictures else ())
    return (one if isinstance(one, DataError) else RecordingScores(next(rows)) for one in found)


def _score_sounds(
    model: Model,
    source: AudioInput,
    files: Sequence[StrPath | Segment],
    strict: bool,
    on_file: Callable[[], object] | None,
) -> Iterator[RecordingScores | DataError]:
    first_piece = functools.partial(_first_piece, source=source)
    read = list(read_in_parallel(files, first_piece, strict=strict, on_file=on_file))
    whole = [one for one in read if isinstance(one, np.ndarray)]
    scored = iter(score_recordings(model, source, whole))
    for file, one in zip(files, read, strict=True):
        if isinstance(one, DataError):
            yield one
        elif one is not None:
            yield next(scored)
        else:
            try:
                yield _score_pieces(model, source, file)
            except DataError as error:  # damaged behind its first minute
                if strict:
                    raise
                yield error


def score_recordings(model: Model, source: AudioInput, recordings: Sequence[Samples]) -> list[RecordingScores]:
    """Return what `model` makes of recordings (T,) float32 in memory, at its rate."""
    scored: list[RecordingScores] = []
    for start in range(0, len(recordings), _AT_ONCE):
        some = recordings[start : start + _AT_ONCE]
        begins = [_begins(samples, source) for samples in some]
        windows = [
            window_at(samples, begin, source.clip_samples)
            for samples, own in zip(some, begins, strict=True)
            for begin in own
        ]
        rows = probabilities(model, np.stack(windows))
        parts = np.split(rows, np.cumsum([len(own) for own in begins])[:-1])
        scored += [
            _Together(model, source, len(samples)).add(0, own, part).scores()
            for samples, own, part in zip(some, begins, parts, strict=True)
        ]
    return scored


def decisive_clip(model: Model, source: AudioInput, example: StrPath | Segment | Samples) -> tuple[Samples, float]:
    """Return the window of a recording that its answer rests on most, and where it begins.

    Parameters
    ----------
    model : Model
    source : AudioInput
    example : path-like, Segment or array (T,) float32
        A recording, a part of one, or samples at the model's rate.

    Returns
    -------
    clip : array (source.clip_samples,) float32
        Of a model of words the best window; of one of sounds that in which the recording's answer is likeliest.
    begin : float
        Seconds from the beginning of the recording; negative where zeros come before it.
    """
    rate, length = source.front_end.sample_rate, source.clip_samples
    samples = example if isinstance(example, np.ndarray) else _first_piece(example, source)
    if samples is None:
        assert not isinstance(example, np.ndarray)
        scored = _score_pieces(model, source, example)
        place = _decisive(model, source, scored.probabilities, np.stack([one.probabilities for one in scored.windows]))
        begin = scored.windows[place].begin
        path, first = (example.path, example.begin) if isinstance(example, Segment) else (example, 0.0)
        return read_window(Segment(path, first + begin, first + begin + length / rate), rate, length), begin
    begins = _begins(samples, source)
    clips = np.stack([window_at(samples, begin, length) for begin in begins])
    if len(begins) == 1:
        return clips[0], begins[0] / rate
    rows = probabilities(model, clips)
    place = _decisive(model, source, combine(model, source, rows), rows)
    return clips[place], begins[place] / rate


def _decisive(model: Model, source: AudioInput, together: Array, rows: Array) -> int:
    """Return which window, with probabilities (n, labels), the answer to what they say `together` rests on most."""
    if source.content == "words":
        return int(np.flatnonzero((rows == together).all(axis=1))[0])
    return int(rows[:, model.decide(together[np.newaxis]).codes[0]].argmax())


def combine(model: Model, source: AudioInput, rows: Array) -> Array:
    """Return what the windows of one recording, with probabilities (n, labels), say together, (labels,) float32."""
    return _Together(model, source, None).add(0, range(len(rows)), rows).scores().probabilities


def _first_piece(file: StrPath | Segment, source: AudioInput) -> Samples | None:
    """Return a recording as a whole; None for one of more than a minute or two, which is read piece by piece."""
    rate, length = source.front_end.sample_rate, source.clip_samples
    if isinstance(file, Segment) and file.duration <= length / rate:
        return read_window(file, rate, length)
    found = pieces(file, rate)
    _, first = next(found)
    return first if next(found, None) is None else None


def _score_pieces(model: Model, source: AudioInput, file: StrPath | Segment) -> RecordingScores:
    """Return what `model` makes of a recording that is not in memory as a whole."""
    length = source.clip_samples
    together = _Together(model, source, None)
    for begin, piece in pieces(file, source.front_end.sample_rate, overlap=length if source.content == "words" else 0):
        own = _begins(piece, source) if len(piece) > length else [fitted_begin(piece, length)]
        windows = np.stack([window_at(piece, first, length) for first in own])
        together.add(begin, own, probabilities(model, windows))
    return together.scores()


def _begins(samples: Samples, source: AudioInput) -> list[int]:
    """Return where the windows begin that are looked at."""
    rate, length = source.front_end.sample_rate, source.clip_samples
    if source.content == "sounds" or len(samples) <= length:
        return window_begins(samples, rate, length, source.content)
    words = word_begins(samples, rate, length)
    if len(words) == 1 or (words and len(samples) <= LONG * length):
        return words
    if len(samples) <= LONG * length:
        return [fitted_begin(samples, length)]
    return sorted({*words, *covering_begins(len(samples), length, max(1, length // HOPS))})


class _Together:
    """What the windows of one recording say together.

    Parameters
    ----------
    model : Model
    source : AudioInput
    total : int or None
        Samples of the recording; None for a long one.
    """

    def __init__(self, model: Model, source: AudioInput, total: int | None) -> None:
        self._model, self._source = model, source
        self._is_long = total is None or total > LONG * source.clip_samples
        self._sum, self._count = np.zeros(len(model.labels)), 0
        self._best: list[tuple[tuple[bool, float], int, Array]] = []

    def add(self, place: int, begins: Sequence[int], rows: Array) -> _Together:
        """Take the probabilities (n, labels) of windows that begin so many samples behind `place`."""
        self._sum += rows.sum(axis=0, dtype=np.float64)
        self._count += len(rows)
        answers = self._model.decide(rows)
        ranked = [
            ((bool(accepted), float(score)), place + begin, row)
            for accepted, score, begin, row in zip(answers.accepted, answers.scores, begins, rows, strict=True)
        ]
        ranked = sorted([*self._best, *ranked], key=lambda one: (one[0], -one[1]), reverse=True)
        self._best = []
        for one in ranked:
            if all(abs(one[1] - other[1]) >= self._source.clip_samples // 2 for other in self._best):
                self._best.append(one)
            if len(self._best) == MAX_TOLD:
                break
        return self

    def scores(self) -> RecordingScores:
        """Return what all windows say."""
        if self._source.content == "sounds":
            probabilities = (self._sum / self._count).astype(np.float32)
        else:
            probabilities = self._best[0][2]
        return RecordingScores(probabilities, self._told() if self._is_long else ())

    def _told(self) -> tuple[WindowScores, ...]:
        # Of words, only those that are accepted are told, if there are any.
        best = [one for one in self._best if one[0][0]] or self._best[:1]
        rate, length = self._source.front_end.sample_rate, self._source.clip_samples
        if self._source.content == "sounds":
            best = self._best
        return tuple(
            WindowScores(max(0, begin) / rate, (begin + length) / rate, row)
            for _, begin, row in sorted(best, key=lambda one: one[1])
        )


def logits(model: Model, x: Array | Windows, batch_size: int = 256) -> Array:
    """Return the logits of examples in memory, (N, classes) float32."""
    return _in_parts(model, x, model.logits, batch_size)


def probabilities(model: Model, x: Array | Windows, batch_size: int = 256) -> Array:
    """Return what `model` makes of examples in memory, (N, classes) float32."""
    return _in_parts(model, x, model.probabilities, batch_size)


def _in_parts(model: Model, x: Array | Windows, pass_: Callable[[Array], Array], batch_size: int) -> Array:
    """Return what a pass of the model makes of all examples; their features are in memory part by part."""
    return np.concatenate([
        pass_(part if model.front_end is None else model.front_end(part))
        for part in (x[start : start + batch_size] for start in range(0, len(x), batch_size))
    ])  # fmt: skip
