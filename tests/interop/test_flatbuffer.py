"""The reader of FlatBuffers: places of fields, and files that are damaged."""

from __future__ import annotations

import struct

import pytest

from audioconv.interop.flatbuffer import Table


def two_tables() -> bytes:
    """Return a root table with a number, a byte, a vector of integers, one of bytes and one of tables.

    Written by hand after the description of the layout: offsets of fields first, then tables, then vectors.
    """
    content = bytearray(96)
    struct.pack_into("<I", content, 0, 24)
    # The root's offsets at 4: size of these, size of the table, five fields.
    struct.pack_into("<7H", content, 4, 16, 24, 4, 8, 12, 16, 20)
    struct.pack_into("<ii", content, 24, 20, -7)
    struct.pack_into("<b", content, 32, -3)
    for place, target in ((36, 48), (40, 64), (44, 72)):
        struct.pack_into("<I", content, place, target - place)
    struct.pack_into("<I3i", content, 48, 3, 1, -2, 3)
    struct.pack_into("<I", content, 64, 2)
    content[68:70] = b"ab"
    struct.pack_into("<II", content, 72, 1, 84 - 76)
    # The inner table, without fields: its offsets are at 80.
    struct.pack_into("<2H", content, 80, 4, 4)
    struct.pack_into("<i", content, 84, 4)
    return bytes(content)


def test_fields_are_read_by_their_number():
    root = Table.root(two_tables())
    assert root.integer(0) == -7
    assert root.byte(1) == -3
    assert root.integers(2) == [1, -2, 3]
    assert root.data(3) == b"ab"
    (inner,) = root.tables(4)
    assert (inner.integer(0), inner.byte(0), inner.integers(0), inner.data(0), inner.tables(0)) == (0, 0, [], b"", [])
    assert root.integer(5) == 0


@pytest.mark.parametrize("length", range(0, 84, 4))
def test_what_is_cut_off_is_an_error(length):
    with pytest.raises((struct.error, IndexError)):
        read_everything(two_tables()[:length])


def read_everything(content):
    root = Table.root(content)
    return root.integers(2), [table.integer(0) for table in root.tables(4)]
