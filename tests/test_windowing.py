"""Which window fits a data set, and how recordings become windows: the conditions of other people's folders."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from audioconv.audio.read import Segment
from audioconv.errors import DataError
from audioconv.pipeline import recording_pieces
from audioconv.pipeline.recording_pieces import pieces, recording_parts
from audioconv.pipeline.windowing import load_windows
from audioconv.recipe.window_plan import plan_for_files, plan_windows

RATE = 8000


def room(seconds, rng, level=0.001):
    return rng.normal(0, level, round(seconds * RATE)).astype(np.float32)


def word(seconds, rng, begin=None, length=0.6):
    """Return a recording with something like a word in it, somewhere."""
    clip = room(seconds, rng)
    first = round((rng.uniform(0, seconds - length) if begin is None else begin) * RATE)
    count = round(length * RATE)
    clip[first : first + count] += (0.2 * np.hanning(count) ** 0.5 * rng.normal(size=count)).astype(np.float32)
    return clip


def plan(recordings, clip_seconds=None):
    """Plan for recordings by class."""
    labels = [label for label, clips in recordings.items() for _ in clips]
    clips = [clip for some in recordings.values() for clip in some]
    return plan_windows(
        labels,
        lambda place: len(clips[place]) / RATE,
        lambda place, seconds: (clips[place][: round(seconds * RATE)], RATE),
        clip_seconds,
    )


def words(count, seconds, rng, **more):
    return [word(seconds, rng, **more) for _ in range(count)]


def test_long_recordings_of_negatives_do_not_choose_the_window(rng):
    found = plan({"yes": words(15, 1, rng), "no": words(15, 1, rng), "_silence_": [room(60, rng, 0.05)] * 6})
    assert (found.seconds, found.holds_words) == (1.0, True)
    assert found.content("_silence_") == "sounds"
    assert found.content("yes") == "words"
    assert "longer recordings (_silence_) give several windows" in found.describe()


def test_nor_do_a_few_long_recordings_among_the_words(rng):
    clips = [*words(15, 1, rng), *[room(30, rng, 0.05)] * 2]
    found = plan({"yes": clips, "no": words(15, 1, rng)})
    assert (found.seconds, found.holds_words) == (1.0, True)


def test_nor_one_class_of_long_sounds_among_words(rng):
    found = plan({"yes": words(9, 1, rng), "no": words(9, 1, rng), "music": [room(30, rng, 0.1) for _ in range(9)]})
    assert (found.seconds, found.holds_words, found.content("music")) == (1.0, True, "sounds")


@pytest.mark.parametrize(("low", "high"), [(2.0, 3.1), (2.05, 2.05), (4.0, 6.0)])
def test_words_in_longer_recordings_have_a_window_as_long_as_they_are(low, high, rng):
    clips = {label: [word(rng.uniform(low, high), rng) for _ in range(12)] for label in ("yes", "no")}
    found = plan(clips)
    assert (found.seconds, found.holds_words) == (1.0, True)
    assert "where words stand out in recordings of up to" in found.describe()
    longer = plan({label: [word(rng.uniform(2.5, 4), rng, length=1.3) for _ in range(9)] for label in ("a", "b")})
    assert 1.3 <= longer.seconds <= 1.5


def test_trimmed_words_have_a_window_as_long_as_most_of_them(rng):
    found = plan({label: words(20, 1.5, rng, length=1.5, begin=0) for label in ("a", "b")})
    assert found.seconds == pytest.approx(1.5, abs=0.11)
    assert found.holds_words


def test_one_recording_of_a_word_said_again_and_again_is_of_words(rng):
    take = {label: [np.concatenate(words(20, 2, rng, begin=0.7))] for label in ("yes", "no")}
    found = plan(take)
    assert (found.seconds, found.holds_words) == (1.0, True)


@pytest.mark.parametrize(("seconds", "window"), [(3, 3), (5, 5), (30, 10)])
def test_sounds_that_go_on_have_a_window_as_long_as_they_are(seconds, window, rng):
    found = plan({label: [room(seconds, rng, 0.1) for _ in range(10)] for label in ("rain", "wind")})
    assert (found.seconds, found.holds_words) == (window, False)
    assert ("give several windows each" in found.describe()) == (seconds > 10)


@pytest.mark.parametrize(("count", "seconds", "window"), [(1, 30, 3), (2, 30, 6), (1, 5, 1), (1, 200, 10)])
def test_few_recordings_of_sounds_give_windows_enough(count, seconds, window, rng):
    found = plan({label: [room(seconds, rng, 0.1) for _ in range(count)] for label in ("rain", "wind")})
    assert found.seconds == window
    assert ("then give at least 10 windows" in found.describe()) == (window < 10)


def test_one_class_of_long_sounds_does_not_choose_for_the_others(rng):
    found = plan({"rain": [room(5, rng, 0.1)] * 10, "wind": [room(5, rng, 0.1)] * 10, "sea": [room(60, rng, 0.1)]})
    assert found.seconds == 5
    # Words among sounds are sounds, too.
    found = plan({"rain": [room(5, rng, 0.1)] * 10, "wind": [room(5, rng, 0.1)] * 10, "bark": words(9, 5, rng)})
    assert (found.seconds, found.content("bark")) == (5, "sounds")


def test_a_window_that_is_given(rng):
    found = plan({"yes": words(5, 3, rng), "_unknown_": [room(9, rng, 0.1)]}, clip_seconds=0.8)
    assert (found.seconds, found.is_given, found.content("yes")) == (0.8, True, "words")
    assert found.describe().startswith("window of 0.8 s: as given; longer recordings (_unknown_)")


def test_files_that_cannot_be_read_do_not_choose(tmp_path, rng):
    soundfile.write(tmp_path / "1.wav", word(1, rng), RATE)
    (tmp_path / "2.wav").write_text("no sound")
    rates, found = plan_for_files(["yes", "no"], [tmp_path / "1.wav", tmp_path / "2.wav"])
    assert (rates, found.seconds, sorted(found.classes)) == ([RATE], 1.0, ["yes"])
    assert plan_for_files([], [])[1].seconds == 1.0


# --- pieces and parts ---


@pytest.fixture
def short_pieces(monkeypatch):
    monkeypatch.setattr(recording_pieces, "PIECE_SECONDS", 2.0)
    monkeypatch.setattr(recording_pieces, "MAX_KEPT_SECONDS", 10.0)


@pytest.mark.parametrize("seconds", [1.0, 3.9, 4.0, 11.3, 25.0])
@pytest.mark.parametrize("overlap", [0, 500])
def test_pieces_are_the_recording(seconds, overlap, tmp_path, rng, short_pieces):
    samples = room(seconds, rng, 0.1)
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    found = list(pieces(tmp_path / "a.wav", RATE, overlap=overlap))
    for begin, piece in found:
        np.testing.assert_array_equal(piece, samples[begin : begin + len(piece)])
    ends = [begin + len(piece) for begin, piece in found]
    assert ends[-1] == len(samples)
    assert [end - begin for end, (begin, _) in zip(ends, found[1:], strict=False)] == [overlap] * (len(found) - 1)
    assert max(len(piece) for _, piece in found) < 4 * RATE + overlap


def test_of_a_very_long_recording_pieces_all_over_it_are_kept(tmp_path, rng, short_pieces):
    samples = room(60, rng, 0.1)
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    parts = recording_parts(tmp_path / "a.wav", "sounds", RATE, RATE)
    assert 8 <= sum(len(part) for part, _, _ in parts) / RATE <= 14
    places = [np.flatnonzero(samples == part[0])[0] / RATE for part, _, _ in parts]
    assert max(np.diff(places)) <= 14
    assert places[-1] >= 45
    loaded = load_windows([tmp_path / "a.wav"], ["sounds"], RATE, RATE)
    assert 8 <= len(loaded.x) <= 14


def test_a_part_of_a_recording_is_cut_like_a_recording(tmp_path, rng):
    # As windows are kept: 16-bit integers.
    samples = np.rint(32768 * room(20, rng, 0.1)).clip(-32768, 32767).astype(np.float32) / 32768
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    loaded = load_windows(
        [Segment(tmp_path / "a.wav", 4, 8), Segment(tmp_path / "a.wav", 2, 2.5)], ["sounds"] * 2, RATE, RATE
    )
    assert loaded.x.recordings.tolist() == [0, 0, 0, 0, 1]
    np.testing.assert_array_equal(loaded.x[:4].reshape(-1), samples[4 * RATE : 8 * RATE])
    np.testing.assert_array_equal(loaded.x[4], samples[round(1.75 * RATE) : round(2.75 * RATE)])
    loaded = load_windows([Segment(tmp_path / "a.wav", 30, 34)], ["sounds"], RATE, RATE)
    assert "ends before the part" in str(loaded.failures[0])


def test_a_long_recording_of_a_word_without_a_clear_word_is_one_window(tmp_path, rng):
    soundfile.write(tmp_path / "a.wav", room(200, rng, 0.1), RATE)
    assert len(load_windows([tmp_path / "a.wav"], ["words"], RATE, RATE).x) == 1


def test_unreadable_recordings_are_left_out_and_named(tmp_path, rng):
    soundfile.write(tmp_path / "b.wav", room(2, rng, 0.1), RATE)
    (tmp_path / "a.wav").touch()
    loaded = load_windows([tmp_path / "a.wav", tmp_path / "b.wav"], ["sounds"] * 2, RATE, RATE)
    assert loaded.x.recordings.tolist() == [1, 1]
    assert "a.wav: is empty" in str(loaded.failures[0])
    with pytest.raises(DataError, match=r"a\.wav: is empty"):
        load_windows([tmp_path / "a.wav", tmp_path / "b.wav"], ["sounds"] * 2, RATE, RATE, strict=True)
