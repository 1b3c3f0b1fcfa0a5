"""Announcing a service in the local network by zeroconf, so that Home Assistant finds it."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from audioconv.errors import ConfigError, DataError
from audioconv.serving.addresses import is_loopback

KIND = "_wyoming._tcp.local."

ELSEWHERE = ("224.0.0.251", 5353)
"""Of multicast DNS: the announced address is the source address of packets there."""


@asynccontextmanager
async def announced(listener: socket.socket, name: str) -> AsyncIterator[None]:
    """Announce the service at `listener` during the block.

    Raises
    ------
    DataError
        If the service cannot be announced.
    """
    from zeroconf import Error, NonUniqueNameException
    from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

    address, port = _address(listener), listener.getsockname()[1]
    host = "".join(c if c.isascii() and (c.isalnum() or c == "-") else "-" for c in name)
    info = AsyncServiceInfo(KIND, f"{host}.{KIND}", addresses=[address.packed], port=port, server=f"{host}.local.")
    try:
        zeroconf = AsyncZeroconf(interfaces=[str(address)])
    except (OSError, Error) as error:
        raise DataError(f"--zeroconf: the service cannot be announced at {address} ({error})") from None
    try:
        try:
            await (await zeroconf.async_register_service(info, allow_name_change=True))
        except (OSError, Error, NonUniqueNameException) as error:
            raise DataError(f"--zeroconf: the service cannot be announced at {address} ({error})") from None
        yield
    finally:
        with suppress(OSError, Error, asyncio.CancelledError):
            await zeroconf.async_unregister_all_services()
        await zeroconf.async_close()


def check(listener: socket.socket) -> None:
    """Raise `ConfigError` for a socket that other machines cannot reach."""
    if is_loopback(listener):
        raise ConfigError("--zeroconf: other machines cannot reach this address; listen at 0.0.0.0 or at the machine's")


def _address(listener: socket.socket) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(listener.getsockname()[0].partition("%")[0])
    if not address.is_unspecified:
        return address
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect(ELSEWHERE)  # sends nothing
            return ipaddress.ip_address(sender.getsockname()[0])
    except OSError as error:
        raise DataError(f"--zeroconf: this machine is in no network ({error}); give its address") from None
