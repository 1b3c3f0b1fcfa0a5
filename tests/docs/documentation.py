"""Pages of the documentation and their blocks of code."""

from __future__ import annotations

from dataclasses import dataclass

import sandbox

DOCS = sandbox.ROOT / "docs"

PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
"""Paths of all pages, relative to docs."""

SHOWN = {"text", "json"}
"""Languages of blocks that are no code: formats, output and formulas."""


@dataclass(frozen=True)
class Block:
    """A block of a page.

    Attributes
    ----------
    line : int
        Line of the page at which it begins.
    not_run : str
        Why it does not run in a test; empty if it runs.
    language, code : str
        What it is, and its text.
    """

    line: int
    not_run: str
    language: str
    code: str


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page in their order."""
    text = (DOCS / page).read_text("utf-8")
    return [
        Block(text[: found.start()].count("\n") + 1, found[1] or "", found[2], found[3])
        for found in sandbox.FENCE.finditer(text)
    ]


def runnable(page: str, *languages: str) -> list[Block]:
    """Return the blocks of a page in these languages that run."""
    return [block for block in blocks(page) if block.language in languages and not block.not_run]
