"""Pictures seen through another grid. Letters: x and y (N, H, W, C), maps (N, 2, 3)."""

from __future__ import annotations

from numba import prange

from audioconv.kernels.jit import kernel


@kernel
def affine(x, maps, y):
    """Fill pixel (h, w) of each picture with what is at ``map @ (h, w, 1)``, between pixels interpolated.

    Beyond the border lies the border.
    """
    N, H, W, C = x.shape
    for line in prange(N * H):
        n = line // H
        h = line - n * H
        for w in range(W):
            row = maps[n, 0, 0] * h + maps[n, 0, 1] * w + maps[n, 0, 2]
            column = maps[n, 1, 0] * h + maps[n, 1, 1] * w + maps[n, 1, 2]
            row = min(max(row, 0.0), H - 1.0)
            column = min(max(column, 0.0), W - 1.0)
            above, left = int(row), int(column)
            below, right = min(above + 1, H - 1), min(left + 1, W - 1)
            down, across = row - above, column - left
            for c in range(C):
                upper = x[n, above, left, c] * (1 - across) + x[n, above, right, c] * across
                lower = x[n, below, left, c] * (1 - across) + x[n, below, right, c] * across
                y[n, h, w, c] = upper * (1 - down) + lower * down
