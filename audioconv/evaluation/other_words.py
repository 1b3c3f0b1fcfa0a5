"""The scores of clips of words for the other words: of 35 words, 34 for each clip, which are not copied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv.evaluation.rows import Rows

CHUNK = 1 << 16
"""Scores that are looked at at a time."""


@dataclass(frozen=True, eq=False)
class OtherWords:
    """The probability of each word for each clip of another word; `numpy.asarray` makes one array (O,) of them.

    Attributes
    ----------
    probabilities : array (N, labels) float, or Rows
    columns : array (W,) int
        Columns of the words.
    numbers : array (N,) int
        Which of the columns is each clip's own word.
    """

    probabilities: NDArray[np.floating] | Rows
    columns: NDArray[np.integer]
    numbers: NDArray[np.integer]

    def __len__(self) -> int:
        """Return the number of scores."""
        return len(self.probabilities) * (len(self.columns) - 1)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the scores."""
        return self.probabilities.dtype

    def own(self) -> NDArray[np.floating]:
        """Return the probability of each clip's own word, (N,)."""
        found = np.empty(len(self.probabilities), self.dtype)
        for rows in self._some_rows():
            some, own = self.probabilities[rows], self.columns[self.numbers[rows]]
            found[rows] = some[np.arange(len(some)), own]
        return found

    def __iter__(self) -> Iterator[NDArray[np.floating]]:
        """Yield the scores, some clips at a time."""
        for rows in self._some_rows():
            is_other = self.numbers[rows, None] != np.arange(len(self.columns))
            yield self.probabilities[rows][:, self.columns][is_other]

    def _some_rows(self) -> Iterator[slice]:
        step = max(1, CHUNK // len(self.columns))
        return (slice(begin, begin + step) for begin in range(0, len(self.probabilities), step))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return all of them, (O,)."""
        return np.concatenate([*self]).astype(dtype or self.dtype, copy=False)


def parts(scores: NDArray[Any] | OtherWords) -> Iterator[NDArray[Any]]:
    """Yield scores, some at a time."""
    if isinstance(scores, OtherWords):
        yield from scores
        return
    for begin in range(0, len(scores), CHUNK):
        yield scores[begin : begin + CHUNK]
