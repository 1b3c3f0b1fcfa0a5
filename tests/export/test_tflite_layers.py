"""Every layer as TFLite operators, beside LiteRT."""

from __future__ import annotations

import numpy as np
import pytest
from layer_cases import CASES, name_of, started

from audioconv import layers as L
from audioconv.export import operations as O
from audioconv.export import tflite, tflite_operators

pytest.importorskip("tflite", reason="needs the extra: pip install 'audioconv[export]'")
pytest.importorskip("ai_edge_litert", reason="could not import 'ai_edge_litert'")

import exported
from graphs import CHAINS, graph_of


def test_every_operation_has_a_writer():
    assert set(tflite_operators.RULES) == set(O.Operation.__subclasses__()) - {O.BatchNormalise}


def run(layer, params, in_shape, x):
    content = tflite.write(graph_of(layer, params, in_shape), {})
    shape = (len(x), *layer.out_shape(in_shape))
    return tflite.Runner(content)(x)["y"].reshape(shape)


@pytest.mark.parametrize("case", CASES, ids=name_of)
@pytest.mark.parametrize("batch", [1, 3])
def test_a_layer_computes_the_same_in_litert(case, batch, rng):
    params, x = started(case, batch, rng)
    if isinstance(case.layer, L.Power):
        x = np.abs(x)
    wanted, _ = case.layer.forward(params, x, L.Pass())
    np.testing.assert_allclose(run(case.layer, params, case.in_shape, x), wanted, rtol=1e-5, atol=3e-6)


@pytest.mark.parametrize("name", CHAINS)
def test_chains(name, rng):
    parts, in_shape = CHAINS[name]
    network = L.Chain(parts)
    params = exported.drawn_params(network, in_shape, rng)
    x = rng.standard_normal((3, *in_shape), np.float32)
    wanted, _ = network.forward(params, x, L.Pass())
    np.testing.assert_allclose(run(network, params, in_shape, x), wanted, rtol=1e-5, atol=3e-6)
