"""The WebSocket of recordings."""

from __future__ import annotations

from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from audioconv.errors import AudioconvError, ConfigError, DataError
from audioconv.lab.event_routes import PROTOCOL
from audioconv.lab.lab import Lab
from audioconv.lab.recording import Message, Recording
from audioconv.serving.http_base import json_response, next_message, send_json, status_of
from audioconv.serving.http_query import Query
from audioconv.serving.limits import RefusedError


def routes(lab: Lab) -> list[BaseRoute]:
    """Return the routes."""

    async def record(websocket: WebSocket) -> None:
        try:
            with lab.streams.one():
                recording = _open(websocket, lab)
                await websocket.accept(PROTOCOL)
                await _record(websocket, recording, lab)
        except AudioconvError as error:  # before it was accepted
            await websocket.send_denial_response(json_response({"error": str(error)}, status_of(error)))

    return [WebSocketRoute("/api/record", record)]


def _open(websocket: WebSocket, lab: Lab) -> Recording:
    query = Query(websocket.query_params.multi_items(), {"class", "speaker", "rate", "mode"})
    label = query.text("class")
    if not label:
        raise ConfigError("a recording needs the parameter class")
    rate = query.whole("rate", 1, 1_000_000) or 48_000
    return Recording(lab.project, label, query.text("speaker"), rate, query.text("mode") or "takes")


async def _record(websocket: WebSocket, recording: Recording, lab: Lab) -> None:
    """Store what comes until the page ends it, or goes; an error is sent and ends it."""
    answers = _Answers(websocket)
    try:
        while not recording.is_full and not lab.workers.stopping.is_set():
            data = await next_sound(websocket, lab.limits.idle_seconds)
            if data is None:
                break
            await answers.send(await lab.workers.for_stream(lambda data=data: recording.push(data)))  # type: ignore[misc]
    except WebSocketDisconnect:
        answers.is_read = False
    except AudioconvError as error:
        await answers.send([{"type": "error", "error": str(error)}])
        await answers.close(1008 if isinstance(error, RefusedError) else 1003)
        return
    try:
        messages = await lab.workers.for_stream(recording.finish)
    except AudioconvError as error:
        messages = [{"type": "error", "error": str(error)}]
    await answers.send(messages)
    await answers.close(1000)


class _Answers:
    """What a page is told, as long as it reads: what it said before it went is still stored."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket, self.is_read = websocket, True

    async def send(self, messages: list[Message]) -> None:
        if self.is_read:
            try:
                for message in messages:
                    await send_json(self._websocket, message)
            except (WebSocketDisconnect, ConnectionError, TimeoutError):
                self.is_read = False

    async def close(self, code: int) -> None:
        if self.is_read:
            await self._websocket.close(code)


async def next_sound(websocket: WebSocket, idle_seconds: float) -> bytes | None:
    """Return the next samples of a stream, None for the message that ends it; `DataError` for another message."""
    message = await next_message(websocket, idle_seconds)
    if message == {"type": "stop"}:
        return None
    if isinstance(message, bytes):
        return message
    raise DataError('a message is either binary, float32 samples, or the text {"type": "stop"}')
