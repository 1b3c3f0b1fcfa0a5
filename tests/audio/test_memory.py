"""Memory does not grow with a recording's own rate and channels, and not at all where it is only measured."""

from __future__ import annotations

import functools
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from memory import megabytes

from audioconv.audio.read import Segment, read, read_bytes, read_int16, read_window
from audioconv.datasets.check.measure import measure_sound

RATE = 44100


def long_recording(path: Path, seconds: int) -> Path:
    second = np.random.default_rng(0).uniform(-0.5, 0.5, (RATE, 2))
    with soundfile.SoundFile(path, "w", RATE, 2, "PCM_16") as file:
        for _ in range(seconds):
            file.write(second)
    return path


def peak(call: Callable[[], object]) -> int:
    """Return the most bytes that were taken at once, the result included."""
    call()  # what is loaded only once is not counted
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "bytes_a_second"),
    [("measure_sound", 0), ("part", 0), ("read_window", 0), ("read", 4 * 8000), ("read_int16", 2 * 8000)],
)
def test_memory_grows_by_the_samples_that_are_returned(tmp_path: Path, name: str, bytes_a_second: int) -> None:
    calls: dict[str, Callable[[Path], object]] = {
        "measure_sound": measure_sound,
        "part": lambda path: measure_sound(Segment(path, 1.0, 1000.0)),
        "read_window": lambda path: read_window(Segment(path, 0.5, 0.6), 8000, 8000),
        "read": lambda path: read(path, 8000),
        "read_int16": lambda path: read_int16(path, 8000),
    }
    paths = [long_recording(tmp_path / f"{seconds}.wav", seconds) for seconds in (20, 120)]
    peaks = [peak(functools.partial(calls[name], path)) for path in paths]
    # 100 s more are 35 MB as they are in the file, in floating point.
    assert peaks[1] - peaks[0] <= 100 * bytes_a_second * 1.1 + 2e6


def test_recordings_in_memory(tmp_path: Path) -> None:
    content = long_recording(tmp_path / "a.wav", 60).read_bytes()
    assert peak(lambda: read_bytes(content, "a.wav", 8000)) < 0.7 * 60 * RATE * 2 * 4  # in floating point


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="measures memory as Unix does")
def test_an_hour_is_checked_in_half_a_gigabyte(tmp_path: Path) -> None:
    for label in ("music", "talk"):
        (tmp_path / label).mkdir()
    long_recording(tmp_path / "music" / "hour.wav", 3600)
    soundfile.write(tmp_path / "talk" / "a.wav", np.random.default_rng(1).uniform(-0.5, 0.5, RATE), RATE)
    # Two files are too few, which the command says by its exit code.
    assert megabytes("data", "check", tmp_path, folder=tmp_path, codes=(0, 1)) < 500
