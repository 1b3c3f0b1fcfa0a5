"""Spectrograms: power of windowed frames, mel bands and decibels in one sweep; and their cosine transform.

As many frames as a vector register has lanes stand side by side, one a lane, and go through all steps together: each
operation works on whole registers, and what a frame becomes does not depend on its neighbours. Memory of a block of
frames is counted in rows, of one element of each.

All is in double precision up to the decibels: the FFT of single precision is noise where a band lies 100 dB below the
rest of its frame, as above 4 kHz in a telephone recording.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rocket_fft import r2c

from audioconv.kernels.counters import fetch_add
from audioconv.kernels.cpu_affinity import leave_shared_cpu
from audioconv.kernels.jit import Worker, helper
from audioconv.kernels.simd_float32 import address_of, doubles_at, floats_at, longs_at
from audioconv.kernels.simd_float64 import (
    FRAMES,
    conjugate,
    decibels,
    empty_rows,
    load,
    load_complex,
    power,
    real_and_imaginary,
    splat,
    splat_complex,
    store,
    store_complex,
    store_windowed,
    times_minus_i,
)

# The arguments of the worker: integers, and addresses of arrays.
(SAMPLES, OUT, COUNTERS, THREADS, CLIPS, SAMPLE_COUNT, FRAME_COUNT, BEGIN, HOP, FFT_LENGTH, BANDS, COEFFICIENTS,
 HALF_WINDOW, ROOTS, ROWS, FILTERS, FIRST_BIN, END_BIN, BASIS, FLOOR, FAILED) = range(21)  # fmt: skip
ARGUMENTS = 21


def _work(arguments, thread):
    """Make spectrograms; leave 1 in argument `FAILED` where there is not enough memory.

    A worker must not raise an exception: its caller would only print it.
    """
    try:
        _make_blocks(arguments)
    except Exception:  # the only kind in Numba
        arguments[FAILED] = 1


@helper
def _make_blocks(arguments):
    """Take one block of frames after the other until all are done.

    Frames begin at sample ``BEGIN + i * HOP``, and find zeros outside of their clip.
    """
    N, T, frames = arguments[CLIPS], arguments[SAMPLE_COUNT], arguments[FRAME_COUNT]
    F, M, C = arguments[FFT_LENGTH], arguments[BANDS], arguments[COEFFICIENTS]
    half_window, roots = doubles_at(arguments[HALF_WINDOW], 0), doubles_at(arguments[ROOTS], 0)
    filters, basis = doubles_at(arguments[FILTERS], 0), doubles_at(arguments[BASIS], 0)
    floor = doubles_at(arguments[FLOOR], 0)[0]
    first_bin, end_bin = longs_at(arguments[FIRST_BIN], 0), longs_at(arguments[END_BIN], 0)
    rows, counters = longs_at(arguments[ROWS], 0), longs_at(arguments[COUNTERS], 0)
    if arguments[THREADS] > 1:
        leave_shared_cpu(counters, 1, arguments[THREADS])
    segments = np.empty(FRAMES * F, np.float32)
    work = empty_rows(F + 1)
    levels = empty_rows(M + C)
    first_level, width = (M, C) if C else (0, M)
    blocks_per_clip = (frames + FRAMES - 1) // FRAMES
    while True:
        block = fetch_add(counters, 0, 1)
        if block >= N * blocks_per_clip:
            break
        n = block // blocks_per_clip
        frame = (block - n * blocks_per_clip) * FRAMES
        samples = floats_at(arguments[SAMPLES], n * T)
        start, hop = arguments[BEGIN] + frame * arguments[HOP], arguments[HOP]
        if start < 0 or start + (FRAMES - 1) * hop + F > T:
            _cut(samples, T, start, hop, segments)
            samples, start, hop = floats_at(address_of(segments), 0), 0, F
        _powers(samples, start, hop, half_window, F, roots, rows, work)
        for m in range(M):
            energy = splat(0.0)
            for k in range(first_bin[m], end_bin[m]):
                energy = energy + splat(filters[m * (F // 2 + 1) + k]) * load(work, rows[k])
            store(levels, m, decibels(energy, floor))
        for c in range(C):
            total = splat(0.0)
            for m in range(M):
                total = total + splat(basis[m * C + c]) * load(levels, m)
            store(levels, M + c, total)
        for row in range(min(FRAMES, frames - frame)):
            out = floats_at(arguments[OUT], (n * frames + frame + row) * width)
            for c in range(width):
                out[c] = levels[(first_level + c) * FRAMES + row]


worker = Worker(_work)


def has_fft(length: int) -> bool:
    """Tell whether `fft` serves the real transform of `length` samples; rocket-fft does the others."""
    return length >= 2 * FRAMES and length & (length - 1) == 0


def roots_of_unity(length: int) -> NDArray[np.complex128]:
    """Return ``exp(-2 pi i k / length)``, (length,) complex128."""
    roots: NDArray[np.complex128] = np.exp(-2j * np.pi * np.arange(length) / length)
    return roots


def rows_of_bins(length: int) -> NDArray[np.int64]:
    """Return in which row the power of each bin is left, (length // 2 + 1,) int64."""
    if not has_fft(length):
        return np.arange(length // 2 + 1)
    return np.append(2 * places_of_frequencies(length // 2), 1)


def places_of_frequencies(length: int) -> NDArray[np.int64]:
    """Return in which place `fft` leaves each frequency, (length,) int64."""
    if length < 4:
        return np.arange(length)
    places = np.empty((length // 4, 4), np.int64)
    # The second quarter becomes the frequencies 2 mod 4: as two steps of radix 2 would leave them.
    for quarter, frequency in enumerate((0, 2, 1, 3)):
        places[:, frequency] = quarter * (length // 4) + places_of_frequencies(length // 4)
    return places.reshape(-1)


@helper
def _cut(samples, T, start, hop, segments):
    """Copy the frames of a block, one behind the other, with zeros outside of the clip."""
    F = segments.size // FRAMES
    segments[:] = 0
    for row in range(FRAMES):
        begin = start + row * hop
        for k in range(min(max(-begin, 0), F), min(T - begin, F)):
            segments[row * F + k] = samples[begin + k]


@helper
def _powers(samples, start, hop, half_window, F, roots, rows, work):
    """Write the power of each bin of the windowed frames, which begin at ``start + i * hop``, to its row of `work`."""
    if F >= 2 * FRAMES and F & (F - 1) == 0:  # as `has_fft` says
        for k in range(0, F, FRAMES):
            store_windowed(samples, start, hop, half_window, k, work)
        fft(work, F // 2, roots)
        _part_bins(work, F // 2, roots, rows)
        return
    segments = np.empty((FRAMES, F), np.float64)
    for row in range(FRAMES):
        for k in range(F):
            segments[row, k] = samples[start + row * hop + k] * half_window[k]
    spectrum = np.empty((FRAMES, F // 2 + 1), np.complex128)
    r2c(segments, spectrum, np.array([1]), True, 2.0, 1)  # times 2, for half the window
    for row in range(FRAMES):
        for k in range(F // 2 + 1):
            z = spectrum[row, k]
            work[rows[k] * FRAMES + row] = z.real * z.real + z.imag * z.imag


@helper
def fft(work, N, roots):
    """Transform N complex rows in place, given the 2 N-th roots of unity; see `places_of_frequencies` for the order.

    Radix 4, decimation in frequency (W. M. Gentleman and G. Sande, 1966); at last radix 2 if N is no power of 4.
    """
    span = N
    while span >= 4:
        quarter, step = span // 4, 2 * (N // span)
        for begin in range(0, N, span):
            for j in range(quarter):
                first = 2 * (begin + j)
                second, third, fourth = first + 2 * quarter, first + 4 * quarter, first + 6 * quarter
                a, b = load_complex(work, first), load_complex(work, second)
                c, d = load_complex(work, third), load_complex(work, fourth)
                even, odd, difference, turn = a + c, b + d, a - c, times_minus_i(b - d)
                store_complex(work, first, even + odd)
                store_complex(work, second, (even - odd) * splat_complex(roots, 2 * j * step))
                store_complex(work, third, (difference + turn) * splat_complex(roots, j * step))
                store_complex(work, fourth, (difference - turn) * splat_complex(roots, 3 * j * step))
        span = quarter
    if span == 2:
        for first in range(0, 2 * N, 4):
            a, b = load_complex(work, first), load_complex(work, first + 2)
            store_complex(work, first, a + b)
            store_complex(work, first + 2, a - b)


@helper
def _part_bins(work, N, roots, rows):
    """Part the transform of ``even + i odd`` samples into the bins of all, and leave their power in its place.

    Bin k and bin N - k are made of frequency k and frequency N - k. What is computed is twice a bin: hence half the
    window.
    """
    direct, alternating = real_and_imaginary(load_complex(work, 0))
    total, difference = direct + alternating, direct - alternating
    store(work, 0, total * total * splat(4.0))
    store(work, 1, difference * difference * splat(4.0))
    for k in range(1, N // 2 + 1):
        low, high = load_complex(work, rows[k]), conjugate(load_complex(work, rows[N - k]))
        even, odd = low + high, times_minus_i(low - high) * splat_complex(roots, k)
        store(work, rows[k], power(even + odd))
        store(work, rows[N - k], power(even - odd))
