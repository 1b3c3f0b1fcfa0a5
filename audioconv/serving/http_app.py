"""The HTTP service: answers for recordings, and detections in streams over WebSockets."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from audioconv._version import __version__
from audioconv.errors import AudioconvError, ConfigError, DataError
from audioconv.model import Model
from audioconv.serving.http_guard import Guard
from audioconv.serving.http_query import Query
from audioconv.serving.limits import UPLOADS_IN_MEMORY, WRITE_SECONDS, Budget, Limits, RefusedError
from audioconv.serving.models import ServedModel, ServedModels
from audioconv.serving.openapi import description
from audioconv.serving.streams import NamedDetection, WordStream
from audioconv.serving.uploads import answer, receive, too_large, watch
from audioconv.serving.workers import Workers
from audioconv.streaming import Detector

REST_SECONDS = 1.0
"""The rest of a body is read for so long before a refusal, so that a client that still sends gets the answer."""

ADDITIONAL_SECONDS = 5.0
"""The time is checked after each block of a recording; so much is allowed for the last block."""

HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class HttpApp:
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
        self._models, self._guard, self._workers, self._limits = models, guard, workers, limits
        self._threshold, self._hop_seconds, self._report = threshold, hop_seconds, report
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
        handlers: Mapping[Any, Any] = {HTTPException: _http_error, AudioconvError: _error, Exception: _internal_error}
        self._app = Starlette(routes=routes, exception_handlers=handlers)
        self._app.router.redirect_slashes = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or a WebSocket: the ASGI interface."""
        body = _Body(scope, receive)
        scope["body"] = body
        try:
            self._guard.check(dict(scope))
        except RefusedError as error:
            await _refuse(scope, body.receive, send, error)
            return
        try:
            await self._app(scope, body.receive, send)
        except (
            ClientDisconnect,
            WebSocketDisconnect,
            ConnectionError,
            TimeoutError,
        ):  # the client has gone, or does not read
            pass
        except Exception as error:  # Starlette has answered with 500 before it raises
            self._report(f"http: {type(error).__name__}: {error}")

    # --- requests ---

    async def _health(self, request: Request) -> Response:
        return _json({"status": "ok", "version": __version__})

    async def _list_models(self, request: Request) -> Response:
        return _json({"models": [_about(one, self._threshold) for one in self._models.served]})

    async def _describe(self, request: Request) -> Response:
        return _json(description(self._models, self._limits))

    async def _classify(self, request: Request) -> Response:
        query = Query(request.query_params.multi_items(), {"model", "top", "threshold"})
        served = self._models.find(query.text("model"))
        top = query.whole("top", 1, 1_000_000)
        threshold = query.real("threshold", 0, 1)
        self._check_headers(request)
        look = watch(time.monotonic() + self._limits.seconds, self._limits, self._workers.stopping)
        with self._clients.one():
            upload = await receive(self._body(request), self._limits, self._memory)
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
        return _json(found.result())

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

    async def _body(self, request: Request) -> Any:
        """Yield the parts of the body as they come; `RefusedError` (408) if it takes too long."""
        until = asyncio.get_running_loop().time() + self._limits.seconds
        parts = aiter(request.stream())
        while True:
            try:
                async with asyncio.timeout_at(until):
                    part = await anext(parts)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise RefusedError(408, f"the recording has not come within {self._limits.seconds:g} s") from None
            yield part

    # --- streams ---

    async def _stream(self, websocket: WebSocket) -> None:
        try:
            with self._clients.one():
                served, stream = self._open(websocket)
                await websocket.accept()
                await self._listen(websocket, served, stream)
        except AudioconvError as error:  # before it was accepted
            await websocket.send_denial_response(_json({"error": str(error)}, _status(error)))

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
        await _send(websocket, {**ready, "words": list(served.model.words)})
        try:
            while (data := await self._next(websocket)) is not None:
                await _send_detections(websocket, await self._workers.for_stream(lambda data=data: stream.push(data)))  # type: ignore[misc]
            await _send_detections(websocket, await self._workers.for_stream(stream.flush))
        except AudioconvError as error:
            await _send(websocket, {"type": "error", "error": str(error)})
            await websocket.close(1008 if isinstance(error, RefusedError) else 1003)
            return
        await _send(websocket, {"type": "end", "seconds": stream.seconds})
        await websocket.close(1000)

    async def _next(self, websocket: WebSocket) -> bytes | None:
        """Return the next samples, or None for the message that ends the stream."""
        try:
            async with asyncio.timeout(self._limits.idle_seconds):
                message = await websocket.receive()
        except TimeoutError:
            raise RefusedError(408, f"nothing has come for {self._limits.idle_seconds:g} s") from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        data: bytes | None = message.get("bytes")
        if data is not None:
            return data
        try:
            said = json.loads(message.get("text") or "")
        except (ValueError, RecursionError):
            said = None
        if said == {"type": "end"}:
            return None
        raise DataError('a message is either binary, 16-bit samples, or the text {"type": "end"}')


class _Body:
    """The body of a request, of which it is known whether all of it has been read."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        headers = dict(scope["headers"])
        sends = headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
        # A client that sends `Expect: 100-continue` has not begun to send its body.
        self._has_more = scope["type"] == "http" and sends and b"expect" not in headers
        self._receive = receive

    async def receive(self) -> Any:
        """Return the next message of the client."""
        message = await self._receive()
        self._has_more = self._has_more and message["type"] == "http.request" and message.get("more_body", False)
        return message

    async def leave_out(self) -> None:
        """Read what is left of the body, for a moment."""
        try:
            async with asyncio.timeout(REST_SECONDS):
                while self._has_more:
                    await self.receive()
        except TimeoutError:
            pass


async def _send_detections(websocket: WebSocket, found: list[NamedDetection]) -> None:
    for one in found:
        await _send(websocket, {"type": "detection", **one.detection.to_json()})


async def _send(websocket: WebSocket, message: dict[str, Any]) -> None:
    async with asyncio.timeout(WRITE_SECONDS):
        await websocket.send_text(json.dumps(message, allow_nan=False))


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


def _json(content: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(content, status, {**HEADERS, **(headers or {})})


def _status(error: Exception) -> int:
    if isinstance(error, RefusedError):
        return error.status
    # 400 for the parameters, 422 for the recording.
    return 400 if isinstance(error, ConfigError) else 422


async def _error(request: Request, error: Exception) -> Response:
    await request.scope["body"].leave_out()
    return _json({"error": str(error)}, _status(error), {"connection": "close"})


async def _no_websocket(request: Request) -> Response:
    headers = {"upgrade": "websocket", "connection": "close"}
    return _json({"error": "/stream is a WebSocket: connect to ws://, not to http://"}, 426, headers)


async def _internal_error(request: Request, error: Exception) -> Response:
    return _json(
        {"error": "an internal error of the service, which it has written to its standard error"},
        500,
        {"connection": "close"},
    )


async def _http_error(request: Request, error: HTTPException) -> Response:
    message = {404: "there is no such path; see /openapi.json", 405: "this path takes another method"}
    headers = {**(error.headers or {}), "connection": "close"}
    await request.scope["body"].leave_out()
    return _json({"error": message.get(error.status_code, error.detail)}, error.status_code, headers)


async def _refuse(scope: Scope, receive: Receive, send: Send, error: RefusedError) -> None:
    headers = {"www-authenticate": "Bearer"} if error.status == 401 else {}
    response = _json({"error": str(error)}, error.status, {**headers, "connection": "close"})
    if scope["type"] == "websocket":
        websocket = WebSocket(scope, receive, send)
        await websocket.send_denial_response(response)
    else:
        await scope["body"].leave_out()
        await response(scope, receive, send)
