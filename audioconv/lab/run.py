"""Running the page's server until a signal ends it."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audioconv.lab.app import LabApp
from audioconv.lab.events import EventHub
from audioconv.lab.lab import LIMITS, Lab
from audioconv.lab.project import Project
from audioconv.serving.http_guard import Guard
from audioconv.serving.http_server import HttpService
from audioconv.serving.limits import Limits
from audioconv.serving.signals import ended_by_signals
from audioconv.serving.workers import Workers


@dataclass(frozen=True)
class LabService:
    """What one process serves.

    Attributes
    ----------
    folder : Path
        The project.
    listener : socket
    guard : Guard
    limits : Limits
    certificate, key : Path, optional
        For encrypted connections. Default: none.
    """

    folder: Path
    listener: socket.socket
    guard: Guard
    limits: Limits = field(default_factory=lambda: LIMITS)
    certificate: Path | None = None
    key: Path | None = None


def run(service: LabService, ready: Callable[[], object], report: Callable[[str], object]) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Parameters
    ----------
    service : LabService
    ready : callable
        Called once the server listens.
    report : callable
        Called with a line about each internal error.

    Raises
    ------
    DataError
        If the folder is no project, or the certificate cannot be used.
    """
    # asyncio warns of each message to a client that has gone, and the client decides how many these are.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    asyncio.run(serve(service, ready, report))


async def serve(
    service: LabService,
    ready: Callable[[], object],
    report: Callable[[str], object],
    stop: asyncio.Event | None = None,
) -> None:
    """Serve until `stop` is set, or a signal comes; see `run`."""
    stop = stop or asyncio.Event()

    def on_error(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        report(f"{context.get('message')}: {context.get('exception', '')}")

    asyncio.get_running_loop().set_exception_handler(on_error)
    with ended_by_signals(stop):
        async with AsyncExitStack() as stack:
            lab = Lab(Project(service.folder), Workers(), EventHub(), service.limits)
            stack.callback(lab.close)
            app = LabApp(lab, service.guard, report)
            http = HttpService(app, service.limits, service.certificate, service.key)
            stack.push_async_callback(http.stop)
            await http.start(service.listener)
            ready()
            await stop.wait()
            lab.events.close()
            lab.workers.stopping.set()
