"""Windows of recordings: where they lie, what they hold, and that samples are in memory once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioconv.audio.read import fit_length
from audioconv.audio.window_begins import covering_begins, window_at, window_begins
from audioconv.audio.windows import Windows, WindowsBuilder, kept_pieces

RATE = 8000


def room(seconds, rng, level=0.001):
    return rng.normal(0, level, round(seconds * RATE)).astype(np.float32)


def say(clip, begin, seconds, rng, level=0.2):
    first, count = round(begin * RATE), round(seconds * RATE)
    clip[first : first + count] += (level * np.hanning(count) ** 0.5 * rng.normal(size=count)).astype(np.float32)


@given(total=st.integers(10, 500), length=st.integers(5, 100), hop=st.one_of(st.none(), st.integers(1, 100)))
def test_windows_cover_a_recording(total, length, hop):
    if total < length:
        return
    begins = covering_begins(total, length, hop)
    assert begins == sorted(begins)
    assert begins[0] >= 0
    assert begins[-1] + length <= total
    if len(begins) > 1:
        assert (begins[0], begins[-1] + length) == (0, total)
        largest = max(np.diff(begins))
        assert largest <= (length * 1.5 if hop is None else max(hop, 1)) + 1
    else:
        assert total < 1.5 * length + 1


@given(total=st.integers(1, 60), begin=st.integers(-40, 80), length=st.integers(1, 30))
def test_a_window_holds_zeros_beyond_the_recording(total, begin, length):
    samples = np.arange(1, total + 1, dtype=np.float32)
    expected = [samples[i] if 0 <= i < total else 0 for i in range(begin, begin + length)]
    if begin >= total or begin + length <= 0:
        return
    np.testing.assert_array_equal(window_at(samples, begin, length), expected)


@pytest.mark.parametrize("content", ["words", "sounds"])
def test_a_short_recording_is_one_window_in_the_middle_of_zeros(content, rng):
    clip = room(0.5, rng, 0.1)
    (begin,) = window_begins(clip, RATE, RATE, content)
    np.testing.assert_array_equal(window_at(clip, begin, RATE), fit_length(clip, RATE))


def test_a_word_is_in_the_middle_of_its_window(rng):
    clip = room(3.0, rng)
    clip[100:160] = 0.9  # a click, louder than the word
    say(clip, 1.7, 0.6, rng)
    (begin,) = window_begins(clip, RATE, RATE, "words")
    assert begin / RATE + 0.5 == pytest.approx(2.0, abs=0.06)


def test_a_word_at_the_end_stays_within_the_recording(rng):
    clip = room(3.0, rng)
    say(clip, 2.6, 0.4, rng)
    assert window_begins(clip, RATE, RATE, "words") == [2 * RATE]


def test_each_word_of_a_recording_has_a_window(rng):
    clip = room(12.0, rng)
    for begin in (1.0, 4.0, 8.0):
        say(clip, begin, 0.5, rng)
    begins = window_begins(clip, RATE, RATE, "words")
    assert [begin / RATE + 0.5 for begin in begins] == [pytest.approx(x, abs=0.06) for x in (1.25, 4.25, 8.25)]


def test_where_no_word_stands_out_the_loudest_window_is_taken(rng):
    clip = room(3.0, rng, 0.1)
    clip[RATE : 2 * RATE] *= 1.5
    (begin,) = window_begins(clip, RATE, RATE, "words")
    np.testing.assert_array_equal(window_at(clip, begin, RATE), fit_length(clip, RATE))


def test_sounds_are_cut_into_windows(rng):
    assert window_begins(room(4.0, rng), RATE, RATE, "sounds") == [0, RATE, 2 * RATE, 3 * RATE]
    assert len(window_begins(room(1.4, rng), RATE, RATE, "sounds")) == 1
    assert len(window_begins(room(1.5, rng), RATE, RATE, "sounds")) == 2


def built(recordings, length):
    builder = WindowsBuilder(length, 1)
    for number, (samples, begins, drawn) in enumerate(recordings):
        builder.add(number, kept_pieces(samples, begins, drawn, length))
    return builder.build()


def test_windows_behave_as_an_array(rng):
    long, short = (rng.integers(-32768, 32768, size) * np.float32(1 / 32768) for size in (50, 4))
    windows = built([(long, [0, 10, 40], True), (short, [-3], False)], 10)
    expected = np.stack([long[:10], long[10:20], long[40:], window_at(short, -3, 10)])
    assert windows.shape == expected.shape
    assert len(windows) == 4
    np.testing.assert_array_equal(windows[np.arange(4)], expected)
    np.testing.assert_array_equal(windows[1:3], expected[1:3])
    np.testing.assert_array_equal(windows[expected[:, 0] < 0], expected[expected[:, 0] < 0])
    np.testing.assert_array_equal(windows[2], expected[2])
    np.testing.assert_array_equal(np.stack(list(windows)), expected)
    np.testing.assert_array_equal(windows.select(np.array([3, 0]))[:], expected[[3, 0]])
    assert windows.recordings.tolist() == [0, 0, 0, 1]
    assert windows.select(np.array([1])).sources == windows.sources


@given(lengths=st.lists(st.integers(1, 80), min_size=1, max_size=8), length=st.integers(1, 20), seed=st.integers(0, 9))
def test_drawn_windows_lie_within_their_recording(lengths, length, seed):
    rng = np.random.default_rng(seed)
    # Each sample tells its recording.
    recordings = [np.full(count, number + 1, np.float32) for number, count in enumerate(lengths)]
    windows = built(
        [
            (samples, covering_begins(len(samples), length), True)
            if len(samples) > length
            else (samples, [-((length - len(samples)) // 2)], False)
            for samples in recordings
        ],
        length,
    )
    drawn = windows.draw(np.arange(len(windows)), rng)
    for row, number in zip(drawn, windows.recordings.tolist(), strict=True):
        assert set(row) <= {0, number + 1}
        assert (row == number + 1).sum() == min(length, lengths[number])


def test_windows_of_short_clips_need_no_draw(rng):
    windows = Windows.of_clips(rng.normal(size=(5, 8)).astype(np.float32))
    state = rng.bit_generator.state
    np.testing.assert_array_equal(windows.draw([3, 1], rng), windows[[3, 1]])
    assert rng.bit_generator.state == state


def test_drawn_windows_differ_and_reach_all_of_a_recording(rng):
    samples = np.arange(100, dtype=np.float32)
    windows = built([(samples, covering_begins(100, 10), True)], 10)
    drawn = np.concatenate([windows.draw(np.arange(10), rng)[:, 0] for _ in range(50)])
    assert len(set(drawn.tolist())) > 60
    assert drawn.min() == 0
    assert drawn.max() == 90


def test_fewer_windows_stand_for_all_of_their_recording(rng):
    windows = built(
        [(np.arange(1000, dtype=np.float32), covering_begins(1000, 10), True), (np.ones(10, np.float32), [0], False)],
        10,
    )
    rows, ranges = windows.thin(np.arange(101), 5)
    assert set(windows.recordings[rows].tolist()) == {0, 1}
    assert 5 <= len(rows) <= 6
    assert ranges[0, 0] == 0
    assert ranges[len(rows) - 2, 1] == 990
    assert (ranges[1 : len(rows) - 1, 0] - ranges[: len(rows) - 2, 1] <= 1).all()


def test_pieces_of_a_recording_that_do_not_lie_together_are_not_joined():
    builder = WindowsBuilder(10, 1)
    begins = covering_begins(40, 10)
    builder.add(0, [piece for n in (1, 2) for piece in kept_pieces(np.full(40, n, np.float32), begins, True, 10)])
    windows = builder.build()
    rows, ranges = windows.thin(np.arange(8), 1)
    thinned = replace(windows.select(rows), ranges=ranges)
    for seed in range(30):
        assert len(set(thinned.draw([0], np.random.default_rng(seed))[0].tolist())) == 1


def test_clips_behind_windows(rng):
    clips = rng.integers(-100, 100, (3, 10)) * np.float32(1 / 128)
    windows = built([(np.arange(30, dtype=np.float32), [0, 10, 20], True)], 10).with_clips(clips)
    np.testing.assert_array_equal(windows[3:], clips)
    assert windows.recordings.tolist() == [0, 0, 0, 1, 2, 3]
