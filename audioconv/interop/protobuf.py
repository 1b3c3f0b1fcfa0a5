"""The wire format of protocol buffers: messages as numbers of fields and what is in them, without a schema."""

from __future__ import annotations

import struct

import numpy as np

from audioconv._types import Array

Message = dict[int, list[int | bytes]]
"""Fields by number, each with all of its values: integers, or bytes (text, numbers, messages)."""


def parse(content: bytes) -> Message:
    """Return the fields of a message; `ValueError` if it is not one."""
    fields: Message = {}
    place = 0
    while place < len(content):
        key, place = _varint(content, place)
        number, kind = key >> 3, key & 7
        value: int | bytes
        if kind == 0:
            value, place = _varint(content, place)
        else:
            if kind == 2:
                length, place = _varint(content, place)
            elif kind in (1, 5):
                length = 8 if kind == 1 else 4
            else:
                raise ValueError(f"field {number} has the wire type {kind}, which is not known")
            value = content[place : place + length]
            place += length
            if place > len(content):
                raise ValueError("the message is cut off")
        fields.setdefault(number, []).append(value)
    return fields


def _varint(content: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(content):
            break
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value & (2**64 - 1), place
    raise ValueError("a number is cut off, or longer than 64 bits")


def messages(message: Message, number: int) -> list[Message]:
    """Return the messages in a field."""
    return [parse(value) for value in message.get(number, []) if isinstance(value, bytes)]


def text(message: Message, number: int, default: str = "") -> str:
    """Return the last text in a field."""
    values = [value for value in message.get(number, []) if isinstance(value, bytes)]
    return values[-1].decode("utf-8", "replace") if values else default


def integers(message: Message, number: int) -> list[int]:
    """Return the integers in a field, packed or not; negative ones are those of 64 bits."""
    found: list[int] = []
    for value in message.get(number, []):
        if isinstance(value, int):
            found.append(value)
            continue
        place = 0
        while place < len(value):
            one, place = _varint(value, place)
            found.append(one)
    return [value - 2**64 if value >= 2**63 else value for value in found]


def integer(message: Message, number: int, default: int) -> int:
    """Return the last integer in a field."""
    found = integers(message, number)
    return found[-1] if found else default


def number(message: Message, field: int, default: float) -> float:
    """Return the last float in a field."""
    values = [value for value in message.get(field, []) if isinstance(value, bytes) and len(value) == 4]
    return float(struct.unpack("<f", values[-1])[0]) if values else default


def floats(message: Message, field: int, dtype: str = "<f4") -> Array:
    """Return the floating-point numbers in a field, packed or not, as float32."""
    content = b"".join(value for value in message.get(field, []) if isinstance(value, bytes))
    return np.frombuffer(content, dtype).astype(np.float32)
