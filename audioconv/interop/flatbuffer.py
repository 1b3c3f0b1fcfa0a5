"""A reader of FlatBuffers, the format of TFLite files: tables, vectors and numbers by the place of their field.

Files are untrusted: a place outside of the file is a `struct.error` or an `IndexError`.

References
----------
https://flatbuffers.dev/internals/ (layout); tensorflow/lite/schema/schema.fbs (the fields of a TFLite file).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Table:
    """A table in a FlatBuffer.

    Attributes
    ----------
    content : bytes
        The whole file.
    place : int
        Where the table begins in it.
    """

    content: bytes
    place: int

    @classmethod
    def root(cls, content: bytes) -> Self:
        """Return the root table of a file."""
        return cls(content, _unsigned(content, 0))

    def tables(self, field: int) -> list[Table]:
        """Return the tables in the vector that the field number `field` holds; none where the field is missing."""
        begin, count = self._vector(field)
        places = range(begin, begin + 4 * count, 4)
        return [Table(self.content, place + _unsigned(self.content, place)) for place in places]

    def table(self, field: int) -> Table | None:
        """Return the table that the field number `field` holds; None where the field is missing."""
        place = self._field(field)
        return None if place is None else Table(self.content, place + _unsigned(self.content, place))

    def floats(self, field: int) -> list[float]:
        """Return a vector of 32-bit floating point numbers."""
        begin, count = self._vector(field)
        return list(struct.unpack_from(f"<{count}f", self.content, begin))

    def integers(self, field: int) -> list[int]:
        """Return a vector of 32-bit integers."""
        begin, count = self._vector(field)
        return list(struct.unpack_from(f"<{count}i", self.content, begin))

    def data(self, field: int) -> bytes:
        """Return a vector of bytes."""
        begin, count = self._vector(field)
        return self.content[begin : begin + count]

    def integer(self, field: int) -> int:
        """Return a 32-bit integer; 0 where the field is missing, as that is its default."""
        place = self._field(field)
        return 0 if place is None else _signed(self.content, place)

    def byte(self, field: int) -> int:
        """Return a signed byte; 0 where the field is missing."""
        place = self._field(field)
        return 0 if place is None else int(struct.unpack_from("<b", self.content, place)[0])

    def _field(self, field: int) -> int | None:
        """Return the place of a field's content; None where it is missing."""
        offsets = self.place - _signed(self.content, self.place)
        (size,) = struct.unpack_from("<H", self.content, offsets)
        if 4 + 2 * field >= size:
            return None
        (offset,) = struct.unpack_from("<H", self.content, offsets + 4 + 2 * field)
        return self.place + offset if offset else None

    def _vector(self, field: int) -> tuple[int, int]:
        """Return the place of a vector's first element, and the number of its elements."""
        place = self._field(field)
        if place is None:
            return 0, 0
        begin = place + _unsigned(self.content, place)
        return begin + 4, _unsigned(self.content, begin)


def _unsigned(content: bytes, place: int) -> int:
    return int(struct.unpack_from("<I", content, place)[0])


def _signed(content: bytes, place: int) -> int:
    return int(struct.unpack_from("<i", content, place)[0])
