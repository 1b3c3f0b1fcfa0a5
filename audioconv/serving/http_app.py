"""The HTTP service: answers for recordings, and detections in streams over WebSockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from audioconv._version import __version__
from audioconv.errors import AudioconvError, DataError
from audioconv.model import Model
from audioconv.serving.http_base import (
    GuardedApp,
    body,
    close_with,
    json_response,
    next_message,
    send_json,
    status_of,
)
from audioconv.serving.http_guard import Guard
from audioconv.serving.http_query import Query
from audioconv.serving.limits import UPLOADS_IN_MEMORY, Budget, Limits, RefusedError
from audioconv.serving.models import ServedModel, ServedModels
from audioconv.serving.openapi import description
from audioconv.serving.streams import NamedDetection, WordStream
from audioconv.serving.uploads import answer, receive, too_large, watch
from audioconv.serving.workers import Workers
from audioconv.streaming import Detector

ADDITIONAL_SECONDS = 5.0
"""The time is checked after each block of a recording; so much is allowed for the last block."""


class HttpApp(GuardedApp):
    """The service as an ASGI application.

    Parameters
    ----------
    models : ServedModels
    guard : Guard
    workers : Workers
    limits : Limits
    threshold, hop_seconds
        See `Detector`; a request may have another threshold.
    report : callable
        Called with a line about each internal error.
    """

    def __init__(
        self,
        models: ServedModels,
        guard: Guard,
        workers: Workers,
        limits: Limits,
        *,
        threshold: float | None,
        hop_seconds: float,
        report: Callable[[str], object],
    ) -> None:
        self._models, self._workers, self._limits = models, workers, limits
        self._threshold, self._hop_seconds = threshold, hop_seconds
        self._clients = Budget(limits.clients, f"{limits.clients} clients are being served; try again later")
        self._memory = Budget(
            UPLOADS_IN_MEMORY * limits.upload_bytes, "other recordings are being uploaded; try again later"
        )
        routes = [
            Route("/health", self._health, methods=["GET"]),
            Route("/models", self._list_models, methods=["GET"]),
            Route("/openapi.json", self._describe, methods=["GET"]),
            Route("/classify", self._classify, methods=["POST"]),
            WebSocketRoute("/stream", self._stream),
            Route("/stream", _no_websocket, methods=["GET"]),
        ]
        super().__init__(routes, guard, report)

    # --- requests ---

    async def _health(self, request: Request) -> Response:
        return json_response({"status": "ok", "version": __version__})

    async def _list_models(self, request: Request) -> Response:
        return json_response({"models": [_about(one, self._threshold) for one in self._models.served]})

    async def _describe(self, request: Request) -> Response:
        return json_response(description(self._models, self._limits))

    async def _classify(self, request: Request) -> Response:
        query = Query(request.query_params.multi_items(), {"model", "top", "threshold"})
        served = self._models.find(query.text("model"))
        top = query.whole("top", 1, 1_000_000)
        threshold = query.real("threshold", 0, 1)
        self._check_headers(request)
        look = watch(time.monotonic() + self._limits.seconds, self._limits, self._workers.stopping)
        with self._clients.one():
            upload = await receive(body(request, self._limits), self._limits, self._memory)
            found = self._workers.for_upload(
                lambda: answer(
                    served,
                    upload,
                    look,
                    top=top,
                    threshold=self._threshold if threshold is None else threshold,
                    hop_seconds=self._hop_seconds,
                )
            )
            # Not before the thread has ended, which may be later than this request.
            found.add_done_callback(lambda _: upload.close())
            done, _ = await asyncio.wait([found], timeout=self._limits.seconds + ADDITIONAL_SECONDS)
        if not done:
            raise RefusedError(503, f"it took longer than {self._limits.seconds:g} s; try later")
        return json_response(found.result())

    def _check_headers(self, request: Request) -> None:
        """Refuse what is no recording before it is sent."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            raise RefusedError(
                415, "send the recording itself as the body, not a form: curl --data-binary @FILE, instead of -F"
            )
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise RefusedError(415, "send the recording as it is, without Content-Encoding")
        length = request.headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._limits.upload_bytes:
            raise too_large(self._limits)

    # --- streams ---

    async def _stream(self, websocket: WebSocket) -> None:
        try:
            with self._clients.one():
                served, stream = self._open(websocket)
                await websocket.accept()
                await self._listen(websocket, served, stream)
        except AudioconvError as error:  # before it was accepted
            await websocket.send_denial_response(json_response({"error": str(error)}, status_of(error)))

    def _open(self, websocket: WebSocket) -> tuple[ServedModel, WordStream]:
        query = Query(websocket.query_params.multi_items(), {"model", "rate", "channels", "threshold"})
        served = self._models.find(query.text("model"))
        rate = query.whole("rate", 1, 1_000_000) or served.sample_rate
        asked = query.real("threshold", 0, 1)
        threshold = self._threshold if asked is None else asked

        def new_detector(model: Model, sample_rate: int) -> Detector:
            return Detector(model, sample_rate=sample_rate, threshold=threshold, hop_seconds=self._hop_seconds)

        words = {word: (served, word) for word in served.model.words}
        return served, WordStream(words, rate, query.whole("channels", 1, 1_000_000) or 1, "s16", new_detector)

    async def _listen(self, websocket: WebSocket, served: ServedModel, stream: WordStream) -> None:
        """Answer the messages of a stream until it ends; an error is sent and ends it."""
        ready = {"type": "ready", "model": served.name, "rate": stream.sample_rate, "channels": stream.channels}
        await send_json(websocket, {**ready, "words": list(served.model.words)})
        try:
            while (data := await self._next(websocket)) is not None:
                await _send_detections(websocket, await self._workers.for_stream(lambda data=data: stream.push(data)))  # type: ignore[misc]
            await _send_detections(websocket, await self._workers.for_stream(stream.flush))
        except AudioconvError as error:
            await close_with(websocket, error)
            return
        await send_json(websocket, {"type": "end", "seconds": stream.seconds})
        await websocket.close(1000)

    async def _next(self, websocket: WebSocket) -> bytes | None:
        """Return the next samples, or None for the message that ends the stream."""
        message = await next_message(websocket, self._limits.idle_seconds)
        if message == {"type": "end"}:
            return None
        if isinstance(message, bytes):
            return message
        raise DataError('a message is either binary, 16-bit samples, or the text {"type": "end"}')


async def _send_detections(websocket: WebSocket, found: list[NamedDetection]) -> None:
    for one in found:
        await send_json(websocket, {"type": "detection", **one.detection.to_json()})


def _about(served: ServedModel, threshold: float | None) -> dict[str, Any]:
    detector = Detector(served.model, threshold=threshold)
    seconds = (served.model.clip_samples or 0) / served.sample_rate
    return {
        "name": served.name,
        "words": list(served.model.words),
        "labels": list(served.model.answer_labels),
        "sample_rate": served.sample_rate,
        "window_seconds": seconds,
        "threshold": detector.threshold,
    }


async def _no_websocket(request: Request) -> Response:
    headers = {"upgrade": "websocket", "connection": "close"}
    return json_response({"error": "/stream is a WebSocket: connect to ws://, not to http://"}, 426, headers)
