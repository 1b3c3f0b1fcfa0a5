"""Threads that go to different processors, and let each other in."""

from __future__ import annotations

import sys

import numba
import numpy as np
import pytest
from numba import prange

from audioconv.kernels.counters import COUNTER_STRIDE
from audioconv.kernels.cpu_affinity import leave_shared_cpu, yield_until_started
from audioconv.kernels.jit import kernel
from audioconv.kernels.simd_float32 import address_of, longs_at


@kernel
def meet(board, done, threads, missing):
    for thread in prange(threads):
        leave_shared_cpu(longs_at(address_of(board), 0), 0, threads)
        yield_until_started(longs_at(address_of(board), 0), 0, threads + missing)
        done[thread] = 1


@pytest.mark.parametrize("missing", [0, 3])
def test_nobody_waits_for_long_for_who_does_not_come(missing):
    threads = numba.get_num_threads()
    for _ in range(50):
        board, done = np.zeros((1 + threads) * COUNTER_STRIDE, np.int64), np.zeros(threads, np.int64)
        meet(board, done, threads, missing)
        assert done.all()
        if sys.platform == "linux":
            assert board[0] == threads
            assert all(board[COUNTER_STRIDE * (1 + number)] > 0 for number in range(threads))
