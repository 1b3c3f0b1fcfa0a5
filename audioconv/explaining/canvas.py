"""A Matplotlib figure with positions in inches from the top left, and its colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from audioconv._types import Array
from audioconv.io.figures import INK, MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes


FOR, AGAINST = np.array([0.93, 0.45, 0.05]), np.array([0.10, 0.42, 0.78])
"""Orange and blue, which all kinds of colour vision tell apart, and of about the same lightness."""

SIGNED = ["#12508c", "#5b9bd0", "#f8f7f4", "#ee9b5f", "#b93a06"]
"""Colours of weights, from below zero to above."""

DARKEST = 0.5
"""Lightness of the loudest places below the evidence: darker ones would hide its colour."""


class Paper:
    """A white sheet of so many inches."""

    def __init__(self, width: float, height: float) -> None:
        from matplotlib.figure import Figure

        self.width, self.height = width, height
        self.figure = Figure(figsize=(width, height), dpi=100, facecolor="white")

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Return new axes whose frame lies there."""
        place = (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(place)

    def text(
        self,
        left: float,
        top: float,
        text: str,
        size: float = 9,
        color: str = INK,
        wide: float | None = None,
        **how: Any,
    ) -> None:
        """Write `text` from `left`, its baseline at `top`; smaller than `size` if it would be wider than `wide`."""
        drawn = self.figure.text(left / self.width, 1 - top / self.height, text, fontsize=size, color=color, **how)
        if wide is not None:
            drawn.set_fontsize(size * min(1.0, wide * self.figure.dpi / drawn.get_window_extent().width))

    def title(self, axes: Axes, title: str, note: str = "") -> None:
        """Write a title above `axes`, and a note behind it."""
        place = axes.get_position()
        left, top = place.x0 * self.width, (1 - place.y1) * self.height - 0.09
        self.text(left, top, title, 10, weight="bold")
        if note:
            self.text(left + 0.35 + 0.085 * len(title), top, note, 9, MUTED)


def short(text: str, most: int) -> str:
    r"""Return `text` as it can be drawn, without its middle where it is long: names that begin alike differ at the end.

    >>> short("a name of some length", 10), short("bell\x07", 10)
    ('a nam…ngth', 'bell\\x07')
    """
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    half = most // 2
    return text if len(text) <= most else text[:half] + "\N{HORIZONTAL ELLIPSIS}" + text[half + 1 - most :]


def tinted(grey: Array, values: Array) -> Array:
    """Return `grey` (0 white, 1 dark), any shape, as colours (..., 3): orange where `values` are high, blue where low.

    The colours are multiplied, as inks are: what lies below stays to be seen.
    """
    most = max(float(np.abs(values).max()), 1e-30)
    return (1 - (1 - DARKEST) * grey)[..., None] * _tint(values / most)


def gradient(count: int = 101) -> Array:
    """Return the colours (count, 3) from the most that speaks against to the most that speaks for something."""
    return _tint(np.linspace(-1, 1, count))


def _tint(strength: Array) -> Array:
    """Return the colours (..., 3) of `strength`, from -1 to 1."""
    colour = np.where(strength[..., None] > 0, FOR, AGAINST)
    share = np.abs(strength)[..., None]
    mixed: Array = 1 - share * (1 - colour)
    return mixed
