"""What HTTP services share: guarded requests, answers in JSON, errors as one line, bodies with a time limit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from audioconv.errors import AudioconvError, ConfigError
from audioconv.serving.http_guard import Guard
from audioconv.serving.limits import WRITE_SECONDS, Limits, RefusedError

REST_SECONDS, MAX_REST_BYTES = 1.0, 1 << 26
"""The rest of a body is read for so long, and up to so much, before a refusal: a client that still sends gets the
answer then."""

HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class GuardedApp:
    """An ASGI application whose requests pass a guard, and whose errors are answers in JSON.

    Parameters
    ----------
    routes : sequence of starlette routes
    guard : Guard
    report : callable
        Called with a line about each internal error.
    headers : mapping of str to str, optional
        Added to every answer that has no header of the name. Default: none.
    unknown_path : str
        Message for paths that there are not.
    """

    def __init__(
        self,
        routes: Sequence[BaseRoute],
        guard: Guard,
        report: Callable[[str], object],
        headers: Mapping[str, str] | None = None,
        unknown_path: str = "there is no such path; see /openapi.json",
    ) -> None:
        self._guard, self._report = guard, report
        self._headers = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        self._unknown_path = unknown_path
        handlers: Mapping[Any, Any] = {
            HTTPException: self._http_error,
            AudioconvError: _error,
            Exception: _internal_error,
        }
        self._app = Starlette(routes=routes, exception_handlers=handlers)
        self._app.router.redirect_slashes = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or a WebSocket: the ASGI interface."""
        body = _Body(scope, receive)
        scope["body"] = body
        if self._headers:
            send = self._with_headers(send)
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

    def _with_headers(self, send: Send) -> Send:
        async def sent(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                present = {name.lower() for name, _ in message["headers"]}
                more = [(name, value) for name, value in self._headers if name not in present]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        return sent

    async def _http_error(self, request: Request, error: HTTPException) -> Response:
        message = {404: self._unknown_path, 405: "this path takes another method"}
        headers = {**(error.headers or {}), "connection": "close"}
        await request.scope["body"].leave_out()
        return json_response({"error": message.get(error.status_code, error.detail)}, error.status_code, headers)


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return an answer in JSON, which nobody keeps."""
    return JSONResponse(content, status, {**HEADERS, **(headers or {})})


def status_of(error: Exception) -> int:
    """Return the status of HTTP that an error has."""
    if isinstance(error, RefusedError):
        return error.status
    # 400 for the parameters, 422 for the recording.
    return 400 if isinstance(error, ConfigError) else 422


async def send_json(websocket: WebSocket, message: Mapping[str, Any]) -> None:
    """Send a message; `TimeoutError` if the client does not read."""
    async with asyncio.timeout(WRITE_SECONDS):
        await websocket.send_text(json.dumps(message, allow_nan=False))


async def next_message(websocket: WebSocket, idle_seconds: float) -> Any:
    """Return the next message: bytes, or the value of a text in JSON; None for a text that is not JSON.

    Raises
    ------
    RefusedError
        If nothing comes for so long (408).
    WebSocketDisconnect
        If the client has gone.
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
        return json.loads(message.get("text") or "")
    except (ValueError, RecursionError):
        return None


async def close_with(websocket: WebSocket, error: AudioconvError) -> None:
    """Send an error, and end the stream."""
    await send_json(websocket, {"type": "error", "error": str(error)})
    await websocket.close(1008 if isinstance(error, RefusedError) else 1003)


async def body(request: Request, limits: Limits) -> AsyncIterator[bytes]:
    """Yield the parts of a body as they come; `RefusedError` (408) if it takes too long."""
    until = asyncio.get_running_loop().time() + limits.seconds
    parts = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout_at(until):
                part = await anext(parts)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise RefusedError(408, f"the recording has not come within {limits.seconds:g} s") from None
        yield part


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
        """Read what is left of the body, for a moment and up to `MAX_REST_BYTES`."""
        left = MAX_REST_BYTES
        try:
            async with asyncio.timeout(REST_SECONDS):
                while self._has_more and left > 0:
                    message = await self.receive()
                    left -= len(message.get("body", b""))
        except TimeoutError:
            pass


async def _error(request: Request, error: Exception) -> Response:
    await request.scope["body"].leave_out()
    return json_response({"error": str(error)}, status_of(error), {"connection": "close"})


async def _internal_error(request: Request, error: Exception) -> Response:
    return json_response(
        {"error": "an internal error of the service, which it has written to its standard error"},
        500,
        {"connection": "close"},
    )


async def _refuse(scope: Scope, receive: Receive, send: Send, error: RefusedError) -> None:
    headers = {"www-authenticate": "Bearer"} if error.status == 401 else {}
    response = json_response({"error": str(error)}, error.status, {**headers, "connection": "close"})
    if scope["type"] == "websocket":
        websocket = WebSocket(scope, receive, send)
        await websocket.send_denial_response(response)
    else:
        await scope["body"].leave_out()
        await response(scope, receive, send)
