"""How well a classifier does: accuracy, precision and recall of each class, confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv.errors import DataError


@dataclass(frozen=True)
class ClassScore:
    """What came of one class.

    Attributes
    ----------
    count : int
        How many examples it has.
    precision : float
        Share of right ones among the examples that were given its label; 0 where there were none.
    recall : float
        Share of its examples that were given its label; 0 where it has none.
    """

    count: int
    precision: float
    recall: float


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Result of classifying labelled examples.

    Attributes
    ----------
    classes : tuple of str
        The labels, in the order of `confusion`.
    confusion : array (classes, classes) int64
        How many examples of each class (row) were given each label (column).
    failures : tuple of DataError
        Files that could not be read and are not counted.
    """

    classes: tuple[str, ...]
    confusion: NDArray[np.int64]
    failures: tuple[DataError, ...] = ()

    @classmethod
    def compare(
        cls,
        classes: Sequence[str],
        wanted: NDArray[np.integer],
        given: NDArray[np.integer],
        failures: tuple[DataError, ...] = (),
    ) -> Evaluation:
        """Count how often each class was given each label; both are (N,) class numbers."""
        size = len(classes)
        confusion = np.bincount(np.asarray(wanted) * size + given, minlength=size * size).reshape(size, size)
        return cls(tuple(classes), confusion.astype(np.int64), failures)

    @property
    def count(self) -> int:
        """Number of examples."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Share of the examples that were given their own label."""
        return float(np.trace(self.confusion) / max(self.count, 1))

    @property
    def per_class(self) -> dict[str, ClassScore]:
        """Count, precision and recall of each class."""
        right = np.diag(self.confusion)
        given, wanted = self.confusion.sum(axis=0), self.confusion.sum(axis=1)
        return {
            label: ClassScore(int(wanted[i]), float(right[i] / max(given[i], 1)), float(right[i] / max(wanted[i], 1)))
            for i, label in enumerate(self.classes)
        }

    def to_json(self) -> dict[str, Any]:
        """Return ``accuracy, count, classes, confusion, per_class`` as JSON-compatible data."""
        return {
            "accuracy": self.accuracy,
            "count": self.count,
            "classes": list(self.classes),
            "confusion": self.confusion.tolist(),
            "per_class": {label: vars(score) for label, score in self.per_class.items()},
        }
