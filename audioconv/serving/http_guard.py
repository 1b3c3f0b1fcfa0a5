"""Access control of the HTTP service: Host header, Origin of web pages, token."""

from __future__ import annotations

import hmac
import ipaddress
import os
import socket
import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from audioconv.errors import ConfigError, DataError
from audioconv.io.files import display_path, reason
from audioconv.serving.limits import RefusedError

TOKEN_VARIABLE = "AUDIOCONV_TOKEN"

MIN_TOKEN, MAX_TOKEN = 16, 1024
"""Characters of a token; a shorter one could be tried out."""

OPEN_PATHS = frozenset({"/health"})
"""Paths that need no token."""

TOKEN_PROTOCOL = "token."
"""Web pages cannot send headers with a WebSocket: they offer a subprotocol of this and the token."""

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Guard:
    """The conditions for an answer.

    Attributes
    ----------
    hosts : collection of str
        Names, in lower case, by which the service may be called. IP addresses are always allowed: a
        foreign web page can direct its own name to this machine, but no address.
    token : bytes or None
        None without access control by a token.
    protected : str, optional
        Only paths that begin so need the token. Default: all but `OPEN_PATHS`.
    """

    hosts: Collection[str]
    token: bytes | None
    protected: str | None = None

    def __repr__(self) -> str:
        """Return the fields without the token."""
        return f"Guard(hosts={sorted(self.hosts)}, token={'given' if self.token else None})"

    def check(self, scope: dict[str, Any]) -> None:
        """Raise `RefusedError` if a request (an ASGI scope) may not be answered."""
        headers: Headers = scope["headers"]
        host = _only(headers, b"host")
        if host is None or not self._is_ours(host):
            raise RefusedError(421, "the Host header must be the address of this service, or one of its names")
        origin = _only(headers, b"origin")
        if origin is not None and origin.lower() not in (f"http://{host.lower()}", f"https://{host.lower()}"):
            raise RefusedError(403, "web pages of other origins have no access to this service")
        if _only(headers, b"sec-fetch-site") in ("cross-site", "same-site") and not self._may_be_linked(scope):
            raise RefusedError(403, "web pages of other sites have no access to this service")
        if self.token is not None and self._needs_token(scope["path"]) and not self._has_token(headers):
            raise RefusedError(401, "a token is needed: send the header Authorization: Bearer TOKEN")

    def _needs_token(self, path: str) -> bool:
        return path not in OPEN_PATHS if self.protected is None else path.startswith(self.protected)

    def _may_be_linked(self, scope: dict[str, Any]) -> bool:
        """Return whether a page elsewhere, such as a terminal in a browser, may have a link that opens this."""
        if self.protected is None or scope["path"].startswith(self.protected):
            return False
        return [_only(scope["headers"], name) for name in (b"sec-fetch-mode", b"sec-fetch-dest")] == [
            "navigate", "document",
        ]  # fmt: skip

    def _is_ours(self, host: str) -> bool:
        try:
            parts = urlsplit(f"//{host}")
            name = (parts.hostname or "").rstrip(".")
            _ = parts.port  # raises where it is none
        except ValueError:
            return False
        if parts.netloc != host or "@" in host:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self.hosts
        return True

    def _has_token(self, headers: Headers) -> bool:
        given = [value for name, value in headers if name == b"authorization"]
        if self.protected is not None and not given:
            given = [b"Bearer " + token for token in _offered(headers)]
        if len(given) != 1 or self.token is None:
            return False
        scheme, _, token = given[0].partition(b" ")
        return hmac.compare_digest(token.strip(), self.token) and scheme.lower() == b"bearer"


def _offered(headers: Headers) -> list[bytes]:
    """Return the tokens among the subprotocols that a WebSocket offers."""
    lists = [value for name, value in headers if name == b"sec-websocket-protocol"]
    names = [name.strip() for some in lists for name in some.split(b",")]
    prefix = TOKEN_PROTOCOL.encode()
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]


def _only(headers: Headers, name: bytes) -> str | None:
    """Return a header that comes once, None if it does not come."""
    found = [value for key, value in headers if key == name]
    if len(found) > 1:
        raise RefusedError(400, f"the header {name.decode()} comes more than once")
    return found[0].decode("latin-1") if found else None


def host_names(host: str, more: Sequence[str], *, on_loopback: bool) -> frozenset[str]:
    """Return the names by which a service at `host` may be called, with `more` of them."""
    names = {"localhost", host.lower(), *(name.lower().rstrip(".") for name in more)}
    if not on_loopback:
        own = socket.gethostname().lower()
        names |= {own, socket.getfqdn().lower(), f"{own.partition('.')[0]}.local"}
    return frozenset(names)


def read_token(file: Path | None) -> bytes | None:
    """Return the token in `file` or in the environment variable AUDIOCONV_TOKEN, None where there is neither.

    Raises
    ------
    DataError
        If the file cannot be read.
    ConfigError
        If it is no token; no message shows it.
    """
    if file is None:
        text = os.environ.get(TOKEN_VARIABLE)
        return None if text is None else _checked(text, TOKEN_VARIABLE)
    try:
        with open(file, "rb") as opened:
            content = opened.read(MAX_TOKEN + 3)
    except OSError as error:
        raise DataError(f"{display_path(file)}: the token cannot be read ({reason(error)})") from None
    return _checked(content.decode("latin-1"), display_path(file))


def is_readable_by_others(file: Path) -> bool:
    """Tell whether other users of this machine may read a file."""
    return os.name == "posix" and bool(file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))


def _checked(text: str, where: str) -> bytes:
    token = text.strip()
    if not (MIN_TOKEN <= len(token) <= MAX_TOKEN and token.isascii() and token.isprintable() and " " not in token):
        raise ConfigError(
            f"{where}: a token is {MIN_TOKEN} to {MAX_TOKEN} ASCII characters without spaces; make one: "
            'python -c "import secrets; print(secrets.token_urlsafe(32))"'
        )
    return token.encode()
