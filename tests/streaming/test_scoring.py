"""The curve over thresholds, from one pass, is what detectors with these thresholds give."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from streams import RATE, recording

from audioconv.errors import ConfigError, DataError
from audioconv.streaming import Detection, detect, score_recordings
from audioconv.streaming.evaluate import HeardRecording, match
from audioconv.streaming.label_tracks import Label
from audioconv.streaming.scorer import Listener

THRESHOLDS = [0.0, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 0.94, 0.99, 0.998, 0.9999]


def hard(seed: int, rate: int = RATE) -> tuple[np.ndarray, list[Label]]:
    """Return a recording of faint and crowded tones, in which every threshold finds others, and its labels."""
    rng = np.random.default_rng(seed)
    said = [(["low", "high"][int(rng.integers(2))], 0.45 * n + 0.3 * rng.random()) for n in range(40)]
    samples = recording(said, 20.0, rate, seed=seed)
    samples *= 10 ** rng.uniform(-2, 0.5, 20).repeat(rate).astype(np.float32)
    samples += rng.normal(0, 0.003, len(samples)).astype(np.float32)
    return samples, [Label(label, begin, begin + 0.3) for label, begin in said]


@pytest.mark.parametrize("kind", ["log-mel", "raw"])
@pytest.mark.parametrize("refractory_seconds", [None, 0.0])
def test_one_pass_gives_what_detectors_give(models, kind, refractory_seconds):
    samples, _ = hard(1)
    heard = HeardRecording(Listener(models(kind), None, 0.05, None), refractory_seconds)
    for block in np.array_split(samples, 7):
        heard.push(block)
    heard.flush()
    counts = set()
    for threshold in THRESHOLDS:
        found = heard.detections(threshold)
        options = {"threshold": threshold, "hop_seconds": 0.05, "refractory_seconds": refractory_seconds}
        assert found == detect(models(kind), samples, **options)
        counts.add(len(found))
    assert len(counts) > 3  # the thresholds do differ


def test_counts_are_those_of_detectors(model, tmp_path):
    recordings, tracks = zip(*(hard(seed, rate) for seed, rate in ((1, RATE), (2, 8000))), strict=True)
    paths = [tmp_path / "a.wav", tmp_path / "b.flac"]
    soundfile.write(paths[0], recordings[0], RATE, subtype="FLOAT")
    soundfile.write(paths[1], recordings[1], 8000)
    progress = []
    scores = score_recordings(model, paths, tracks, thresholds=THRESHOLDS, on_seconds=progress.append)
    assert scores.hours == pytest.approx(40 / 3600)
    assert (scores.recordings, scores.words) == (tuple(map(str, paths)), 80)
    assert progress[-1] == 40
    assert scores.thresholds == tuple(THRESHOLDS)
    for place, threshold in enumerate(THRESHOLDS):
        found = [detect(model, path, threshold=threshold) for path in paths]
        right = sum(sum(match(one, track, 0.25)) for one, track in zip(found, tracks, strict=True))
        assert scores.detected[place] == right
        assert scores.false_accepts[place] == sum(map(len, found)) - right
    assert scores.detected[0] > scores.detected[-1]
    assert scores.points[0].miss_rate == pytest.approx(1 - scores.detected[0] / 80)
    assert scores.points[0].false_accepts_per_hour == pytest.approx(scores.false_accepts[0] * 90)


def test_the_operating_point(model):
    samples, track = hard(1)
    for wanted in (0.0, 200.0, 1e6):
        scores = score_recordings(model, [samples], [track], thresholds=THRESHOLDS, false_accepts_per_hour=wanted)
        allowed = [point for point in scores.points if point.false_accepts_per_hour <= wanted]
        if allowed:
            assert scores.chosen in allowed
            assert scores.chosen.miss_rate == min(point.miss_rate for point in allowed)
        else:
            assert scores.chosen == scores.points[-1]
    assert scores.in_use.threshold == 0.5


def test_speech_without_any_of_the_words(model):
    samples, _ = hard(3)
    scores = score_recordings(model, [samples], thresholds=THRESHOLDS, false_accepts_per_hour=0)
    assert scores.words == 0
    assert {point.miss_rate for point in scores.points} == {None}
    # The lowest threshold that is quiet enough, or the highest there is.
    quiet = [n for n, count in enumerate(scores.false_accepts) if count == 0]
    assert scores.chosen == scores.points[quiet[0] if quiet else -1]


def test_the_threshold_in_use_is_scored_too(model):
    samples, track = hard(1)
    scores = score_recordings(model, [samples], [track], thresholds=[0.3, 0.6])
    assert scores.thresholds == (0.3, 0.5, 0.6)
    assert scores.to_json()["in_use"]["threshold"] == 0.5
    assert (scores.recordings, scores.wanted) == (("samples",), 0.5)


def test_labels_that_are_no_words_of_the_model_explain_nothing(model):
    samples = recording([("high", 1.0)], 3.0)
    for label, expected in (("high", (1, 0)), ("other", (0, 1)), ("low", (0, 1))):
        scores = score_recordings(model, [samples], [[Label(label, 1.0, 1.3)]], thresholds=[0.5])
        assert (scores.detected[0], scores.false_accepts[0]) == expected
        assert scores.words == (0 if label == "other" else 1)


@pytest.mark.parametrize(
    ("start", "label", "expected"),
    [
        (1.0, "a", True),
        (1.0, "b", False),
        (1.74, "a", True),
        (1.76, "a", False),
        (0.26, "a", True),
        (0.24, "a", False),
    ],
)
def test_what_matches(start, label, expected):
    assert match([Detection(label, start, start + 0.5, 1.0)], [Label("a", 1.0, 1.5)], 0.25) == [expected]


def test_a_label_explains_one_detection():
    found = [Detection("a", 1.0, 1.2, 0.9), Detection("a", 1.3, 1.5, 0.9)]
    assert match(found, [Label("a", 1.0, 1.5)], 0.25) == [True]
    assert match(found, [Label("a", 1.0, 1.2), Label("a", 1.3, 1.5)], 0.25) == [True, True]
    assert match(found[:1], [Label("a", 1.1, 1.5), Label("a", 1.0, 1.2)], 0.25) == [False, True], "the first to end"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"recordings": []}, DataError, "there are no recordings to listen to"),
        ({"labels": [[], []]}, ConfigError, "1 recordings need as many tracks of labels, got 2"),
        ({"thresholds": [0.5, 1.5]}, ConfigError, "thresholds must lie between 0 and 1, got 0.5 to 1.5"),
        ({"recordings": ["none.wav"]}, DataError, "none.wav: cannot be read"),
        ({"recordings": [np.full(9, np.nan)]}, DataError, "NaN"),
    ],
)
def test_what_cannot_be_scored(model, options, error, message):
    with pytest.raises(error, match=message):
        score_recordings(model, **{"recordings": [np.zeros(100)], **options})
