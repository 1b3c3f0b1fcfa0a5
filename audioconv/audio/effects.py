"""Effects on a clip as pure functions of samples; synthetic noise and room impulse responses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Samples
from audioconv.audio.samples import as_float, fit_length

# Speech and microphones have next to nothing below: noise that falls with frequency must not put its power there.
MIN_NOISE_HZ = 50.0


def time_shift(samples: Samples, offset: int) -> Samples:
    """Return `samples` (T,) `offset` samples later (earlier if negative); zeros come in, what leaves is lost.

    Examples
    --------
    >>> time_shift(np.array([1, 2, 3], np.float32), 1)
    array([0., 1., 2.], dtype=float32)
    """
    shifted = np.zeros_like(samples)
    kept = max(len(samples) - abs(offset), 0)
    if offset >= 0:
        shifted[len(samples) - kept :] = samples[:kept]
    else:
        shifted[:kept] = samples[len(samples) - kept :]
    return shifted


def apply_gain(samples: Samples, gain_db: float) -> Samples:
    """Return `samples` made louder by `gain_db`; not clipped at full scale."""
    return samples * np.float32(10 ** (gain_db / 20))


def mix_noise(samples: Samples, noise: Samples, snr_db: float) -> Samples:
    """Return `samples` (T,) plus `noise` (T,), scaled to lie `snr_db` below them in mean power.

    Where one of them is silent there is no ratio to set, and the samples stay as they are.
    """
    signal_power, noise_power = mean_power(samples), mean_power(noise)
    if signal_power == 0 or noise_power == 0:
        return samples.copy()
    return samples + noise * np.float32(np.sqrt(signal_power / noise_power) * 10 ** (-snr_db / 20))


def reverberate(samples: Samples, impulse_response: Samples) -> Samples:
    """Return `samples` (T,) as heard in a room.

    The direct sound (the response's largest value) stays where it was, and the mean power what it was.
    """
    import scipy.fft

    direct = int(np.argmax(np.abs(impulse_response)))
    length = scipy.fft.next_fast_len(len(samples) + len(impulse_response) - 1, real=True)
    spectrum = scipy.fft.rfft(samples, length) * scipy.fft.rfft(impulse_response, length)
    wet: Samples = scipy.fft.irfft(spectrum, length)[direct : direct + len(samples)]
    wet_power = mean_power(wet)
    return wet * np.float32(np.sqrt(mean_power(samples) / wet_power)) if wet_power else wet.copy()


def change_speed(samples: Samples, speed: float) -> Samples:
    """Return `samples` (T,) played `speed` times as fast, pitch included, in as many samples.

    A faster clip lies in the middle between zeros; of a slower one, the loudest stretch is kept (`fit_length`).
    """
    import soxr

    # Only the ratio of the rates counts. Low quality is 80 dB, which suffices for training, and the fastest but one.
    return fit_length(soxr.resample(samples, speed, 1.0, quality="LQ"), len(samples))


def coloured_noise(
    length: int, sample_rate: int, slope: float, rng: np.random.Generator, lowest: float = MIN_NOISE_HZ
) -> Samples:
    """Return noise (length,) of mean power 1 whose power density falls with frequency f as ``f ** -slope``.

    0 is white, 1 pink, 2 brown noise. Below `lowest`, in Hz, there is none.
    """
    frequencies = np.fft.rfftfreq(length, 1 / sample_rate)
    spectrum = np.fft.rfft(rng.standard_normal(length))
    audible = frequencies >= lowest
    spectrum[audible] *= frequencies[audible] ** (-slope / 2)
    spectrum[~audible] = 0
    noise = np.fft.irfft(spectrum, length).astype(np.float32)
    power = mean_power(noise)
    return noise / np.float32(np.sqrt(power)) if power else noise


def room_impulse_response(sample_rate: int, reverberation_time: float, rng: np.random.Generator) -> Samples:
    """Return the response (samples,) of a synthetic room: the direct sound, then decaying noise.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    reverberation_time : float
        In which the sound falls by 60 dB, in seconds; the response ends at 40 dB.
    rng : Generator
        Draws the reflections, their first arrival (1 to 10 ms), and how far their power lies below that of the direct
        sound (0 to 12 dB).

    References
    ----------
    J.-D. Polack, La transmission de l'energie sonore dans les salles, 1988 (the model of decaying noise).
    """
    length = max(2, round(reverberation_time * sample_rate * 40 / 60))
    time = np.arange(length) / sample_rate
    # Walls and air swallow high frequencies first: the reflections fall off by 3 dB an octave.
    tail = coloured_noise(length, sample_rate, 1.0, rng) * 10 ** (-3 * time / reverberation_time)
    tail[: round(rng.uniform(0.001, 0.010) * sample_rate)] = 0
    power = float(np.sum(np.square(tail)))
    response = tail * np.sqrt(10 ** (-rng.uniform(0, 12) / 10) / power) if power else tail
    response[0] = 1
    return response.astype(np.float32)


def cut(recording: Samples | NDArray[np.int16], start: int, length: int) -> Samples:
    """Return `length` samples of `recording` from `start` on, beginning again at its end as often as needed."""
    if start + length <= len(recording):
        return as_float(recording[start : start + length])
    return as_float(recording[np.arange(start, start + length) % len(recording)])


def mean_power(samples: Samples) -> float:
    """Return the mean square of `samples`."""
    # Not np.dot: its last bits depend on the number of threads.
    return float(np.mean(np.square(samples), dtype=np.float64))
