"""The transform by registers of frames, and the logarithm, beside NumPy's."""

from __future__ import annotations

import subprocess
import sys

import numba
import numpy as np
import pytest

from audioconv.audio import LogMel
from audioconv.kernels import simd_float64, spectral
from audioconv.kernels.jit import FASTMATH, helper
from audioconv.kernels.simd_float64 import FRAMES


def whole(function):
    """Return a part of kernels as a function that Python can call."""
    return numba.njit(function.py_func, fastmath=FASTMATH, error_model="numpy")


fft, powers, empty_rows = map(whole, (spectral.fft, spectral._powers, simd_float64.empty_rows))


@pytest.mark.parametrize("length", [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 2048, 4096])
def test_transform_is_numpys(length: int) -> None:
    rng = np.random.default_rng(length)
    values = rng.standard_normal((length, 2, FRAMES))
    work = values.copy().reshape(-1)
    fft(work, length, spectral.roots_of_unity(2 * length).view(np.float64))
    ours = work.reshape(length, 2, FRAMES)[spectral.places_of_frequencies(length)]
    theirs = np.fft.fft(values[:, 0] + 1j * values[:, 1], axis=0)
    np.testing.assert_allclose(ours[:, 0] + 1j * ours[:, 1], theirs, rtol=0, atol=1e-12 * abs(theirs).max())


@pytest.mark.parametrize("length", [2, 3, 4, 7, 8, 15, 16, 31, 32, 64, 100, 128, 256, 480, 512, 1024, 8192])
@pytest.mark.parametrize("hop", [1, 13, 160])
def test_powers_are_numpys(length: int, hop: int) -> None:
    rng = np.random.default_rng(length)
    samples = rng.standard_normal(5 + FRAMES * hop + length).astype(np.float32)
    window = rng.random(length)
    roots, rows = spectral.roots_of_unity(length).view(np.float64), spectral.rows_of_bins(length)
    work = np.empty((length + 1, FRAMES))
    powers(samples, 5, hop, 0.5 * window, length, roots, rows, work.reshape(-1))
    frames = np.stack([samples[5 + i * hop :][:length] * window for i in range(FRAMES)])
    theirs = abs(np.fft.rfft(frames, axis=1)).T ** 2
    np.testing.assert_allclose(work[rows], theirs, rtol=0, atol=1e-12 * theirs.max())


@whole
@helper
def all_decibels(energies, floor):
    for row in range(energies.size // FRAMES):
        simd_float64.store(energies, row, simd_float64.decibels(simd_float64.load(energies, row), floor))


def test_decibels_are_numpys() -> None:
    rng = np.random.default_rng(0)
    around_one = 1 + np.linspace(-1e-6, 1e-6, 64)
    halves = np.sqrt(0.5) * np.nextafter(1, [0, 1, 2, 2])[:, None] * 2.0 ** np.arange(-8, 8)
    energies = np.concatenate(
        [10 ** rng.uniform(-300, 200, 4096), around_one, halves.ravel(), 2.0 ** np.arange(-64, 64)]
    )
    ours = energies.copy()
    all_decibels(ours, 1e-310)
    np.testing.assert_allclose(ours, 10 * np.log10(energies), rtol=1e-14, atol=1e-14)


def test_decibels_of_odd_numbers() -> None:
    energies = np.zeros(2 * FRAMES)
    energies[:4] = [np.nan, 0.0, 5e-324, 1e-320]
    ours = energies.copy()
    all_decibels(ours, 5e-324)
    least = 10 * np.log10(5e-324)
    np.testing.assert_allclose(ours[:4], [np.nan, least, least, 10 * np.log10(1e-320)], rtol=1e-14)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_no_row_lies_on_two_cache_lines(count: int) -> None:
    memory = empty_rows(count)
    assert memory.ctypes.data % (8 * FRAMES) == 0
    assert memory.size >= count * FRAMES


@pytest.mark.parametrize("threads", range(1, numba.config.NUMBA_NUM_THREADS + 1))
def test_work_for_many_threads_has_the_bits_of_work_for_one(threads: int) -> None:
    batch = np.random.default_rng(0).standard_normal((40, 9000)).astype(np.float32)
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(threads)
        together = LogMel()(batch)
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(together, np.concatenate([LogMel()(clip) for clip in batch]))


LITTLE_MEMORY = """
import resource
import numpy as np
from audioconv.features.spectrogram import Spectrogram

def spectrogram(length):
    return Spectrogram(np.ones(length), length // 2, np.ones((2, length // 2 + 1)), 1e-10)

clips = np.ones((3, 4000), np.float32)
spectrogram(256).frames(clips, 0, 500)  # compiles, and launches the threads
large = spectrogram(int(LENGTH))
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
_, most = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (used + (4 << 20), most))
for _ in range(2):
    try:
        large.frames(clips, 0, 20)
    except MemoryError as error:
        print(error)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
print(np.isfinite(large.frames(clips, 0, 20)).all())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits its memory by /proc and RLIMIT_AS")
@pytest.mark.parametrize("length", [3 * 2**18, pytest.param(2**20, marks=pytest.mark.slow)])
def test_too_little_memory_is_an_error(length: int) -> None:
    """It is where the threads work that memory is missing, and an error there is printed by Numba and not raised."""
    program = LITTLE_MEMORY.replace("LENGTH", str(length))
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=240)
    assert found.stdout.splitlines() == 2 * [f"for spectra of {length:,} samples"] + ["True"], found.stderr
    assert "Exception ignored" not in found.stderr
