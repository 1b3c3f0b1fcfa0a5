"""Messages of a page in a WebSocket that carries sound or pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from starlette.websockets import WebSocket

from audioconv._types import Samples
from audioconv.errors import DataError
from audioconv.serving.http_base import next_message

STOP = {"type": "stop"}
"""The message that ends a stream."""


async def next_object(websocket: WebSocket, idle_seconds: float) -> bytes | dict[str, Any]:
    """Return the next message, binary or a JSON object; `DataError` for another one."""
    message = await next_message(websocket, idle_seconds)
    if not isinstance(message, bytes | dict):
        raise DataError("a message is either binary or the text of a JSON object")
    return message


def samples_of(data: bytes) -> Samples:
    """Return the samples (T,) of a binary message, little-endian float32; `DataError` if it is none."""
    if len(data) % 4:
        raise DataError(f"a message of samples has 4 bytes each, got {len(data)} bytes")
    return np.frombuffer(data, "<f4").astype(np.float32)
