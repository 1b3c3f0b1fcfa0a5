"""Windows of recordings that several processes have read, each some: a process is sent the samples that it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Array
from audioconv.audio.windows import Int16, SampleSource, Windows
from audioconv.cluster.processes import Processes
from audioconv.errors import ClusterError

ROUND_SAMPLES = 1 << 26
"""Samples that a process asks for at a time."""

Spans = NDArray[np.int64]
"""Begin and end of stretches of samples, (n, 2)."""


class SharedSamples:
    """Samples of all recordings, one after the other, of which this process holds some.

    A `windows.SampleSource`, which gives the slices that it holds. Samples that other processes send are held in
    memory.

    Parameters
    ----------
    own : SampleSource
        The samples that this process has read, in memory or in files.
    processes : Processes
        Those that have read the other ones. The samples are in the order of their ranks.
    """

    def __init__(self, own: SampleSource, processes: Processes) -> None:
        self._own, self._processes = own, processes
        lengths = processes.gather_json(len(own))
        self._starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        self.begin = int(self._starts[processes.rank])
        self._spans: Spans = np.zeros((0, 2), np.int64)
        self._pieces: list[Int16] = []

    def __len__(self) -> int:
        """Return the number of samples of all processes."""
        return int(self._starts[-1])

    def __getitem__(self, part: slice, /) -> Int16:
        """Return a stretch of samples; `ClusterError` if this process does not hold it."""
        begin, end = int(part.start), int(part.stop)
        if self.begin <= begin and end <= self.begin + len(self._own):
            return self._own[begin - self.begin : end - self.begin]
        place = int(np.searchsorted(self._spans[:, 0], begin, side="right")) - 1
        if place < 0 or end > self._spans[place, 1]:
            raise ClusterError(
                f"{self._processes.name(self._processes.rank)} needs samples {begin} to {end}, which it was not sent; "
                "this is a fault of audioconv"
            )
        first = int(self._spans[place, 0])
        return self._pieces[place][begin - first : end - first]

    def fetch(self, wanted: Spans) -> None:
        """Get stretches from the processes that have read them. All processes call this at once, each for its own."""
        missing = self._missing(wanted)
        rounds = _rounds(missing)
        for number in range(max(self._processes.gather_json(len(rounds)))):
            self._fetch(rounds[number] if number < len(rounds) else missing[:0])

    def _missing(self, wanted: Spans) -> Spans:
        """Return the stretches that are not held, merged where they overlap."""
        wanted = wanted[(wanted[:, 0] >= 0) & (wanted[:, 0] < len(self))]  # the others are in other sources
        is_own = (wanted[:, 0] >= self.begin) & (wanted[:, 1] <= self.begin + len(self._own))
        place = np.searchsorted(self._spans[:, 0], wanted[:, 0], side="right") - 1
        is_held = place >= 0
        is_held[is_held] = wanted[is_held, 1] <= self._spans[place[is_held], 1]
        rest = wanted[~is_own & ~is_held]
        rest = rest[np.argsort(rest[:, 0], kind="stable")]
        if not len(rest):
            return rest
        ends = np.maximum.accumulate(rest[:, 1])
        first = np.concatenate([[True], rest[1:, 0] >= ends[:-1]])  # what only touches may be of two processes
        begins = rest[first, 0]
        return np.stack([begins, np.append(ends[:-1][first[1:]], ends[-1])], axis=1)

    def _fetch(self, spans: Spans) -> None:
        owners = np.searchsorted(self._starts, spans[:, 0], side="right") - 1
        asked = [spans[owners == rank] for rank in range(self._processes.size)]
        requests = self._processes.deliver([part.tobytes() for part in asked])
        replies = []
        for request in requests:
            theirs = np.frombuffer(request, np.int64).reshape(-1, 2) - self.begin
            replies.append(b"".join(self._own[begin:end].tobytes() for begin, end in theirs.tolist()))
        received = self._processes.deliver(replies)
        found, pieces = [self._spans], list(self._pieces)
        for part, content in zip(asked, received, strict=True):
            samples = np.frombuffer(content, np.int16)
            lengths = part[:, 1] - part[:, 0]
            found.append(part)
            pieces += np.split(samples, np.cumsum(lengths)[:-1]) if len(part) else []
        together = np.concatenate(found)
        order = np.argsort(together[:, 0], kind="stable")
        self._spans, self._pieces = together[order], [pieces[place] for place in order.tolist()]


def share(windows: Windows, first: int, processes: Processes) -> Windows:
    """Return the windows of all processes, given those of the recordings that this one has read.

    Parameters
    ----------
    windows : Windows
        Windows with one source, of recordings that are numbered from 0.
    first : int
        The number of the first of them among the recordings of all processes.
    processes : Processes
    """
    (own,) = windows.sources
    samples = SharedSamples(own, processes)

    def joined(array: Array) -> Array:
        return np.concatenate(processes.gather_arrays(array))

    return replace(
        windows,
        sources=(samples,),
        begins=joined(windows.begins + samples.begin),
        ranges=joined(windows.ranges + samples.begin),
        recordings=joined(windows.recordings + first),
        scales=joined(windows.scales),
    )


def hold(x: object, rows: Sequence[int] | NDArray[np.integer] | range) -> None:
    """Get the samples of some windows `x` before they are used, if other processes have read them.

    All processes call this at once, each for its own rows. For windows of one process, and for arrays, nothing is done.
    """
    if not isinstance(x, Windows):
        return
    place = 0
    for source in x.sources:
        if isinstance(source, SharedSamples):
            chosen = np.asarray(rows, np.int64)
            begins, ranges = x.begins[chosen], x.ranges[chosen]
            low, high = np.minimum(begins, ranges[:, 0]), np.maximum(begins, ranges[:, 1])
            source.fetch(np.stack([low, high + x.length], axis=1) - place)
        place += len(source)


def _rounds(spans: Spans) -> list[Spans]:
    """Return the spans in groups of about `ROUND_SAMPLES` samples at most."""
    if not len(spans):
        return []
    filled = np.cumsum(spans[:, 1] - spans[:, 0])
    numbers = filled // ROUND_SAMPLES
    return np.split(spans, np.flatnonzero(np.diff(numbers)) + 1)
