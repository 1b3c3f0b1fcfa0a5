"""The event loop of a service: signals that end it, and uncaught errors."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any


def run_service(service: Coroutine[Any, Any, None]) -> None:
    """Run a service until it ends."""
    # asyncio warns of each message to a client that has gone, and the client decides how many these are.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    asyncio.run(service)


def report_errors(report: Callable[[str], object]) -> None:
    """Call `report` with a line about each uncaught error of the running loop."""

    def on_error(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        report(f"{context.get('message')}: {context.get('exception', '')}")

    asyncio.get_running_loop().set_exception_handler(on_error)


@contextmanager
def ended_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM set `stop` during the block; in the main thread only, as Python requires."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    def end(*_arguments: object) -> None:
        loop.call_soon_threadsafe(stop.set)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
