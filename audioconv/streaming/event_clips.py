"""`EventClips`: clips of a stream around detections and near misses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from audioconv._types import Samples
from audioconv.streaming.picker import Candidate, EventPicker, LevelTrack, Likeliest
from audioconv.streaming.windows import Grid

CLIP_SECONDS = 2.0
"""Length of a clip; where the model's window is longer, a clip is as long as that."""

NEAR_MISS = 0.5
"""The part of the threshold that the score of a near miss reaches at least."""


@dataclass(frozen=True, eq=False)
class EventClip:
    """The samples around a detection or a near miss.

    Attributes
    ----------
    label : str
    score, threshold : float
    fired : bool
        Whether it is a detection: its score is at least the threshold.
    begin : int
        The sample of the stream, at the model's rate, with which the clip begins.
    start, end : int
        Where the event lies in the stream, in samples at the model's rate.
    samples : array (T,) float32
        The event is in their middle, except near the beginning and the end of the stream.
    sample_rate : int
        In Hz.
    """

    label: str
    score: float
    threshold: float
    fired: bool
    begin: int
    start: int
    end: int
    samples: Samples
    sample_rate: int


class _Event(NamedTuple):
    """A detection or a near miss; begin and end are rows."""

    begin: int
    end: int
    fired: bool
    candidate: Candidate

    @property
    def place(self) -> tuple[int, int]:
        """What events are sorted by."""
        return self.begin, self.end


class EventClips:
    """Takes the samples and scores of a stream, gives a clip of each event in the order in which events begin.

    A near miss is an event that `EventPicker` finds with `NEAR_MISS` times the threshold, and whose score is below the
    threshold. It is left out within the refractory time of a detection or of another near miss, of whatever words.
    Clips do not depend on the blocks of the stream. Memory does not grow with its length.

    Parameters
    ----------
    labels, grid, levels, threshold, refractory_seconds
        As for the `EventPicker` of the detections.
    on_clip : callable
        Called with each `EventClip`.
    """

    def __init__(
        self,
        labels: Sequence[str],
        grid: Grid,
        levels: LevelTrack,
        threshold: float,
        refractory_seconds: float | None,
        on_clip: Callable[[EventClip], object],
    ) -> None:
        self._labels, self._grid, self._threshold, self._on_clip = tuple(labels), grid, threshold, on_clip
        self._picker = EventPicker(labels, grid, levels, NEAR_MISS * threshold, refractory_seconds)
        self._length = round(max(CLIP_SECONDS, grid.window_seconds) * grid.sample_rate)
        self._history = SampleHistory()
        self._events: list[_Event] = []
        self._undecided: list[Candidate] = []
        self._occupied: list[tuple[int, int]] = []  # rows of detections and near misses

    def push(self, samples: Samples, likeliest: Likeliest, detections: Sequence[Candidate]) -> None:
        """Take the next samples and windows, and the detections that are certain with them."""
        self._history.append(samples)
        self._take(detections, self._picker.push(likeliest))
        settled = self._picker.settled_row
        self._decide(settled)
        while self._events:
            first = min(self._events, key=lambda event: event.place)
            is_first = first.begin < settled and all(one.begin > first.begin for one in self._undecided)
            if not is_first or self._begin(first) + self._length > self._history.end:
                break
            self._events.remove(first)
            self._give(first)
        places = [self._middle(event.begin, event.end) for event in self._events]
        places += [self._middle(near.begin, near.end) for near in self._undecided]
        self._history.forget(min([self._grid.sample_before(settled), *places]) - self._length)

    def finish(self, detections: Sequence[Candidate] = ()) -> None:
        """End the stream with its last detections: give the clips that are left, with the samples that there are."""
        self._take(detections, self._picker.flush())
        self._decide(None)
        events, self._events = sorted(self._events, key=lambda event: event.place), []
        for event in events:
            self._give(event)

    def _take(self, detections: Sequence[Candidate], near: Sequence[Candidate]) -> None:
        self._events += [_Event(one.begin, one.end, True, one) for one in detections]
        self._occupied += [(one.begin, one.end) for one in detections]
        self._undecided += [one for one in near if one.score < self._threshold]

    def _decide(self, settled: int | None) -> None:
        """Leave out near misses beside other events; None: no event is to come, else none before row `settled`."""
        refractory = self._picker.refractory_rows
        while self._undecided and (settled is None or self._undecided[0].end + refractory <= settled):
            near = self._undecided.pop(0)
            if all(near.begin >= end + refractory or begin >= near.end + refractory for begin, end in self._occupied):
                self._events.append(_Event(near.begin, near.end, False, near))
                self._occupied.append((near.begin, near.end))
        if settled is not None:
            first = min([settled, *(one.begin for one in self._undecided)])
            self._occupied = [(begin, end) for begin, end in self._occupied if end + refractory > first]

    def _give(self, event: _Event) -> None:
        begin = max(0, min(self._begin(event), self._history.end - self._length))
        samples = self._history.cut(begin, begin + self._length)
        if not len(samples):  # an event in the silence behind an empty stream
            return
        last = begin + len(samples)
        start = min(self._grid.sample_before(event.begin), last - 1)
        end = max(start + 1, min(self._grid.sample_after(event.end - 1), self._history.end))
        found = event.candidate
        self._on_clip(
            EventClip(
                self._labels[found.code],
                found.score,
                self._threshold,
                event.fired,
                begin,
                start,
                end,
                samples,
                self._grid.sample_rate,
            )
        )

    def _begin(self, event: _Event) -> int:
        return max(0, self._middle(event.begin, event.end) - self._length // 2)

    def _middle(self, begin: int, end: int) -> int:
        return (self._grid.sample_before(begin) + self._grid.sample_after(end - 1)) // 2


class SampleHistory:
    """The last samples of a stream, by their place in it.

    Attributes
    ----------
    end : int
        How many samples the stream has so far.
    """

    def __init__(self) -> None:
        self.end = 0
        self._first = 0  # the place of the first sample that is kept
        self._kept: Samples = np.empty(0, np.float32)  # with room behind the last sample

    def append(self, samples: Samples) -> None:
        """Take the next samples (T,)."""
        count = self.end - self._first
        if count + len(samples) > len(self._kept):
            # Room for as much again: what is kept is not copied for every small block.
            larger = np.empty(2 * (count + len(samples)), np.float32)
            larger[:count] = self._kept[:count]
            self._kept = larger
        self._kept[count : count + len(samples)] = samples
        self.end += len(samples)

    def forget(self, before: int) -> None:
        """Forget samples before a place, once they are half of what is kept."""
        count = self.end - self._first
        gone = min(before - self._first, count)
        if gone > count // 2:
            self._kept = np.concatenate([self._kept[gone:count], np.empty(count, np.float32)])
            self._first += gone

    def cut(self, begin: int, end: int) -> Samples:
        """Return a copy of the samples from `begin` to `end`, fewer where they are not kept."""
        return self._kept[max(0, begin - self._first) : max(0, min(end, self.end) - self._first)].copy()
