"""Speed of a classifier on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

WARM_UP, MIN_RUNS, MAX_RUNS = 3, 5, 200
BATCH = 256


@dataclass(frozen=True)
class Speed:
    """Times from samples or pixels in memory to probabilities.

    Attributes
    ----------
    milliseconds : float
        For one example alone: the median.
    slow_milliseconds : float
        Time that 19 of 20 runs stayed below.
    per_second : float
        Examples a second, in batches of `batch`.
    batch : int
        Examples at a time.
    processor : str
        Name of the processor.
    cores : int
        Number of its cores that the process may use.
    """

    milliseconds: float
    slow_milliseconds: float
    per_second: float
    batch: int
    processor: str
    cores: int

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON-compatible data."""
        return asdict(self)


def measure_speed(
    answer: Callable[[NDArray[np.float32]], object],
    shape: tuple[int, ...],
    processor: str,
    cores: int,
    *,
    batch: int = BATCH,
    seconds: float = 0.5,
) -> Speed:
    """Time `answer`, which takes examples (N, *shape) float32: one at a time, then many at a time.

    Parameters
    ----------
    processor, cores
        As in `Speed`.
    batch : int
        Number of examples at a time, or fewer where so many take longer than `seconds`.
    seconds : float
        Approximate time for each measurement.
    """
    # What is heard or seen does not change how long it takes.
    rng = np.random.default_rng(0)
    one = rng.normal(0, 0.1, (1, *shape)).astype(np.float32)
    single = _times(lambda: answer(one), seconds)
    batch = max(1, min(batch, int(seconds / statistics.median(single))))
    examples = np.repeat(one, batch, axis=0)
    together = _times(lambda: answer(examples), seconds)
    slow = float(np.quantile(single, 0.95))
    return Speed(
        1000 * statistics.median(single), 1000 * slow, batch / statistics.median(together), batch, processor, cores
    )


def _times(run: Callable[[], object], seconds: float) -> list[float]:
    """Return how long each run took, in seconds; the first few, which may compile or wake threads, are not counted."""
    for _ in range(WARM_UP):
        run()
    times: list[float] = []
    while len(times) < MIN_RUNS or (sum(times) < seconds and len(times) < MAX_RUNS):
        begun = time.perf_counter()
        run()
        times.append(time.perf_counter() - begun)
    return times
