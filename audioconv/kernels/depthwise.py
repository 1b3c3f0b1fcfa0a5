"""Depthwise convolution: every channel has its own kernel, so the vector runs over channels.

Letters: x (N, H, W, C) with its padding in place, weight (R, S, C), y (N, P, Q, C).
"""

from __future__ import annotations

import numpy as np
from numba import prange

from audioconv.kernels.conv import LINE
from audioconv.kernels.jit import kernel


@kernel
def forward(x, weight, bias, stride_h, stride_w, dilation_h, dilation_w, y):
    """Convolve each channel by itself; ``bias`` is (C,)."""
    N, P, Q, C = y.shape
    R, S, _ = weight.shape
    pieces = (Q + LINE - 1) // LINE
    for task in prange(N * P * pieces):
        n = task // (P * pieces)
        p = task // pieces - n * P
        first = (task - (n * P + p) * pieces) * LINE
        for q in range(first, min(first + LINE, Q)):
            out = y[n, p, q]
            for c in range(C):
                out[c] = bias[c]
            for r in range(R):
                for s in range(S):
                    pixel = x[n, p * stride_h + r * dilation_h, q * stride_w + s * dilation_w]
                    taps = weight[r, s]
                    for c in range(C):
                        out[c] += pixel[c] * taps[c]


@kernel
def weight_gradient(x, dy, stride_h, stride_w, dilation_h, dilation_w, partial):
    """Add the weight gradient of each part of the batch to ``partial`` (parts, R, S, C), which starts at 0."""
    N, P, Q, C = dy.shape
    parts, R, S, _ = partial.shape
    for task in prange(parts * R):
        part = task // R
        r = task - part * R
        # Sums over one line in float32, over lines in float64: a batch has millions of pixels a tap.
        line = np.empty((S, C), np.float32)
        total = np.zeros((S, C), np.float64)
        for n in range(part * N // parts, (part + 1) * N // parts):
            for p in range(P):
                line[:] = np.float32(0)
                for q in range(Q):
                    gradient = dy[n, p, q]
                    for s in range(S):
                        pixel = x[n, p * stride_h + r * dilation_h, q * stride_w + s * dilation_w]
                        sums = line[s]
                        for c in range(C):
                            sums[c] += pixel[c] * gradient[c]
                for s in range(S):
                    for c in range(C):
                        total[s, c] += line[s, c]
        for s in range(S):
            for c in range(C):
                partial[part, r, s, c] = total[s, c]
