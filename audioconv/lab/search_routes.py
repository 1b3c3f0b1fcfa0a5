"""Routes that ask the model about a recording, a picture or the frames of a camera."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import Any, BinaryIO

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from audioconv.errors import AudioconvError, ConfigError
from audioconv.lab.event_routes import PROTOCOL
from audioconv.lab.lab import Lab
from audioconv.lab.requests import uploaded
from audioconv.lab.search import search
from audioconv.lab.stream_messages import STOP, next_object
from audioconv.model import Model
from audioconv.pipeline.inputs import of_model
from audioconv.pipeline.predict import RecordingScores
from audioconv.pipeline.prediction import describe
from audioconv.serving.http_base import close_with, json_response, send_json, status_of
from audioconv.serving.http_query import Query
from audioconv.serving.limits import RefusedError

MAX_PICTURE_BYTES = 50_000_000


def routes(lab: Lab) -> list[BaseRoute]:
    """Return the routes."""

    async def search_recording(request: Request) -> Response:
        query = Query(request.query_params.multi_items(), {"threshold", "name"})
        threshold, name = query.real("threshold", 0, 1), query.text("name") or "the recording"

        def work(file: BinaryIO) -> dict[str, Any]:
            return search(lab.model.require(), file, name[:120], threshold, lab.workers.stopping)

        return json_response(await uploaded(request, lab, work))

    async def classify(request: Request) -> Response:
        Query(request.query_params.multi_items(), set())
        return json_response(await uploaded(request, lab, lambda file: answer(_model_of_pictures(lab), _read(file))))

    async def watch(websocket: WebSocket) -> None:
        try:
            with lab.streams.one():
                Query(websocket.query_params.multi_items(), set())
                model = await lab.workers.for_stream(lambda: _model_of_pictures(lab))
                await websocket.accept(PROTOCOL)
                await _watch(websocket, model, lab)
        except AudioconvError as error:  # before it was accepted
            await websocket.send_denial_response(json_response({"error": str(error)}, status_of(error)))

    return [
        Route("/api/search", search_recording, methods=["POST"]),
        Route("/api/classify", classify, methods=["POST"]),
        WebSocketRoute("/api/watch", watch),
    ]


def answer(model: Model, content: bytes) -> dict[str, Any]:
    """Return the answer for a picture: its label (None: none of these), score, and the score of each label."""
    example = of_model(model).from_bytes(content, "the picture")
    found = describe(model, [RecordingScores(model.predict(example[None])[0])])[0]
    return {"label": found.answer, "nearest": found.label, "score": found.score, "scores": found.scores}


def _model_of_pictures(lab: Lab) -> Model:
    model = lab.model.require()
    if model.kind != "images":
        raise ConfigError("the model is of sounds; send recordings to /api/search")
    return model


def _read(file: BinaryIO) -> bytes:
    content = file.read(MAX_PICTURE_BYTES + 1)
    if len(content) > MAX_PICTURE_BYTES:
        raise RefusedError(413, f"the picture is larger than {MAX_PICTURE_BYTES:,} bytes; send a smaller one")
    return content


async def _watch(websocket: WebSocket, model: Model, lab: Lab) -> None:
    """Answer each frame of a camera; one that cannot be read is answered by an error and ends nothing."""
    with suppress(WebSocketDisconnect):
        try:
            while not lab.workers.stopping.is_set():
                message = await next_object(websocket, lab.limits.idle_seconds)
                if message == STOP:
                    break
                if not isinstance(message, bytes):
                    raise ConfigError('a message is either a picture or the text {"type": "stop"}')
                await send_json(websocket, await lab.workers.for_stream(lambda data=message: _frame(model, data)))  # type: ignore[misc]
        except AudioconvError as error:
            await close_with(websocket, error)
            return
        await websocket.close(1000)


def _frame(model: Model, data: bytes) -> dict[str, Any]:
    try:
        return {"type": "scores", **answer(model, _read(io.BytesIO(data)))}
    except AudioconvError as error:
        return {"type": "refused", "error": str(error)}
