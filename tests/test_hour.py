"""An hour of stereo takes at most half a gigabyte, whatever is done with it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from memory import megabytes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="measures memory as Unix does"),
]

MAX_MEGABYTES = 500
RATE = 44_100


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return a folder with an hour of noise, a few words, and a model of them."""
    folder = tmp_path_factory.mktemp("hour")
    rng = np.random.default_rng(0)
    minute = rng.normal(0, 0.05, (60 * RATE, 2))
    with soundfile.SoundFile(folder / "hour.wav", "w", RATE, 2, "PCM_16") as file:
        for _ in range(60):
            file.write(minute)
    for label, pitch in (("low", 300), ("high", 1200)):
        (folder / "words" / label).mkdir(parents=True)
        for n in range(12):
            tone = 0.3 * np.sin(2 * np.pi * pitch * (1 + n / 100) * np.arange(16000) / 16000)
            soundfile.write(folder / "words" / label / f"{n}.wav", tone + rng.normal(0, 0.01, 16000), 16000)
    megabytes("train", "words", "-o", "model", "--epochs", "1", folder=folder)
    shutil.copytree(folder / "words", folder / "with an hour")
    (folder / "with an hour" / "noise").mkdir()
    (folder / "hour.wav").rename(folder / "with an hour" / "noise" / "hour.wav")
    return folder


HOUR = "with an hour/noise/hour.wav"


@pytest.mark.parametrize(
    "command",
    [
        ("train", "with an hour", "-o", "clip", "--epochs", "1"),
        ("train", "with an hour", "-o", "kept", "--epochs", "1", "--keep-classes"),
        ("train", "words", "-o", "noise", "--epochs", "1", "--noise", HOUR),
        ("train", "words", "-o", "others", "--epochs", "1", "--reject", "--negatives", HOUR),
        ("classify", "model", HOUR),
        ("evaluate", "model", "words", "--negatives", HOUR),
        pytest.param(("detect", "model", HOUR), marks=[pytest.mark.slow, pytest.mark.long]),
        ("data", "check", "with an hour"),
        ("info", "with an hour"),
    ],
    ids=lambda command: " ".join(command[:2]) if isinstance(command, tuple) else None,
)
def test_an_hour_of_stereo(command, folder):
    assert megabytes(*command, folder=folder) <= MAX_MEGABYTES
