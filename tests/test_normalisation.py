"""The scale on which a network sees its input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from audioconv.errors import ConfigError, DataError, ShapeError
from audioconv.features.front_ends import LogMel, Mfcc, RawSamples
from audioconv.features.normalisation import MIN_DEVIATION, Normalisation
from audioconv.pipeline import inputs


def test_it_refuses_arrays_that_do_not_fit() -> None:
    with pytest.raises(ShapeError, match=r"must both be \(bands,\), got \(3,\) and \(4,\)"):
        Normalisation(np.zeros(3, np.float32), np.ones(4, np.float32))


def test_nothing_to_measure() -> None:
    with pytest.raises(DataError, match="no clips to measure"):
        Normalisation.measure([])


def test_channels_that_never_change_are_only_shifted() -> None:
    pictures = np.full((3, 4, 4, 2), 0.25, np.float32)
    pictures[..., 1] = np.random.default_rng(0).random((3, 4, 4))
    normalisation = Normalisation.measure([pictures])
    np.testing.assert_allclose(normalisation(pictures)[..., 0], 0, atol=1e-6)
    assert normalisation(pictures)[..., 1].std() == pytest.approx(1, rel=1e-4)


@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 30), st.integers(1, 9)), elements=st.floats(
        -80, 20, width=32)),
    st.integers(0, 2**32),
)  # fmt: skip
def test_by_the_clip_it_is_the_definition_and_each_clip_stands_alone(features, seed) -> None:
    rng = np.random.default_rng(seed)
    bands = features.shape[-1]
    mean, std = rng.normal(-40, 5, bands).astype(np.float32), rng.uniform(5, 15, bands).astype(np.float32)
    found = Normalisation(mean, std, by_clip=True)(features)
    wide = features.astype(np.float64)
    own, spread = wide.mean(axis=1, keepdims=True), wide.std(axis=1, keepdims=True)
    np.testing.assert_allclose(found, (wide - own) / (spread + MIN_DEVIATION * std), atol=1e-4)
    assert found.dtype == np.float32
    for clip, alone in zip(found, features, strict=True):
        np.testing.assert_array_equal(Normalisation(mean, std, by_clip=True)(alone[None])[0], clip)
        np.testing.assert_array_equal(Normalisation(mean, std, by_clip=True)(alone), clip)


def test_by_the_clip_silence_and_what_colours_it_all_the_time_are_nothing() -> None:
    rng = np.random.default_rng(0)
    normalisation = Normalisation(np.full(8, -40, np.float32), np.full(8, 10, np.float32), by_clip=True)
    np.testing.assert_array_equal(normalisation(np.full((1, 20, 8), -60, np.float32)), 0)
    clip, colour = rng.normal(-40, 10, (1, 20, 8)).astype(np.float32), rng.normal(0, 10, 8).astype(np.float32)
    np.testing.assert_allclose(normalisation(clip + colour), normalisation(clip), atol=1e-4)


def sounds(kind: str, count: int = 24, rate: int = 8000) -> np.ndarray:
    """Return tones that go on all the time, or are there for a moment, in silence or in rooms of all kinds."""
    rng = np.random.default_rng(0)
    time = np.arange(rate) / rate
    clips = 0.1 * np.sin(2 * np.pi * rng.uniform(100, 3000, (count, 1)) * time) + 0.03 * rng.standard_normal(
        (count, rate)
    )
    if kind == "steady":
        return (clips * 10 ** rng.uniform(-1, 0, (count, 1))).astype(np.float32)
    clips *= np.exp(-np.square((time - rng.uniform(0.3, 0.7, (count, 1))) / 0.15))
    if kind == "rooms":
        clips += rng.standard_normal((count, rate)) * 10 ** rng.uniform(-4, -1.3, (count, 1))
    return clips.astype(np.float32)


@pytest.mark.parametrize("kind", ["steady", "rooms", "silence"])
@pytest.mark.parametrize("front_end", [LogMel.for_rate(8000, floor=1e-6), Mfcc.for_rate(8000, floor=1e-6)])
def test_clips_that_change_and_differ_are_each_its_own_scale(front_end, kind) -> None:
    source, x = inputs.AudioInput(front_end, 8000), sounds(kind)
    assert source.measure(x).by_clip == (kind == "rooms")
    assert source.measure(x, by_clip=kind != "rooms").by_clip == (kind != "rooms")


def test_samples_are_not_normalised_by_the_clip_unasked() -> None:
    source = inputs.AudioInput(RawSamples(8000), 8000)
    assert not source.measure(sounds("rooms")).by_clip
    assert source.measure(sounds("rooms"), by_clip=True).by_clip


def test_pictures_are_not_normalised_one_by_one() -> None:
    with pytest.raises(ConfigError, match="only sounds"):
        inputs.ImageInput((4, 4, 1)).measure(np.zeros((2, 4, 4, 1), np.float32), by_clip=True)
