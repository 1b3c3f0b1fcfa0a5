"""Networks that hypothesis draws, in each format, and read back."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_networks import CLASSES, networks
from hypothesis import assume, given
from hypothesis import strategies as st

pytest.importorskip("onnx", reason="needs the extra: pip install 'audioconv[export]'")
pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'audioconv[export]'")
pytest.importorskip("tflite", reason="needs the extra: pip install 'audioconv[export]'")
pytest.importorskip("ai_edge_litert", reason="needs the extra: pip install 'audioconv[export]'")

import exported
from graphs import graph_of

from audioconv import interop
from audioconv import layers as L
from audioconv.export import evaluation, onnx_file, tflite
from audioconv.export.folding import folded


def started(case, examples, seed):
    """Return parameters, an input and the output for it, if it is of a size that float32 can be compared at."""
    network, in_shape = case
    rng = np.random.default_rng(seed)
    params = exported.drawn_params(network, in_shape, rng)
    x = rng.standard_normal((examples, *in_shape), np.float32)
    y, _ = network.forward(params, x, L.Pass())
    assume(np.isfinite(y).all() and np.abs(y).max() < 1e6)
    return params, x, y


def near(found, wanted):
    """Assert that numbers differ by rounding alone."""
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 2e-5 * max(1.0, np.abs(wanted).max())


@given(networks(), st.sampled_from([1, 3]), st.integers(0, 99))
def test_onnx(case, examples, seed):
    params, x, y = started(case, examples, seed)
    near(exported.run(onnx_file.write(graph_of(case[0], params, case[1]), {}), x)["y"], y)


@given(networks(), st.sampled_from([1, 3]), st.integers(0, 99))
def test_tflite(case, examples, seed):
    params, x, y = started(case, examples, seed)
    near(tflite.Runner(tflite.write(graph_of(case[0], params, case[1]), {}))(x)["y"], y)


@given(networks(), st.integers(0, 99))
def test_evaluated_with_folded_normalisation(case, seed):
    params, x, y = started(case, 2, seed)
    graph = folded(graph_of(case[0], params, case[1]))
    near(dict(evaluation.values(graph.steps, {"x": x}))[graph.outputs["y"].name], y)


@given(case=networks(), seed=st.integers(0, 99))
def test_read_back_from_onnx(case, seed, tmp_path_factory):
    params, x, y = started(case, 2, seed)
    path = tmp_path_factory.mktemp("drawn") / "m.onnx"
    path.write_bytes(onnx_file.write(graph_of(case[0], params, case[1]), {}))
    found = interop.read(path)
    assert found.out_shape == (CLASSES,)
    near(found.network.forward(found.params, found.from_file_order(x_of_file(x)), L.Pass())[0], y)


def x_of_file(x):
    """Return x (N, *spatial, channels) with channels first."""
    return np.moveaxis(x, -1, 1)


@given(networks(), st.integers(0, 99))
def test_integers_give_numbers_of_the_same_size(case, seed):
    params, x, y = started(case, 64, seed)
    graph = graph_of(case[0], params, case[1])
    ranges = evaluation.ranges(folded(graph), [x])[0]
    found = tflite.Runner(tflite.write(graph, {}, ranges))(x)["y"]
    assert found.shape == y.shape
    low, high = y.min(), y.max()
    assert (found >= low - 0.02 * (high - low) - 1e-5).all()
    assert (found <= high + 0.02 * (high - low) + 1e-5).all()
