"""Clips as a data set: normalisation, augmentation, and the network's input."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from audioconv.audio.augment import Augmentation
from audioconv.audio.clips import AudioClips, network_input, normalisation_of
from audioconv.audio.read import fit_length, read
from audioconv.errors import DataError, ShapeError
from audioconv.features.front_ends import LogMel, Mfcc, RawSamples

FRONT_ENDS = [LogMel(), Mfcc(), RawSamples()]


@pytest.fixture
def samples() -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal((7, 4000))).astype(np.float32)


def clips_of(samples: np.ndarray, front_end=None, **settings) -> AudioClips:
    front_end = front_end or LogMel()
    labels = np.arange(len(samples)) % 3
    return AudioClips(samples, labels, front_end, normalisation_of(samples, front_end), **settings)


@pytest.mark.parametrize("front_end", FRONT_ENDS, ids=lambda f: type(f).__name__)
def test_normalised_features_have_mean_0_and_deviation_1(front_end, samples: np.ndarray) -> None:
    normalisation = normalisation_of(samples, front_end)
    features = normalisation(front_end(samples))
    assert features.dtype == np.float32
    bands = front_end.out_shape(4000)[1]
    assert normalisation.mean.shape == normalisation.std.shape == (bands,)
    np.testing.assert_allclose(features.mean(axis=(0, 1), dtype=np.float64), 0, atol=1e-4)
    np.testing.assert_allclose(features.std(axis=(0, 1), dtype=np.float64), 1, atol=1e-4)


def test_measuring_in_parts_is_measuring_the_whole(monkeypatch: pytest.MonkeyPatch, samples: np.ndarray) -> None:
    whole = normalisation_of(samples, LogMel())
    monkeypatch.setattr("audioconv.audio.clips.CHUNK", 3)
    parts = normalisation_of(samples, LogMel())
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-6)
    np.testing.assert_allclose(parts.std, whole.std, rtol=1e-6)


@pytest.mark.parametrize("front_end", FRONT_ENDS, ids=lambda f: type(f).__name__)
def test_silent_clips_normalise_to_finite_values(front_end) -> None:
    silence = np.zeros((3, 1000), np.float32)
    normalisation = normalisation_of(silence, front_end)
    np.testing.assert_allclose(normalisation(front_end(silence)), 0, atol=1e-4)
    loud = normalisation(front_end(np.ones((1, 1000), np.float32)))
    assert np.abs(loud).max() < 1000


def test_nothing_to_measure() -> None:
    with pytest.raises(DataError, match="no clips to measure"):
        normalisation_of(np.zeros((0, 1000), np.float32), LogMel())


@pytest.mark.parametrize(
    ("front_end", "input_shape", "shape"),
    [
        (LogMel(), None, (26, 40)),
        (LogMel(), (26, 40, 1), (26, 40, 1)),
        (Mfcc(), (26, 13), (26, 13)),
        (RawSamples(), None, (4000, 1)),
    ],
)
def test_batch_is_the_networks_input(front_end, input_shape, shape, samples: np.ndarray) -> None:
    clips = clips_of(samples, front_end, input_shape=input_shape)
    assert len(clips) == 7
    assert clips.input_shape == shape
    x = clips.batch(np.array([5, 0, 5]))
    assert x.shape == (3, *shape)
    assert x.dtype == np.float32
    expected = network_input(samples[[5, 0, 5]], front_end, clips.normalisation, input_shape)
    np.testing.assert_array_equal(x, expected)
    np.testing.assert_array_equal(clips.batch(np.array([0]))[0], x[1])


def test_a_generator_without_augmentation_changes_nothing(samples: np.ndarray) -> None:
    clips = clips_of(samples)
    indices = np.arange(7)
    np.testing.assert_array_equal(clips.batch(indices, np.random.default_rng(0)), clips.batch(indices))
    none = clips_of(samples, augmentation=Augmentation.none())
    np.testing.assert_array_equal(none.batch(indices, np.random.default_rng(0)), clips.batch(indices))


@pytest.mark.parametrize("front_end", FRONT_ENDS, ids=lambda f: type(f).__name__)
def test_augmentation_by_the_generator(front_end, samples: np.ndarray) -> None:
    before = samples.copy()
    clips = clips_of(samples, front_end, augmentation=Augmentation.default(16000))
    indices = np.array([1, 2, 3])
    plain = clips.batch(indices)
    first = clips.batch(indices, np.random.default_rng(1))
    np.testing.assert_array_equal(first, clips.batch(indices, np.random.default_rng(1)))
    assert first.shape == plain.shape
    assert np.isfinite(first).all()
    for clip, other in zip(first, plain, strict=True):
        assert not np.array_equal(clip, other)
    assert not np.array_equal(first, clips.batch(indices, np.random.default_rng(2)))
    np.testing.assert_array_equal(samples, before)


def test_no_indices_give_an_empty_batch(samples: np.ndarray) -> None:
    clips = clips_of(samples, augmentation=Augmentation.default(16000))
    nothing = np.array([], np.int64)
    assert clips.batch(nothing).shape == (0, 26, 40)
    assert clips.batch(nothing, np.random.default_rng(0)).shape == (0, 26, 40)


def test_labels_that_do_not_fit_are_refused(samples: np.ndarray) -> None:
    with pytest.raises(ShapeError, match=r"one label each, got \(7, 4000\) and \(6,\)"):
        AudioClips(samples, np.zeros(6, np.int64), LogMel(), normalisation_of(samples, LogMel()))


def test_an_input_that_features_do_not_fill_is_refused(samples: np.ndarray) -> None:
    with pytest.raises(ShapeError, match=r"features of shape \(26, 40\) do not fill an input of shape \(26, 41\)"):
        clips_of(samples, input_shape=(26, 41))
    with pytest.raises(ShapeError, match=r"features of shape \(26, 40\) do not fill .* of shape \(26, 41\)"):
        network_input(samples, LogMel(), normalisation_of(samples, LogMel()), (26, 41))


def test_real_keywords(test_data: Path) -> None:
    paths = sorted((test_data / "speech-commands-9").glob(f"up{os.sep}*.flac"))[:50]
    samples = np.stack([fit_length(read(path, 16000), 16000) for path in paths])
    clips = clips_of(samples, augmentation=Augmentation.default(16000), input_shape=(101, 40, 1))
    x = clips.batch(np.arange(50), np.random.default_rng(0))
    assert x.shape == (50, 101, 40, 1)
    assert np.isfinite(x).all()
    assert 0.5 < x.std() < 2
