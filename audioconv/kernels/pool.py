"""Max and average pooling. Letters: x (N, H, W, C), y (N, P, Q, C), window R x S."""

from __future__ import annotations

import numpy as np
from numba import prange

from audioconv.kernels.jit import kernel


@kernel
def max_forward(x, R, S, stride_h, stride_w, top, left, y, chosen):
    """Take the largest element of each window; ``chosen`` gets its tap, ``r*S + s``.

    Padding counts as minus infinity: it never wins. The first of equal elements wins; NaN wins over all.
    """
    N, H, W, C = x.shape
    _, P, Q, _ = y.shape
    for line in prange(N * P):
        n = line // P
        p = line - n * P
        for q in range(Q):
            best, tap = y[n, p, q], chosen[n, p, q]
            for c in range(C):
                best[c] = -np.inf
                tap[c] = -1
            for r in range(R):
                h = p * stride_h + r - top
                if h < 0 or h >= H:
                    continue
                for s in range(S):
                    w = q * stride_w + s - left
                    if w < 0 or w >= W:
                        continue
                    pixel = x[n, h, w]
                    for c in range(C):
                        if tap[c] < 0 or pixel[c] > best[c] or pixel[c] != pixel[c]:
                            best[c] = pixel[c]
                            tap[c] = r * S + s


@kernel
def max_backward(dy, chosen, S, stride_h, stride_w, top, left, dx):
    """Send each output's gradient to the input that won. ``dx`` starts at 0; windows may overlap."""
    N, P, Q, C = dy.shape
    for n in prange(N):
        for p in range(P):
            for q in range(Q):
                for c in range(C):
                    tap = chosen[n, p, q, c]
                    dx[n, p * stride_h + tap // S - top, q * stride_w + tap % S - left, c] += dy[n, p, q, c]


@kernel
def average_forward(x, R, S, stride_h, stride_w, top, left, y):
    """Average each window; padding counts as zeros."""
    N, H, W, C = x.shape
    _, P, Q, _ = y.shape
    share = np.float32(1.0 / (R * S))
    for line in prange(N * P):
        n = line // P
        p = line - n * P
        h0 = p * stride_h - top
        total = np.empty(C, np.float32)
        row = np.empty(C, np.float32)
        for q in range(Q):
            w0 = q * stride_w - left
            total[:] = np.float32(0)
            for h in range(max(h0, 0), min(h0 + R, H)):
                # A sum per row, then over rows: a global average keeps its last digits.
                row[:] = np.float32(0)
                for w in range(max(w0, 0), min(w0 + S, W)):
                    for c in range(C):
                        row[c] += x[n, h, w, c]
                for c in range(C):
                    total[c] += row[c]
            for c in range(C):
                y[n, p, q, c] = total[c] * share


@kernel
def average_backward(dy, R, S, stride_h, stride_w, top, left, dx):
    """Share each output's gradient among its window's inputs. ``dx`` starts at 0; windows may overlap."""
    N, H, W, C = dx.shape
    _, P, Q, _ = dy.shape
    share = np.float32(1.0 / (R * S))
    for n in prange(N):
        for p in range(P):
            h0 = p * stride_h - top
            for q in range(Q):
                w0 = q * stride_w - left
                for h in range(max(h0, 0), min(h0 + R, H)):
                    for w in range(max(w0, 0), min(w0 + S, W)):
                        for c in range(C):
                            dx[n, h, w, c] += dy[n, p, q, c] * share
