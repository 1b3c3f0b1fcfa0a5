"""What machine this is."""

from __future__ import annotations

import time
from typing import Any

import numba
from numba.core import event

from audioconv.cli import diagnostics


class _CompileTime(event.Listener):
    """Adds up how long Numba compiles audioconv's kernels; what they call is compiled within that time."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth = 0
        self._begun = 0.0

    def on_start(self, event: Any) -> None:
        """Begin to count with the outermost function."""
        if self._depth == 0:
            self._begun = time.perf_counter()
        self._depth += 1

    def on_end(self, event: Any) -> None:
        """Count, unless the outermost function is the benchmark's own."""
        self._depth -= 1
        if self._depth == 0 and event.data["dispatcher"].py_func.__module__.startswith("audioconv."):
            self.seconds += time.perf_counter() - self._begun


_compiling = _CompileTime()
event.register("numba:compile", _compiling)


def compile_seconds() -> float:
    """Return how long kernels were compiled in this process: 0 where all came from the cache."""
    return _compiling.seconds


def thread_count() -> int:
    """Return on how many threads kernels run: all cores, or NUMBA_NUM_THREADS. Peers get as many."""
    return int(numba.get_num_threads())


def processor() -> str:
    """Return the name of the processor, and how many cores this process may use."""
    found = diagnostics.examine().processor
    return "unknown processor" if found is None else f"{found.name}, {found.usable_cores} cores"
