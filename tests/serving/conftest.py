"""Models to serve: of tones, and of real words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sharing
from streams import train

from audioconv import Classifier, Model
from audioconv.audio.read import read

for module in ("wyoming", "starlette", "uvicorn", "websockets"):
    pytest.importorskip(module, reason="needs the extras: pip install 'audioconv[serve,wyoming]'")

from audioconv.serving.models import ServedModels  # noqa: E402

WORDS = ("down", "left", "right")
RATE = 16000


@pytest.fixture(scope="session")
def tones_file(tmp_path_factory) -> Path:
    """Return the file of a model of the tones `high` and `low`."""
    folder = sharing.made_once(
        tmp_path_factory, "served-tones", lambda into: train("tc-resnet8").save(into / "tones.safetensors")
    )
    return folder / "tones.safetensors"


@pytest.fixture(scope="session")
def tones(tones_file) -> ServedModels:
    return ServedModels.named([(tones_file, Model.load(tones_file))])


@pytest.fixture(scope="session")
def two_models(tones_file) -> ServedModels:
    """Return the model of tones twice, the second time with the words `treble` and `low`."""
    model = Model.load(tones_file)
    other = replace(model, labels=tuple({"high": "treble"}.get(label, label) for label in model.labels))
    return ServedModels.named([(tones_file, model), (Path("other/model.safetensors"), other)])


@pytest.fixture(scope="session")
def words(test_data, tmp_path_factory) -> ServedModels:
    """Return a model of three real words, trained on a few clips of each."""

    def make(into: Path) -> None:
        clips = {word: sorted((test_data / "speech-commands-9" / word).iterdir())[30:60] for word in WORDS}
        paths, labels = zip(*[(path, word) for word, paths in clips.items() for path in paths], strict=True)
        settings = {"arch": "tc-resnet8", "epochs": 8, "batch_size": 16, "seed": 0, "refit": False, "reject": False}
        Classifier(**settings, init=None).fit(list(paths), list(labels)).save(into / "words.safetensors")

    path = sharing.made_once(tmp_path_factory, "served-words", make) / "words.safetensors"
    return ServedModels.named([(path, Model.load(path))])


@pytest.fixture(scope="session")
def spoken_words(test_data) -> np.ndarray:
    """Return a recording at 16 kHz, int16: real words of other speakers, spliced into noise."""
    rng = np.random.default_rng(0)
    paths = [sorted((test_data / "speech-commands-9" / word).iterdir())[n] for n in range(6) for word in WORDS]
    samples = rng.normal(0, 0.003, round(RATE * (1.5 * len(paths) + 1))).astype(np.float32)
    for number, path in enumerate(paths):
        clip, first = read(path, RATE), round(RATE * (1.5 * number + 0.3 * rng.random()))
        samples[first : first + len(clip)] += clip
    return np.round(np.clip(samples, -1, 1) * 32767).astype("<i2")
