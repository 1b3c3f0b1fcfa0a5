"""What came of listening to long recordings: false accepts an hour against misses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv.errors import ConfigError


@dataclass(frozen=True, eq=False)
class LongResult:
    """False accepts an hour and misses, over thresholds.

    Parameters
    ----------
    thresholds : array (P,) float64
    false_accepts_per_hour : array (P,) float64
        What each threshold gives.
    miss_rate : array (P,) float64
        Share of the words in the recordings that each threshold misses; NaN where no word was to be found.
    hours : float
        Length of the recordings together.
    threshold : float
        The one in use.
    recordings : tuple of str
        Their names, to show.
    words : int
        How many words were to be found in them.

    Raises
    ------
    ConfigError
        If the parts do not fit together.
    """

    thresholds: NDArray[np.float64]
    false_accepts_per_hour: NDArray[np.float64]
    miss_rate: NDArray[np.float64]
    hours: float
    threshold: float
    recordings: tuple[str, ...] = ()
    words: int = 0

    def __post_init__(self) -> None:
        """Check the parts; the points are kept in rising order of their thresholds."""
        names = ("thresholds", "false_accepts_per_hour", "miss_rate")
        arrays = {name: np.asarray(getattr(self, name), np.float64) for name in names}
        shapes = {name: array.shape for name, array in arrays.items()}
        if len(set(shapes.values())) > 1 or arrays["thresholds"].ndim != 1 or not arrays["thresholds"].size:
            raise ConfigError(f"{', '.join(names)} must be arrays of one length, with a point at least; got {shapes}")
        if not (np.isfinite(self.hours) and self.hours > 0):
            raise ConfigError(f"the recordings must be longer than 0 hours, got {self.hours}")
        order = np.argsort(arrays["thresholds"], kind="stable")
        for name, array in arrays.items():
            object.__setattr__(self, name, array[order])

    @property
    def has_words(self) -> bool:
        """Whether there were words to be missed."""
        return bool(np.isfinite(self.miss_rate).any())

    @property
    def chosen(self) -> tuple[float, float]:
        """False accepts an hour and miss rate at the threshold in use: those of the nearest threshold that is there."""
        i = int(np.argmin(np.abs(self.thresholds - self.threshold)))
        return float(self.false_accepts_per_hour[i]), float(self.miss_rate[i])

    def to_json(self) -> dict[str, Any]:
        """Return the curve and its point in use as JSON-compatible data; None for a rate that is not known."""
        per_hour, missed = self.chosen
        return {
            "hours": self.hours,
            "recordings": list(self.recordings),
            "words": self.words,
            "chosen": {
                "threshold": self.threshold,
                "false_accepts_per_hour": per_hour,
                "miss_rate": missed if np.isfinite(missed) else None,
            },
            "thresholds": self.thresholds.tolist(),
            "false_accepts_per_hour": self.false_accepts_per_hour.tolist(),
            "miss_rate": [rate if np.isfinite(rate) else None for rate in self.miss_rate.tolist()],
        }
