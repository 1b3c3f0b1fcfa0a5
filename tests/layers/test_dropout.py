from __future__ import annotations

import numpy as np
import pytest

from audioconv import layers as L
from audioconv.errors import ConfigError

BOTH = pytest.mark.parametrize("layer", [L.Dropout(0.4), L.ChannelDropout(0.4)], ids=["numbers", "channels"])


def training(seed=0):
    return L.Pass(training=True, rng=np.random.default_rng(seed))


@BOTH
def test_outside_training_it_does_nothing(layer, rng):
    x = rng.standard_normal((3, 5, 4), np.float32)
    y, saved = layer.forward({}, x, L.Pass())
    np.testing.assert_array_equal(y, x)
    assert saved is None


@BOTH
def test_the_gradient_is_dropped_and_scaled_where_the_forward_pass_was(layer, rng):
    x, dy = rng.standard_normal((2, 6, 30, 20)).astype(np.float32)
    run = training()
    y, saved = layer.forward({}, x, run)
    dx, grads = layer.backward({}, saved, dy, run)
    mask = y / x
    np.testing.assert_allclose(np.unique(np.round(mask, 4)), [0, 1.6667])
    np.testing.assert_allclose(dx, mask * dy, rtol=1e-5)
    assert grads == {}
    assert np.asarray(saved).size == 1  # a seed, no mask


@BOTH
def test_each_pass_and_each_layer_of_a_pass_drops_others(layer):
    ones = np.ones((400, 2, 20), np.float32)
    network = L.Chain([layer, layer])
    run = training()
    first, _ = network.forward({}, ones, run)
    second, _ = network.forward({}, ones, run)
    again, _ = network.forward({}, ones, training())
    np.testing.assert_array_equal(first, again)
    assert (first != second).any()
    # Two draws of their own keep 0.6 * 0.6; the same draw twice would keep 0.6.
    assert abs((first != 0).mean() - 0.36) < 0.03


def test_whole_channels_of_an_example_are_kept_or_dropped():
    y, _ = L.ChannelDropout(0.5).forward({}, np.ones((20, 6, 5, 8), np.float32), training())
    per_channel = y.reshape(20, 30, 8)
    assert (per_channel == per_channel[:, :1]).all()
    assert 0.3 < (per_channel[:, 0] == 0).mean() < 0.7


def test_the_expected_value_stays(rng):
    x = rng.uniform(1, 2, (50, 40, 30)).astype(np.float32)
    y, _ = L.Dropout(0.2).forward({}, x, training())
    assert abs(y.mean() - x.mean()) < 0.02


def test_training_without_a_generator_is_refused():
    with pytest.raises(ConfigError, match=r"needs a random generator: Pass\(True, rng\)"):
        L.Dropout(0.5).forward({}, np.ones((1, 3), np.float32), L.Pass(training=True))
    y, _ = L.Dropout(0).forward({}, np.ones((1, 3), np.float32), L.Pass(training=True))  # nothing to draw
    assert y.all()
