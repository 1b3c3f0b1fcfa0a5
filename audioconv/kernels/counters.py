"""Atomic counters that several threads share."""

from __future__ import annotations

import sys

from numba import types
from numba.extending import intrinsic

from audioconv.kernels.jit import helper
from audioconv.kernels.llvm_vectors import I64, element_pointer
from audioconv.kernels.simd_float32 import LONGS

COUNTER_STRIDE = 16
"""Elements from one counter to the next: two counters on one cache line would slow down each other's threads."""

_SPINS = 2000  # some microseconds; then the thread yields the processor


@intrinsic
def fetch_add(context, counters, number, amount):
    """Add `amount` to counter `number` and return its previous value, as an acquire and release operation."""

    def codegen(context, builder, signature, arguments):
        counters, number, amount = arguments
        place = element_pointer(builder, counters, builder.mul(number, I64(COUNTER_STRIDE)), I64)
        return builder.atomic_rmw("add", place, amount, "acq_rel")

    return types.int64(LONGS, types.int64, types.int64), codegen


@intrinsic
def read(context, counters, number):
    """Return counter `number`, as an acquire operation."""

    def codegen(context, builder, signature, arguments):
        counters, number = arguments
        place = element_pointer(builder, counters, builder.mul(number, I64(COUNTER_STRIDE)), I64)
        return builder.load_atomic(place, "acquire", 8, typ=I64)

    return types.int64(LONGS, types.int64), codegen


@helper
def take(counters, number, tasks, from_end):
    """Take the first or the last task that is left; return its number, or -1 if none is left.

    Counter `number` holds the tasks taken from the start in its lower half, and those from the end in its upper half.
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
    """Yield the processor to another thread."""


@helper
def wait_for(counters, number, wanted):
    """Return when counter `number` is at least `wanted`: spin for some microseconds, then yield the processor."""
    spins = 0
    while read(counters, number) < wanted:
        spins += 1
        if spins > _SPINS:
            give_way()
