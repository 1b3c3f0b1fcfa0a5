"""SVG plots of a few kinds of marks, in the colours of the page's style sheet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audioconv.report.html import Html, tag

Array = NDArray[np.float64]

_LETTER = 7.0  # roughly the width of a letter, in the drawing's units


def linear(values: Array) -> Array:
    """Return the values: equal steps are equally long."""
    return values


def logarithmic(values: Array) -> Array:
    """Return logarithms: equal factors are equally long."""
    return np.log10(values)


def probit(values: Array) -> Array:
    """Return normal deviates of shares in (0, 1), as the axes of DET curves have them."""
    normal = NormalDist()
    return np.array([normal.inv_cdf(float(value)) for value in values])


def logit(values: Array) -> Array:
    """Return the logits of shares in (0, 1), as scores that are nearly 1 can be told apart by."""
    return np.log(values / (1 - values))


@dataclass(frozen=True)
class Axis:
    """From numbers to places.

    Parameters
    ----------
    low, high : float
        Values at its ends; values beyond them are drawn at the end.
    ticks : sequence of (float, str)
        Places of its lines, and their texts.
    title : str
    scale : callable
        `linear`, `logarithmic`, `logit` or `probit`.
    """

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    title: str = ""
    scale: Callable[[Array], Array] = linear

    def places(self, values: ArrayLike) -> Array:
        """Return where values lie, 0 to 1."""
        inside = np.clip(np.asarray(values, np.float64).reshape(-1), self.low, self.high)
        low, high = self.scale(np.array([self.low, self.high]))
        places: Array = (self.scale(inside) - low) / (high - low)
        return places


def shares(low: float = 0.0, high: float = 1.0, step: float = 0.2, title: str = "") -> Axis:
    """Return a linear axis of percentages."""
    values = np.arange(low, high + step / 2, step)
    return Axis(low, high, [(float(v), f"{v:.0%}") for v in values], title)


class Plot:
    """A drawing with two axes, to which marks are added one after the other.

    Parameters
    ----------
    x, y : Axis
    width, height : int
        Size of the whole, in units of about a pixel.
    left, bottom, top, right : int
        Room around the field for what is written there.
    """

    def __init__(
        self,
        x: Axis,
        y: Axis,
        width: int = 440,
        height: int = 340,
        left: int = 58,
        bottom: int = 50,
        top: int = 14,
        right: int = 16,
    ) -> None:
        self.x, self.y = x, y
        self.width, self.height = width, height
        self.left, self.right = left, width - right
        self.top, self.bottom = top, height - bottom
        self._marks: list[Html] = []

    def line(self, x: ArrayLike, y: ArrayLike, kind: str = "") -> None:
        """Draw a line through points."""
        self._marks.append(tag("path", d=_path(self._points(x, y)), class_=f"curve {kind}".strip()))

    def are_apart(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.bool_]:
        """Return which points of a line are drawn at another place than the one before them, (P,)."""
        points = _rounded(self._points(x, y))
        return np.concatenate([[True], np.any(np.diff(points, axis=0) != 0, axis=1)])[: len(points)]

    def area(self, x: ArrayLike, low: ArrayLike, high: ArrayLike, kind: str = "") -> None:
        """Fill what lies between two lines."""
        there, back = self._points(x, high), self._points(x, low)[::-1]
        self._marks.append(tag("path", d=_path(np.concatenate([there, back])) + "Z", class_=f"area {kind}".strip()))

    def bars(self, edges: ArrayLike, low: ArrayLike, high: ArrayLike, kind: str = "", gap: float = 1.0) -> None:
        """Draw a bar between each two neighbours in `edges`, from `low` to `high`."""
        places = self._across(edges)
        bottoms, tops = self._up(low), self._up(high)
        for i, (bottom, top) in enumerate(np.broadcast(bottoms, tops)):
            y, height = min(bottom, top), abs(bottom - top)
            if height > 0.05:
                x, width = places[i] + gap / 2, max(places[i + 1] - places[i] - gap, 0.5)
                self._marks.append(
                    tag("rect", x=_n(x), y=_n(y), width=_n(width), height=_n(height), class_=f"bar {kind}".strip())
                )

    def whisker(self, x: float, low: float, high: float, kind: str = "") -> None:
        """Draw an upright line, as for a confidence interval."""
        (place,), (y1, y2) = self._across(x), self._up([low, high])
        self._marks.append(
            tag("line", x1=_n(place), x2=_n(place), y1=_n(y1), y2=_n(y2), class_=f"whisker {kind}".strip())
        )

    def dot(self, x: float, y: float, kind: str = "", radius: float = 3.5) -> None:
        """Draw a dot."""
        (cx,), (cy,) = self._across(x), self._up(y)
        self._marks.append(tag("circle", cx=_n(cx), cy=_n(cy), r=_n(radius), class_=f"dot {kind}".strip()))

    def rule(self, x: float, label: str, at_top: bool = True) -> None:
        """Draw an upright line across the field, with its name at an end, on the side with more room."""
        (place,) = self._across(x)
        self._marks.append(tag("line", x1=_n(place), x2=_n(place), y1=self.top, y2=self.bottom, class_="rule"))
        is_left = place > (self.left + self.right) / 2
        self._write(
            place + (-6 if is_left else 6),
            self.top + 12 if at_top else self.bottom - 8,
            [label],
            "end" if is_left else "start",
        )

    def note(self, x: float, y: float, lines: Sequence[str], side: str = "auto", kind: str = "strong") -> None:
        """Write `lines` beside a point, where they fit."""
        (px,), (py,) = self._across(x), self._up(y)
        long = max(map(len, lines)) * _LETTER + 12
        is_left = side == "left" or (side == "auto" and px + long > self.right and px - long > self.left)
        start = px + (-9 if is_left else 9)
        first = min(max(py + 4 - 8 * (len(lines) - 1), self.top + 12), self.bottom - 8 - 16 * (len(lines) - 1))
        self._write(start, first, lines, "end" if is_left else "start", kind)

    def write(self, x: float, y: float, label: str, anchor: str = "middle", kind: str = "") -> None:
        """Write `label` at a point."""
        (px,), (py,) = self._across(x), self._up(y)
        self._write(px, py, [label], anchor, kind)

    def picture(self, source: str) -> None:
        """Fill the field with a picture, given as a data URI."""
        self._marks.append(
            tag(
                "image",
                href=source,
                x=self.left,
                y=self.top,
                width=self.right - self.left,
                height=self.bottom - self.top,
                preserveAspectRatio="none",
            )
        )

    def render(self, description: str, class_: str = "") -> Html:
        """Return the drawing; `description` is its content in words."""
        return tag(
            "svg",
            tag("g", list(self._axes()), class_="axes"),
            self._marks,
            viewBox=f"0 0 {self.width} {self.height}",
            role="img",
            aria_label=description,
            class_=f"plot {class_}".strip(),
        )

    def _axes(self) -> Iterable[Html]:
        for place, (_, name) in zip(self._across([v for v, _ in self.x.ticks]), self.x.ticks, strict=True):
            yield tag("line", x1=_n(place), x2=_n(place), y1=self.top, y2=self.bottom, class_="grid")
            yield tag("text", name, x=_n(place), y=self.bottom + 20, class_="tick middle")
        for place, (_, name) in zip(self._up([v for v, _ in self.y.ticks]), self.y.ticks, strict=True):
            yield tag("line", x1=self.left, x2=self.right, y1=_n(place), y2=_n(place), class_="grid")
            yield tag("text", name, x=self.left - 8, y=_n(place + 4), class_="tick end")
        yield tag("line", x1=self.left, x2=self.right, y1=self.bottom, y2=self.bottom, class_="base")
        if self.x.title:
            yield tag(
                "text", self.x.title, x=_n((self.left + self.right) / 2), y=self.height - 8, class_="title middle"
            )
        if self.y.title:
            middle = (self.top + self.bottom) / 2
            yield tag(
                "text", self.y.title, x=14, y=_n(middle), transform=f"rotate(-90 14 {_n(middle)})",
                class_="title middle",
            )  # fmt: skip

    def _write(self, x: float, y: float, lines: Sequence[str], anchor: str, kind: str = "") -> None:
        for i, line in enumerate(lines):
            self._marks.append(tag("text", line, x=_n(x), y=_n(y + 16 * i), class_=f"note {anchor} {kind}".strip()))

    def _points(self, x: ArrayLike, y: ArrayLike) -> Array:
        return np.stack([self._across(x), self._up(y)], axis=1)

    def _across(self, values: ArrayLike) -> Array:
        return self.left + (self.right - self.left) * self.x.places(values)

    def _up(self, values: ArrayLike) -> Array:
        return self.bottom + (self.top - self.bottom) * self.y.places(values)


def _path(points: Array) -> str:
    """Return a path through `points` (P, 2), without those that would not be seen."""
    if not len(points):  # such as a curve that lies outside the picture
        return ""
    shown = _rounded(points)
    shown = shown[np.concatenate([[True], np.any(np.diff(shown, axis=0) != 0, axis=1)])]
    if len(shown) > 2:
        behind, ahead = np.diff(shown, axis=0)[:-1], np.diff(shown, axis=0)[1:]
        turns = np.abs(behind[:, 0] * ahead[:, 1] - behind[:, 1] * ahead[:, 0]) > 1e-9
        shown = shown[np.concatenate([[True], turns, [True]])]
    return "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in shown)


def _rounded(points: Array) -> Array:
    rounded: Array = np.round(points, 1)
    return rounded


def _n(value: float) -> str:
    """Return a coordinate, to a tenth."""
    return f"{value:.1f}".removesuffix(".0")
