"""audioconv: train keyword and sound classifiers on an ordinary computer's CPU, from a folder of clips.

>>> import audioconv as ac
>>> clf = ac.Classifier.train("folder", arch="cnn", epochs=30, seed=0)  # doctest: +SKIP
>>> clf.predict(["a.wav"])  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from audioconv._version import __version__

if TYPE_CHECKING:
    from audioconv import architectures, audio, datasets, images, layers, ops, streaming
    from audioconv.classifier import Classifier, Evaluation, Prediction
    from audioconv.errors import AudioconvError
    from audioconv.model import Model
    from audioconv.streaming import Detection, Detector
    from audioconv.training.fitting import fit

# Public names and where they live. They are imported on first use: Numba, librosa and scikit-learn are slow to import.
_HOMES = {
    "AudioconvError": "audioconv.errors",
    "Classifier": "audioconv.classifier",
    "Detection": "audioconv.streaming",
    "Detector": "audioconv.streaming",
    "Evaluation": "audioconv.classifier",
    "Model": "audioconv.model",
    "Prediction": "audioconv.classifier",
    "fit": "audioconv.training",
}
_MODULES = ("architectures", "audio", "datasets", "images", "layers", "ops", "streaming")

__all__ = [
    "AudioconvError",
    "Classifier",
    "Detection",
    "Detector",
    "Evaluation",
    "Model",
    "Prediction",
    "__version__",
    "architectures",
    "audio",
    "datasets",
    "fit",
    "images",
    "layers",
    "ops",
    "streaming",
]


def __getattr__(name: str) -> Any:
    if name == "layers":
        importlib.import_module("audioconv.compiler.execution")  # puts into summaries how a network runs
    if name in _MODULES:
        return importlib.import_module(f"audioconv.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'audioconv' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
