"""Front ends: what a network hears of a clip. Log-mel spectrogram, MFCC, or the samples themselves.

librosa defines the two spectral ones (``librosa.feature.melspectrogram`` with its Hann window and Slaney mel filters,
``power_to_db``, ``mfcc``); here they are time first, float32, and computed by one parallel kernel.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audioconv.errors import ConfigError, DataError, ShapeError
from audioconv.kernels import spectral

Samples = NDArray[np.float32]
Features = NDArray[np.float32]

logger = logging.getLogger("audioconv")


@dataclass(frozen=True)
class LogMel:
    """Logarithmic mel spectrogram in decibels.

    Equal to ``librosa.power_to_db(librosa.feature.melspectrogram(..., pad_mode="constant"), amin=floor,
    top_db=None)``, time first.

    Parameters
    ----------
    sample_rate : int
        Of the samples, in Hz.
    fft_length, window_length, hop_length : int
        In samples. The Hann window lies in the middle of the transform.
    mel_bands : int
        Number of bands, on Slaney's mel scale, each of unit area.
    min_frequency, max_frequency : float
        Outer edges of the lowest and the highest band, in Hz; None is half the sample rate.
    floor : float
        Energies below it count as it: the quietest value is ``10 log10(floor)`` dB.

    Raises
    ------
    ConfigError
        If the settings do not fit together.

    Examples
    --------
    >>> front_end = LogMel()
    >>> front_end(np.zeros(16000, np.float32)).shape
    (1, 101, 40)
    """

    sample_rate: int = 16000
    fft_length: int = 512
    window_length: int = 400
    hop_length: int = 160
    mel_bands: int = 40
    min_frequency: float = 0.0
    max_frequency: float | None = None
    floor: float = 1e-10

    def __post_init__(self) -> None:
        """Check the settings."""
        kind = type(self).__name__
        for name in ("sample_rate", "fft_length", "window_length", "hop_length", "mel_bands"):
            _check_integer(kind, name, getattr(self, name), minimum=2 if name == "fft_length" else 1)
        if self.window_length > self.fft_length:
            raise ConfigError(
                f"{kind}: window_length {self.window_length} is longer than fft_length "
                f"{self.fft_length}; use a longer transform or a shorter window"
            )
        for name, value in (
            ("min_frequency", self.min_frequency),
            ("max_frequency", self.top_frequency),
            ("floor", self.floor),
        ):
            _check_number(kind, name, value)
        if not 0 <= self.min_frequency < self.top_frequency <= self.sample_rate / 2:
            raise ConfigError(
                f"{kind}: needs 0 <= min_frequency < max_frequency <= {self.sample_rate / 2:g} Hz (half "
                f"the sample rate), got {self.min_frequency} and {self.max_frequency}"
            )
        if self.floor <= 0:
            raise ConfigError(f"{kind}: floor must be above 0, got {self.floor}")

    @classmethod
    def for_rate(cls, sample_rate: int, **settings: Any) -> Self:
        """Return the usual front end of speech at `sample_rate` Hz: 25 ms windows every 10 ms.

        The transform is the next power of two; `settings` replace these or other fields.

        Examples
        --------
        >>> LogMel.for_rate(8000)
        LogMel(sample_rate=8000, fft_length=256, window_length=200, hop_length=80, mel_bands=40, \
min_frequency=0.0, max_frequency=None, floor=1e-10)
        """
        _check_integer(cls.__name__, "sample_rate", sample_rate)
        window_length = settings.pop("window_length", max(1, round(0.025 * sample_rate)))
        usual = {
            "window_length": window_length,
            "hop_length": max(1, round(0.010 * sample_rate)),
            "fft_length": max(2, 2 ** math.ceil(math.log2(window_length))),
        }
        return cls(sample_rate=sample_rate, **{**usual, **settings})

    @property
    def top_frequency(self) -> float:
        """Outer edge of the highest band, in Hz."""
        return self.sample_rate / 2 if self.max_frequency is None else self.max_frequency

    def frame_count(self, sample_count: int) -> int:
        """Return the number of frames of a clip of `sample_count` samples."""
        _check_sample_count(sample_count)
        return 1 + (sample_count + 2 * (self.fft_length // 2) - self.fft_length) // self.hop_length

    def out_shape(self, sample_count: int) -> tuple[int, int]:
        """Return ``(frames, bands)`` for a clip of `sample_count` samples."""
        return self.frame_count(sample_count), self.mel_bands

    def mel_filters(self) -> NDArray[np.float64]:
        """Return the weights of the FFT bins in each band, (mel_bands, fft_length // 2 + 1) float64.

        Equal to ``librosa.filters.mel``.
        """
        return _plan(self).filters.copy()

    def __call__(self, samples: ArrayLike) -> Features:
        """Return the spectrograms of a batch of clips.

        Parameters
        ----------
        samples : array (N, T) or (T,), floating point
            Mono, at `sample_rate`, full scale being 1; one clip is a batch of one.

        Returns
        -------
        array (N, frames, bands) float32
            In dB.

        Raises
        ------
        ShapeError
            If there is no sample, or not one or two axes.
        DataError
            If the samples are integers.
        """
        return self._decibels(_batch(samples))

    def _decibels(self, batch: Samples) -> Features:
        plan = _plan(self)
        out = np.empty((len(batch), self.frame_count(batch.shape[1]), self.mel_bands), np.float32)
        filters, first_bin, end_bin = plan.filters, plan.first_bin, plan.end_bin
        spectral.log_mel(batch, plan.window, filters, first_bin, end_bin, self.hop_length, float(self.floor), out)
        return out


@dataclass(frozen=True)
class Mfcc(LogMel):
    """Mel-frequency cepstral coefficients: the orthonormal cosine transform (type 2) of `LogMel` over its bands.

    Equal to ``librosa.feature.mfcc(S=decibels, n_mfcc=coefficients)``, time first. Takes the settings of `LogMel` and

    Parameters
    ----------
    coefficients : int
        How many are kept, from the lowest; at most `mel_bands`.
    """

    coefficients: int = 13

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        _check_integer("Mfcc", "coefficients", self.coefficients)
        if self.coefficients > self.mel_bands:
            raise ConfigError(f"Mfcc: {self.mel_bands} mel bands cannot give {self.coefficients} coefficients")

    def out_shape(self, sample_count: int) -> tuple[int, int]:
        """Return ``(frames, coefficients)`` for a clip of `sample_count` samples."""
        return self.frame_count(sample_count), self.coefficients

    def __call__(self, samples: ArrayLike) -> Features:
        """Return the coefficients of a batch of clips, (N, frames, coefficients) float32; see `LogMel`."""
        decibels = self._decibels(_batch(samples))
        out = np.empty((*decibels.shape[:2], self.coefficients), np.float32)
        basis = _cosine_basis(self.mel_bands, self.coefficients)
        spectral.project(decibels.reshape(-1, self.mel_bands), basis, out.reshape(-1, self.coefficients))
        return out


@dataclass(frozen=True)
class RawSamples:
    """The samples themselves, for 1-D networks that learn their own filters.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    """

    sample_rate: int = 16000

    def __post_init__(self) -> None:
        """Check the settings."""
        _check_integer("RawSamples", "sample_rate", self.sample_rate)

    def out_shape(self, sample_count: int) -> tuple[int, int]:
        """Return ``(samples, 1)``."""
        _check_sample_count(sample_count)
        return sample_count, 1

    def __call__(self, samples: ArrayLike) -> Features:
        """Return a batch (N, T) or one clip (T,) with a channel axis, as a copy (N, T, 1) float32."""
        return _batch(samples)[:, :, None].copy()


FrontEnd = LogMel | Mfcc | RawSamples

FRONT_ENDS: dict[str, type[LogMel] | type[RawSamples]] = {kind.__name__: kind for kind in (LogMel, Mfcc, RawSamples)}
"""The front ends by name, for `front_end_from_config`."""


def front_end_to_config(front_end: FrontEnd) -> dict[str, Any]:
    """Return the settings of `front_end` as JSON-compatible data; `front_end_from_config` is its inverse.

    Examples
    --------
    >>> front_end_to_config(RawSamples(8000))
    {'front_end': 'RawSamples', 'sample_rate': 8000}
    """
    return {"front_end": type(front_end).__name__, **dataclasses.asdict(front_end)}


def front_end_from_config(config: Any) -> FrontEnd:
    """Return the front end that `front_end_to_config` described; `ConfigError` if it does not describe one."""
    name = config.get("front_end") if isinstance(config, dict) else config
    if not isinstance(config, dict) or not isinstance(name, str) or name not in FRONT_ENDS:
        raise ConfigError(f"unknown front end {name!r}; known are {', '.join(FRONT_ENDS)}")
    try:
        return FRONT_ENDS[name](**{key: value for key, value in config.items() if key != "front_end"})
    except TypeError as error:
        raise ConfigError(f"settings of {name} do not fit: {error}") from None


def mel_filters(
    sample_rate: int, fft_length: int, bands: int, min_frequency: float, max_frequency: float
) -> NDArray[np.float64]:
    """Return triangular filters of unit area on Slaney's mel scale, (bands, fft_length // 2 + 1) float64.

    The same as ``librosa.filters.mel`` (its import takes most of a second, too long for classifying one clip). The
    scale is linear up to 1 kHz (3 mel per 200 Hz) and logarithmic above (27 mel for a factor of 6.4); M. Slaney,
    Auditory Toolbox, Interval Research Technical Report 1998-010.
    """
    knee, knee_mel, mel_per_e = 1000.0, 15.0, 27.0 / math.log(6.4)

    def to_mel(frequency: float) -> float:
        if frequency < knee:
            return frequency * knee_mel / knee
        return knee_mel + mel_per_e * math.log(frequency / knee)

    mel = np.linspace(to_mel(min_frequency), to_mel(max_frequency), bands + 2)
    edges = np.where(mel < knee_mel, mel * knee / knee_mel, knee * np.exp((mel - knee_mel) / mel_per_e))[:, None]
    frequencies = np.fft.rfftfreq(fft_length, 1 / sample_rate)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.minimum((frequencies - low) / (centre - low), (high - frequencies) / (high - centre))
    filters: NDArray[np.float64] = np.maximum(triangles, 0.0) * 2.0 / (high - low)
    return filters


def hann_window(window_length: int, fft_length: int) -> NDArray[np.float64]:
    """Return the periodic Hann window in the middle of `fft_length` samples."""
    window = np.zeros(fft_length)
    begin = (fft_length - window_length) // 2
    phase = 2 * np.pi * np.arange(window_length) / window_length
    window[begin : begin + window_length] = 0.5 - 0.5 * np.cos(phase) if window_length > 1 else 1.0
    return window


@dataclass(frozen=True)
class _Plan:
    """What the kernel needs beside the samples."""

    window: NDArray[np.float64]
    filters: NDArray[np.float64]
    first_bin: NDArray[np.int64]
    end_bin: NDArray[np.int64]


@functools.lru_cache(maxsize=32)
def _plan(settings: LogMel) -> _Plan:
    filters = mel_filters(
        settings.sample_rate, settings.fft_length, settings.mel_bands, settings.min_frequency, settings.top_frequency
    )
    used = filters > 0
    empty = np.flatnonzero(~used.any(axis=1))
    if empty.size:
        logger.warning(
            "%d of %d mel bands hold no frequency of the %d-point transform and are always silent; "
            "use fewer bands or a longer transform",
            empty.size,
            settings.mel_bands,
            settings.fft_length,
        )
    first_bin = used.argmax(axis=1)
    end_bin = np.where(used.any(axis=1), used.shape[1] - used[:, ::-1].argmax(axis=1), first_bin)
    return _Plan(hann_window(settings.window_length, settings.fft_length), filters, first_bin, end_bin)


@functools.lru_cache(maxsize=32)
def _cosine_basis(bands: int, coefficients: int) -> NDArray[np.float64]:
    """Return the orthonormal type-2 cosine transform as a matrix (bands, coefficients)."""
    positions = (np.arange(bands)[:, None] + 0.5) / bands
    basis: NDArray[np.float64] = np.sqrt(2.0 / bands) * np.cos(np.pi * positions * np.arange(coefficients))
    basis[:, 0] = np.sqrt(1.0 / bands)
    return basis


def _batch(samples: ArrayLike) -> Samples:
    """Return `samples` as (N, T) float32 that the kernels take."""
    array = np.asarray(samples)
    if array.ndim not in (1, 2) or array.shape[-1] == 0:
        raise ShapeError(f"a front end takes samples of shape (clips, time) or (time,), got {array.shape}")
    if not np.issubdtype(array.dtype, np.floating):
        raise DataError(
            f"samples must be floating point with full scale 1, got {array.dtype}; "
            "divide 16-bit integers by 32768, for example"
        )
    # Writable, though nothing writes: Numba would compile the kernels again for read-only arrays.
    return np.require(np.atleast_2d(array), np.float32, ["C", "A", "W"])


def _check_sample_count(sample_count: int) -> None:
    if sample_count < 1:
        raise ShapeError(f"a clip needs at least one sample, got {sample_count}")


def _check_integer(kind: str, name: str, value: Any, minimum: int = 1) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise ConfigError(f"{kind}: {name} must be an integer >= {minimum}, got {value!r}")


def _check_number(kind: str, name: str, value: Any) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ConfigError(f"{kind}: {name} must be a finite number, got {value!r}")
