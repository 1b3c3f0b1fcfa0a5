"""Threads apart from each other: on Linux, those that were woken on one processor, though another is free.

Threads that wait sleep (see `jit`), and after some milliseconds of sleep the scheduler likes to wake both threads of a
two-core machine on the same core, where they share it until it notices, some milliseconds later: longer than most
passes take. So each thread says where it runs, and one that finds another there already moves away, once: it forbids
itself that processor, which moves it at once, and allows it again.
"""

from __future__ import annotations

import sys

import numpy as np
from numba import types

from audioconv.kernels.atomic import fetch_add, read
from audioconv.kernels.jit import helper
from audioconv.kernels.vector import address_of

WORDS = 16  # of a set of processors: 1024 bits, as in the C library

if sys.platform == "linux":
    _current = types.ExternalFunction("sched_getcpu", types.int32())
    _get = types.ExternalFunction("sched_getaffinity", types.int32(types.int32, types.int64, types.int64))
    _set = types.ExternalFunction("sched_setaffinity", types.int32(types.int32, types.int64, types.int64))

    @helper
    def spread(board, first, threads):
        """Say at the counters from `first` on (1 + threads, zero at first) where this thread runs; move if need be."""
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
        allowed = np.zeros(WORDS, np.uint64)
        others = np.zeros(WORDS, np.uint64)
        if _get(0, 8 * WORDS, address_of(allowed)) < 0:
            return
        for word in range(WORDS):  # not an assignment of arrays: Numba would compile its error messages for seconds
            others[word] = allowed[word]
        for other in range(number):
            there = read(board, first + 1 + other) - 1
            if 0 <= there < 64 * WORDS:
                others[there // 64] &= ~(np.uint64(1) << np.uint64(there % 64))
        if others.any() and _set(0, 8 * WORDS, address_of(others)) == 0:
            _set(0, 8 * WORDS, address_of(allowed))

else:

    @helper
    def spread(board, first, threads):
        """Do nothing: only Linux is known to need it."""
