"""The server of the page as an ASGI application: its routes, its guard and its headers."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

from starlette.routing import BaseRoute

from audioconv.lab import (
    clip_routes,
    event_routes,
    helper_routes,
    listening_routes,
    project_routes,
    recording_routes,
    search_routes,
    static_routes,
    take_away_routes,
    training_routes,
)
from audioconv.lab.lab import Lab
from audioconv.serving.http_base import GuardedApp
from audioconv.serving.http_guard import Guard, host_names

ROUTE_MODULES = (
    project_routes,
    clip_routes,
    recording_routes,
    helper_routes,
    training_routes,
    listening_routes,
    search_routes,
    take_away_routes,
    event_routes,
    static_routes,
)
"""Each exports ``routes(lab)``; static files come last, since they answer any path."""

PROTECTED = "/api/"
"""Paths that need the token begin so; the page itself holds no secrets."""

PAGE_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; worker-src 'self' blob:; "
        "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "microphone=(self), camera=(self), geolocation=()",
}
"""Headers of every answer."""


class LabApp(GuardedApp):
    """The server of the page as an ASGI application.

    Parameters
    ----------
    lab : Lab
    guard : Guard
    report : callable
        Called with a line about each internal error.
    """

    def __init__(self, lab: Lab, guard: Guard, report: Callable[[str], object]) -> None:
        routes: list[BaseRoute] = [route for module in ROUTE_MODULES for route in module.routes(lab)]
        super().__init__(routes, guard, report, PAGE_HEADERS, "there is no such path")


def new_guard(host: str, more_names: Sequence[str] = (), *, on_loopback: bool) -> Guard:
    """Return a guard with a new random token."""
    names = host_names(host, more_names, on_loopback=on_loopback)
    return Guard(names, secrets.token_urlsafe(24).encode(), PROTECTED)
