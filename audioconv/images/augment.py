"""Augmentation of pictures: shift, rotation, zoom and shear."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from audioconv.kernels import affine

Pictures = NDArray[np.float32]
Maps = NDArray[np.float32]

MAX_SHIFT = 1 / 14
"""Largest shift, as a share of the smaller side: two pixels of 28."""

MAX_ROTATION = 12.0
"""In degrees, to either side."""

MAX_ZOOM = 1.15
"""And the smallest is its inverse."""

MAX_SHEAR = 0.15
"""Columns for each row."""


def draw_maps(count: int, height: int, width: int, rng: np.random.Generator) -> Maps:
    """Draw how each of `count` pictures is moved, turned, zoomed and sheared about its middle, (count, 2, 3).

    A map leads from a pixel of the new picture to its place in the old one.
    """
    turn = np.radians(rng.uniform(-MAX_ROTATION, MAX_ROTATION, count))
    zoom = np.exp(rng.uniform(-1, 1, (count, 2)) * math.log(MAX_ZOOM))
    shear = rng.uniform(-MAX_SHEAR, MAX_SHEAR, count)
    shift = rng.uniform(-1, 1, (count, 2)) * MAX_SHIFT * min(height, width)
    cos, sin = np.cos(turn), np.sin(turn)
    maps = np.empty((count, 2, 3))
    maps[:, 0, 0], maps[:, 0, 1] = cos, -sin
    maps[:, 1, 0], maps[:, 1, 1] = sin + shear * cos, cos - shear * sin
    maps[:, :, :2] /= zoom[:, :, None]
    middle = np.array([(height - 1) / 2, (width - 1) / 2])
    maps[:, :, 2] = middle - maps[:, :, :2] @ middle + shift
    return maps.astype(np.float32)


def transform(pictures: Pictures, maps: Maps) -> Pictures:
    """Return `pictures` (N, H, W, C), each seen through its map (N, 2, 3); beyond the border lies the border."""
    changed = np.empty(pictures.shape, np.float32)
    affine.affine(np.ascontiguousarray(pictures, np.float32), np.ascontiguousarray(maps, np.float32), changed)
    return changed


def augment(pictures: Pictures, rng: np.random.Generator) -> Pictures:
    """Return `pictures` (N, H, W, C) moved, turned, zoomed and sheared a little, at random."""
    count, height, width, _ = pictures.shape
    return transform(pictures, draw_maps(count, height, width, rng))
