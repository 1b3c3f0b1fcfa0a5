"""Counts of an evaluation: scores of a class, acceptance, examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv.evaluation.intervals import Share
from audioconv.evaluation.rows import Rows
from audioconv.io.columns import Column, View


@dataclass(frozen=True)
class ClassScore:
    """Scores of one class, each example assigned to its likeliest class, whatever the threshold.

    Attributes
    ----------
    count : int
        Number of its examples.
    precision : float
        Share of right ones among the examples that were given its label; 0 where there were none.
    recall : float
        Share of its examples that were given its label; 0 where it has none.
    f1 : float
        The harmonic mean of precision and recall; 0 where both are.
    """

    count: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Outcomes:
    """Outcomes of the clips of words at the model's threshold.

    Attributes
    ----------
    right : int
        Accepted as the word that they are.
    wrong : int
        Accepted as another word.
    rejected : int
        Rejected as none of the words.
    """

    right: int
    wrong: int
    rejected: int

    @property
    def count(self) -> int:
        """Number of clips."""
        return self.right + self.wrong + self.rejected

    @property
    def hits(self) -> Share:
        """Share of the clips that are accepted as their own word."""
        return Share(self.right, self.count)


@dataclass(frozen=True, eq=False)
class Scored:
    """Examples with the scores of a model.

    Attributes
    ----------
    names : Column of str
        The label of each of N examples, or where it is from. Other sequences become a column.
    table : array (N, labels) float32, or Rows
        Probability of each of the model's labels; `Rows` where these are some examples of others.
    examples : sequence
        Place of each: a path, or a part of a recording.
    """

    names: Column[str]
    table: NDArray[np.float32] | Rows
    examples: Sequence[Any] | NDArray[Any]

    def __post_init__(self) -> None:
        """Put the names into a column."""
        object.__setattr__(self, "names", Column.of(self.names))

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.names)

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """Probability of each of the model's labels, (N, labels) float32; a copy of some rows of others."""
        return np.asarray(self.table)

    def select(self, chosen: NDArray[np.bool_]) -> Scored:
        """Return those where `chosen` (N,) is true; their probabilities are not copied."""
        if chosen.all():
            return self
        places, examples = np.flatnonzero(chosen), self.examples
        of_places: View[Any] = View(len(places), lambda i: examples[int(places[i])])
        return Scored(self.names.take(places), Rows.of(self.table).take(places), of_places)

    @classmethod
    def join(cls, *parts: Scored) -> Scored:
        """Return the examples of all parts, of which there must be one; their probabilities are not copied."""
        kept = [part for part in parts if len(part)] or list(parts[:1])
        if len(kept) == 1:
            return kept[0]
        ends = np.cumsum([len(part) for part in kept])

        def example(place: int) -> Any:
            number = int(np.searchsorted(ends, place, side="right"))
            return kept[number].examples[place - int(ends[number]) + len(kept[number])]

        names = Column.of(chain.from_iterable(part.names for part in kept))
        return cls(names, Rows.join(*(part.table for part in kept)), View(int(ends[-1]), example))
