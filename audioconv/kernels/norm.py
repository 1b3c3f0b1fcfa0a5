"""Sums over all pixels for each channel, and what normalisation does with them. Letters: x (M, C), M = N*H*W pixels.

Sums are taken per part, parts being a fixed count, then combined by the caller: the same bits on any thread count.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from audioconv.kernels.jit import kernel

BLOCK = 64
"""Pixels whose sums stay in float32; from there on sums are float64."""


@kernel
def column_sums(x, partial):
    """Put the sum of each part's pixels into ``partial`` (parts, C) float64."""
    M, C = x.shape
    parts = partial.shape[0]
    for part in prange(parts):
        begin, end = part * M // parts, (part + 1) * M // parts
        block = np.empty(C, np.float32)
        total = np.zeros(C, np.float64)
        for first in range(begin, end, BLOCK):
            block[:] = np.float32(0)
            for i in range(first, min(first + BLOCK, end)):
                for c in range(C):
                    block[c] += x[i, c]
            for c in range(C):
                total[c] += block[c]
        partial[part] = total


@kernel
def moments(x, mean, squares):
    """Put each part's mean and sum of squared deviations into ``mean`` and ``squares``, both (parts, C) float64.

    Each block is read twice while it is in cache, about its own mean, and merged into the part's: no cancellation
    where the mean is large, and one trip through memory (Chan, Golub and LeVeque, 1979).
    """
    M, C = x.shape
    parts = mean.shape[0]
    for part in prange(parts):
        begin, end = part * M // parts, (part + 1) * M // parts
        centre = np.empty(C, np.float32)
        block = np.empty(C, np.float32)
        part_mean = np.zeros(C, np.float64)
        part_squares = np.zeros(C, np.float64)
        for first in range(begin, end, BLOCK):
            last = min(first + BLOCK, end)
            centre[:] = np.float32(0)
            for i in range(first, last):
                for c in range(C):
                    centre[c] += x[i, c]
            share = np.float32(1.0 / (last - first))
            for c in range(C):
                centre[c] *= share
            block[:] = np.float32(0)
            for i in range(first, last):
                for c in range(C):
                    deviation = x[i, c] - centre[c]
                    block[c] += deviation * deviation
            before = first - begin
            count = last - first
            weight = count / (before + count)
            for c in range(C):
                shift = centre[c] - part_mean[c]
                part_mean[c] += shift * weight
                part_squares[c] += block[c] + shift * shift * before * weight
        mean[part] = part_mean
        squares[part] = part_squares


@kernel
def scale_shift(x, mean, scale, shift, y):
    """Compute ``y = (x - mean) * scale + shift``, each (C,)."""
    M, C = x.shape
    blocks = (M + BLOCK - 1) // BLOCK
    for block in prange(blocks):
        for i in range(block * BLOCK, min((block + 1) * BLOCK, M)):
            for c in range(C):
                y[i, c] = (x[i, c] - mean[c]) * scale[c] + shift[c]


@kernel
def gradient_sums(x, dy, mean, sum_dy, sum_dy_x):
    """Put each part's sums of ``dy`` and of ``dy * (x - mean)`` into the last two, (parts, C) float64."""
    M, C = x.shape
    parts = sum_dy.shape[0]
    for part in prange(parts):
        begin, end = part * M // parts, (part + 1) * M // parts
        plain = np.empty(C, np.float32)
        product = np.empty(C, np.float32)
        total = np.zeros((2, C), np.float64)
        for first in range(begin, end, BLOCK):
            plain[:] = np.float32(0)
            product[:] = np.float32(0)
            for i in range(first, min(first + BLOCK, end)):
                for c in range(C):
                    plain[c] += dy[i, c]
                    product[c] += dy[i, c] * (x[i, c] - mean[c])
            for c in range(C):
                total[0, c] += plain[c]
                total[1, c] += product[c]
        sum_dy[part] = total[0]
        sum_dy_x[part] = total[1]


@kernel
def input_gradient(x, dy, mean, by_dy, by_x, shift, dx):
    """Compute ``dx = by_dy * dy + by_x * (x - mean) + shift``, each factor (C,)."""
    M, C = x.shape
    blocks = (M + BLOCK - 1) // BLOCK
    for block in prange(blocks):
        for i in range(block * BLOCK, min((block + 1) * BLOCK, M)):
            for c in range(C):
                dx[i, c] = by_dy[c] * dy[i, c] + by_x[c] * (x[i, c] - mean[c]) + shift[c]
