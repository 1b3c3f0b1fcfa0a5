"""The WebSocket in which a page listens with the model, and the sounds of its events."""

from __future__ import annotations

from contextlib import suppress

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from audioconv.errors import AudioconvError
from audioconv.lab.event_routes import PROTOCOL
from audioconv.lab.lab import Lab
from audioconv.lab.listening import HeardEvents, ListeningStream, judge, wav_of
from audioconv.lab.names import checked_speaker
from audioconv.lab.requests import json_body
from audioconv.lab.stream_messages import STOP, next_object, samples_of
from audioconv.serving.http_base import HEADERS, close_with, json_response, send_json, status_of
from audioconv.serving.http_query import Query


def routes(lab: Lab) -> list[BaseRoute]:
    """Return the routes."""
    events = HeardEvents()

    async def listen(websocket: WebSocket) -> None:
        try:
            with lab.streams.one():
                stream = await _open(websocket, lab, events)
                await websocket.accept(PROTOCOL)
                try:
                    await _listen(websocket, stream, lab)
                finally:
                    stream.close()
        except AudioconvError as error:  # before it was accepted
            await websocket.send_denial_response(json_response({"error": str(error)}, status_of(error)))

    async def sound(request: Request) -> Response:
        event = events.find(request.path_params["identifier"])
        content = await lab.workers.for_stream(lambda: wav_of(event))
        return Response(content, media_type="audio/wav", headers=HEADERS)

    async def verdict(request: Request) -> Response:
        asked = await json_body(request, lab.limits, {"verdict", "label", "speaker"})
        speaker, message = checked_speaker(asked.get("speaker")), {**asked, "event": request.path_params["identifier"]}

        def stored() -> dict[str, object]:
            return lab.project.clip_json(judge(events, lab.project, message, speaker))

        return json_response({"clip": await lab.workers.for_stream(stored)})

    return [
        WebSocketRoute("/api/listen", listen),
        Route("/api/listen/events/{identifier}/verdict", verdict, methods=["POST"]),
        Route("/api/listen/events/{identifier}/audio", sound, methods=["GET"]),
    ]


async def _open(websocket: WebSocket, lab: Lab, events: HeardEvents) -> ListeningStream:
    query = Query(websocket.query_params.multi_items(), {"rate", "threshold", "speaker"})
    rate = query.whole("rate", 1, 1_000_000) or 48_000
    threshold, speaker = query.real("threshold", 0, 1), checked_speaker(query.text("speaker"))
    return await lab.workers.for_stream(
        lambda: ListeningStream(lab.model.require(), lab.project, events, rate, threshold, speaker)
    )


async def _listen(websocket: WebSocket, stream: ListeningStream, lab: Lab) -> None:
    """Answer messages until the page ends the stream, or goes; an error of the sound is sent and ends it."""
    with suppress(WebSocketDisconnect):
        await send_json(websocket, {"type": "ready", "threshold": stream.threshold})
        try:
            while not lab.workers.stopping.is_set():
                message = await next_object(websocket, lab.limits.idle_seconds)
                if message == STOP:
                    break
                for answer in await lab.workers.for_stream(lambda message=message: _answers(stream, message)):  # type: ignore[misc]
                    await send_json(websocket, answer)
            for answer in await lab.workers.for_stream(stream.finish):
                await send_json(websocket, answer)
        except AudioconvError as error:
            await close_with(websocket, error)
            return
        await websocket.close(1000)


def _answers(stream: ListeningStream, message: bytes | dict[str, object]) -> list[dict[str, object]]:
    """Return the answers to a message; a verdict that cannot be stored is an answer, too, and ends nothing."""
    if isinstance(message, bytes):
        return stream.push(samples_of(message))
    try:
        return stream.take(message)
    except AudioconvError as error:
        return [{"type": "refused", "error": str(error), "event": message.get("event")}]
