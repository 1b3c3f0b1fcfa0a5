"""Routes of training, and of what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from audioconv.errors import DataError
from audioconv.lab.lab import Lab
from audioconv.lab.models import ProjectModel
from audioconv.lab.project import Project
from audioconv.lab.requests import json_body
from audioconv.lab.training import OPTIONS, Training
from audioconv.lab.training_child import RESULTS_NAME
from audioconv.serving.http_base import json_response
from audioconv.serving.limits import RefusedError


def routes(lab: Lab) -> list[BaseRoute]:
    """Return the routes."""
    model = lab.model
    training = Training(lab.project, model, lab.events.publish)
    lab.resources.callback(training.close)
    lab.fields |= {"settings": training.settings, "model": model.to_json, "run": lambda: training.run}

    async def train(request: Request) -> Response:
        options = await json_body(request, lab.limits, {option["name"] for option in OPTIONS})
        return json_response(await lab.workers.for_stream(lambda: training.start(options)))

    async def resume(request: Request) -> Response:
        await json_body(request, lab.limits, set())
        return json_response(await lab.workers.for_stream(training.resume))

    async def cancel(request: Request) -> Response:
        await json_body(request, lab.limits, set())
        return json_response(await lab.workers.for_stream(training.cancel))

    async def results(request: Request) -> Response:
        def read() -> dict[str, Any]:
            found = read_results(model)
            return {**found, "mistakes": with_clips(found.get("mistakes", []), lab.project)}

        return json_response(await lab.workers.for_stream(read))

    async def curve(request: Request) -> Response:
        found = await lab.workers.for_stream(lambda: read_results(model))
        return json_response(found.get("curve") or {"threshold": None, "hours": None, "points": []})

    return [
        Route("/api/train", train, methods=["POST"]),
        Route("/api/train/resume", resume, methods=["POST"]),
        Route("/api/train/cancel", cancel, methods=["POST"]),
        Route("/api/results", results, methods=["GET"]),
        Route("/api/curve", curve, methods=["GET"]),
    ]


def read_results(model: ProjectModel) -> dict[str, Any]:
    """Return the results beside the model; `RefusedError` (404) if there are none."""
    path: Path = model.folder / RESULTS_NAME
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise RefusedError(404, "there are no results yet; train first") from None
    except (OSError, ValueError):
        raise DataError(f"{RESULTS_NAME}: cannot be read; train again") from None
    if not isinstance(found, dict):
        raise DataError(f"{RESULTS_NAME}: is damaged; train again")
    return found


def with_clips(mistakes: list[Mapping[str, Any]], project: Project) -> list[dict[str, Any]]:
    """Return mistakes with the clips themselves; those whose clip has been moved or removed are left out."""
    found = []
    for one in mistakes:
        try:
            clip = project.clip(str(one["clip"]))
        except RefusedError:
            continue
        if clip.item.label == one["label"]:
            found.append({**one, "clip": project.clip_json(clip)})
    return found
