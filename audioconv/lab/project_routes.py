"""Routes of the project and its classes."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from audioconv._version import __version__
from audioconv.lab.lab import Lab
from audioconv.lab.requests import json_body
from audioconv.serving.http_base import json_response


def routes(lab: Lab) -> list[BaseRoute]:
    """Return the routes."""

    async def project(request: Request) -> Response:
        about = await lab.workers.for_stream(lab.project.to_json)
        more = {"settings": {}, "model": None, "run": None, **{name: value() for name, value in lab.fields.items()}}
        # Browsers give the microphone to pages of this machine, and to others over https.
        hint = None if _is_secure(request) else "insecure"
        return json_response({"version": __version__, **about, **more, "microphone_hint": hint})

    async def add_class(request: Request) -> Response:
        asked = await json_body(request, lab.limits, {"name"})
        return json_response({"name": await lab.workers.for_stream(lambda: lab.project.add_class(asked.get("name")))})

    async def rename_class(request: Request) -> Response:
        asked = await json_body(request, lab.limits, {"name"})
        label = request.path_params["label"]
        name = await lab.workers.for_stream(lambda: lab.project.rename_class(label, asked.get("name")))
        return json_response({"name": name})

    async def delete_class(request: Request) -> Response:
        label = request.path_params["label"]
        return json_response({"deleted": await lab.workers.for_stream(lambda: lab.project.delete_class(label))})

    async def undo(request: Request) -> Response:
        return json_response({"undone": await lab.workers.for_stream(lab.project.undo)})

    return [
        Route("/api/project", project, methods=["GET"]),
        Route("/api/classes", add_class, methods=["POST"]),
        Route("/api/classes/{label:path}", rename_class, methods=["PATCH"]),
        Route("/api/classes/{label:path}", delete_class, methods=["DELETE"]),
        Route("/api/undo", undo, methods=["POST"]),
    ]


def _is_secure(request: Request) -> bool:
    name = request.url.hostname or ""
    return request.url.scheme == "https" or name in ("localhost", "::1") or name.startswith("127.")
