"""Whole recordings, read in pieces."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import soundfile
from streams import RATE, recording

from audioconv.audio import read
from audioconv.errors import DataError
from audioconv.streaming import detect

SAID = [("high", 1.0), ("low", 9.85), ("low", 19.0), ("high", 24.0)]  # over the edges of the pieces


@pytest.mark.parametrize(("suffix", "rate"), [(".wav", RATE), (".flac", 16000), (".ogg", 44100)])
def test_a_file_is_its_samples(model, tmp_path, suffix, rate):
    path = tmp_path / f"long{suffix}"
    soundfile.write(path, recording(SAID, 25.0, rate), rate)
    samples = soundfile.read(path, dtype="float32")[0]
    found = detect(model, path, threshold=0.6)
    assert found == detect(model, samples, sample_rate=rate, threshold=0.6)
    assert [one.label for one in found] == [label for label, _ in SAID]


def test_a_long_file_is_not_loaded(model, tmp_path):
    seconds = 1800
    with soundfile.SoundFile(tmp_path / "long.wav", "w", RATE, 1, "PCM_16") as file:
        for _ in range(seconds // 25):
            file.write(recording(SAID, 25.0))
    detect(model, recording(SAID, 25.0), threshold=0.6)
    tracemalloc.start()
    try:
        found = detect(model, tmp_path / "long.wav", threshold=0.6)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found) == 4 * seconds // 25
    assert peak < 4 * RATE * seconds / 4  # a quarter of its samples


def test_blocks_are_the_whole(tmp_path, rng):
    samples = rng.normal(0, 0.1, (23_456, 2)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", samples, 8000, subtype="FLOAT")
    with read.blocks(tmp_path / "a.wav", seconds=1) as blocks:
        assert (blocks.info.sample_rate, blocks.info.channels, blocks.info.frames) == (8000, 2, 23_456)
        found = list(blocks)
    assert [len(block) for block in found] == [8000, 8000, 7456]
    np.testing.assert_array_equal(np.concatenate(found), samples)


def test_mp3_in_blocks(tmp_path, capfd):
    soundfile.write(tmp_path / "a.mp3", recording(SAID, 25.0, 8000), 8000)
    with read.blocks(tmp_path / "a.mp3", seconds=1) as blocks:
        found = np.concatenate(list(blocks))[:, 0]
    # The decoder gives other last bits each time; but nothing is lost between blocks, of which it would complain.
    np.testing.assert_allclose(found, soundfile.read(tmp_path / "a.mp3", dtype="float32")[0], atol=1e-6)
    assert capfd.readouterr().err == ""


def test_what_cannot_be_read(model, tmp_path):
    with pytest.raises(DataError, match=r"none.wav: cannot be read"):
        detect(model, tmp_path / "none.wav")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), RATE)
    with pytest.raises(DataError, match=r"empty.wav: holds no samples"):
        detect(model, tmp_path / "empty.wav")
    broken = recording(SAID, 25.0)
    broken[15 * RATE] = np.nan
    soundfile.write(tmp_path / "nan.wav", broken, RATE, subtype="FLOAT")
    with pytest.raises(DataError, match=r"nan.wav: holds NaN or infinite samples"):
        detect(model, tmp_path / "nan.wav")
    loud = recording(SAID, 25.0)
    loud[15 * RATE] = 3000
    soundfile.write(tmp_path / "loud.wav", loud, RATE, subtype="FLOAT")
    with pytest.raises(DataError, match=r"loud.wav: after 10 s: the block has samples of 3000"):
        detect(model, tmp_path / "loud.wav")
    soundfile.write(tmp_path / "cut.wav", recording(SAID, 25.0), RATE)
    (tmp_path / "cut.wav").write_bytes((tmp_path / "cut.wav").read_bytes()[:100_000])
    with pytest.raises(DataError, match=r"cut.wav: cut off"):
        detect(model, tmp_path / "cut.wav")
