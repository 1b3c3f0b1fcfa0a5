"""Addresses to listen at, and their sockets."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from dataclasses import dataclass

from audioconv.errors import ConfigError, DataError
from audioconv.io.files import reason

BACKLOG = 128
"""Connections that the system keeps until they are accepted."""


@dataclass(frozen=True)
class Address:
    """A host and a port to listen at.

    Attributes
    ----------
    host : str
        A name or an IP address.
    port : int
        0 for one that the system chooses.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, scheme: str) -> Address:
        """Return the address in `text`, ``HOST:PORT`` or ``scheme://HOST:PORT``.

        Raises
        ------
        ConfigError
            If it is something else.

        Examples
        --------
        >>> Address.parse("tcp://127.0.0.1:10400", "tcp")
        Address(host='127.0.0.1', port=10400)
        >>> Address.parse("[::1]:8080", "http")
        Address(host='::1', port=8080)
        """
        example = "tcp://127.0.0.1:10400" if scheme == "tcp" else "127.0.0.1:8080"
        wrong = ConfigError(f"{text!r} is no address to listen at; expected a host and a port, such as {example}")
        rest = text.removeprefix(f"{scheme}://").removesuffix("/")
        host, colon, port = rest.rpartition(":")
        if not colon or not host or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
            raise wrong
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host and set(host) <= set("0123456789abcdefABCDEF:."):
            raise ConfigError(f"{text!r}: an IPv6 address needs brackets, such as [::1]:{port}")
        elif ":" in host:
            raise wrong
        if not host or any(c in host for c in "/[]@?#") or not host.isprintable() or " " in host:
            raise wrong
        return cls(host, int(port))

    def listen(self) -> socket.socket:
        """Return a socket that listens here.

        Raises
        ------
        ConfigError
            If this machine has no such address.
        DataError
            If the port is in use or must not be used.
        """
        place = join(self.host, self.port)
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except (OSError, UnicodeError) as error:
            why = reason(error) if isinstance(error, OSError) else str(error)
            raise ConfigError(f"{place}: there is no host {self.host!r} ({why}); give an IP address") from None
        family, kind, protocol, _, where = min(found, key=lambda one: one[0] != socket.AF_INET)
        listener = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":  # elsewhere it would share the port with another program
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(where)
            listener.listen(BACKLOG)
        except OSError as error:
            listener.close()
            raise _explained(error, place, self.port) from None
        listener.setblocking(False)
        return listener


def _explained(error: OSError, place: str, port: int) -> ConfigError | DataError:
    if error.errno == errno.EADDRINUSE:
        return DataError(f"{place}: the port is in use; stop the program that uses it, or choose another port")
    if error.errno == errno.EACCES:
        return DataError(f"{place}: port {port} is reserved for the system; choose one of 1024 to 65535")
    if error.errno == errno.EADDRNOTAVAIL:
        return ConfigError(f"{place}: this machine has no such address; 127.0.0.1 is for this machine alone")
    return DataError(f"{place}: cannot listen there ({reason(error)})")


def join(host: str, port: int) -> str:
    """Return host and port as they are written: an IPv6 address in brackets.

    >>> join("::1", 80)
    '[::1]:80'
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def name_of(listener: socket.socket) -> str:
    """Return where a socket listens, with the port that the system chose."""
    host, port = listener.getsockname()[:2]
    return join(host, port)


def is_loopback(listener: socket.socket) -> bool:
    """Tell whether a socket listens for programs of this machine alone."""
    address = ipaddress.ip_address(listener.getsockname()[0].partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
