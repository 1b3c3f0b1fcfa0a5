"""Ogg files that were joined: each is decoded by itself, since libsndfile stops at the end of the first."""

from __future__ import annotations

import re
from typing import BinaryIO

CHUNK = 1 << 22
FIRST_PAGE = re.compile(rb"OggS\x00[\x02\x03\x06\x07]")


def links(file: BinaryIO, size: int) -> list[tuple[int, int]]:
    """Return begin and end of each Ogg file in `file`; one that was not joined is its own only one."""
    begins: list[int] = []
    behind, place = -1, 0
    while place < size:
        file.seek(place)
        content = file.read(CHUNK)
        for match in FIRST_PAGE.finditer(content):
            begin = place + match.start()
            # Streams that belong together begin on pages that follow each other.
            if begin != behind and begin not in begins[-1:]:
                begins.append(begin)
            behind = _page_end(file, begin)
        place += max(1, len(content) - 5)
    return list(zip(begins, [*begins[1:], size], strict=True))


def _page_end(file: BinaryIO, begin: int) -> int:
    file.seek(begin)
    head = file.read(27 + 255)
    return begin + 27 + head[26] + sum(head[27 : 27 + head[26]]) if len(head) >= 27 else -1
