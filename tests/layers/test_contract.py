"""One table runs every layer class through the whole contract of `audioconv.layers.base`."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, dataclass

import numpy as np
import pytest
from layer_cases import CASES, name_of, started

from audioconv import layers as L
from audioconv.errors import ConfigError, ShapeError
from audioconv.layers import base
from audioconv.model import Model

every_case = pytest.mark.parametrize("case", CASES, ids=name_of)


def train_step(layer, params, x, dy=None):
    run = L.Pass(training=True, rng=np.random.default_rng(5))
    y, saved = layer.forward(params, x, run)
    dy = np.cos(np.arange(y.size, dtype=np.float32)).reshape(y.shape) if dy is None else dy
    dx, grads = layer.backward(params, saved, dy, run)
    return y, dx, L.flatten(grads), L.flatten(layer.updates(params, saved))


def test_no_layer_is_missing_from_the_table():
    public = {name for name, kind in L.Layer.kinds.items() if kind.__module__.startswith("audioconv.")}
    assert {type(case.layer).__name__ for case in CASES} == public


@every_case
def test_gradients_alone_are_those_of_backward(case, rng):
    params, x = started(case, 3, rng)
    run = L.Pass(training=True, rng=np.random.default_rng(5))
    y, saved = case.layer.forward(params, x, run)
    _, grads = case.layer.backward(params, saved, np.ones_like(y), run)
    alone = L.flatten(case.layer.gradients(params, saved, np.ones_like(y), run))
    assert alone.keys() == L.flatten(grads).keys()
    for path, gradient in L.flatten(grads).items():
        np.testing.assert_array_equal(alone[path], gradient)


@every_case
@pytest.mark.parametrize("batch", [1, 3])
def test_the_promised_shape_is_the_produced_shape(case, batch, rng):
    params, x = started(case, batch, rng)
    wanted = (batch, *case.layer.out_shape(case.in_shape))
    y, saved = case.layer.forward(params, x, L.Pass())
    assert (y.shape, y.dtype) == (wanted, np.float32)
    assert saved is None
    y, dx, grads, updates = train_step(case.layer, params, x)
    assert (y.shape, y.dtype) == (wanted, np.float32)
    assert (dx.shape, dx.dtype) == (x.shape, np.float32)
    for path, array in {**grads, **updates}.items():
        assert (array.shape, array.dtype) == (L.flatten(params)[path].shape, np.float32), path


@every_case
def test_an_empty_batch_gives_an_empty_batch(case, rng):
    params, x = started(case, 0, rng)
    y, _ = case.layer.forward(params, x, L.Pass())
    assert y.shape == (0, *case.layer.out_shape(case.in_shape))


@every_case
def test_gradients_and_updates_are_those_of_the_parameters(case, rng):
    params, x = started(case, 3, rng)
    paths = set(L.flatten(params))
    _, _, grads, updates = train_step(case.layer, params, x)
    assert set(grads) == {path for path in paths if L.is_trained(path)}
    assert set(updates) == paths - set(grads)


@every_case
def test_nothing_that_comes_in_is_changed_and_all_may_be_read_only(case, rng):
    params, x = started(case, 3, rng)
    dy = rng.standard_normal((3, *case.layer.out_shape(case.in_shape)), np.float32)
    arrays = [x, dy, *L.flatten(params).values()]
    writable = train_step(case.layer, params, x, dy)
    copies = [array.copy() for array in arrays]
    for array in arrays:
        array.setflags(write=False)
    read_only = train_step(case.layer, params, x, dy)
    case.layer.forward(params, x, L.Pass())
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)
    for a, b in zip(writable[:2], read_only[:2], strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(writable[2:], read_only[2:], strict=True):
        assert a.keys() == b.keys()
        for path in a:
            np.testing.assert_array_equal(a[path], b[path])


@every_case
def test_the_memory_layout_of_an_array_does_not_matter(case, rng):
    params, x = started(case, 3, rng)
    wanted = train_step(case.layer, params, x)
    dy = np.cos(np.arange(wanted[0].size, dtype=np.float32)).reshape(wanted[0].shape)
    found = train_step(case.layer, params, np.asfortranarray(x), np.asfortranarray(dy))
    for a, b in zip(wanted[:2], found[:2], strict=True):
        np.testing.assert_array_equal(a, b)
    for path in wanted[2]:
        np.testing.assert_array_equal(wanted[2][path], found[2][path])


@every_case
def test_an_example_gives_the_same_alone_and_in_a_batch(case, rng):
    params, x = started(case, 3, rng)
    together, _ = case.layer.forward(params, x, L.Pass())
    for n in range(3):
        alone, _ = case.layer.forward(params, x[n : n + 1], L.Pass())
        np.testing.assert_allclose(alone[0], together[n], rtol=1e-6, atol=1e-6)


@every_case
def test_the_configuration_survives_json(case):
    config = json.loads(json.dumps(L.to_config(case.layer)))
    again = L.from_config(config)
    assert again == case.layer
    assert hash(again) == hash(case.layer)
    assert repr(again) == repr(case.layer)
    assert again.label() == case.layer.label()
    assert L.to_config(again) == config


@every_case
def test_a_layer_is_frozen_and_equal_only_to_its_like(case):
    for name in (*L.to_config(case.layer), "anything"):
        with pytest.raises(FrozenInstanceError):
            setattr(case.layer, name, 1)
    assert [other.layer for other in CASES if other.layer == case.layer] == [case.layer]


@every_case
def test_init_draws_from_the_generator_alone(case):
    first, again = (L.flatten(case.layer.init(case.in_shape, np.random.default_rng(3))) for _ in range(2))
    assert first.keys() == again.keys()
    for path, array in first.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, again[path])


@every_case
def test_the_shapes_of_the_parameters_are_known_without_drawing_them(case, rng, monkeypatch):
    expected = {path: array.shape for path, array in L.flatten(case.layer.init(case.in_shape, rng)).items()}
    monkeypatch.setattr(base, "_Undrawn", None)
    shapes = L.flatten(case.layer.param_shapes(case.in_shape))
    assert list(shapes.items()) == list(expected.items())


@every_case
def test_the_error_for_a_wrong_input_is_exact(case, rng):
    if case.wrong_shape is None:
        assert len(case.layer.out_shape(case.in_shape)) >= 1
        return
    for act in (case.layer.out_shape, case.layer.param_shapes, lambda shape: case.layer.init(shape, rng)):
        with pytest.raises(ShapeError) as caught:
            act(case.wrong_shape)
        assert str(caught.value) == case.message


@pytest.mark.parametrize("case", [case for case in CASES if case.wrong_shape], ids=name_of)
def test_inside_a_network_the_error_begins_with_the_dotted_path(case, rng):
    network = L.Chain([L.Identity(), L.Residual(L.Chain([L.Concat([case.layer])]))])
    path = "1.body.0.0"
    for act in (network.out_shape, network.param_shapes, lambda shape: network.init(shape, rng)):
        with pytest.raises(ShapeError) as caught:
            act(case.wrong_shape)
        found = str(caught.value)
        assert found in (f"{path}.{case.message}", f"{path} {case.message}")
        assert caught.value.path.startswith(path)


# --- what is refused when a layer is made --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L.Conv(0, 3), "Conv: filters must be at least 1, got 0"),
        (lambda: L.Dense(-1), "Dense: units must be at least 1, got -1"),
        (lambda: L.Dropout(1), "Dropout: rate must be at least 0 and below 1, got 1"),
        (lambda: L.ChannelDropout(-0.1), "ChannelDropout: rate must be at least 0 and below 1, got -0.1"),
        (lambda: L.Concat([]), "Concat: needs at least one branch"),
        (lambda: L.Sum([]), "Sum: needs at least one branch"),
        (lambda: L.Multiply([]), "Multiply: needs at least one branch"),
        (lambda: L.Clamp(1, 0), "Clamp: low must be at most high, got 1 and 0"),
        (lambda: L.Scale(False, False), "Scale: needs a weight, a bias or both"),
        (lambda: L.Mean([]), "Mean: axes are counted from the end, -1 for the channels, each once; got ()"),
        (lambda: L.Softmax(0), "Softmax: axes are counted from the end, -1 for the channels, each once; got (0,)"),
        (lambda: L.Rearrange((0, 0)), "Rearrange: axes are counted from 0, each at most once; got (0, 0)"),
        (lambda: L.Pad((1, 1)), "Pad: padding must be (before, after) for each axis, at least 0; got (1, 1)"),
        (lambda: L.Chain([L.ReLU(), 3]), "Chain: part 1 must be a layer such as ReLU(), got 3"),
        (lambda: L.Residual(None), "Residual: part body must be a layer such as ReLU(), got None"),
    ],
)
def test_a_layer_that_cannot_work_is_refused_at_once(make, message):
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "config",
    [None, 3, "ReLU", [], {}, {"layer": "Nothing"}, {"layer": ["ReLU"]}, {"layer": None}, {"layer": "_Combinator"}],
)
def test_a_configuration_of_no_known_layer_is_refused(config):
    with pytest.raises(ConfigError, match=r"unknown layer .*; known are AvgPool, AvgPoolExcludePadding, BatchNorm, "):
        L.from_config(config)


@pytest.mark.parametrize(
    "config",
    [
        {"layer": "Conv", "filters": 3},
        {"layer": "Conv", "filters": "many", "kernel": 3},
        {"layer": "ReLU", "slope": 3},
        {"layer": "Dropout", "rate": None},
        {"layer": "Chain", "layers": 7},
        {"layer": "Chain", "layers": [1]},
        {"layer": "Chain", "layers": [{"layer": "Dense"}]},
    ],
)
def test_a_configuration_that_does_not_fit_its_layer_is_refused(config):
    with pytest.raises(ConfigError):
        L.from_config(config)


# --- a layer of a user's own ---


@dataclass(frozen=True)
class Factors(L.Layer):
    """A factor for each channel, with an `init` and nothing that tells its shapes."""

    count: int = 1

    def infer_shape(self, in_shape):
        return in_shape

    def init(self, in_shape, rng):
        drawn = {name: getattr(rng, name)(size=in_shape[-1]).astype(np.float32) for name in ("normal", "uniform")}
        factors = rng.standard_normal((self.count, in_shape[-1]), np.float32)
        return {"factors": factors, "drawn": {**drawn, "one": np.full((), rng.random(), np.float32)}}

    def forward(self, params, x, run):
        return x * params["factors"].sum(axis=0), x if run.training else None

    def backward(self, params, saved, dy, run):
        return dy * params["factors"].sum(axis=0), {"factors": (saved * dy).sum(axis=0)}


@pytest.fixture
def own_layer():
    yield Factors(2)
    del L.Layer.kinds["Factors"]


def test_the_shapes_of_a_users_layer_come_from_its_init(own_layer):
    L.Layer.kinds["Factors"] = Factors
    network = L.Chain([own_layer, L.Dense(2)])
    shapes = L.flatten(network.param_shapes((3,)))
    assert shapes == {
        "0.factors": (2, 3), "0.drawn.normal": (3,), "0.drawn.uniform": (3,), "0.drawn.one": (),
        "1.weight": (3, 2), "1.bias": (2,),
    }  # fmt: skip
    assert shapes == {path: x.shape for path, x in L.flatten(network.init((3,), np.random.default_rng(0))).items()}
    with pytest.raises(ConfigError, match="more than 134,217,728 parameters"):
        Factors(10**10).param_shapes((3,))


def test_a_model_with_a_users_layer_is_saved_and_loaded(own_layer, tmp_path, rng):
    L.Layer.kinds["Factors"] = Factors
    network = L.Chain([own_layer, L.Dense(2)])
    model = Model(network, network.init((3,), rng), ("a", "b"), (3,))
    model.save(tmp_path / "m.safetensors")
    x = rng.standard_normal((4, 3), np.float32)
    np.testing.assert_array_equal(Model.load(tmp_path / "m.safetensors").logits(x), model.logits(x))
