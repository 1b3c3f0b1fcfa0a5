"""What is measured of a recording does not depend on the blocks in which it is read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audioconv.audio import read
from audioconv.audio.read import Segment
from audioconv.datasets.check.measure import CLIPPED_RUN, Sound, _Numbers, measure_sound

RATE = 8000


def save(path: Path, samples: np.ndarray, **options: str) -> Path:
    soundfile.write(path, samples, RATE, **options)
    return path


def clipped(seed: int) -> np.ndarray:
    """Return noise with an offset, of which many samples are cut off."""
    rng = np.random.default_rng(seed)
    return np.clip(0.2 + np.cumsum(rng.normal(0, 0.3, 2000)) % 3 - 1.5, -1, 1).astype(np.float32)


def slow_share(samples: np.ndarray) -> float:
    """Return the share of clipped samples, one run after the other."""
    count = begin = 0
    while begin < len(samples):
        end = begin + 1
        while end < len(samples) and samples[end] == samples[begin]:
            end += 1
        if abs(samples[begin]) >= 0.98 and end - begin >= CLIPPED_RUN:
            count += end - begin
        begin = end
    return count / len(samples)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("length", [1, 2, 3, 7, 100, 5000])
def test_numbers_of_blocks_are_those_of_the_whole(seed: int, length: int) -> None:
    samples, numbers = clipped(seed), _Numbers()
    for begin in range(0, len(samples), length):
        numbers.add(samples[begin : begin + length])
    assert numbers.digest.digest() == hashlib.sha256(samples.tobytes()).digest()
    assert numbers.mean == pytest.approx(samples.mean(dtype=np.float64), rel=1e-12)
    assert numbers.spread == pytest.approx(samples.std(dtype=np.float64), rel=1e-12)
    assert numbers.peak == pytest.approx(np.abs(samples - samples.mean(dtype=np.float64)).max(), rel=1e-12)
    assert numbers.clipped / numbers.count == slow_share(samples) > 0


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_short_blocks_give_the_same_sound(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.stack([clipped(0), clipped(0)], axis=1)
    path = save(tmp_path / name, samples)
    whole, part = measure_sound(path), measure_sound(Segment(path, 0.05, 0.2))
    monkeypatch.setattr(read, "MAX_BLOCK", 14)
    for before, after in ((whole, measure_sound(path)), (part, measure_sound(Segment(path, 0.05, 0.2)))):
        assert before.digest == after.digest
        for field in ("seconds", "sample_rate", "channels", "clipped", "is_empty"):
            assert getattr(before, field) == getattr(after, field)
        for field in ("loudness", "peak", "offset"):
            assert getattr(before, field) == pytest.approx(getattr(after, field), abs=1e-9)


def test_identical_samples_have_one_digest(tmp_path: Path) -> None:
    samples = clipped(1)
    files = [("a.wav", "PCM_16"), ("a.flac", "PCM_16"), ("a.aiff", "PCM_24"), ("b.wav", "PCM_24"), ("a.rf64", "PCM_16")]
    # 24 bits hold what 16 bits hold, once they are rounded to them.
    rounded = soundfile.read(save(tmp_path / "r.wav", samples))[0]
    digests = {measure_sound(save(tmp_path / name, rounded, subtype=subtype)).digest for name, subtype in files}
    assert len(digests) == 1
    assert measure_sound(save(tmp_path / "c.wav", rounded[:-1])).digest not in digests


@pytest.mark.parametrize("level", [0.0, 0.25, 1.0])
def test_silence_of_many_blocks_is_empty(tmp_path: Path, level: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "MAX_BLOCK", 33)
    sound: Sound = measure_sound(save(tmp_path / "a.wav", np.full(1000, level), subtype="FLOAT"))
    assert sound.is_empty
    assert sound.clipped == (level == 1)
