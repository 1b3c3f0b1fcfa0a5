"""Parts of spectral front ends: Hann window, cosine transform, and their execution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audioconv.kernels import spectral
from audioconv.kernels.counters import COUNTER_STRIDE
from audioconv.kernels.launch import address_in_memory, launch
from audioconv.kernels.threads import thread_count

ALONE = 1 << 17
"""Elements of all transforms together that one thread finishes (in 100 us) before another would be awake."""

MIN_TASK_SAMPLES = 1 << 20
"""Elements from which on it pays to move a thread to another processor (see `kernels.cpu_affinity`)."""


class Spectrogram:
    """Spectrograms with one window, set of filters and so on. Many threads may run it at once.

    Parameters
    ----------
    window : array (fft_length,) float64
    hop_length : int
        In samples.
    filters : array (bands, fft_length // 2 + 1) float64
        Weights of the FFT bins in each band, above zero in one stretch or nowhere.
    floor : float
        The least energy.
    basis : array (bands, coefficients) float64
        Matrix that the decibels are multiplied with; None leaves them as they are.
    """

    def __init__(
        self,
        window: NDArray[np.float64],
        hop_length: int,
        filters: NDArray[np.float64],
        floor: float,
        basis: NDArray[np.float64] | None = None,
    ) -> None:
        self.filters = filters
        self._fft_length, bands = len(window), len(filters)
        self._width = bands if basis is None else basis.shape[1]
        used = filters > 0
        first_bin = used.argmax(axis=1)
        end_bin = np.where(used.any(axis=1), used.shape[1] - used[:, ::-1].argmax(axis=1), first_bin)
        self._arrays = {
            spectral.HALF_WINDOW: 0.5 * window,
            spectral.ROOTS: spectral.roots_of_unity(len(window)),
            spectral.ROWS: spectral.rows_of_bins(len(window)),
            spectral.FILTERS: np.ascontiguousarray(filters),
            spectral.FIRST_BIN: first_bin,
            spectral.END_BIN: end_bin,
            spectral.BASIS: np.zeros((bands, 0)) if basis is None else np.ascontiguousarray(basis),
            spectral.FLOOR: np.array([floor], np.float64),
        }
        self._arguments = np.zeros(spectral.ARGUMENTS, np.int64)
        for argument, array in self._arrays.items():
            self._arguments[argument] = address_in_memory(array)
        self._arguments[spectral.HOP] = hop_length
        self._arguments[spectral.FFT_LENGTH] = len(window)
        self._arguments[spectral.BANDS] = bands
        self._arguments[spectral.COEFFICIENTS] = 0 if basis is None else basis.shape[1]

    def frames(self, batch: NDArray[np.float32], begin: int, count: int) -> NDArray[np.float32]:
        """Return `count` frames of each clip, the first of which begins at sample `begin`; zeros lie around the clip.

        Parameters
        ----------
        batch : array (N, T) float32
            Contiguous.
        begin, count : int

        Returns
        -------
        array (N, count, bands or coefficients) float32

        Raises
        ------
        MemoryError
        """
        out = np.empty((len(batch), count, self._width), np.float32)
        work = len(batch) * count * self._fft_length
        threads = thread_count() if work > ALONE else 1
        separated = threads if work > MIN_TASK_SAMPLES else 1
        # The counters of the blocks and of `leave_shared_cpu`, then the arguments of the workers.
        size = (2 + threads) * COUNTER_STRIDE
        memory = np.zeros(size + spectral.ARGUMENTS, np.int64)
        counters = address_in_memory(memory)
        told = memory[size:]
        told[:] = self._arguments
        told[: spectral.HOP] = (
            address_in_memory(batch),
            address_in_memory(out),
            counters,
            separated,
            *batch.shape,
            count,
            begin,
        )
        launch(spectral.worker.address, counters + memory.itemsize * size, threads)
        if told[spectral.FAILED]:
            raise MemoryError(f"for spectra of {self._fft_length:,} samples")
        return out


def hann_window(window_length: int, fft_length: int) -> NDArray[np.float64]:
    """Return the periodic Hann window in the middle of `fft_length` samples."""
    window = np.zeros(fft_length)
    begin = (fft_length - window_length) // 2
    phase = 2 * np.pi * np.arange(window_length) / window_length
    window[begin : begin + window_length] = 0.5 - 0.5 * np.cos(phase) if window_length > 1 else 1.0
    return window


def cosine_basis(bands: int, coefficients: int) -> NDArray[np.float64]:
    """Return the orthonormal type-2 cosine transform as a matrix (bands, coefficients)."""
    positions = (np.arange(bands)[:, None] + 0.5) / bands
    basis: NDArray[np.float64] = np.sqrt(2.0 / bands) * np.cos(np.pi * positions * np.arange(coefficients))
    basis[:, 0] = np.sqrt(1.0 / bands)
    return basis
