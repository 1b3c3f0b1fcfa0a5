from __future__ import annotations

import numpy as np
import pytest
import reference

from audioconv import ops
from audioconv.errors import ShapeError
from audioconv.kernels import elementwise

KINDS = sorted(ops.ACTIVATIONS)
EXTREMES = np.array([-np.inf, -1e30, -200, -90, -1e-30, -0.0, 0.0, 1e-30, 90, 200, 1e30, np.inf], np.float32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 17, elementwise.BLOCK + 5])
def test_activations(rng, kind, size):
    x, dy = (3 * rng.standard_normal((2, size))).astype(np.float32)
    np.testing.assert_allclose(ops.activate(x, kind, 0.1), reference.activate(x, kind, 0.1), rtol=2e-6, atol=1e-6)
    found = ops.activate_input_gradient(x, dy, kind, 0.1)
    np.testing.assert_allclose(found, reference.activate_input_gradient(x, dy, kind, 0.1), rtol=2e-5, atol=3e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_extreme_numbers(kind):
    with np.errstate(all="ignore"):
        wanted = reference.activate(EXTREMES, kind, 0.1)
    if kind == "silu":
        wanted[0] = np.nan  # minus infinity times zero
    found = ops.activate(EXTREMES, kind, 0.1)
    finite = np.abs(wanted) < 1e30
    np.testing.assert_allclose(found[finite], wanted[finite], rtol=2e-6, atol=1e-30)
    gradient = ops.activate_input_gradient(EXTREMES[1:-1], np.ones(10, np.float32), kind, 0.1)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("kind", KINDS)
def test_nan_stays_nan(kind):
    assert np.isnan(ops.activate(np.array([np.nan, 1], np.float32), kind)).tolist() == [True, False]


def test_the_slope_of_relu_at_zero_is_zero():
    zeros, ones = np.zeros(3, np.float32), np.ones(3, np.float32)
    np.testing.assert_array_equal(ops.activate_input_gradient(zeros, ones, "relu"), zeros)


def test_a_gradient_of_another_shape_is_refused():
    with pytest.raises(ShapeError, match=r"must have that shape, got \(2,\)"):
        ops.activate_input_gradient(np.zeros(3, np.float32), np.zeros(2, np.float32), "relu")


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_drops_its_share_and_scales_the_rest(rate):
    y = ops.dropout(np.ones((100, 1000), np.float32), 3, rate)
    kept = y != 0
    assert abs(kept.mean() - (1 - rate)) < 5 * np.sqrt(rate * (1 - rate) / y.size)
    np.testing.assert_allclose(y[kept], 1 / (1 - rate), rtol=1e-6)
    # Neither rows nor columns nor neighbours go together.
    assert abs(kept.mean(axis=0) - (1 - rate)).max() < 6 * np.sqrt(rate * (1 - rate) / 100)
    assert abs(kept.mean(axis=1) - (1 - rate)).max() < 6 * np.sqrt(rate * (1 - rate) / 1000)
    centred = kept - kept.mean()
    assert abs((centred[:, 1:] * centred[:, :-1]).mean()) < 5 * rate * (1 - rate) / np.sqrt(y.size)


def test_dropout_is_a_function_of_its_seed():
    x = np.ones((4, 50, 3), np.float32)
    np.testing.assert_array_equal(ops.dropout(x, 7, 0.5), ops.dropout(x, 7, 0.5))
    assert (ops.dropout(x, 7, 0.5) != ops.dropout(x, 8, 0.5)).mean() > 0.3
    assert (ops.dropout(x, 2**63 - 1, 0.5) != ops.dropout(x, 0, 0.5)).mean() > 0.3


@pytest.mark.parametrize("spatial", [(), (7,), (5, 6)])
def test_whole_channels_go_together(spatial):
    y = ops.dropout(np.ones((30, *spatial, 40), np.float32), 5, 0.25, whole_channels=True)
    flat = y.reshape(30, -1, 40)
    assert (flat == flat[:, :1]).all()
    assert abs((flat[:, 0] == 0).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 1200)
    assert len(np.unique(flat[:, 0] != 0, axis=0)) > 25  # each example drops channels of its own
