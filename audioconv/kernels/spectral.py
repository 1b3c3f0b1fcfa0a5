"""Spectrograms: power of windowed frames, mel bands and decibels in one sweep; cosine transform of the result.

Both follow librosa's definition (frames centred on their time, zeros beyond both ends of the clip).
"""

import numpy as np
from numba import prange
from rocket_fft import r2c

from audioconv.kernels.jit import kernel

# Frames are transformed in blocks of this many: enough for the FFT and the mel sums to fill the vector registers, few
# enough for a block to stay in the L2 cache. Blocks start at fixed frames, whatever the batch and the thread count.
BLOCK = 16

# Tasks of one launch: enough to balance 16 cores, so few that each reuses its buffers for several blocks.
TASKS = 64


@kernel
def log_mel(samples, window, filters, first_bin, end_bin, hop, floor, out):
    """Write ``10 log10(max(mel energy, floor))`` of each frame.

    Double precision up to the decibels: the FFT of single precision is noise where a band lies 100 dB below the rest
    of its frame, as above 4 kHz in a telephone recording.
    """
    # samples (N, T), window (F,), filters (M, F // 2 + 1) non-zero in [first_bin, end_bin), out (N, frames, M)
    N, T = samples.shape
    F = window.size
    M = filters.shape[0]
    frames = out.shape[1]
    bins = F // 2 + 1
    blocks_per_clip = (frames + BLOCK - 1) // BLOCK
    blocks = N * blocks_per_clip
    tasks = min(TASKS, blocks)
    for task in prange(tasks):
        segments = np.empty((BLOCK, F), np.float64)
        spectrum = np.empty((BLOCK, bins), np.complex128)
        power = np.empty((bins, BLOCK), np.float64)  # frames last, so that the mel sums run over them as vectors
        energy = np.empty(BLOCK, np.float64)
        power[:] = 0.0
        last_axis = np.array([1])
        for block in range(task * blocks // tasks, (task + 1) * blocks // tasks):
            n = block // blocks_per_clip
            begin = (block - n * blocks_per_clip) * BLOCK
            rows = min(BLOCK, frames - begin)
            for row in range(rows):
                start = (begin + row) * hop - F // 2
                inside = min(max(-start, 0), F)
                outside = max(min(T - start, F), inside)
                segments[row, :inside] = 0.0
                for k in range(inside, outside):
                    segments[row, k] = samples[n, start + k] * window[k]
                segments[row, outside:] = 0.0
            r2c(segments[:rows], spectrum[:rows], last_axis, True, 1.0, 1)
            for row in range(rows):
                for k in range(bins):
                    z = spectrum[row, k]
                    power[k, row] = z.real * z.real + z.imag * z.imag
            for m in range(M):
                energy[:] = 0.0
                for k in range(first_bin[m], end_bin[m]):
                    weight = filters[m, k]
                    for row in range(BLOCK):
                        energy[row] += weight * power[k, row]
                for row in range(rows):
                    out[n, begin + row, m] = 10.0 * np.log10(max(energy[row], floor))


@kernel
def project(values, basis, out):
    """Write ``values @ basis`` for each row; of fixed order, unlike a BLAS product, so the same bits everywhere."""
    # values (rows, M) float32, basis (M, C) float64, out (rows, C) float32
    rows, M = values.shape
    C = basis.shape[1]
    tasks = min(TASKS, rows)
    for task in prange(tasks):
        total = np.empty(C, np.float64)
        for row in range(task * rows // tasks, (task + 1) * rows // tasks):
            total[:] = 0.0
            for m in range(M):
                value = np.float64(values[row, m])
                for c in range(C):
                    total[c] += value * basis[m, c]
            for c in range(C):
                out[row, c] = total[c]
