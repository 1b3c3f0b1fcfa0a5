"""Augmentation: changes to a clip that leave its word the same, drawn anew in each epoch.

What is done (`effects`) is apart from what is drawn (`Augmentation.draw`, `Augmentation.draw_masks`): the first are
pure functions, the second take the random generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Features, Samples
from audioconv.audio.effects import (
    apply_gain,
    change_speed,
    coloured_noise,
    cut,
    mix_noise,
    reverberate,
    room_impulse_response,
    time_shift,
)
from audioconv.errors import ConfigError, ShapeError

Interval = tuple[float, float]


@dataclass(frozen=True)
class NoiseDraw:
    """Noise to mix in: recording `index` from sample `start` on, `snr_db` below the clip."""

    index: int
    start: int
    snr_db: float


@dataclass(frozen=True)
class SampleDraw:
    """Changes to one clip's samples; None leaves a step out."""

    speed: float | None = None
    impulse_response: int | None = None
    offset: int = 0
    noise: NoiseDraw | None = None
    gain_db: float = 0.0


@dataclass(frozen=True)
class MaskDraw:
    """Stretches of one clip's features to mask, (begin, end) pairs, and the factor that stretches its bands."""

    time: tuple[tuple[int, int], ...] = ()
    bands: tuple[tuple[int, int], ...] = ()
    stretch: float = 1.0


@dataclass(frozen=True, eq=False)
class Augmentation:
    """Random changes of clips in training. By default each setting changes nothing; see `default`.

    Parameters
    ----------
    max_shift : int
        Clips start up to this many samples earlier or later.
    gain_db : (float, float)
        Range of the gain.
    noises : tuple of arrays (samples,) float32, or int16 with the full scale 32768
        Recordings at the clips' rate, of any length, to mix in.
    noise_probability : float
        Probability that a noise is mixed in.
    snr_db : (float, float)
        Range of the clip's power over the noise's.
    impulse_responses : tuple of arrays (samples,) float32
        Impulse responses of rooms, at the clips' rate.
    reverberation_probability : float
        Probability that the clip is placed in a room.
    speed : (float, float)
        Range of the playback speed, pitch included: another speaker's voice and tempo.
    speed_probability : float
        Probability that the speed is changed.
    stretch : (float, float)
        Range of the factor by which the bands of a spectrogram are stretched: another speaker's vocal tract, at the
        same tempo.
    stretch_probability : float
        Probability that the bands are stretched.
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
    Interspeech 2015 (speed); N. Jaitly and G. Hinton, Vocal tract length perturbation, ICML 2013 workshop (stretch).
    """

    max_shift: int = 0
    gain_db: Interval = (0.0, 0.0)
    noises: tuple[Samples | NDArray[np.int16], ...] = ()
    noise_probability: float = 0.0
    snr_db: Interval = (0.0, 30.0)
    impulse_responses: tuple[Samples, ...] = ()
    reverberation_probability: float = 0.0
    speed: Interval = (1.0, 1.0)
    speed_probability: float = 0.0
    stretch: Interval = (1.0, 1.0)
    stretch_probability: float = 0.0
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
            "stretch_probability",
            "max_time_mask",
            "max_band_mask",
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"Augmentation: {name} must lie between 0 and 1, got {getattr(self, name)}")
        for name in ("gain_db", "snr_db", "speed", "stretch"):
            low, high = getattr(self, name)
            if not -np.inf < low <= high < np.inf:
                raise ConfigError(f"Augmentation: {name} must be (lowest, highest), got {getattr(self, name)}")
        for name in ("max_shift", "time_masks", "band_masks"):
            if getattr(self, name) < 0:
                raise ConfigError(f"Augmentation: {name} must not be negative, got {getattr(self, name)}")
        for name in ("speed", "stretch"):
            low, high = getattr(self, name)
            if not 0.5 <= low <= high <= 2:
                raise ConfigError(f"Augmentation: {name} must lie between 0.5 and 2, got {(low, high)}")
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
        noises: Sequence[Samples | NDArray[np.int16]] | None = None,
        impulse_responses: Sequence[Samples] | None = None,
        seed: int = 0,
    ) -> Self:
        """Return what makes keyword classifiers robust, without needing any recording.

        Parameters
        ----------
        sample_rate : int
            Sample rate in Hz of the clips and of the recordings given.
        noises, impulse_responses : sequence of arrays (samples,) float32, optional
            Recordings to use instead of synthetic ones (`coloured_noise`, `room_impulse_response`).
        seed : int
            Seed of the synthetic ones.
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
            stretch=(0.8, 1.2),
            stretch_probability=0.8,
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
            stretch=draw_speed(rng, self.stretch) if rng.random() < self.stretch_probability else 1.0,
        )

    def augment_features(self, features: Features, rng: np.random.Generator) -> Features:
        """Return a stretched and masked copy of one clip's `features` (frames, bands)."""
        frames, bands = features.shape
        masks = self.draw_masks(frames, bands, rng)
        return mask(stretch_bands(features, masks.stretch), masks)


def draw_offset(rng: np.random.Generator, max_shift: int) -> int:
    """Draw a shift of up to `max_shift` samples to either side."""
    return int(rng.integers(-max_shift, max_shift + 1))


def draw_gain(rng: np.random.Generator, gain_db: Interval) -> float:
    """Draw a gain in dB."""
    return float(rng.uniform(*gain_db))


def draw_speed(rng: np.random.Generator, speed: Interval) -> float:
    """Draw a playback speed."""
    return float(rng.uniform(*speed))


def draw_noise(rng: np.random.Generator, noises: Sequence[Samples | NDArray[np.int16]], snr_db: Interval) -> NoiseDraw:
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


def mask(features: Features, masks: MaskDraw) -> Features:
    """Return `features` (frames, bands) with the stretches of `masks` replaced by the mean of the clip."""
    masked = features.copy()
    mean = features.mean()
    for begin, end in masks.time:
        masked[begin:end] = mean
    for begin, end in masks.bands:
        masked[:, begin:end] = mean
    return masked


def stretch_bands(features: Features, factor: float) -> Features:
    """Return `features` (frames, bands) with what was in band b in band b * factor, between bands interpolated.

    Mel bands are close to logarithmic above 1 kHz and linear below, so that this is between a shift and a stretch of
    the spectrum. Beyond the last band lies what is in it.
    """
    if factor == 1.0:
        return features
    bands = features.shape[1]
    place = np.minimum(np.arange(bands) / factor, bands - 1)
    below = np.minimum(place.astype(np.intp), bands - 2) if bands > 1 else np.zeros(1, np.intp)
    share = (place - below).astype(np.float32)
    above = np.minimum(below + 1, bands - 1)
    stretched: Features = features[:, below] * (1 - share) + features[:, above] * share
    return stretched
