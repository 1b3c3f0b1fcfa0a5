"""Finding the one word in a recording: at known places, in noise, and not where there is none."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from audioconv.audio.endpoints import MARGIN_SECONDS, NoClearWordError, Stretch, find_word, find_words, quiet_stretch
from audioconv.audio.read import read
from audioconv.errors import ConfigError

RATE = 16000


def room(seconds, rng, level=0.001):
    return rng.normal(0, level, round(seconds * RATE)).astype(np.float32)


def say(clip, begin, seconds, rng, level=0.2):
    """Put something like a word into a clip: noise that swells and fades."""
    count = round(seconds * RATE)
    first = round(begin * RATE)
    clip[first : first + count] += (level * np.hanning(count) ** 0.5 * rng.normal(size=count)).astype(np.float32)


@given(begin=st.floats(0, 2.0), seconds=st.floats(0.2, 1.0), level=st.floats(0.02, 0.5), seed=st.integers(0, 99))
def test_a_word_is_found_wherever_it_is(begin, seconds, level, seed):
    rng = np.random.default_rng(seed)
    clip = room(3.2, rng)
    say(clip, begin, seconds, rng, level)
    word = find_word(clip, RATE)
    assert word.begin == pytest.approx(max(0, begin - MARGIN_SECONDS), abs=0.06)
    assert word.end == pytest.approx(begin + seconds + MARGIN_SECONDS, abs=0.06)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 48000])
def test_the_rate_does_not_matter(rate, rng):
    clip = rng.normal(0, 0.001, 3 * rate).astype(np.float32)
    clip[rate : round(1.5 * rate)] += rng.normal(0, 0.2, round(1.5 * rate) - rate)
    word = find_word(clip, rate)
    assert (word.begin, word.end) == (pytest.approx(0.95, abs=0.03), pytest.approx(1.55, abs=0.03))


def test_digital_silence_around(rng):
    clip = np.zeros(3 * RATE, np.float32)
    say(clip, 1.0, 0.5, rng)
    word = find_word(clip, RATE)
    assert (word.begin, word.end) == (pytest.approx(0.95, abs=0.05), pytest.approx(1.55, abs=0.05))
    assert quiet_stretch(clip, RATE, word) is None


@pytest.mark.parametrize("seconds", [0.0, 0.4, 1.5])
def test_steady_noise_that_digital_silence_pads_is_no_part_of_the_word(seconds, rng):
    clip = room(2.5, rng, level=0.01)  # 28 dB below the word: less than the silence is
    say(clip, 1.0, 0.6, rng)
    word = find_word(
        np.concatenate([np.zeros(800, np.float32), clip, np.zeros(round(seconds * RATE), np.float32)]), RATE
    )
    assert (word.begin, word.end) == (pytest.approx(1.0, abs=0.06), pytest.approx(1.7, abs=0.06))


def test_a_noise_gate_leaves_the_soft_ends_of_a_word(rng):
    clip = np.zeros(3 * RATE, np.float32)
    swell = np.hanning(round(0.8 * RATE)) ** 2 * rng.normal(size=round(0.8 * RATE))
    clip[RATE : RATE + len(swell)] = 0.2 * swell
    clip[np.abs(clip) < 0.0005] = 0
    word = find_word(clip, RATE)
    assert (word.begin, word.end) == (pytest.approx(1.0, abs=0.1), pytest.approx(1.8, abs=0.1))


def test_clicks_do_not_count(rng):
    clip = room(3.0, rng)
    say(clip, 1.0, 0.6, rng)
    clip[3000:3100] = 0.9  # the mouse, at the beginning and at the end
    clip[46000:46100] = -0.9
    word = find_word(clip, RATE)
    assert (word.begin, word.end) == (pytest.approx(0.95, abs=0.05), pytest.approx(1.65, abs=0.05))


def test_a_stop_inside_belongs_to_the_word(rng):
    clip = room(3.0, rng)
    say(clip, 1.0, 0.3, rng)
    say(clip, 1.45, 0.1, rng)
    word = find_word(clip, RATE)
    assert word.end == pytest.approx(1.6, abs=0.05)


@pytest.mark.parametrize(
    ("sounds", "message"),
    [
        ([], "nothing stands out"),
        ([(1.0, 0.02)], "too short for a word"),
        ([(0.3, 2.4)], "too long for a word"),
        ([(0.3, 0.5), (1.8, 0.5)], "several words"),
    ],
)
def test_no_clear_word(sounds, message, rng):
    clip = room(3.0, rng)
    for begin, seconds in sounds:
        say(clip, begin, seconds, rng)
    with pytest.raises(NoClearWordError, match=message):
        find_word(clip, RATE)


def test_sounds_that_together_are_as_long_as_a_word_are_a_phrase(rng):
    clip = room(3.0, rng)
    say(clip, 0.6, 0.4, rng)  # hey
    say(clip, 1.4, 0.7, rng)  # computer
    (phrase,) = find_words(clip, RATE)
    assert (phrase.begin, phrase.end) == (pytest.approx(0.55, abs=0.05), pytest.approx(2.15, abs=0.05))


@given(count=st.integers(2, 12), pause=st.floats(1.2, 2.0), seed=st.integers(0, 99))
def test_a_word_that_is_said_again_and_again_is_found_each_time(count, pause, seed):
    rng = np.random.default_rng(seed)
    begins = [0.5 + i * (0.5 + pause) for i in range(count)]
    clip = room(begins[-1] + 1.5, rng)
    for begin in begins:
        say(clip, begin, 0.5, rng, rng.uniform(0.15, 0.3))
    words = find_words(clip, RATE)
    assert [word.begin for word in words] == [pytest.approx(begin - MARGIN_SECONDS, abs=0.06) for begin in begins]


def test_sounds_that_go_on_are_no_words(rng):
    clip = room(10.0, rng)
    say(clip, 1.0, 3.0, rng)
    say(clip, 5.0, 0.5, rng)
    with pytest.raises(NoClearWordError, match="too long for words"):
        find_words(clip, RATE)
    with pytest.raises(NoClearWordError, match="nothing stands out"):
        find_words(room(10.0, rng, 0.1), RATE)


def test_too_little_to_tell():
    with pytest.raises(NoClearWordError, match="shorter than any word"):
        find_word(np.ones(100, np.float32), RATE)
    with pytest.raises(NoClearWordError, match="nothing stands out"):
        find_word(np.zeros(RATE, np.float32), RATE)
    with pytest.raises(ConfigError, match="a sample rate of at least 100 Hz"):
        find_word(np.zeros(RATE, np.float32), 10)


def test_what_is_quiet_beside_the_word(rng):
    clip = room(3.5, rng, 0.002)
    clip[: RATE * 3 // 2] *= 0.5
    say(clip, 1.6, 0.5, rng)
    word = find_word(clip, RATE)
    quiet = quiet_stretch(clip, RATE, word)
    assert quiet.duration == pytest.approx(1.0)
    assert quiet.end <= word.begin
    clip[12000:12100] = 0.5  # a click in it
    assert quiet_stretch(clip, RATE, word).begin >= word.end
    assert quiet_stretch(clip, RATE, Stretch(0.8, 2.8)) is None
    assert quiet_stretch(clip[:RATE], RATE, Stretch(0.1, 0.2), seconds=2.0) is None


def test_a_real_word_and_real_sentences(test_data):
    clips = test_data / "common-voice-some" / "clips"
    word = find_word(read(clips / "common_voice_en_21953345.mp3", RATE), RATE)
    assert (word.begin, word.end) == (pytest.approx(1.53, abs=0.1), pytest.approx(2.19, abs=0.1))
    for n in (20005954, 20009653, 20009655):
        with pytest.raises(NoClearWordError):
            find_word(read(clips / f"common_voice_en_{n}.mp3", RATE), RATE)


def test_real_speech_is_not_one_word(test_data):
    files = sorted((test_data / "librispeech-some").glob("*.flac"))
    found = 0
    for path in files:
        with suppress(NoClearWordError):
            find_word(read(path, RATE), RATE)
            found += 1
    assert found <= 0.05 * len(files)


def test_real_noise_is_no_word(test_data):
    for name in ("pink_noise", "white_noise", "running_tap"):
        samples, rate = soundfile.read(test_data / "background-noise" / f"{name}.flac", dtype="float32")
        with pytest.raises(NoClearWordError):
            find_word(samples[: 4 * rate], rate)


def test_real_words_are_found(test_data):
    files = sorted((test_data / "speech-commands-9").glob("*/*.flac"))[::20]
    found = 0
    for path in files:
        with suppress(NoClearWordError):
            found += find_word(read(path, RATE), RATE).duration > 0.15
    assert found >= 0.97 * len(files)
