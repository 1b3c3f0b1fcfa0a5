"""Real words, spliced into noise: found, with their places, soon."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audioconv import Classifier, Detection, Detector
from audioconv.audio.read import read
from audioconv.decision.classes import is_word

pytestmark = [pytest.mark.slow, pytest.mark.long]

WORDS = ("down", "left", "right")
RATE, TESTED, EVERY_SECONDS = 16000, 30, 1.5


@pytest.fixture(scope="module")
def clips(test_data) -> dict[str, list[Path]]:
    return {word: sorted((test_data / "speech-commands-9" / word).iterdir()) for word in WORDS}


@pytest.fixture(scope="module")
def detector(clips) -> Detector:
    train = [(path, word) for word, paths in clips.items() for path in paths[TESTED:]]
    paths, labels = zip(*train, strict=True)
    classifier = Classifier(epochs=12, batch_size=32, seed=0, refit=False).fit(list(paths), list(labels))
    return Detector(classifier.model_, threshold=0.6)


def extent(clip: np.ndarray) -> tuple[float, float]:
    """Return where a word lies in its clip, in seconds: its energy is above a hundredth of its loudest."""
    energy = np.convolve(np.square(clip, dtype=np.float64), np.ones(RATE // 40), "same")
    loud = np.flatnonzero(energy > 0.01 * energy.max())
    return loud[0] / RATE, loud[-1] / RATE


def test_words_in_noise_are_found_where_they_are(detector, clips):
    rng = np.random.default_rng(0)
    said = [(word, path) for word, paths in clips.items() for path in paths[:TESTED]]
    said = [said[int(place)] for place in rng.permutation(len(said))]
    samples = rng.normal(0, 0.003, round(RATE * (EVERY_SECONDS * len(said) + 1))).astype(np.float32)
    places = []
    for number, (_, path) in enumerate(said):
        clip, first = read(path, RATE), round(RATE * (EVERY_SECONDS * number + 0.3 * rng.random()))
        samples[first : first + len(clip)] += clip
        places.append(tuple(first / RATE + edge for edge in extent(clip)))
    events: list[tuple[Detection, float]] = []
    detector.reset()
    for begin in range(0, len(samples), RATE // 100):
        events += [(found, detector.seconds) for found in detector.push(samples[begin : begin + RATE // 100])]
    events += [(found, detector.seconds) for found in detector.flush()]

    hits = []
    for (word, _), (start, end) in zip(said, places, strict=True):
        of_it = [(one, told) for one, told in events if one.start < end and one.end > start]
        hits += [(one, told, start, end) for one, told in of_it[:1] if one.label == word]
    assert len(hits) >= 0.75 * len(said)
    # Seldom anything beside: most utterances are one event.
    assert len(events) <= 1.15 * len(said)
    assert np.median([abs(one.start - start) for one, _, start, _ in hits]) < 0.1
    assert np.median([abs(one.end - end) for one, _, _, end in hits]) < 0.15
    # No later than when the word has left the window.
    assert np.median([told - end for _, told, _, end in hits]) < 1.0


def test_silence_is_no_word(detector):
    detector.reset()
    assert [one for one in detector.push(np.zeros(60 * RATE)) + detector.flush() if is_word(one.label)] == []
