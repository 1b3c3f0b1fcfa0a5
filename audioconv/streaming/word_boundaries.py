"""Word boundaries in a window: the frames that stand out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

QUIET = 0.2
"""Share of a window's rows that are taken for its background."""

MIN_CONTRAST = 6.0
"""Decibels by which something has to stand out of a window; otherwise all of it is taken."""

LINE = 0.4
"""Part of the way, in decibels, from the background to the loudest row, from which on a row counts as loud."""

BRIDGED_SECONDS = 0.1
"""Silence within a word, as before a plosive."""

AVERAGED_SECONDS = 0.03
"""Levels are averaged over it: single rows of noise stand out, too."""


def word_extent(levels: NDArray[Any], row_seconds: float) -> tuple[int, int]:
    """Return the first row of what stands out most in a window, and the row behind its last.

    Of several parts that stand out, the one with the most of it, and nearest to the middle: that is the one the model
    has been trained to hear.

    Parameters
    ----------
    levels : array (rows,)
        In dB.
    row_seconds : float

    Examples
    --------
    >>> levels = np.full(100, -60.0)
    >>> levels[40:70] = -20
    >>> word_extent(levels, 0.01)
    (40, 70)
    """
    count = len(levels)
    smooth = _averaged(levels, max(1, round(AVERAGED_SECONDS / row_seconds)))
    background = float(np.partition(smooth, int(QUIET * count))[int(QUIET * count)])
    contrast = float(smooth.max()) - background
    if contrast < MIN_CONTRAST:
        return 0, count
    excess = np.maximum(0, smooth - (background + LINE * contrast))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], excess > 0, [False]]).astype(np.int8)))
    begins, ends = edges[::2], edges[1::2]
    apart = begins[1:] - ends[:-1] > round(BRIDGED_SECONDS / row_seconds)
    begins, ends = begins[np.concatenate([[True], apart])], ends[np.concatenate([apart, [True]])]
    middle = 1 - np.abs(np.linspace(-1, 1, count))
    best = int(np.argmax(np.add.reduceat(excess * (middle + 0.05), begins)))
    return int(begins[best]), int(ends[best])


def _averaged(levels: NDArray[Any], width: int) -> NDArray[np.float64]:
    """Return running means over `width` rows, of which the first and last are repeated beyond the window."""
    padded = np.pad(np.asarray(levels, np.float64), (width // 2, width - 1 - width // 2), mode="edge")
    means: NDArray[np.float64] = np.convolve(padded, np.full(width, 1 / width), mode="valid")
    return means
