"""The OpenAPI description of the HTTP service."""

from __future__ import annotations

from typing import Any

from audioconv._version import __version__
from audioconv.serving.limits import MAX_CHANNELS, MAX_MESSAGE_BYTES, Limits
from audioconv.serving.models import ServedModels

_NUMBER: dict[str, Any] = {"type": "number"}
_TEXT: dict[str, Any] = {"type": "string"}
_LABEL = {"type": ["string", "null"], "description": 'null for "none of these"'}
_SCORE = {"type": "number", "minimum": 0, "maximum": 1}
_PLACE = {"type": "number", "description": "seconds from the beginning of the recording"}


def description(models: ServedModels, limits: Limits) -> dict[str, Any]:
    """Return the description (OpenAPI 3.1) of a service with these models and limits."""
    query = _Parameters([one.name for one in models.served])
    refusals = {
        "400": "a parameter is unknown or out of its range",
        "401": "the token is missing or wrong, where the service has one",
        "403": "the request comes from a web page of another origin",
        "421": "the Host header is not the address of the service",
    }
    classify = {
        "summary": "Classify a recording; a long one has detections as well",
        "parameters": [query.model, query.of("top", "integer", "how many labels to score"), query.threshold],
        "requestBody": {
            "required": True,
            "description": f"a recording of any format, at most {limits.upload_bytes} bytes",
            "content": {"application/octet-stream": {}, "audio/*": {}},
        },
        "responses": {
            "200": _answer("Recording"),
            **_refused(refusals),
            **_refused(
                {
                    "408": "the recording did not come in time",
                    "413": "the recording is too large",
                    "415": "the body is a form or compressed",
                    "422": "the recording cannot be read",
                    "503": "there are too many clients, or the time is over",
                }
            ),
        },
    }
    stream = {
        "summary": "Detect words in a stream (WebSocket)",
        "description": (
            f"The client sends binary messages of at most {MAX_MESSAGE_BYTES} bytes: 16-bit little-endian samples, "
            'channels interleaved, cut anywhere. The text message {"type": "end"} ends the stream. The service sends '
            'text messages: {"type": "ready", ...}, then {"type": "detection", "label", "start", "end", "score"} for '
            'each word, then {"type": "end", "seconds"}; or {"type": "error", "error"}. A stream that sends nothing '
            f"for {limits.idle_seconds:g} s is closed."
        ),
        "parameters": [
            query.model,
            query.of("rate", "integer", "sample rate in Hz; the model's by default"),
            query.of("channels", "integer", f"1 to {MAX_CHANNELS}; 1 by default"),
            query.threshold,
        ],
        "responses": {
            "101": {"description": "the stream begins"},
            **_refused(refusals),
            **_refused({"426": "the request is no WebSocket", "503": "there are too many clients"}),
        },
    }
    token = [{"token": list[str]()}, {}]
    return {
        "openapi": "3.1.0",
        "info": {"title": "audioconv", "version": __version__, "description": "Keywords and sounds in recordings"},
        "paths": {
            "/classify": {"post": {**classify, "security": token}},
            "/stream": {"get": {**stream, "security": token}},
            "/models": {"get": _plain("The models and their words", "Models", refusals, token)},
            "/health": {"get": _plain("Whether the service runs", "Health", {"421": refusals["421"]}, [])},
            "/openapi.json": {
                "get": {
                    "summary": "This description",
                    "security": token,
                    "responses": {
                        "200": {"description": "the description", "content": {"application/json": {}}},
                        **_refused(refusals),
                    },
                }
            },
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(),
        },
    }


class _Parameters:
    def __init__(self, names: list[str]) -> None:
        self.model = self.of("model", "string", "which model; the first by default", enum=names)
        self.threshold = self.of("threshold", "number", "least score of detections", minimum=0, maximum=1)

    def of(self, name: str, type: str, what: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "in": "query", "description": what, "schema": {"type": type, **more}}


def _plain(summary: str, schema: str, refusals: dict[str, str], security: list[Any]) -> dict[str, Any]:
    return {"summary": summary, "security": security, "responses": {"200": _answer(schema), **_refused(refusals)}}


def _answer(schema: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": schema.lower(), "content": content}


def _refused(reasons: dict[str, str]) -> dict[str, Any]:
    return {status: {**_answer("Error"), "description": reason} for status, reason in reasons.items()}


def _schemas() -> dict[str, Any]:
    texts = {"type": "array", "items": _TEXT}
    answer = {"label": _LABEL, "nearest": {**_TEXT, "description": "the likeliest label"}, "score": _SCORE}
    return {
        "Error": _object({"error": _TEXT}),
        "Health": _object({"status": {"const": "ok"}, "version": _TEXT}),
        "Models": _object({"models": {"type": "array", "items": {"$ref": "#/components/schemas/Model"}}}),
        "Model": _object(
            {
                "name": _TEXT,
                "words": texts,
                "labels": texts,
                "sample_rate": {"type": "integer", "description": "Hz"},
                "window_seconds": _NUMBER,
                "threshold": _SCORE,
            }
        ),
        "Recording": _object(
            {
                "model": _TEXT,
                "seconds": {"type": "number", "description": "length of the recording"},
                **answer,
                "scores": {"type": "object", "additionalProperties": _SCORE},
                "windows": {"type": "array", "items": _object({"begin": _PLACE, "end": _PLACE, **answer})},
                "detections": {"type": "array", "items": {"$ref": "#/components/schemas/Detection"}},
            },
            optional=("detections",),
        ),
        "Detection": _object({"label": _TEXT, "start": _PLACE, "end": _PLACE, "score": _SCORE}),
    }


def _object(properties: dict[str, Any], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
