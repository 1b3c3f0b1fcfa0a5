"""Where features of librosa help: chords of any instrument, and birds under noise that training did not have."""

from __future__ import annotations

import numpy as np
import pytest
from made_sounds import CALLS, CHORDS, RATE, call, chord

from audioconv import Classifier

SETTINGS = {
    "arch": "cnn",
    "init": None,
    "sample_rate": RATE,
    "clip_seconds": 1.0,
    "batch_size": 16,
    "augment": False,
    "reject": False,
    "refit": False,
    "stored_features": 0,
}
TESTED = 20


def accuracy(front_end, classes, epochs, clips, make, make_other, seed) -> float:
    """Return the accuracy of a classifier that has had so many clips a class, on `TESTED` others a class."""
    rng = np.random.default_rng(seed)
    x, y = [make(name, rng) for _ in range(clips) for name in classes], [*classes] * clips
    others = [make_other(name, rng) for _ in range(TESTED) for name in classes]
    classifier = Classifier(front_end=front_end, epochs=epochs, seed=seed, **SETTINGS).fit(x, y)
    return classifier.score(others, [*classes] * TESTED)


@pytest.fixture(scope="module")
def chords():
    """Ten clips a chord, and each is played by another instrument in other octaves."""
    return lambda front_end, seed=0: accuracy(front_end, tuple(CHORDS), 12, 10, chord, chord, seed)


@pytest.fixture(scope="module")
def birds():
    """Twelve clips a call under little noise; tested under noise as loud as the call."""

    def quiet(name, rng):
        return call(name, rng.uniform(-20, -10), rng)

    def loud(name, rng):
        return call(name, rng.uniform(-5, 5), rng)

    return lambda front_end, seed=0: accuracy(front_end, CALLS, 15, 12, quiet, loud, seed)


@pytest.mark.slow
def test_notes_and_pitch_classes_tell_chords_apart(chords):
    found = {front_end: chords(front_end) for front_end in ("log-mel", "chroma", "cqt")}
    assert found["chroma"] >= 0.9, found
    assert found["cqt"] >= 0.8, found
    assert found["cqt"] >= found["log-mel"] + 0.2, found
    assert found["chroma"] >= found["log-mel"] + 0.2, found


@pytest.mark.slow
def test_pcen_hears_birds_under_noise(birds):
    found = {front_end: birds(front_end) for front_end in ("log-mel", "pcen")}
    assert found["pcen"] >= 0.85, found
    assert found["pcen"] >= found["log-mel"] + 0.1, found


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_they_help_with_other_sounds_too(chords, birds, seed):
    found = {front_end: chords(front_end, seed) for front_end in ("log-mel", "chroma", "cqt")}
    assert min(found["chroma"], found["cqt"]) >= found["log-mel"] + 0.2, found
    found = {front_end: birds(front_end, seed) for front_end in ("log-mel", "pcen")}
    assert found["pcen"] >= found["log-mel"] + 0.1, found
