"""The mel scale and its filters."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def mel_filters(
    sample_rate: int, fft_length: int, bands: int, min_frequency: float, max_frequency: float
) -> NDArray[np.float64]:
    """Return triangular filters of unit area on Slaney's mel scale, (bands, fft_length // 2 + 1) float64.

    The same as ``librosa.filters.mel`` (its import takes most of a second, too long for classifying one clip).
    """
    edges = mel_edges(bands, min_frequency, max_frequency)[:, None]
    frequencies = np.fft.rfftfreq(fft_length, 1 / sample_rate)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.minimum((frequencies - low) / (centre - low), (high - frequencies) / (high - centre))
    filters: NDArray[np.float64] = np.maximum(triangles, 0.0) * 2.0 / (high - low)
    return filters


_KNEE, _KNEE_MEL = 1000.0, 15.0
_MEL_PER_E = 27.0 / math.log(6.4)


def hertz_to_mel(frequency: float) -> float:
    """Return a frequency in Hz on Slaney's mel scale.

    The scale is linear up to 1 kHz (3 mel per 200 Hz) and logarithmic above (27 mel for a factor of 6.4); M. Slaney,
    Auditory Toolbox, Interval Research Technical Report 1998-010.

    Examples
    --------
    >>> hertz_to_mel(200), round(hertz_to_mel(6400), 9)
    (3.0, 42.0)
    """
    if frequency < _KNEE:
        return frequency * _KNEE_MEL / _KNEE
    return _KNEE_MEL + _MEL_PER_E * math.log(frequency / _KNEE)


def mel_edges(bands: int, min_frequency: float, max_frequency: float) -> NDArray[np.float64]:
    """Return where triangles on Slaney's mel scale begin, peak and end, (bands + 2,) float64 in Hz.

    Band `i` begins at entry `i`, has its peak at `i + 1` and ends at `i + 2`; see `hertz_to_mel`.
    """
    mel = np.linspace(hertz_to_mel(min_frequency), hertz_to_mel(max_frequency), bands + 2)
    return np.where(mel < _KNEE_MEL, mel * _KNEE / _KNEE_MEL, _KNEE * np.exp((mel - _KNEE_MEL) / _MEL_PER_E))
