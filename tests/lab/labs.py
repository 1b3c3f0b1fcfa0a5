"""The lab's server on loopback, in a thread or in a process of its own, and what its page sends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import numpy as np
import plain_http
import soundfile
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from audioconv.lab.app import new_guard
from audioconv.lab.lab import LIMITS, Lab
from audioconv.lab.run import LabService, serve
from audioconv.serving.addresses import Address
from audioconv.serving.limits import Limits

SECONDS = 60.0
"""For so long a client waits at most."""

RATE = 16000


@dataclass
class Page:
    """A lab that runs, as its page sees it."""

    folder: Path
    port: int
    token: str
    reports: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None
    lab: Lab | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        return plain_http.request(method, self.url + path, headers=headers, timeout=SECONDS, **more)

    def get(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, **values: Any) -> Any:
        answer = self.ask("POST", path, json=values)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def upload(self, label: str, name: str, content: bytes, **query: Any) -> Any:
        answer = self.ask("POST", "/api/clips?" + urlencode({"class": label, "name": name, **query}), content=content)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def clips(self, label: str | None = None) -> list[dict[str, Any]]:
        return self.get("/api/clips?limit=1000" + ("" if label is None else "&class=" + quote(label)))["clips"]

    @contextlib.asynccontextmanager
    async def socket(self, path: str, token: str | None = None, **more: Any) -> AsyncIterator[ClientConnection]:
        protocols = ["audioconv", f"token.{self.token if token is None else token}"]
        address = f"ws://127.0.0.1:{self.port}{path}"
        async with asyncio.timeout(SECONDS), connect(address, proxy=None, subprotocols=protocols, **more) as client:
            yield client

    async def record(self, samples: np.ndarray, rate: int, block: int = 1024, **query: Any) -> list[dict[str, Any]]:
        """Send samples as a page does, and return all messages of the server."""
        query = {"rate": rate, **query}
        async with self.socket("/api/record?" + urlencode(query)) as client:

            async def send() -> None:
                for begin in range(0, len(samples), block):
                    await client.send(samples[begin : begin + block].astype("<f4").tobytes())
                await client.send('{"type": "stop"}')

            sending = asyncio.create_task(send())
            messages = [json.loads(message) async for message in client]
            await sending
            assert client.close_code == 1000
        return messages


@contextlib.contextmanager
def in_thread(folder: Path, limits: Limits = LIMITS) -> Iterator[Page]:
    """Run a lab in a thread of this process; nothing may be reported."""
    folder.mkdir(exist_ok=True)
    listener = Address("127.0.0.1", 0).listen()
    guard = new_guard("127.0.0.1", on_loopback=True)
    page = Page(folder, listener.getsockname()[1], guard.token.decode())
    ready, stop, failures = threading.Event(), [], []

    async def main() -> None:
        stop.extend([asyncio.get_running_loop(), asyncio.Event()])

        def on_ready(lab: Lab) -> None:
            page.lab = lab
            ready.set()

        await serve(LabService(folder, listener, guard, limits), on_ready, page.reports.append, stop[1])

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
        yield page
    finally:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            stop[0].call_soon_threadsafe(stop[1].set)
        thread.join(SECONDS)
        listener.close()
    assert not thread.is_alive()
    assert not failures
    assert page.reports == []


@contextlib.contextmanager
def in_process(folder: Path, *arguments: str) -> Iterator[Page]:
    """Run ``audioconv lab`` at a free port; `reports` is what it writes to standard error."""
    words = [sys.executable, "-m", "audioconv", "lab", str(folder), "--no-browser", "--port", "0", *arguments]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    page = Page(folder, 0, "", process=process)

    def read() -> None:
        page.reports.extend(line.decode().rstrip("\n") for line in process.stderr)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        found = re.match(rb"lab: https?://[^/]+:(\d+)/#token=(\S+)$", process.stdout.readline().rstrip())
        assert found, page.reports
        page.port, page.token = int(found[1]), found[2].decode()
        yield page
    finally:
        process.kill()
        process.wait()
        reader.join()
        for pipe in (process.stdout, process.stderr):
            pipe.close()


def resident(page: Page) -> int:
    """Return the physical memory of the process, in bytes."""
    status = Path(f"/proc/{page.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024


def segment(identifier: str) -> str:
    """Return an id as one segment of a path."""
    return quote(identifier, safe="")


def tone(frequency: float, seconds: float = 0.5, rate: int = RATE, level: float = 0.3) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def wav(samples: np.ndarray, rate: int = RATE, kind: str = "WAV", subtype: str = "PCM_16") -> bytes:
    import io

    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def until(holds, seconds: float = SECONDS, every: float = 0.02) -> None:
    """Wait until `holds` returns something true; it is called after so many seconds each."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(every)


def talk(page, head: str, body: bytes = b"", *, seconds: float = 20.0) -> bytes:
    """Send a request as it is, and return what is answered before the connection ends."""
    answer = bytearray()
    with (
        socket.create_connection(("127.0.0.1", page.port), timeout=seconds) as client,
        contextlib.suppress(ConnectionError),
    ):
        client.sendall(head.replace("\n", "\r\n").encode() + b"\r\n" + body)
        while part := client.recv(1 << 16):
            answer += part
    return bytes(answer)


async def received(client) -> list[dict]:
    """Return all messages until the server ends the connection, for whatever reason."""
    messages = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            messages.append(json.loads(await client.recv()))
    return messages


def tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.name != "headers.json"}
