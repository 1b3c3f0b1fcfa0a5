"""Files put together from pieces of another: a header that is right, before sound that stays where it is."""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import BinaryIO

Piece = bytes | tuple[int, int]
"""Bytes, or a begin and an end in the other file."""

MAX_COPIED_BYTES = 1 << 25
"""A file of up to so many bytes is copied into memory, where a decoder reads it without Python."""


@contextmanager
def assembled(file: BinaryIO, pieces: Sequence[Piece]) -> Iterator[tuple[BinaryIO, int]]:
    """Open the file that `pieces` of `file` make; yield it and its size in bytes."""
    whole = PiecesFile(file, pieces)
    if whole.size > MAX_COPIED_BYTES:
        yield whole, whole.size  # type: ignore[misc]
        return
    with in_memory(whole.read()) as copied:
        yield copied, whole.size


@contextmanager
def in_memory(content: bytes) -> Iterator[BinaryIO]:
    """Open a file with this content that has no name."""
    with new_in_memory() as file:
        file.write(content)
        file.seek(0)
        yield file


def new_in_memory() -> BinaryIO:
    """Return an empty file that has no name, in memory; where the system has such files, with a descriptor."""
    if not hasattr(os, "memfd_create"):
        return io.BytesIO()
    return open(os.memfd_create("recording"), "w+b")


class PiecesFile(io.RawIOBase):
    """A file to be read that `pieces` of `file` make.

    Attributes
    ----------
    size : int
        In bytes.
    """

    def __init__(self, file: BinaryIO, pieces: Sequence[Piece]) -> None:
        self._file, self._pieces = file, pieces
        self._ends = list(accumulate(len(p) if isinstance(p, bytes) else p[1] - p[0] for p in pieces))
        self._place = 0
        self.size = self._ends[-1] if self._ends else 0

    def readable(self) -> bool:
        """Tell that the file can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that any place can be sought."""
        return True

    def tell(self) -> int:
        """Return the place in bytes."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, as other files do."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self.size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """Fill the buffer from the place on; return with how many bytes."""
        view, done = memoryview(buffer).cast("B"), 0
        while done < len(view) and self._place < self.size:
            number = bisect_right(self._ends, self._place)
            piece, left = self._pieces[number], min(self._ends[number] - self._place, len(view) - done)
            if isinstance(piece, bytes):
                begin = len(piece) - (self._ends[number] - self._place)
                part = piece[begin : begin + left]
            else:
                self._file.seek(piece[1] - (self._ends[number] - self._place))
                part = self._file.read(left)
            if not part:
                break
            view[done : done + len(part)] = part
            done, self._place = done + len(part), self._place + len(part)
        return done
