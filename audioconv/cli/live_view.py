"""Terminal view of ``audioconv listen``: words, level, and the score of each word."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from audioconv.cli.detect import clock
from audioconv.cli.terminal import printable, results

if TYPE_CHECKING:
    from audioconv.streaming import Detection, Detector

MIN_DB = -60.0
"""The left end of the level meter; its right end is full scale."""

REFRESH_SECONDS = 0.1

BAR_WIDTH = 30

BAR, ASCII_BAR = "\u2501\u2500\u2503", "#-|"
"""Signs of the full part, the empty part and the mark."""

LINES_BESIDE_WORDS = 6


class LiveView:
    """A view that moves; words that were heard stay above it.

    Parameters
    ----------
    detector : Detector
        Detector whose scores are shown.
    name : str
        Name of the stream.
    console : rich.console.Console, optional
        Console to write to. Default: standard output.
    """

    def __init__(self, detector: Detector, name: str, console: Console | None = None) -> None:
        self._detector, self._name = detector, printable(name)
        self._level = MIN_DB
        self._drawn = 0.0
        self._heard = dict.fromkeys(detector.model.words, 0)
        self._width = max(len(printable(word)) for word in ("level", *detector.model.words))
        console = console or results()
        self._signs = ASCII_BAR if console.options.ascii_only else BAR
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        """Begin to show."""
        self._live.start()
        self._live.update(self.draw(), refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the view, however it ended: the cursor must come back after Ctrl-C."""
        self._live.stop()

    def show(self, block: NDArray[Any], found: list[Detection]) -> None:
        """Show what a block brought."""
        for line in self.take(block, found):
            self._live.console.print(line)
        now = time.monotonic()
        if found or now - self._drawn > REFRESH_SECONDS:
            self._drawn = now
            self._live.update(self.draw(), refresh=True)

    def take(self, block: NDArray[Any], found: list[Detection]) -> list[Text]:
        """Note what a block brought; return a line for each word."""
        self._level = max(level_db(block), self._level - 3)  # falls slowly, as meters do
        for one in found:
            self._heard[one.label] += 1
        return [
            Text.assemble(
                (f"{clock(one.start):>11}  ", "dim"),
                (f"{printable(one.label):{self._width}}", "bold green"),
                f"  {one.score:.1%}",
            )
            for one in found
        ]

    def draw(self) -> RenderableType:
        """Return what is shown now."""
        detector = self._detector
        head = Text.assemble(
            ("listening to ", "dim"),
            self._name,
            (f"  {clock(detector.seconds)[:-3]}  ", "bold"),
            ("Ctrl-C stops", "dim"),
        )
        level = Table.grid(padding=(0, 2))
        filled = 1 - self._level / MIN_DB
        level.add_row(
            f"{'level':{self._width}}", _bar(filled, _level_style(self._level), self._signs), f"{self._level:4.0f} dB"
        )
        scores = Table.grid(padding=(0, 2))
        for word, score in self._shown():
            loud = score >= detector.threshold
            scores.add_row(
                Text(f"{printable(word):{self._width}}", "bold green" if loud else ""),
                _bar(score, "green" if loud else "cyan", self._signs, detector.threshold),
                f"{score:4.0%}",
                Text(f"{self._heard[word]} x" if self._heard[word] else "", "dim"),
            )
        return Group(Text(), head, level, Text(), scores)

    def _shown(self) -> list[tuple[str, float]]:
        """Return words and their scores: all in their order, or the likeliest where there is no room for all."""
        scores = self._detector.scores
        words = [(word, scores[word]) for word in self._detector.model.words]
        room = max(1, self._live.console.height - LINES_BESIDE_WORDS)
        return words if len(words) <= room else sorted(words, key=lambda pair: -pair[1])[:room]


def level_db(block: NDArray[Any]) -> float:
    """Return the loudness of a block in decibels below full scale, not below `MIN_DB`.

    >>> level_db(np.full(10, 0.1)), level_db(np.zeros(3, np.int16))
    (-20.0, -60.0)
    """
    if not block.size:
        return MIN_DB
    scale = 32768 if np.issubdtype(block.dtype, np.integer) else 1
    power = float(np.mean(np.square(block / scale, dtype=np.float64)))
    return max(MIN_DB, round(10 * float(np.log10(power + 1e-12)), 1))


def _level_style(level: float) -> str:
    return "red" if level > -6 else "yellow" if level > -15 else "green"


def _bar(share: float, style: str, signs: str, mark: float | None = None) -> Text:
    """Return a bar of `BAR_WIDTH` columns, filled up to `share`, with a mark where it counts."""
    full, empty, line = tuple(signs)
    filled = round(BAR_WIDTH * min(1.0, max(0.0, share)))
    bar = Text.assemble((full * filled, style), (empty * (BAR_WIDTH - filled), "dim"))
    if mark is None:
        return bar
    place = min(BAR_WIDTH - 1, round(BAR_WIDTH * mark))
    return Text.assemble(bar[:place], (line, "bold"), bar[place + 1 :])
