"""Interpreter of programs: a whole pass through a network as one call.

A program is a list of phases, each with its instructions (see `opcodes`). A free thread takes the next task of the
phase; the next phase begins when all tasks are done. A task is a number of examples: it executes all instructions of
the phase for one example, then for the next, so that intermediate results stay in the cache. A phase ends only where
an instruction needs the whole batch: for the statistics of a batch normalisation, or for the sum of a gradient.

Threads synchronise by atomic counters, not by the threading layer: there is one launch a pass. If a thread starts late,
the others have done its work, so the result does not depend on the number of threads that run.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

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
from audioconv.kernels.cpu_affinity import leave_shared_cpu, yield_until_started
from audioconv.kernels.elementwise import draw
from audioconv.kernels.jit import Worker, helper
from audioconv.kernels.launch import call_worker, memory_on_stack
from audioconv.kernels.opcodes import (
    ACTIVATE,
    ACTIVATE_BACKWARD,
    ADD,
    ALWAYS,
    AVERAGE,
    AVERAGE_BACKWARD,
    BATCH_STATISTICS,
    BATCH_STATISTICS_BACKWARD,
    CHANNEL_SUMS,
    CLEAR_BORDER,
    CODE,
    CORRELATE,
    DEPTHWISE,
    DEPTHWISE_GRADIENT,
    DROPOUT,
    EXAMPLES,
    FEW_CHANNELS,
    FEW_CHANNELS_GRADIENT,
    FIRST_INTEGER,
    FIRST_OPERAND,
    FROM_IMAGE,
    IMAGE,
    INSTRUCTIONS,
    MOMENTS,
    MULTIPLY,
    NORM_ACTIVATION_POOL,
    NORM_ACTIVATION_POOL_BACKWARD,
    NORM_ACTIVATION_SUMS,
    OPERAND_BASE,
    OPERAND_OFFSET,
    OPERAND_STRIDE,
    OPERAND_WORDS,
    OPERATIONS,
    PARTIAL,
    PERMUTE,
    PHASE_BEGIN,
    PHASE_END,
    PHASE_KIND,
    PHASE_TASKS,
    PHASE_WORDS,
    POOL_SELECT,
    REALS,
    REDUCE,
    REDUCE_FLOAT64,
    SCRATCH,
    SPILL,
    UNLESS_FIRST,
    WINOGRAD,
    WINOGRAD_1D,
    WINOGRAD_1D_GRADIENT,
    WINOGRAD_1D_KERNELS,
    WINOGRAD_GRADIENT,
    WINOGRAD_KERNELS,
    WORDS,
)
from audioconv.kernels.simd_float32 import (
    address_of_pointer,
    doubles_at,
    floats_at,
    ints_at,
    longs_at,
    offset_pointer,
    seeds_at,
)
from audioconv.kernels.tile import ROWS, correlate


@helper
def _operand(bases, word, number, n, task, scratch):
    """Return the pointer to float32 operand `number` of an instruction, for example n."""
    operand = offset_pointer(word, FIRST_OPERAND + OPERAND_WORDS * number)
    base, offset = operand[OPERAND_BASE], operand[OPERAND_OFFSET]
    if base == SCRATCH:
        offset += scratch
    elif base == PARTIAL:
        offset += task * operand[OPERAND_STRIDE]
    else:
        offset += n * operand[OPERAND_STRIDE]
    return floats_at(bases[base], offset)


@helper
def _doubles(bases, word, number, n):
    """Return the pointer to float64 operand `number` of an instruction, for example n."""
    operand = offset_pointer(word, FIRST_OPERAND + OPERAND_WORDS * number)
    return doubles_at(bases[operand[OPERAND_BASE]], operand[OPERAND_OFFSET] + n * operand[OPERAND_STRIDE])


@helper
def _stride(word, number):
    """Return the distance of operand `number` from example to example, or from task to task."""
    return offset_pointer(word, FIRST_OPERAND + OPERAND_WORDS * number)[OPERAND_STRIDE]


@helper
def _execute(word, real, bases, tables, seeds, N, n, first, last, task, scratch, part, parts):
    """Execute share `part` of `parts` of one instruction for example n; the task has examples `first` to `last`.

    The instructions of the routines in `ROUTINES` are executed there.
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
                _operand(bases, word, CORRELATE.a, n, task, scratch),
                _operand(bases, word, CORRELATE.b, n, task, scratch),
                _operand(bases, word, CORRELATE.bias, n, task, scratch),
                accumulate,
                _operand(bases, word, CORRELATE.c, n, task, scratch),
                i[CORRELATE.columns], ints_at(tables, i[CORRELATE.row_table] + 2 * begin), end - begin,
                ints_at(tables, i[CORRELATE.term_table]), i[CORRELATE.terms], i[CORRELATE.depthwise] != 0,
                i[CORRELATE.activate] != 0, np.float32(real[CORRELATE.slope]),
            )  # fmt: skip
    elif operation == REDUCE.code:
        source = _operand(bases, word, REDUCE.source, 0, 0, scratch)
        target = _operand(bases, word, REDUCE.target, 0, 0, scratch)
        count = min(i[REDUCE.tasks], N)
        pixelwise.add_up(source, target, i[REDUCE.size], count, _stride(word, REDUCE.source))
    elif operation == REDUCE_FLOAT64.code:
        target = _operand(bases, word, REDUCE_FLOAT64.target, 0, 0, scratch)
        for c in range(i[REDUCE_FLOAT64.size]):
            total = 0.0
            for m in range(N):
                total += _doubles(bases, word, REDUCE_FLOAT64.source, m)[c]
            target[c] = np.float32(total)
    elif operation == PERMUTE.code:
        source = _operand(bases, word, PERMUTE.source, 0, 0, scratch)
        target = _operand(bases, word, PERMUTE.target, 0, 0, scratch)
        table = ints_at(tables, i[PERMUTE.table])
        for k in range(i[PERMUTE.size]):
            target[k] = source[table[k]]
    elif operation == SPILL.code:
        source = _operand(bases, word, SPILL.source, n, task, scratch)
        pixelwise.stream_copy(source, _operand(bases, word, SPILL.target, n, task, scratch), i[SPILL.size])
    elif operation == CLEAR_BORDER.code:
        if part == 0:
            pixelwise.clear_border(
                _operand(bases, word, CLEAR_BORDER.y, n, task, scratch), i[CLEAR_BORDER.out_height],
                i[CLEAR_BORDER.out_width], i[CLEAR_BORDER.channels], i[CLEAR_BORDER.out_line],
                i[CLEAR_BORDER.out_pixel], offset_pointer(i, CLEAR_BORDER.border_top), 0, i[CLEAR_BORDER.out_height],
            )  # fmt: skip
    elif operation == DROPOUT.code:
        x = _operand(bases, word, DROPOUT.x, n, task, scratch)
        y = _operand(bases, word, DROPOUT.y, n, task, scratch)
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
        _batch_statistics(word, real, bases, N, scratch)
    elif operation == BATCH_STATISTICS_BACKWARD.code:
        _batch_statistics_backward(word, bases, N, scratch)


@helper
def _execute_winograd(word, real, bases, tables, seeds, N, n, first, last, task, scratch, part, parts):
    """Execute an instruction of `winograd` for example n."""
    i = offset_pointer(word, FIRST_INTEGER)
    operation = word[CODE]
    if operation == WINOGRAD.code:
        winograd.convolve(
            _operand(bases, word, WINOGRAD.x, n, task, scratch), _operand(bases, word, WINOGRAD.U, n, task, scratch),
            _operand(bases, word, WINOGRAD.bias, n, task, scratch), _operand(bases, word, WINOGRAD.y, n, task, scratch),
            _operand(bases, word, WINOGRAD.V, n, task, scratch), _operand(bases, word, WINOGRAD.M, n, task, scratch),
            i[WINOGRAD.channels], i[WINOGRAD.filters], i[WINOGRAD.strip], i[WINOGRAD.in_line], i[WINOGRAD.in_pixel],
            i[WINOGRAD.out_height], i[WINOGRAD.out_width], i[WINOGRAD.out_line], i[WINOGRAD.out_pixel],
            ints_at(tables, i[WINOGRAD.row_table]), ints_at(tables, i[WINOGRAD.term_table]),
            _operand(bases, word, WINOGRAD.zeros, n, task, scratch), i[WINOGRAD.accumulate] == ALWAYS,
            i[WINOGRAD.pooled] != 0, np.float32(real[WINOGRAD.slope]), part, parts,
        )  # fmt: skip
    elif operation == WINOGRAD_GRADIENT.code:
        sums = _operand(bases, word, WINOGRAD_GRADIENT.sums, n, task, scratch)
        channels, filters = i[WINOGRAD_GRADIENT.channels], i[WINOGRAD_GRADIENT.filters]
        winograd.kernel_gradient(
            _operand(bases, word, WINOGRAD_GRADIENT.x, n, task, scratch),
            _operand(bases, word, WINOGRAD_GRADIENT.dy, n, task, scratch),
            sums,
            _operand(bases, word, WINOGRAD_GRADIENT.V, n, task, scratch),
            _operand(bases, word, WINOGRAD_GRADIENT.M, n, task, scratch),
            channels, filters, i[WINOGRAD_GRADIENT.strip], i[WINOGRAD_GRADIENT.in_line], i[WINOGRAD_GRADIENT.in_pixel],
            i[WINOGRAD_GRADIENT.out_height], i[WINOGRAD_GRADIENT.out_width], i[WINOGRAD_GRADIENT.out_line],
            i[WINOGRAD_GRADIENT.out_pixel], ints_at(tables, i[WINOGRAD_GRADIENT.row_table]), i[WINOGRAD_GRADIENT.rows],
            ints_at(tables, i[WINOGRAD_GRADIENT.term_table]),
            _operand(bases, word, WINOGRAD_GRADIENT.zeros, n, task, scratch), n - first, n + 1 == last,
        )  # fmt: skip
        if n + 1 == last:
            gradient = _operand(bases, word, WINOGRAD_GRADIENT.gradient, n, task, scratch)
            winograd.finish_gradient(sums, gradient, channels * filters)
    elif operation == WINOGRAD_KERNELS.code:
        weight = _operand(bases, word, WINOGRAD_KERNELS.weight, 0, 0, scratch)
        U = _operand(bases, word, WINOGRAD_KERNELS.U, 0, 0, scratch)
        winograd.transform_kernels(
            weight, U, i[WINOGRAD_KERNELS.size], i[WINOGRAD_KERNELS.begin], i[WINOGRAD_KERNELS.end]
        )


@helper
def _execute_winograd_1d(word, real, bases, tables, seeds, N, n, first, last, task, scratch, part, parts):
    """Execute an instruction of `winograd_1d` for example n."""
    i = offset_pointer(word, FIRST_INTEGER)
    operation = word[CODE]
    if operation == WINOGRAD_1D.code:
        winograd_1d.convolve(
            _operand(bases, word, WINOGRAD_1D.x, n, task, scratch),
            _operand(bases, word, WINOGRAD_1D.U, n, task, scratch),
            _operand(bases, word, WINOGRAD_1D.bias, n, task, scratch),
            _operand(bases, word, WINOGRAD_1D.y, n, task, scratch),
            _operand(bases, word, WINOGRAD_1D.V, n, task, scratch),
            _operand(bases, word, WINOGRAD_1D.M, n, task, scratch),
            i[WINOGRAD_1D.channels], i[WINOGRAD_1D.filters], i[WINOGRAD_1D.blocks], i[WINOGRAD_1D.strip],
            i[WINOGRAD_1D.plane_stride], i[WINOGRAD_1D.out_width], i[WINOGRAD_1D.out_pixel],
            ints_at(tables, i[WINOGRAD_1D.row_table]), ints_at(tables, i[WINOGRAD_1D.term_table]),
            _operand(bases, word, WINOGRAD_1D.zeros, n, task, scratch), i[WINOGRAD_1D.accumulate] == ALWAYS,
            np.float32(real[WINOGRAD_1D.slope]), part, parts,
        )  # fmt: skip
    elif operation == WINOGRAD_1D_GRADIENT.code:
        sums = _operand(bases, word, WINOGRAD_1D_GRADIENT.sums, n, task, scratch)
        channels, filters = i[WINOGRAD_1D_GRADIENT.channels], i[WINOGRAD_1D_GRADIENT.filters]
        blocks = i[WINOGRAD_1D_GRADIENT.blocks]
        winograd_1d.kernel_gradient(
            _operand(bases, word, WINOGRAD_1D_GRADIENT.x, n, task, scratch),
            _operand(bases, word, WINOGRAD_1D_GRADIENT.dy, n, task, scratch),
            sums,
            _operand(bases, word, WINOGRAD_1D_GRADIENT.V, n, task, scratch),
            _operand(bases, word, WINOGRAD_1D_GRADIENT.M, n, task, scratch),
            channels, filters, blocks, i[WINOGRAD_1D_GRADIENT.strip], i[WINOGRAD_1D_GRADIENT.plane_stride],
            i[WINOGRAD_1D_GRADIENT.out_width], i[WINOGRAD_1D_GRADIENT.out_pixel],
            ints_at(tables, i[WINOGRAD_1D_GRADIENT.row_table]), i[WINOGRAD_1D_GRADIENT.rows],
            ints_at(tables, i[WINOGRAD_1D_GRADIENT.term_table]),
            _operand(bases, word, WINOGRAD_1D_GRADIENT.zeros, n, task, scratch), n != first,
        )  # fmt: skip
        if n + 1 == last:
            gradient = _operand(bases, word, WINOGRAD_1D_GRADIENT.gradient, n, task, scratch)
            winograd_1d.finish_gradient(sums, gradient, channels * filters, blocks)
    elif operation == WINOGRAD_1D_KERNELS.code:
        weight = _operand(bases, word, WINOGRAD_1D_KERNELS.weight, 0, 0, scratch)
        U = _operand(bases, word, WINOGRAD_1D_KERNELS.U, 0, 0, scratch)
        winograd_1d.transform_kernels(
            weight, U, i[WINOGRAD_1D_KERNELS.size], i[WINOGRAD_1D_KERNELS.count], i[WINOGRAD_1D_KERNELS.begin],
            i[WINOGRAD_1D_KERNELS.end],
        )  # fmt: skip


@helper
def _execute_few_channels(word, real, bases, tables, seeds, N, n, first, last, task, scratch, part, parts):
    """Execute an instruction of `few_channels` for example n."""
    i = offset_pointer(word, FIRST_INTEGER)
    operation = word[CODE]
    if operation == FEW_CHANNELS.code:
        few_channels.convolve(
            _operand(bases, word, FEW_CHANNELS.x, n, task, scratch),
            _operand(bases, word, FEW_CHANNELS.U, n, task, scratch),
            _operand(bases, word, FEW_CHANNELS.bias, n, task, scratch),
            _operand(bases, word, FEW_CHANNELS.y, n, task, scratch),
            _operand(bases, word, FEW_CHANNELS.V, n, task, scratch),
            _operand(bases, word, FEW_CHANNELS.M, n, task, scratch),
            i[FEW_CHANNELS.channels], i[FEW_CHANNELS.filters], i[FEW_CHANNELS.strip], i[FEW_CHANNELS.plane_stride],
            i[FEW_CHANNELS.in_line], i[FEW_CHANNELS.in_pixel], i[FEW_CHANNELS.out_height], i[FEW_CHANNELS.out_width],
            i[FEW_CHANNELS.out_line], i[FEW_CHANNELS.out_pixel], ints_at(tables, i[FEW_CHANNELS.row_table]),
            i[FEW_CHANNELS.rows], ints_at(tables, i[FEW_CHANNELS.term_table]),
            _operand(bases, word, FEW_CHANNELS.zeros, n, task, scratch), i[FEW_CHANNELS.accumulate] == ALWAYS,
            i[FEW_CHANNELS.pooled] != 0, np.float32(real[FEW_CHANNELS.slope]), part, parts,
        )  # fmt: skip
    elif operation == FEW_CHANNELS_GRADIENT.code:
        sums = _operand(bases, word, FEW_CHANNELS_GRADIENT.sums, n, task, scratch)
        channels, filters = i[FEW_CHANNELS_GRADIENT.channels], i[FEW_CHANNELS_GRADIENT.filters]
        few_channels.kernel_gradient(
            _operand(bases, word, FEW_CHANNELS_GRADIENT.x, n, task, scratch),
            _operand(bases, word, FEW_CHANNELS_GRADIENT.dy, n, task, scratch),
            sums,
            _operand(bases, word, FEW_CHANNELS_GRADIENT.V, n, task, scratch),
            _operand(bases, word, FEW_CHANNELS_GRADIENT.M, n, task, scratch),
            channels, filters, i[FEW_CHANNELS_GRADIENT.strip], i[FEW_CHANNELS_GRADIENT.plane_stride],
            i[FEW_CHANNELS_GRADIENT.in_line], i[FEW_CHANNELS_GRADIENT.in_pixel], i[FEW_CHANNELS_GRADIENT.out_height],
            i[FEW_CHANNELS_GRADIENT.out_width], i[FEW_CHANNELS_GRADIENT.out_line], i[FEW_CHANNELS_GRADIENT.out_pixel],
            n != first,
        )  # fmt: skip
        if n + 1 == last:
            gradient = _operand(bases, word, FEW_CHANNELS_GRADIENT.gradient, n, task, scratch)
            winograd_1d.finish_gradient(sums, gradient, 3 * channels * filters, 1)


@helper
def _execute_depthwise(word, real, bases, tables, seeds, N, n, first, last, task, scratch, part, parts):
    """Execute an instruction of `depthwise` for example n."""
    i = offset_pointer(word, FIRST_INTEGER)
    operation = word[CODE]
    if operation == DEPTHWISE.code:
        lines = i[DEPTHWISE.out_height]
        depthwise.convolve(
            _operand(bases, word, DEPTHWISE.x, n, task, scratch),
            _operand(bases, word, DEPTHWISE.weight, n, task, scratch),
            _operand(bases, word, DEPTHWISE.bias, n, task, scratch),
            _operand(bases, word, DEPTHWISE.y, n, task, scratch),
            i[DEPTHWISE.channels], i[DEPTHWISE.in_line], i[DEPTHWISE.in_pixel], i[DEPTHWISE.out_width],
            i[DEPTHWISE.out_line], i[DEPTHWISE.out_pixel], i[DEPTHWISE.flipped] != 0, i[DEPTHWISE.accumulate] == ALWAYS,
            real[DEPTHWISE.slope], part * lines // parts, (part + 1) * lines // parts,
        )  # fmt: skip
    elif operation == DEPTHWISE_GRADIENT.code:
        depthwise.weight_gradient(
            _operand(bases, word, DEPTHWISE_GRADIENT.x, n, task, scratch),
            _operand(bases, word, DEPTHWISE_GRADIENT.dy, n, task, scratch),
            _operand(bases, word, DEPTHWISE_GRADIENT.sums, n, task, scratch),
            i[DEPTHWISE_GRADIENT.channels], i[DEPTHWISE_GRADIENT.in_line], i[DEPTHWISE_GRADIENT.in_pixel],
            i[DEPTHWISE_GRADIENT.out_height], i[DEPTHWISE_GRADIENT.out_width], i[DEPTHWISE_GRADIENT.out_line],
            i[DEPTHWISE_GRADIENT.out_pixel], n != first,
        )  # fmt: skip


@helper
def _execute_on_images(word, real, bases, tables, seeds, N, n, first, last, task, scratch, part, parts):
    """Execute an instruction from image to image (`opcodes.FROM_IMAGE`) for example n."""
    i = offset_pointer(word, FIRST_INTEGER)
    operation = word[CODE]
    C, H, W = i[IMAGE.channels], i[IMAGE.in_height], i[IMAGE.in_width]
    x_line, x_pixel = i[IMAGE.in_line], i[IMAGE.in_pixel]
    P, Q, y_line, y_pixel = i[IMAGE.out_height], i[IMAGE.out_width], i[IMAGE.out_line], i[IMAGE.out_pixel]
    R, S, down, along = i[IMAGE.kernel_height], i[IMAGE.kernel_width], i[IMAGE.stride_height], i[IMAGE.stride_width]
    top, left, border = i[IMAGE.padding_top], i[IMAGE.padding_left], offset_pointer(i, IMAGE.border_top)
    p0, p1, q0, q1 = 0, P, 0, Q
    if parts <= P:
        p0, p1 = part * P // parts, (part + 1) * P // parts
    elif P == 1:
        q0, q1 = part * Q // parts, (part + 1) * Q // parts
    elif part > 0:
        p1 = 0
    x = _operand(bases, word, IMAGE.x, n, task, scratch)
    y = _operand(bases, word, IMAGE.y, n, task, scratch)
    if operation == NORM_ACTIVATION_POOL.code:
        norm_activation_pool.forward(
            x, _operand(bases, word, NORM_ACTIVATION_POOL.vectors, n, task, scratch), y, C, H, W, x_line, x_pixel, P, Q,
            y_line, y_pixel, R, S, down, along, top, left, real[NORM_ACTIVATION_POOL.slope],
            real[NORM_ACTIVATION_POOL.low], real[NORM_ACTIVATION_POOL.high], border, p0, p1, q0, q1,
        )  # fmt: skip
    elif operation == ADD.code:
        pixelwise.add(
            x, _operand(bases, word, ADD.second, n, task, scratch), i[ADD.has_second] != 0, y, C, x_line, x_pixel,
            i[ADD.second_line], i[ADD.second_pixel], P, Q, y_line, y_pixel, real[ADD.slope], border, p0, p1, q0, q1,
        )  # fmt: skip
    elif operation == MULTIPLY.code:
        pixelwise.multiply(
            x, _operand(bases, word, MULTIPLY.second, n, task, scratch), y, C, x_line, x_pixel, i[MULTIPLY.second_line],
            i[MULTIPLY.second_pixel], P, Q, y_line, y_pixel, border, p0, p1, q0, q1,
        )  # fmt: skip
    elif operation == POOL_SELECT.code:
        norm_activation_pool.select(
            x, _operand(bases, word, POOL_SELECT.vectors, n, task, scratch), y, C, H, W, x_line, x_pixel, P, Q, y_line,
            y_pixel, R, S, down, along, top, left, p0, p1, q0, q1,
        )  # fmt: skip
    elif operation == NORM_ACTIVATION_SUMS.code:
        norm_activation_pool.gradient_sums(
            x, y, _operand(bases, word, NORM_ACTIVATION_SUMS.vectors, n, task, scratch),
            _doubles(bases, word, NORM_ACTIVATION_SUMS.sums, n), C, H, W, x_line, x_pixel, y_line, y_pixel,
            real[NORM_ACTIVATION_SUMS.slope], real[NORM_ACTIVATION_SUMS.low], real[NORM_ACTIVATION_SUMS.high],
        )  # fmt: skip
    elif operation == NORM_ACTIVATION_POOL_BACKWARD.code:
        norm_activation_pool.backward(
            x, y, _operand(bases, word, NORM_ACTIVATION_POOL_BACKWARD.vectors, n, task, scratch),
            _operand(bases, word, NORM_ACTIVATION_POOL_BACKWARD.factors, n, task, scratch),
            _operand(bases, word, NORM_ACTIVATION_POOL_BACKWARD.dx, n, task, scratch), C, H, W, x_line, x_pixel, P, Q,
            y_line, y_pixel, R, S, down, along, top, left, real[NORM_ACTIVATION_POOL_BACKWARD.slope],
            real[NORM_ACTIVATION_POOL_BACKWARD.low], real[NORM_ACTIVATION_POOL_BACKWARD.high],
            i[NORM_ACTIVATION_POOL_BACKWARD.dx_line], i[NORM_ACTIVATION_POOL_BACKWARD.dx_pixel], border,
        )  # fmt: skip
    elif operation == MOMENTS.code:
        pixelwise.moments(x, _doubles(bases, word, MOMENTS.sums, n), C, H, W, x_line, x_pixel)
    elif operation == CHANNEL_SUMS.code:
        pixelwise.channel_sums(x, _doubles(bases, word, CHANNEL_SUMS.sums, n), C, H, W, x_line, x_pixel)
    elif operation == AVERAGE.code:
        if part == 0:
            pixelwise.average(
                x, y, C, H, W, x_line, x_pixel, P, Q, y_line, y_pixel, R, S, down, along, top, left,
                real[AVERAGE.share], border,
            )  # fmt: skip
    elif operation == AVERAGE_BACKWARD.code:
        pixelwise.average_backward(
            _operand(bases, word, AVERAGE_BACKWARD.dy, n, task, scratch),
            _operand(bases, word, AVERAGE_BACKWARD.dx, n, task, scratch), i[AVERAGE_BACKWARD.accumulate] == ALWAYS,
            C, H, W, x_line, x_pixel, P, Q, y_line, y_pixel, R, S, down, along, top, left, real[AVERAGE_BACKWARD.share],
        )  # fmt: skip
    elif operation == ACTIVATE.code:
        activations.activate(
            x, y, C, x_line, x_pixel, P, Q, y_line, y_pixel, i[ACTIVATE.kind], real[ACTIVATE.slope],
            real[ACTIVATE.shift], border, p0, p1, q0, q1,
        )  # fmt: skip
    elif operation == ACTIVATE_BACKWARD.code:
        activations.activate_backward(
            x, y, _operand(bases, word, ACTIVATE_BACKWARD.dx, n, task, scratch), C, x_line, x_pixel, P, Q, y_line,
            y_pixel, i[ACTIVATE_BACKWARD.dx_line], i[ACTIVATE_BACKWARD.dx_pixel], i[ACTIVATE_BACKWARD.kind],
            real[ACTIVATE_BACKWARD.slope], real[ACTIVATE_BACKWARD.shift], border,
        )  # fmt: skip


@helper
def _batch_statistics(word, real, bases, N, scratch):
    """Merge the examples' moments (Chan, Golub and LeVeque, 1979) into mean, scale and beta; track them."""
    i = offset_pointer(word, FIRST_INTEGER)
    begin, size, pixels = (
        i[BATCH_STATISTICS.first_channel], i[BATCH_STATISTICS.padded_channels], i[BATCH_STATISTICS.pixels]
    )  # fmt: skip
    to_bias, to_variance = i[BATCH_STATISTICS.bias_distance], i[BATCH_STATISTICS.variance_distance]
    parameters = _operand(bases, word, BATCH_STATISTICS.parameters, 0, 0, scratch)
    vectors = _operand(bases, word, BATCH_STATISTICS.vectors, 0, 0, scratch)
    tracked = _operand(bases, word, BATCH_STATISTICS.tracked, 0, 0, scratch)
    following = _operand(bases, word, BATCH_STATISTICS.tracked_next, 0, 0, scratch)
    inverse = _doubles(bases, word, BATCH_STATISTICS.inverse_deviation, 0)
    share = 1.0 / pixels
    count = N * pixels
    for c in range(begin, begin + i[BATCH_STATISTICS.channels]):
        mean = 0.0
        for n in range(N):
            sums = _doubles(bases, word, BATCH_STATISTICS.moments, n)
            mean += sums[c] + sums[size + c] * share
        mean /= N
        squares = 0.0
        for n in range(N):
            sums = _doubles(bases, word, BATCH_STATISTICS.moments, n)
            distance = sums[size + c] * share
            off = sums[c] + distance - mean
            squares += sums[2 * size + c] - sums[size + c] * distance + off * off * pixels
        variance = squares / count
        if variance < 0.0:  # by rounding
            variance = 0.0
        inverse[c] = 1.0 / np.sqrt(variance + real[BATCH_STATISTICS.epsilon])
        vectors[c] = np.float32(mean)
        vectors[size + c] = np.float32(parameters[c] * inverse[c])
        vectors[2 * size + c] = parameters[to_bias + c]
        unbiased = variance * count / max(count - 1, 1)
        # Momentum is read where it is used: kept in a variable, other products would be fused, and round otherwise.
        following[c] = np.float32(
            (1.0 - real[BATCH_STATISTICS.momentum]) * tracked[c] + real[BATCH_STATISTICS.momentum] * mean
        )
        following[to_variance + c] = np.float32(
            (1.0 - real[BATCH_STATISTICS.momentum]) * tracked[to_variance + c]
            + real[BATCH_STATISTICS.momentum] * unbiased
        )


@helper
def _batch_statistics_backward(word, bases, N, scratch):
    """Merge the examples' sums into the gradients of weight and bias, and into the factors of dx.

    Ioffe and Szegedy, 2015, section 3, rearranged to ``dx = by_dy * dy + by_x * (x - mean) + shift``.
    """
    i = offset_pointer(word, FIRST_INTEGER)
    begin, size = i[BATCH_STATISTICS_BACKWARD.first_channel], i[BATCH_STATISTICS_BACKWARD.padded_channels]
    pixels, to_bias = i[BATCH_STATISTICS_BACKWARD.pixels], i[BATCH_STATISTICS_BACKWARD.bias_distance]
    parameters = _operand(bases, word, BATCH_STATISTICS_BACKWARD.parameters, 0, 0, scratch)
    factors = _operand(bases, word, BATCH_STATISTICS_BACKWARD.factors, 0, 0, scratch)
    gradients = _operand(bases, word, BATCH_STATISTICS_BACKWARD.gradients, 0, 0, scratch)
    inverse = _doubles(bases, word, BATCH_STATISTICS_BACKWARD.inverse_deviation, 0)
    count = N * pixels
    for c in range(begin, begin + i[BATCH_STATISTICS_BACKWARD.channels]):
        dbias = dweight = 0.0
        for n in range(N):
            sums = _doubles(bases, word, BATCH_STATISTICS_BACKWARD.sums, n)
            dbias += sums[c]
            dweight += sums[size + c]
        dweight *= inverse[c]
        by_dy = parameters[c] * inverse[c]
        gradients[c] = np.float32(dweight)
        gradients[to_bias + c] = np.float32(dbias)
        factors[c] = np.float32(by_dy)
        factors[size + c] = np.float32(-by_dy * dweight * inverse[c] / count)
        factors[2 * size + c] = np.float32(-by_dy * dbias / count)


# The arguments of a routine, in memory. `_execute` has the same ones.
(CALL_WORD, CALL_REAL, CALL_BASES, CALL_TABLES, CALL_SEEDS, CALL_BATCH, CALL_EXAMPLE, CALL_FIRST, CALL_LAST, CALL_TASK,
 CALL_SCRATCH, CALL_PART, CALL_PARTS) = range(13)  # fmt: skip


@helper
def _arguments_of(call):
    """Return the arguments of a routine, which `_work` has put into memory."""
    return (
        longs_at(call[CALL_WORD], 0), doubles_at(call[CALL_REAL], 0), longs_at(call[CALL_BASES], 0), call[CALL_TABLES],
        seeds_at(call[CALL_SEEDS], 0), call[CALL_BATCH], call[CALL_EXAMPLE], call[CALL_FIRST], call[CALL_LAST],
        call[CALL_TASK], call[CALL_SCRATCH], call[CALL_PART], call[CALL_PARTS],
    )  # fmt: skip


def _run_winograd(call, thread):
    _execute_winograd(*_arguments_of(call))


def _run_winograd_1d(call, thread):
    _execute_winograd_1d(*_arguments_of(call))


def _run_few_channels(call, thread):
    _execute_few_channels(*_arguments_of(call))


def _run_depthwise(call, thread):
    _execute_depthwise(*_arguments_of(call))


def _run_on_images(call, thread):
    _execute_on_images(*_arguments_of(call))


ROUTINES = {
    "winograd": (Worker(_run_winograd), (WINOGRAD, WINOGRAD_GRADIENT, WINOGRAD_KERNELS)),
    "winograd_1d": (Worker(_run_winograd_1d), (WINOGRAD_1D, WINOGRAD_1D_GRADIENT, WINOGRAD_1D_KERNELS)),
    "few_channels": (Worker(_run_few_channels), (FEW_CHANNELS, FEW_CHANNELS_GRADIENT)),
    "depthwise": (Worker(_run_depthwise), (DEPTHWISE, DEPTHWISE_GRADIENT)),
    "images": (Worker(_run_on_images), FROM_IMAGE),
}
"""Workers that execute some operations each, and these operations.

A program needs the routines of its own operations alone (see `routine_addresses`), and several processes can compile
several routines at the same time: on a machine's first run, compiling is what takes longest.
"""


def routine_addresses(codes: Iterable[int]) -> NDArray[np.int64]:
    """Return, for each code of an operation, the address of its routine; 0 for the interpreter itself.

    Compiles the routines of the operations `codes`; the addresses of others are 0, too.
    """
    needed = set(codes)
    addresses = np.zeros(len(OPERATIONS), np.int64)
    for routine, operations in ROUTINES.values():
        if needed & {operation.code for operation in operations}:
            addresses[[operation.code for operation in operations]] = routine.address
    return addresses


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
