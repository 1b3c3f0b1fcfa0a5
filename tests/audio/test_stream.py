"""Features of a stream beside those of the whole recording."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioconv.audio import LogMel, LogMelStream, Mfcc, RawSamples
from audioconv.errors import ConfigError, DataError, ShapeError

FRONT_ENDS = [
    LogMel(),
    Mfcc(),
    LogMel.for_rate(8000),
    LogMel(fft_length=480, window_length=480),  # no power of two
    LogMel(fft_length=401, window_length=77),
    LogMel(hop_length=1000),  # longer than the transform: samples that no frame sees
    LogMel(fft_length=2, window_length=2, hop_length=1, mel_bands=1),
    LogMel(fft_length=16, window_length=3, hop_length=5, mel_bands=2),
    Mfcc(fft_length=1024, window_length=1000, hop_length=90, mel_bands=20, coefficients=20),
]


def recording(length: int, seed: int = 0) -> np.ndarray:
    """Return noise that swells and fades, over 120 dB."""
    rng = np.random.default_rng(seed)
    level = 10 ** (3 * np.sin(np.arange(length) / 300) - 3)
    return (rng.standard_normal(length) * level).astype(np.float32)


def streamed(stream: LogMelStream, samples: np.ndarray, sizes: list[int]) -> np.ndarray:
    """Push samples in pieces of these sizes, the rest at once, and return all features."""
    pieces = [stream.push(piece) for piece in np.split(samples, np.minimum(np.cumsum(sizes), len(samples)))]
    return np.concatenate([*pieces, stream.flush()])


@settings(max_examples=200, deadline=None)
@given(
    front_end=st.sampled_from(FRONT_ENDS),
    length=st.integers(1, 6000),
    sizes=st.lists(st.one_of(st.integers(0, 3), st.integers(0, 700), st.integers(0, 5000)), max_size=40),
    seed=st.integers(0, 9),
)
def test_any_pieces_give_the_bits_of_the_whole(front_end: LogMel, length: int, sizes: list[int], seed: int) -> None:
    samples = recording(length, seed)
    features = streamed(LogMelStream(front_end), samples, sizes)
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features, front_end(samples)[0])


@pytest.mark.parametrize("front_end", [LogMel(), Mfcc(), LogMel(fft_length=480)])
@pytest.mark.parametrize("size", [1, 160, 1023, 160_000])
def test_equal_pieces_give_the_bits_of_the_whole(front_end: LogMel, size: int) -> None:
    # The longest pieces are done by several threads, the others by one.
    samples = recording(3000 if size == 1 else 2 * size + 16_000)
    features = streamed(LogMelStream(front_end), samples, [size] * (len(samples) // size))
    np.testing.assert_array_equal(features, front_end(samples)[0])


@settings(max_examples=50, deadline=None)
@given(
    front_end=st.sampled_from(FRONT_ENDS),
    length=st.integers(1, 4000),
    first=st.integers(0, 40),
    count=st.integers(0, 40),
)
def test_frames_are_the_same_wherever_they_stand(front_end: LogMel, length: int, first: int, count: int) -> None:
    samples = recording(length)
    whole = front_end(samples)[0]
    begin = first * front_end.hop_length - front_end.fft_length // 2
    some = front_end.frames(samples[np.newaxis], begin, count)[0]
    expected = whole[first : first + count]
    np.testing.assert_array_equal(some[: len(expected)], expected)


def test_a_frame_comes_with_its_last_sample() -> None:
    stream = LogMelStream(LogMel())
    samples = recording(1000)
    given_after = [len(stream.push(samples[i : i + 1])) for i in range(1000)]
    assert np.flatnonzero(given_after).tolist() == [255, 415, 575, 735, 895]
    assert (stream.sample_count, stream.frame_count) == (1000, 5)
    assert len(stream.flush()) == 2
    assert stream.frame_count == LogMel().frame_count(1000)


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_less_than_a_transform_is_kept(front_end: LogMel) -> None:
    stream = LogMelStream(front_end)
    for piece in np.split(recording(20_000), [1, 2, 300, 301, 9000, 9001, 15_000]):
        stream.push(piece)
        assert len(stream._kept) < front_end.fft_length
        assert stream._kept.base is None


def test_frames_are_counted_for_ever() -> None:
    # A stream of years: nothing is added up that could drift.
    stream, front_end = LogMelStream(LogMel()), LogMel()
    stream.sample_count, stream.frame_count = 160 * 10**12 - 256, 10**12
    samples = recording(4000)
    np.testing.assert_array_equal(stream.push(samples), front_end.frames(samples[np.newaxis], 0, 22)[0])
    assert stream.frame_count == 10**12 + 22


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_any_floating_samples(dtype: type[np.floating]) -> None:
    samples = recording(2000).astype(dtype)
    strided = np.repeat(samples, 2)[::2]
    np.testing.assert_array_equal(streamed(LogMelStream(LogMel()), strided, [700, 700]), LogMel()(samples)[0])


def test_pieces_may_be_changed_afterwards() -> None:
    samples = recording(1000)
    stream, buffer, found = LogMelStream(LogMel()), np.empty(100, np.float32), []
    for piece in np.split(samples, 10):
        buffer[:] = piece
        found.append(stream.push(buffer))
        buffer[:] = np.nan
    np.testing.assert_array_equal(np.concatenate([*found, stream.flush()]), LogMel()(samples)[0])


@pytest.mark.parametrize("front_end", [LogMel(), Mfcc(), LogMel(fft_length=480)])
def test_nan_stays_in_the_frames_that_hold_it(front_end: LogMel) -> None:
    samples = recording(8000)
    broken = samples.copy()
    broken[4000] = np.nan
    features = streamed(LogMelStream(front_end), broken, [500] * 16)
    starts = np.arange(len(features)) * front_end.hop_length - front_end.fft_length // 2
    holds = (starts <= 4000) & (starts + front_end.fft_length > 4000)
    np.testing.assert_array_equal(features[~holds], front_end(samples)[0][~holds])
    assert np.isnan(features[holds]).all()


def test_nothing_pushed_gives_nothing() -> None:
    stream = LogMelStream(Mfcc())
    assert stream.push([]).shape == stream.flush().shape == (0, 13)


def test_an_ended_stream_takes_nothing_until_it_is_reset() -> None:
    stream, samples = LogMelStream(LogMel()), recording(900)
    first = streamed(stream, samples, [300])
    for ended in (lambda: stream.push(samples), stream.flush):
        with pytest.raises(DataError, match=r"has been flushed.*reset\(\) begins a new one"):
            ended()
    stream.reset()
    assert (stream.sample_count, stream.frame_count) == (0, 0)
    np.testing.assert_array_equal(streamed(stream, samples, [1, 2]), first)


def test_reset_forgets_samples() -> None:
    stream = LogMelStream(LogMel())
    stream.push(np.ones(1000, np.float32))
    stream.reset()
    samples = recording(900)
    np.testing.assert_array_equal(streamed(stream, samples, []), LogMel()(samples)[0])


def test_what_cannot_be_streamed_is_refused_and_changes_nothing() -> None:
    stream, samples = LogMelStream(LogMel()), recording(900)
    first = stream.push(samples[:500])
    with pytest.raises(DataError, match="must be floating point with full scale 1, got int16"):
        stream.push(np.zeros(100, np.int16))
    with pytest.raises(ShapeError, match=r"takes samples of shape \(time,\), got \(1, 100\)"):
        stream.push(np.zeros((1, 100), np.float32))
    np.testing.assert_array_equal(
        np.concatenate([first, stream.push(samples[500:]), stream.flush()]), LogMel()(samples)[0]
    )
    with pytest.raises(ConfigError, match="needs LogMel or Mfcc, got RawSamples"):
        LogMelStream(RawSamples())  # type: ignore[arg-type]
