"""A word to make a spectrogram of: "seven", by a small formant synthesiser (after D. Klatt, JASA 67, 1980)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, lfilter, sosfilt

SAMPLE_RATE = 16000

# When (s); the first three resonances of the throat and mouth (Hz); loudness of the voice, of the noise of the s.
#                  F1   F2    F3    voice  noise
SEVEN = (
    (0.00, 350, 1700, 2600, 0.00, 0.00),
    (0.12, 350, 1700, 2600, 0.00, 0.00),
    (0.17, 350, 1700, 2600, 0.00, 0.90),  # s
    (0.28, 360, 1720, 2600, 0.00, 1.00),
    (0.31, 420, 1760, 2600, 0.50, 0.05),  # e
    (0.36, 590, 1830, 2580, 1.00, 0.00),
    (0.44, 560, 1700, 2500, 0.85, 0.00),
    (0.49, 300, 1250, 2350, 0.22, 0.05),  # v
    (0.53, 310, 1280, 2350, 0.24, 0.05),
    (0.57, 480, 1450, 2450, 0.60, 0.00),  # e, unstressed
    (0.63, 430, 1500, 2550, 0.48, 0.00),
    (0.67, 270, 1450, 2650, 0.30, 0.00),  # n
    (0.79, 260, 1400, 2650, 0.14, 0.00),
    (0.86, 260, 1400, 2650, 0.00, 0.00),
    (1.00, 260, 1400, 2650, 0.00, 0.00),
)
PITCH = ((0.0, 118.0), (0.34, 132.0), (0.60, 104.0), (0.9, 84.0), (1.0, 84.0))
WIDTHS = (70.0, 95.0, 140.0, 260.0, 320.0)  # of the resonances, Hz
FIXED = (3450.0, 4400.0)  # the fourth and fifth resonance, Hz


def seven(seed: int = 0) -> NDArray[np.float32]:
    """Return one second of speech, (16000,) float32, with the noise of a quiet room."""
    rng = np.random.default_rng(seed)
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    marks, *tracks = np.array(SEVEN).T
    f1, f2, f3, voice, noise = (np.interp(time, marks, track) for track in tracks)
    pitch = np.interp(time, *np.array(PITCH).T) * (1 + 0.01 * np.sin(2 * np.pi * 5.3 * time))

    pulses = np.diff(np.floor(np.cumsum(pitch) / SAMPLE_RATE), prepend=0.0)
    pulses *= 1 + 0.06 * rng.standard_normal(len(pulses))
    # Glottis and lips together let the voice fall by 6 dB an octave; breath comes with it.
    sound = lfilter([1.0], [1.0, -0.96], pulses) + 0.012 * rng.standard_normal(len(pulses))
    sound *= voice
    fixed = [np.full(len(time), frequency) for frequency in FIXED]
    for frequency, width in zip((f1, f2, f3, *fixed), WIDTHS, strict=True):
        sound = _resonate(sound, frequency, width)

    hiss = sosfilt(butter(4, [3800, 7400], "bandpass", fs=SAMPLE_RATE, output="sos"), rng.standard_normal(len(time)))
    room = lfilter([1.0], [1.0, -0.9], rng.standard_normal(len(time)))
    samples = 0.5 * sound / np.abs(sound).max() + 0.08 * hiss * noise + 6e-4 * room
    return samples.astype(np.float32)


def _resonate(x: NDArray[np.float64], frequency: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Filter `x` by a resonance whose frequency (Hz) is given for each sample."""
    radius = np.exp(-np.pi * width / SAMPLE_RATE)
    b = 2 * radius * np.cos(2 * np.pi * frequency / SAMPLE_RATE)
    c = -(radius**2)
    y = np.zeros(len(x) + 2)
    for n in range(len(x)):
        y[n] = (1 - b[n] - c) * x[n] + b[n] * y[n - 1] + c * y[n - 2]  # y[-1] and y[-2] are zeros yet
    return y[:-2]
