"""Calibration of probabilities: expected error and reliability curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv.evaluation.intervals import Share

BINS = 10


@dataclass(frozen=True)
class Bin:
    """The answers whose score lies between two bounds.

    Attributes
    ----------
    low, high : float
        The bounds; the upper one belongs to the bin.
    mean_score : float
        Mean score of the answers; the middle of the bounds without any.
    right : Share
        Share of them that is right.
    """

    low: float
    high: float
    mean_score: float
    right: Share


@dataclass(frozen=True)
class Calibration:
    """Scores beside how often they are right.

    Attributes
    ----------
    bins : tuple of Bin
        Bins of equal width, from 0 to 1.
    mean_score : float
        Mean score of all answers.
    accuracy : float
        Share of all answers that are right.

    References
    ----------
    C. Guo et al., On calibration of modern neural networks, ICML 2017, section 2.
    """

    bins: tuple[Bin, ...]
    mean_score: float
    accuracy: float

    @classmethod
    def measure(cls, scores: NDArray[np.floating], right: NDArray[np.bool_], bins: int = BINS) -> Calibration:
        """Sort N answers into bins by their `scores` (N,), 0 to 1; `right` (N,) is true where they are right."""
        scores = np.asarray(scores, np.float64)
        edges = np.linspace(0, 1, bins + 1)
        places = np.clip(np.ceil(scores * bins).astype(int) - 1, 0, bins - 1)
        found = []
        for i in range(bins):
            inside = places == i
            count = int(inside.sum())
            mean = float(scores[inside].mean()) if count else float((edges[i] + edges[i + 1]) / 2)
            found.append(Bin(float(edges[i]), float(edges[i + 1]), mean, Share(int(right[inside].sum()), count)))
        some = bool(len(scores))
        return cls(tuple(found), float(scores.mean()) if some else 0.0, float(np.mean(right)) if some else 0.0)

    @property
    def count(self) -> int:
        """Number of answers."""
        return sum(bin.right.whole for bin in self.bins)

    @property
    def expected_error(self) -> float:
        """Expected calibration error: how far, on average, score and share of right answers lie apart, 0 to 1."""
        apart = sum(bin.right.whole * abs(bin.mean_score - bin.right.value) for bin in self.bins)
        return apart / max(self.count, 1)

    def to_json(self) -> dict[str, Any]:
        """Return ``expected_error, mean_score, accuracy, bins`` as JSON-compatible data."""
        return {
            "expected_error": self.expected_error,
            "mean_score": self.mean_score,
            "accuracy": self.accuracy,
            "bins": [
                {"low": bin.low, "high": bin.high, "mean_score": bin.mean_score, "right": bin.right.to_json()}
                for bin in self.bins
            ],
        }
