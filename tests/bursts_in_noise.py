"""Clips that are like words to a front end: half of what changes in them changes within a clip."""

from __future__ import annotations

import numpy as np


def words(rng, count=24, rate=16000, changing=True):
    """Return clips of two sounds, in rooms of their own: half of what is heard changes within a clip."""
    time = np.arange(rate) / rate
    x = np.empty((count, rate), np.float32)
    for i in range(count):
        pitch = 500 * (1 + i % 2) * np.exp(0.2 * rng.standard_normal())
        tone = np.sin(2 * np.pi * pitch * time) * (np.abs(time - rng.uniform(0.4, 0.6)) < 0.2 if changing else 1)
        x[i] = tone * 0.3 + rng.standard_normal(rate) * 10 ** rng.uniform(-3.5, -2.5)
    return x, ["low" if i % 2 else "high" for i in range(count)]
