"""Calls of librosa: features (frames, bands) of some clips at once, the same as of each clip alone.

Filters are made once a call, which takes ten times as long as the features of a clip. So clips share a call where their
features do not depend on each other, to the bit.
"""

from __future__ import annotations

import functools
import logging
import operator
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from audioconv._types import Array, Features, Samples
from audioconv.errors import ConfigError
from audioconv.features import librosa_package

if TYPE_CHECKING:
    from audioconv.features.librosa_front_end import Librosa

logger = logging.getLogger("audioconv")

MIN_ENERGY, MIN_AMPLITUDE = 1e-6, 1e-3
"""Energies and amplitudes below count as these: -60 dB."""

FULL_SCALE = np.float32(2**31)
"""What ``librosa.pcen`` takes for full scale."""

_WITHOUT_RATE = frozenset(["rms", "zero_crossing_rate", "spectral_flatness"])
_CHROMA_BINS, _CHROMA_OCTAVES = 36, 7  # librosa's defaults

_MEL = frozenset(["n_mels", "fmin", "fmax", "htk", "norm"])
_STFT = frozenset(["n_fft", "win_length", "window", "pad_mode"])

Compute = Callable[["Librosa", Samples], Iterator[Features]]


def _each(front_end: Librosa, clips: Samples) -> Iterator[Features]:
    """Yield the features of clips, each by a call of its own."""
    librosa = librosa_package.load()

    call = operator.attrgetter(front_end.function.path)(librosa)
    settings = {**front_end.keywords, "hop_length": front_end.hop_length}
    if front_end.name not in _WITHOUT_RATE:
        settings["sr"] = front_end.sample_rate
    for clip in clips:
        features = call(y=clip, **settings)
        yield _rows(np.abs(features) if np.iscomplexobj(features) else features)


def _notes(front_end: Librosa, clips: Samples) -> Iterator[Features]:
    """Yield the constant-Q transforms of clips, in decibels."""
    librosa = librosa_package.load()

    for spectrum in _constant_q(front_end, clips, front_end.name, front_end.keywords):
        yield _rows(librosa.amplitude_to_db(np.abs(spectrum), ref=1.0, amin=MIN_AMPLITUDE, top_db=None))


def _chroma(front_end: Librosa, clips: Samples) -> Iterator[Features]:
    """Yield the pitch classes of the constant-Q transforms of clips."""
    librosa = librosa_package.load()

    settings = front_end.keywords
    call = operator.attrgetter(front_end.function.path)(librosa)
    per_octave = settings.get("bins_per_octave", _CHROMA_BINS)
    if per_octave is None:
        per_octave = settings.get("n_chroma", 12)
    transform = {
        "fmin": settings.get("fmin"),
        "n_bins": settings.get("n_octaves", _CHROMA_OCTAVES) * per_octave,
        "bins_per_octave": per_octave,
        "tuning": settings.get("tuning"),
    }
    name = {"full": "cqt", "hybrid": "hybrid_cqt"}.get(settings.get("cqt_mode", "full"))
    if name is None or transform["tuning"] is None:
        yield from _each(front_end, clips)
        return
    for spectrum in _constant_q(front_end, clips, name, transform):
        yield _rows(call(C=np.abs(spectrum), sr=front_end.sample_rate, hop_length=front_end.hop_length, **settings))


def _constant_q(front_end: Librosa, clips: Samples, name: str, settings: dict[str, Any]) -> Iterator[Array]:
    """Yield the complex spectra (notes, frames) of clips."""
    librosa = librosa_package.load()

    call = functools.partial(
        getattr(librosa, name), sr=front_end.sample_rate, hop_length=front_end.hop_length, **settings
    )
    if settings.get("tuning", 0.0) is None:  # librosa would estimate one tuning for all clips
        yield from map(call, clips)
    else:
        yield from call(clips)


def _mel(front_end: Librosa, clips: Samples) -> Iterator[Features]:
    """Yield the mel spectrograms of clips, in decibels."""
    librosa = librosa_package.load()

    for energy in _mel_spectrograms(front_end, clips, front_end.keywords.get("power", 2.0)):
        yield _rows(librosa.power_to_db(energy, ref=1.0, amin=MIN_ENERGY, top_db=None))


def _pcen(front_end: Librosa, clips: Samples) -> Iterator[Features]:
    """Yield the mel spectrograms of clips with per-channel energy normalisation."""
    librosa = librosa_package.load()

    settings = {name: value for name, value in front_end.keywords.items() if name not in _MEL | _STFT}
    for magnitudes in _mel_spectrograms(front_end, clips * FULL_SCALE, 1.0):
        yield _rows(librosa.pcen(magnitudes, sr=front_end.sample_rate, hop_length=front_end.hop_length, **settings))


def _mel_spectrograms(front_end: Librosa, clips: Samples, power: Any) -> Iterator[Array]:
    """Yield ``librosa.feature.melspectrogram`` (bands, frames) of clips, up to the rounding of its sums.

    The filters are kept, and multiplied as the sparse matrix that they are. A product of full matrices takes ten times
    as long, and its rounding depends on the number of clips.
    """
    librosa = librosa_package.load()

    settings = front_end.keywords
    transform = {name: value for name, value in settings.items() if name in _STFT}
    mel = tuple((name, value) for name, value in settings.items() if name in _MEL)
    filters = _mel_filters(front_end.sample_rate, transform.get("n_fft", 2048), mel)
    for spectrum in librosa.stft(clips, hop_length=front_end.hop_length, **transform):
        yield filters @ (np.abs(spectrum) ** power)


@functools.lru_cache(maxsize=32)
def _mel_filters(sample_rate: int, fft_length: int, settings: tuple[tuple[str, Any], ...]) -> Any:
    librosa = librosa_package.load()
    from scipy import sparse

    filters = librosa.filters.mel(sr=sample_rate, n_fft=fft_length, **dict(settings))
    if empty := np.count_nonzero(~filters.any(axis=1)):
        logger.warning(
            "%d of %d mel bands hold no frequency of the %d-point transform and are always silent; "
            "use fewer bands (n_mels) or a longer transform (n_fft)",
            empty,
            len(filters),
            fft_length,
        )
    return sparse.csr_array(filters)


def _rows(features: Array) -> Features:
    """Return features of librosa, (bands, frames), time first in float32."""
    return np.ascontiguousarray(features.T, np.float32)


FEATURES_OF: dict[str, Compute] = {
    **dict.fromkeys(["cqt", "hybrid_cqt", "pseudo_cqt", "vqt"], _notes),
    **dict.fromkeys(["chroma_cqt", "chroma_cens"], _chroma),
    "melspectrogram": _mel,
    "pcen": _pcen,
    "": _each,
}
"""How features are computed, by the names of functions; the empty name stands for all others."""


@contextmanager
def refusals(name: str) -> Iterator[None]:
    """Make a `ConfigError` of what librosa, NumPy and SciPy raise for settings that they do not take."""
    from librosa.util.exceptions import LibrosaError

    try:
        yield
    except (LibrosaError, ArithmeticError, AttributeError, ImportError, LookupError, MemoryError, TypeError,
            ValueError) as error:  # fmt: skip
        raise ConfigError(f"Librosa {name}: librosa does not take these settings: {error}") from error


_lock = threading.Lock()
_entered = 0
_caught: warnings.catch_warnings[Any] | None = None


@contextmanager
def without_warnings() -> Iterator[None]:
    """Ignore what librosa warns of short clips and silence.

    Filters of warnings belong to the process: the first thread that enters sets them, the last one that leaves resets
    them.
    """
    global _entered, _caught
    with _lock:
        if not _entered:
            _caught = warnings.catch_warnings()
            _caught.__enter__()
            warnings.filterwarnings("ignore", module=r"librosa|audioconv\.features\.librosa_calls")
        _entered += 1
    try:
        yield
    finally:
        with _lock:
            _entered -= 1
            if not _entered and _caught is not None:
                _caught.__exit__(None, None, None)
                _caught = None
