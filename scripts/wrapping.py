"""Paragraphs of the pages that scripts write."""

from __future__ import annotations

import textwrap

WIDTH = 120
"""Columns of the documentation."""


def wrapped(paragraph: str) -> str:
    """Return a paragraph of Markdown in lines of at most `WIDTH` columns; words, links and "95 %" stay whole."""
    whole = paragraph.replace(" %", "\0%")
    return textwrap.fill(whole, WIDTH, break_long_words=False, break_on_hyphens=False).replace("\0", " ")
