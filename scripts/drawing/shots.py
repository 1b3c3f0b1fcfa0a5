"""Pictures of a report: what a browser shows, in few colours."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from drawing.browser import Browser

WIDTH, PHONE, PHONE_HEIGHT, GAP = 1200, 390, 1000, 15
EXACT_COLOURS, OTHER_COLOURS = 32, 160

# Which part of the page each picture shows: from the top of one element to the bottom of the last that matches.
PARTS = {
    "report-threshold": ("body", "#threshold"),
    "report-curves": ("#curves", "#confusion"),
    "report-calibration": ("#classes", "#calibration"),
    "report-mistakes": ("#mistakes", "#mistakes .clip:nth-child(-n+6)"),  # up to six: a good model makes fewer
}
MARGIN = 36
PHONE_PARTS = ("header", "#curves", "#mistakes")


def draw(report: Path, folder: Path) -> Iterator[Path]:
    """Draw the pictures of `report` into `folder`, and yield their paths."""
    with Browser() as window:
        window.open(report, WIDTH)
        for name, (first, last) in PARTS.items():
            top, bottom = _top(window, first), _bottom(window, last)
            picture = window.screenshot((0, max(top - MARGIN, 0), WIDTH, bottom - max(top - MARGIN, 0) + MARGIN))
            yield save(Image.open(io.BytesIO(picture)), folder / f"{name}.png")
        window.open(report, PHONE, PHONE_HEIGHT, dark=True)
        sheet = Image.new("RGB", (WIDTH, PHONE_HEIGHT), "white")
        for place, part in enumerate(PHONE_PARTS):
            top = max(_top(window, part) - MARGIN, 0)
            shot = Image.open(io.BytesIO(window.screenshot((0, top, PHONE, PHONE_HEIGHT))))
            sheet.paste(shot, (place * (PHONE + GAP), 0))
        yield save(sheet, folder / "report-phone.png")


def _top(window: Browser, selector: str) -> float:
    return float(window.evaluate(f"document.querySelector('{selector}').getBoundingClientRect().top + scrollY"))


def _bottom(window: Browser, selector: str) -> float:
    last = f"[...document.querySelectorAll('{selector}')].at(-1)"
    return float(window.evaluate(f"{last}.getBoundingClientRect().bottom + scrollY"))


def save(picture: Image.Image, path: Path) -> Path:
    """Write a picture in few colours: the most frequent ones as they are, and others that stand for all the rest."""
    pixels = np.asarray(picture.convert("RGB"))
    found, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_counts=True)
    exact = found[np.argsort(-counts)[:EXACT_COLOURS]]
    # Each colour counts once: a dot of a few pixels shall keep its own.
    rest = Image.fromarray(found[None]).quantize(OTHER_COLOURS, Image.Quantize.MEDIANCUT).getpalette()
    palette = Image.new("P", (1, 1))
    palette.putpalette([*exact.reshape(-1).tolist(), *(rest or [])[: 3 * OTHER_COLOURS]])
    picture.convert("RGB").quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)
    return path
