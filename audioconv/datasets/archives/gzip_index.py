"""Going back in a tar file that was read once: where its members are, and how to get there without what is before."""

from __future__ import annotations

import io
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

INPUT = 1 << 15
"""So many bytes of a gzip file are taken at a time."""

SKIPPED = 1 << 20
"""So many bytes are decompressed at a time, at most, on the way to others."""

MOST_POINTS = 512
"""In an `Index`; each holds a decompressor, of about 40 kB."""

SPACING = 1 << 22
"""Bytes of a gzip file between two points, at least."""

_GZIP = 16 + zlib.MAX_WBITS  # zlib then reads the header too, and checks length and CRC at the end


class Point(NamedTuple):
    """A place in a gzip file that reading can begin from.

    Attributes
    ----------
    position : int
        In what the file unpacks to, in bytes.
    offset : int
        In the file, in bytes.
    inflater : object
        The decompressor as it is there, to be copied: it knows the 32 KiB before.
    """

    position: int
    offset: int
    inflater: zlib._Decompress


class Index:
    """Where the members of a tar file begin: 12 bytes a member, and a bounded number of points in a gzip file.

    It says where to look, not what is there: whoever goes there reads the header again, and decides by the name in it.

    Attributes
    ----------
    points : list of Point
        By their position; the first is the beginning.
    exact : bool
        Whether a member's header says all, and nothing is said in front for the members that follow.
    """

    def __init__(self) -> None:
        self.points = [Point(0, 0, zlib.decompressobj(_GZIP))]
        self.exact = True
        self._hashes, self._offsets = array("I"), array("Q")

    @property
    def useful(self) -> bool:
        """Whether members can be found by it."""
        return self.exact and len(self._offsets) > 0

    def add(self, name: str, offset: int) -> None:
        """Note that a member called `name`, without folders, begins at `offset` bytes of the unpacked file."""
        self._hashes.append(_hash(name))
        self._offsets.append(offset)

    def offsets(self, names: Iterable[str]) -> Iterator[int]:
        """Yield where members begin that are called one of `names`, and perhaps a few others, in their order."""
        wanted = {_hash(name) for name in names}
        return (offset for hash_, offset in zip(self._hashes, self._offsets, strict=True) if hash_ in wanted)


def _hash(name: str) -> int:
    return hash(name) & 0xFFFFFFFF


class GzipReader(io.RawIOBase):
    """What a gzip file unpacks to; `seek` goes by points, so that little on the way is decompressed.

    Wrap it into an `io.BufferedReader`. Several gzip files in a row are one, and zeros may follow each.

    Parameters
    ----------
    file : binary file
        At its beginning. It is not closed with the reader.
    points : list of Point
        Those that are known.
    spacing : int, optional
        After so many bytes of the file another point is added to `points`. By default, none is.

    Raises
    ------
    EOFError, zlib.error
        By reading, if the file is cut off, or is damaged. Who begins at a point and does not read to the end does not
        learn the latter.
    """

    def __init__(self, file: BinaryIO, points: list[Point], spacing: int | None = None) -> None:
        self._file, self._points, self._spacing = file, points, spacing
        self._go_to(points[0])

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in what the file unpacks to."""
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill some of `buffer` and return how much of it; 0 at the end."""
        view = memoryview(buffer)
        content = self._decompress(len(view)) if len(view) else b""
        view[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to the position `offset`, or to the end where that is before it."""
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("only positions from the beginning are known")
        point = self._points[bisect_right(self._points, offset, key=lambda point: point.position) - 1]
        if offset < self._position or point.position > self._position:
            self._go_to(point)
        while self._position < offset and self._decompress(min(offset - self._position, SKIPPED)):
            pass
        return self._position

    def _go_to(self, point: Point) -> None:
        self._position, self._inflater, self._input = point.position, point.inflater.copy(), b""
        self._file.seek(point.offset)

    def _decompress(self, size: int) -> bytes:
        """Return the next bytes, at least one and at most `size`; none at the end."""
        content = b""
        while not content:
            if self._inflater.eof and not self._next_file():
                break
            if not self._input:
                self._add_point()  # with nothing in hand, the place in the file and the inflater say it all
                self._input = self._file.read(INPUT)
            cut_off = not self._input
            content = self._inflater.decompress(self._input, size)
            self._input = self._inflater.unconsumed_tail
            if cut_off and not content and not self._inflater.eof:
                raise EOFError("the compressed file ends too early")
        self._position += len(content)
        return content

    def _next_file(self) -> bool:
        """Begin with the next of several gzip files; return False where there is none."""
        rest = self._inflater.unused_data.lstrip(b"\0")
        while not rest and (more := self._file.read(INPUT)):
            rest = more.lstrip(b"\0")
        if rest:
            self._inflater, self._input = zlib.decompressobj(_GZIP), rest
        return bool(rest)

    def _add_point(self) -> None:
        if self._spacing is not None and (offset := self._file.tell()) >= self._points[-1].offset + self._spacing:
            self._points.append(Point(self._position, offset, self._inflater.copy()))
