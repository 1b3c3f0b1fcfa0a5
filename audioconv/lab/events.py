"""Events for all open pages: changes of the project, the training run, findings."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

MAX_WAITING = 256
"""A page that has not read so many events is disconnected; it connects again and loads everything anew."""

Event = Mapping[str, Any]


class Subscription:
    """The events of one page, in their order.

    Attributes
    ----------
    has_lost : bool
        Whether events were dropped since the page did not read them; nothing comes any more then.
    """

    def __init__(self) -> None:
        self.has_lost = False
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()

    async def next(self) -> Event | None:
        """Return the next event, None when there will be no more."""
        return await self._queue.get()

    def put(self, event: Event | None) -> None:
        """Add an event, from any thread; None ends the subscription."""
        self._loop.call_soon_threadsafe(self._put, event)

    def _put(self, event: Event | None) -> None:
        if self._queue.qsize() >= MAX_WAITING and not self.has_lost:
            self.has_lost = True
            event = None
        elif self.has_lost:
            return
        self._queue.put_nowait(event)


class EventHub:
    """Distributes events to all subscriptions; its methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscriptions: set[Subscription] = set()
        self._is_closed = False

    @contextmanager
    def subscribed(self) -> Iterator[Subscription]:
        """Subscribe for the time of the block; within a running event loop."""
        subscription = Subscription()
        with self._lock:
            self._subscriptions.add(subscription)
            is_closed = self._is_closed
        if is_closed:
            subscription.put(None)
        try:
            yield subscription
        finally:
            with self._lock:
                self._subscriptions.discard(subscription)

    @property
    def subscribers(self) -> int:
        """Number of pages that are open."""
        return len(self._subscriptions)

    def publish(self, event: Event) -> None:
        """Send an event to every page; it must be JSON-compatible and is not changed afterwards."""
        with self._lock:
            for subscription in self._subscriptions:
                subscription.put(event)

    def close(self) -> None:
        """End all subscriptions."""
        with self._lock:
            self._is_closed = True
            for subscription in self._subscriptions:
                subscription.put(None)
