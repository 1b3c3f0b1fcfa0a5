"""A data set of two tones, small enough to train on in a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

RATE = 4000
# A tone backwards, or a piece of it, is the same tone: there is nothing to learn to reject.
TRAINING = ["--epochs", "4", "--batch-size", "8", "--clip-seconds", "0.25", "--no-augment", "--no-reject"]
TONES = {"high": 1200, "low": 300}


def write_tone(path: Path, frequency: float, seconds: float = 0.25, phase: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(int(phase * 1000)).normal(0, 0.05, time.size)
    with open(path, "wb") as file:  # soundfile itself cannot open names that are not UTF-8
        soundfile.write(file, 0.4 * np.sin(2 * np.pi * frequency * time + phase) + noise, RATE, format="WAV")
    return path


def write_tones(folder: Path, count: int = 10) -> Path:
    for label, frequency in TONES.items():
        for n in range(count):
            write_tone(folder / label / f"{n}.wav", frequency, phase=n)
    return folder


def write_manifest(folder: Path, test: int = 3) -> Path:
    """List the recordings of `write_tones`, the last few of each class for the test."""
    rows = ["path,label,split"]
    for label in TONES:
        paths = sorted((folder / label).glob("*.wav"))
        rows += [f"{label}/{path.name},{label},{'test' if path in paths[-test:] else 'train'}" for path in paths]
    (folder / "manifest.csv").write_text("\n".join(rows))
    return folder
