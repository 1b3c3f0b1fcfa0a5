"""Numbers and sentences of a report."""

from __future__ import annotations

import datetime
import math

from audioconv.evaluation import Share


def interval(share: Share) -> str:
    """Return the confidence interval of a share.

    >>> interval(Share(289, 300))
    '93.6 to 97.9%'
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


_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


def day(date: datetime.date) -> str:
    """Return a date as it is written in English, whatever the system and its locale.

    >>> day(datetime.date(2026, 3, 5))
    '5 March 2026'
    """
    return f"{date.day} {_MONTHS[date.month - 1]} {date.year}"


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
