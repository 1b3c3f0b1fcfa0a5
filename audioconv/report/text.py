"""Numbers and sentences as people write them."""

from __future__ import annotations

import math

from audioconv.evaluation import Share


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


def interval(share: Share) -> str:
    """Return the confidence interval of a share.

    >>> interval(Share(289, 300))
    '93.5 to 97.9%'
    """
    low, high = share.interval
    return f"{100 * low:.1f} to {100 * high:.1f}%"


def of(share: Share) -> str:
    """Return a share as counts.

    >>> of(Share(1200, 4000))
    '1,200 of 4,000'
    """
    return f"{share.part:,} of {share.whole:,}"


def count(number: int, one: str, many: str | None = None) -> str:
    """Return a number of things.

    >>> count(1, "clip"), count(2000, "clip")
    ('1 clip', '2,000 clips')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def listed(words: list[str]) -> str:
    """Return words as a list in a sentence.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def rounded(number: float, digits: int = 2) -> str:
    """Return a number to so many significant digits, without an exponent.

    >>> rounded(0.2278), rounded(123.4), rounded(5.0), rounded(0.0)
    ('0.23', '120', '5', '0')
    """
    if not number or not math.isfinite(number):
        return f"{number:g}"
    places = digits - 1 - math.floor(math.log10(abs(number)))
    return f"{round(number, places):,.{max(places, 0)}f}".removesuffix(".0")
