"""A sheet that is drawn on in pixels, from the top left, and saved with a note of the numbers that it shows."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.transforms import IdentityTransform
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]

INK, MUTED, LINE, ORANGE, BLUE = "#22262e", "#6b7280", "#c9ced6", "#d9480f", "#1c6fb5"
SIGNED = LinearSegmentedColormap.from_list("signed", ["#12508c", "#5b9bd0", "#f8f7f4", "#ee9b5f", "#b93a06"])
GREY, SOUND = matplotlib.colormaps["gray"], matplotlib.colormaps["magma"]

DPI = 100
NOTE = "audioconv"
"""Key of the note in the file: shape, mean, deviation and a few numbers of each array that is shown."""
PROBES = 12
TOLERANCE = 2e-3
"""Of the numbers in the note, as parts of the array's range: processors add in different orders."""


class Canvas:
    """A white sheet of so many pixels; all places are in pixels from its top left."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")

    def image(self, pixels: Array, left: float, top: float, zoom: int = 1, frame: bool = True) -> None:
        """Show `pixels` (H, W, 3 or 4), from 0 to 1, each as `zoom` x `zoom` dots."""
        shown = np.repeat(np.repeat(pixels, zoom, axis=0), zoom, axis=1)
        height, width = shown.shape[:2]
        self.figure.figimage(np.clip(shown, 0, 1), left, self.height - top - height)
        if frame:
            self.box(left - 0.5, top - 0.5, width, height, LINE, 1)

    def text(self, x: float, y: float, text: str, size: float = 11, color: str = INK, **how: Any) -> None:
        """Write `text` with its middle at (x, y), unless `ha` and `va` say otherwise."""
        place = {"ha": "center", "va": "center", **how}
        self.figure.text(x, self.height - y, text, fontsize=size, color=color, transform=IdentityTransform(), **place)

    def box(
        self, left: float, top: float, width: float, height: float, color: str, line: float = 1, **how: Any
    ) -> None:
        """Draw the outline of a rectangle."""
        self._add(
            Rectangle(
                (left, self.height - top - height), width, height, **{"fill": False, "ec": color, "lw": line, **how}
            )
        )

    def line(self, x: list[float], y: list[float], color: str = LINE, width: float = 1, **how: Any) -> None:
        """Draw a line through points."""
        self._add(Line2D(x, [self.height - v for v in y], color=color, lw=width, **how))

    def arrow(self, x: float, y: float, to_x: float, to_y: float, color: str = MUTED) -> None:
        """Draw an arrow from (x, y)."""
        ends = ((x, self.height - y), (to_x, self.height - to_y))
        self._add(
            FancyArrowPatch(*ends, arrowstyle="-|>", mutation_scale=14, color=color, lw=1.4, shrinkA=0, shrinkB=0)
        )

    def cells(
        self, values: Array, left: float, top: float, cell: int, colours: Array, size: float = 10, form: str = "{:g}"
    ) -> None:
        """Show a matrix with a number in each cell; `colours` (rows, columns, 3 or 4) are the backgrounds."""
        self.image(colours, left, top, cell, frame=False)
        for (row, column), value in np.ndenumerate(values):
            dark = colours[row, column, :3] @ [0.299, 0.587, 0.114] < 0.5
            x, y = left + (column + 0.5) * cell, top + (row + 0.5) * cell
            self.text(x, y, minus(form.format(value + 0.0)), size, "white" if dark else INK)
            self.box(left + column * cell, top + row * cell, cell, cell, "white", 0.8)

    def kernel(self, weight: Array, left: float, top: float, cell: int, size: float = 10) -> None:
        """Show a kernel's weights: orange above zero, blue below."""
        self.cells(weight, left, top, cell, signed(weight, 1.3), size)
        rows, columns = weight.shape
        self.box(left, top, columns * cell, rows * cell, INK, 1.2)

    def save(self, path: Path, shown: Mapping[str, Array]) -> None:
        """Write a PNG of at most 256 colours, which keeps it small, with the note of what it shows."""
        from PIL.PngImagePlugin import PngInfo

        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=DPI)
        note = PngInfo()
        note.add_text(NOTE, json.dumps(describe(shown)))
        drawn = Image.open(buffer).convert("RGB")
        # A palette that follows the median alone forgets small patches of colour; k-means gives them back.
        drawn.quantize(256, Image.Quantize.MEDIANCUT, kmeans=2, dither=Image.Dither.NONE).save(
            path, optimize=True, pnginfo=note
        )

    def _add(self, artist: Any) -> None:
        artist.set_transform(IdentityTransform())
        self.figure.add_artist(artist)


def minus(text: str) -> str:
    """Return `text` with the sign for minus in place of hyphens; zero has none."""
    return re.sub(r"-(0(\.0*)?)(?![\d.])", r"\1", text).replace("-", "\u2212")


def signed(values: Array, most: float | None = None) -> Array:
    """Return colours for `values`: orange above zero, blue below, white at zero; `most` has the full colour."""
    most = float(np.abs(values).max()) if most is None else most
    return SIGNED(0.5 + 0.5 * np.clip(values / most, -1, 1))[..., :3]


def stretched(values: Array) -> Array:
    """Return `values` from 0 (lowest) to 1 (highest).

    The outermost half per cent of them on each side does not count, nor does the border, where padding shows.
    """
    low, high = np.percentile(values[1:-1, 1:-1], [0.5, 99.5])
    return np.clip((values - low) / (high - low), 0, 1)


def describe(shown: Mapping[str, Array]) -> dict[str, Any]:
    """Return shape, mean, deviation and some of the numbers of each array."""
    return {
        name: {
            "shape": list(array.shape),
            "numbers": [
                round(float(v), 5)
                for v in (array.mean(), array.std(), *array.ravel()[np.linspace(0, array.size - 1, PROBES).astype(int)])
            ],
        }
        for name, array in shown.items()
    }


def differences(path: Path, shown: Mapping[str, Array]) -> list[str]:
    """Return in what the picture in `path` shows other numbers than `shown`; empty if in nothing."""
    if not path.exists():
        return [f"{path.name}: is missing"]
    with Image.open(path) as picture:
        noted = json.loads(getattr(picture, "text", {}).get(NOTE, "{}"))
    now = describe(shown)
    if noted.keys() != now.keys():
        return [f"{path.name}: shows {', '.join(noted) or 'nothing known'}, not {', '.join(now)}"]
    return [
        f"{path.name}: {name} has changed"
        for name in now
        if noted[name]["shape"] != now[name]["shape"]
        or not np.allclose(noted[name]["numbers"], now[name]["numbers"], atol=TOLERANCE * np.ptp(shown[name]), rtol=0)
    ]
