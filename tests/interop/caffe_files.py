"""Files as Caffe writes them, by a small writer of protocol buffers."""

from __future__ import annotations

import struct


def varint(value):
    found = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        found.append(low | (0x80 if value else 0))
        if not value:
            return bytes(found)


def field(number, value):
    """Return a field: an integer, a float, text, or a message or packed numbers as bytes."""
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def message(*fields):
    return b"".join(field(number, value) for number, value in fields)


def blob(array, old=False, packed=True):
    data = [(5, array.astype("<f4").tobytes())] if packed else [(5, float(value)) for value in array.reshape(-1)]
    if old:
        return message(*zip((1, 2, 3, 4), (1,) * (4 - array.ndim) + array.shape, strict=True), *data)
    return message((7, message((1, b"".join(map(varint, array.shape))))), *data)


def layer(kind, name, bottoms, tops, settings=None, blobs=(), **how):
    places = {
        "Convolution": 106, "InnerProduct": 117, "Pooling": 121, "ReLU": 123, "BatchNorm": 139, "Scale": 142,
        "Eltwise": 110, "Concat": 104, "Input": 143, "Power": 122, "ELU": 140, "Softmax": 125, "PReLU": 131,
    }  # fmt: skip
    fields = [(1, name), (2, kind), *((3, bottom) for bottom in bottoms), *((4, top) for top in tops)]
    fields += [(7, blob(array, **how)) for array in blobs]
    if settings:
        fields.append((places[kind], message(*settings)))
    return (100, message(*fields))
