"""The functions of librosa that a front end may call, and their settings.

A model file names a function and its settings. Both are looked up here, so a file can call nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from audioconv.errors import ConfigError

Value = int | float | str | bool | None
Axis = Literal["notes", "pitch classes", "mel", "numbers"]

MAX_INTEGER = 1 << 16
"""Largest integer of a setting, such as the length of a transform."""

LOWEST_NOTE_HZ = 65.40639132514966
"""C2, the lowest note of the default settings. Filters of lower notes are longer than short windows."""

TOP_SHARE = 0.45
"""Share of the sample rate below which the highest note of the default settings lies."""

_INTEGERS = frozenset(
    [
        *("n_fft", "win_length", "frame_length", "n_mels", "n_mfcc", "dct_type", "n_chroma", "n_octaves"),
        *("bins_per_octave", "n_bins", "n_bands", "order", "max_size", "win_len_smooth"),
    ]
)
_BOOLEANS = frozenset(["htk", "scale", "linear", "base_c"])
_TEXTS = frozenset(["window", "pad_mode", "res_type", "cqt_mode", "smoothing_window", "intervals", "kind"])
# Other settings are numbers. These may be a name as well ("slaney", "ortho").
_NUMBERS_OR_TEXTS = frozenset(["norm", "mel_norm"])

_STFT = "n_fft win_length window pad_mode"
_MEL = "n_mels fmin fmax htk norm"
_CQT = "fmin n_bins bins_per_octave tuning filter_scale norm sparsity window scale pad_mode"
_PCEN = "gain bias time_constant eps b max_size"


@dataclass(frozen=True)
class LibrosaFunction:
    """A function of librosa.

    Attributes
    ----------
    path : str
        Where it is in librosa.
    settings : frozenset of str
        Keywords that may be set.
    axis : {"notes", "pitch classes", "mel", "numbers"}
        What the values of a frame stand for, in the order of librosa's displays.
    defaults : callable
        Returns the settings of `Librosa.for_rate` for a sample rate.
    by_octaves : bool
        Whether it halves the sample rate from octave to octave, which takes hop lengths that are powers of two.
    """

    path: str
    settings: frozenset[str]
    axis: Axis = "numbers"
    defaults: Callable[[int], Mapping[str, Value]] = field(default=lambda rate: {})
    by_octaves: bool = False

    def hop_length(self, rate: int) -> int:
        """Return the hop length of `Librosa.for_rate`: 10 ms, or the power of two that is nearest to 16 ms."""
        return 2 ** max(0, round(math.log2(0.016 * rate))) if self.by_octaves else max(1, round(0.01 * rate))


def _mel_defaults(rate: int) -> dict[str, Value]:
    window = max(1, round(0.025 * rate))
    return {"n_fft": max(2, 2 ** math.ceil(math.log2(window))), "win_length": window, "n_mels": 40}


def _octaves(rate: int) -> float:
    return max(0.0, math.log2(max(1.0, TOP_SHARE * rate / LOWEST_NOTE_HZ)))


def _cqt_defaults(rate: int) -> dict[str, Value]:
    return {"fmin": LOWEST_NOTE_HZ, "n_bins": max(1, math.floor(12 * _octaves(rate)))}


def _chroma_defaults(rate: int) -> dict[str, Value]:
    # The tuning is given: estimated in a short window, it is that of its noise.
    return {"fmin": LOWEST_NOTE_HZ, "n_octaves": max(1, math.floor(_octaves(rate))), "tuning": 0.0}


def _contrast_defaults(rate: int) -> dict[str, Value]:
    # librosa's own 6 bands, each an octave from 200 Hz on, where so many lie below half the rate.
    return {"n_bands": max(1, min(6, math.floor(math.log2(TOP_SHARE * rate / 200)))) if rate > 1000 else 1}


def _function(path: str, settings: str, axis: Axis = "numbers", **about: Any) -> LibrosaFunction:
    return LibrosaFunction(path, frozenset(settings.split()), axis, **about)


_AS_CQT: dict[str, Any] = {"defaults": _cqt_defaults, "by_octaves": True}
_AS_CHROMA: dict[str, Any] = {"defaults": _chroma_defaults, "by_octaves": True}

FUNCTIONS: dict[str, LibrosaFunction] = {
    "cqt": _function("cqt", f"{_CQT} res_type", "notes", **_AS_CQT),
    "hybrid_cqt": _function("hybrid_cqt", f"{_CQT} res_type", "notes", **_AS_CQT),
    "pseudo_cqt": _function("pseudo_cqt", _CQT, "notes", **_AS_CQT),
    "vqt": _function("vqt", f"{_CQT} res_type intervals gamma", "notes", **_AS_CQT),
    "pcen": _function("pcen", f"{_STFT} {_MEL} {_PCEN} power", "mel", defaults=_mel_defaults),
    "melspectrogram": _function("feature.melspectrogram", f"{_STFT} {_MEL} power", "mel", defaults=_mel_defaults),
    "chroma_cqt": _function(
        "feature.chroma_cqt",
        "fmin norm threshold tuning n_chroma n_octaves bins_per_octave cqt_mode",
        "pitch classes",
        **_AS_CHROMA,
    ),
    "chroma_cens": _function(
        "feature.chroma_cens",
        "fmin norm tuning n_chroma n_octaves bins_per_octave cqt_mode win_len_smooth smoothing_window",
        "pitch classes",
        **_AS_CHROMA,
    ),
    "chroma_stft": _function(
        "feature.chroma_stft", f"{_STFT} norm tuning n_chroma ctroct octwidth base_c", "pitch classes",
        defaults=lambda rate: {"tuning": 0.0},
    ),
    "chroma_vqt": _function(
        "feature.chroma_vqt", "fmin intervals norm threshold n_octaves bins_per_octave gamma", "pitch classes",
        defaults=lambda rate: {
            "fmin": LOWEST_NOTE_HZ, "n_octaves": max(1, math.floor(_octaves(rate))), "intervals": "equal"
        }, by_octaves=True,
    ),
    "tonnetz": _function("feature.tonnetz", "fmin threshold tuning n_octaves bins_per_octave cqt_mode", **_AS_CHROMA),
    "mfcc": _function("feature.mfcc", f"n_mfcc dct_type norm lifter mel_norm {_STFT} n_mels fmin fmax htk power"),
    "rms": _function("feature.rms", "frame_length pad_mode"),
    "zero_crossing_rate": _function("feature.zero_crossing_rate", "frame_length"),
    "poly_features": _function("feature.poly_features", f"{_STFT} order"),
    "spectral_bandwidth": _function("feature.spectral_bandwidth", f"{_STFT} p"),
    "spectral_centroid": _function("feature.spectral_centroid", _STFT),
    "spectral_contrast": _function(
        "feature.spectral_contrast", f"{_STFT} fmin n_bands quantile linear", defaults=_contrast_defaults
    ),
    "spectral_flatness": _function("feature.spectral_flatness", f"{_STFT} amin power"),
    "spectral_rolloff": _function("feature.spectral_rolloff", f"{_STFT} roll_percent"),
    "tempogram": _function("feature.tempogram", "win_length window norm"),
    "fourier_tempogram": _function("feature.fourier_tempogram", "win_length window"),
    "tempogram_ratio": _function(
        "feature.tempogram_ratio", "win_length window start_bpm std_bpm max_tempo kind fill_value norm"
    ),
}  # fmt: skip
"""The functions by their names in librosa, or in ``librosa.feature``. Those of ``librosa.feature`` that are not here
take other features (``delta``, ``stack_memory``), or give one number a recording (``tempo``)."""

SHORT_NAMES = {"chroma": "chroma_cqt"}
"""Names on the command line for functions of another name."""


def function_named(name: object) -> LibrosaFunction:
    """Return a function by its name; `ConfigError` for another one."""
    if not isinstance(name, str) or name not in FUNCTIONS:
        raise ConfigError(f"Librosa: there is no function {name!r}; there are {', '.join(FUNCTIONS)}")
    return FUNCTIONS[name]


def check_settings(name: str, settings: Mapping[str, Value]) -> None:
    """Raise `ConfigError` unless the function has such settings, with values of their kind."""
    known = function_named(name).settings
    for setting, value in settings.items():
        if setting not in known:
            raise ConfigError(f"Librosa {name}: there is no setting {setting!r}; there are {', '.join(sorted(known))}")
        if expected := _expected(setting, value):
            raise ConfigError(f"Librosa {name}: {setting} must be {expected}, got {value!r}")


def _expected(setting: str, value: Value) -> str:
    """Return what a setting must be; nothing if the value is of this kind. None stands for librosa's choice."""
    if value is None:
        return ""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if setting in _INTEGERS:
        fits = is_number and isinstance(value, int) and 0 <= value <= MAX_INTEGER
        return "" if fits else f"an integer from 0 to {MAX_INTEGER:,}"
    if setting in _BOOLEANS:
        return "" if isinstance(value, bool) else "True or False"
    if setting in _TEXTS:
        return "" if isinstance(value, str) else "a text"
    if setting in _NUMBERS_OR_TEXTS:
        return "" if is_number or isinstance(value, str) else "a finite number or a text"
    return "" if is_number else "a finite number"
