"""The limits of the machine: independent multiply-adds, the register tile fed from the first-level cache, copying."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import prange, types
from numba.extending import intrinsic

from audioconv.kernels.counters import COUNTER_STRIDE
from audioconv.kernels.cpu_affinity import leave_shared_cpu
from audioconv.kernels.jit import LANES, kernel
from audioconv.kernels.llvm_vectors import (
    I64,
    VECTOR,
    broadcast,
    element_pointer,
    load_as,
    load_vector,
    loop,
    multiply_add,
    stack_slot_of,
    store_as,
)
from audioconv.kernels.simd_float32 import FLOATS, address_of, floats_at, ints_at, longs_at
from audioconv.kernels.tile import COLUMNS, ROWS, correlate
from audioconv.runtime.offsets import pairs, rows
from benchmarking.checks import check_array

INNER = 128  # length of the sums: both factors together take at most 19 KiB of the first-level cache
# Tiles a task, one after the other: several milliseconds. Threads sleep between calls, and what it takes to wake them,
# and to part those that were woken on one processor, shall not count.
REPEATS = 6000
COPIED = 2**25  # float32 numbers, 128 MiB: no cache holds them
SUMS = 12  # vectors that do not wait for each other: two units with a latency of four or five cycles need ten
STEPS = 2_000_000  # several milliseconds
FACTOR = 0.5  # and summand: the sums stay finite


@intrinsic
def _multiply_add_sums(context, sums, steps, factor):
    """Replace `SUMS` vectors s by ``s * factor + factor``, `steps` times; all of them stay in registers."""

    def codegen(context, builder, signature, arguments):
        sums, steps, factor = arguments
        factors = broadcast(builder, factor)
        slots = [stack_slot_of(builder, load_vector(builder, sums, number)) for number in range(SUMS)]
        with loop(builder, steps):
            for slot in slots:
                builder.store(multiply_add(builder, load_as(builder, slot, VECTOR), factors, factors), slot)
        for number, slot in enumerate(slots):
            store_as(builder, load_as(builder, slot, VECTOR), element_pointer(builder, sums, I64(number * LANES)), 4)
        return context.get_dummy_value()

    return types.void(FLOATS, types.int64, types.float32), codegen


@kernel
def _multiply_add(sums, steps, factor):
    """Replace each element s of sums (tasks, SUMS * LANES) by ``s * factor + factor``, `steps` times."""
    for task in prange(sums.shape[0]):
        _multiply_add_sums(floats_at(address_of(sums), task * SUMS * LANES), steps, factor)


@kernel
def _tiles(a, b, c, row_table, term_table, repeats, board):
    """Add ``repeats * a @ b`` to c. a (tasks, ROWS, INNER), b (tasks, INNER, COLUMNS), c (tasks, ROWS, COLUMNS)."""
    tasks, _, inner = a.shape
    for task in prange(tasks):
        # As passes do: threads on the same processor would each have half of it.
        leave_shared_cpu(longs_at(address_of(board), 0), 0, tasks)
        A = floats_at(address_of(a), task * ROWS * inner)
        B = floats_at(address_of(b), task * inner * COLUMNS)
        C = floats_at(address_of(c), task * ROWS * COLUMNS)
        table, terms = ints_at(address_of(row_table), 0), ints_at(address_of(term_table), 0)
        for _ in range(repeats):
            correlate(A, B, C, True, C, COLUMNS, table, ROWS, terms, inner, False, False, np.float32(1))


@kernel
def _copy(source, target):
    """Copy (parts, numbers)."""
    for part in prange(source.shape[0]):
        target[part] = source[part]


def tile_work() -> tuple[Callable[[], Any], int]:
    """Return what keeps the register tiles of all threads busy for several milliseconds, and its operations."""
    tasks = numba.get_num_threads()
    rng = np.random.default_rng(0)
    a = rng.standard_normal((tasks, ROWS, INNER), np.float32)
    b = rng.standard_normal((tasks, INNER, COLUMNS), np.float32)
    c = np.zeros((tasks, ROWS, COLUMNS), np.float32)
    lines, terms = np.arange(ROWS), np.arange(INNER)
    tables = rows(pairs(lines * INNER, lines * COLUMNS)), pairs(terms, terms * COLUMNS)

    def run(repeats: int = REPEATS) -> None:
        _tiles(a, b, c, *tables, repeats, np.zeros((1 + tasks) * COUNTER_STRIDE, np.int64))

    run(3)
    check_array("register tile", c, 3 * (a.astype(np.float64) @ b.astype(np.float64)))
    return run, 2 * a.size * COLUMNS * REPEATS


def multiply_add_work() -> tuple[Callable[[], Any], int]:
    """Return what keeps the multiply-add units of all threads busy for several milliseconds, and its operations."""
    sums, factor = np.full((numba.get_num_threads(), SUMS * LANES), 3, np.float32), np.float32(FACTOR)
    _multiply_add(sums, 3, factor)
    check_array("multiply-adds", sums, np.full(sums.shape, 1.25))

    def run() -> None:
        _multiply_add(sums, STEPS, factor)

    return run, 2 * sums.size * STEPS


def on_one_thread(make: Callable[[], tuple[Callable[[], Any], int]]) -> tuple[Callable[[], Any], int]:
    """Return the work that `make` gives one thread, and the operations that all threads would do meanwhile.

    One thread has nobody to wake and nobody to share a processor with: beside libraries whose threads come and go, the
    same work on all threads was found at half its speed in some turns.
    """
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        work, operations = make()
    finally:
        numba.set_num_threads(threads)

    def run() -> None:
        numba.set_num_threads(1)
        try:
            work()
        finally:
            numba.set_num_threads(threads)

    return run, threads * operations


def thread_scaling(rounds: int = 9) -> float:
    """Return how many times as much the tiles of all threads do as those of one.

    That is the number of threads, unless something else uses the processor, or the system runs two threads on one core.
    """
    threads = numba.get_num_threads()
    rates: dict[int, list[float]] = {1: [], threads: []}
    try:
        for _ in range(rounds):
            for number, found in rates.items():
                numba.set_num_threads(number)
                work, operations = tile_work()
                work()
                begun = time.perf_counter()
                work()
                found.append(operations / (time.perf_counter() - begun))
    finally:
        numba.set_num_threads(threads)
    return statistics.median(rates[threads]) / statistics.median(rates[1])


def copy_bandwidth(rounds: int) -> float:
    """Return how many GB a second are read and written together while an array is copied by all threads."""
    source = np.ones((64, COPIED // 64), np.float32)
    target = np.zeros_like(source)
    times = []
    for _ in range(rounds + 1):
        begun = time.perf_counter()
        _copy(source, target)
        times.append(time.perf_counter() - begun)
    check_array("copy", target, source)
    return 2 * source.nbytes / statistics.median(times[1:]) / 1e9
