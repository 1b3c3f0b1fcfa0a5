"""ROC and DET curves: false accepts against misses for every threshold."""

from __future__ import annotations

import functools
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Array
from audioconv.evaluation import other_words
from audioconv.evaluation.intervals import Share
from audioconv.evaluation.other_words import OtherWords, parts

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


class Curve:
    """Points of a curve, from the highest threshold to the lowest, in 12 bytes each; a sequence of its three arrays.

    Parameters
    ----------
    scores : array (P - 1,)
        Rising: every score above 0 that occurs; of more than `MAX_SCORES`, those between which the curve is straight
        are left out.
    others, targets : array (P - 1,) int
        Numbers of those to be rejected, and to be accepted, that reach each of them.
    counts : tuple of int
        Numbers of others and targets.

    Attributes
    ----------
    thresholds : array (P,) float64
        Falling: one that nothing reaches, then the scores.
    false_accept_rate, miss_rate : array (P,) float64
        Rates at each: the first never falls, the second never rises. Where even the lowest threshold rejects some,
        the curve ends before all are accepted.
    """

    def __init__(
        self, scores: NDArray[Any], others: NDArray[np.integer], targets: NDArray[np.integer], counts: tuple[int, int]
    ) -> None:
        self._scores, self._others, self._targets, self._counts = scores, others, targets, counts

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self._scores) + 1

    def __iter__(self) -> Iterator[Array]:
        """Yield thresholds, false accept rates and miss rates."""
        return iter(self.points(np.arange(len(self))))

    @property
    def thresholds(self) -> Array:
        """See the class."""
        return self.points(np.arange(len(self)))[0]

    @property
    def false_accept_rate(self) -> Array:
        """See the class."""
        return self.points(np.arange(len(self)))[1]

    @property
    def miss_rate(self) -> Array:
        """See the class."""
        return self.points(np.arange(len(self)))[2]

    def points(self, places: NDArray[np.integer]) -> tuple[Array, Array, Array]:
        """Return thresholds, false accept rates and miss rates (n,) at some places."""
        if not len(self._scores):
            some = np.ones(len(places))
            return np.nextafter(some, 2), 0 * some, some
        # The first point accepts nothing; the others go through the scores from the last one.
        is_first, of_scores = places == 0, np.minimum(len(self._scores) - places, len(self._scores) - 1)
        thresholds = self._scores[of_scores].astype(np.float64)
        others, targets = (
            np.where(is_first, 0.0, some[of_scores].astype(np.float64) / count)
            for some, count in zip((self._others, self._targets), self._counts, strict=True)
        )
        return np.where(is_first, np.nextafter(thresholds, 2), thresholds), others, 1 - targets

    def point(self, place: int) -> tuple[float, float, float]:
        """Return threshold, false accept rate and miss rate at one place."""
        threshold, false_accepts, misses = (float(some[0]) for some in self.points(np.array([place])))
        return threshold, false_accepts, misses


@dataclass(frozen=True, eq=False)
class Detection:
    """Scores of what should be accepted (targets) and of what should not (others), over all thresholds.

    Parameters
    ----------
    targets : array (T,)
        Scores, 0 to 1; what is accepted at no threshold has 0. At least one.
    others : array (O,) or OtherWords
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
    others: NDArray[np.floating] | OtherWords
    threshold: float
    against: str

    @functools.cached_property
    def curve(self) -> Curve:
        """Error rates at each threshold."""
        # float32 stays so: each word against all others is a score for each clip and class.
        dtype = np.result_type(self.targets.dtype, self.others.dtype, np.float32)
        targets = np.sort(np.asarray(self.targets, dtype))
        if len(self.others) <= MAX_SCORES:
            found = np.unique(np.concatenate([targets, np.asarray(self.others, dtype)]))
        else:
            found = _corners(targets, self.others)
        found = found[np.searchsorted(found, 0, side="right") :]
        return Curve(
            found,
            _reaching(self.others, found),
            _reaching(self.targets, found),
            (len(self.others), len(self.targets)),
        )

    def at(self, threshold: float) -> OperatingPoint:
        """Return what `threshold` gives; a score of 0 is never accepted."""
        targets, others = (
            sum(int(np.sum((some >= threshold) & (some > 0))) for some in parts(scores))
            for scores in (self.targets, self.others)
        )
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
        curve = self.curve
        places = range(len(curve))
        last = bisect_right(places, false_accept_rate, key=lambda place: curve.point(place)[1]) - 1
        # Misses never rise along the curve.
        first = bisect_left(places, -curve.point(last)[2], key=lambda place: -curve.point(place)[2])
        return self.at(curve.point(first)[0])

    @property
    def area(self) -> float:
        """Area under the ROC curve: how likely a target scores above one of the others, ties counting half."""
        total, count = 0.0, len(self.curve)
        for begin in range(0, count, other_words.CHUNK):
            x, y = self._whole(np.arange(begin, min(begin + other_words.CHUNK, count) + 1))
            total += float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))
        return total

    @property
    def equal_error_rate(self) -> float:
        """The error where as large a share is missed as is falsely accepted, between points on a straight line."""

        def excess(place: int) -> float:  # rises from -1 to 1
            x, y = self._whole(np.array([place]))
            return float(x[0] - (1 - y[0]))

        i = bisect_left(range(len(self.curve) + 1), 0.0, key=excess)
        x, _ = self._whole(np.array([i - 1, i]))
        step = -excess(i - 1) / (excess(i) - excess(i - 1))
        return float(x[0] + step * (x[1] - x[0]))

    def _whole(self, places: NDArray[np.integer]) -> tuple[Array, Array]:
        """Return false accept and hit rates at some places; one behind the last point, all are accepted."""
        is_end = places == len(self.curve)
        _, x, misses = self.curve.points(np.where(is_end, 0, places))
        return np.where(is_end, 1.0, x), np.where(is_end, 1.0, 1 - misses)

    def to_json(self) -> dict[str, Any]:
        """Return the curve (thinned), its point in use, area and equal error rate as JSON-compatible data."""
        last = len(self.curve) - 1
        kept = np.unique(np.linspace(0, last, min(last + 1, MAX_POINTS)).round().astype(int))
        names = ("thresholds", "false_accept_rate", "miss_rate")
        return {
            "against": self.against,
            "targets": len(self.targets),
            "others": len(self.others),
            "chosen": self.chosen.to_json(),
            "area": self.area,
            "equal_error_rate": self.equal_error_rate,
            **{name: some.tolist() for name, some in zip(names, self.curve.points(kept), strict=True)},
        }


def _corners(targets: NDArray[Any], others: NDArray[Any] | OtherWords) -> NDArray[Any]:
    """Return the targets, which are sorted, and the least and the greatest of the others between two of them; sorted.

    While the threshold passes only others, the curve is a straight line.
    """
    # One place for the others below each target, and one for those above all; those that equal one are found with it.
    ends = np.append(targets, np.inf)
    least, greatest = np.full(len(ends), np.inf, targets.dtype), np.full(len(ends), -np.inf, targets.dtype)
    for some in parts(others):
        places = np.searchsorted(targets, some)
        is_between = ends[places] != some
        np.minimum.at(least, places[is_between], some[is_between])
        np.maximum.at(greatest, places[is_between], some[is_between])
    found = np.concatenate([targets, least, greatest])
    del ends, least, greatest
    found.sort()
    found = found[np.searchsorted(found, -np.inf, side="right") : np.searchsorted(found, np.inf)]
    is_first = np.concatenate([[True], found[1:] != found[:-1]])
    corners: NDArray[Any] = found[is_first]
    return corners


def _reaching(scores: NDArray[Any] | OtherWords, thresholds: NDArray[Any]) -> NDArray[Any]:
    """Return how many of the scores reach each of the thresholds, which rise."""
    counts: NDArray[Any] = np.zeros(len(thresholds) + 1, np.uint32 if len(scores) < 1 << 32 else np.int64)
    for some in parts(scores):
        places, times = np.unique(np.searchsorted(thresholds, some, side="right"), return_counts=True)
        np.add.at(counts, places, times.astype(counts.dtype))
    from_above = counts[:0:-1]
    np.cumsum(from_above, out=from_above)
    return counts[1:]
