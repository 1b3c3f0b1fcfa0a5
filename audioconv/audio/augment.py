"""Augmentation: changes to a clip that leave its word the same, drawn anew each time the network hears it.

What is done (`time_shift`, `apply_gain`, `mix_noise`, ...) is apart from what is drawn (`Augmentation.draw`,
`Augmentation.draw_masks`): the first are pure functions, the second take the random generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from audioconv.audio.read import fit_length
from audioconv.errors import ConfigError, ShapeError

Samples = NDArray[np.float32]
Features = NDArray[np.float32]
Interval = tuple[float, float]

# Speech and microphones have next to nothing below: noise that falls with frequency must not put its power there.
LOWEST_NOISE_FREQUENCY = 50.0


@dataclass(frozen=True)
class NoiseDraw:
    """Which noise to mix in: recording `index` from sample `start` on, `snr_db` below the clip."""

    index: int
    start: int
    snr_db: float


@dataclass(frozen=True)
class SampleDraw:
    """What to do to one clip's samples; None leaves a step out."""

    speed: float | None = None
    impulse_response: int | None = None
    offset: int = 0
    noise: NoiseDraw | None = None
    gain_db: float = 0.0


@dataclass(frozen=True)
class MaskDraw:
    """Which stretches of one clip's features to mask: (begin, end) pairs."""

    time: tuple[tuple[int, int], ...] = ()
    bands: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, eq=False)
class Augmentation:
    """What may happen to a clip in training. The default of each setting is: nothing; see `default`.

    Parameters
    ----------
    max_shift : int
        Clips start up to this many samples earlier or later.
    gain_db : (float, float)
        Range of the gain.
    noises : tuple of arrays (samples,) float32
        Recordings at the clips' rate, of any length, to mix in.
    noise_probability : float
        Of mixing one in.
    snr_db : (float, float)
        Range of the clip's power over the noise's.
    impulse_responses : tuple of arrays (samples,) float32
        Of rooms, at the clips' rate.
    reverberation_probability : float
        Of placing the clip in one of them.
    speed : (float, float)
        Range of the playback speed, pitch included: another speaker's voice and tempo.
    speed_probability : float
        Of changing it.
    time_masks, band_masks : int
        SpecAugment: how many stretches of frames and of bands are masked.
    max_time_mask, max_band_mask : float
        The longest, as parts of all frames and of all bands.

    Raises
    ------
    ConfigError
        If a setting is out of its range.

    References
    ----------
    D. Park et al., SpecAugment, Interspeech 2019; T. Ko et al., Audio augmentation for speech recognition,
    Interspeech 2015 (speed).
    """

    max_shift: int = 0
    gain_db: Interval = (0.0, 0.0)
    noises: tuple[Samples, ...] = ()
    noise_probability: float = 0.0
    snr_db: Interval = (0.0, 30.0)
    impulse_responses: tuple[Samples, ...] = ()
    reverberation_probability: float = 0.0
    speed: Interval = (1.0, 1.0)
    speed_probability: float = 0.0
    time_masks: int = 0
    max_time_mask: float = 0.0
    band_masks: int = 0
    max_band_mask: float = 0.0

    def __post_init__(self) -> None:
        """Check the settings."""
        for name in (
            "noise_probability",
            "reverberation_probability",
            "speed_probability",
            "max_time_mask",
            "max_band_mask",
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"Augmentation: {name} must lie between 0 and 1, got {getattr(self, name)}")
        for name in ("gain_db", "snr_db", "speed"):
            low, high = getattr(self, name)
            if not -np.inf < low <= high < np.inf:
                raise ConfigError(f"Augmentation: {name} must be (lowest, highest), got {getattr(self, name)}")
        for name in ("max_shift", "time_masks", "band_masks"):
            if getattr(self, name) < 0:
                raise ConfigError(f"Augmentation: {name} must not be negative, got {getattr(self, name)}")
        if not 0.5 <= self.speed[0] <= self.speed[1] <= 2:
            raise ConfigError(f"Augmentation: speed must lie between 0.5 and 2, got {self.speed}")
        for name in ("noises", "impulse_responses"):
            for index, recording in enumerate(getattr(self, name)):
                if recording.ndim != 1 or not recording.size:
                    raise ShapeError(f"Augmentation: {name}[{index}] must be (samples,), got {recording.shape}")

    @classmethod
    def none(cls) -> Self:
        """Return the augmentation that changes nothing."""
        return cls()

    @classmethod
    def default(
        cls,
        sample_rate: int,
        *,
        noises: Sequence[Samples] | None = None,
        impulse_responses: Sequence[Samples] | None = None,
        seed: int = 0,
    ) -> Self:
        """Return what makes keyword classifiers robust, without needing any recording.

        Parameters
        ----------
        sample_rate : int
            Of the clips and of the recordings given, in Hz.
        noises, impulse_responses : sequence of arrays (samples,) float32, optional
            Recordings to use instead of synthetic ones (`coloured_noise`, `room_impulse_response`).
        seed : int
            Of the synthetic ones.
        """
        rng = np.random.default_rng([seed, sample_rate])
        if noises is None:
            noises = [coloured_noise(4 * sample_rate, sample_rate, slope, rng) for slope in np.linspace(0, 2, 8)]
        if impulse_responses is None:
            impulse_responses = [room_impulse_response(sample_rate, rt60, rng) for rt60 in np.linspace(0.1, 0.5, 16)]
        return cls(
            max_shift=round(0.1 * sample_rate),
            gain_db=(-6.0, 6.0),
            noises=tuple(noises),
            noise_probability=0.6 if len(noises) else 0.0,
            snr_db=(5.0, 40.0),
            impulse_responses=tuple(impulse_responses),
            reverberation_probability=0.2 if len(impulse_responses) else 0.0,
            speed=(0.9, 1.1),
            speed_probability=0.5,
            time_masks=1,
            max_time_mask=0.1,
            band_masks=1,
            max_band_mask=0.1,
        )

    def draw(self, rng: np.random.Generator) -> SampleDraw:
        """Draw what happens to one clip's samples."""
        return SampleDraw(
            speed=draw_speed(rng, self.speed) if rng.random() < self.speed_probability else None,
            impulse_response=(
                int(rng.integers(len(self.impulse_responses)))
                if self.impulse_responses and rng.random() < self.reverberation_probability
                else None
            ),
            offset=draw_offset(rng, self.max_shift),
            noise=(
                draw_noise(rng, self.noises, self.snr_db)
                if self.noises and rng.random() < self.noise_probability
                else None
            ),
            gain_db=draw_gain(rng, self.gain_db),
        )

    def apply(self, samples: Samples, draw: SampleDraw) -> Samples:
        """Return `samples` (T,) changed as drawn: speed, room, shift, noise and gain, in this order."""
        if draw.speed is not None:
            samples = change_speed(samples, draw.speed)
        if draw.impulse_response is not None:
            samples = reverberate(samples, self.impulse_responses[draw.impulse_response])
        if draw.offset:
            samples = time_shift(samples, draw.offset)
        if draw.noise is not None:
            noise = cut(self.noises[draw.noise.index], draw.noise.start, len(samples))
            samples = mix_noise(samples, noise, draw.noise.snr_db)
        return apply_gain(samples, draw.gain_db)

    def augment_samples(self, samples: Samples, rng: np.random.Generator) -> Samples:
        """Return a changed copy of one clip's `samples` (T,)."""
        return self.apply(samples, self.draw(rng))

    def draw_masks(self, frames: int, bands: int, rng: np.random.Generator) -> MaskDraw:
        """Draw which of `frames` and `bands` are masked."""
        return MaskDraw(
            time=draw_stretches(rng, frames, self.time_masks, self.max_time_mask),
            bands=draw_stretches(rng, bands, self.band_masks, self.max_band_mask),
        )

    def augment_features(self, features: Features, rng: np.random.Generator) -> Features:
        """Return a masked copy of one clip's `features` (frames, bands)."""
        frames, bands = features.shape
        return mask(features, self.draw_masks(frames, bands, rng))


def draw_offset(rng: np.random.Generator, max_shift: int) -> int:
    """Draw a shift of up to `max_shift` samples to either side."""
    return int(rng.integers(-max_shift, max_shift + 1))


def draw_gain(rng: np.random.Generator, gain_db: Interval) -> float:
    """Draw a gain in dB."""
    return float(rng.uniform(*gain_db))


def draw_speed(rng: np.random.Generator, speed: Interval) -> float:
    """Draw a playback speed."""
    return float(rng.uniform(*speed))


def draw_noise(rng: np.random.Generator, noises: Sequence[Samples], snr_db: Interval) -> NoiseDraw:
    """Draw one of the `noises`, where it starts, and the clip's power over its power."""
    index = int(rng.integers(len(noises)))
    return NoiseDraw(index, int(rng.integers(len(noises[index]))), float(rng.uniform(*snr_db)))


def draw_stretches(rng: np.random.Generator, size: int, count: int, longest: float) -> tuple[tuple[int, int], ...]:
    """Draw `count` stretches of an axis of `size`, each up to the part `longest` of it, as (begin, end) pairs."""
    stretches = []
    for _ in range(count):
        length = int(rng.integers(int(longest * size) + 1))
        begin = int(rng.integers(size - length + 1))
        stretches.append((begin, begin + length))
    return tuple(stretches)


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

    # Only the ratio of the rates counts. Low quality is 80 dB, below what training hears, and the fastest but one.
    return fit_length(soxr.resample(samples, speed, 1.0, quality="LQ"), len(samples))


def mask(features: Features, masks: MaskDraw) -> Features:
    """Return `features` (frames, bands) with the stretches of `masks` replaced by the mean of the clip."""
    masked = features.copy()
    mean = features.mean()
    for begin, end in masks.time:
        masked[begin:end] = mean
    for begin, end in masks.bands:
        masked[:, begin:end] = mean
    return masked


def coloured_noise(length: int, sample_rate: int, slope: float, rng: np.random.Generator) -> Samples:
    """Return noise (length,) of mean power 1 whose power density falls with frequency f as ``f ** -slope``.

    0 is white, 1 pink, 2 brown noise. Below 50 Hz there is none.
    """
    frequencies = np.fft.rfftfreq(length, 1 / sample_rate)
    spectrum = np.fft.rfft(rng.standard_normal(length))
    audible = frequencies >= LOWEST_NOISE_FREQUENCY
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


def cut(recording: Samples, start: int, length: int) -> Samples:
    """Return `length` samples of `recording` from `start` on, beginning again at its end as often as needed."""
    if start + length <= len(recording):
        return recording[start : start + length]
    return np.take(recording, np.arange(start, start + length), mode="wrap")


def mean_power(samples: Samples) -> float:
    """Return the mean square of `samples`."""
    # Not np.dot: its last bits depend on the number of threads.
    return float(np.mean(np.square(samples), dtype=np.float64))
