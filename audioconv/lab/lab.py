"""`Lab`: what all parts of the page's server share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from audioconv.lab.events import EventHub
from audioconv.lab.models import ProjectModel
from audioconv.lab.project import Project
from audioconv.serving.limits import UPLOADS_IN_MEMORY, Budget, Limits
from audioconv.serving.workers import Workers

LIMITS = Limits(clients=64, upload_bytes=500_000_000, seconds=300.0, idle_seconds=60.0)
"""Of the page's server: requests at a time, the largest upload, seconds for one, and until a silent stream ends."""

MAX_STREAMS = 8
"""Recordings and live streams at a time, of all pages."""


@dataclass
class Lab:
    """What routes share.

    Attributes
    ----------
    project : Project
        The folder.
    workers : Workers
        Threads for what blocks.
    events : EventHub
        To all open pages.
    limits : Limits
    fields : dict of str to callable
        Further fields of ``GET /api/project``, such as ``run``, each with a function that returns its value quickly.
    resources : ExitStack
        Closed, last in first out, when the server ends; a part pushes what ends its threads and processes.
    model : ProjectModel
        What training has left in the folder.
    uploads : Budget
        Bytes of all uploads together.
    streams : Budget
        Streams of sound at a time.
    """

    project: Project
    workers: Workers
    events: EventHub
    limits: Limits = LIMITS
    fields: dict[str, Callable[[], object]] = field(default_factory=dict)
    resources: ExitStack = field(default_factory=ExitStack)
    model: ProjectModel = field(init=False)
    uploads: Budget = field(init=False)
    streams: Budget = field(init=False)

    def __post_init__(self) -> None:
        """Tell all pages of changes of the project."""
        self.model = ProjectModel(self.project.folder)
        room = UPLOADS_IN_MEMORY * self.limits.upload_bytes
        self.uploads = Budget(room, "other files are being uploaded; try again later")
        self.streams = Budget(MAX_STREAMS, f"{MAX_STREAMS} recordings are going on; end one of them")
        self.project.on_change.append(
            lambda: self.events.publish({"type": "project", "revision": self.project.revision})
        )

    def close(self) -> None:
        """End everything that goes on."""
        self.events.close()
        self.workers.stopping.set()
        self.resources.close()
        self.workers.close()
