"""What a threshold costs: false accepts against missed words, on clips and recordings that trained nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from audioconv.errors import ConfigError

Values = tuple[float, ...]

LIKELIER = 0.5
"""At this score, a word is as likely as none."""


@dataclass(frozen=True)
class Curve:
    """Shares and rates by threshold.

    Attributes
    ----------
    thresholds : tuple of float
        Rising.
    words : tuple of float
        Share of the words' clips that are accepted and right.
    negatives : tuple of float
        Share of the negatives' clips that are accepted; see `recipe.deciding.HARDEST`.
    found : tuple of float
        Share of the words' clips that are found in a stream.
    false_accepts_per_hour : tuple of float
        In a stream of recordings without words. Beyond the scores that were observed it is extrapolated.
    word_clips, negative_clips : int
        How many clips the shares are of.
    hours : float
        Length of the recordings.

    Raises
    ------
    ConfigError
        If the numbers do not fit together.
    """

    thresholds: Values
    words: Values
    negatives: Values
    found: Values
    false_accepts_per_hour: Values
    word_clips: int
    negative_clips: int
    hours: float

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in _SERIES:
            object.__setattr__(self, name, tuple(float(value) for value in getattr(self, name)))
        lengths = {len(getattr(self, name)) for name in _SERIES}
        if len(lengths) > 1 or not self.thresholds or list(self.thresholds) != sorted(set(self.thresholds)):
            raise ConfigError("a curve needs rising thresholds and as many values of each kind")
        if not all(np.isfinite(getattr(self, name)).all() for name in _SERIES):
            raise ConfigError("a curve's values must be finite")

    def threshold_for_rate(self, false_accepts_per_hour: float) -> float | None:
        """Return a threshold with at most so many false accepts an hour; None if none has so few.

        It is the lowest, or the highest up to `LIKELIER` that finds as many words: few recordings without false accepts
        do not tell how rare they are.
        """
        lowest = _lowest(self.thresholds, self.false_accepts_per_hour, false_accepts_per_hour)
        if lowest is None:
            return None
        wanted = self.found[self.thresholds.index(lowest)]
        enough = [
            threshold
            for threshold, found in zip(self.thresholds, self.found, strict=True)
            if lowest <= threshold <= LIKELIER and found >= wanted
        ]
        return max(enough, default=lowest)

    def threshold_for_share(self, negatives: float) -> float | None:
        """Return the lowest threshold that accepts at most this share of negatives; None if none has so few."""
        return _lowest(self.thresholds, self.negatives, negatives)

    def at(self, threshold: float) -> dict[str, float]:
        """Return the value of each kind at a threshold, between those of its neighbours."""
        return {
            name: float(np.interp(threshold, self.thresholds, getattr(self, name)))
            for name in _SERIES
            if name != "thresholds"
        }

    @classmethod
    def join(cls, curves: Iterable[Self]) -> Self:
        """Return the curve of all clips and recordings together; the thresholds must be the same."""
        parts = list(curves)
        if len(parts) == 1:
            return parts[0]
        if len({part.thresholds for part in parts}) != 1:
            raise ConfigError("curves can be joined only if they have the same thresholds")

        def mean(name: str, counts: Sequence[float]) -> Values:
            if not sum(counts):
                return (0.0,) * len(parts[0].thresholds)
            return tuple(np.average([getattr(part, name) for part in parts], axis=0, weights=counts).tolist())

        words, negatives = [part.word_clips for part in parts], [part.negative_clips for part in parts]
        hours = [part.hours for part in parts]
        return cls(
            thresholds=parts[0].thresholds,
            words=mean("words", words),
            negatives=mean("negatives", negatives),
            found=mean("found", words),
            false_accepts_per_hour=mean("false_accepts_per_hour", hours),
            word_clips=sum(words),
            negative_clips=sum(negatives),
            hours=sum(hours),
        )

    @classmethod
    def from_json(cls, described: Mapping[str, Any]) -> Self:
        """Return the curve whose fields are in a model file; `ConfigError` if they are not those of one."""
        known: dict[str, Any] = {field.name: described[field.name] for field in fields(cls) if field.name in described}
        try:
            return cls(**known)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"the decision's curve is damaged: {error}") from None


_SERIES = ("thresholds", "words", "negatives", "found", "false_accepts_per_hour")


def _lowest(thresholds: Values, values: Values, limit: float) -> float | None:
    """Return the lowest threshold from which on no value is above a limit."""
    above = [place for place, value in enumerate(values) if value > limit]
    first = above[-1] + 1 if above else 0
    return thresholds[first] if first < len(thresholds) else None
