"""Changing pictures in training, so that a network learns what does not matter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.float32]


def draw_shifts(count: int, largest: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return by how many pixels each of `count` pictures is moved down and right, (count, 2), -largest to largest."""
    return rng.integers(-largest, largest, (count, 2), endpoint=True)


def shift(pictures: Pictures, shifts: NDArray[np.integer]) -> Pictures:
    """Return `pictures` (N, H, W, C), each moved by its row of `shifts` (N, 2); its border fills what is uncovered."""
    N, H, W, _ = pictures.shape
    rows = np.clip(np.arange(H) - shifts[:, :1], 0, H - 1)
    columns = np.clip(np.arange(W) - shifts[:, 1:], 0, W - 1)
    moved: Pictures = pictures[np.arange(N)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return moved


def augment(pictures: Pictures, rng: np.random.Generator) -> Pictures:
    """Return `pictures` moved at random by up to a fourteenth of their smaller side (two pixels of 28)."""
    largest = min(pictures.shape[1:3]) // 14
    return shift(pictures, draw_shifts(len(pictures), largest, rng)) if largest else pictures
