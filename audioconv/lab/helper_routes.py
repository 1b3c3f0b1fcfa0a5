"""Routes of what helps to collect: findings about the data, and synthetic voices."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from audioconv.errors import ConfigError
from audioconv.lab import voices
from audioconv.lab.faults import Checker
from audioconv.lab.lab import Lab
from audioconv.lab.requests import json_body
from audioconv.serving.http_base import json_response


def routes(lab: Lab) -> list[BaseRoute]:
    """Return the routes; a thread that checks the data begins, and ends with the server."""
    checker = Checker(lab.project, lab.events)
    checker.start()
    lab.resources.callback(checker.close)
    lab.fields["voices"] = voices.are_there

    async def check(request: Request) -> Response:
        return json_response(checker.to_json())

    async def list_voices(request: Request) -> Response:
        return json_response(await lab.workers.for_upload(voices.listed))

    async def say(request: Request) -> Response:
        asked = await json_body(request, lab.limits, {"class", "text", "language", "count", "engine"})
        label = asked.get("class")
        if not isinstance(label, str):
            raise ConfigError("class must be a text")
        text, language = asked.get("text", label), asked.get("language", "en")
        count, engine = asked.get("count", 10), asked.get("engine") or "espeak-ng"

        def spoken() -> list[dict[str, object]]:
            clips = voices.say(lab.project, label, text, language, count, engine)
            return [lab.project.clip_json(clip) for clip in clips]

        return json_response({"clips": await lab.workers.for_upload(spoken)})

    return [
        Route("/api/check", check, methods=["GET"]),
        Route("/api/voices", list_voices, methods=["GET"]),
        Route("/api/say", say, methods=["POST"]),
    ]
