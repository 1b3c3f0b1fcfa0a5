"""Models of tones that are trained in a moment, and recordings with tones in them."""

from __future__ import annotations

import numpy as np

from audioconv import Classifier, Model

RATE = 4000
TONES = {"high": 1200, "low": 300}
SETTINGS = {
    "sample_rate": RATE,
    "clip_seconds": 0.5,
    "batch_size": 16,
    "learning_rate": 0.005,
    "refit": False,
    "reject": False,
}


def tone(label: str, seconds: float, rate: int = RATE) -> np.ndarray:
    """Return a tone that swells and fades, so that it is heard once."""
    time = np.arange(round(seconds * rate)) / rate
    return (0.4 * np.hanning(time.size) * np.sin(2 * np.pi * TONES[label] * time)).astype(np.float32)


def recording(
    said: list[tuple[str, float]], seconds: float, rate: int = RATE, tone_seconds: float = 0.3, seed: int = 0
) -> np.ndarray:
    """Return noise with tones (label, begin in seconds) in it."""
    samples = np.random.default_rng(seed).normal(0, 0.002, round(seconds * rate)).astype(np.float32)
    for label, begin in said:
        sound = tone(label, tone_seconds, rate)
        first = round(begin * rate)
        samples[first : first + len(sound)] += sound[: len(samples) - first]
    return samples


def train(arch: str, epochs: int = 15, **settings: object) -> Model:
    """Return a model of the two tones and of ``_unknown_``, noise and clicks, at all places of the clip."""
    rng = np.random.default_rng(1)
    clips, labels = [], []
    for n in range(40):
        for label in TONES:
            clips.append(recording([(label, rng.uniform(0.02, 0.18))], 0.5, seed=n))
            labels.append(label)
        clips.append(recording([], 0.5, seed=1000 + n) * (0, 0.3, 1, 1, 3, 10)[n % 6])
        labels.append("_unknown_")
    # A tone backwards, or a piece of it, is the same tone: there is nothing to learn to reject.
    settings = {"reject": False, **SETTINGS, **settings}
    classifier = Classifier(arch=arch, epochs=epochs, augment=False, seed=0, **settings)
    return classifier.fit(clips, labels).model_


def blocks_of(samples: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    """Return samples in blocks of these sizes, again and again until all are there."""
    blocks, begin = [], 0
    while begin < len(samples):
        for size in sizes:
            blocks.append(samples[begin : begin + size])
            begin += size
    return blocks
