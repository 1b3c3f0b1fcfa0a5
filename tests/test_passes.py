"""Networks with a part that has no fused form go through their plain layers, and give what they gave."""

from __future__ import annotations

import numpy as np
import pytest

from audioconv import layers as L
from audioconv import passes
from audioconv.layers.base import Pass
from audioconv.optim import WeightVector
from audioconv.training import ArrayData, fit

IN_SHAPE = (12, 8, 1)


def network(activation):
    return L.Chain([L.Conv(6, (3, 3)), L.BatchNorm(), activation, L.GlobalAvgPool(), L.Dropout(0.3), L.Dense(3)])


@pytest.mark.parametrize("activation", [L.ReLU(), L.SiLU(), L.Concat([L.SiLU()])])
def test_both_ways_give_the_plain_result(activation):
    net = network(activation)
    rng = np.random.default_rng(0)
    params = L.flatten(net.init(IN_SHAPE, rng))
    nested = L.unflatten(dict(params))
    x, dy = rng.standard_normal((5, *IN_SHAPE), np.float32), rng.standard_normal((5, 3), np.float32)
    wanted, _ = net.forward(nested, x, Pass())
    np.testing.assert_allclose(passes.inference(net, nested, IN_SHAPE)(x), wanted, rtol=1e-4, atol=1e-5)

    vector = WeightVector({path: array for path, array in params.items() if L.is_trained(path)})
    arrays = {path: vector.views.get(path, array) for path, array in params.items()}
    both = passes.training_passes(net, vector, arrays, IN_SHAPE, 5)
    run = Pass(training=True, rng=np.random.default_rng(1))
    logits, saved = net.forward(nested, x, run)
    np.testing.assert_allclose(both.forward(x, np.random.default_rng(1)), logits, rtol=1e-4, atol=1e-5)
    both.backward(dy)
    for path, gradient in L.flatten(net.gradients(nested, saved, dy, run)).items():
        place = vector.places[path]
        found = vector.gradient[place : place + gradient.size].reshape(gradient.shape)
        np.testing.assert_allclose(found, gradient, rtol=1e-3, atol=1e-5)
    for path, value in L.flatten(net.updates(nested, saved)).items():
        np.testing.assert_allclose(both.updates()[path], value, rtol=1e-5)


def test_a_network_that_is_not_compiled_trains():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    x = 0.1 * rng.standard_normal((60, *IN_SHAPE)) + labels[:, None, None, None]
    net = L.Chain([L.Conv(6, (3, 3)), L.Concat([L.Tanh()]), L.GlobalAvgPool(), L.Dense(3)])
    fitted = fit(net, ArrayData(x, labels), epochs=20, validation=ArrayData(x, labels))
    assert fitted.history.rows[-1].train_loss < 0.95 * fitted.history.rows[0].train_loss
