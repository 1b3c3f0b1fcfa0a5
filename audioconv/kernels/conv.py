"""Convolution and its gradients, all by the register tile of `simd`.

Letters: x (N, H, W, C) with its padding in place, weight (R, S, C/groups, K), y (N, P, Q, K). With channels last, one
kernel row of an undilated, ungrouped input is one contiguous run of S*C numbers, so the three reductions (kernel row,
kernel column, channel) become two.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from audioconv.kernels.jit import helper, kernel
from audioconv.kernels.simd import COLUMNS, panel

LINE = 192
"""Outputs that one task computes at most: long 1-D outputs are cut so that a single example uses all threads."""

ROW_BLOCK = 96
"""Rows of the weight gradient that one task computes at most."""


@kernel
def embed(x, top, left, step_h, step_w, out):
    """Lay ``x (N, H, W, C)`` on zeros: ``out[n, top + h*step_h, left + w*step_w] = x[n, h, w]``, cropped to ``out``.

    Steps of 1 pad; larger ones also spread the rows and columns, as the input gradient of a strided layer needs.
    """
    N, H, W, C = x.shape
    _, HO, WO, _ = out.shape
    # First column of x at or right of the left edge, and one past the last that fits.
    first = max(0, (step_w - 1 - left) // step_w)
    last = min(W, (WO - 1 - left) // step_w + 1)
    for line in prange(N * HO):
        n = line // HO
        i = line - n * HO
        target = out[n, i].reshape(WO * C)
        h = (i - top) // step_h
        if h < 0 or h >= H or top + h * step_h != i or last <= first:
            target[:] = np.float32(0)
            continue
        source = x[n, h].reshape(W * C)
        if step_w == 1:
            begin, end = (left + first) * C, (left + last) * C
            target[:begin] = np.float32(0)
            target[begin:end] = source[first * C : last * C]
            target[end:] = np.float32(0)
        else:
            target[:] = np.float32(0)
            for w in range(first, last):
                begin = (left + w * step_w) * C
                target[begin : begin + C] = source[w * C : (w + 1) * C]


@helper
def _reduction(S, C, dilation_w, groups):
    """Return how kernel columns and channels nest: (middle, its stride in x, inner)."""
    if dilation_w == 1 and groups == 1:
        return 1, 0, S * C
    return S, dilation_w * C, C // groups


@kernel
def forward(x, packed, bias, R, S, stride_h, stride_w, dilation_h, dilation_w, groups, y):
    """Convolve. ``packed`` is (groups, blocks, R*S*C/groups, COLUMNS), ``bias`` (groups, blocks*COLUMNS)."""
    N, H, W, C = x.shape
    _, P, Q, K = y.shape
    group_in, group_out = C // groups, K // groups
    taps = R * S * group_in
    blocks = packed.shape[1]
    middle, middle_stride, inner = _reduction(S, C, dilation_w, groups)
    pieces = (Q + LINE - 1) // LINE
    for task in prange(N * P * pieces):
        n = task // (P * pieces)
        p = task // pieces - n * P
        first = (task - (n * P + p) * pieces) * LINE
        rows = min(LINE, Q - first)
        x_at = ((n * H + p * stride_h) * W + first * stride_w) * C
        y_at = ((n * P + p) * Q + first) * K
        for g in range(groups):
            for block in range(blocks):
                column = block * COLUMNS
                panel(rows, min(COLUMNS, group_out - column),
                      x, x_at + g * group_in, stride_w * C, dilation_h * W * C, middle_stride, 1,
                      packed, (g * blocks + block) * taps * COLUMNS,
                      S * group_in * COLUMNS, inner * COLUMNS, COLUMNS,
                      bias, g * blocks * COLUMNS + column, 0,
                      y, y_at + g * group_out + column, K,
                      R, middle, inner)  # fmt: skip


@kernel
def weight_gradient(x, dy, R, S, stride_h, stride_w, dilation_h, dilation_w, groups, partial):
    """Add the weight gradient of each part of the batch to ``partial`` (parts, R, S, C/groups, K), which starts at 0.

    Rows of the tile are (kernel column, channel), the reduction runs over the output's pixels. How the batch is
    split depends on ``partial`` alone, so the sums have the same bits on any number of threads.
    """
    N, H, W, C = x.shape
    _, P, Q, K = dy.shape
    parts = partial.shape[0]
    group_in, group_out = C // groups, K // groups
    segments, segment_stride, length = _reduction(S, C, dilation_w, groups)
    blocks = (group_out + COLUMNS - 1) // COLUMNS
    row_blocks = (length + ROW_BLOCK - 1) // ROW_BLOCK
    for task in prange(parts * R * row_blocks):
        part = task // (R * row_blocks)
        r = task // row_blocks - part * R
        first = (task - (part * R + r) * row_blocks) * ROW_BLOCK
        rows = min(ROW_BLOCK, length - first)
        for n in range(part * N // parts, (part + 1) * N // parts):
            for segment in range(segments):
                x_at = (n * H + r * dilation_h) * W * C + segment * segment_stride + first
                out_at = (((part * R + r) * S * group_in) + segment * length + first) * K
                for g in range(groups):
                    for block in range(blocks):
                        column = g * group_out + block * COLUMNS
                        panel(rows, min(COLUMNS, group_out - block * COLUMNS),
                              x, x_at + g * group_in, 1, stride_h * W * C, 0, stride_w * C,
                              dy, n * P * Q * K + column, Q * K, 0, K,
                              partial, out_at + column, K,
                              partial, out_at + column, K,
                              P, 1, Q)  # fmt: skip
