"""CPU affinity: on Linux, threads that were woken on the same processor part, if another processor is free.

Threads that wait sleep (see `threads`). After some milliseconds of sleep, the scheduler often wakes both threads of a
two-core machine on the same core, and takes milliseconds to move one: longer than most passes take. So each thread
publishes its processor. A thread that finds another one there excludes that processor from its affinity mask, which
moves it at once, and then restores the mask.

A thread queued behind another on the same core has not started yet. The other one, when finished, waits for it inside
OpenMP without yielding. With two OpenMP libraries in a process (PyTorch brings one) that took 4 or 8 ms of the
scheduler's time whenever the threads had slept. So a finished thread yields until all threads have started.
"""

from __future__ import annotations

import sys

import numpy as np
from numba import types

from audioconv.kernels.counters import fetch_add, give_way, read
from audioconv.kernels.jit import helper
from audioconv.kernels.launch import STACK_WORDS, memory_on_stack
from audioconv.kernels.simd_float32 import seeds_at

MAX_YIELDS = 20
"""Number of times that a finished thread yields: some microseconds, if no other thread needs the processor."""

CPU_SET_WORDS = STACK_WORDS  # of an affinity mask: 1024 bits, as in the C library

if sys.platform == "linux":
    _current = types.ExternalFunction("sched_getcpu", types.int32())
    _get = types.ExternalFunction("sched_getaffinity", types.int32(types.int32, types.int64, types.int64))
    _set = types.ExternalFunction("sched_setaffinity", types.int32(types.int32, types.int64, types.int64))

    @helper
    def leave_shared_cpu(board, first, threads):
        """Publish this thread's processor, and leave it if another thread has published the same one.

        The counters from `first` on, 1 + threads of them, start at zero.
        """
        number = fetch_add(board, first, 1)
        here = np.int64(_current())
        if here < 0 or number >= threads:
            return
        fetch_add(board, first + 1 + number, here + 1)
        taken = False
        for other in range(number):
            taken = taken or read(board, first + 1 + other) == here + 1
        if not taken:
            return
        allowed_at, others_at = memory_on_stack(), memory_on_stack()  # getting memory may fail
        allowed, others = seeds_at(allowed_at, 0), seeds_at(others_at, 0)
        for word in range(CPU_SET_WORDS):
            allowed[word] = 0
        if _get(0, 8 * CPU_SET_WORDS, allowed_at) < 0:
            return
        for word in range(CPU_SET_WORDS):
            others[word] = allowed[word]
        for other in range(number):
            there = read(board, first + 1 + other) - 1
            if 0 <= there < 64 * CPU_SET_WORDS:
                others[there // 64] &= ~(np.uint64(1) << np.uint64(there % 64))
        left = np.uint64(0)
        for word in range(CPU_SET_WORDS):
            left |= others[word]
        if left != 0 and _set(0, 8 * CPU_SET_WORDS, others_at) == 0:
            _set(0, 8 * CPU_SET_WORDS, allowed_at)

    @helper
    def yield_until_started(board, first, threads):
        """Yield until all threads have published their processors, at most `MAX_YIELDS` times."""
        for _ in range(MAX_YIELDS):
            if read(board, first) >= threads:
                break
            give_way()

else:

    @helper
    def yield_until_started(board, first, threads):
        """Do nothing: only Linux is known to need it."""

    @helper
    def leave_shared_cpu(board, first, threads):
        """Do nothing: only Linux is known to need it."""
