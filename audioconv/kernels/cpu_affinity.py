"""Threads apart from each other: on Linux, those that were woken on one processor, though another is free.

Threads that wait sleep (see `jit`), and after some milliseconds of sleep the scheduler likes to wake both threads of a
two-core machine on the same core, where they share it until it notices, some milliseconds later: longer than most
passes take. So each thread says where it runs, and one that finds another there already moves away, once: it forbids
itself that processor, which moves it at once, and allows it again.

A thread that was woken on a processor where another one works does not get so far, though: it waits for a turn, and who
is done waits for it, in OpenMP's code, not giving way. With two OpenMP libraries in a process (PyTorch brings one) that
took 4 or 8 ms of the scheduler's time whenever the threads had slept. So who is done lets the others in first.
"""

from __future__ import annotations

import sys

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from audioconv.kernels.counters import fetch_add, give_way, read
from audioconv.kernels.jit import helper
from audioconv.kernels.llvm_vectors import I64
from audioconv.kernels.simd_float32 import seeds_at

TURNS = 20
"""How often a thread that is done gives way at most: some microseconds, where nobody wants the processor."""

WORDS = 16  # of a set of processors: 1024 bits, as in the C library

if sys.platform == "linux":
    _current = types.ExternalFunction("sched_getcpu", types.int32())
    _get = types.ExternalFunction("sched_getaffinity", types.int32(types.int32, types.int64, types.int64))
    _set = types.ExternalFunction("sched_setaffinity", types.int32(types.int32, types.int64, types.int64))

    @intrinsic
    def _set_on_stack(context):
        """Return the address of room for a set of processors, until the function returns: getting memory may fail."""

        def codegen(context, builder, signature, arguments):
            return builder.ptrtoint(cgutils.alloca_once(builder, I64, size=WORDS), I64)

        return types.int64(), codegen

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
        allowed_at, others_at = _set_on_stack(), _set_on_stack()
        allowed, others = seeds_at(allowed_at, 0), seeds_at(others_at, 0)
        for word in range(WORDS):
            allowed[word] = 0
        if _get(0, 8 * WORDS, allowed_at) < 0:
            return
        for word in range(WORDS):
            others[word] = allowed[word]
        for other in range(number):
            there = read(board, first + 1 + other) - 1
            if 0 <= there < 64 * WORDS:
                others[there // 64] &= ~(np.uint64(1) << np.uint64(there % 64))
        left = np.uint64(0)
        for word in range(WORDS):
            left |= others[word]
        if left != 0 and _set(0, 8 * WORDS, others_at) == 0:
            _set(0, 8 * WORDS, allowed_at)

    @helper
    def let_in(board, first, threads):
        """Give way until all threads have said where they run, or for a few turns."""
        for _ in range(TURNS):
            if read(board, first) >= threads:
                break
            give_way()

else:

    @helper
    def let_in(board, first, threads):
        """Do nothing: only Linux is known to need it."""

    @helper
    def spread(board, first, threads):
        """Do nothing: only Linux is known to need it."""
