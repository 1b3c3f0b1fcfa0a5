"""Results on long recordings: false accepts an hour against misses."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from audioconv.errors import ConfigError


@dataclass(frozen=True)
class LongPoint:
    """False accepts and misses at one threshold.

    Attributes
    ----------
    threshold : float
        The least score that is accepted as a word.
    false_accepts : int
        Detections that no label explains.
    false_accepts_per_hour : float
    miss_rate : float or None
        Share of the labelled words that was not found; None where there are none.
    """

    threshold: float
    false_accepts: int
    false_accepts_per_hour: float
    miss_rate: float | None


@dataclass(frozen=True)
class LongResult:
    """False accepts of a model in long recordings, and labelled words that it misses, over thresholds.

    Parameters
    ----------
    hours : float
        Length of the recordings together.
    recordings : tuple of str
        Their names, to show.
    words : int
        Number of words that are labelled in them.
    thresholds : tuple of float
        Rising; `false_accepts` and `detected` have one entry for each.
    false_accepts : tuple of int
        Detections that no label explains.
    detected : tuple of int
        Labelled words that were found, with their label.
    threshold : float
        The one in use, which must be among `thresholds`.
    wanted : float
        False accepts an hour for which the operating point is chosen.

    Raises
    ------
    ConfigError
        If the parts do not fit together.
    """

    hours: float
    recordings: tuple[str, ...]
    words: int
    thresholds: tuple[float, ...]
    false_accepts: tuple[int, ...]
    detected: tuple[int, ...]
    threshold: float
    wanted: float

    def __post_init__(self) -> None:
        """Check the parts."""
        lengths = {name: len(getattr(self, name)) for name in ("thresholds", "false_accepts", "detected")}
        if len(set(lengths.values())) > 1 or not self.thresholds:
            raise ConfigError(f"each threshold needs a number of false accepts and of words found, got {lengths}")
        if list(self.thresholds) != sorted(set(self.thresholds)):
            raise ConfigError(f"thresholds must rise, got {self.thresholds}")
        if self.threshold not in self.thresholds:
            raise ConfigError(f"the threshold in use, {self.threshold}, is none of {self.thresholds}")
        if not (math.isfinite(self.hours) and self.hours > 0):
            raise ConfigError(f"the recordings must be longer than 0 hours, got {self.hours}")

    @property
    def points(self) -> tuple[LongPoint, ...]:
        """False accepts and misses at each threshold."""
        return tuple(
            LongPoint(threshold, wrong, wrong / self.hours, 1 - found / self.words if self.words else None)
            for threshold, wrong, found in zip(self.thresholds, self.false_accepts, self.detected, strict=True)
        )

    @property
    def in_use(self) -> LongPoint:
        """False accepts and misses at the threshold in use."""
        return self.points[self.thresholds.index(self.threshold)]

    @property
    def reaches(self) -> bool:
        """True if a threshold has at most the wanted false accepts an hour."""
        return min(self.false_accepts) <= self.wanted * self.hours

    @property
    def chosen(self) -> LongPoint:
        """The operating point: with at most the wanted false accepts an hour, the one with the fewest misses.

        Of several the highest threshold, which has the fewest false accepts; without labelled words the lowest one.
        Where no threshold has so few false accepts, the highest of all.
        """
        few = [point for point in self.points if point.false_accepts <= self.wanted * self.hours]
        if not few:
            return self.points[-1]
        return max(few, key=lambda point: (-(point.miss_rate or 0.0), point.threshold)) if self.words else few[0]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON-compatible data; None stands for miss rates where no words are labelled."""
        return {
            "hours": self.hours,
            "recordings": list(self.recordings),
            "words": self.words,
            "thresholds": list(self.thresholds),
            "false_accepts": list(self.false_accepts),
            "false_accepts_per_hour": [point.false_accepts_per_hour for point in self.points],
            "detected": list(self.detected),
            "miss_rate": [point.miss_rate for point in self.points] if self.words else None,
            "wanted_false_accepts_per_hour": self.wanted,
            "chosen": asdict(self.chosen),
            "in_use": asdict(self.in_use),
        }
