"""What the tests of data sets share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class LoopbackServer:
    """An HTTP server on this machine whose answers are written down beforehand.

    `answers` are taken one a request, the last one again and again; each gets the request handler. `requests` has the
    headers of the requests that came.
    """

    def __init__(self, content: bytes, *answers: Callable[[BaseHTTPRequestHandler], None]) -> None:
        self.content = content
        self.answers = list(answers)
        self.requests: list[Message] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.requests.append(self.headers)
                answer = owner.answers.pop(0) if len(owner.answers) > 1 else owner.answers[0]
                answer(self)

            def log_message(self, *_args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_args: object) -> None:
                pass  # a client that hangs up is part of some tests

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.url = f"http://127.0.0.1:{self._server.server_port}/files/data.bin"

    def __enter__(self) -> LoopbackServer:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def serve(monkeypatch):
    """Start a `LoopbackServer`; it ends with the test."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with ExitStack() as running:
        yield lambda content, *answers: running.enter_context(LoopbackServer(content, *answers))
