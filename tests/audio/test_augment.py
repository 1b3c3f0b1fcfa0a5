"""Augmentation: each change does what it says, and what is drawn stays in its range."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioconv.audio import augment, effects
from audioconv.audio.augment import Augmentation, MaskDraw, NoiseDraw, SampleDraw
from audioconv.errors import ConfigError, ShapeError


def power_db(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64))))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def clip(rng: np.random.Generator) -> np.ndarray:
    samples = np.zeros(16000, np.float32)
    samples[4000:12000] = rng.standard_normal(8000) * 0.1
    return samples


@given(size=st.integers(1, 9), offset=st.integers(-12, 12))
def test_time_shift(size: int, offset: int) -> None:
    samples = np.arange(1, size + 1, dtype=np.float32)
    expected = [samples[i - offset] if 0 <= i - offset < size else 0 for i in range(size)]
    np.testing.assert_array_equal(effects.time_shift(samples, offset), expected)


def test_gain(clip: np.ndarray) -> None:
    assert power_db(effects.apply_gain(clip, -6.0)) == pytest.approx(power_db(clip) - 6, abs=1e-4)
    assert effects.apply_gain(clip, 3.0).dtype == np.float32


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 20.0])
def test_noise_has_the_ratio(clip: np.ndarray, snr_db: float, rng: np.random.Generator) -> None:
    noise = (7 * rng.standard_normal(16000)).astype(np.float32)
    added = effects.mix_noise(clip, noise, snr_db).astype(np.float64) - clip
    assert power_db(clip) - power_db(added) == pytest.approx(snr_db, abs=1e-3)
    assert np.corrcoef(added, noise)[0, 1] == pytest.approx(1, abs=1e-6)


def test_silence_has_no_ratio(clip: np.ndarray) -> None:
    silence = np.zeros_like(clip)
    np.testing.assert_array_equal(effects.mix_noise(clip, silence, 0.0), clip)
    np.testing.assert_array_equal(effects.mix_noise(silence, clip, 0.0), silence)
    np.testing.assert_array_equal(effects.reverberate(silence, clip), silence)


def test_reverberation_is_convolution_at_the_direct_sounds_time(clip: np.ndarray, rng: np.random.Generator) -> None:
    response = (0.1 * rng.standard_normal(500)).astype(np.float32)
    response[37] = -2
    wet = np.convolve(clip.astype(np.float64), response)[37 : 37 + len(clip)]
    wet *= np.sqrt(np.mean(np.square(clip, dtype=np.float64)) / np.mean(wet**2))
    reverberated = effects.reverberate(clip, response)
    assert reverberated.dtype == np.float32
    np.testing.assert_allclose(reverberated, wet, atol=1e-6)


def test_a_room_without_reflections_changes_nothing(clip: np.ndarray) -> None:
    np.testing.assert_allclose(effects.reverberate(clip, np.array([0, 0, 3], np.float32)), clip, atol=1e-6)


@pytest.mark.parametrize("speed", [0.8, 0.93, 1.0, 1.1, 1.25])
def test_speed_changes_pitch_and_keeps_the_length(speed: float) -> None:
    time = np.arange(16000) / 16000
    tone = np.sin(2 * np.pi * 1000 * time).astype(np.float32)
    changed = effects.change_speed(tone, speed)
    assert changed.shape == tone.shape
    assert changed.dtype == np.float32
    assert np.abs(np.fft.rfft(changed)).argmax() == pytest.approx(1000 * speed, abs=1)


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
def test_noise_has_its_colour(slope: float, rng: np.random.Generator) -> None:
    noise = effects.coloured_noise(160_000, 16000, slope, rng)
    assert noise.dtype == np.float32
    assert power_db(noise) == pytest.approx(0, abs=1e-3)
    density = np.abs(np.fft.rfft(noise)) ** 2
    octaves = [density[10 * f : 20 * f].mean() for f in (100, 200, 400, 800, 1600, 3200)]  # 10 bins per Hz
    falls = np.diff(np.log2(octaves))
    np.testing.assert_allclose(falls, -slope, atol=0.2)
    assert density[:499].max() < 1e-6 * density.max()


@pytest.mark.parametrize("length", [1, 2, 5])
def test_noise_may_be_short(length: int, rng: np.random.Generator) -> None:
    noise = effects.coloured_noise(length, 16000, 1.0, rng)
    assert noise.shape == (length,)
    assert np.isfinite(noise).all()


@pytest.mark.parametrize("reverberation_time", [0.001, 0.1, 0.5])
def test_room_decays_in_its_time(reverberation_time: float, rng: np.random.Generator) -> None:
    response = effects.room_impulse_response(16000, reverberation_time, rng)
    assert response.dtype == np.float32
    assert response[0] == np.abs(response).max() == 1
    assert len(response) == pytest.approx(16000 * reverberation_time * 2 / 3, abs=2)
    if reverberation_time >= 0.1:
        halves = np.array_split(response[len(response) // 4 :], 2)
        fall = power_db(halves[0]) - power_db(halves[1])
        assert fall == pytest.approx(40 * 3 / 8, abs=6)


def test_cut_begins_again() -> None:
    recording = np.arange(3, dtype=np.float32)
    np.testing.assert_array_equal(effects.cut(recording, 1, 2), [1, 2])
    np.testing.assert_array_equal(effects.cut(recording, 2, 6), [2, 0, 1, 2, 0, 1])


def test_masks_hold_the_clips_mean(rng: np.random.Generator) -> None:
    features = rng.standard_normal((10, 6)).astype(np.float32)
    masked = augment.mask(features, MaskDraw(time=((2, 4), (9, 10)), bands=((0, 1), (3, 3))))
    hidden = np.zeros((10, 6), bool)
    hidden[[2, 3, 9]] = True
    hidden[:, 0] = True
    np.testing.assert_array_equal(masked[hidden], features.mean())
    np.testing.assert_array_equal(masked[~hidden], features[~hidden])


@given(size=st.integers(1, 200), count=st.integers(0, 4), longest=st.floats(0, 1), seed=st.integers(0, 99))
def test_stretches_are_in_range(size: int, count: int, longest: float, seed: int) -> None:
    stretches = augment.draw_stretches(np.random.default_rng(seed), size, count, longest)
    assert len(stretches) == count
    assert all(0 <= begin <= end <= size and end - begin <= longest * size for begin, end in stretches)


def test_draws_are_in_range_and_reach_its_ends(rng: np.random.Generator) -> None:
    augmentation = Augmentation(
        max_shift=3,
        gain_db=(-2.0, 5.0),
        noises=(np.ones(4, np.float32), np.ones(2, np.float32)),
        noise_probability=0.25,
        snr_db=(10.0, 20.0),
        impulse_responses=(np.ones(1, np.float32),) * 3,
        reverberation_probability=0.5,
        speed=(0.9, 1.2),
        speed_probability=0.75,
    )
    draws = [augmentation.draw(rng) for _ in range(4000)]
    assert {draw.offset for draw in draws} == set(range(-3, 4))
    assert {draw.impulse_response for draw in draws} == {None, 0, 1, 2}
    noises = [draw.noise for draw in draws if draw.noise]
    assert {(noise.index, noise.start) for noise in noises} == {(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1)}
    speeds = [draw.speed for draw in draws if draw.speed]
    for values, low, high in (
        ([draw.gain_db for draw in draws], -2, 5),
        ([noise.snr_db for noise in noises], 10, 20),
        (speeds, 0.9, 1.2),
    ):
        assert low <= min(values) < low + 0.05 * (high - low)
        assert high >= max(values) > high - 0.05 * (high - low)
    assert len(noises) / 4000 == pytest.approx(0.25, abs=0.03)
    assert sum(draw.impulse_response is not None for draw in draws) / 4000 == pytest.approx(0.5, abs=0.03)
    assert len(speeds) / 4000 == pytest.approx(0.75, abs=0.03)


def test_apply_does_each_step(clip: np.ndarray, rng: np.random.Generator) -> None:
    noise = rng.standard_normal(30000).astype(np.float32)
    response = effects.room_impulse_response(16000, 0.2, rng)
    augmentation = Augmentation(noises=(noise,), impulse_responses=(response,))
    draw = SampleDraw(speed=1.05, impulse_response=0, offset=-50, noise=NoiseDraw(0, 123, 12.0), gain_db=2.0)
    expected = effects.change_speed(clip, 1.05)
    expected = effects.reverberate(expected, response)
    expected = effects.time_shift(expected, -50)
    expected = effects.mix_noise(expected, noise[123 : 123 + 16000], 12.0)
    np.testing.assert_array_equal(augmentation.apply(clip, draw), effects.apply_gain(expected, 2.0))
    np.testing.assert_array_equal(augmentation.apply(clip, SampleDraw()), clip)


def test_none_changes_nothing(clip: np.ndarray, rng: np.random.Generator) -> None:
    augmentation = Augmentation.none()
    changed = augmentation.augment_samples(clip, rng)
    np.testing.assert_array_equal(changed, clip)
    features = rng.standard_normal((101, 40)).astype(np.float32)
    masked = augmentation.augment_features(features, rng)
    np.testing.assert_array_equal(masked, features)
    changed[:], masked[:] = 9, 9
    assert clip.max() < 9
    assert features.max() < 9


@pytest.mark.parametrize("sample_rate", [8000, 16000, 48000])
def test_default_keeps_clips_usable(sample_rate: int, rng: np.random.Generator) -> None:
    augmentation = Augmentation.default(sample_rate)
    clip = np.zeros(sample_rate, np.float32)
    clip[sample_rate // 4 : sample_rate // 2] = 0.1 * rng.standard_normal(sample_rate // 4)
    before = clip.copy()
    changed = np.stack([augmentation.augment_samples(clip, rng) for _ in range(50)])
    np.testing.assert_array_equal(clip, before)
    assert changed.dtype == np.float32
    assert changed.shape == (50, sample_rate)
    assert np.isfinite(changed).all()
    assert len(np.unique(changed, axis=0)) == 50
    levels = [power_db(row) - power_db(clip) for row in changed]
    assert -9 < min(levels) < max(levels) < 9


@pytest.mark.parametrize("length", [1, 2, 100])
def test_default_takes_any_clip(length: int, rng: np.random.Generator) -> None:
    augmentation = Augmentation.default(16000)
    for _ in range(30):
        for clip in (np.zeros(length, np.float32), np.ones(length, np.float32)):
            assert np.isfinite(augmentation.augment_samples(clip, rng)).all()
        features = rng.standard_normal((length, 1)).astype(np.float32)
        assert augmentation.augment_features(features, rng).shape == (length, 1)


def test_same_seed_same_augmentation(clip: np.ndarray) -> None:
    first, second = (
        Augmentation.default(16000, seed=3).augment_samples(clip, np.random.default_rng(1)) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    third = Augmentation.default(16000, seed=4)
    assert not np.array_equal(third.noises[0], Augmentation.default(16000, seed=3).noises[0])


def test_default_with_recordings_of_ones_own() -> None:
    noise, response = np.ones(10, np.float32), np.ones(3, np.float32)
    augmentation = Augmentation.default(16000, noises=[noise], impulse_responses=[])
    assert augmentation.noises[0] is noise
    assert augmentation.reverberation_probability == 0
    assert Augmentation.default(16000, impulse_responses=[response]).impulse_responses[0] is response


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_shift": -1}, "max_shift must not be negative, got -1"),
        ({"noise_probability": 1.5}, "noise_probability must lie between 0 and 1, got 1.5"),
        ({"max_time_mask": float("nan")}, "max_time_mask must lie between 0 and 1, got nan"),
        ({"gain_db": (3.0, -3.0)}, r"gain_db must be \(lowest, highest\), got \(3.0, -3.0\)"),
        ({"snr_db": (0.0, float("inf"))}, r"snr_db must be \(lowest, highest\)"),
        ({"speed": (0.1, 1.0)}, "speed must lie between 0.5 and 2"),
    ],
)
def test_bad_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(Augmentation.none(), **settings)


def test_recordings_of_another_shape_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"noises\[1\] must be \(samples,\), got \(3, 2\)"):
        Augmentation(noises=(np.ones(3, np.float32), np.ones((3, 2), np.float32)))
    with pytest.raises(ShapeError, match=r"impulse_responses\[0\] must be \(samples,\), got \(0,\)"):
        Augmentation(impulse_responses=(np.ones(0, np.float32),))


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.25])
def test_stretched_bands_lie_elsewhere(factor: float) -> None:
    bands = np.arange(40, dtype=np.float32)
    features = np.stack([np.exp(-((bands - 16) ** 2) / 18)] * 3)
    stretched = augment.stretch_bands(features, factor)
    assert stretched.shape == features.shape
    assert stretched.dtype == np.float32
    assert stretched[1].argmax() == round(16 * factor)
    # A ramp is interpolated without error, up to the last band.
    ramp = augment.stretch_bands(bands[None], factor)[0]
    np.testing.assert_allclose(ramp, np.minimum(bands / factor, 39), atol=1e-5)


def test_one_band_cannot_be_stretched() -> None:
    samples = np.arange(5, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(augment.stretch_bands(samples, 1.2), samples)


def test_stretching_is_drawn_in_its_range(rng: np.random.Generator) -> None:
    drawn = Augmentation(stretch=(0.8, 1.2), stretch_probability=0.5)
    factors = [drawn.draw_masks(10, 40, rng).stretch for _ in range(400)]
    stretched = [factor for factor in factors if factor != 1.0]
    assert 150 < len(stretched) < 250
    assert 0.8 <= min(stretched) < 0.85
    assert 1.15 < max(stretched) <= 1.2
    with pytest.raises(ConfigError, match="stretch must lie between"):
        Augmentation(stretch=(0.1, 1.0))
