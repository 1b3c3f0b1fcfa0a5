"""Standard output and error that are closed or full: one line instead of a traceback."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import Any, TextIO, cast


class OutputError(Exception):
    """Standard output does not take what a command writes.

    It is no `OSError`, so that nothing between takes it for the failure of another file.

    Parameters
    ----------
    error : OSError
        Error of the system.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output: {error.strerror or error}")
        self.reader_is_gone = isinstance(error, BrokenPipeError) or error.errno == errno.EPIPE


class _Stream:
    """A text stream whose failures are `OutputError`, or nothing at all.

    Parameters
    ----------
    stream : text file
        The stream that all other attributes come from.
    silent : bool
        Whether failures are ignored, as those of standard error: there is nowhere to report them.
    """

    def __init__(self, stream: TextIO, silent: bool) -> None:
        self.stream, self._silent = stream, silent
        self._failure: OSError | None = None

    def write(self, text: str) -> int:
        """Write `text`."""
        if text == "":  # libraries try a stream out with it, and where nothing is buffered a full disk refuses it
            return 0
        return self._attempt(self.stream.write, text) or 0

    def writelines(self, lines: Any) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Write what is kept in memory."""
        self._attempt(self.stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def _attempt(self, call: Any, *arguments: Any) -> Any:
        """Call a method of the stream. After a failure every call fails."""
        if self._failure is None:
            try:
                return call(*arguments)
            except OSError as error:
                self._failure = error
                _discard(self.stream)
        if not self._silent:
            raise OutputError(self._failure)
        return None


def guard() -> None:
    """Let failures of standard output be `OutputError`, and ignore those of standard error.

    What is written to a closed one is discarded.
    """
    _fill_closed_descriptors()
    for name, silent in (("stdout", False), ("stderr", True)):
        stream = getattr(sys, name)
        if stream is None:  # closed, or there is no console
            stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (open to the end)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
        setattr(sys, name, cast(TextIO, _Stream(stream, silent)))
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115 (open to the end)


def release() -> None:
    """Undo `guard` before the interpreter ends, which flushes both streams once more."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, _Stream):
            setattr(sys, name, stream.stream)


def _discard(stream: TextIO) -> None:
    """Let what `stream` still holds in memory go nowhere: it would be tried again when the interpreter ends."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _fill_closed_descriptors() -> None:
    """Open what is closed of the first three descriptors: the next file would get its number, and others' output."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is given, and all below are open.
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)
