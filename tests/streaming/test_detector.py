"""`Detector`: the same words whatever the blocks, for ever, and a usable state after bad input."""

from __future__ import annotations

import dataclasses
import threading
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from streams import RATE, blocks_of, recording, tone

from audioconv import Detection, Detector, Model
from audioconv.decision.decision import Decision
from audioconv.errors import ConfigError, DataError, ShapeError
from audioconv.streaming import detect

SAID = [("high", 0.5), ("low", 1.6), ("low", 2.9), ("high", 3.5), ("high", 5.0)]
THRESHOLD = 0.6


def pushed(detector: Detector, blocks: list[np.ndarray]) -> list[Detection]:
    return [detection for block in blocks for detection in detector.push(block)] + detector.flush()


def assert_heard(found: list[Detection], said: list[tuple[str, float]], tone_seconds: float = 0.3) -> None:
    """Each word once, in order, overlapping its place."""
    assert [detection.label for detection in found] == [label for label, _ in said], found
    for detection, (_, begin) in zip(found, said, strict=True):
        assert begin - 0.15 < detection.start < begin + tone_seconds / 2, detection
        assert begin + tone_seconds / 2 < detection.end < begin + tone_seconds + 0.15, detection
        assert THRESHOLD <= detection.score <= 1


# --- what is found ---


@pytest.mark.parametrize("kind", ["log-mel", "mfcc", "raw", "picture"])
def test_each_word_is_found_once_with_its_times(models, kind):
    found = pushed(Detector(models(kind), threshold=THRESHOLD), [recording(SAID, 6.0)])
    assert_heard(found, SAID)


def test_noise_and_silence_are_no_words(model):
    for samples in (recording([], 5.0), np.zeros(5 * RATE), 10 * recording([], 5.0)):
        assert detect(model, samples, threshold=THRESHOLD) == []


def test_words_at_the_very_beginning_and_at_the_very_end(model):
    said = [("low", 0.0), ("high", 2.7)]
    assert_heard(detect(model, recording(said, 3.0), threshold=THRESHOLD), said)


def test_a_recording_shorter_than_the_window(model):
    (found,) = detect(model, tone("high", 0.3), threshold=THRESHOLD)
    assert found.label == "high"
    assert 0 <= found.start < found.end <= 0.3


def test_no_word_is_heard_again_within_the_refractory_time(model):
    samples = recording([("low", 0.5 + 0.5 * n) for n in range(4)], 4.0)
    often = detect(model, samples, threshold=THRESHOLD, refractory_seconds=0)
    seldom = detect(model, samples, threshold=THRESHOLD, refractory_seconds=1)
    assert len(often) > len(seldom) >= 1
    assert all(b.start - a.end >= 1 - 0.01 for a, b in pairwise(seldom))


def test_events_do_not_overlap(model):
    samples = recording([(["low", "high"][n % 2], 0.4 * n) for n in range(20)], 9.0, tone_seconds=0.4)
    found = detect(model, samples, threshold=0.2, refractory_seconds=0)
    assert len(found) > 10
    assert all(a.end <= b.start for a, b in pairwise(found))


def test_a_word_is_told_soon_after_its_end(model):
    detector = Detector(model, threshold=THRESHOLD)
    for block in blocks_of(recording([("high", 1.0)], 4.0), [RATE // 100]):
        if found := detector.push(block):
            break
    # When the word has left the window, at the latest: that is half a second long.
    assert detector.seconds < found[0].end + 0.5


def test_unknown_never_fires(model):
    always = Detector(dataclasses.replace(model, labels=("_a_", "_b_", "word")), threshold=0)
    assert {detection.label for detection in pushed(always, [recording(SAID, 6.0)])} <= {"word"}


# --- blocks and rates ---


@settings(max_examples=60)
@given(
    kind=st.sampled_from(["log-mel", "mfcc", "raw", "picture"]),
    rate=st.sampled_from([4000, 8000, 11025, 16000, 22050, 44100, 48000]),
    sizes=st.lists(
        st.one_of(st.integers(0, 40), st.integers(1, 5000), st.integers(1, 100_000)), min_size=1, max_size=6
    ),
    threshold=st.sampled_from([0.0, 0.3, 0.6, 0.9]),
    seed=st.integers(0, 3),
)
@example(kind="log-mel", rate=4000, sizes=[1], threshold=0.6, seed=0)
@example(kind="picture", rate=8000, sizes=[1], threshold=0.6, seed=1)
def test_blocks_of_any_size_give_the_same_events(models, kind, rate, sizes, threshold, seed):
    if sizes != [1]:  # few tiny blocks, to be done in time: 10 ms of the sum is enough for each
        sizes = [*sizes, 1 + max(0, rate // 100 * (len(sizes) + 1) - sum(sizes))]
    rng = np.random.default_rng(seed)
    said = [(["low", "high"][int(rng.integers(2))], 0.7 * n + 0.3 * rng.random()) for n in range(5)]
    samples = recording(said, 3.7, rate, seed=seed)
    options = {"sample_rate": rate, "threshold": threshold}
    whole = detect(models(kind), samples, **options)
    assert pushed(Detector(models(kind), **options), blocks_of(samples, sizes)) == whole
    if threshold == 0.6:
        assert len(whole) >= 3


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000, 96000, 4001])
def test_every_rate_hears_the_same_words(model, rate):
    found = detect(model, recording(SAID, 6.0, rate), sample_rate=rate, threshold=THRESHOLD)
    assert_heard(found, SAID)


def test_long_blocks_are_the_same(model):
    samples = np.tile(recording(SAID, 6.0), 10)  # longer than a piece that is evaluated at once
    whole = detect(model, samples, threshold=THRESHOLD)
    assert len(whole) == 50
    assert pushed(Detector(model, threshold=THRESHOLD), blocks_of(samples, [1234])) == whole


def test_channels_are_averaged(model):
    samples = recording(SAID, 6.0)
    whole = detect(model, samples, threshold=THRESHOLD)
    assert detect(model, np.stack([samples, samples], axis=1), threshold=THRESHOLD) == whole
    assert detect(model, samples[:, None], threshold=THRESHOLD) == whole


def test_sixteen_bits_are_samples_of_full_scale(model):
    integers = np.round(recording(SAID, 6.0) * 32767).astype(np.int16)
    found = detect(model, integers, threshold=THRESHOLD)
    assert_heard(found, SAID)
    assert found == detect(model, integers / np.float32(32768), threshold=THRESHOLD)


def test_blocks_may_be_changed_afterwards(model):
    samples = recording(SAID, 6.0)
    detector, buffer, found = Detector(model, threshold=THRESHOLD), np.empty(100, np.float32), []
    for block in np.split(samples, len(samples) // 100):
        buffer[:] = block
        found += detector.push(buffer)
        buffer[:] = 1
    assert found + detector.flush() == detect(model, samples, threshold=THRESHOLD)


def test_the_hop_is_rounded_to_frames(model):
    assert Detector(model, hop_seconds=0.1).hop_seconds == pytest.approx(0.1)
    assert Detector(model, hop_seconds=0.057).hop_seconds == pytest.approx(0.06)
    found = detect(model, recording(SAID, 6.0), threshold=THRESHOLD, hop_seconds=0.03)
    assert_heard(found, SAID)


def test_many_threads_share_a_model(models):
    recordings = [recording(SAID, 6.0, seed=n) for n in range(8)]
    model = models("picture")
    alone = [detect(model, samples, threshold=0.4) for samples in recordings]
    together: dict[int, list[Detection]] = {}

    def listen(number: int) -> None:
        detector = Detector(model, threshold=0.4)
        together[number] = pushed(detector, blocks_of(recordings[number], [100 + number]))

    threads = [threading.Thread(target=listen, args=(number,)) for number in range(len(recordings))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[number] for number in range(len(recordings))] == alone


# --- for ever ---


def listen_for(model: Model, hours: float, rate: int, block_seconds: float) -> None:
    """Push `hours` of sound, a word in every sixth second of it; hold memory and times to what they must be."""
    period = recording([("high", 1.0)], 6.0, rate)
    block = np.tile(period, round(block_seconds / 6))
    detector = Detector(model, sample_rate=rate, threshold=THRESHOLD)
    rounds = round(hours * 3600 / block_seconds)
    starts: list[float] = []
    Detector(model, sample_rate=rate, threshold=THRESHOLD).push(block)  # the first use of all loads what stays
    tracemalloc.start()
    try:
        for number in range(rounds):
            starts += [detection.start for detection in detector.push(block)]
            if number == rounds // 10:
                early = tracemalloc.get_traced_memory()[0] - starts.__sizeof__() - 32 * len(starts)
        late = tracemalloc.get_traced_memory()[0] - starts.__sizeof__() - 32 * len(starts)
    finally:
        tracemalloc.stop()
    starts += [detection.start for detection in detector.flush()]
    assert detector.seconds == pytest.approx(hours * 3600)
    # Nothing is kept that grows: nine tenths of the time add less than a second of samples would take.
    assert late - early < 4 * rate
    assert len(starts) == round(hours * 600)
    # No drift: where a word lies within its six seconds is as near the truth in the end as at first.
    offsets = np.array(starts) - 6.0 * np.arange(len(starts))
    assert np.abs(offsets - offsets[0]).max() < 0.021


@pytest.mark.parametrize("hours", [0.5, pytest.param(1.5, marks=pytest.mark.slow)])
def test_hours_take_no_memory_and_do_not_drift(model, hours):
    listen_for(model, hours, RATE, 60.0)


def test_resampled_sound_does_not_drift(model):
    listen_for(model, 0.5, 11025, 60.0)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("rate", [RATE, 44100])
def test_a_day(model, rate):
    listen_for(model, 24.0, rate, 300.0)


def test_times_are_exact_after_years(model):
    samples = recording(SAID, 6.0)
    first = detect(model, samples, threshold=THRESHOLD)
    detector = Detector(model, threshold=THRESHOLD)
    # As if so much of silence had come before: a multiple of everything that is counted.
    windows = 10**9
    grid = detector._listener.grid
    rows = windows * grid.hop_rows
    scorer, stream = detector._listener._scorer, detector._listener._scorer._rows._stream
    scorer._row_count, scorer._window_count = rows, windows
    stream.sample_count = stream.frame_count = rows
    stream.sample_count = rows * grid.row_samples
    stream._kept = np.zeros(0, np.float32)
    stream.frame_count = rows
    detector._levels._first = grid.first_row(windows)
    detector._picker._window_count = windows
    detector._listener._input.sample_count = rows * grid.row_samples
    late = pushed(detector, [samples])
    moved = rows * grid.row_samples / RATE
    assert [one.label for one in late] == [one.label for one in first]
    np.testing.assert_allclose([one.start - moved for one in late], [one.start for one in first], atol=1e-6)


# --- bad input ---


@pytest.mark.parametrize(
    ("block", "error", "message"),
    [
        (np.array([0.1, np.nan, 0]), DataError, "holds NaN or infinite samples; leave it out"),
        (np.array([0.1, -np.inf]), DataError, "holds NaN or infinite samples"),
        (np.full(10, 20000.0), DataError, r"samples of 20000, where full scale is 1; divide .* by 32768"),
        (np.zeros(10, np.int32), DataError, "floating point with full scale 1, or int16, got int32"),
        (np.zeros(10, bool), DataError, "got bool"),
        (np.zeros((10, 2, 2)), ShapeError, r"\(time,\) or \(time, channels\), got \(10, 2, 2\)"),
        (np.float32(0), ShapeError, r"got \(\)"),
        (np.zeros((10, 0)), ShapeError, r"got \(10, 0\)"),
        (np.zeros((10, 2)), ShapeError, r"blocks before had 1 channel, this one has 2; reset\(\)"),
    ],
)
def test_a_bad_block_changes_nothing(model, block, error, message):
    samples = recording(SAID, 6.0)
    detector = Detector(model, threshold=THRESHOLD)
    found = detector.push(samples[:7000])
    with pytest.raises(error, match=message):
        detector.push(block)
    found += detector.push(samples[7000:])
    assert found + detector.flush() == detect(model, samples, threshold=THRESHOLD)


def test_nan_far_into_a_long_block_changes_nothing(model):
    samples = np.tile(recording(SAID, 6.0), 10)
    broken = samples.copy()
    broken[-1] = np.nan
    detector = Detector(model, threshold=THRESHOLD)
    with pytest.raises(DataError, match="NaN"):
        detector.push(broken)
    assert detector.seconds == 0
    assert pushed(detector, [samples]) == detect(model, samples, threshold=THRESHOLD)


def test_another_rate_is_refused(model):
    detector = Detector(model, sample_rate=8000)
    detector.push(np.zeros(10, np.float32), sample_rate=8000)
    with pytest.raises(DataError, match=r"the stream has 8000 Hz, this block 16000; .* a detector of its own"):
        detector.push(np.zeros(10, np.float32), sample_rate=16000)
    assert detector.seconds == 10 / 8000


def test_empty_blocks_are_nothing(model):
    samples = recording(SAID, 6.0)
    blocks = [np.zeros(0, np.float32), samples[:100], np.zeros((0, 2)), np.zeros(0, np.int16), samples[100:], []]
    assert pushed(Detector(model, threshold=THRESHOLD), blocks) == detect(model, samples, threshold=THRESHOLD)
    assert pushed(Detector(model, sample_rate=8000), [np.zeros(0)]) == []


def test_a_flushed_stream_takes_nothing_until_it_is_reset(model):
    samples = recording(SAID, 6.0, 8000)
    detector = Detector(model, sample_rate=8000, threshold=THRESHOLD)
    first = pushed(detector, [samples])
    for ended in (lambda: detector.push(samples), detector.flush):
        with pytest.raises(DataError, match=r"has been flushed.*reset\(\) begins a new one"):
            ended()
    detector.reset()
    assert detector.seconds == 0
    assert set(detector.scores.values()) == {0}
    assert pushed(detector, [np.stack([samples, samples], axis=1)]) == first


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_rate": 0}, "sample rate must be an integer from 1000 to 1000000 Hz, got 0"),
        ({"sample_rate": 16000.5}, "got 16000.5"),
        ({"threshold": 1.5}, "threshold must lie between 0 and 1, got 1.5"),
        ({"threshold": float("nan")}, "threshold must lie between 0 and 1, got nan"),
        ({"hop_seconds": 0}, "hop_seconds must lie between 0.01 and 0.51"),
        ({"hop_seconds": 3}, "hop_seconds must lie between"),
        ({"smoothing_seconds": -1}, "smoothing_seconds must lie between 0 and"),
        ({"refractory_seconds": -1}, "refractory_seconds must be a number of at least 0, got -1"),
    ],
)
def test_options_out_of_range(model, options, message):
    with pytest.raises(ConfigError, match=message):
        Detector(model, **options)


def test_a_model_without_words(model):
    nothing = dataclasses.replace(model, labels=("_a_", "_b_", "_c_"))
    with pytest.raises(ConfigError, match="knows no words to listen for, only _a_, _b_, _c_"):
        Detector(nothing)


def test_a_model_of_pictures(model):
    pictures = dataclasses.replace(model, front_end=None, clip_samples=None)
    with pytest.raises(ConfigError, match="takes a model of sounds"):
        Detector(pictures)


# --- the rest ---


def test_the_threshold_is_the_models_or_a_half(model, tmp_path):
    decided = dataclasses.replace(model, decision=Decision(threshold=0.83))
    assert Detector(decided).threshold == 0.83
    assert Detector(decided, threshold=0.4).threshold == 0.4
    assert Detector(dataclasses.replace(model, decision=Decision())).threshold == 0.5
    decided.save(tmp_path / "model.safetensors")
    assert Detector(tmp_path / "model.safetensors").threshold == 0.83


def test_scores_are_those_of_the_last_window(model):
    detector = Detector(model)
    assert detector.scores == {"_unknown_": 0, "high": 0, "low": 0}
    detector.push(recording([("low", 1.0)], 1.4))
    assert max(detector.scores, key=detector.scores.get) == "low"
    assert sum(detector.scores.values()) == pytest.approx(1, abs=1e-5)


def test_a_higher_threshold_gives_scores_above_it(model):
    samples = recording(SAID, 6.0)
    for threshold in (0.1, 0.5, 0.95):
        assert all(one.score >= threshold for one in detect(model, samples, threshold=threshold))


def test_a_detection_as_json():
    assert Detection("yes", 1.0, 1.5, 0.25).to_json() == {"label": "yes", "start": 1.0, "end": 1.5, "score": 0.25}
