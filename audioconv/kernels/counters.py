"""Counters that several threads change at once, and waiting for one."""

from __future__ import annotations

import sys

from numba import types
from numba.extending import intrinsic

from audioconv.kernels.jit import helper
from audioconv.kernels.llvm_vectors import I64, at
from audioconv.kernels.simd_float32 import LONGS

APART = 16
"""Counters stand this many numbers apart: on one cache line, threads would take it from each other."""

_SPINS = 2000  # some microseconds: then let whoever else wants this processor have it


@intrinsic
def fetch_add(context, counters, number, amount):
    """Add `amount` to counter `number` and return what it was; all that was written before is seen by who sees this."""

    def codegen(context, builder, signature, arguments):
        counters, number, amount = arguments
        place = at(builder, counters, builder.mul(number, I64(APART)))
        return builder.atomic_rmw("add", place, amount, "acq_rel")

    return types.int64(LONGS, types.int64, types.int64), codegen


@intrinsic
def read(context, counters, number):
    """Return counter `number`, and see all that was written before it was changed."""

    def codegen(context, builder, signature, arguments):
        counters, number = arguments
        return builder.load_atomic(at(builder, counters, builder.mul(number, I64(APART))), "acquire", 8)

    return types.int64(LONGS, types.int64), codegen


@helper
def take(counters, number, tasks, from_end):
    """Return a task that nobody has taken yet, the first or the last that is left, or -1 where none is.

    Counter `number` holds how many were taken from either side, in half of its bits each.
    """
    taken = fetch_add(counters, number, 1 << 32 if from_end else 1)
    first, last = taken & 0xFFFFFFFF, taken >> 32
    if first + last >= tasks:
        return -1
    return tasks - 1 - last if from_end else first


if sys.platform == "win32":

    @helper
    def give_way():
        """Do nothing."""

else:
    give_way = types.ExternalFunction("sched_yield", types.int32())
    """Let whoever waits for this processor have it."""


@helper
def wait_for(counters, number, wanted):
    """Return when counter `number` is at least `wanted`: at once, after spinning, or after giving way to others."""
    spins = 0
    while read(counters, number) < wanted:
        spins += 1
        if spins > _SPINS:
            give_way()
