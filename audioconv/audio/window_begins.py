"""Windows of one length, out of recordings of any: where they begin."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Samples
from audioconv.audio.endpoints import NoClearWordError, Stretch, find_words
from audioconv.audio.read import fitted_begin

Content = Literal["words", "sounds"]
"""Content of recordings: words with silence around them, or continuous sounds, any part of which shows the class."""

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


def window_at(samples: NDArray[Any], begin: int, length: int) -> NDArray[Any]:
    """Return a copy of `length` samples from `begin` on, which may lie before the first; zeros beyond the recording."""
    if begin >= 0 and begin + length <= len(samples):
        return samples[begin : begin + length].copy()
    window = np.zeros(length, np.int16 if samples.dtype == np.int16 else np.float32)
    first, end = max(begin, 0), min(begin + length, len(samples))
    window[first - begin : end - begin] = samples[first:end]
    return window


def _around(word: Stretch, samples: Samples, sample_rate: int, length: int) -> int:
    """Return the begin of the window with a word in its middle, within the recording where that is long enough."""
    first, end = round(word.begin * sample_rate), round(word.end * sample_rate)
    if end - first > length:
        return first + max(0, fitted_begin(samples[first:end], length))
    return min(max((first + end - length) // 2, 0), max(len(samples) - length, 0))
