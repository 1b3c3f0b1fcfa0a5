"""Times of several candidates for the same work, taken in turns, so that whatever drifts meets them all."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Effort:
    """How long to look.

    Attributes
    ----------
    least_rounds, most_rounds : int
        In each round, every candidate has one turn.
    seconds : float
        No round is begun after this time, once there were `least_rounds`.
    turn_seconds : float
        A turn calls a candidate again until about this time has passed.
    processes : int
        How often each process is run whose memory is measured.
    """

    least_rounds: int
    most_rounds: int
    seconds: float
    turn_seconds: float
    processes: int


FULL = Effort(least_rounds=9, most_rounds=15, seconds=8.0, turn_seconds=0.03, processes=5)
QUICK = Effort(least_rounds=2, most_rounds=2, seconds=0.0, turn_seconds=0.02, processes=1)

MAX_CALLS = 100  # of a turn
LOOK = 0.012  # seconds
LONG_CALL = 0.05  # seconds: such a call loses nothing to cold caches or sleeping threads
GIVE_UP_AFTER, GIVE_UP_RATIO = 3, 1.25  # rounds; how much slower than the best of the same name


@dataclass
class Candidate:
    """One way to do the work.

    Attributes
    ----------
    name : str
        Who does it, such as ``"ours"`` or ``"torch"``.
    run : callable
        Does it once.
    variant : str
        Which of several ways the same one has, such as ``"channels last"``; the fastest counts.
    seconds : list of float
        Median time of a call, of each turn.
    """

    name: str
    run: Callable[[], Any]
    variant: str = ""
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Median over the turns, in seconds."""
        return statistics.median(self.seconds)


def take_turns(candidates: Sequence[Candidate], effort: Effort) -> dict[str, Candidate]:
    """Time all candidates, in turns, and return the fastest of each name."""
    calls = [_calls_per_turn(candidate, effort) for candidate in candidates]
    begun = time.perf_counter()
    alive = list(zip(candidates, calls, strict=True))
    for number in range(effort.most_rounds):
        if number >= effort.least_rounds and time.perf_counter() - begun > effort.seconds:
            break
        for candidate, count in alive:
            candidate.seconds.append(_turn(candidate, count))
        if number + 1 == GIVE_UP_AFTER:
            best = _fastest([candidate for candidate, _ in alive])
            alive = [(c, count) for c, count in alive if c.median <= GIVE_UP_RATIO * best[c.name].median]
    return _fastest([candidate for candidate, _ in alive])


def _fastest(candidates: Sequence[Candidate]) -> dict[str, Candidate]:
    slowest_first = sorted(candidates, key=lambda candidate: -candidate.median)
    return {candidate.name: candidate for candidate in slowest_first}


def _calls_per_turn(candidate: Candidate, effort: Effort) -> int:
    settle()
    begun = time.perf_counter()
    candidate.run()
    return max(1, min(MAX_CALLS, math.ceil(effort.turn_seconds / (time.perf_counter() - begun))))


def _turn(candidate: Candidate, calls: int) -> float:
    """Return the median time of `calls` calls; one before them, where it matters, warms caches and wakes threads."""
    settle()
    times = []
    begun = time.perf_counter()
    candidate.run()
    if time.perf_counter() - begun > LONG_CALL:
        times.append(time.perf_counter() - begun)
        calls -= 1
    for _ in range(calls):
        begun = time.perf_counter()
        candidate.run()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def settle(limit: float = 0.3) -> None:
    """Wait, at most `limit` seconds, until no thread of this process computes.

    The threads of OpenMP and of ONNX Runtime go on spinning for a while after a call, and would take the processor
    from whoever is next: tens of milliseconds where they share one. What a thread has used is brought up to date as
    seldom as every 10 ms while it goes on computing, so that shorter looks would see nothing of it.
    """
    end = time.perf_counter() + limit
    while time.perf_counter() < end:
        wall, busy = time.perf_counter(), time.process_time()
        time.sleep(LOOK)
        if time.process_time() - busy < 0.2 * (time.perf_counter() - wall):
            return


@dataclass(frozen=True)
class Row:
    """What came of one comparison, as the file of ``--json`` has it.

    Attributes
    ----------
    name : str
        What was done.
    ours_ms, peer_ms : float
        Medians, in the unit that `report.unit` names: mostly milliseconds.
    peer : str
        Beside whom.
    ratio : float
        ``peer_ms / ours_ms``.
    spread : (float, float)
        Quartiles of the ratios of turns that were neighbours in time.
    """

    name: str
    ours_ms: float
    peer: str
    peer_ms: float
    ratio: float
    spread: tuple[float, float]


def compare(name: str, ours: Sequence[float], peer: str, theirs: Sequence[float], scale: float = 1e3) -> Row:
    """Return the row that paired measurements of both make; `scale` turns their unit into the row's."""
    a, b = statistics.median(ours), statistics.median(theirs)
    pairs = [other / one for one, other in zip(ours, theirs, strict=True)]
    low, high = np.quantile(pairs, [0.25, 0.75])
    return Row(name, scale * a, peer, scale * b, b / a, (float(low), float(high)))
