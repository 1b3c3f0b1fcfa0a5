"""Routes of clips: lists, sounds and pictures, uploads and changes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from audioconv.errors import ConfigError
from audioconv.lab.clips import Clip
from audioconv.lab.headers import stamp_of
from audioconv.lab.lab import Lab
from audioconv.lab.pictures import etag, large, spectrogram, thumbnail
from audioconv.lab.requests import json_body, list_of_ids, number, uploaded
from audioconv.lab.storing import MAX_UPLOAD_SECONDS, as_wav, in_memory
from audioconv.serving.http_base import json_response
from audioconv.serving.http_query import Query
from audioconv.serving.limits import RefusedError

MAX_LISTED = 1000
"""Clips of one answer."""

MAX_PICTURE_WIDTH, MAX_PICTURE_HEIGHT = 1600, 400
KEPT_PICTURES = 2000
"""Pictures that are kept in memory; each has a few thousand bytes."""

PLAYED_SECONDS = 120.0
"""Of a longer clip, the beginning is played."""


def routes(lab: Lab) -> list[BaseRoute]:
    """Return the routes."""
    project, kept = lab.project, _Kept(KEPT_PICTURES)

    def as_json(clips: list[Clip]) -> list[dict[str, Any]]:
        return [project.clip_json(clip) for clip in clips]

    async def clips(request: Request) -> Response:
        query = Query(request.query_params.multi_items(), {"class", "offset", "limit", "faults"})
        label = query.text("class")
        offset = query.whole("offset", 0, 10_000_000) or 0
        limit = query.whole("limit", 1, MAX_LISTED) or 200
        only_faulty = query.whole("faults", 0, 1) == 1

        def listed() -> dict[str, Any]:
            revision, found = project.revision, project.clips(label)
            found.reverse()  # the newest first
            if only_faulty:
                found = [clip for clip in found if project.has_faults(clip)]
            return {
                "total": len(found),
                "revision": revision,
                "clips": as_json(found[offset : offset + limit]),
            }

        return json_response(await lab.workers.for_stream(listed))

    async def upload(request: Request) -> Response:
        query = Query(request.query_params.multi_items(), {"class", "speaker", "name", "cut"})
        label, name = query.text("class"), query.text("name")
        if not label or not name:
            raise ConfigError("an upload needs the parameters class and name")
        speaker, cut = query.text("speaker"), query.whole("cut", 0, 1) == 1

        def store(file: Any) -> dict[str, Any]:
            added, skipped = project.add_upload(file, name, label, speaker, cut=cut)
            return {"clips": as_json(added), "skipped": skipped}

        return json_response(await uploaded(request, lab, store))

    async def change(request: Request) -> Response:
        asked = await json_body(request, lab.limits, {"class", "speaker", "begin", "end"})
        identifier = request.path_params["identifier"]

        def changed() -> dict[str, Any]:
            clip = project.clip(identifier)
            if "begin" in asked or "end" in asked:
                begin = number(asked.get("begin", 0.0), "begin")
                clip = project.trim(clip.id, begin, number(asked.get("end", MAX_UPLOAD_SECONDS), "end"))
            if "speaker" in asked:
                clip = (project.set_speaker([clip.id], asked["speaker"]) or [clip])[0]
            if "class" in asked:
                clip = (project.move([clip.id], asked["class"]) or [clip])[0]
            return project.clip_json(clip)

        return json_response(await lab.workers.for_stream(changed))

    async def delete_one(request: Request) -> Response:
        identifier = request.path_params["identifier"]
        return json_response({"deleted": await lab.workers.for_stream(lambda: project.delete([identifier]))})

    async def delete_many(request: Request) -> Response:
        ids = list_of_ids((await json_body(request, lab.limits, {"ids"})).get("ids"))
        return json_response({"deleted": await lab.workers.for_stream(lambda: project.delete(ids))})

    async def move(request: Request) -> Response:
        asked = await json_body(request, lab.limits, {"ids", "class"})
        ids = list_of_ids(asked.get("ids"))
        moved = await lab.workers.for_stream(lambda: as_json(project.move(ids, asked.get("class"))))
        return json_response({"clips": moved})

    async def speaker(request: Request) -> Response:
        asked = await json_body(request, lab.limits, {"ids", "speaker"})
        ids = list_of_ids(asked.get("ids"))
        changed = await lab.workers.for_stream(lambda: as_json(project.set_speaker(ids, asked.get("speaker"))))
        return json_response({"clips": changed})

    # --- what a clip sounds and looks like ---

    async def file_of(request: Request, key: tuple[object, ...], make: Callable[[Clip], tuple[bytes, str]]) -> Response:
        clip = project.clip(request.path_params["identifier"])
        stamp = await lab.workers.for_stream(lambda: stamp_of(clip.item.path))
        tag = etag(stamp, *key)
        headers = {"etag": tag, "cache-control": "private, no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(None, 304, headers)
        found = kept.get((clip.id, tag))
        if found is None:
            found = await lab.workers.for_stream(lambda: make(clip))
            if key[0] != "audio":
                kept.put((clip.id, tag), found)
        content, kind = found
        return Response(content, media_type=kind, headers=headers)

    async def audio(request: Request) -> Response:
        def make(clip: Clip) -> tuple[bytes, str]:
            _require(project.kind == "audio", "a picture has no sound")
            samples, rate = in_memory(clip.item.example, clip.id, MAX_UPLOAD_SECONDS, keep=PLAYED_SECONDS)
            return as_wav(samples, rate), "audio/wav"

        return await file_of(request, ("audio",), make)

    async def image(request: Request) -> Response:
        def make(clip: Clip) -> tuple[bytes, str]:
            _require(project.kind == "images", "a recording is no picture; see /picture")
            return large(clip.item.path)

        return await file_of(request, ("image",), make)

    async def picture(request: Request) -> Response:
        query = Query(request.query_params.multi_items(), {"width", "height", "dark"})
        width = query.whole("width", 8, MAX_PICTURE_WIDTH) or 160
        height = query.whole("height", 8, MAX_PICTURE_HEIGHT) or 64
        dark = query.whole("dark", 0, 1) == 1

        def make(clip: Clip) -> tuple[bytes, str]:
            if project.kind == "images":
                return thumbnail(clip.item.path, width, height), "image/png"
            return spectrogram(clip.item.example, width, height, dark=dark), "image/png"

        return await file_of(request, ("picture", width, height, int(dark)), make)

    return [
        Route("/api/clips", clips, methods=["GET"]),
        Route("/api/clips", upload, methods=["POST"]),
        Route("/api/clips/move", move, methods=["POST"]),
        Route("/api/clips/delete", delete_many, methods=["POST"]),
        Route("/api/clips/speaker", speaker, methods=["POST"]),
        Route("/api/clips/{identifier:path}/audio", audio, methods=["GET"]),
        Route("/api/clips/{identifier:path}/image", image, methods=["GET"]),
        Route("/api/clips/{identifier:path}/picture", picture, methods=["GET"]),
        Route("/api/clips/{identifier:path}", change, methods=["PATCH"]),
        Route("/api/clips/{identifier:path}", delete_one, methods=["DELETE"]),
    ]


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise RefusedError(404, message)


class _Kept:
    """The files that were made last."""

    def __init__(self, count: int) -> None:
        self._count, self._lock = count, threading.Lock()
        self._files: OrderedDict[tuple[str, str], tuple[bytes, str]] = OrderedDict()

    def get(self, key: tuple[str, str]) -> tuple[bytes, str] | None:
        with self._lock:
            if key in self._files:
                self._files.move_to_end(key)
            return self._files.get(key)

    def put(self, key: tuple[str, str], value: tuple[bytes, str]) -> None:
        with self._lock:
            self._files[key] = value
            while len(self._files) > self._count:
                self._files.popitem(last=False)
