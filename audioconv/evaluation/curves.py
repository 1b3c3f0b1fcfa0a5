"""ROC and DET curves: false accepts against misses for every threshold."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from audioconv.evaluation.intervals import Share

NEGATIVES, OTHER_WORDS = "negatives", "other words"

MAX_POINTS = 200
"""Number of points of a curve in JSON, at most."""

MAX_SCORES = 1 << 17
"""Of more scores of what should be rejected, only those at the corners of the curve are its points."""


@dataclass(frozen=True)
class OperatingPoint:
    """Error rates at one threshold.

    Attributes
    ----------
    threshold : float
        The least score that is accepted.
    false_accepts : Share
        Share of the clips to reject that is accepted.
    misses : Share
        Share of the clips to accept that is rejected.
    """

    threshold: float
    false_accepts: Share
    misses: Share

    def to_json(self) -> dict[str, Any]:
        """Return ``threshold, false_accepts, misses`` as JSON-compatible data."""
        return {
            "threshold": self.threshold,
            "false_accepts": self.false_accepts.to_json(),
            "misses": self.misses.to_json(),
        }


class Curve(NamedTuple):
    """Points of a curve, from the highest threshold to the lowest.

    Attributes
    ----------
    thresholds : array (P,) float64
        Falling: one that nothing reaches, then every score above 0 that occurs; of more than `MAX_SCORES`, those
        between which the curve is straight are left out.
    false_accept_rate, miss_rate : array (P,) float64
        Rates at each: the first never falls, the second never rises. Where even the lowest threshold rejects some,
        the curve ends before all are accepted.
    """

    thresholds: NDArray[np.float64]
    false_accept_rate: NDArray[np.float64]
    miss_rate: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Detection:
    """Scores of what should be accepted (targets) and of what should not (others), over all thresholds.

    Parameters
    ----------
    targets : array (T,)
        Scores, 0 to 1; what is accepted at no threshold has 0. At least one.
    others : array (O,)
        The same of what should be rejected. At least one.
    threshold : float
        The one that is in use.
    against : str
        Kind of the others: `NEGATIVES`, or `OTHER_WORDS` where each word is compared with the others.

    References
    ----------
    T. Fawcett, An introduction to ROC analysis, Pattern Recognition Letters 27 (2006).
    A. Martin et al., The DET curve in assessment of detection task performance, Eurospeech 1997.
    """

    targets: NDArray[np.floating]
    others: NDArray[np.floating]
    threshold: float
    against: str

    @functools.cached_property
    def curve(self) -> Curve:
        """Error rates at each threshold."""
        # float32 stays so: each word against all others is a score for each clip and class.
        dtype = np.result_type(self.targets, self.others, np.float32)
        targets, others = (np.sort(np.asarray(scores, dtype)) for scores in (self.targets, self.others))
        found = np.unique(np.concatenate([targets, others if len(others) <= MAX_SCORES else _corners(targets, others)]))
        found = found[found > 0][::-1]
        highest = float(found[0]) if len(found) else 1.0
        accepted = [(len(scores) - np.searchsorted(scores, found)) / len(scores) for scores in (targets, others)]
        return Curve(
            np.concatenate([[np.nextafter(highest, 2)], found.astype(np.float64)]),
            np.concatenate([[0.0], accepted[1]]),
            np.concatenate([[1.0], 1 - accepted[0]]),
        )

    def at(self, threshold: float) -> OperatingPoint:
        """Return what `threshold` gives; a score of 0 is never accepted."""
        targets, others = (int(np.sum((scores >= threshold) & (scores > 0))) for scores in (self.targets, self.others))
        return OperatingPoint(
            threshold, Share(others, len(self.others)), Share(len(self.targets) - targets, len(self.targets))
        )

    @property
    def chosen(self) -> OperatingPoint:
        """Error rates at the threshold in use."""
        return self.at(self.threshold)

    def within(self, false_accept_rate: float) -> OperatingPoint:
        """Return the point of the curve with the fewest misses that accepts at most this share of the others.

        Of several, the one with the highest threshold.
        """
        misses = self.curve.miss_rate
        least = misses[np.flatnonzero(self.curve.false_accept_rate <= false_accept_rate)[-1]]
        return self.at(float(self.curve.thresholds[np.flatnonzero(misses == least)[0]]))

    @property
    def area(self) -> float:
        """Area under the ROC curve: how likely a target scores above one of the others, ties counting half."""
        x, y = self._whole()
        return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))

    @property
    def equal_error_rate(self) -> float:
        """The error where as large a share is missed as is falsely accepted, between points on a straight line."""
        x, y = self._whole()
        excess = x - (1 - y)  # rises from -1 to 1
        i = int(np.searchsorted(excess, 0.0))
        step = -excess[i - 1] / (excess[i] - excess[i - 1])
        return float(x[i - 1] + step * (x[i] - x[i - 1]))

    def _whole(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return false accept and hit rates, to the end where all are accepted."""
        return np.append(self.curve.false_accept_rate, 1.0), np.append(1 - self.curve.miss_rate, 1.0)

    def to_json(self) -> dict[str, Any]:
        """Return the curve (thinned), its point in use, area and equal error rate as JSON-compatible data."""
        last = len(self.curve.thresholds) - 1
        kept = np.unique(np.linspace(0, last, min(last + 1, MAX_POINTS)).round().astype(int))
        return {
            "against": self.against,
            "targets": len(self.targets),
            "others": len(self.others),
            "chosen": self.chosen.to_json(),
            "area": self.area,
            "equal_error_rate": self.equal_error_rate,
            **{name: array[kept].tolist() for name, array in self.curve._asdict().items()},
        }


def _corners(targets: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
    """Return the others that are next to a target, and the outermost ones; both are sorted.

    While the threshold passes only others, the curve is a straight line.
    """
    above = np.searchsorted(others, targets, side="right")
    below = np.searchsorted(others, targets, side="left") - 1
    places = np.concatenate([above[above < len(others)], below[below >= 0], [0, len(others) - 1]])
    corners: NDArray[Any] = others[places]
    return corners
