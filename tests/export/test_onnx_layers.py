"""Every layer as ONNX nodes, beside ONNX Runtime, and every operation in the tables of the writers."""

from __future__ import annotations

import numpy as np
import pytest
from layer_cases import CASES, name_of, started

from audioconv import layers as L
from audioconv.export import layers as export_layers
from audioconv.export import operations as O

pytest.importorskip("onnx", reason="needs the extra: pip install 'audioconv[export]'")
pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'audioconv[export]'")

import exported
from graphs import CHAINS, graph_of

from audioconv.export import onnx_file, onnx_nodes


def test_every_layer_has_a_rule_and_every_operation_a_writer():
    public = {kind for kind in L.Layer.kinds.values() if kind.__module__.startswith("audioconv.")}
    assert set(export_layers.RULES) == public
    assert set(onnx_nodes.RULES) == set(O.Operation.__subclasses__())


@pytest.mark.parametrize("case", CASES, ids=name_of)
@pytest.mark.parametrize("batch", [1, 3])
def test_a_layer_computes_the_same_in_onnx_runtime(case, batch, rng):
    params, x = started(case, batch, rng)
    if isinstance(case.layer, L.Power):
        x = np.abs(x)
    wanted, _ = case.layer.forward(params, x, L.Pass())
    y = exported.run(onnx_file.write(graph_of(case.layer, params, case.in_shape), {}), x)["y"]
    assert y.shape == wanted.shape
    np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("name", CHAINS)
def test_axes_keep_their_meaning_through_chains(name, rng):
    parts, in_shape = CHAINS[name]
    network = L.Chain(parts)
    params = exported.drawn_params(network, in_shape, rng)
    x = rng.standard_normal((3, *in_shape), np.float32)
    wanted, _ = network.forward(params, x, L.Pass())
    y = exported.run(onnx_file.write(graph_of(network, params, in_shape), {}), x)["y"]
    np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=2e-6)


def operators(network, in_shape, rng):
    """Return the operators of a network's file."""
    import onnx

    params = exported.drawn_params(network, in_shape, rng)
    made = onnx.load_model_from_string(onnx_file.write(graph_of(network, params, in_shape), {}))
    return [node.op_type for node in made.graph.node]


def test_no_axes_are_exchanged_between_layers_nor_before_dense_weights(rng):
    network = L.Chain(CHAINS["flattened, then dense"][0])
    assert operators(network, (6, 7, 1), rng) == ["Reshape", "Conv", "Relu", "Flatten", "Gemm"]
    assert operators(network, (6, 7, 2), rng)[:2] == ["Transpose", "Conv"]  # pictures come channels last
