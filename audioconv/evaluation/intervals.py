"""Proportions, their Wilson intervals, and how they are written."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

# Of the standard normal distribution: 95 % lie within so many deviations.
_DEVIATIONS = 1.959963984540054


class Share(NamedTuple):
    """So many of so many.

    Attributes
    ----------
    part, whole : int
        With 0 <= part <= whole.

    Examples
    --------
    >>> Share(289, 300).value
    0.9633333333333334
    >>> [round(bound, 3) for bound in Share(289, 300).interval]
    [0.936, 0.979]
    """

    part: int
    whole: int

    @property
    def value(self) -> float:
        """The part of the whole, 0 to 1; 0 of nothing."""
        return self.part / self.whole if self.whole else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % confidence interval: which shares would plausibly give this count; 0 to 1 of nothing.

        It takes the examples to be independent. Clips of one speaker are not quite, so it is rather too narrow.

        References
        ----------
        E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927).
        """
        if not self.whole:
            return 0.0, 1.0
        n, p, z = self.whole, self.value, _DEVIATIONS
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        reach = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        # At the ends the formula is exact, but its rounding is not.
        low = 0.0 if self.part == 0 else max(0.0, middle - reach)
        return low, 1.0 if self.part == n else min(1.0, middle + reach)

    def to_json(self) -> dict[str, Any]:
        """Return ``part, whole, share, interval`` as JSON-compatible data."""
        return {"part": self.part, "whole": self.whole, "share": self.value, "interval": list(self.interval)}


def percent(share: float) -> str:
    """Return a share, 0 to 1, as a percentage.

    >>> percent(0.9766), percent(1.0), percent(0.9999), percent(0.0004), percent(0.000001)
    ('97.7%', '100%', '99.99%', '0.04%', '<0.01%')
    """
    if share in (0.0, 1.0):
        return f"{share:.0%}"
    # What is neither none nor all must not look like it.
    for shown in (f"{share:.1%}", f"{share:.2%}"):
        if float(shown[:-1]) not in (0.0, 100.0):
            return shown
    return "<0.01%" if share < 0.5 else ">99.99%"
