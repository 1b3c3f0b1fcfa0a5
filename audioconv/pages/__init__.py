"""Files that several pages share: the colours, and the capture of a microphone's sound."""

from __future__ import annotations

from functools import cache
from importlib import resources

PALETTE, CAPTURE = "palette.css", "capture.js"


@cache
def shared(name: str) -> bytes:
    """Return a file, `PALETTE` or `CAPTURE`."""
    return (resources.files("audioconv.pages") / name).read_bytes()
