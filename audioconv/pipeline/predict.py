"""Classifying whole recordings: the windows that are classified, and how their probabilities are combined."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from audioconv._types import Array, StrPath
from audioconv.audio.read import OpenRecording, Segment, fitted_begin, read_window
from audioconv.errors import ConfigError, DataError
from audioconv.io.parallel import read_in_parallel
from audioconv.model import Model
from audioconv.pipeline.inputs import LONG, InputSpec
from audioconv.pipeline.recording_pieces import pieces

MAX_REPORTED = 3
"""Windows of a long recording that are reported."""

_AT_ONCE = 64
"""Files whose windows are in memory together."""


@dataclass(frozen=True, eq=False)
class WindowScores:
    """The probabilities of one window of a recording.

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
    """The probabilities of one recording, or picture.

    Attributes
    ----------
    probabilities : array (labels,) float32
        Probabilities of the best window for a model of words, their mean over all windows for a model of sounds.
    windows : tuple of WindowScores
        The best windows of a long recording, at most `MAX_REPORTED` that hardly overlap, in the order of their times;
        empty for other recordings and for pictures.
    """

    probabilities: Array
    windows: tuple[WindowScores, ...] = ()


def stacked(scored: Sequence[RecordingScores], model: Model) -> Array:
    """Return the probabilities of recordings or pictures, (N, labels) float32."""
    return np.stack([one.probabilities for one in scored]) if scored else np.empty((0, len(model.labels)), np.float32)


def score_files(
    model: Model,
    spec: InputSpec,
    files: Sequence[StrPath | Segment],
    *,
    strict: bool = False,
    on_file: Callable[[], object] | None = None,
) -> Iterator[RecordingScores | DataError]:
    """Yield the probabilities of each file in their order, or why it cannot be read; memory does not grow with them.

    Parameters
    ----------
    model : Model
    spec : InputSpec
        Input of the model.
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
        read = list(read_in_parallel(some, spec.whole, strict=strict, on_file=on_file))
        scored = iter(score_examples(model, spec, [one for one in read if isinstance(one, np.ndarray)]))
        for file, one in zip(some, read, strict=True):
            if isinstance(one, DataError):
                yield one
            elif one is not None:
                yield next(scored)
            else:
                try:
                    yield _score_pieces(model, spec, file)
                except DataError as error:  # damaged behind its first minute
                    if strict:
                        raise
                    yield error


def score_recording(model: Model, spec: InputSpec, recording: OpenRecording) -> RecordingScores:
    """Return the probabilities of a recording in an open file, like `score_files`; a long one is read in pieces.

    Raises
    ------
    ConfigError
        If the model is of pictures.
    DataError
        If the recording cannot be read.
    """
    if spec.sample_rate is None:
        raise ConfigError("this model classifies pictures, not recordings")
    with closing(pieces(recording, spec.sample_rate)) as found:
        _, first = next(found)
        if next(found, None) is None:
            return score_examples(model, spec, [first])[0]
    return _score_pieces(model, spec, recording)


def score_examples(model: Model, spec: InputSpec, examples: Sequence[Array]) -> list[RecordingScores]:
    """Return the probabilities of recordings (T,) float32 at the model's rate, or of pictures (H, W, C), in memory."""
    scored: list[RecordingScores] = []
    for start in range(0, len(examples), _AT_ONCE):
        some = examples[start : start + _AT_ONCE]
        begins = [spec.begins(example) for example in some]
        windows = [spec.window(example, begin) for example, own in zip(some, begins, strict=True) for begin in own]
        rows = model.predict(np.stack(windows))
        parts = np.split(rows, np.cumsum([len(own) for own in begins])[:-1])
        scored += [
            _Combined(model, spec, is_long=len(example) > LONG * spec.shape[0]).add(0, own, part).scores()
            for example, own, part in zip(some, begins, parts, strict=True)
        ]
    return scored


def decisive_clip(model: Model, spec: InputSpec, example: StrPath | Segment | Array) -> tuple[Array, float]:
    """Return the window of a recording that its answer rests on most, and where it begins; or a picture, and 0.

    Parameters
    ----------
    model : Model
    spec : InputSpec
    example : path-like, Segment or array
        A file, a part of one, or samples (T,) at the model's rate, or pixels.

    Returns
    -------
    clip : array (*spec.shape,) float32
        For a model of words the best window; for one of sounds the window in which the recording's answer is likeliest.
    begin : float
        Seconds from the beginning of the recording; negative where zeros come before it.
    """
    whole = spec.check(example) if isinstance(example, np.ndarray) else spec.whole(example)
    rate, length = spec.sample_rate or 1, spec.shape[0]
    if whole is None:
        assert not isinstance(example, np.ndarray)
        scored = _score_pieces(model, spec, example)
        place = _decisive(model, spec, scored.probabilities, np.stack([one.probabilities for one in scored.windows]))
        begin = scored.windows[place].begin
        path, first = (example.path, example.begin) if isinstance(example, Segment) else (example, 0.0)
        return read_window(Segment(path, first + begin, first + begin + length / rate), rate, length), begin
    begins = spec.begins(whole)
    clips = np.stack([spec.window(whole, begin) for begin in begins])
    if len(begins) == 1:
        return clips[0], begins[0] / rate
    rows = model.predict(clips)
    place = _decisive(model, spec, combine(model, spec, rows), rows)
    return clips[place], begins[place] / rate


def _decisive(model: Model, spec: InputSpec, together: Array, rows: Array) -> int:
    """Return the window that the answer for `together` rests on most, of windows with probabilities (n, labels)."""
    if spec.content == "words":
        return int(np.flatnonzero((rows == together).all(axis=1))[0])
    return int(rows[:, model.decide(together[np.newaxis]).codes[0]].argmax())


def combine(model: Model, spec: InputSpec, rows: Array) -> Array:
    """Return the combined probabilities (labels,) float32 of the windows (n, labels) of one recording."""
    return _Combined(model, spec, is_long=True).add(0, range(len(rows)), rows).probabilities()


def _score_pieces(model: Model, spec: InputSpec, file: StrPath | Segment | OpenRecording) -> RecordingScores:
    """Return the probabilities of a recording that is not in memory as a whole."""
    rate, length = spec.sample_rate, spec.shape[0]
    assert rate is not None, "pictures are in memory as a whole"
    together = _Combined(model, spec, is_long=True)
    for begin, piece in pieces(file, rate, overlap=length if spec.content == "words" else 0):
        own = spec.begins(piece) if len(piece) > length else [fitted_begin(piece, length)]
        together.add(begin, own, model.predict(np.stack([spec.window(piece, first) for first in own])))
    return together.scores()


class _Combined:
    """The windows of one recording, combined.

    Parameters
    ----------
    model : Model
    spec : InputSpec
    is_long : bool
        Whether the best windows are reported.
    """

    def __init__(self, model: Model, spec: InputSpec, is_long: bool) -> None:
        self._model, self._spec, self._is_long = model, spec, is_long
        self._sum, self._count = np.zeros(len(model.labels)), 0
        self._best: list[tuple[tuple[bool, float], int, Array]] = []

    def add(self, place: int, begins: Sequence[int], rows: Array) -> _Combined:
        """Add windows with probabilities (n, labels) that begin so many samples behind `place`."""
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
            if all(abs(one[1] - other[1]) >= self._spec.shape[0] // 2 for other in self._best):
                self._best.append(one)
            if len(self._best) == MAX_REPORTED:
                break
        return self

    def probabilities(self) -> Array:
        """Return the combined probabilities (labels,) float32: the mean for sounds, the best window for words."""
        if self._spec.content == "sounds":
            return (self._sum / self._count).astype(np.float32)
        return self._best[0][2]

    def scores(self) -> RecordingScores:
        """Return the combined probabilities, with the best windows of a long recording."""
        return RecordingScores(self.probabilities(), self._reported() if self._is_long else ())

    def _reported(self) -> tuple[WindowScores, ...]:
        # Of words, only accepted windows are reported, if there are any.
        best = [one for one in self._best if one[0][0]] or self._best[:1]
        rate, length = self._spec.sample_rate or 1, self._spec.shape[0]
        if self._spec.content == "sounds":
            best = self._best
        return tuple(
            WindowScores(max(0, begin) / rate, (begin + length) / rate, row)
            for _, begin, row in sorted(best, key=lambda one: one[1])
        )
