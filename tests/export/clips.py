"""Real clips of words."""

from __future__ import annotations

import numpy as np

from audioconv.audio.read import fit_length, read

RATE = 16000


def real_clips(test_data, count=24):
    """Return clips (count, 16000) float32 of as many words as there are."""
    files = sorted((test_data / "speech-commands-9").rglob("*.flac"))
    chosen = np.linspace(0, len(files) - 1, count).astype(int)
    return np.stack([fit_length(read(files[number], RATE), RATE) for number in chosen])
