"""A wake-word service of the Wyoming protocol, as Home Assistant and its satellites use it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

from wyoming.error import Error
from wyoming.event import Event, Eventable, async_write_event
from wyoming.info import Attribution, Info, WakeModel, WakeProgram
from wyoming.ping import Ping, Pong
from wyoming.wake import Detection, NotDetected

from audioconv._version import __version__
from audioconv.errors import AudioconvError, DataError
from audioconv.serving.limits import WRITE_SECONDS, Budget, Limits, RefusedError
from audioconv.serving.models import ServedModel, ServedModels
from audioconv.serving.streams import NamedDetection, NewDetector, WordStream
from audioconv.serving.workers import Workers
from audioconv.serving.wyoming_events import (
    MAX_JSON_BYTES,
    SampleFormat,
    context_of,
    names_of,
    read_event,
    timestamp_of,
)

MAX_REFUSED = 256
"""Clients beyond the limit that get an error at the same time; further ones are disconnected at once."""

LAST_SECONDS = 1.0
"""For so long a client that is refused may read why."""


class WyomingService:
    """Listens for clients, each of which has its own streams.

    Parameters
    ----------
    models : ServedModels
    new_detector : callable
    workers : Workers
    limits : Limits
    report : callable
        Called with a line about each internal error.
    """

    def __init__(
        self,
        models: ServedModels,
        new_detector: NewDetector,
        workers: Workers,
        limits: Limits,
        report: Callable[[str], object],
    ) -> None:
        self.models, self.new_detector, self.workers, self.limits = models, new_detector, workers, limits
        self.info = describe(models).event()
        self._report = report
        self._clients = Budget(limits.clients, f"{limits.clients} clients are connected, and no more are served")
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._accept, sock=listener, limit=MAX_JSON_BYTES)

    async def stop(self) -> None:
        """End all connections."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._tasks) >= self.limits.clients + MAX_REFUSED:
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with self._clients.one():
                await self._converse(reader, writer)
        except RefusedError as error:
            await _send_last(reader, writer, Error(str(error), "busy"))
        except (ConnectionError, TimeoutError):  # the client has gone, or does not read
            pass
        except Exception as error:  # an internal error ends this connection, not the service
            self._report(f"wyoming: {type(error).__name__}: {error}")
        finally:
            await _close(writer)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = Conversation(self, writer)
        try:
            while (event := await read_event(reader, self.limits)) is not None:
                await conversation.take(event)
        except AudioconvError as error:
            await _send_last(reader, writer, Error(str(error), "bad-event"))


class Conversation:
    """The words that one client has chosen, and its stream.

    Parameters
    ----------
    service : WyomingService
    writer : StreamWriter
    """

    def __init__(self, service: WyomingService, writer: asyncio.StreamWriter) -> None:
        self._service, self._writer = service, writer
        self._words = dict(service.models.words)
        self._context: dict[str, Any] | None = None
        self._stream: WordStream | None = None
        self._format: SampleFormat | None = None
        self._begin = 0
        self._count = 0

    async def take(self, event: Event) -> None:
        """Answer an event; events of other services are ignored, which the protocol requires."""
        kind = event.type
        if kind == "describe":
            await self._send(self._service.info)
        elif Ping.is_type(kind):
            text = event.data.get("text")
            await self._send(Pong(text if isinstance(text, str) else None))
        elif kind == "detect":
            await self._detect(event)
        elif kind == "audio-start":
            await self._end()
            self._start(event)
        elif kind == "audio-chunk":
            await self._chunk(event)
        elif kind == "audio-stop":
            await self._end()

    async def _detect(self, event: Event) -> None:
        names, self._context = names_of(event), context_of(event)
        before = self._words
        self._words, unknown = self._service.models.chosen(names)
        self._count = 0
        if self._stream is not None and self._format is not None and self._words != before:
            self._begin += round(1000 * self._stream.seconds)
            self._stream = self._new_stream(self._format)
        if unknown:
            known = ", ".join([*self._service.models.words, *(one.name for one in self._service.models.served)])
            await self._send(
                Error(f"there is no word or model {', '.join(unknown)}; there are {known}", "unknown-name")
            )

    def _start(self, event: Event) -> None:
        self._format = SampleFormat.of(event)
        self._stream = self._new_stream(self._format)
        self._begin, self._count = timestamp_of(event) or 0, 0

    def _new_stream(self, samples: SampleFormat) -> WordStream:
        return WordStream(self._words, samples.rate, samples.channels, samples.format, self._service.new_detector)

    async def _chunk(self, event: Event) -> None:
        if self._stream is None:  # some clients begin with the samples
            self._start(event)
        stream = self._stream
        assert stream is not None
        came = SampleFormat.of(event)
        if came != self._format:
            raise DataError(f"audio-chunk: the stream began with {self._format}, this chunk has {came}")
        if not stream.seconds and (timestamp := timestamp_of(event)) is not None:
            self._begin = timestamp
        data = event.payload or b""
        await self._send_detections(await self._service.workers.for_stream(lambda: stream.push(data)))

    async def _end(self) -> None:
        stream, self._stream = self._stream, None
        if stream is None:
            return
        await self._send_detections(await self._service.workers.for_stream(stream.flush))
        if not self._count:
            await self._send(NotDetected(self._context))

    async def _send_detections(self, found: list[NamedDetection]) -> None:
        for one in found:
            self._count += 1
            # The protocol's time is that of the chunk with the detection: here, of the word's end.
            time = self._begin + round(1000 * one.detection.end)
            await self._send(Detection(one.name, time, context=self._context))

    async def _send(self, event: Eventable | Event) -> None:
        await send(self._writer, event)


async def send(writer: asyncio.StreamWriter, event: Eventable | Event) -> None:
    """Send an event; `TimeoutError` if the client does not read."""
    async with asyncio.timeout(WRITE_SECONDS):
        await async_write_event(event if isinstance(event, Event) else event.event(), writer)


async def _send_last(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, error: Error) -> None:
    """Send an error before the connection is closed, and read what is still sent: otherwise it could be lost."""
    with contextlib.suppress(ConnectionError, TimeoutError):
        await send(writer, error)
        async with asyncio.timeout(LAST_SECONDS):
            while await reader.read(MAX_JSON_BYTES):
                pass


async def _close(writer: asyncio.StreamWriter) -> None:
    """Close a connection; what its client does not read in time is lost."""
    writer.close()
    try:
        async with asyncio.timeout(LAST_SECONDS):
            await writer.wait_closed()
    except (OSError, TimeoutError, asyncio.CancelledError):
        writer.transport.abort()


def describe(models: ServedModels) -> Info:
    """Return the answer to `describe`: each word is a wake-word model of the protocol."""
    by = Attribution("audioconv", "")
    words = [
        WakeModel(
            name=name,
            attribution=_maker(one),
            installed=True,
            description=_phrase(label) if len(models.served) == 1 else f"{_phrase(label)} ({one.name})",
            version=None,
            languages=[],
            phrase=_phrase(label),
        )
        for name, (one, label) in models.words.items()
    ]
    program = WakeProgram(
        name="audioconv",
        attribution=by,
        installed=True,
        description="Keyword detection with models of audioconv",
        version=__version__,
        models=words,
    )
    return Info(wake=[program])


def _phrase(label: str) -> str:
    """Return a label as a person reads it."""
    return label.replace("_", " ").strip()


def _maker(served: ServedModel) -> Attribution:
    return Attribution(served.name, "")
