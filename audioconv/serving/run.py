"""Running the services of one process, until a signal ends them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from audioconv.model import Model
from audioconv.serving.addresses import name_of
from audioconv.serving.limits import Limits
from audioconv.serving.loop import ended_by_signals, report_errors, run_service
from audioconv.serving.models import ServedModels
from audioconv.serving.workers import Workers
from audioconv.streaming import Detector

if TYPE_CHECKING:
    from audioconv.serving.http_guard import Guard


@dataclass(frozen=True)
class Services:
    """What one process serves.

    Attributes
    ----------
    models : ServedModels
    wyoming, http : socket, optional
        Where each service listens; None for no such service.
    guard : Guard, optional
        Of the HTTP service.
    limits : Limits
    threshold : float, optional
        See `Detector`.
    hop_seconds : float
    zeroconf : str, optional
        Name under which the Wyoming service is announced in the network.
    """

    models: ServedModels
    wyoming: socket.socket | None = None
    http: socket.socket | None = None
    guard: Guard | None = None
    limits: Limits = field(default_factory=Limits)
    threshold: float | None = None
    hop_seconds: float = 0.1
    zeroconf: str | None = None

    def new_detector(self, model: Model, sample_rate: int | None = None) -> Detector:
        """Return a detector of the model with these settings."""
        return Detector(model, sample_rate=sample_rate, threshold=self.threshold, hop_seconds=self.hop_seconds)

    def warm_up(self) -> None:
        """Run each model on silence, so that kernels are compiled before the first client connects.

        Raises
        ------
        ConfigError
            If a setting cannot work with a model.
        """
        for one in self.models.served:
            assert one.model.clip_samples is not None
            one.model.predict(np.zeros((1, one.model.clip_samples), np.float32))
            self.new_detector(one.model).push(np.zeros(2 * one.model.clip_samples, np.float32))


def run(services: Services, ready: Callable[[str], object], report: Callable[[str], object]) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Parameters
    ----------
    services : Services
    ready : callable
        Called with the address of each service once it listens.
    report : callable
        Called with a line about each internal error.

    Raises
    ------
    DataError
        If the service cannot be announced.
    """
    run_service(serve(services, ready, report))


async def serve(
    services: Services,
    ready: Callable[[str], object],
    report: Callable[[str], object],
    stop: asyncio.Event | None = None,
) -> None:
    """Serve until `stop` is set, or a signal comes; see `run`."""
    stop = stop or asyncio.Event()
    report_errors(report)
    with ended_by_signals(stop):
        async with AsyncExitStack() as stack:
            workers = Workers()
            stack.callback(workers.close)
            if services.wyoming is not None:
                from audioconv.serving.wyoming_server import WyomingService

                wyoming = WyomingService(services.models, services.new_detector, workers, services.limits, report)
                stack.push_async_callback(wyoming.stop)
                await wyoming.start(services.wyoming)
                if services.zeroconf is not None:
                    from audioconv.serving.announcing import announced

                    await stack.enter_async_context(announced(services.wyoming, services.zeroconf))
                ready(f"wyoming: tcp://{name_of(services.wyoming)}")
            if services.http is not None and services.guard is not None:
                from audioconv.serving.http_app import HttpApp
                from audioconv.serving.http_server import HttpService

                app = HttpApp(
                    services.models,
                    services.guard,
                    workers,
                    services.limits,
                    threshold=services.threshold,
                    hop_seconds=services.hop_seconds,
                    report=report,
                )
                http = HttpService(app, services.limits)
                stack.push_async_callback(http.stop)
                await http.start(services.http)
                ready(f"http: http://{name_of(services.http)}")
            await stop.wait()
            workers.stopping.set()
