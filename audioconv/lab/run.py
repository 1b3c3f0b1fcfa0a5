"""Running the page's server until a signal ends it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from audioconv.errors import AudioconvError
from audioconv.lab.app import LabApp
from audioconv.lab.events import EventHub
from audioconv.lab.lab import LIMITS, Lab
from audioconv.lab.project import Project
from audioconv.serving.http_guard import Guard
from audioconv.serving.http_server import HttpService
from audioconv.serving.limits import Limits
from audioconv.serving.loop import ended_by_signals, report_errors, run_service
from audioconv.serving.workers import Workers

RESCAN_SECONDS = 2.0
"""Between two looks at the folder."""


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


def run(service: LabService, ready: Callable[[Lab], object], report: Callable[[str], object]) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Parameters
    ----------
    service : LabService
    ready : callable
        Called with what is served once the server listens.
    report : callable
        Called with a line about each internal error.

    Raises
    ------
    DataError
        If the folder is no project, or the certificate cannot be used.
    """
    run_service(serve(service, ready, report))


async def serve(
    service: LabService,
    ready: Callable[[Lab], object],
    report: Callable[[str], object],
    stop: asyncio.Event | None = None,
) -> None:
    """Serve until `stop` is set, or a signal comes; see `run`."""
    stop = stop or asyncio.Event()
    report_errors(report)
    with ended_by_signals(stop):
        async with AsyncExitStack() as stack:
            project = Project(service.folder)
            lab = Lab(project, Workers(), EventHub(), service.limits)
            stack.callback(lab.close)
            app = LabApp(lab, service.guard, report)
            http = HttpService(app, service.limits, service.certificate, service.key)
            stack.push_async_callback(http.stop)
            await http.start(service.listener)
            rescanning = asyncio.create_task(_rescan(lab, report))
            stack.callback(rescanning.cancel)
            ready(lab)
            await stop.wait()
            lab.events.close()
            lab.workers.stopping.set()


async def _rescan(lab: Lab, report: Callable[[str], object]) -> None:
    """Look now and then at what others did to the folder, while a page is open."""
    failure = ""
    while True:
        await asyncio.sleep(RESCAN_SECONDS)
        if lab.events.subscribers:
            try:
                await lab.workers.for_stream(lab.project.rescan)
                failure = ""
            except AudioconvError as error:
                if str(error) != failure:
                    failure = str(error)
                    lab.events.publish({"type": "note", "message": failure})
            except Exception as error:
                report(f"rescan: {type(error).__name__}: {error}")
