"""Detections from window probabilities: one for each occurrence of a word."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audioconv._types import Array
from audioconv.audio.endpoints import word_extent
from audioconv.decision.classes import is_word
from audioconv.decision.decision import Decision
from audioconv.errors import ConfigError
from audioconv.streaming.windows import Grid

# A word has had its best window when the next ones are no better by more than RISE for CONFIRM_SECONDS. It waits no
# longer than WAIT windows' lengths since it was first heard.
RISE, CONFIRM_SECONDS, WAIT = 0.02, 0.2, 0.5

# Whatever the words, the best windows of two of them lie at least this part of a window apart: the end of a word sounds
# like another one as it leaves the window.
APART = 0.25

REFRACTORY = 0.5
"""Part of a window, after a word's end, in which the same word is not heard again."""


@dataclass(frozen=True)
class Detection:
    """A word that was heard.

    Attributes
    ----------
    label : str
    start, end : float
        Where it lies, in seconds since the beginning of the stream.
    score : float
        Its probability, averaged over some windows, where that was greatest.
    """

    label: str
    start: float
    end: float
    score: float

    def to_json(self) -> dict[str, Any]:
        """Return the detection as JSON-compatible data."""
        return {"label": self.label, "start": self.start, "end": self.end, "score": self.score}


@dataclass(frozen=True)
class Likeliest:
    """The label that each window's answer would be, where it is a word.

    Attributes
    ----------
    codes : array (K,) int64
        Its number among the labels.
    scores : array (K,) float32
        Its probability; -1 where it is no word, which no threshold accepts.
    """

    codes: Array
    scores: Array

    @classmethod
    def among(cls, decision: Decision, labels: Sequence[str], probabilities: Array) -> Likeliest:
        """Return what is likeliest in `probabilities` (K, labels), of what `decision` lets be an answer."""
        answers = decision.decide(labels, probabilities)
        words = np.array([is_word(label) for label in labels])
        return cls(answers.codes, np.where(words[answers.codes], answers.scores, np.float32(-1)))


@dataclass(frozen=True)
class Candidate:
    """A word in the window where it has been heard best so far; begin and end are rows."""

    code: int
    score: float
    window: int
    begin: int
    end: int
    first_heard: int
    last_rise: int


class LevelTrack:
    """How loud the last rows of a stream were.

    Parameters
    ----------
    grid : Grid
    silence : float
        The level before the stream, in dB.
    keep : bool
        Whether to keep all of them, instead of those that windows to come may need.
    """

    def __init__(self, grid: Grid, silence: float, keep: bool = False) -> None:
        self._grid, self._keep = grid, keep
        self._first = grid.first_row(0)
        self._levels = np.full(-self._first, silence, np.float32)
        self._known: dict[int, tuple[int, int]] = {}

    def append(self, levels: Array, next_window: int) -> None:
        """Take the levels of the next rows; `next_window` is the first that may still be asked for."""
        forgotten = 0 if self._keep else max(0, min(self._grid.first_row(next_window) - self._first, len(self._levels)))
        self._levels = np.concatenate([self._levels[forgotten:], levels])
        self._first += forgotten
        if forgotten:
            self._known = {window: rows for window, rows in self._known.items() if window >= next_window}

    def extent(self, window: int) -> tuple[int, int]:
        """Return the first row of what stands out in a window, and the row behind its last."""
        if window not in self._known:
            first = self._grid.first_row(window)
            begin, end = word_extent(
                self._levels[first - self._first : first - self._first + self._grid.window_rows],
                self._grid.row_samples / self._grid.sample_rate,
            )
            self._known[window] = (first + begin, first + end)
        return self._known[window]


class EventPicker:
    """Picks events from what is likeliest in one window after the other.

    A word is an event where its score is at least the threshold, in the window where that is greatest. What stands out
    of that window is the word's place. Windows that overlap hear the same word many times, and its end may sound like
    another: so no event begins before the last one has ended, nor within a quarter of a window of it, nor the same word
    within the refractory time of its end.

    Parameters
    ----------
    labels : sequence of str
        Of the model.
    grid : Grid
    levels : LevelTrack
        Of the same stream; it has the levels of all rows up to each window's last when that window comes.
    threshold : float
    refractory_seconds : float, optional
        By default half a window.

    Attributes
    ----------
    threshold : float
        It may be changed between windows.

    Raises
    ------
    ConfigError
        If the refractory time is negative or no number.
    """

    def __init__(
        self,
        labels: Sequence[str],
        grid: Grid,
        levels: LevelTrack,
        threshold: float,
        refractory_seconds: float | None = None,
    ) -> None:
        if refractory_seconds is None:
            refractory_seconds = REFRACTORY * grid.window_seconds
        if not 0 <= refractory_seconds < math.inf:
            raise ConfigError(f"refractory_seconds must be a number of at least 0, got {refractory_seconds}")
        self._labels, self._grid, self._levels = tuple(labels), grid, levels
        self.threshold = threshold
        self._refractory_rows = round(refractory_seconds * grid.sample_rate / grid.row_samples)
        self._apart = grid.windows_in(APART * grid.window_seconds)
        self._confirm = grid.windows_in(CONFIRM_SECONDS)
        self._wait = grid.windows_in(WAIT * grid.window_seconds)
        self._window_count = 0
        self._best: Candidate | None = None
        self._last: Candidate | None = None
        self._last_end_of: dict[int, int] = {}

    @property
    def next_window(self) -> int:
        """The first window whose levels may still be asked for."""
        return self._grid.middle(self._window_count)

    @property
    def settled_row(self) -> int:
        """The row before which no event begins that is still to come."""
        return self._grid.first_row(self._grid.middle(max(0, self._window_count - self._wait)))

    @property
    def refractory_rows(self) -> int:
        """The refractory time in rows."""
        return self._refractory_rows

    def push(self, heard: Likeliest) -> list[Candidate]:
        """Take the next windows; return the words that are certain now."""
        found: list[Candidate] = []
        loud = np.flatnonzero(heard.scores >= self.threshold)
        place = 0
        while place < len(heard.scores):
            if self._best is None:  # nothing happens before the next window that is loud enough
                behind = np.searchsorted(loud, place)
                if behind == len(loud):
                    break
                place = int(loud[behind])
            self._step(self._window_count + place, int(heard.codes[place]), float(heard.scores[place]), found)
            place += 1
        self._window_count += len(heard.scores)
        return found

    def flush(self) -> list[Candidate]:
        """End the stream; return the word that was waiting for a better window."""
        found: list[Candidate] = []
        self._emit(found)
        return found

    def describe(self, candidate: Candidate, sample_count: int | None = None) -> Detection:
        """Return a word with its times, which end with the stream's `sample_count` samples where that is known."""
        begin = self._grid.sample_before(candidate.begin)
        end = self._grid.sample_after(candidate.end - 1)
        if sample_count is not None:
            end = min(end, sample_count)
        rate = self._grid.sample_rate
        return Detection(self._labels[candidate.code], min(begin, end) / rate, end / rate, candidate.score)

    def _step(self, window: int, code: int, score: float, found: list[Candidate]) -> None:
        if score >= self.threshold:
            begin, end = self._levels.extent(self._grid.middle(window))
            if self._best is not None and begin >= self._best.end:  # another word begins before this one was certain
                self._emit(found)
            if self._may_follow(code, window, begin):
                self._consider(Candidate(code, score, window, begin, end, window, window))
        best = self._best
        if best is not None and (window - best.last_rise >= self._confirm or window - best.first_heard >= self._wait):
            self._emit(found)

    def _may_follow(self, code: int, window: int, begin: int) -> bool:
        """Tell whether what begins at a row is not the last event once more."""
        if self._last is None:
            return True
        if begin < self._last.end or window - self._last.window < self._apart:
            return False
        return code not in self._last_end_of or begin >= self._last_end_of[code] + self._refractory_rows

    def _consider(self, new: Candidate) -> None:
        best = self._best
        if best is None:
            self._best = new
        elif new.score > best.score:
            rise = new.window if new.score > best.score + RISE or new.code != best.code else best.last_rise
            self._best = Candidate(new.code, new.score, new.window, new.begin, new.end, best.first_heard, rise)

    def _emit(self, found: list[Candidate]) -> None:
        if self._best is None:
            return
        found.append(self._best)
        self._last = self._best
        self._last_end_of[self._best.code] = self._best.end
        self._best = None
