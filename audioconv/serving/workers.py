"""Threads for computations, so that the event loop stays responsive."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from audioconv.kernels.processor import find_processor

T = TypeVar("T")

UPLOAD_THREADS = 2


class Workers:
    """Threads for streams, and others for uploads, which take longer and must not delay streams.

    Attributes
    ----------
    stopping : threading.Event
        Set when the services end; uploads check it after each block.
    """

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._streams = ThreadPoolExecutor(max(2, find_processor().usable_cores), "audioconv-stream")
        self._uploads = ThreadPoolExecutor(UPLOAD_THREADS, "audioconv-upload")

    async def for_stream(self, call: Callable[[], T]) -> T:
        """Return what `call` returns, made in a thread for streams."""
        return await asyncio.get_running_loop().run_in_executor(self._streams, call)

    def for_upload(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Begin `call` in a thread for uploads; a cancelled future does not end it."""
        return asyncio.get_running_loop().run_in_executor(self._uploads, call)

    def close(self) -> None:
        """End the threads after their present work."""
        self.stopping.set()
        for pool in (self._streams, self._uploads):
            pool.shutdown(wait=True, cancel_futures=True)
