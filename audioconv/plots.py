"""What all drawings share: their formats and colours, and the check that they can be made."""

from __future__ import annotations

import os
from pathlib import Path

from audioconv.errors import ConfigError, missing_extra
from audioconv.files import display_path

FORMATS = (".png", ".svg", ".pdf")

INK, MUTED, GRID = "#22262e", "#6b7280", "#e3e6ea"
BLUE, ORANGE = "#1c6fb5", "#d9480f"
"""Colours that are told apart with every kind of colour vision."""


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
