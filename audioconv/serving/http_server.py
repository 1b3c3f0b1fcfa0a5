"""uvicorn with bounds on connections: their number, and the time that each may take."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState

from audioconv.errors import DataError
from audioconv.io.files import display_path
from audioconv.serving.http_base import GuardedApp
from audioconv.serving.limits import MAX_MESSAGE_BYTES, Limits

MAX_CONNECTIONS = 512
"""Connections, also those that have not sent a request yet."""

HEADER_SECONDS = 10.0
"""A connection without a complete request head is closed after so long."""

LAST_SECONDS = 5.0
"""How long requests and streams may go on when the service ends."""

MAX_UNREAD_BYTES = 1 << 20
"""Of answers that a client does not read."""


class HttpService:
    """An HTTP service on a socket.

    Parameters
    ----------
    app : GuardedApp
    limits : Limits
    certificate, key : Path, optional
        Files in PEM, with which connections are encrypted. Default: none, plain HTTP.

    Raises
    ------
    DataError
        If the certificate or its key cannot be used.
    """

    def __init__(
        self, app: GuardedApp, limits: Limits, certificate: Path | None = None, key: Path | None = None
    ) -> None:
        # A class for each service: uvicorn makes its protocols without further arguments.
        bounded = type("BoundedHttp", (_BoundedHttp,), {"longest": limits.seconds + 2 * HEADER_SECONDS})
        config = uvicorn.Config(
            app,
            http=bounded,
            ws=_BoundedStream,
            ws_max_size=MAX_MESSAGE_BYTES,
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=round(LAST_SECONDS),
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
        try:
            config.load()
        except OSError as error:  # ssl.SSLError among them
            raise DataError(
                f"{display_path(certificate or '')}: is no certificate that goes with its key ({error}); expected "
                "two files in PEM"
            ) from None
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self, listener: socket.socket) -> None:
        """Begin to listen."""
        self._task = asyncio.get_running_loop().create_task(self._server.serve([listener]))
        while not self._server.started and not self._task.done():
            await asyncio.sleep(0.01)
        if self._task.done():
            self._task.result()  # raises why it has not begun

    async def stop(self) -> None:
        """End all connections."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the command, which ends both services."""
        yield


class _BoundedHttp(H11Protocol):
    """Ends connections that are idle, that send an endless head, or that do not read their answer."""

    longest: ClassVar[float]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._seen: tuple[Any, bool, bool] = (None, False, False)
        self._since = self.loop.time()
        self._timer = self.loop.call_later(HEADER_SECONDS, self._look)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: Any) -> None:
        self._timer.cancel()
        super().handle_websocket_upgrade(event)

    def _look(self) -> None:
        cycle = self.cycle
        is_at_work = cycle is not None and not cycle.response_complete
        now = (cycle, is_at_work, self.transport.is_closing())
        if now != self._seen:
            self._seen, self._since = now, self.loop.time()
        elif not is_at_work or self.loop.time() > self._since + self.longest:
            self.transport.abort()
            return
        self._timer = self.loop.call_later(HEADER_SECONDS, self._look)


class _BoundedStream(WebSocketsSansIOProtocol):
    """Ends streams whose messages have no end, or that do not read."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._unfinished = 0
        self._was_closing = self._is_ended = False
        self._timer = self.loop.call_later(HEADER_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        # Empty parts of a message, and pings, are bounded by no size of messages.
        self._unfinished += len(data)
        if self._unfinished > 2 * MAX_MESSAGE_BYTES or self.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            self.transport.abort()
            return
        super().data_received(data)

    def send_receive_event_to_app(self) -> None:
        self._unfinished = 0
        # uvicorn closes the stream for a text that is not UTF-8, and fails where the client has closed it in the same
        # block: that frame is handled next.
        with suppress(InvalidState):
            super().send_receive_event_to_app()

    def handle_parser_exception(self) -> None:
        super().handle_parser_exception()
        self._is_ended = True

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._is_ended = True

    async def send(self, message: Any) -> None:
        """Send a message of the application; to a client whose stream was ended here, as if it had gone.

        uvicorn raises `RuntimeError` then, as if the application had closed the stream itself before.
        """
        await self.writable.wait()
        if self._is_ended:
            raise ClientDisconnected
        await super().send(message)

    def _look(self) -> None:
        if self._was_closing:
            self.transport.abort()
            return
        self._was_closing = self.transport.is_closing()
        self._timer = self.loop.call_later(HEADER_SECONDS, self._look)
