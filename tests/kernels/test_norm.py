from __future__ import annotations

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from audioconv import ops
from audioconv.errors import ShapeError
from audioconv.kernels import norm

# Around a block of pixels, around sixteen parts of them, and none that divides evenly.
PIXELS = [1, 2, norm.BLOCK - 1, norm.BLOCK, norm.BLOCK + 1, 16 * norm.BLOCK + 1, 17 * norm.BLOCK, 5000]


@pytest.mark.parametrize("pixels", PIXELS)
@pytest.mark.parametrize("channels", [1, 5, 40])
def test_sums_and_moments(rng, pixels, channels):
    x = (3 + 2 * rng.standard_normal((pixels, channels))).astype(np.float32)
    exact = x.astype(np.float64)
    mean, variance = ops.channel_moments(x)
    np.testing.assert_allclose(mean, exact.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(variance, exact.var(axis=0), rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(ops.channel_sums(x), exact.sum(axis=0), rtol=1e-6)


def test_moments_of_numbers_far_from_zero_do_not_cancel(rng):
    x = (1e4 + rng.standard_normal((4000, 3))).astype(np.float32)
    _, variance = ops.channel_moments(x)
    np.testing.assert_allclose(variance, x.astype(np.float64).var(axis=0), rtol=1e-3)


def test_moments_of_a_constant_have_no_variance():
    mean, variance = ops.channel_moments(np.full((3, 100, 2), 0.1, np.float32))
    np.testing.assert_allclose(mean, np.float32(0.1), rtol=1e-6)
    np.testing.assert_allclose(variance, 0, atol=1e-13)


@given(shape=st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3, 16, 17])))
def test_affine(shape):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape, np.float32)
    mean, scale, shift = rng.standard_normal((3, shape[-1]))
    np.testing.assert_allclose(ops.channel_affine(x, mean, scale, shift), (x - mean) * scale + shift, atol=1e-5)


@pytest.mark.parametrize("pixels", [2, 100, 3000])
def test_batch_norm_gradients(rng, pixels):
    """Against differences of the reference in float64, one random direction each."""
    x, dy, direction = rng.standard_normal((3, pixels, 4))
    x, dy = x.astype(np.float32), dy.astype(np.float32)
    weight, bias, turn = rng.standard_normal((3, 4))
    mean, variance = ops.channel_moments(x)
    inverse_std = 1 / np.sqrt(variance + 1e-5)
    dx, dweight, dbias = ops.batch_norm_gradients(x, dy, mean, inverse_std, weight.astype(np.float32))

    def loss(step=0.0, weight_step=0.0):
        return np.vdot(dy, reference.batch_norm(x + step * direction, weight + weight_step * turn, bias))

    scale = np.linalg.norm(dy) * np.abs(weight).max() * np.sqrt(inverse_std.max())
    h = 1e-6
    assert abs(np.vdot(dx, direction) - (loss(h) - loss(-h)) / (2 * h)) < 1e-3 * scale
    assert abs(np.vdot(dweight, turn) - (loss(0, h) - loss(0, -h)) / (2 * h)) < 1e-3 * scale
    np.testing.assert_allclose(dbias, dy.sum(axis=0), rtol=1e-4, atol=1e-5)


def test_channels_that_do_not_fit_are_refused(rng):
    x = rng.standard_normal((2, 5, 3), np.float32)
    with pytest.raises(ShapeError, match=r"needs 2 channels, got input of shape \(5, 3\)"):
        ops.channel_affine(x, np.zeros(2), np.ones(2), np.zeros(2))
    with pytest.raises(ShapeError, match="must have that shape"):
        ops.batch_norm_gradients(x, x[:1], np.zeros(3), np.ones(3), np.ones(3, np.float32))
