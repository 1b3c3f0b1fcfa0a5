from __future__ import annotations

import functools

import numpy as np
import pytest

from audioconv.audio.augment import Augmentation
from audioconv.audio.clips import AudioClips, ClipsWithNegatives, normalisation_of
from audioconv.audio.negatives import KINDS, NegativeClips, NegativeSampler, sounding
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
    assert 250 < of_long < 320
    assert 1 <= of_short < 40


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
