"""Processes of Python that this one starts, and that end with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

_WITH_MODULES = "import sys; sys.path[:] = {path!r}; {code}"


def can_start() -> bool:
    """Return whether there is a Python to start: an application that is frozen into one file has none."""
    return bool(sys.executable) and not getattr(sys, "frozen", False)


def start(code: str, stdout: int) -> subprocess.Popen[bytes]:
    """Start a process that executes `code` with the modules of this one, and has a pipe as standard input.

    Raises
    ------
    OSError
        If there are too many processes, or too little memory.
    """
    return subprocess.Popen(
        # The modules of this process, wherever they come from: -P keeps out those of the working directory.
        [sys.executable, "-P", "-c", _WITH_MODULES.format(path=sys.path, code=code)],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.DEVNULL,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


def ignore_interrupts() -> None:
    """Leave Ctrl-C in a terminal to the process that has started this one."""
    with suppress(ValueError, OSError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)


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
