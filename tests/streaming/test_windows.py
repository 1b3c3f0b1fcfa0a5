"""Where windows lie, and that each is heard as if it were alone."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioconv import Model, architectures
from audioconv.audio import LogMel, Mfcc, RawSamples
from audioconv.streaming.frames import row_stream
from audioconv.streaming.windows import Grid, WindowScorer

SHAPES = {"spectrogram-2d": (101, 40, 1), "spectrogram-1d": (101, 40), "samples": (16000, 1)}


def untrained(arch: str) -> Model:
    kind = architectures.input_kind(arch)
    network, shape = architectures.build(arch, 3), SHAPES[kind]
    front_end = RawSamples() if kind == "samples" else LogMel()
    params = network.init(shape, np.random.default_rng(0))
    return Model(network, params, ("a", "b", "c"), shape, front_end, 16000)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "arch", ["cnn", "cs231n", "ds-cnn-s", "tc-resnet8", "matchboxnet-3x1x64", "bc-resnet-1", "m5-32"]
)
def test_a_window_is_heard_the_same_alone_and_in_company(arch, threads):
    model, before = untrained(arch), numba.get_num_threads()
    x = np.random.default_rng(1).standard_normal((5, *model.feature_shape), np.float32)
    together = model.logits(x)
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    try:
        alone = np.concatenate([model.logits(x[n : n + 1]) for n in range(5)])
        pairs = np.concatenate([model.logits(x[n : n + 2]) for n in range(0, 5, 2)])
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(alone, together)
    np.testing.assert_array_equal(pairs, together)
    np.testing.assert_array_equal(
        np.concatenate([model.decision.probabilities(model.labels, row[None]) for row in together]),
        model.decision.probabilities(model.labels, together),
    )


@given(
    window_rows=st.integers(1, 120),
    hop_rows=st.integers(1, 120),
    rows=st.integers(0, 1000),
    smoothing=st.integers(1, 6),
)
def test_windows_are_counted_as_they_lie(window_rows, hop_rows, rows, smoothing):
    grid = Grid(16000, 160, 80, 80, window_rows, hop_rows, smoothing)
    complete = [k for k in range(1100) if grid.first_row(k) + window_rows <= rows]
    assert grid.windows_within(rows) == len(complete)
    centred = [k for k in range(1100) if grid.first_row(k) + window_rows // 2 < rows]
    assert grid.windows_until(rows) == len(centred)
    assert grid.windows_within(rows) <= grid.windows_until(rows) + 1
    assert grid.middle(complete[-1] if complete else 0) >= 0


def test_windows_are_those_of_the_recording_between_silence():
    model = untrained("tc-resnet8")
    samples = np.random.default_rng(2).normal(0, 0.1, 24_000).astype(np.float32)
    scorer = WindowScorer(model, 0.1, 0.0)
    parts = [scorer.push(piece) for piece in np.array_split(samples, 9)] + [scorer.flush()]
    found = np.concatenate([part.probabilities for part in parts])
    frames = LogMel()(samples)[0]
    silence = np.repeat(LogMel()(np.zeros(512))[0, :1], 60, axis=0)
    padded = np.concatenate([silence[:50], frames, silence])
    windows = np.stack([padded[begin : begin + 101] for begin in range(0, len(frames), 10)])
    np.testing.assert_array_equal(found, model.probabilities(windows))
    levels = np.concatenate([part.levels for part in parts])
    np.testing.assert_array_equal(levels[: len(frames)], frames.mean(axis=1))


def test_probabilities_are_averaged():
    model = untrained("tc-resnet8")
    samples = np.random.default_rng(2).normal(0, 0.1, 24_000).astype(np.float32)
    raw, smooth = (WindowScorer(model, 0.1, seconds) for seconds in (0.0, 0.3))
    single, averaged = raw.push(samples).probabilities, smooth.push(samples).probabilities
    expected = [single[max(0, k - 2) : k + 1].sum(axis=0) / 3 for k in range(len(single))]
    np.testing.assert_allclose(averaged, expected, rtol=1e-6)


@pytest.mark.parametrize("front_end", [LogMel(), Mfcc(), RawSamples(), LogMel(hop_length=1000), RawSamples(11025)])
@pytest.mark.parametrize("clip_samples", [16000, 15_999, 700])
def test_rows_make_the_features_of_a_clip(front_end, clip_samples):
    samples = np.random.default_rng(3).normal(0, 0.1, clip_samples).astype(np.float32)
    stream = row_stream(front_end, clip_samples)
    rows = np.concatenate([stream.push(samples[:333]), stream.push(samples[333:]), stream.flush()])
    assert len(rows) == stream.window_rows
    np.testing.assert_array_equal(stream.features(rows[None]), front_end(samples))
    assert stream.levels(rows).shape == (len(rows),)
    np.testing.assert_array_equal(stream.silence, row_stream(front_end, clip_samples).silence)


def test_levels_are_decibels():
    quiet, loud = (
        level * np.random.default_rng(4).standard_normal(16000).astype(np.float32) for level in (0.001, 0.01)
    )
    for front_end in (LogMel(), Mfcc(), RawSamples()):
        stream = row_stream(front_end, 16000)
        difference = (
            stream.levels(stream.push(loud))[10:50] - stream.levels(row_stream(front_end, 16000).push(quiet))[10:50]
        )
        np.testing.assert_allclose(difference, 20, atol=0.5)
