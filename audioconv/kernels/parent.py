"""Processes that end with the one that has started them."""

from __future__ import annotations

import os
import threading
from contextlib import suppress


def end_with_parent(code: int) -> None:
    """End this process with the exit code `code` as soon as the pipe on standard input ends; no data come through it.

    The file descriptor is read. A thread that reads `sys.stdin` would hold its lock when the interpreter ends, which
    aborts the process.
    """

    def wait() -> None:
        with suppress(OSError):
            while os.read(0, 1):
                pass
        os._exit(code)

    threading.Thread(target=wait, daemon=True).start()
