"""One connection of a download, and the file of the bytes that came so far."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit, urlunsplit

from audioconv._version import __version__
from audioconv.errors import ConfigError, DataError
from audioconv.io.files import display_path

CHUNK = 1 << 18
"""Bytes that are read from a connection at a time."""

RESERVE = 200_000_000
"""Bytes that a download leaves free on the disk."""

Progress = Callable[[int, int | None], None]
"""Function of the bytes that are there and their total, None where the server does not give it."""


class TemporaryError(Exception):
    """A temporary failure; `wait` is the time in seconds that the server requested, 0 without one."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from HTTPS to an unprotected address."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if req.type == "https" and urlsplit(newurl).scheme != "https":
            raise DataError(f"{display_url(req.full_url)}: refused, the server redirects to an address without HTTPS")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@dataclass(frozen=True)
class _Content:
    """Version of the content of an address, as far as the server gives one.

    Attributes
    ----------
    validator : str
        A strong ETag, or else the date of the last change; empty without either.
    total : int or None
        Number of bytes.
    identity : str
        Identity that the caller gives.
    """

    validator: str = ""
    total: int | None = None
    identity: str = ""

    def differs(self, other: _Content) -> bool:
        """Return True if what both are known by is not the same."""
        return bool(self.validator and other.validator and self.validator != other.validator) or (
            self.total is not None and other.total is not None and self.total != other.total
        )


class Transfer:
    """A download's part file, and of which content it is the beginning."""

    def __init__(
        self, url: str | Callable[[], str], part: Path, size: int | None, identity: str, *, can_verify: bool
    ) -> None:
        self.address = url
        self.url = "" if callable(url) else url
        self.part = part
        self.size = size
        self.identity = identity
        self.can_verify = can_verify
        self.content_file = part.with_name(part.name + ".json")
        self.opener = urllib.request.build_opener(_SafeRedirects)

    @property
    def shown(self) -> str:
        """The address as it may be shown."""
        return display_url(self.url)

    def have(self) -> int:
        """Return how many bytes are there."""
        return self.part.stat().st_size if self.part.exists() else 0

    def discard(self) -> None:
        """Remove what is there."""
        self.content_file.unlink(missing_ok=True)
        self.part.unlink(missing_ok=True)

    def run(self, timeout: float, progress: Progress | None) -> bool:
        """Bring the part file to its end over one connection; return whether it goes on from earlier bytes."""
        if callable(self.address):
            self.url = self.address()
        if urlsplit(self.url).scheme not in ("https", "http"):
            raise ConfigError(f"{self.shown}: downloads need an https or http address")
        before = self._content()
        same = bool(self.identity) and before.identity == self.identity
        if before.identity != self.identity or not (before.validator or same or self.can_verify):
            self.discard()
        have = self.have()
        headers = {"User-Agent": f"audioconv/{__version__}", "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if before.validator:
                headers["If-Range"] = before.validator
        try:
            answer = self.opener.open(urllib.request.Request(self.url, headers=headers), timeout=timeout)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 416 and have:
                    return self._after_the_end(error.headers, have)
                raise self._refusal(error) from None
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None
        with answer:
            resumed = bool(answer.status == 206)
            start = have if resumed else 0
            content = _Content(_validator(answer.headers), _total(answer.headers, start), self.identity)
            if resumed and (_first_byte(answer.headers) != have or content.differs(before)):
                self.discard()
                raise TemporaryError("the server went on with something else")
            if self.size is not None and content.total not in (None, self.size):
                self.discard()
                raise DataError(f"{self.shown}: has {content.total} bytes where {self.size} were expected")
            self._check_room((content.total or self.size or 0) - start)
            if not resumed:
                # In this order: at no time is a content written down beside bytes that are not of it.
                self.discard()
                self.part.touch()
                self.content_file.write_text(json.dumps(asdict(content)), "utf-8")
            self._receive(answer, start, content.total, progress)
        return resumed

    def _content(self) -> _Content:
        try:
            return _Content(**json.loads(self.content_file.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return _Content()

    def _check_room(self, needed: int) -> None:
        """Raise `DataError` where so many further bytes do not fit on the disk."""
        free = shutil.disk_usage(self.part.parent).free
        if needed + RESERVE > free:
            raise DataError(
                f"{display_path(self.part.parent)}: has {free / 1e9:.1f} GB free, and {self.shown} needs "
                f"{needed / 1e9:.1f} GB more; make room, or choose a folder on another disk"
            )

    def _receive(
        self, answer: http.client.HTTPResponse, start: int, total: int | None, progress: Progress | None
    ) -> None:
        here = start
        with self.part.open("ab") as file:
            while True:
                if progress:
                    progress(here, total or self.size)
                try:
                    chunk = answer.read(CHUNK)
                except (OSError, http.client.HTTPException) as error:
                    raise self._unreachable(error) from None
                if not chunk or (self.size is not None and here > self.size):
                    break  # the end, or more than there should be, which the check reports
                file.write(chunk)
                here += len(chunk)
            file.flush()
            os.fsync(file.fileno())
        # http.client does not complain itself when a body ends early.
        if total is not None and here < total:
            raise TemporaryError(f"the connection ended after {here} of {total} bytes")

    def _after_the_end(self, headers: Message, have: int) -> bool:
        """Deal with "nothing after these bytes": either that is the end, or the part is not of this content."""
        if headers.get("Content-Range", "") == f"bytes */{have}":
            return True
        self.discard()
        raise TemporaryError("the server has less than what came before")

    def _refusal(self, error: urllib.error.HTTPError) -> Exception:
        if error.code in (408, 425, 429, 500, 502, 503, 504):
            return TemporaryError(f"the server answers {error.code} ({error.reason})", retry_after(error.headers))
        if callable(self.address) and error.code in (401, 403):  # a signed address whose time is over
            return TemporaryError(f"the server answers {error.code} ({error.reason})")
        return DataError(f"{self.shown}: the server answers {error.code} ({error.reason})")

    def _unreachable(self, error: Exception) -> Exception:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(cause, ssl.SSLCertVerificationError):
            return DataError(
                f"{self.shown}: the server's certificate cannot be verified ({cause.verify_message}); "
                "check the clock, the proxy and the system's certificates"
            )
        return TemporaryError(f"the connection failed ({cause or type(cause).__name__})")


def display_url(url: str) -> str:
    """Return `url` as it may be shown: without user, password and query, which may hold keys."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _validator(headers: Message) -> str:
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else headers.get("Last-Modified", "")


def _total(headers: Message, start: int) -> int | None:
    """Return how many bytes the whole content has, of which an answer from byte `start` on has the rest."""
    length = headers.get("Content-Length", "")
    return start + int(length) if length.isdigit() else None


def _first_byte(headers: Message) -> int | None:
    """Return the position of the first byte of an answer to a range request."""
    match = re.match(r"bytes (\d+)-", headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def retry_after(headers: Message) -> float:
    """Return the time in seconds that the server requests to wait; 0 without one."""
    value = headers.get("Retry-After", "")
    if value.isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0
