"""What routes need of requests: their bodies, queries and path."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable
from typing import Any, BinaryIO, TypeVar

from starlette.requests import Request

from audioconv.errors import ConfigError
from audioconv.io.files import reason
from audioconv.lab.lab import Lab
from audioconv.serving.http_base import body
from audioconv.serving.limits import Limits, RefusedError

MAX_JSON_BYTES = 4_000_000

T = TypeVar("T")


async def json_body(request: Request, limits: Limits, known: set[str]) -> dict[str, Any]:
    """Return the JSON object of a body, whose names are among `known`.

    Raises
    ------
    ConfigError
        If it is something else.
    RefusedError
        If it is too large, or takes too long.
    """
    content = bytearray()
    async for part in body(request, limits):
        content += part
        if len(content) > MAX_JSON_BYTES:
            raise RefusedError(413, f"the body is larger than {MAX_JSON_BYTES:,} bytes")
    try:
        found = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        raise ConfigError("the body must be a JSON object") from None
    if not isinstance(found, dict):
        raise ConfigError("the body must be a JSON object")
    if unknown := sorted(found.keys() - known):
        raise ConfigError(f"unknown field {unknown[0][:60]!r}; known are {', '.join(sorted(known))}")
    return found


def list_of_ids(value: object) -> list[str]:
    """Return a list of texts; `ConfigError` for what is none."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ConfigError("ids must be a list of texts")
    return value


def number(value: object, name: str) -> float:
    """Return a finite number; `ConfigError` for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e9:
        raise ConfigError(f"{name} must be a number")
    return float(value)


class ReceivedFile:
    """The body of a request in a temporary file.

    Parameters
    ----------
    lab : Lab

    Attributes
    ----------
    file : binary file
    size : int
        In bytes.
    """

    def __init__(self, lab: Lab) -> None:
        self.file: BinaryIO = tempfile.TemporaryFile(prefix="audioconv-")  # noqa: SIM115
        self.size, self._uploads = 0, lab.uploads

    async def add(self, part: bytes) -> None:
        """Add the next bytes; `RefusedError` (503) if all uploads together are too large."""
        self._uploads.take(len(part))
        self.size += len(part)
        await asyncio.to_thread(self.file.write, part)

    def close(self) -> None:
        """Remove the file."""
        self.file.close()
        self._uploads.give_back(self.size)
        self.size = 0


async def receive_file(request: Request, lab: Lab) -> ReceivedFile:
    """Return the body of a request as a temporary file, which the caller closes.

    Raises
    ------
    RefusedError
        If it is larger than an upload may be, all uploads together are too large, or it takes too long.
    """
    largest = lab.limits.upload_bytes
    too_large = RefusedError(413, f"the file is larger than {largest:,} bytes; send a part of it, or compress it")
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > largest:
        raise too_large
    received = ReceivedFile(lab)
    try:
        async for part in body(request, lab.limits):
            if received.size + len(part) > largest:
                raise too_large
            await received.add(part)
    except OSError as error:
        received.close()
        raise RefusedError(507, f"the file cannot be kept ({reason(error)})") from None
    except BaseException:
        received.close()
        raise
    received.file.seek(0)
    return received


async def uploaded(request: Request, lab: Lab, work: Callable[[BinaryIO], T]) -> T:
    """Receive the body of a request, and return what `work` makes of it in a thread for uploads."""
    received = await receive_file(request, lab)
    found = lab.workers.for_upload(lambda: work(received.file))
    # Not before the thread has ended, which may be later than this request.
    found.add_done_callback(lambda _: received.close())
    return await asyncio.shield(found)
