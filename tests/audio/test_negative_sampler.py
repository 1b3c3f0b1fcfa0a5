from __future__ import annotations

import functools
from collections import Counter

import numpy as np
import pytest

from audioconv.audio.augment import Augmentation
from audioconv.audio.clips import AudioClips, ClipsWithNegatives, normalisation_of
from audioconv.audio.negatives import (
    BACKGROUND_PROBABILITY,
    KINDS,
    RECORDED,
    SEGMENTS,
    NegativeClips,
    NegativeSampler,
    sounding,
)
from audioconv.errors import DataError
from audioconv.features.front_ends import LogMel

RATE, LENGTH = 8000, 8000
BEGIN, END = 2400, 5600


def word(frequency: float, loudness: float = 0.3) -> np.ndarray:
    """Return a clip (8000,) that is silent but for a chirp from BEGIN to END."""
    clip = np.zeros(LENGTH, np.float32)
    time = np.arange(END - BEGIN) / RATE
    clip[BEGIN:END] = loudness * np.sin(2 * np.pi * (frequency + 500 * time) * time)
    return clip


SAMPLES = np.stack([word(300), word(320), word(1500), word(1550)])
LABELS = np.array([0, 0, 1, 1])


def about(draws: int, probability: float):
    """Return what a number of draws of this probability is equal to, give or take four standard deviations."""
    return pytest.approx(draws * probability, abs=4 * (draws * probability * (1 - probability)) ** 0.5)


@functools.cache
def sampler_of_the_words() -> NegativeSampler:
    return NegativeSampler(SAMPLES, LABELS, RATE)


def made(kind: str, rng: np.random.Generator, others: NegativeSampler | None = None) -> np.ndarray:
    return getattr(others or sampler_of_the_words(), f"_{kind}")(rng)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_a_clip_like_the_words_and_none_of_them(kind, rng):
    for _ in range(20):
        clip = made(kind, rng)
        assert clip.shape == (LENGTH,)
        assert clip.dtype == np.float32
        assert np.isfinite(clip).all()
        assert np.abs(clip).max() > 0
        assert not any(np.array_equal(clip, sample) for sample in SAMPLES)


def test_the_words_are_left_alone(rng):
    before = SAMPLES.copy()
    others = NegativeSampler(SAMPLES, LABELS, RATE)
    for _ in range(50):
        others.make(rng)[:] = 7.0
    np.testing.assert_array_equal(SAMPLES, before)


def test_a_splice_has_the_beginning_of_one_word_and_the_end_of_another(rng):
    # Words of one sign each show from which of them a sample is.
    others = NegativeSampler(np.stack([np.abs(word(300)), -np.abs(word(300))]), np.array([0, 1]), RATE)
    for _ in range(20):
        clip = made("splice", rng, others)
        signs = np.sign(clip[np.abs(clip) > 1e-3])
        assert signs[0] == -signs[-1]
        assert np.count_nonzero(np.diff(signs)) == 1


def test_two_words_at_once_are_equally_loud(rng):
    others = NegativeSampler(np.stack([word(300, 0.5), word(1500, 0.005)]), np.array([0, 1]), RATE)
    spectrum = np.abs(np.fft.rfft(made("overlap", rng, others)))
    low, high = np.square(spectrum[:1000]).sum(), np.square(spectrum[1000:]).sum()
    assert 0.3 < low / high < 3


def test_a_piece_is_at_most_half_a_word_and_all_of_it_is_there(rng):
    for _ in range(20):
        loud = np.flatnonzero(made("piece", rng))
        assert 0.2 * (END - BEGIN) < loud[-1] + 1 - loud[0] < 0.56 * (END - BEGIN)


def test_backwards(rng):
    clip = made("reverse", rng)
    assert any(np.array_equal(clip[::-1], sample) for sample in SAMPLES)


def test_noise_has_all_loudnesses(rng):
    levels = [10 * np.log10(np.mean(np.square(made("noise", rng)))) for _ in range(200)]
    assert min(levels) < -50
    assert max(levels) > -15


def test_one_word_alone_is_not_joined_to_itself(rng):
    others = NegativeSampler(SAMPLES[:2], LABELS[:2], RATE)
    for _ in range(50):
        others.make(rng)
    assert not {"splice", "overlap"} & set(others._kinds)


def test_recordings_of_other_things_are_cut_by_their_length(rng):
    long, short = np.full(10 * LENGTH, 0.25, np.float32), np.full(LENGTH // 2, -0.5, np.float32)
    others = NegativeSampler(SAMPLES, LABELS, RATE, [long, short])
    clips = [others.make(rng) for _ in range(400)]
    of_long = sum(np.all(clip == 0.25) for clip in clips)
    of_short = sum(clip.min() == -0.5 and np.count_nonzero(clip) == LENGTH // 2 for clip in clips)
    assert of_long == about(400, RECORDED * 10 / 10.5)
    assert of_short == about(400, RECORDED * 0.5 / 10.5)


# --- segments of recorded speech ---

SEGMENT = (4000, 6400)
"""Where the segment of a recording lies: 0.3 s."""


def talk(value: float, dtype: type = np.float32) -> np.ndarray:
    """Return a recording that has the `value` in its segment and -value elsewhere."""
    recording = np.full(3 * LENGTH, -value)
    recording[slice(*SEGMENT)] = value
    return (recording * (32768 if dtype is np.int16 else 1)).astype(dtype)


def of_segments(recordings, samples=SAMPLES, labels=LABELS, **more) -> NegativeSampler:
    return NegativeSampler(samples, labels, RATE, recordings, segments=[np.array([SEGMENT])] * len(recordings), **more)


def with_pauses(loudness: float) -> np.ndarray:
    """Return the words with a hum in their pauses, the longer one before the word."""
    clips = np.stack([np.roll(word(frequency), 1600) for frequency in (300, 320, 1500, 1550)])
    quiet = clips == 0
    return np.where(quiet, np.float32(loudness), clips).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_a_segment_is_as_loud_as_a_word_and_all_of_it_lies_inside(dtype, rng):
    others = of_segments([talk(0.03, dtype)])
    wanted = [np.mean(np.square(sample[slice(*sounding(sample, RATE))])) for sample in SAMPLES]
    begins = set()
    for _ in range(50):
        clip = others._segment(rng)
        assert (clip.shape, clip.dtype) == ((LENGTH,), np.float32)
        loud = np.flatnonzero(clip)  # these words have silence for a pause
        begins.add(loud[0])
        assert abs((loud[-1] + 1 - loud[0]) - (SEGMENT[1] - SEGMENT[0])) <= 2  # its fading ends are zero
        assert clip.min() >= 0, "nothing of the recording but the segment"
        power = np.max(clip) ** 2
        assert min(abs(power / one - 1) for one in wanted) < 0.01
    assert len(begins) > 10
    assert max(begins) - min(begins) <= 2 * 0.1 * RATE + 2


def test_a_segment_longer_than_a_clip_is_cut(rng):
    others = NegativeSampler(SAMPLES, LABELS, RATE, [talk(0.3)], segments=[np.array([[0, 3 * LENGTH]])])
    assert others._segment(rng).shape == (LENGTH,)


def test_a_silent_segment_is_silence(rng):
    clip = of_segments([np.zeros(3 * LENGTH, np.float32)])._segment(rng)
    assert not clip.any()


def test_the_background_of_a_segment_is_the_pause_of_a_word(rng):
    others = of_segments([np.zeros(3 * LENGTH, np.float32)], with_pauses(0.01))
    clips = [others._segment(rng) for _ in range(200)]
    with_background = [clip for clip in clips if clip.any()]
    assert len(with_background) == about(200, BACKGROUND_PROBABILITY)
    for clip in with_background:
        np.testing.assert_allclose(clip, 0.01, rtol=1e-6)


def test_a_word_that_fills_its_clip_has_no_pause():
    full = np.full((2, LENGTH), 0.3, np.float32)
    others = of_segments([talk(0.3)], full, np.array([0, 1]))
    assert not others._pause(0).any()


def test_segments_are_drawn_by_the_weight_of_their_recording():
    recordings = [talk(0.1), talk(0.1), talk(-0.1)]
    others = of_segments(recordings, segment_weights=[1.0, 1.0, 2.0])
    rng = np.random.default_rng(1)
    negative = sum(clip[np.abs(clip).argmax()] < 0 for clip in (others._segment(rng) for _ in range(1000)))
    assert negative == about(1000, 2 / 4)
    rng = np.random.default_rng(1)
    equal = of_segments(recordings)
    negative = sum(clip[np.abs(clip).argmax()] < 0 for clip in (equal._segment(rng) for _ in range(1000)))
    assert negative == about(1000, 1 / 3)
    never = of_segments(recordings, segment_weights=[1.0, 1.0, 0.0])
    assert all(clip[np.abs(clip).argmax()] > 0 for clip in (never._segment(rng) for _ in range(200)))


def test_stretches_segments_and_made_negatives_are_mixed():
    others = of_segments([np.full(3 * LENGTH, 0.25, np.float32)])
    rng = np.random.default_rng(2)
    kinds = Counter()
    for _ in range(1000):
        clip = others.make(rng)
        if np.all(clip == 0.25):
            kinds["stretch"] += 1
        elif clip.min() >= 0 and abs(np.count_nonzero(clip) - (SEGMENT[1] - SEGMENT[0])) <= 2:
            kinds["segment"] += 1
        else:
            kinds["made"] += 1
    assert kinds["stretch"] == about(1000, RECORDED * (1 - SEGMENTS))
    assert kinds["segment"] == about(1000, RECORDED * SEGMENTS)
    assert kinds["made"] == about(1000, 1 - RECORDED)
    only = of_segments([np.full(3 * LENGTH, 0.25, np.float32)], recorded=1.0)
    assert all(clip.min() >= 0 and clip.max() > 0 for clip in (only.make(rng) for _ in range(200)))


def test_without_segments_stretches_are_taken(rng):
    others = NegativeSampler(
        SAMPLES, LABELS, RATE, [np.full(LENGTH, 0.25, np.float32)], segments=[np.zeros((0, 2), np.int64)]
    )
    assert sum(np.all(others.make(rng) == 0.25) for _ in range(200)) == about(200, RECORDED)


def test_the_same_seed_gives_the_same_segments():
    clips = NegativeClips(of_segments([talk(0.1), talk(-0.1)]), 40, 2, seed=3)
    again = NegativeClips(of_segments([talk(0.1), talk(-0.1)]), 40, 2, seed=3)
    other = NegativeClips(of_segments([talk(0.1), talk(-0.1)]), 40, 2, seed=4)
    np.testing.assert_array_equal(clips.samples(0), again.samples(0))
    assert not np.array_equal(clips.samples(0), other.samples(0))
    drawn = [clips.clip(0, np.random.default_rng(5)) for _ in range(2)]
    np.testing.assert_array_equal(*drawn)


def test_nothing_to_make_them_of():
    with pytest.raises(DataError, match="there are no clips to make others of"):
        NegativeSampler(SAMPLES[:0], LABELS[:0], RATE)


def test_where_a_clip_sounds():
    begin, end = sounding(SAMPLES[0], RATE)
    assert begin == pytest.approx(BEGIN, abs=3 * 80)
    assert end == pytest.approx(END, abs=3 * 80)
    assert sounding(np.zeros(LENGTH, np.float32), RATE) == (0, LENGTH)
    assert sounding(np.ones(10, np.float32), RATE) == (0, 10)


def clips_with_negatives(augmentation=None) -> ClipsWithNegatives:
    front_end = LogMel.for_rate(RATE)
    clips = AudioClips(SAMPLES, LABELS, front_end, normalisation_of(SAMPLES, front_end), augmentation)
    return ClipsWithNegatives(clips, NegativeClips(NegativeSampler(SAMPLES, LABELS, RATE), 3, 2, seed=5))


def test_others_lie_behind_the_clips():
    data = clips_with_negatives()
    assert len(data) == 7
    np.testing.assert_array_equal(data.labels, [0, 0, 1, 1, 2, 2, 2])
    np.testing.assert_array_equal(data.samples(np.arange(4)), SAMPLES)
    assert data.batch(np.array([6, 0])).shape == (2, 101, 40)


def test_without_a_generator_each_is_always_the_same_and_with_one_another():
    data = clips_with_negatives()
    indices = np.array([5, 1, 6])
    np.testing.assert_array_equal(data.batch(indices), data.batch(indices))
    np.testing.assert_array_equal(data.batch(indices)[2], data.batch(np.array([6]))[0])
    np.testing.assert_array_equal(
        data.batch(indices, np.random.default_rng(3)), data.batch(indices, np.random.default_rng(3))
    )
    assert not np.array_equal(data.batch(indices, np.random.default_rng(3)), data.batch(indices))


def test_they_are_augmented_like_the_words():
    plain, augmented = clips_with_negatives(), clips_with_negatives(Augmentation.default(RATE))
    indices = np.array([5])
    assert not np.array_equal(
        plain.batch(indices, np.random.default_rng(3)), augmented.batch(indices, np.random.default_rng(3))
    )


def test_talk_has_no_pauses(rng):
    talk = NegativeSampler(SAMPLES, LABELS, RATE).background("babble", rng)
    assert len(talk) == 4 * LENGTH
    levels = np.square(talk[: len(talk) // 800 * 800].reshape(-1, 800)).mean(axis=1)
    assert levels.min() > 0.05 * levels.mean()


@pytest.mark.parametrize("kind", KINDS)
def test_a_background_is_as_loud_all_along(kind, rng):
    background = sampler_of_the_words().background(kind, rng)
    assert background.shape == (4 * LENGTH,)
    assert background.dtype == np.float32
    powers = np.square(background.reshape(4, LENGTH)).mean(axis=1)
    assert powers == pytest.approx(powers[0], rel=1e-3)
