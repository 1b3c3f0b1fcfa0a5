"""Routes of what can be taken away: the model, its report, and the model in other formats."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from audioconv.lab.lab import Lab
from audioconv.lab.take_away import formats_for, written
from audioconv.lab.training_child import MODEL_NAME, REPORT_NAME
from audioconv.serving.http_base import HEADERS, json_response
from audioconv.serving.limits import RefusedError


def routes(lab: Lab) -> list[BaseRoute]:
    """Return the routes."""

    async def formats(request: Request) -> Response:
        return json_response(await lab.workers.for_stream(lambda: formats_for(lab.model.require())))

    async def export(request: Request) -> Response:
        name = request.path_params["format"]
        file, content = await lab.workers.for_upload(lambda: written(name, lab.model, lab.project.folder))
        return _download(file, content)

    async def model(request: Request) -> Response:
        file, content = await lab.workers.for_stream(lambda: written("audioconv", lab.model, lab.project.folder))
        return _download(file, content)

    async def report(request: Request) -> Response:
        content = await lab.workers.for_stream(lambda: _read(lab.model.folder / REPORT_NAME))
        return Response(content, media_type="text/html; charset=utf-8", headers=HEADERS)

    return [
        Route("/api/exports", formats, methods=["GET"]),
        Route("/api/exports/{format}", export, methods=["POST"]),
        Route("/api/model", model, methods=["GET"]),
        Route("/api/report", report, methods=["GET"]),
    ]


def _download(name: str, content: bytes) -> Response:
    kind = "application/zip" if name.endswith(".zip") else "application/octet-stream"
    return Response(
        content, media_type=kind, headers={**HEADERS, "content-disposition": f'attachment; filename="{name}"'}
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise RefusedError(404, f"there is no report yet; train first, which writes it beside {MODEL_NAME}") from None
