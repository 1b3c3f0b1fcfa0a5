"""Routes of the project and its classes."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from audioconv._version import __version__
from audioconv.lab.lab import Lab
from audioconv.serving.http_base import json_response


def routes(lab: Lab) -> list[BaseRoute]:
    """Return the routes."""

    async def project(request: Request) -> Response:
        about = await lab.workers.for_stream(lab.project.to_json)
        more = {"settings": {}, "model": None, "run": None, **{name: value() for name, value in lab.fields.items()}}
        return json_response({"version": __version__, **about, **more})

    return [Route("/api/project", project, methods=["GET"])]
