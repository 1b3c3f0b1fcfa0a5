from __future__ import annotations

import numpy as np
import reference
from hypothesis import given
from hypothesis import strategies as st

from audioconv import ops


@st.composite
def poolings(draw):
    """Draw (settings, x): numbers far from each other, so that the largest of a window is clear."""
    axes = draw(st.integers(1, 2))
    each = {"min_size": axes, "max_size": axes}
    size = draw(st.lists(st.integers(1, 4), **each))
    stride = draw(st.none() | st.lists(st.integers(1, 5), **each))
    padding = [draw(st.tuples(st.integers(0, k - 1), st.integers(0, k - 1))) for k in size]
    spatial = [draw(st.integers(max(1, k - sum(pair)), k + 7)) for k, pair in zip(size, padding, strict=True)]
    shape = (draw(st.integers(1, 3)), *spatial, draw(st.sampled_from([1, 3, 8, 17])))
    order = np.random.default_rng(draw(st.integers(0, 99))).permutation(np.prod(shape))
    x = (order.reshape(shape) - order.size / 2).astype(np.float32)
    settings = {"size": tuple(size), "stride": None if stride is None else tuple(stride), "padding": tuple(padding)}
    return settings, x


def window_of(settings):
    return ops.pool_window(settings["size"], settings["stride"], settings["padding"], len(settings["size"]))


@given(poolings())
def test_max(case):
    settings, x = case
    window = window_of(settings)
    y, chosen = ops.max_pool(x, window)
    np.testing.assert_array_equal(y, reference.max_pool(x, **settings))
    dy = np.random.default_rng(0).standard_normal(y.shape).astype(np.float32)
    dx = ops.max_pool_input_gradient(dy, chosen, x.shape, window)
    np.testing.assert_allclose(dx, reference.max_pool_input_gradient(x, dy, **settings), rtol=1e-5, atol=1e-6)


@given(poolings())
def test_average(case):
    settings, x = case
    window = window_of(settings)
    y = ops.avg_pool(x, window)
    np.testing.assert_allclose(y, reference.avg_pool(x, **settings), rtol=1e-5, atol=1e-6 * x.size)
    dy = np.random.default_rng(0).standard_normal(y.shape).astype(np.float32)
    dx = ops.avg_pool_input_gradient(dy, x.shape, window)
    np.testing.assert_allclose(dx, reference.avg_pool_input_gradient(dy, x.shape, **settings), rtol=1e-5, atol=1e-6)


def test_padding_never_wins_even_over_minus_infinity():
    x = np.full((1, 3, 3, 1), -np.inf, np.float32)
    window = ops.pool_window(2, 2, 1, 2)
    y, chosen = ops.max_pool(x, window)
    assert np.isneginf(y).all()
    dx = ops.max_pool_input_gradient(np.ones_like(y), chosen, x.shape, window)
    assert dx.sum() == y.size  # each gradient went to a pixel, none to the padding


def test_the_first_of_equal_numbers_gets_the_gradient():
    x = np.ones((1, 4, 1), np.float32)
    window = ops.pool_window(2, None, 0, 1)
    chosen = ops.max_pool(x, window)[1]
    dx = ops.max_pool_input_gradient(np.array([[[3.0], [5.0]]], np.float32), chosen, x.shape, window)
    np.testing.assert_array_equal(dx[0, :, 0], [3, 0, 5, 0])


def test_a_nan_wins_wherever_it_stands_in_the_window(rng):
    for place in np.ndindex(3, 3):
        x = rng.standard_normal((1, 3, 3, 2)).astype(np.float32)
        x[(0, *place, 1)] = np.nan
        y = ops.max_pool2d(x, 3)
        assert np.isnan(y[0, 0, 0, 1])
        assert y[0, 0, 0, 0] == x[..., 0].max()


def test_a_global_average_keeps_its_digits():
    x = np.full((1, 300, 400, 1), 1.1, np.float32)
    np.testing.assert_allclose(ops.avg_pool2d(x, (300, 400)), np.float32(1.1), rtol=1e-5)
