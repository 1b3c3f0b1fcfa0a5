"""The WebSocket of events."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from audioconv.lab.lab import Lab
from audioconv.serving.http_base import send_json

PROTOCOL = "audioconv"
"""The subprotocol that is accepted: the other that pages offer carries the token."""


def routes(lab: Lab) -> list[BaseRoute]:
    """Return the routes."""

    async def events(websocket: WebSocket) -> None:
        await websocket.accept(PROTOCOL)
        with lab.events.subscribed() as subscription:
            reading = asyncio.ensure_future(_until_closed(websocket))
            try:
                await send_json(websocket, {"type": "project", "revision": lab.project.revision})
                while not reading.done():
                    waiting = asyncio.ensure_future(subscription.next())
                    await asyncio.wait([waiting, reading], return_when=asyncio.FIRST_COMPLETED)
                    if not waiting.done():
                        waiting.cancel()
                        break
                    event = waiting.result()
                    if event is None:
                        await websocket.close(1013 if subscription.has_lost else 1001)
                        break
                    await send_json(websocket, event)
            finally:
                reading.cancel()
                with suppress(asyncio.CancelledError, WebSocketDisconnect):
                    await reading

    return [WebSocketRoute("/api/events", events)]


async def _until_closed(websocket: WebSocket) -> None:
    """Read what a page sends, which means nothing here, until it closes."""
    with suppress(WebSocketDisconnect):
        while (await websocket.receive())["type"] != "websocket.disconnect":
            pass
