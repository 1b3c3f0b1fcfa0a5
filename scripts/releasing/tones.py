#!/usr/bin/env python3
"""Write recordings of a high and a low tone, with noise: `FOLDER/tones`, a folder a class, and `FOLDER/new`.

    scripts/releasing/tones.py FOLDER

Needs Python's own modules only, for it runs where nothing but a release is installed.
"""

from __future__ import annotations

import math
import random
import sys
import wave
from array import array
from pathlib import Path

SAMPLE_RATE, SECONDS, CLIPS = 4000, 0.25, 12
FREQUENCIES = {"high": 1200.0, "low": 300.0}  # Hz


def main() -> None:
    """Write the recordings."""
    (folder,) = sys.argv[1:]
    rng = random.Random(0)
    for label, frequency in FREQUENCIES.items():
        for number in range(CLIPS):
            write_tone(Path(folder, "tones", label, f"{number}.wav"), frequency, rng)
        write_tone(Path(folder, "new", f"{label}.wav"), frequency, rng)


def write_tone(path: Path, frequency: float, rng: random.Random) -> None:
    """Write one recording, 16 bits a sample, of a tone with any phase."""
    phase = rng.uniform(0, 2 * math.pi)
    times = (number / SAMPLE_RATE for number in range(round(SECONDS * SAMPLE_RATE)))
    samples = [0.4 * math.sin(2 * math.pi * frequency * time + phase) + rng.gauss(0, 0.05) for time in times]
    values = array("h", (round(32767 * max(-1.0, min(1.0, sample))) for sample in samples))
    if sys.byteorder == "big":
        values.byteswap()
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(values.tobytes())


if __name__ == "__main__":
    main()
