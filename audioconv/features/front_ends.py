"""Front ends: log-mel spectrogram, MFCC, the samples themselves, or features of librosa (`Librosa`).

librosa defines the first two (``librosa.feature.melspectrogram`` with its Hann window and Slaney mel filters,
``power_to_db``, ``mfcc``); here they are time first, float32, and computed by one parallel kernel. `LogMelStream` gives
the same frame after frame, as samples come in.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import math
from dataclasses import dataclass
from typing import Any, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audioconv._types import Features, Samples
from audioconv.errors import ConfigError
from audioconv.features.checks import as_batch, check_integer, check_number, check_sample_count
from audioconv.features.librosa_front_end import Librosa
from audioconv.features.mel import MelScale, mel_edges, mel_filters
from audioconv.features.spectrogram import Spectrogram, cosine_basis, hann_window

logger = logging.getLogger("audioconv")


@dataclass(frozen=True)
class LogMel:
    """Logarithmic mel spectrogram in decibels.

    Equal to ``librosa.power_to_db(librosa.feature.melspectrogram(..., pad_mode="constant"), amin=floor,
    top_db=None)``, time first.

    Parameters
    ----------
    sample_rate : int
        Sample rate in Hz.
    fft_length, window_length, hop_length : int
        In samples. The Hann window lies in the middle of the transform.
    mel_bands : int
        Number of bands on the mel scale, each of unit area.
    min_frequency, max_frequency : float
        Outer edges of the lowest and the highest band, in Hz; None is half the sample rate.
    floor : float
        Energies below it count as it: the quietest value is ``10 log10(floor)`` dB.
    mel_scale : {"slaney", "htk"}
        See `mel.hertz_to_mel`. Default: ``"slaney"``, as librosa's.

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
    mel_scale: MelScale = "slaney"

    def __post_init__(self) -> None:
        """Check the settings."""
        kind = type(self).__name__
        for name in ("sample_rate", "fft_length", "window_length", "hop_length", "mel_bands"):
            check_integer(kind, name, getattr(self, name), minimum=2 if name == "fft_length" else 1)
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
            check_number(kind, name, value)
        if not 0 <= self.min_frequency < self.top_frequency <= self.sample_rate / 2:
            raise ConfigError(
                f"{kind}: needs 0 <= min_frequency < max_frequency <= {self.sample_rate / 2:g} Hz (half "
                f"the sample rate), got {self.min_frequency} and {self.max_frequency}"
            )
        if self.floor <= 0:
            raise ConfigError(f"{kind}: floor must be above 0, got {self.floor}")
        if self.mel_scale not in get_args(MelScale):
            raise ConfigError(f"{kind}: mel_scale must be one of {get_args(MelScale)}, got {self.mel_scale!r}")

    @classmethod
    def for_rate(cls, sample_rate: int, **settings: Any) -> Self:
        """Return the usual front end of speech at `sample_rate` Hz: 25 ms windows every 10 ms.

        The transform is the next power of two; `settings` replace these or other fields.

        Examples
        --------
        >>> LogMel.for_rate(8000)
        LogMel(sample_rate=8000, fft_length=256, window_length=200, hop_length=80, mel_bands=40, \
min_frequency=0.0, max_frequency=None, floor=1e-10, mel_scale='slaney')
        """
        check_integer(cls.__name__, "sample_rate", sample_rate)
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
        check_sample_count(sample_count)
        return 1 + (sample_count + 2 * (self.fft_length // 2) - self.fft_length) // self.hop_length

    def out_shape(self, sample_count: int) -> tuple[int, int]:
        """Return ``(frames, bands)`` for a clip of `sample_count` samples."""
        return self.frame_count(sample_count), self.mel_bands

    def mel_filters(self) -> NDArray[np.float64]:
        """Return the weights of the FFT bins in each band, (mel_bands, fft_length // 2 + 1) float64.

        Equal to ``librosa.filters.mel``.
        """
        return _spectrogram(self).filters.copy()

    def band_edges(self) -> NDArray[np.float64]:
        """Return where the bands begin, peak and end, (mel_bands + 2,) float64 in Hz.

        Band `i` begins at entry `i`, has its peak at `i + 1` and ends at `i + 2`.

        Examples
        --------
        >>> LogMel(mel_bands=3).band_edges().round()
        array([   0.,  754., 1689., 3676., 8000.])
        """
        return mel_edges(self.mel_bands, self.min_frequency, self.top_frequency, self.mel_scale)

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
        batch = as_batch(samples)
        return self.frames(batch, -(self.fft_length // 2), self.frame_count(batch.shape[1]))

    def frames(self, batch: Samples, begin: int, count: int) -> Features:
        """Return some frames of the spectrograms, each the same whichever of them are requested.

        Parameters
        ----------
        batch : array (N, T) float32
            As from `as_batch`; zeros are taken where a frame reaches beyond it.
        begin : int
            First sample of the first frame, where sample 0 is the first of `batch`.
        count : int
            Number of frames.

        Returns
        -------
        array (N, count, bands) float32
            In dB; of `Mfcc`, (N, count, coefficients).
        """
        return _spectrogram(self).frames(batch, begin, count)


@dataclass(frozen=True)
class Mfcc(LogMel):
    """Mel-frequency cepstral coefficients: the orthonormal cosine transform (type 2) of `LogMel` over its bands.

    Equal to ``librosa.feature.mfcc(S=decibels, n_mfcc=coefficients)``, time first: a batch gives (N, frames,
    coefficients) float32. Takes the settings of `LogMel` and

    Parameters
    ----------
    coefficients : int
        Number of coefficients that are kept, from the lowest; at most `mel_bands`.
    """

    coefficients: int = 13

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        check_integer("Mfcc", "coefficients", self.coefficients)
        if self.coefficients > self.mel_bands:
            raise ConfigError(f"Mfcc: {self.mel_bands} mel bands cannot give {self.coefficients} coefficients")

    def out_shape(self, sample_count: int) -> tuple[int, int]:
        """Return ``(frames, coefficients)`` for a clip of `sample_count` samples."""
        return self.frame_count(sample_count), self.coefficients


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
        check_integer("RawSamples", "sample_rate", self.sample_rate)

    def out_shape(self, sample_count: int) -> tuple[int, int]:
        """Return ``(samples, 1)``."""
        check_sample_count(sample_count)
        return sample_count, 1

    def __call__(self, samples: ArrayLike) -> Features:
        """Return a batch (N, T) or one clip (T,) with a channel axis, as a copy (N, T, 1) float32."""
        return as_batch(samples)[:, :, None].copy()


FrontEnd = LogMel | Mfcc | RawSamples | Librosa

FRONT_ENDS: dict[str, type[LogMel] | type[RawSamples] | type[Librosa]] = {
    kind.__name__: kind for kind in (LogMel, Mfcc, RawSamples, Librosa)
}
"""The front ends by name, for `front_end_from_config`."""


def front_end_to_config(front_end: FrontEnd) -> dict[str, Any]:
    """Return the settings of `front_end` as JSON-compatible data; `front_end_from_config` is its inverse.

    Examples
    --------
    >>> front_end_to_config(RawSamples(8000))
    {'front_end': 'RawSamples', 'sample_rate': 8000}
    """
    fields = dataclasses.asdict(front_end)
    if isinstance(front_end, Librosa):
        fields["settings"] = front_end.keywords
    return {"front_end": type(front_end).__name__, **fields}


def front_end_from_config(config: Any) -> FrontEnd:
    """Return the front end that `front_end_to_config` described; `ConfigError` if it does not describe one."""
    name = config.get("front_end") if isinstance(config, dict) else config
    if not isinstance(config, dict) or not isinstance(name, str) or name not in FRONT_ENDS:
        raise ConfigError(f"unknown front end {name!r}; known are {', '.join(FRONT_ENDS)}")
    try:
        return FRONT_ENDS[name](**{key: value for key, value in config.items() if key != "front_end"})
    except TypeError as error:
        raise ConfigError(f"settings of {name} do not fit: {error}") from None


@functools.lru_cache(maxsize=32)
def _spectrogram(settings: LogMel) -> Spectrogram:
    window = hann_window(settings.window_length, settings.fft_length)
    filters = mel_filters(
        settings.sample_rate,
        settings.fft_length,
        settings.mel_bands,
        settings.min_frequency,
        settings.top_frequency,
        settings.mel_scale,
    )
    empty = np.count_nonzero(~filters.any(axis=1))
    if empty:
        logger.warning(
            "%d of %d mel bands hold no frequency of the %d-point transform and are always silent; "
            "use fewer bands or a longer transform",
            empty,
            settings.mel_bands,
            settings.fft_length,
        )
    basis = cosine_basis(settings.mel_bands, settings.coefficients) if isinstance(settings, Mfcc) else None
    return Spectrogram(window, settings.hop_length, filters, float(settings.floor), basis)
