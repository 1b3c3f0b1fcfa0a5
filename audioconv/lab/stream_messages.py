"""Messages of a page in a WebSocket that carries sound or pictures."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
from starlette.websockets import WebSocket, WebSocketDisconnect

from audioconv._types import Samples
from audioconv.errors import DataError
from audioconv.serving.limits import RefusedError

STOP = {"type": "stop"}
"""The message that ends a stream."""


async def next_message(websocket: WebSocket, idle_seconds: float) -> bytes | dict[str, Any]:
    """Return the next message: what is binary, or a JSON object.

    Raises
    ------
    RefusedError
        If nothing comes for so long (408).
    DataError
        If it is another message.
    WebSocketDisconnect
        If the page has gone.
    """
    try:
        async with asyncio.timeout(idle_seconds):
            message = await websocket.receive()
    except TimeoutError:
        raise RefusedError(408, f"nothing has come for {idle_seconds:g} s") from None
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    data: bytes | None = message.get("bytes")
    if data is not None:
        return data
    try:
        asked = json.loads(message.get("text") or "")
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        raise DataError("a message is either binary or the text of a JSON object")
    return asked


def samples_of(data: bytes) -> Samples:
    """Return the samples (T,) of a binary message, little-endian float32; `DataError` if it is none."""
    if len(data) % 4:
        raise DataError(f"a message of samples has 4 bytes each, got {len(data)} bytes")
    return np.frombuffer(data, "<f4").astype(np.float32)
