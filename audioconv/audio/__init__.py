"""Sound: reading recordings, front ends, augmentation, and clips as a data set to train on."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audioconv.audio import augment, clips, effects, features, read, stream
    from audioconv.audio.augment import Augmentation
    from audioconv.audio.clips import AudioClips, network_input, normalisation_of
    from audioconv.audio.features import LogMel, Mfcc, RawSamples, front_end_from_config, front_end_to_config
    from audioconv.audio.read import fit_length, probe
    from audioconv.audio.stream import LogMelStream

# Public names and where they live, imported on first use: listing a folder of recordings must not wait for Numba.
_HOMES = {
    "AudioClips": "clips",
    "Augmentation": "augment",
    "LogMel": "features",
    "LogMelStream": "stream",
    "Mfcc": "features",
    "RawSamples": "features",
    "fit_length": "read",
    "front_end_from_config": "features",
    "front_end_to_config": "features",
    "network_input": "clips",
    "normalisation_of": "clips",
    "probe": "read",
}
_MODULES = ("augment", "clips", "effects", "features", "read", "stream")

__all__ = [
    "AudioClips",
    "Augmentation",
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
        return importlib.import_module(f"audioconv.audio.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(f"audioconv.audio.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'audioconv.audio' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
