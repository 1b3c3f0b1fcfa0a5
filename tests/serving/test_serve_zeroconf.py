"""The service is announced in the network, and found there."""

from __future__ import annotations

import asyncio
import socket

import pytest

from audioconv.errors import ConfigError
from audioconv.serving.addresses import Address
from audioconv.serving.announcing import KIND, announced, check

asynczeroconf = pytest.importorskip(
    "zeroconf.asyncio", reason="needs the extras: pip install 'audioconv[serve,wyoming]'"
)


def test_it_is_found_while_it_is_announced():
    async def find(name: str) -> object:
        browser = asynczeroconf.AsyncZeroconf(interfaces=["127.0.0.1"])
        try:
            info = asynczeroconf.AsyncServiceInfo(KIND, f"{name}.{KIND}")
            return info if await info.async_request(browser.zeroconf, 3000) else None
        finally:
            await browser.async_close()

    async def main() -> tuple[object, object]:
        with Address("127.0.0.1", 0).listen() as listener:
            async with announced(listener, "audioconv test!"):
                found = await find("audioconv-test-")
            assert found.port == listener.getsockname()[1]
            assert found.addresses == [socket.inet_aton("127.0.0.1")]
            return found, await find("audioconv-test-")

    found, gone = asyncio.run(asyncio.wait_for(main(), 60))
    assert found.server == "audioconv-test-.local."
    assert gone is None


def test_what_others_cannot_reach_is_not_announced():
    with Address("127.0.0.1", 0).listen() as listener, pytest.raises(ConfigError, match="other machines cannot reach"):
        check(listener)
    with Address("0.0.0.0", 0).listen() as listener:
        check(listener)
