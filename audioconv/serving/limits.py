"""Bounds of requests and streams, and the counts that keep them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from audioconv.errors import AudioconvError

MAX_MESSAGE_BYTES = 1 << 20
"""Of samples in one message of a stream."""

MAX_CHANNELS = 8
"""Of a stream."""

WRITE_SECONDS = 10.0
"""A client that does not read what it is sent is disconnected after so many."""

UPLOADS_IN_MEMORY = 4
"""All uploads together take at most the memory of so many of the largest ones."""


@dataclass(frozen=True)
class Limits:
    """Bounds of requests and streams.

    Attributes
    ----------
    clients : int
        Requests and streams at a time, of each service.
    upload_bytes : int
        Of one recording.
    seconds : float
        For one request, from its beginning to its answer; and for one Wyoming event.
    idle_seconds : float
        A stream that sends nothing for so long is closed.
    """

    clients: int = 32
    upload_bytes: int = 32_000_000
    seconds: float = 60.0
    idle_seconds: float = 300.0


class RefusedError(AudioconvError):
    """A refused request; its client gets the reason.

    Parameters
    ----------
    status : int
        Of HTTP.
    message : str
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Budget:
    """A number of clients or bytes of which a part may be taken.

    Parameters
    ----------
    total : int
    refusal : str
        Message of the error where too little is left.
    """

    def __init__(self, total: int, refusal: str) -> None:
        self._left, self._refusal = total, refusal

    def take(self, amount: int) -> None:
        """Take a part; raise `RefusedError` (503) where less is left."""
        if amount > self._left:
            raise RefusedError(503, self._refusal)
        self._left -= amount

    def give_back(self, amount: int) -> None:
        """Give a part back."""
        self._left += amount

    @contextmanager
    def one(self) -> Iterator[None]:
        """Take one for the time of the block."""
        self.take(1)
        try:
            yield
        finally:
            self.give_back(1)
