"""Routes of the page's own files."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from audioconv.lab.lab import Lab
from audioconv.pages import CAPTURE, PALETTE, shared
from audioconv.serving.limits import RefusedError

SHARED = (PALETTE, CAPTURE)
"""Files that other pages have, too."""

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
}
"""By suffix; files with others are not served."""


def routes(lab: Lab) -> list[BaseRoute]:
    """Return the routes."""
    return [Route("/", _page, methods=["GET"]), Route("/{name:path}", _file, methods=["GET"])]


@cache
def content(name: str) -> tuple[bytes, str, str]:
    """Return a file of the page, its media type and its entity tag."""
    own = resources.files("audioconv.lab").joinpath("static", *name.split("/"))
    data = shared(name) if name in SHARED else own.read_bytes()
    return data, TYPES[f".{name.rpartition('.')[2]}"], f'"{hashlib.sha256(data).hexdigest()[:20]}"'


async def _page(request: Request) -> Response:
    return _answer(request, "index.html")


async def _file(request: Request) -> Response:
    return _answer(request, request.path_params["name"])


def _answer(request: Request, name: str) -> Response:
    if name not in _names():
        raise RefusedError(404, "there is no such path")
    data, kind, tag = content(name)
    headers = {"cache-control": "no-cache", "etag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(None, 304, headers)
    return Response(data, media_type=kind, headers=headers)


@cache
def _names() -> frozenset[str]:
    """Return the names of all files of the page: what is not among them is not looked for."""
    found: set[str] = set()

    def look(folder: resources.abc.Traversable, above: str) -> None:
        for entry in folder.iterdir():
            if entry.is_dir():
                look(entry, f"{above}{entry.name}/")
            elif f".{entry.name.rpartition('.')[2]}" in TYPES:
                found.add(above + entry.name)

    look(resources.files("audioconv.lab").joinpath("static"), "")
    return frozenset({*found, *SHARED})
