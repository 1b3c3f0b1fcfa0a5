"""Real services on loopback, in a thread or in a process of their own, and clients for them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.event import Event
from wyoming.ping import Ping
from wyoming.wake import Detect

from audioconv.serving.addresses import Address
from audioconv.serving.http_guard import Guard, host_names
from audioconv.serving.limits import Limits
from audioconv.serving.models import ServedModels
from audioconv.serving.run import Services, serve

SECONDS = 60.0
"""For so long a client waits at most."""


@dataclass
class Running:
    """Services that run, and what they reported."""

    wyoming: int
    http: int
    reports: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http}"

    def resident(self) -> int:
        """Return the physical memory of the process, in bytes, with what it has in files without a name."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024


@contextlib.contextmanager
def in_thread(models: ServedModels, token: bytes | None = None, **settings: Any) -> Iterator[Running]:
    """Run both services in a thread of this process; nothing may be reported."""
    limits = settings.pop("limits", Limits())
    sockets = [Address("127.0.0.1", 0).listen() for _ in range(2)]
    guard = Guard(host_names("127.0.0.1", [], on_loopback=True), token)
    services = Services(models, *sockets, guard, limits, **settings)
    running = Running(*(each.getsockname()[1] for each in sockets))
    ready, told, stop, failures = threading.Event(), [], [], []

    def on_ready(line: str) -> None:
        told.append(line)
        if len(told) == 2:
            ready.set()

    async def main() -> None:
        stop.extend([asyncio.get_running_loop(), asyncio.Event()])
        await serve(services, on_ready, running.reports.append, stop[1])

    def work() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            failures.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert ready.wait(SECONDS)
        assert not failures, failures
        yield running
    finally:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            stop[0].call_soon_threadsafe(stop[1].set)
        thread.join(SECONDS)
        for each in sockets:
            each.close()
    assert not thread.is_alive()
    assert not failures
    assert running.reports == []


@contextlib.contextmanager
def in_process(*arguments: object, environment: dict[str, str] | None = None) -> Iterator[Running]:
    """Run ``audioconv serve`` with both services at free ports; `reports` is what it writes to standard error."""
    words = [str(one) for one in arguments] + ["--wyoming", "tcp://127.0.0.1:0", "--http", "127.0.0.1:0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "audioconv", "serve", *words], stderr=subprocess.PIPE, env=environment
    )
    running = Running(0, 0, process=process)
    ready = threading.Event()

    def read() -> None:
        for line in process.stderr:
            running.reports.append(line.decode().rstrip("\n"))
            for kind in ("wyoming", "http"):
                if found := re.match(rf"{kind}: \w+://127\.0\.0\.1:(\d+)$", running.reports[-1]):
                    setattr(running, kind, int(found[1]))
            if running.wyoming and running.http:
                ready.set()
        ready.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert ready.wait(SECONDS)
        assert running.http, running.reports
        yield running
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stderr.close()


@contextlib.asynccontextmanager
async def wyoming_client(running: Running):
    async with asyncio.timeout(SECONDS), AsyncTcpClient("127.0.0.1", running.wyoming) as client:
        yield client


async def until_pong(client: AsyncTcpClient) -> list[Event]:
    """Return the events that come before the answer to a ping."""
    await client.write_event(Ping("end").event())
    events = []
    while (event := await client.read_event()) is not None and event.type != "pong":
        events.append(event)
    assert event is not None, events
    return events


async def hear(
    running: Running,
    data: bytes,
    rate: int,
    chunk: int,
    names: list[str] | None = None,
    *,
    width: int = 2,
    channels: int = 1,
    context: dict[str, Any] | None = None,
    begin: int | None = None,
) -> list[Event]:
    """Send a stream in chunks of so many bytes to the Wyoming service; return what it answers."""
    form = {"rate": rate, "width": width, "channels": channels}
    async with wyoming_client(running) as client:
        if names is not None or context is not None:
            await client.write_event(Detect(names, context).event())

        async def send() -> None:
            await client.write_event(AudioStart(**form, timestamp=begin).event())
            for first in range(0, len(data), chunk):
                await client.write_event(AudioChunk(**form, audio=data[first : first + chunk]).event())
            await client.write_event(AudioStop().event())

        sending = asyncio.create_task(send())
        await sending
        return await until_pong(client)


async def stream(running: Running, data: bytes, chunk: int, query: str = "", **options: Any) -> list[dict[str, Any]]:
    """Send a stream in messages of so many bytes to the HTTP service; return what it answers."""
    async with asyncio.timeout(SECONDS):
        async with connect(f"ws://127.0.0.1:{running.http}/stream{query}", proxy=None, **options) as socket:

            async def send() -> None:
                for first in range(0, len(data), chunk):
                    await socket.send(data[first : first + chunk])
                await socket.send('{"type": "end"}')

            sending = asyncio.create_task(send())
            answers = [json.loads(message) async for message in socket]
            await sending
            assert socket.close_code == 1000
    return answers
