"""Events of the Wyoming protocol from untrusted clients: bounded in size and time, and checked.

An event is a line of JSON, ``{"type": ..., "data_length": ..., "payload_length": ...}``, followed by so many bytes of
JSON and so many of samples. The reader of the package `wyoming` bounds no length.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wyoming.event import Event

from audioconv.errors import DataError
from audioconv.serving.limits import MAX_MESSAGE_BYTES, Limits

MAX_JSON_BYTES = 1 << 16
"""Of the line, and of the data behind it."""

WIDTHS = {1: "u8", 2: "s16", 3: "s24", 4: "s32"}
"""Format of samples by their bytes."""


async def read_event(reader: asyncio.StreamReader, limits: Limits) -> Event | None:
    """Return the next event, or None at the end of the connection.

    Parameters
    ----------
    reader : StreamReader
        Its limit is `MAX_JSON_BYTES`.
    limits : Limits

    Raises
    ------
    DataError
        If it is no event, too large, cut off, or takes too long; the connection cannot be read any further.
    """
    try:
        async with asyncio.timeout(limits.idle_seconds):
            first = await reader.read(1)
    except TimeoutError:
        raise DataError(f"nothing has come for {limits.idle_seconds:g} s; connect again") from None
    if not first:
        return None
    try:
        async with asyncio.timeout(limits.seconds):
            return await _rest(first, reader)
    except TimeoutError:
        raise DataError(f"an event took longer than {limits.seconds:g} s") from None
    except asyncio.IncompleteReadError:
        raise DataError("the connection ended within an event") from None
    except asyncio.LimitOverrunError:
        raise DataError(f"the line of an event is longer than {MAX_JSON_BYTES} bytes") from None


async def _rest(first: bytes, reader: asyncio.StreamReader) -> Event:
    header = _json(first + (b"" if first == b"\n" else await reader.readuntil(b"\n")), "the line of an event")
    kind = header.get("type")
    if not isinstance(kind, str):
        raise DataError(f'an event needs a "type" that is text, got {_shown(kind)}')
    data = header.get("data")
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise DataError(f"{_shown(kind)}: data must be an object, got {_shown(data)}")
    if length := _length(header, "data_length", MAX_JSON_BYTES):
        data |= _json(await reader.readexactly(length), f"the data of {_shown(kind)}")
    length = _length(header, "payload_length", MAX_MESSAGE_BYTES)
    return Event(kind, data, await reader.readexactly(length) if length else None)


def _json(text: bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise DataError(f"{what} is not JSON; this is a service of the Wyoming protocol") from None
    if not isinstance(value, dict):
        raise DataError(f"{what} must be a JSON object, got {_shown(value)}")
    return value


def _length(header: Mapping[str, Any], name: str, most: int) -> int:
    length = header.get(name)
    if length is None:
        return 0
    if type(length) is not int or not 0 <= length <= most:
        raise DataError(f"{name} must be a whole number from 0 to {most}, got {_shown(length)}")
    return length


@dataclass(frozen=True)
class SampleFormat:
    """How the samples of an event are stored.

    Attributes
    ----------
    rate : int
        In Hz.
    format : str
        One of `streaming.pcm.decode`.
    channels : int
    """

    rate: int
    format: str
    channels: int

    @classmethod
    def of(cls, event: Event) -> SampleFormat:
        """Return the format that an audio-start or an audio-chunk names; `DataError` if it is none."""
        numbers: dict[str, int] = {}
        for name in ("rate", "width", "channels"):
            value = event.data.get(name)
            if type(value) is not int:
                raise DataError(f"{event.type}: {name} must be a whole number, got {_shown(value)}")
            numbers[name] = value
        width = numbers["width"]
        if width not in WIDTHS:
            raise DataError(f"{event.type}: width must be 1 to 4 bytes, got {width}")
        return cls(numbers["rate"], WIDTHS[width], numbers["channels"])


def names_of(event: Event) -> list[str] | None:
    """Return the names in a detect event, None for any; `DataError` if they are no names."""
    names = event.data.get("names")
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"detect: names must be a list of texts, got {_shown(names)}")
    return names


def context_of(event: Event) -> dict[str, Any] | None:
    """Return the context that answers to an event carry; `DataError` if it is none."""
    context = event.data.get("context")
    if context is not None and not isinstance(context, dict):
        raise DataError(f"{event.type}: context must be an object, got {_shown(context)}")
    return context


def timestamp_of(event: Event) -> int | None:
    """Return when the samples of an event begin, in milliseconds of the client's clock; None without a timestamp."""
    timestamp = event.data.get("timestamp")
    return timestamp if type(timestamp) is int else None


def _shown(value: object) -> str:
    text = json.dumps(value) if isinstance(value, str | int | float | None) else type(value).__name__
    return text if len(text) <= 60 else f"{text[:60]}..."
