"""The pace of several processes; the slowest one is named, since all others wait for it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from audioconv.cluster.processes import Processes

logger = logging.getLogger("audioconv")

SLOW_RATIO, MIN_SECONDS = 1.5, 1.0
"""A process is a straggler if it computes so many times as long as the median process, and so many seconds more. Both
must hold in two stretches of steps one after the other: a single one may be chance."""


class Pace:
    """The seconds that each process computes, step by step of a run.

    Parameters
    ----------
    processes : Processes
    """

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._named: set[int] = set()
        self._last: int | None = None

    def note(self, seconds: float, when: str) -> None:
        """Give the seconds that this process has computed; process 0 reports a straggler, each one once."""
        if self._processes.size == 1:
            return
        found = self._processes.gather_json(seconds)
        before, self._last = self._last, straggler(found)
        rank = self._last
        if rank is None or rank != before or rank in self._named or not self._processes.leads:
            return
        self._named.add(rank)
        logger.warning(
            "%s is slow: it computed for %.1f s in %s, half of the processes for at most %.1f s, and all wait for it",
            self._processes.name(rank), found[rank], when, median(found),
        )  # fmt: skip


def straggler(seconds: Sequence[float]) -> int | None:
    """Return the number of the slowest process if it is a straggler, given what each has computed.

    >>> straggler([10.0, 10.5, 21.0]), straggler([10.0, 12.0])
    (2, None)
    """
    slowest = max(range(len(seconds)), key=seconds.__getitem__)
    usual = median(seconds)
    return slowest if seconds[slowest] > max(SLOW_RATIO * usual, usual + MIN_SECONDS) else None


def median(seconds: Sequence[float]) -> float:
    """Return the lower median: of two processes the time of the faster one."""
    return sorted(seconds)[(len(seconds) - 1) // 2]
