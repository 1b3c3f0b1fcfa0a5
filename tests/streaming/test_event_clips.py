"""Clips of detections and near misses: which there are, what they hold, and the same bits for any block size."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from streams import RATE, blocks_of, recording

from audioconv import Detector
from audioconv.streaming import detect
from audioconv.streaming.event_clips import NEAR_MISS, EventClip, SampleHistory

SAID = [("high", 0.5), ("low", 3.1), ("low", 6.4), ("high", 9.5), ("high", 12.7)]
SAMPLES = recording(SAID, 14.0)


def clips_of(model, samples, sizes=None, **options) -> list[EventClip]:
    found: list[EventClip] = []
    detector = Detector(model, on_clip=found.append, **options)
    for block in [samples] if sizes is None else blocks_of(samples, sizes):
        detector.push(block)
    detector.flush()
    return found


def bits(clips: list[EventClip]) -> list[tuple]:
    return [
        (one.label, one.score, one.threshold, one.fired, one.begin, one.start, one.end, one.samples.tobytes())
        for one in clips
    ]


def mixed(model) -> float:
    """Return a threshold that some of the words reach and others do not."""
    scores = sorted(one.score for one in detect(model, SAMPLES, threshold=0.3))
    assert scores[0] < scores[2]
    return (scores[1] + scores[2]) / 2


def test_each_detection_has_a_clip_of_two_seconds_with_the_event_in_its_middle(model):
    threshold = 0.6
    clips = [clip for clip in clips_of(model, SAMPLES, threshold=threshold) if clip.fired]
    found = detect(model, SAMPLES, threshold=threshold)
    assert [clip.label for clip in clips] == [label for label, _ in SAID]
    assert [(clip.label, clip.score, clip.start / RATE, clip.end / RATE) for clip in clips] == [
        (one.label, one.score, one.start, one.end) for one in found
    ]
    for clip in clips:
        assert clip.threshold == threshold
        assert clip.sample_rate == RATE
        assert clip.samples.dtype == np.float32
        np.testing.assert_array_equal(clip.samples, SAMPLES[clip.begin : clip.begin + 2 * RATE])
        assert len(clip.samples) == 2 * RATE
        if 2 * RATE < clip.start < len(SAMPLES) - 2 * RATE:
            assert abs(clip.begin + RATE - (clip.start + clip.end) / 2) <= 1


def test_near_misses_are_what_the_threshold_turns_away(model):
    threshold = mixed(model)
    clips = clips_of(model, SAMPLES, threshold=threshold)
    fired = [clip for clip in clips if clip.fired]
    near = [clip for clip in clips if not clip.fired]
    assert [clip.score for clip in fired] == [one.score for one in detect(model, SAMPLES, threshold=threshold)]
    assert len(near) >= 2
    assert all(NEAR_MISS * threshold <= clip.score < threshold for clip in near)
    assert all(clip.score >= threshold for clip in fired)
    # One event a refractory time, which is half a window of half a second.
    places = sorted((clip.start, clip.end) for clip in clips)
    assert all(after[0] - before[1] >= 0.2 * RATE for before, after in pairwise(places))
    assert [clip.start for clip in clips] == [start for start, _ in places]


def test_no_near_misses_of_noise_or_of_a_threshold_of_zero(model):
    assert clips_of(model, recording([], 6.0), threshold=0.9) == []
    assert all(clip.fired for clip in clips_of(model, SAMPLES, threshold=0))


@settings(max_examples=30)
@given(
    kind=st.sampled_from(["log-mel", "raw"]),
    rate=st.sampled_from([4000, 11025, 16000]),
    sizes=st.lists(
        st.one_of(st.integers(0, 40), st.integers(1, 5000), st.integers(1, 100_000)), min_size=1, max_size=6
    ),
    part=st.sampled_from([0.3, 0.6, 0.97]),
    seed=st.integers(0, 3),
)
@example(kind="log-mel", rate=4000, sizes=[1], part=0.6, seed=0)
def test_blocks_of_any_size_give_the_same_clips(models, kind, rate, sizes, part, seed):
    if sizes != [1]:  # few tiny blocks, to be done in time
        sizes = [*sizes, 1 + max(0, rate // 100 * (len(sizes) + 1) - sum(sizes))]
    rng = np.random.default_rng(seed)
    said = [(["low", "high"][int(rng.integers(2))], 0.9 * n + 0.5 * rng.random()) for n in range(6)]
    samples = recording(said, 6.3, rate, seed=seed)
    options = {"sample_rate": rate, "threshold": part}
    whole = clips_of(models(kind), samples, **options)
    assert bits(clips_of(models(kind), samples, sizes, **options)) == bits(whole)
    assert len(whole) >= 2


def test_events_at_the_ends_and_streams_shorter_than_a_clip(model):
    samples = recording([("low", 0.0), ("high", 4.7)], 5.0)
    first, last = clips_of(model, samples, threshold=0.6)
    assert (first.begin, len(first.samples)) == (0, 2 * RATE)
    assert last.begin + len(last.samples) == len(samples)
    assert len(last.samples) == 2 * RATE
    (only,) = clips_of(model, samples[:RATE], threshold=0.6)
    np.testing.assert_array_equal(only.samples, samples[:RATE])
    assert 0 <= only.start < only.end <= RATE
    assert clips_of(model, np.zeros(0, np.float32)) == []


def test_an_interrupted_stream_gives_what_it_has(model):
    found: list[EventClip] = []
    detector = Detector(model, threshold=0.6, on_clip=found.append)
    heard = detector.push(SAMPLES[: round(1.2 * RATE)])
    assert (len(heard), found) == (1, [])  # the second after the event has not come yet
    detector.finish_clips()
    (clip,) = found
    assert clip.label == heard[0].label
    np.testing.assert_array_equal(clip.samples, SAMPLES[: round(1.2 * RATE)])
    detector.finish_clips()
    assert len(found) == 1


def test_a_new_stream_has_its_own_clips(model):
    found: list[EventClip] = []
    detector = Detector(model, threshold=0.6, on_clip=found.append)
    detector.push(SAMPLES[:RATE])
    detector.reset()
    detector.push(SAMPLES)
    detector.flush()
    assert bits(found) == bits(clips_of(model, SAMPLES, threshold=0.6))


def test_detections_are_the_same_with_and_without_clips(model):
    for threshold in (0.3, 0.6, mixed(model)):
        assert detect(model, SAMPLES, threshold=threshold, on_clip=lambda clip: None) == detect(
            model, SAMPLES, threshold=threshold
        )


@pytest.mark.parametrize("size", [100, RATE, 60 * RATE])
def test_memory_is_that_of_the_last_seconds(model, size):
    count = 0

    def on_clip(clip: EventClip) -> None:
        nonlocal count
        count += 1

    detector = Detector(model, threshold=0.6, on_clip=on_clip)
    stream = np.tile(SAMPLES, 12)
    for begin in range(0, len(stream), size):
        detector.push(stream[begin : begin + size])
        assert len(detector._clips._history._kept) < 60 * RATE
        assert max(map(len, (detector._clips._events, detector._clips._undecided, detector._clips._occupied))) < 20
    assert count >= 12 * 5 - 2


def test_a_history_keeps_what_it_is_not_told_to_forget():
    rng = np.random.default_rng(0)
    samples = rng.standard_normal(10_000).astype(np.float32)
    history, before = SampleHistory(), 0
    for begin in range(0, len(samples), 37):
        history.append(samples[begin : begin + 37])
        before = max(before, history.end - 500)
        history.forget(before)
        np.testing.assert_array_equal(history.cut(before, history.end + 5), samples[before : history.end])
    assert len(history._kept) < 5000
