"""Pictures moved, turned, zoomed and sheared: each as its map says."""

import numpy as np
import pytest

from audioconv.images import augment


def seen_through(picture, matrix):
    """Return what `augment.transform` must give, pixel by pixel in float64."""
    H, W, _ = picture.shape
    out = np.empty(picture.shape)
    for h in range(H):
        for w in range(W):
            row, column = matrix.astype(np.float64) @ (h, w, 1)
            row, column = np.clip(row, 0, H - 1), np.clip(column, 0, W - 1)
            a, b = int(row), int(column)
            c, d = min(a + 1, H - 1), min(b + 1, W - 1)
            upper = picture[a, b] * (1 - (column - b)) + picture[a, d] * (column - b)
            lower = picture[c, b] * (1 - (column - b)) + picture[c, d] * (column - b)
            out[h, w] = upper * (1 - (row - a)) + lower * (row - a)
    return out


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(9, 7, 1), (8, 12, 3), (1, 5, 1)])
def test_it_is_what_the_map_says(shape, rng):
    pictures = rng.random((4, *shape), np.float32)
    maps = augment.draw_maps(4, *shape[:2], rng)
    for found, picture, matrix in zip(augment.transform(pictures, maps), pictures, maps, strict=True):
        np.testing.assert_allclose(found, seen_through(picture, matrix), atol=2e-5)


def test_whole_steps_and_no_step(rng):
    picture = rng.random((1, 6, 5, 2), np.float32)
    still = np.array([[[1, 0, 0], [0, 1, 0]]], np.float32)
    np.testing.assert_array_equal(augment.transform(picture, still), picture)
    moved = augment.transform(picture, np.array([[[1, 0, -1], [0, 1, 2]]], np.float32))[0]
    np.testing.assert_array_equal(moved[1:, :3], picture[0, :-1, 2:])  # one down, two to the left
    np.testing.assert_array_equal(moved[0], moved[1])  # the border goes on


def test_maps_turn_about_the_middle_within_their_limits(rng):
    height, width = 28, 20
    maps = augment.draw_maps(2000, height, width, rng).astype(np.float64)
    middle = np.array([(height - 1) / 2, (width - 1) / 2, 1])
    away = np.abs(maps @ middle - middle[:2])
    assert away.max() <= augment.MAX_SHIFT * width + 1e-4
    assert away.max() > 0.9 * augment.MAX_SHIFT * width
    area = np.linalg.det(maps[:, :, :2])
    assert 1 / augment.MAX_ZOOM**2 - 1e-3 <= area.min() < 0.85
    assert 1.15 < area.max() <= augment.MAX_ZOOM**2 + 1e-3
    turn = np.degrees(np.arctan2(-maps[:, 0, 1], maps[:, 0, 0]))
    assert 11 < np.abs(turn).max() <= augment.MAX_ROTATION + 1e-3
    np.testing.assert_allclose(maps[:, :, :2].mean(axis=0), np.eye(2), atol=0.02)


def test_the_same_generator_gives_the_same_pictures():
    pictures = np.random.default_rng(1).random((3, 28, 28, 1), np.float32)
    first, second = (augment.augment(pictures, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.dtype == np.float32
    assert not np.array_equal(first, pictures)
