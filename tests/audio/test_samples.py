"""Whole recordings put together from blocks: the same samples as all at once, in bounded memory."""

from __future__ import annotations

import numpy as np
import pytest

from audioconv.audio import samples as module
from audioconv.audio.samples import (
    FULL_SCALE,
    fitted_begin,
    record,
    record_int16,
    resample,
    resample_blocks,
)
from audioconv.errors import ConfigError


def cut(signal: np.ndarray, length: int) -> list[np.ndarray]:
    return [signal[begin : begin + length] for begin in range(0, len(signal), length)]


@pytest.mark.parametrize(("from_rate", "to_rate"), [(44100, 16000), (8000, 16000), (16000, 16000), (192000, 1000)])
@pytest.mark.parametrize("size", [1, 2, 100, 12345])
@pytest.mark.parametrize("length", [1, 64, 100_000])
def test_blocks_are_resampled_as_the_whole(
    rng: np.random.Generator, from_rate: int, to_rate: int, size: int, length: int
) -> None:
    signal = rng.uniform(-1, 1, size).astype(np.float32)
    blocks = cut(signal, max(length, size // 100))
    found = record(resample_blocks(blocks, from_rate, to_rate), expected=0)
    np.testing.assert_array_equal(found, resample(signal, from_rate, to_rate))
    assert found.dtype == np.float32


def test_absurd_rates_are_refused() -> None:
    with pytest.raises(ConfigError, match="between 1000 and 1000000 Hz"):
        list(resample_blocks([np.zeros(10, np.float32)], 16000, 3))


@pytest.mark.parametrize("expected", [0, 1, 1000, 5000])
@pytest.mark.parametrize("length", [1, 7, 1000])
def test_a_record_grows_as_samples_come(rng: np.random.Generator, expected: int, length: int) -> None:
    signal = rng.uniform(-1, 1, 1000).astype(np.float32)
    found = record(cut(signal, length), expected)
    np.testing.assert_array_equal(found, signal)
    assert found.base is None  # nothing that was reserved stays


def test_integers_hold_full_scale(rng: np.random.Generator) -> None:
    signal = np.concatenate([[1, -1, 0], rng.uniform(-1, 1, 1000)]).astype(np.float32)
    found, scale = record_int16(cut(signal, 10), 0)
    assert (found.dtype, scale) == (np.int16, 1 / FULL_SCALE)
    np.testing.assert_array_equal(found[:3], [32767, -32768, 0])
    np.testing.assert_allclose(found[3:] * np.float32(scale), signal[3:], rtol=0, atol=0.51 / FULL_SCALE)


@pytest.mark.parametrize(("peak", "factor"), [(1.0001, 2), (2, 2), (2.5, 4), (-1000, 1024)])
@pytest.mark.parametrize("place", [0, 999])
def test_integers_beyond_full_scale_have_another_scale(
    rng: np.random.Generator, peak: float, factor: int, place: int
) -> None:
    signal = rng.uniform(-1, 1, 1000).astype(np.float32)
    signal[place] = peak
    found, scale = record_int16(cut(signal, 100), 2000)
    assert scale == factor / FULL_SCALE
    np.testing.assert_allclose(found * np.float32(scale), signal, rtol=0, atol=1.01 * scale)


@pytest.mark.parametrize("chunk", [1, 3, 50])
def test_long_signals_are_searched_in_chunks(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator, chunk: int
) -> None:
    signals = [rng.integers(-2, 3, int(rng.integers(1, 90))).astype(np.float32) for _ in range(40)]
    lengths = rng.integers(1, 90, len(signals))
    whole = [fitted_begin(signal, int(length)) for signal, length in zip(signals, lengths, strict=True)]
    monkeypatch.setattr(module, "LONG_SIGNAL", chunk)
    assert [fitted_begin(signal, int(length)) for signal, length in zip(signals, lengths, strict=True)] == whole
