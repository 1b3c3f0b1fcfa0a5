"""Windows of one length, out of recordings of any: which they are, and where their samples are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Samples
from audioconv.audio.endpoints import NoClearWordError, Stretch, find_words
from audioconv.audio.read import fitted_begin

Content = Literal["words", "sounds"]
"""Content of recordings: words with silence around them, or continuous sounds, any part of which shows the class."""

GROWTH = 1.1
"""Memory that is full grows by this factor; what is not used yet counts, since it is set to zero."""

MIN_REST = 0.5
"""Part of a window that must be left at the end of a recording for one more window."""


def window_begins(samples: Samples, sample_rate: int, length: int, content: Content) -> list[int]:
    """Return the first sample of each window that stands for a recording.

    A recording that is no longer than a window is one, in the middle, between zeros. Of a longer one of words, each
    word is in the middle of a window; where no word stands out, the window with the most energy stands for it. A longer
    one of sounds is cut into windows that overlap as little as they can, so that all of it is in one; below 1.5
    windows, the one with the most energy stands for it.

    Parameters
    ----------
    samples : array (T,) float32
    sample_rate : int
        In Hz.
    length : int
        Samples of a window.
    content : {"words", "sounds"}

    Returns
    -------
    list of int
        At least one, in their order. Below 0, so many zeros come before the recording.
    """
    if len(samples) > length and content == "words":
        begins = word_begins(samples, sample_rate, length)
        if begins:
            return begins
    elif len(samples) >= (1 + MIN_REST) * length:
        return covering_begins(len(samples), length)
    return [fitted_begin(samples, length)]


def word_begins(samples: Samples, sample_rate: int, length: int) -> list[int]:
    """Return the first sample of a window around each word of a recording (T,), none where no word stands out."""
    try:
        words = find_words(samples, sample_rate)
    except NoClearWordError:
        return []
    return [_around(word, samples, sample_rate, length) for word in words]


def covering_begins(total: int, length: int, hop: int | None = None) -> list[int]:
    """Return where windows begin that cover `total` samples evenly, from the first one to the last.

    Parameters
    ----------
    total, length : int
        Samples of the recording, at least those of a window, and of a window.
    hop : int, optional
        Samples from one window to the next, at most. Default: the length of a window; a rest below `MIN_REST` is left
        out.

    Examples
    --------
    >>> covering_begins(10, 4), covering_begins(9, 4), covering_begins(10, 4, hop=2)
    ([0, 3, 6], [0, 5], [0, 2, 4, 6])
    """
    if hop is None:
        count = max(1, (total + round((1 - MIN_REST) * length)) // length)
    else:
        count = 1 + -(-(total - length) // hop)
    if count == 1:
        return [(total - length) // 2]
    return [round(i * (total - length) / (count - 1)) for i in range(count)]


def window_at(samples: Samples, begin: int, length: int) -> Samples:
    """Return a copy of `length` samples from `begin` on, which may lie before the first; zeros beyond the recording."""
    if begin >= 0 and begin + length <= len(samples):
        return samples[begin : begin + length].copy()
    window = np.zeros(length, np.float32)
    first, end = max(begin, 0), min(begin + length, len(samples))
    window[first - begin : end - begin] = samples[first:end]
    return window


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of recordings, whose samples are in memory once.

    Behaves as an array (N, length) of windows: ``windows[i]`` is a view, ``windows[indices]`` a copy.

    Attributes
    ----------
    samples : array (S,) float32
        The recordings, one after the other.
    length : int
        Samples of a window.
    begins : array (N,) int64
        The first of the samples of each window.
    ranges : array (N, 2) int64
        The least and the greatest begin that a drawn window may have in its place; both are `begins` where it stands
        for itself.
    recordings : array (N,) int64
        Which recording each window is of.
    """

    samples: Samples
    length: int
    begins: NDArray[np.int64]
    ranges: NDArray[np.int64]
    recordings: NDArray[np.int64]

    @classmethod
    def of_clips(cls, clips: Samples) -> Self:
        """Return clips (N, T), each a recording, as windows; they are not copied where they lie together."""
        begins = np.arange(len(clips), dtype=np.int64) * clips.shape[1]
        samples = np.ascontiguousarray(clips, np.float32).reshape(-1)
        return cls(samples, clips.shape[1], begins, np.stack([begins, begins], 1), np.arange(len(clips)))

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.begins)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the array of all windows: (N, length)."""
        return len(self.begins), self.length

    def __getitem__(self, indices: int | slice | Sequence[int] | NDArray[np.integer] | NDArray[np.bool_]) -> Samples:
        """Return one window (length,), not copied, or a copy of some (n, length)."""
        begins = self.begins[indices]
        if np.ndim(begins) == 0:
            return self.samples[begins : begins + self.length]
        return self._at(begins)

    def __iter__(self) -> Iterator[Samples]:
        """Yield each window (length,), not copied."""
        for begin in self.begins.tolist():
            yield self.samples[begin : begin + self.length]

    def select(self, indices: NDArray[np.integer] | NDArray[np.bool_]) -> Windows:
        """Return some of the windows; the samples are not copied."""
        return Windows(self.samples, self.length, self.begins[indices], self.ranges[indices], self.recordings[indices])

    def draw(self, indices: Sequence[int] | NDArray[np.integer], rng: np.random.Generator) -> Samples:
        """Return some windows (n, length), each drawn anew from its range."""
        low, high = self.ranges[indices].T
        if (low == high).all():  # no draw, so that what is drawn after it does not depend on how recordings are kept
            return self._at(low)
        return self._at(rng.integers(low, high, endpoint=True))

    def with_clips(self, clips: Samples) -> Windows:
        """Return these windows, and behind them clips (n, length), each a recording; all samples are copied."""
        added = Windows.of_clips(clips)
        place, number = len(self.samples), int(self.recordings.max(initial=-1)) + 1
        extended = getattr(self.samples, "extended", None)  # of `shared_windows.SharedSamples`
        return Windows(
            np.concatenate([self.samples, added.samples]) if extended is None else extended(added.samples),
            self.length,
            np.concatenate([self.begins, added.begins + place]),
            np.concatenate([self.ranges, added.ranges + place]),
            np.concatenate([self.recordings, added.recordings + number]),
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

    def _at(self, begins: NDArray[np.int64]) -> Samples:
        windows = np.empty((len(begins), self.length), np.float32)
        for window, begin in zip(windows, begins.tolist(), strict=True):
            window[:] = self.samples[begin : begin + self.length]
        return windows


class WindowsBuilder:
    """Puts recordings one behind the other into memory that grows without being copied where the system can do so.

    Parameters
    ----------
    length : int
        Samples of a window.
    recordings : int
        Number of recordings that are expected.
    """

    def __init__(self, length: int, recordings: int) -> None:
        self._length = length
        self._samples = np.empty(max(1, recordings) * length, np.float32)
        self._filled = 0
        self._begins: list[int] = []
        self._ranges: list[tuple[int, int]] = []
        self._recordings: list[int] = []

    def add(self, number: int, parts: Sequence[tuple[Samples, Sequence[int], bool]]) -> None:
        """Add a recording: parts of it, the begin of each window in a part, and whether windows may be drawn anew.

        Windows that are drawn anew come from half a window before to half a window after their place in the part.
        """
        for samples, begins, drawn in parts:
            if not drawn:
                for begin in begins:
                    place = self._append(window_at(samples, begin, self._length))
                    self._note(number, place, place, place)
                continue
            place, last, half = self._append(samples), len(samples) - self._length, self._length // 2
            for begin in begins:
                self._note(number, place + begin, place + max(0, begin - half), place + min(last, begin + half))

    def build(self) -> Windows:
        """Return the windows; the builder is used up."""
        self._samples.resize(self._filled, refcheck=False)
        return Windows(
            self._samples,
            self._length,
            np.array(self._begins, np.int64),
            np.array(self._ranges, np.int64).reshape(-1, 2),
            np.array(self._recordings, np.int64),
        )

    def _append(self, samples: Samples) -> int:
        place, self._filled = self._filled, self._filled + len(samples)
        if self._filled > len(self._samples):
            self._samples.resize(max(self._filled, round(GROWTH * len(self._samples))), refcheck=False)
        self._samples[place : self._filled] = samples
        return place

    def _note(self, number: int, begin: int, low: int, high: int) -> None:
        self._begins.append(begin)
        self._ranges.append((low, high))
        self._recordings.append(number)


def _around(word: Stretch, samples: Samples, sample_rate: int, length: int) -> int:
    """Return the begin of the window with a word in its middle, within the recording where that is long enough."""
    first, end = round(word.begin * sample_rate), round(word.end * sample_rate)
    if end - first > length:
        return first + max(0, fitted_begin(samples[first:end], length))
    return min(max((first + end - length) // 2, 0), max(len(samples) - length, 0))
