"""Matplotlib figures: formats, style, the check for the extra, and atomic writing."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audioconv.errors import ConfigError, missing_extra
from audioconv.io.files import display_path, write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")

INK, MUTED, GRID = "#22262e", "#6b7280", "#e3e6ea"
BLUE, ORANGE = "#1c6fb5", "#d9480f"
"""Colours that are distinct for every kind of colour vision."""


def check_drawable(path: str | os.PathLike[str]) -> None:
    """Raise an error if a picture cannot be drawn or `path` cannot be one: before there is much to draw.

    Raises
    ------
    ConfigError
        If `path` does not end in .png, .svg or .pdf.
    MissingExtraError
        If Matplotlib is not installed (extra ``plots``).
    """
    if Path(path).suffix.lower() not in FORMATS:
        raise ConfigError(f"{display_path(path)}: a picture's name ends in {', '.join(FORMATS)}")
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise missing_extra("drawing", "plots") from None


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in the style of all drawings, as long as the block lasts."""
    import matplotlib

    # Names and labels are anybody's: a dollar sign begins no formula.
    style: dict[Any, Any] = {"font.size": 9, "text.parse_math": False, "text.color": INK, "svg.hashsalt": "audioconv"}
    with matplotlib.rc_context(style), warnings.catch_warnings():
        # A letter that the font lacks is drawn as a box; its name stands on the command line.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def write_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write `figure` in the format that its name ends in: whole or not at all, and the same figure as the same bytes.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    kind = Path(path).suffix[1:].lower()
    undated: dict[str, Any] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
    with write_atomic(path) as file:
        figure.savefig(file, format=kind, metadata=undated)
