"""What the tests of data sets share."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import ExitStack
from email.message import Message
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import loopback
import pytest


class LoopbackServer(loopback.Loopback):
    """An HTTP server on this machine whose answers are written down beforehand.

    `answers` are taken one a request, the last one again and again; each gets the request handler. `requests` has the
    headers of the requests that came.
    """

    def __init__(self, content: bytes, *answers: Callable[[BaseHTTPRequestHandler], None]) -> None:
        super().__init__(self._get)
        self.content = content
        self.answers = list(answers)
        self.requests: list[Message] = []
        self.url += "/files/data.bin"

    def _get(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests.append(handler.headers)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        answer(handler)


@pytest.fixture
def serve(monkeypatch):
    """Start a `LoopbackServer`; it ends with the test."""
    for name in loopback.PROXIES:
        monkeypatch.delenv(name, raising=False)
    with ExitStack() as running:
        yield lambda content, *answers: running.enter_context(LoopbackServer(content, *answers))


@pytest.fixture
def reads_of(monkeypatch):
    """Note what is read of a file from the disk: a list for each time that it is opened, of (begin, bytes) a read."""

    def note(path):
        opened: list[list[tuple[int, int]]] = []
        open_ = Path.open

        class File(io.FileIO):
            def readinto(self, buffer):
                begin = self.tell()
                count = super().readinto(buffer)
                opened[self.number].append((begin, count))
                return count

        def open_and_count(self, mode="r", *args, **options):
            if self != path:
                return open_(self, mode, *args, **options)
            file = File(self, mode)
            file.number = len(opened)
            opened.append([])
            return io.BufferedReader(file)

        monkeypatch.setattr(Path, "open", open_and_count)
        return opened

    return note
