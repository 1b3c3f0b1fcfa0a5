"""A whole pass through a network as one call: a small machine that works through a table of instructions.

A program is a list of phases. In a phase, tasks are taken by whichever thread is free; the next phase begins when all
are done. A task is a few examples, and goes through all instructions of its phase with one example after the other:
what passes between them stays in the cache. Only where something is needed of the whole batch (the statistics of a
batch normalisation, the sum of a gradient) does a phase end.

Threads meet in counters, not in the threading layer: one launch a pass. A thread that comes late finds the work done
by the others, so nothing depends on how many threads there really are.
"""

from __future__ import annotations

import numpy as np

from audioconv.kernels import (
    activations,
    counters,
    depthwise,
    few_channels,
    norm_activation_pool,
    pixelwise,
    winograd,
    winograd_1d,
)
from audioconv.kernels.cpu_affinity import let_in, spread
from audioconv.kernels.elementwise import draw
from audioconv.kernels.jit import Worker, helper
from audioconv.kernels.simd_float32 import ahead, doubles_at, floats_at, ints_at, longs_at, seeds_at
from audioconv.kernels.tile import ROWS, correlate

# Where an operand may lie: an array that the caller names, or memory of the program's own.
(INPUT, OUTPUT, OUTPUT_GRADIENT, PARAMETERS, GRADIENTS, TRACKED, TRACKED_NEXT, CONSTANTS, ARENA, SCRATCH, PARTIAL,
 STATISTICS) = range(12)  # fmt: skip
BASES = 12

(CORRELATE, SWEEP, SWEEP_SUMS, SWEEP_BACKWARD, MOMENTS, CHANNEL_SUMS, ADD, AVERAGE, AVERAGE_BACKWARD, DROPOUT,
 NORMALISE, NORMALISE_BACKWARD, REDUCE, REDUCE_DOUBLES, TRANSPOSE, BORDER, WINOGRAD, WINOGRAD_GRADIENT,
 WINOGRAD_KERNELS, ACTIVATE, ACTIVATE_BACKWARD, CARRY, PICK, DEPTHWISE, DEPTHWISE_GRADIENT,
 WINOGRAD_LINE, WINOGRAD_LINE_GRADIENT, WINOGRAD_LINE_KERNELS, NARROW, NARROW_GRADIENT) = range(30)  # fmt: skip

# An instruction: its operation, operands of (base, offset, stride), then integers. Its real numbers lie beside it.
OPERANDS = 7
FIRST_INTEGER = 1 + 3 * OPERANDS
WORDS = FIRST_INTEGER + 26
REALS = 2

# A phase: first and last instruction, number of tasks, and what a task is.
EXAMPLES, INSTRUCTIONS, LINES = range(3)
PHASE_WORDS = 4

ALWAYS, NEVER, UNLESS_FIRST = 1, 0, 2
"""Whether a correlation adds to what is there."""


@helper
def _operand(bases, word, number, n, task, scratch):
    base = word[1 + 3 * number]
    offset = word[2 + 3 * number]
    if base == SCRATCH:
        offset += scratch
    elif base == PARTIAL:
        offset += task * word[3 + 3 * number]
    else:
        offset += n * word[3 + 3 * number]
    return floats_at(bases[base], offset)


@helper
def _doubles(bases, word, number, n):
    return doubles_at(bases[word[1 + 3 * number]], word[2 + 3 * number] + n * word[3 + 3 * number])


@helper
def _execute(word, real, bases, tables, seeds, N, n, first, last, task, scratch, part, parts):
    """Carry out one instruction for example n of the task's, which are `first` to `last`; of `parts` shares, one."""
    i = ahead(word, FIRST_INTEGER)
    operation = word[0]
    if operation == CORRELATE:
        # integers: columns, row table, rows, term table, terms, depthwise, onward, activate. reals: slope
        groups = (i[2] + ROWS - 1) // ROWS
        begin = part * groups // parts * ROWS
        end = min(i[2], (part + 1) * groups // parts * ROWS)
        onward = i[6] == ALWAYS or (i[6] == UNLESS_FIRST and n != first)
        if end > begin:
            correlate(
                _operand(bases, word, 0, n, task, scratch), _operand(bases, word, 1, n, task, scratch),
                _operand(bases, word, 2, n, task, scratch), onward, _operand(bases, word, 3, n, task, scratch),
                i[0], ints_at(tables, i[1] + 2 * begin), end - begin, ints_at(tables, i[3]), i[4], i[5] != 0, i[7] != 0,
                np.float32(real[0]),
            )  # fmt: skip
    elif operation == REDUCE:
        # partial sums of tasks, as far apart as the first operand's stride says -> gradient. integers: size, tasks
        source = _operand(bases, word, 0, 0, 0, scratch)
        target = _operand(bases, word, 1, 0, 0, scratch)
        pixelwise.add_up(source, target, i[0], min(i[1], N), word[3])
    elif operation == REDUCE_DOUBLES:
        # sums of examples -> gradient. integers: size
        target = _operand(bases, word, 1, 0, 0, scratch)
        for c in range(i[0]):
            total = 0.0
            for m in range(N):
                total += _doubles(bases, word, 0, m)[c]
            target[c] = np.float32(total)
    elif operation == TRANSPOSE:
        # weights for the input gradient. integers: table, size
        source = _operand(bases, word, 0, 0, 0, scratch)
        target = _operand(bases, word, 1, 0, 0, scratch)
        table = ints_at(tables, i[0])
        for k in range(i[1]):
            target[k] = source[table[k]]
    elif operation == WINOGRAD:
        # x, U, start, y, V, M. integers: C, K, strip, x_line, x_pixel, P, Q, y_line, y_pixel, rows, terms, onward,
        # pooled. reals: slope
        winograd.convolve(
            _operand(bases, word, 0, n, task, scratch), _operand(bases, word, 1, n, task, scratch),
            _operand(bases, word, 2, n, task, scratch), _operand(bases, word, 3, n, task, scratch),
            _operand(bases, word, 4, n, task, scratch), _operand(bases, word, 5, n, task, scratch),
            i[0], i[1], i[2], i[3], i[4], i[5], i[6], i[7], i[8], ints_at(tables, i[9]), ints_at(tables, i[10]),
            _operand(bases, word, 6, n, task, scratch), i[11] == ALWAYS, i[12] != 0, np.float32(real[0]), part,
            parts,
        )  # fmt: skip
    elif operation == WINOGRAD_GRADIENT:
        # x, dy, -, sums, V, M. integers: C, K, strip, x_line, x_pixel, P, Q, y_line, y_pixel, rows, their number, terms
        sums = _operand(bases, word, 3, n, task, scratch)
        winograd.kernel_gradient(
            _operand(bases, word, 0, n, task, scratch), _operand(bases, word, 1, n, task, scratch),
            sums, _operand(bases, word, 4, n, task, scratch),
            _operand(bases, word, 5, n, task, scratch),
            i[0], i[1], i[2], i[3], i[4], i[5], i[6], i[7], i[8], ints_at(tables, i[9]), i[10], ints_at(tables, i[11]),
            _operand(bases, word, 6, n, task, scratch), n - first, n + 1 == last,
        )  # fmt: skip
        if n + 1 == last:  # a quarter of the numbers is left to add up with those of other tasks
            winograd.finish_gradient(sums, i[0] * i[1])
    elif operation == WINOGRAD_KERNELS:
        # kernels -> U. integers: size, begin, end
        source = _operand(bases, word, 0, 0, 0, scratch)
        winograd.transform_kernels(source, _operand(bases, word, 1, 0, 0, scratch), i[0], i[1], i[2])
    elif operation == WINOGRAD_LINE:
        # x, U, start, y, V, M, zeros. integers: C, K, blocks, strip, apart, Q, y_pixel, rows, terms, onward.
        # reals: slope
        winograd_1d.convolve(
            _operand(bases, word, 0, n, task, scratch), _operand(bases, word, 1, n, task, scratch),
            _operand(bases, word, 2, n, task, scratch), _operand(bases, word, 3, n, task, scratch),
            _operand(bases, word, 4, n, task, scratch), _operand(bases, word, 5, n, task, scratch),
            i[0], i[1], i[2], i[3], i[4], i[5], i[6], ints_at(tables, i[7]), ints_at(tables, i[8]),
            _operand(bases, word, 6, n, task, scratch), i[9] == ALWAYS, np.float32(real[0]), part, parts,
        )  # fmt: skip
    elif operation == WINOGRAD_LINE_GRADIENT:
        # x, dy, -, sums, V, M, zeros. integers: C, K, blocks, strip, apart, Q, y_pixel, rows, their number, terms
        sums = _operand(bases, word, 3, n, task, scratch)
        winograd_1d.kernel_gradient(
            _operand(bases, word, 0, n, task, scratch), _operand(bases, word, 1, n, task, scratch), sums,
            _operand(bases, word, 4, n, task, scratch), _operand(bases, word, 5, n, task, scratch),
            i[0], i[1], i[2], i[3], i[4], i[5], i[6], ints_at(tables, i[7]), i[8], ints_at(tables, i[9]),
            _operand(bases, word, 6, n, task, scratch), n != first,
        )  # fmt: skip
        if n + 1 == last:  # half of the numbers are left to add up with those of other tasks
            winograd_1d.finish_gradient(sums, i[0] * i[1], i[2])
    elif operation == WINOGRAD_LINE_KERNELS:
        # kernels -> U. integers: size, count, begin, end
        source = _operand(bases, word, 0, 0, 0, scratch)
        target = _operand(bases, word, 1, 0, 0, scratch)
        winograd_1d.transform_kernels(source, target, i[0], i[1], i[2], i[3])
    elif operation == NARROW:
        # x, U, start, y, V, M, zeros. integers: C, K, strip, apart, x_line, x_pixel, P, Q, y_line, y_pixel, rows, their
        # number, terms, onward, pooled. reals: slope
        few_channels.convolve(
            _operand(bases, word, 0, n, task, scratch), _operand(bases, word, 1, n, task, scratch),
            _operand(bases, word, 2, n, task, scratch), _operand(bases, word, 3, n, task, scratch),
            _operand(bases, word, 4, n, task, scratch), _operand(bases, word, 5, n, task, scratch),
            i[0], i[1], i[2], i[3], i[4], i[5], i[6], i[7], i[8], i[9], ints_at(tables, i[10]), i[11],
            ints_at(tables, i[12]), _operand(bases, word, 6, n, task, scratch), i[13] == ALWAYS, i[14] != 0,
            np.float32(real[0]), part, parts,
        )  # fmt: skip
    elif operation == NARROW_GRADIENT:
        # x, dy, -, sums, V, M. integers: C, K, strip, apart, x_line, x_pixel, P, Q, y_line, y_pixel
        sums = _operand(bases, word, 3, n, task, scratch)
        few_channels.kernel_gradient(
            _operand(bases, word, 0, n, task, scratch), _operand(bases, word, 1, n, task, scratch), sums,
            _operand(bases, word, 4, n, task, scratch), _operand(bases, word, 5, n, task, scratch),
            i[0], i[1], i[2], i[3], i[4], i[5], i[6], i[7], i[8], i[9], n != first,
        )  # fmt: skip
        if n + 1 == last:  # half of the numbers are left to add up with those of other tasks
            winograd_1d.finish_gradient(sums, 3 * i[0] * i[1], 1)
    elif operation == DEPTHWISE:
        # x, weight, start, y. integers: C, x_line, x_pixel, P, Q, y_line, y_pixel, turned, onward. reals: slope
        depthwise.convolve(
            _operand(bases, word, 0, n, task, scratch), _operand(bases, word, 1, n, task, scratch),
            _operand(bases, word, 2, n, task, scratch), _operand(bases, word, 3, n, task, scratch),
            i[0], i[1], i[2], i[4], i[5], i[6], i[7] != 0, i[8] == ALWAYS, real[0],
            part * i[3] // parts, (part + 1) * i[3] // parts,
        )  # fmt: skip
    elif operation == DEPTHWISE_GRADIENT:
        # x, dy, sums. integers: C, x_line, x_pixel, P, Q, y_line, y_pixel
        depthwise.weight_gradient(
            _operand(bases, word, 0, n, task, scratch), _operand(bases, word, 1, n, task, scratch),
            _operand(bases, word, 2, n, task, scratch), i[0], i[1], i[2], i[3], i[4], i[5], i[6], n != first,
        )  # fmt: skip
    elif operation == CARRY:
        # integers: size
        pixelwise.carry(_operand(bases, word, 0, n, task, scratch), _operand(bases, word, 1, n, task, scratch), i[0])
    elif operation == BORDER:
        # integers: C, P, Q, line, pixel, border (4)
        if part == 0:
            y = _operand(bases, word, 0, n, task, scratch)
            pixelwise.clear_border(y, i[1], i[2], i[0], i[3], i[4], ahead(i, 5), 0, i[1])
    elif operation == NORMALISE:
        _normalise(word, real, bases, N, scratch)
    elif operation == NORMALISE_BACKWARD:
        _normalise_backward(word, bases, N, scratch)
    else:
        # integers: C, H, W, x_line, x_pixel, P, Q, y_line, y_pixel, R, S, down, along, top, left,
        # border (4), ...
        C, H, W, x_line, x_pixel, P, Q, y_line, y_pixel = i[0], i[1], i[2], i[3], i[4], i[5], i[6], i[7], i[8]
        R, S, down, along, top, left, border = i[9], i[10], i[11], i[12], i[13], i[14], ahead(i, 15)
        p0, p1, q0, q1 = 0, P, 0, Q
        if parts <= P:
            p0, p1 = part * P // parts, (part + 1) * P // parts
        elif P == 1:
            q0, q1 = part * Q // parts, (part + 1) * Q // parts
        elif part > 0:
            p1 = 0
        x = _operand(bases, word, 0, n, task, scratch)
        y = _operand(bases, word, 1, n, task, scratch)
        if operation == SWEEP:
            vectors = _operand(bases, word, 2, n, task, scratch)
            norm_activation_pool.sweep(
                x, vectors, y, C, H, W, x_line, x_pixel, P, Q, y_line, y_pixel, R, S, down, along, top, left, real[0],
                border, p0, p1, q0, q1,
            )  # fmt: skip
        elif operation == ADD:
            # the second's lines and pixels stand where windows have their size; S tells whether there is a second
            second = _operand(bases, word, 2, n, task, scratch)
            pixelwise.add(
                x, second, i[10] != 0, y, C, x_line, x_pixel, i[19], i[20], P, Q, y_line, y_pixel, real[0],
                border, p0, p1, q0, q1,
            )  # fmt: skip
        elif operation == PICK:
            norm_activation_pool.pick(
                x, _operand(bases, word, 2, n, task, scratch), y, C, H, W, x_line, x_pixel, P, Q, y_line, y_pixel,
                R, S, down, along, top, left, p0, p1, q0, q1,
            )  # fmt: skip
        elif operation == SWEEP_SUMS:
            norm_activation_pool.sweep_sums(
                x, y, _operand(bases, word, 2, n, task, scratch), _doubles(bases, word, 3, n), C, H, W, x_line, x_pixel,
                y_line, y_pixel, real[0],
            )  # fmt: skip
        elif operation == SWEEP_BACKWARD:
            norm_activation_pool.sweep_backward(
                x, y, _operand(bases, word, 2, n, task, scratch), _operand(bases, word, 3, n, task, scratch),
                _operand(bases, word, 4, n, task, scratch), C, H, W, x_line, x_pixel, P, Q, y_line, y_pixel, R, S,
                down, along, top, left, real[0], i[19], i[20], border,
            )  # fmt: skip
        elif operation == MOMENTS:
            pixelwise.moments(x, _doubles(bases, word, 3, n), C, H, W, x_line, x_pixel)
        elif operation == CHANNEL_SUMS:
            pixelwise.channel_sums(x, _doubles(bases, word, 3, n), C, H, W, x_line, x_pixel)
        elif operation == AVERAGE:
            if part == 0:
                pixelwise.average(
                    x, y, C, H, W, x_line, x_pixel, P, Q, y_line, y_pixel, R, S, down, along, top, left,
                    real[0], border,
                )  # fmt: skip
        elif operation == AVERAGE_BACKWARD:
            # x is the output's gradient, y the input's
            pixelwise.average_backward(
                x, y, i[19] == ALWAYS, C, H, W, x_line, x_pixel, P, Q, y_line, y_pixel, R, S, down, along, top, left,
                real[0],
            )  # fmt: skip
        elif operation == DROPOUT:
            # integers from 19 on: size, period, seed. Numbers that lie whole periods apart share a draw.
            size, period = i[19], i[20]
            scale = np.float32(1.0 / (1.0 - real[0]))
            limit = np.uint64(real[0] * 16777216.0)
            for begin in range(period):
                if draw(seeds[i[21]], n * period + begin) < limit:
                    for k in range(begin, size, period):
                        y[k] = np.float32(0)
                else:
                    for k in range(begin, size, period):
                        y[k] = x[k] * scale
        elif operation == ACTIVATE:
            # integers from 19 on: 0, 0, which activation
            activations.activate(x, y, C, x_line, x_pixel, P, Q, y_line, y_pixel, i[21], border, p0, p1, q0, q1)
        elif operation == ACTIVATE_BACKWARD:
            dx = _operand(bases, word, 2, n, task, scratch)
            activations.activate_backward(
                x, y, dx, C, x_line, x_pixel, P, Q, y_line, y_pixel, i[19], i[20], i[21], border
            )


@helper
def _normalise(word, real, bases, N, scratch):
    """Merge the examples' moments (Chan, Golub and LeVeque, 1979) into mean, scale and beta; track them.

    integers: channels, from which on, whole C, pixels an example, distances from weight to bias and from running mean
    to running variance. reals: epsilon, momentum.
    """
    i = ahead(word, FIRST_INTEGER)
    begin, size, pixels, to_bias, to_variance = i[1], i[2], i[3], i[4], i[5]
    parameters = _operand(bases, word, 1, 0, 0, scratch)
    vectors = _operand(bases, word, 2, 0, 0, scratch)
    tracked = _operand(bases, word, 3, 0, 0, scratch)
    following = _operand(bases, word, 4, 0, 0, scratch)
    inverse = _doubles(bases, word, 5, 0)
    share = 1.0 / pixels
    count = N * pixels
    for c in range(begin, begin + i[0]):
        mean = 0.0
        for n in range(N):
            sums = _doubles(bases, word, 0, n)
            mean += sums[c] + sums[size + c] * share
        mean /= N
        squares = 0.0
        for n in range(N):
            sums = _doubles(bases, word, 0, n)
            distance = sums[size + c] * share
            off = sums[c] + distance - mean
            squares += sums[2 * size + c] - sums[size + c] * distance + off * off * pixels
        variance = squares / count
        if variance < 0.0:  # by rounding
            variance = 0.0
        inverse[c] = 1.0 / np.sqrt(variance + real[0])
        vectors[c] = np.float32(mean)
        vectors[size + c] = np.float32(parameters[c] * inverse[c])
        vectors[2 * size + c] = parameters[to_bias + c]
        unbiased = variance * count / max(count - 1, 1)
        following[c] = np.float32((1.0 - real[1]) * tracked[c] + real[1] * mean)
        following[to_variance + c] = np.float32((1.0 - real[1]) * tracked[to_variance + c] + real[1] * unbiased)


@helper
def _normalise_backward(word, bases, N, scratch):
    """Merge the examples' sums into the gradients of weight and bias, and into what dx is made of.

    Ioffe and Szegedy, 2015, section 3, rearranged to ``dx = by_dy * dy + by_x * (x - mean) + shift``. Integers as in
    `_normalise`.
    """
    i = ahead(word, FIRST_INTEGER)
    begin, size, pixels, to_bias = i[1], i[2], i[3], i[4]
    parameters = _operand(bases, word, 1, 0, 0, scratch)
    factors = _operand(bases, word, 2, 0, 0, scratch)
    gradients = _operand(bases, word, 3, 0, 0, scratch)
    inverse = _doubles(bases, word, 5, 0)
    count = N * pixels
    for c in range(begin, begin + i[0]):
        dbias = dweight = 0.0
        for n in range(N):
            sums = _doubles(bases, word, 0, n)
            dbias += sums[c]
            dweight += sums[size + c]
        dweight *= inverse[c]
        by_dy = parameters[c] * inverse[c]
        gradients[c] = np.float32(dweight)
        gradients[to_bias + c] = np.float32(dbias)
        factors[c] = np.float32(by_dy)
        factors[size + c] = np.float32(-by_dy * dweight * inverse[c] / count)
        factors[2 * size + c] = np.float32(-by_dy * dbias / count)


# What a worker is told: addresses of what else there is, and a few numbers.
(PHASES, PHASE_COUNT, WORD_TABLE, REAL_TABLE, OFFSET_TABLES, BASE_TABLE, COUNTERS, SCRATCH_SIZE, SEEDS, EXAMPLE_COUNT,
 APART) = range(11)  # fmt: skip
ARGUMENTS = 11


def _work(arguments, thread):
    """Take tasks of one phase after the other until the program is done."""
    phases, tables = longs_at(arguments[PHASES], 0), arguments[OFFSET_TABLES]
    words, reals = longs_at(arguments[WORD_TABLE], 0), doubles_at(arguments[REAL_TABLE], 0)
    bases, seeds = longs_at(arguments[BASE_TABLE], 0), seeds_at(arguments[SEEDS], 0)
    board = longs_at(arguments[COUNTERS], 0)
    N, scratch = arguments[EXAMPLE_COUNT], thread * arguments[SCRATCH_SIZE]
    if arguments[APART] > 1:
        spread(board, 2 * arguments[PHASE_COUNT], arguments[APART])
    for number in range(arguments[PHASE_COUNT]):
        phase = ahead(phases, PHASE_WORDS * number)
        kind = phase[3]
        tasks = min(phase[2], N) if kind == EXAMPLES else phase[2]
        while True:
            # From both ends: what a thread meets in a phase is mostly what it worked on in the phase before.
            task = counters.take(board, 2 * number, tasks, thread % 2 == 1)
            if task < 0:
                break
            first, last = 0, 1
            begin, end = phase[0], phase[1]
            part, parts = 0, 1
            if kind == EXAMPLES:
                first, last = task * N // tasks, (task + 1) * N // tasks
            elif kind == INSTRUCTIONS:
                begin, end = begin + task, begin + task + 1
            else:
                part, parts = task, tasks
            for n in range(first, last):
                for w in range(begin, end):
                    word, real = ahead(words, w * WORDS), ahead(reals, w * REALS)
                    _execute(word, real, bases, tables, seeds, N, n, first, last, task, scratch, part, parts)
            counters.fetch_add(board, 2 * number + 1, 1)
        counters.wait_for(board, 2 * number + 1, tasks)
    if arguments[APART] > 1:
        let_in(board, 2 * arguments[PHASE_COUNT], arguments[APART])


worker = Worker(_work)
"""Compiled once, and called by its address (see `launch`)."""
