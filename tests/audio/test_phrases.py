"""Phrases of several words, and recordings that are longer than what is said in them."""

from __future__ import annotations

import numpy as np
import pytest

from audioconv.audio.endpoints import NoClearWordError, find_words
from audioconv.recipe.window_plan import plan_windows

RATE = 16000


def recording(rng, seconds, *sounds):
    """Return faint noise with louder noise from begin to end, in seconds, for each of `sounds`."""
    samples = 1e-3 * rng.standard_normal(round(seconds * RATE)).astype(np.float32)
    for begin, end in sounds:
        part = slice(round(begin * RATE), round(end * RATE))
        samples[part] += 0.2 * rng.standard_normal(part.stop - part.start).astype(np.float32)
    return samples


def test_words_with_short_pauses_are_one_phrase(rng):
    (phrase,) = find_words(recording(rng, 3.5, (0.4, 0.9), (1.05, 1.7), (1.9, 2.8)), RATE)
    assert (phrase.begin, phrase.end) == pytest.approx((0.35, 2.85), abs=0.08)


def test_a_word_said_twice_is_two_words(rng):
    words = find_words(recording(rng, 4.0, (0.5, 1.0), (2.5, 3.0)), RATE)
    assert [word.begin for word in words] == pytest.approx([0.45, 2.45], abs=0.05)


def test_a_phrase_may_last_three_seconds_and_no_more(rng):
    (phrase,) = find_words(recording(rng, 4.0, (0.5, 3.2)), RATE)
    assert phrase.duration == pytest.approx(2.8, abs=0.1)
    with pytest.raises(NoClearWordError, match="too long"):
        find_words(recording(rng, 4.4, (0.4, 4.0)), RATE)


def test_in_a_long_recording_a_long_sound_is_no_phrase(rng):
    with pytest.raises(NoClearWordError, match="too long"):
        find_words(recording(rng, 7.0, (0.5, 3.2)), RATE)


def plan(recordings):
    labels = [label for label, _ in recordings]
    samples = [samples for _, samples in recordings]
    return plan_windows(labels, lambda i: len(samples[i]) / RATE, lambda i, seconds: (samples[i], RATE))


def test_the_window_is_as_long_as_the_word_and_not_as_its_recording(rng):
    def takes(length):
        begins = rng.uniform(0.3, 2.2, 12)
        return [recording(rng, 3.0, (begin, begin + length)) for begin in begins]

    found = plan([("alexa", x) for x in takes(0.6)] + [("jarvis", x) for x in takes(0.55)])
    assert found.holds_words
    assert found.seconds == pytest.approx(1.0, abs=0.11)


def test_a_phrase_of_three_words_is_a_word(rng):
    def takes():
        return [
            recording(rng, 3.5, (b, b + 0.5), (b + 0.65, b + 1.3), (b + 1.5, b + 2.3))
            for b in rng.uniform(0.3, 0.9, 12)
        ]

    found = plan([("hey_view_glass", x) for x in takes()] + [("hey_computer", x) for x in takes()])
    assert found.holds_words
    assert 2.2 <= found.seconds <= 2.6


def test_sounds_that_go_on_are_no_words_however_short_their_recordings(rng):
    found = plan([(label, recording(rng, 2.6, (0, 2.6))) for label in ("rain", "engine") for _ in range(12)])
    assert not found.holds_words
