"""Interpreter of programs: a whole pass through a network as one call.

A program is a list of phases, each with its instructions (see `opcodes`). A free thread takes the next task of the
phase; the next phase begins when all tasks are done. A task is a number of examples: it executes all instructions of
the phase for one example, then for the next, so that intermediate results stay in the cache. A phase ends only where
an instruction needs the whole batch: for the statistics of a batch normalisation, or for the sum of a gradient.

Threads synchronise by atomic counters, not by the threading layer: there is one launch a pass. If a thread starts late,
the others have done its work, so the result does not depend on the number of threads that run.
"""

from __future__ import annotations

import numpy as np

from audioconv.kernels import counters, pixelwise
from audioconv.kernels.batch_statistics import batch_statistics, batch_statistics_backward
from audioconv.kernels.cpu_affinity import leave_shared_cpu, yield_until_started
from audioconv.kernels.elementwise import draw
from audioconv.kernels.jit import Worker, helper
from audioconv.kernels.launch import call_worker, memory_on_stack
from audioconv.kernels.opcodes import (
    ALWAYS,
    BATCH_STATISTICS,
    BATCH_STATISTICS_BACKWARD,
    CLEAR_BORDER,
    CODE,
    CORRELATE,
    DROPOUT,
    EXAMPLES,
    FIRST_INTEGER,
    INSTRUCTIONS,
    PERMUTE,
    PHASE_BEGIN,
    PHASE_END,
    PHASE_KIND,
    PHASE_TASKS,
    PHASE_WORDS,
    REALS,
    REDUCE,
    REDUCE_FLOAT64,
    SPILL,
    UNLESS_FIRST,
    WORDS,
)
from audioconv.kernels.operands import doubles, operand, stride
from audioconv.kernels.routines import (
    CALL_BASES,
    CALL_BATCH,
    CALL_EXAMPLE,
    CALL_FIRST,
    CALL_LAST,
    CALL_PART,
    CALL_PARTS,
    CALL_REAL,
    CALL_SCRATCH,
    CALL_SEEDS,
    CALL_TABLES,
    CALL_TASK,
    CALL_WORD,
)
from audioconv.kernels.simd_float32 import address_of_pointer, doubles_at, ints_at, longs_at, offset_pointer, seeds_at
from audioconv.kernels.tile import ROWS, correlate


@helper
def _execute(word, real, bases, tables, seeds, N, n, first, last, task, scratch, part, parts):
    """Execute share `part` of `parts` of one instruction for example n; the task has examples `first` to `last`.

    Those of the routines in `routines.ROUTINES` are executed there.
    """
    i = offset_pointer(word, FIRST_INTEGER)
    operation = word[CODE]
    if operation == CORRELATE.code:
        groups = (i[CORRELATE.rows] + ROWS - 1) // ROWS
        begin = part * groups // parts * ROWS
        end = min(i[CORRELATE.rows], (part + 1) * groups // parts * ROWS)
        mode = i[CORRELATE.accumulate]
        accumulate = mode == ALWAYS or (mode == UNLESS_FIRST and n != first)
        if end > begin:
            correlate(
                operand(bases, word, CORRELATE.a, n, task, scratch),
                operand(bases, word, CORRELATE.b, n, task, scratch),
                operand(bases, word, CORRELATE.bias, n, task, scratch),
                accumulate,
                operand(bases, word, CORRELATE.c, n, task, scratch),
                i[CORRELATE.columns], ints_at(tables, i[CORRELATE.row_table] + 2 * begin), end - begin,
                ints_at(tables, i[CORRELATE.term_table]), i[CORRELATE.terms], i[CORRELATE.depthwise] != 0,
                i[CORRELATE.activate] != 0, np.float32(real[CORRELATE.slope]),
            )  # fmt: skip
    elif operation == REDUCE.code:
        source = operand(bases, word, REDUCE.source, 0, 0, scratch)
        target = operand(bases, word, REDUCE.target, 0, 0, scratch)
        count = min(i[REDUCE.tasks], N)
        pixelwise.add_up(source, target, i[REDUCE.size], count, stride(word, REDUCE.source))
    elif operation == REDUCE_FLOAT64.code:
        target = operand(bases, word, REDUCE_FLOAT64.target, 0, 0, scratch)
        for c in range(i[REDUCE_FLOAT64.size]):
            total = 0.0
            for m in range(N):
                total += doubles(bases, word, REDUCE_FLOAT64.source, m)[c]
            target[c] = np.float32(total)
    elif operation == PERMUTE.code:
        source = operand(bases, word, PERMUTE.source, 0, 0, scratch)
        target = operand(bases, word, PERMUTE.target, 0, 0, scratch)
        table = ints_at(tables, i[PERMUTE.table])
        for k in range(i[PERMUTE.size]):
            target[k] = source[table[k]]
    elif operation == SPILL.code:
        source = operand(bases, word, SPILL.source, n, task, scratch)
        pixelwise.stream_copy(source, operand(bases, word, SPILL.target, n, task, scratch), i[SPILL.size])
    elif operation == CLEAR_BORDER.code:
        if part == 0:
            pixelwise.clear_border(
                operand(bases, word, CLEAR_BORDER.y, n, task, scratch), i[CLEAR_BORDER.out_height],
                i[CLEAR_BORDER.out_width], i[CLEAR_BORDER.channels], i[CLEAR_BORDER.out_line],
                i[CLEAR_BORDER.out_pixel], offset_pointer(i, CLEAR_BORDER.border_top), 0, i[CLEAR_BORDER.out_height],
            )  # fmt: skip
    elif operation == DROPOUT.code:
        x = operand(bases, word, DROPOUT.x, n, task, scratch)
        y = operand(bases, word, DROPOUT.y, n, task, scratch)
        size, period, rate = i[DROPOUT.size], i[DROPOUT.period], real[DROPOUT.rate]
        scale = np.float32(1.0 / (1.0 - rate))
        limit = np.uint64(rate * 16777216.0)
        for begin in range(period):
            if draw(seeds[i[DROPOUT.seed]], n * period + begin) < limit:
                for k in range(begin, size, period):
                    y[k] = np.float32(0)
            else:
                for k in range(begin, size, period):
                    y[k] = x[k] * scale
    elif operation == BATCH_STATISTICS.code:
        batch_statistics(word, real, bases, N, scratch)
    elif operation == BATCH_STATISTICS_BACKWARD.code:
        batch_statistics_backward(word, bases, N, scratch)


# The arguments of a worker: addresses, then numbers.
(PHASES, PHASE_COUNT, WORD_TABLE, REAL_TABLE, OFFSET_TABLES, ROUTINE_TABLE, BASE_TABLE, COUNTERS, SCRATCH_SIZE, SEEDS,
 EXAMPLE_COUNT, THREADS) = range(12)  # fmt: skip
ARGUMENTS = 12


def _work(arguments, thread):
    """Take tasks, phase by phase, until the program is done."""
    phases, tables = longs_at(arguments[PHASES], 0), arguments[OFFSET_TABLES]
    words, reals = longs_at(arguments[WORD_TABLE], 0), doubles_at(arguments[REAL_TABLE], 0)
    bases, seeds = longs_at(arguments[BASE_TABLE], 0), seeds_at(arguments[SEEDS], 0)
    board, routines = longs_at(arguments[COUNTERS], 0), longs_at(arguments[ROUTINE_TABLE], 0)
    call_address = memory_on_stack()
    call = longs_at(call_address, 0)
    N, scratch = arguments[EXAMPLE_COUNT], thread * arguments[SCRATCH_SIZE]
    call[CALL_BASES], call[CALL_SEEDS], call[CALL_TABLES] = arguments[BASE_TABLE], arguments[SEEDS], tables
    call[CALL_BATCH], call[CALL_SCRATCH] = N, scratch
    if arguments[THREADS] > 1:
        leave_shared_cpu(board, 2 * arguments[PHASE_COUNT], arguments[THREADS])
    for number in range(arguments[PHASE_COUNT]):
        phase = offset_pointer(phases, PHASE_WORDS * number)
        kind = phase[PHASE_KIND]
        tasks = min(phase[PHASE_TASKS], N) if kind == EXAMPLES else phase[PHASE_TASKS]
        while True:
            # From both ends, so that most tasks of a thread have the examples of its tasks in the phase before.
            task = counters.take(board, 2 * number, tasks, thread % 2 == 1)
            if task < 0:
                break
            first, last = 0, 1
            begin, end = phase[PHASE_BEGIN], phase[PHASE_END]
            part, parts = 0, 1
            if kind == EXAMPLES:
                first, last = task * N // tasks, (task + 1) * N // tasks
            elif kind == INSTRUCTIONS:
                begin, end = begin + task, begin + task + 1
            else:
                part, parts = task, tasks
            call[CALL_FIRST], call[CALL_LAST], call[CALL_TASK] = first, last, task
            call[CALL_PART], call[CALL_PARTS] = part, parts
            for n in range(first, last):
                call[CALL_EXAMPLE] = n
                for w in range(begin, end):
                    word, real = offset_pointer(words, w * WORDS), offset_pointer(reals, w * REALS)
                    routine = routines[word[CODE]]
                    if routine == 0:
                        _execute(word, real, bases, tables, seeds, N, n, first, last, task, scratch, part, parts)
                    else:
                        call[CALL_WORD], call[CALL_REAL] = address_of_pointer(word), address_of_pointer(real)
                        call_worker(routine, call_address, thread)
            counters.fetch_add(board, 2 * number + 1, 1)
        counters.wait_for(board, 2 * number + 1, tasks)
    if arguments[THREADS] > 1:
        yield_until_started(board, 2 * arguments[PHASE_COUNT], arguments[THREADS])


worker = Worker(_work)
"""The interpreter, compiled once and called by its address (see `launch`)."""
