"""Statistics of a batch normalisation and their gradients, merged from those of the examples."""

from __future__ import annotations

import numpy as np

from audioconv.kernels.jit import helper
from audioconv.kernels.opcodes import BATCH_STATISTICS, BATCH_STATISTICS_BACKWARD, FIRST_INTEGER
from audioconv.kernels.operands import doubles, operand
from audioconv.kernels.simd_float32 import offset_pointer


@helper
def batch_statistics(word, real, bases, N, scratch):
    """Merge the examples' moments (Chan, Golub and LeVeque, 1979) into mean, scale and beta; track them."""
    i = offset_pointer(word, FIRST_INTEGER)
    begin, size, pixels = (
        i[BATCH_STATISTICS.first_channel], i[BATCH_STATISTICS.padded_channels], i[BATCH_STATISTICS.pixels]
    )  # fmt: skip
    to_bias, to_variance = i[BATCH_STATISTICS.bias_distance], i[BATCH_STATISTICS.variance_distance]
    parameters = operand(bases, word, BATCH_STATISTICS.parameters, 0, 0, scratch)
    vectors = operand(bases, word, BATCH_STATISTICS.vectors, 0, 0, scratch)
    tracked = operand(bases, word, BATCH_STATISTICS.tracked, 0, 0, scratch)
    following = operand(bases, word, BATCH_STATISTICS.tracked_next, 0, 0, scratch)
    inverse = doubles(bases, word, BATCH_STATISTICS.inverse_deviation, 0)
    share = 1.0 / pixels
    count = N * pixels
    for c in range(begin, begin + i[BATCH_STATISTICS.channels]):
        mean = 0.0
        for n in range(N):
            sums = doubles(bases, word, BATCH_STATISTICS.moments, n)
            mean += sums[c] + sums[size + c] * share
        mean /= N
        squares = 0.0
        for n in range(N):
            sums = doubles(bases, word, BATCH_STATISTICS.moments, n)
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
def batch_statistics_backward(word, bases, N, scratch):
    """Merge the examples' sums into the gradients of weight and bias, and into the factors of dx.

    Ioffe and Szegedy, 2015, section 3, rearranged to ``dx = by_dy * dy + by_x * (x - mean) + shift``.
    """
    i = offset_pointer(word, FIRST_INTEGER)
    begin, size = i[BATCH_STATISTICS_BACKWARD.first_channel], i[BATCH_STATISTICS_BACKWARD.padded_channels]
    pixels, to_bias = i[BATCH_STATISTICS_BACKWARD.pixels], i[BATCH_STATISTICS_BACKWARD.bias_distance]
    parameters = operand(bases, word, BATCH_STATISTICS_BACKWARD.parameters, 0, 0, scratch)
    factors = operand(bases, word, BATCH_STATISTICS_BACKWARD.factors, 0, 0, scratch)
    gradients = operand(bases, word, BATCH_STATISTICS_BACKWARD.gradients, 0, 0, scratch)
    inverse = doubles(bases, word, BATCH_STATISTICS_BACKWARD.inverse_deviation, 0)
    count = N * pixels
    for c in range(begin, begin + i[BATCH_STATISTICS_BACKWARD.channels]):
        dbias = dweight = 0.0
        for n in range(N):
            sums = doubles(bases, word, BATCH_STATISTICS_BACKWARD.sums, n)
            dbias += sums[c]
            dweight += sums[size + c]
        dweight *= inverse[c]
        by_dy = parameters[c] * inverse[c]
        gradients[c] = np.float32(dweight)
        gradients[to_bias + c] = np.float32(dbias)
        factors[c] = np.float32(by_dy)
        factors[size + c] = np.float32(-by_dy * dweight * inverse[c] / count)
        factors[2 * size + c] = np.float32(-by_dy * dbias / count)
