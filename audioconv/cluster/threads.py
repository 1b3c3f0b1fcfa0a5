"""Threads of processes that share a machine."""

from __future__ import annotations

import os
import socket
from collections import Counter
from pathlib import Path

from audioconv.cluster.processes import Processes
from audioconv.io.parallel import limit_workers


def divide_threads(processes: Processes) -> int:
    """Give this process its share of the processors that it may run on, and return their number, at least 1.

    A processor that several processes of the machine may run on counts in part for each. Where the launcher has bound
    processes to processors of their own, each keeps its own.
    """
    own = sorted(_allowed())
    machine = _machine()
    found = processes.gather_json([machine, own])
    users = Counter((name, cpu) for name, cpus in found for cpu in cpus)
    threads = max(1, int(sum(1 / users[machine, cpu] for cpu in own) + 1e-9))
    import numba

    numba.set_num_threads(min(threads, numba.get_num_threads()))
    limit_workers(threads)
    return threads


def _allowed() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _machine() -> str:
    """Return a name of this machine that two containers on it share."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return socket.gethostname()
