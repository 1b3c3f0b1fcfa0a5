"""Routines: the workers that execute the instructions of a kind, and what the interpreter passes to them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from audioconv.kernels import (
    activations,
    depthwise,
    few_channels,
    norm_activation_pool,
    pixelwise,
    winograd,
    winograd_1d,
)
from audioconv.kernels.jit import Worker, helper
from audioconv.kernels.opcodes import (
    ACTIVATE,
    ACTIVATE_BACKWARD,
    ADD,
    ALWAYS,
    AVERAGE,
    AVERAGE_BACKWARD,
    CHANNEL_SUMS,
    CODE,
    DEPTHWISE,
    DEPTHWISE_GRADIENT,
    FEW_CHANNELS,
    FEW_CHANNELS_GRADIENT,
    FIRST_INTEGER,
    FROM_IMAGE,
    IMAGE,
    MOMENTS,
    MULTIPLY,
    NORM_ACTIVATION_POOL,
    NORM_ACTIVATION_POOL_BACKWARD,
    NORM_ACTIVATION_SUMS,
    OPERATIONS,
    POOL_SELECT,
    WINOGRAD,
    WINOGRAD_1D,
    WINOGRAD_1D_GRADIENT,
    WINOGRAD_1D_KERNELS,
    WINOGRAD_GRADIENT,
    WINOGRAD_KERNELS,
)
from audioconv.kernels.operands import doubles, operand
from audioconv.kernels.simd_float32 import doubles_at, ints_at, longs_at, offset_pointer, seeds_at

# The arguments of a routine, in memory. The interpreter writes them.
(CALL_WORD, CALL_REAL, CALL_BASES, CALL_TABLES, CALL_SEEDS, CALL_BATCH, CALL_EXAMPLE, CALL_FIRST, CALL_LAST, CALL_TASK,
 CALL_SCRATCH, CALL_PART, CALL_PARTS) = range(13)  # fmt: skip


@helper
def _execute_winograd(word, real, bases, tables, seeds, N, n, first, last, task, scratch, part, parts):
    """Execute an instruction of `winograd` for example n."""
    i = offset_pointer(word, FIRST_INTEGER)
    operation = word[CODE]
    if operation == WINOGRAD.code:
        winograd.convolve(
            operand(bases, word, WINOGRAD.x, n, task, scratch), operand(bases, word, WINOGRAD.U, n, task, scratch),
            operand(bases, word, WINOGRAD.bias, n, task, scratch), operand(bases, word, WINOGRAD.y, n, task, scratch),
            operand(bases, word, WINOGRAD.V, n, task, scratch), operand(bases, word, WINOGRAD.M, n, task, scratch),
            i[WINOGRAD.channels], i[WINOGRAD.filters], i[WINOGRAD.strip], i[WINOGRAD.in_line], i[WINOGRAD.in_pixel],
            i[WINOGRAD.out_height], i[WINOGRAD.out_width], i[WINOGRAD.out_line], i[WINOGRAD.out_pixel],
            ints_at(tables, i[WINOGRAD.row_table]), ints_at(tables, i[WINOGRAD.term_table]),
            operand(bases, word, WINOGRAD.zeros, n, task, scratch), i[WINOGRAD.accumulate] == ALWAYS,
            i[WINOGRAD.pooled] != 0, np.float32(real[WINOGRAD.slope]), part, parts,
        )  # fmt: skip
    elif operation == WINOGRAD_GRADIENT.code:
        sums = operand(bases, word, WINOGRAD_GRADIENT.sums, n, task, scratch)
        channels, filters = i[WINOGRAD_GRADIENT.channels], i[WINOGRAD_GRADIENT.filters]
        winograd.kernel_gradient(
            operand(bases, word, WINOGRAD_GRADIENT.x, n, task, scratch),
            operand(bases, word, WINOGRAD_GRADIENT.dy, n, task, scratch),
            sums,
            operand(bases, word, WINOGRAD_GRADIENT.V, n, task, scratch),
            operand(bases, word, WINOGRAD_GRADIENT.M, n, task, scratch),
            channels, filters, i[WINOGRAD_GRADIENT.strip], i[WINOGRAD_GRADIENT.in_line], i[WINOGRAD_GRADIENT.in_pixel],
            i[WINOGRAD_GRADIENT.out_height], i[WINOGRAD_GRADIENT.out_width], i[WINOGRAD_GRADIENT.out_line],
            i[WINOGRAD_GRADIENT.out_pixel], ints_at(tables, i[WINOGRAD_GRADIENT.row_table]), i[WINOGRAD_GRADIENT.rows],
            ints_at(tables, i[WINOGRAD_GRADIENT.term_table]),
            operand(bases, word, WINOGRAD_GRADIENT.zeros, n, task, scratch), n - first, n + 1 == last,
        )  # fmt: skip
        if n + 1 == last:
            gradient = operand(bases, word, WINOGRAD_GRADIENT.gradient, n, task, scratch)
            winograd.finish_gradient(sums, gradient, channels * filters)
    elif operation == WINOGRAD_KERNELS.code:
        weight = operand(bases, word, WINOGRAD_KERNELS.weight, 0, 0, scratch)
        U = operand(bases, word, WINOGRAD_KERNELS.U, 0, 0, scratch)
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
            operand(bases, word, WINOGRAD_1D.x, n, task, scratch),
            operand(bases, word, WINOGRAD_1D.U, n, task, scratch),
            operand(bases, word, WINOGRAD_1D.bias, n, task, scratch),
            operand(bases, word, WINOGRAD_1D.y, n, task, scratch),
            operand(bases, word, WINOGRAD_1D.V, n, task, scratch),
            operand(bases, word, WINOGRAD_1D.M, n, task, scratch),
            i[WINOGRAD_1D.channels], i[WINOGRAD_1D.filters], i[WINOGRAD_1D.blocks], i[WINOGRAD_1D.strip],
            i[WINOGRAD_1D.plane_stride], i[WINOGRAD_1D.out_width], i[WINOGRAD_1D.out_pixel],
            ints_at(tables, i[WINOGRAD_1D.row_table]), ints_at(tables, i[WINOGRAD_1D.term_table]),
            operand(bases, word, WINOGRAD_1D.zeros, n, task, scratch), i[WINOGRAD_1D.accumulate] == ALWAYS,
            np.float32(real[WINOGRAD_1D.slope]), part, parts,
        )  # fmt: skip
    elif operation == WINOGRAD_1D_GRADIENT.code:
        sums = operand(bases, word, WINOGRAD_1D_GRADIENT.sums, n, task, scratch)
        channels, filters = i[WINOGRAD_1D_GRADIENT.channels], i[WINOGRAD_1D_GRADIENT.filters]
        blocks = i[WINOGRAD_1D_GRADIENT.blocks]
        winograd_1d.kernel_gradient(
            operand(bases, word, WINOGRAD_1D_GRADIENT.x, n, task, scratch),
            operand(bases, word, WINOGRAD_1D_GRADIENT.dy, n, task, scratch),
            sums,
            operand(bases, word, WINOGRAD_1D_GRADIENT.V, n, task, scratch),
            operand(bases, word, WINOGRAD_1D_GRADIENT.M, n, task, scratch),
            channels, filters, blocks, i[WINOGRAD_1D_GRADIENT.strip], i[WINOGRAD_1D_GRADIENT.plane_stride],
            i[WINOGRAD_1D_GRADIENT.out_width], i[WINOGRAD_1D_GRADIENT.out_pixel],
            ints_at(tables, i[WINOGRAD_1D_GRADIENT.row_table]), i[WINOGRAD_1D_GRADIENT.rows],
            ints_at(tables, i[WINOGRAD_1D_GRADIENT.term_table]),
            operand(bases, word, WINOGRAD_1D_GRADIENT.zeros, n, task, scratch), n != first,
        )  # fmt: skip
        if n + 1 == last:
            gradient = operand(bases, word, WINOGRAD_1D_GRADIENT.gradient, n, task, scratch)
            winograd_1d.finish_gradient(sums, gradient, channels * filters, blocks)
    elif operation == WINOGRAD_1D_KERNELS.code:
        weight = operand(bases, word, WINOGRAD_1D_KERNELS.weight, 0, 0, scratch)
        U = operand(bases, word, WINOGRAD_1D_KERNELS.U, 0, 0, scratch)
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
            operand(bases, word, FEW_CHANNELS.x, n, task, scratch),
            operand(bases, word, FEW_CHANNELS.U, n, task, scratch),
            operand(bases, word, FEW_CHANNELS.bias, n, task, scratch),
            operand(bases, word, FEW_CHANNELS.y, n, task, scratch),
            operand(bases, word, FEW_CHANNELS.V, n, task, scratch),
            operand(bases, word, FEW_CHANNELS.M, n, task, scratch),
            i[FEW_CHANNELS.channels], i[FEW_CHANNELS.filters], i[FEW_CHANNELS.strip], i[FEW_CHANNELS.plane_stride],
            i[FEW_CHANNELS.in_line], i[FEW_CHANNELS.in_pixel], i[FEW_CHANNELS.out_height], i[FEW_CHANNELS.out_width],
            i[FEW_CHANNELS.out_line], i[FEW_CHANNELS.out_pixel], ints_at(tables, i[FEW_CHANNELS.row_table]),
            i[FEW_CHANNELS.rows], ints_at(tables, i[FEW_CHANNELS.term_table]),
            operand(bases, word, FEW_CHANNELS.zeros, n, task, scratch), i[FEW_CHANNELS.accumulate] == ALWAYS,
            i[FEW_CHANNELS.pooled] != 0, np.float32(real[FEW_CHANNELS.slope]), part, parts,
        )  # fmt: skip
    elif operation == FEW_CHANNELS_GRADIENT.code:
        sums = operand(bases, word, FEW_CHANNELS_GRADIENT.sums, n, task, scratch)
        channels, filters = i[FEW_CHANNELS_GRADIENT.channels], i[FEW_CHANNELS_GRADIENT.filters]
        few_channels.kernel_gradient(
            operand(bases, word, FEW_CHANNELS_GRADIENT.x, n, task, scratch),
            operand(bases, word, FEW_CHANNELS_GRADIENT.dy, n, task, scratch),
            sums,
            operand(bases, word, FEW_CHANNELS_GRADIENT.V, n, task, scratch),
            operand(bases, word, FEW_CHANNELS_GRADIENT.M, n, task, scratch),
            channels, filters, i[FEW_CHANNELS_GRADIENT.strip], i[FEW_CHANNELS_GRADIENT.plane_stride],
            i[FEW_CHANNELS_GRADIENT.in_line], i[FEW_CHANNELS_GRADIENT.in_pixel], i[FEW_CHANNELS_GRADIENT.out_height],
            i[FEW_CHANNELS_GRADIENT.out_width], i[FEW_CHANNELS_GRADIENT.out_line], i[FEW_CHANNELS_GRADIENT.out_pixel],
            n != first,
        )  # fmt: skip
        if n + 1 == last:
            gradient = operand(bases, word, FEW_CHANNELS_GRADIENT.gradient, n, task, scratch)
            winograd_1d.finish_gradient(sums, gradient, 3 * channels * filters, 1)


@helper
def _execute_depthwise(word, real, bases, tables, seeds, N, n, first, last, task, scratch, part, parts):
    """Execute an instruction of `depthwise` for example n."""
    i = offset_pointer(word, FIRST_INTEGER)
    operation = word[CODE]
    if operation == DEPTHWISE.code:
        lines = i[DEPTHWISE.out_height]
        depthwise.convolve(
            operand(bases, word, DEPTHWISE.x, n, task, scratch),
            operand(bases, word, DEPTHWISE.weight, n, task, scratch),
            operand(bases, word, DEPTHWISE.bias, n, task, scratch),
            operand(bases, word, DEPTHWISE.y, n, task, scratch),
            i[DEPTHWISE.channels], i[DEPTHWISE.in_line], i[DEPTHWISE.in_pixel], i[DEPTHWISE.out_width],
            i[DEPTHWISE.out_line], i[DEPTHWISE.out_pixel], i[DEPTHWISE.flipped] != 0, i[DEPTHWISE.accumulate] == ALWAYS,
            real[DEPTHWISE.slope], part * lines // parts, (part + 1) * lines // parts,
        )  # fmt: skip
    elif operation == DEPTHWISE_GRADIENT.code:
        depthwise.weight_gradient(
            operand(bases, word, DEPTHWISE_GRADIENT.x, n, task, scratch),
            operand(bases, word, DEPTHWISE_GRADIENT.dy, n, task, scratch),
            operand(bases, word, DEPTHWISE_GRADIENT.sums, n, task, scratch),
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
    x = operand(bases, word, IMAGE.x, n, task, scratch)
    y = operand(bases, word, IMAGE.y, n, task, scratch)
    if operation == NORM_ACTIVATION_POOL.code:
        norm_activation_pool.forward(
            x, operand(bases, word, NORM_ACTIVATION_POOL.vectors, n, task, scratch), y, C, H, W, x_line, x_pixel, P, Q,
            y_line, y_pixel, R, S, down, along, top, left, real[NORM_ACTIVATION_POOL.slope],
            real[NORM_ACTIVATION_POOL.low], real[NORM_ACTIVATION_POOL.high], border, p0, p1, q0, q1,
        )  # fmt: skip
    elif operation == ADD.code:
        pixelwise.add(
            x, operand(bases, word, ADD.second, n, task, scratch), i[ADD.has_second] != 0, y, C, x_line, x_pixel,
            i[ADD.second_line], i[ADD.second_pixel], P, Q, y_line, y_pixel, real[ADD.slope], border, p0, p1, q0, q1,
        )  # fmt: skip
    elif operation == MULTIPLY.code:
        pixelwise.multiply(
            x, operand(bases, word, MULTIPLY.second, n, task, scratch), y, C, x_line, x_pixel, i[MULTIPLY.second_line],
            i[MULTIPLY.second_pixel], P, Q, y_line, y_pixel, border, p0, p1, q0, q1,
        )  # fmt: skip
    elif operation == POOL_SELECT.code:
        norm_activation_pool.select(
            x, operand(bases, word, POOL_SELECT.vectors, n, task, scratch), y, C, H, W, x_line, x_pixel, P, Q, y_line,
            y_pixel, R, S, down, along, top, left, p0, p1, q0, q1,
        )  # fmt: skip
    elif operation == NORM_ACTIVATION_SUMS.code:
        norm_activation_pool.gradient_sums(
            x, y, operand(bases, word, NORM_ACTIVATION_SUMS.vectors, n, task, scratch),
            doubles(bases, word, NORM_ACTIVATION_SUMS.sums, n), C, H, W, x_line, x_pixel, y_line, y_pixel,
            real[NORM_ACTIVATION_SUMS.slope], real[NORM_ACTIVATION_SUMS.low], real[NORM_ACTIVATION_SUMS.high],
        )  # fmt: skip
    elif operation == NORM_ACTIVATION_POOL_BACKWARD.code:
        norm_activation_pool.backward(
            x, y, operand(bases, word, NORM_ACTIVATION_POOL_BACKWARD.vectors, n, task, scratch),
            operand(bases, word, NORM_ACTIVATION_POOL_BACKWARD.factors, n, task, scratch),
            operand(bases, word, NORM_ACTIVATION_POOL_BACKWARD.dx, n, task, scratch), C, H, W, x_line, x_pixel, P, Q,
            y_line, y_pixel, R, S, down, along, top, left, real[NORM_ACTIVATION_POOL_BACKWARD.slope],
            real[NORM_ACTIVATION_POOL_BACKWARD.low], real[NORM_ACTIVATION_POOL_BACKWARD.high],
            i[NORM_ACTIVATION_POOL_BACKWARD.dx_line], i[NORM_ACTIVATION_POOL_BACKWARD.dx_pixel], border,
        )  # fmt: skip
    elif operation == MOMENTS.code:
        pixelwise.moments(x, doubles(bases, word, MOMENTS.sums, n), C, H, W, x_line, x_pixel)
    elif operation == CHANNEL_SUMS.code:
        pixelwise.channel_sums(x, doubles(bases, word, CHANNEL_SUMS.sums, n), C, H, W, x_line, x_pixel)
    elif operation == AVERAGE.code:
        if part == 0:
            pixelwise.average(
                x, y, C, H, W, x_line, x_pixel, P, Q, y_line, y_pixel, R, S, down, along, top, left,
                real[AVERAGE.share], border,
            )  # fmt: skip
    elif operation == AVERAGE_BACKWARD.code:
        pixelwise.average_backward(
            operand(bases, word, AVERAGE_BACKWARD.dy, n, task, scratch),
            operand(bases, word, AVERAGE_BACKWARD.dx, n, task, scratch), i[AVERAGE_BACKWARD.accumulate] == ALWAYS,
            C, H, W, x_line, x_pixel, P, Q, y_line, y_pixel, R, S, down, along, top, left, real[AVERAGE_BACKWARD.share],
        )  # fmt: skip
    elif operation == ACTIVATE.code:
        activations.activate(
            x, y, C, x_line, x_pixel, P, Q, y_line, y_pixel, i[ACTIVATE.kind], real[ACTIVATE.slope],
            real[ACTIVATE.shift], border, p0, p1, q0, q1,
        )  # fmt: skip
    elif operation == ACTIVATE_BACKWARD.code:
        activations.activate_backward(
            x, y, operand(bases, word, ACTIVATE_BACKWARD.dx, n, task, scratch), C, x_line, x_pixel, P, Q, y_line,
            y_pixel, i[ACTIVATE_BACKWARD.dx_line], i[ACTIVATE_BACKWARD.dx_pixel], i[ACTIVATE_BACKWARD.kind],
            real[ACTIVATE_BACKWARD.slope], real[ACTIVATE_BACKWARD.shift], border,
        )  # fmt: skip


@helper
def _arguments_of(call):
    """Return the arguments of a routine, which the interpreter has put into memory."""
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

A program needs the routines of its own operations alone (see `routine_addresses`). Several processes can compile
several of them at the same time: on a machine's first run, compiling takes longest.
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
