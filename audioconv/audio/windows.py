"""Windows of recordings, whose samples are kept once, as 16-bit integers, in memory or in files."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Samples
from audioconv.audio.samples import quantised
from audioconv.audio.window_begins import window_at

GROWTH = 1.1
"""Memory that is full grows by this factor; what is not used yet counts, since it is set to zero."""

Int16 = NDArray[np.int16]


class SampleSource(Protocol):
    """16-bit samples by their places: an array in memory, or `audio.mapped_samples.MappedSamples`."""

    def __len__(self) -> int:
        """Return the number of samples."""
        ...

    def __getitem__(self, places: slice, /) -> Int16:
        """Return some of the samples, not copied."""
        ...


class Piece(NamedTuple):
    """A piece of a recording as it is kept.

    Attributes
    ----------
    samples : array (T,) int16
    scale : float
        ``samples * np.float32(scale)`` have full scale 1.
    begins : sequence of int
        First sample of each window in it.
    is_drawn : bool
        Whether windows may be drawn anew: from half a window before to half a window after their place.
    """

    samples: Int16
    scale: float
    begins: Sequence[int]
    is_drawn: bool


def kept_pieces(samples: Samples | Int16, begins: Sequence[int], is_drawn: bool, length: int) -> list[Piece]:
    """Return samples (T,) with windows of `length` as they are kept: all of them, or each window on its own."""
    if is_drawn:
        return [Piece(*quantised(samples), begins, True)]
    if len(samples) == length and list(begins) == [0]:
        return [Piece(*quantised(samples), begins, False)]
    return [Piece(*quantised(window_at(samples, begin, length)), (0,), False) for begin in begins]


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of recordings, whose samples are kept once, as 16-bit integers with a scale for each piece.

    Behaves as an array (N, length) float32 of windows. What it returns is a copy.

    Attributes
    ----------
    sources : tuple of SampleSource
        The samples, one source behind the other. A window lies in one of them.
    length : int
        Samples of a window.
    begins : array (N,) int64
        The first of the samples of each window.
    ranges : array (N, 2) int64
        The least and the greatest begin that a drawn window may have in its place; both are `begins` where it stands
        for itself.
    recordings : array (N,) int64
        Which recording each window is of.
    scales : array (N,) float32
        The factor of the samples of each window, a power of two; see `samples.quantised`.
    """

    sources: tuple[SampleSource, ...]
    length: int
    begins: NDArray[np.int64]
    ranges: NDArray[np.int64]
    recordings: NDArray[np.int64]
    scales: NDArray[np.float32]

    @classmethod
    def of_clips(cls, clips: Samples) -> Self:
        """Return clips (N, T), each a recording, as windows."""
        count, length = clips.shape
        samples, scales = np.empty((count, length), np.int16), np.empty(count, np.float32)
        for number, clip in enumerate(clips):
            samples[number], scales[number] = quantised(clip)
        begins = np.arange(count, dtype=np.int64) * length
        return cls((samples.reshape(-1),), length, begins, np.stack([begins, begins], 1), np.arange(count), scales)

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.begins)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the array of all windows: (N, length)."""
        return len(self.begins), self.length

    def __getitem__(self, indices: int | slice | Sequence[int] | NDArray[np.integer] | NDArray[np.bool_]) -> Samples:
        """Return one window (length,), or some (n, length)."""
        begins, scales = self.begins[indices], self.scales[indices]
        found = self._at(np.atleast_1d(begins), np.atleast_1d(scales))
        return found.reshape(*np.shape(begins), self.length)

    def __iter__(self) -> Iterator[Samples]:
        """Yield each window (length,)."""
        for number in range(len(self)):
            yield self[number]

    def select(self, indices: NDArray[np.integer] | NDArray[np.bool_]) -> Windows:
        """Return some of the windows; the samples are not copied."""
        return Windows(
            self.sources,
            self.length,
            self.begins[indices],
            self.ranges[indices],
            self.recordings[indices],
            self.scales[indices],
        )

    def draw(self, indices: Sequence[int] | NDArray[np.integer], rng: np.random.Generator) -> Samples:
        """Return some windows (n, length), each drawn anew from its range."""
        (low, high), scales = self.ranges[indices].T, self.scales[indices]
        if (low == high).all():  # no draw, so that what is drawn after it does not depend on how recordings are kept
            return self._at(low, scales)
        return self._at(rng.integers(low, high, endpoint=True), scales)

    def with_clips(self, clips: Samples) -> Windows:
        """Return these windows, and behind them clips (n, length), each a recording; no other samples are copied."""
        added = Windows.of_clips(clips)
        place, number = sum(map(len, self.sources)), int(self.recordings.max(initial=-1)) + 1
        return Windows(
            (*self.sources, *added.sources),
            self.length,
            np.concatenate([self.begins, added.begins + place]),
            np.concatenate([self.ranges, added.ranges + place]),
            np.concatenate([self.recordings, added.recordings + number]),
            np.concatenate([self.scales, added.scales]),
        )

    def thin(self, rows: NDArray[np.integer], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return about `count` of the windows `rows`, at least one of each recording, and ranges (n, 2) for them.

        Each stands for the windows beside it that are left out: its range is theirs.
        """
        kept: list[int] = []
        ranges: list[tuple[int, int]] = []
        recordings = self.recordings[rows]
        for number in np.unique(recordings).tolist():
            own = rows[recordings == number]
            for group in np.array_split(own, min(len(own), max(1, round(count * len(own) / len(rows))))):
                # Pieces of a long recording do not lie together: a window is drawn from one of them.
                lows, highs = self.ranges[group].T
                gaps = np.flatnonzero(lows[1:] - highs[:-1] >= self.length) + 1
                run = max(np.split(group, gaps), key=len)
                kept.append(int(run[len(run) // 2]))
                ranges.append((int(self.ranges[run[0], 0]), int(self.ranges[run[-1], 1])))
        return np.array(kept, np.int64), np.array(ranges, np.int64).reshape(-1, 2)

    def _at(self, begins: NDArray[np.int64], scales: NDArray[np.float32]) -> Samples:
        windows = np.empty((len(begins), self.length), np.float32)
        for window, begin, scale in zip(windows, begins.tolist(), scales, strict=True):
            source, *more = self.sources
            while more and begin >= len(source):
                begin, source = begin - len(source), more.pop(0)
            np.multiply(source[begin : begin + self.length], scale, out=window)
        return windows


class SampleSink(Protocol):
    """Where the samples go that are not kept in memory: `audio.window_store.StoreWriter`."""

    def append(self, samples: Int16, /) -> None:
        """Take the next samples (T,); a window lies in one such part."""
        ...

    def finish(self, windows: Windows, /) -> Windows:
        """Return windows, which have no source yet, of the samples that were appended."""
        ...


class WindowsBuilder:
    """Puts recordings one behind the other into memory that grows without being copied where the system can do so.

    Parameters
    ----------
    length : int
        Samples of a window.
    recordings : int
        Number of recordings that are expected.
    max_samples : int, optional
        Samples that stay in memory, at most. Default: all.
    sink : callable, optional
        Called when there are more; returns what takes all of them.
    """

    def __init__(
        self,
        length: int,
        recordings: int,
        max_samples: float = math.inf,
        sink: Callable[[], SampleSink] | None = None,
    ) -> None:
        self._length, self._max_samples, self._open_sink = length, max_samples, sink
        self._sink: SampleSink | None = None
        self._samples = np.empty(int(min(max(1, recordings) * length, max_samples)), np.int16)
        self._filled = 0
        # Numbers in lists take four times the memory. Columns of the first: begin, range, recording.
        self._rows, self._scales = array("q"), array("f")

    def add(self, number: int, pieces: Sequence[Piece]) -> None:
        """Add the pieces of the recording `number`."""
        for piece in pieces:
            place = self._append(piece.samples)
            last, half = len(piece.samples) - self._length, self._length // 2 if piece.is_drawn else 0
            for begin in piece.begins:
                low, high = max(0, begin - half), min(last, begin + half)
                self._rows.extend((place + begin, place + low, place + high, number))
                self._scales.append(piece.scale)

    def build(self) -> Windows:
        """Return the windows; the builder is used up."""
        rows, scales = np.frombuffer(self._rows, np.int64).reshape(-1, 4), np.array(self._scales, np.float32)
        windows = Windows((), self._length, rows[:, 0].copy(), rows[:, 1:3].copy(), rows[:, 3].copy(), scales)
        if self._sink is not None:
            return self._sink.finish(windows)
        self._samples.resize(self._filled, refcheck=False)
        return replace(windows, sources=(self._samples,))

    def _append(self, samples: Int16) -> int:
        place, self._filled = self._filled, self._filled + len(samples)
        if self._sink is None and self._open_sink is not None and self._filled > self._max_samples:
            self._sink = self._open_sink()
            self._sink.append(self._samples[:place])
            self._samples = self._samples[:0].copy()
        if self._sink is not None:
            self._sink.append(samples)
            return place
        if self._filled > len(self._samples):
            self._samples.resize(max(self._filled, round(GROWTH * len(self._samples))), refcheck=False)
        self._samples[place : self._filled] = samples
        return place
