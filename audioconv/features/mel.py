"""The mel scale and its filters."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

MelScale = Literal["slaney", "htk"]
"""Slaney's scale is that of librosa, HTK's that of the HTK toolkit and of Google's networks for sounds."""


def mel_filters(
    sample_rate: int,
    fft_length: int,
    bands: int,
    min_frequency: float,
    max_frequency: float,
    scale: MelScale = "slaney",
) -> NDArray[np.float64]:
    """Return triangular filters of unit area on a mel scale, (bands, fft_length // 2 + 1) float64.

    The same as ``librosa.filters.mel`` (its import takes most of a second, too long for classifying one clip).
    """
    edges = mel_edges(bands, min_frequency, max_frequency, scale)[:, None]
    frequencies = np.fft.rfftfreq(fft_length, 1 / sample_rate)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.minimum((frequencies - low) / (centre - low), (high - frequencies) / (high - centre))
    filters: NDArray[np.float64] = np.maximum(triangles, 0.0) * 2.0 / (high - low)
    return filters


_KNEE, _KNEE_MEL = 1000.0, 15.0
_MEL_PER_E = 27.0 / math.log(6.4)
_HTK_KNEE, _HTK_MEL_PER_E = 700.0, 2595.0 / math.log(10.0)


def hertz_to_mel(frequency: float, scale: MelScale = "slaney") -> float:
    """Return a frequency in Hz on a mel scale.

    Slaney's is linear up to 1 kHz (3 mel per 200 Hz) and logarithmic above (27 mel for a factor of 6.4); M. Slaney,
    Auditory Toolbox, Interval Research Technical Report 1998-010. HTK's is ``2595 log10(1 + frequency / 700)``;
    S. Young et al., The HTK Book, section 5.4.

    Examples
    --------
    >>> hertz_to_mel(200), round(hertz_to_mel(6400), 9), round(hertz_to_mel(1000, "htk"))
    (3.0, 42.0, 1000)
    """
    if scale == "htk":
        return _HTK_MEL_PER_E * math.log1p(frequency / _HTK_KNEE)
    if frequency < _KNEE:
        return frequency * _KNEE_MEL / _KNEE
    return _KNEE_MEL + _MEL_PER_E * math.log(frequency / _KNEE)


def mel_edges(
    bands: int, min_frequency: float, max_frequency: float, scale: MelScale = "slaney"
) -> NDArray[np.float64]:
    """Return where triangles on a mel scale begin, peak and end, (bands + 2,) float64 in Hz.

    Band `i` begins at entry `i`, has its peak at `i + 1` and ends at `i + 2`; see `hertz_to_mel`.
    """
    mel = np.linspace(hertz_to_mel(min_frequency, scale), hertz_to_mel(max_frequency, scale), bands + 2)
    if scale == "htk":
        return _HTK_KNEE * np.expm1(mel / _HTK_MEL_PER_E)
    return np.where(mel < _KNEE_MEL, mel * _KNEE / _KNEE_MEL, _KNEE * np.exp((mel - _KNEE_MEL) / _MEL_PER_E))
