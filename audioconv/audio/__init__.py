"""Sound: reading recordings, front ends, augmentation, and clips as a data set to train on."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audioconv.audio import augment, clips, effects, read
    from audioconv.audio.augment import Augmentation
    from audioconv.audio.clips import AudioClips, network_input, normalisation_of
    from audioconv.audio.read import fit_length, probe
    from audioconv.features import front_ends as features
    from audioconv.features import stream
    from audioconv.features.front_ends import LogMel, Mfcc, RawSamples, front_end_from_config, front_end_to_config
    from audioconv.features.librosa_front_end import Librosa
    from audioconv.features.stream import LogMelStream

# Public names and where they live, imported on first use: listing a folder of recordings must not load Numba.
_FRONT_ENDS = "audioconv.features.front_ends"
_HOMES = {
    "AudioClips": "audioconv.audio.clips",
    "Augmentation": "audioconv.audio.augment",
    "Librosa": "audioconv.features.librosa_front_end",
    "LogMel": _FRONT_ENDS,
    "LogMelStream": "audioconv.features.stream",
    "Mfcc": _FRONT_ENDS,
    "RawSamples": _FRONT_ENDS,
    "fit_length": "audioconv.audio.read",
    "front_end_from_config": _FRONT_ENDS,
    "front_end_to_config": _FRONT_ENDS,
    "network_input": "audioconv.audio.clips",
    "normalisation_of": "audioconv.audio.clips",
    "probe": "audioconv.audio.read",
}
_MODULES = {
    "augment": "audioconv.audio.augment",
    "clips": "audioconv.audio.clips",
    "effects": "audioconv.audio.effects",
    "features": _FRONT_ENDS,
    "read": "audioconv.audio.read",
    "stream": "audioconv.features.stream",
}

__all__ = [
    "AudioClips",
    "Augmentation",
    "Librosa",
    "LogMel",
    "LogMelStream",
    "Mfcc",
    "RawSamples",
    "augment",
    "clips",
    "effects",
    "features",
    "fit_length",
    "front_end_from_config",
    "front_end_to_config",
    "network_input",
    "normalisation_of",
    "probe",
    "read",
    "stream",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'audioconv.audio' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
