"""Networks with a part that has no fused form go through their plain layers, and give what they gave."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass

import numpy as np
import pytest

from audioconv import layers as L
from audioconv.cli import run
from audioconv.compiler import execution
from audioconv.compiler.train_step import TrainingPasses
from audioconv.layers.base import Layer, Pass
from audioconv.model import Model
from audioconv.runtime.weights import WeightVector
from audioconv.training.fitting import ArrayData, fit
from audioconv.training.optimizers import AdamW

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
    np.testing.assert_allclose(execution.inference(net, nested, IN_SHAPE)(x), wanted, rtol=1e-4, atol=1e-5)

    vector = WeightVector({path: array for path, array in params.items() if L.is_trained(path)})
    arrays = {path: vector.views.get(path, array) for path, array in params.items()}
    both = execution.training_passes(net, vector, arrays, IN_SHAPE, 5)
    run = Pass(training=True, rng=np.random.default_rng(1))
    logits, saved = net.forward(nested, x, run)
    np.testing.assert_allclose(both.forward(x, np.random.default_rng(1)), logits, rtol=1e-4, atol=1e-5)
    both.backward(dy)
    for path, gradient in L.flatten(net.gradients(nested, saved, dy, run)).items():
        place = vector.offsets[path]
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


# --- what is said of it ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Doubled(Layer):
    """A layer of a user's own."""

    def infer_shape(self, in_shape):
        return in_shape

    def forward(self, params, x, run):
        return 2 * x, None

    def backward(self, params, saved, dy, run):
        return 2 * dy, {}


NOT_COMPILED = L.Power(2.0)
REASONS = {
    "a layer without a kernel": (NOT_COMPILED, "2 is Power, which is not compiled"),
    "a value joined with itself": (
        L.Concat([L.Identity(), L.Identity()]),
        "2: joins a value with itself, which is not compiled",
    ),
    "a factor of one channel": (
        L.Multiply([L.Identity(), L.Conv(1, 1)]),
        "2: a factor with one channel is not compiled",
    ),
    "a layer of one's own": (Doubled(), "2 is Doubled, which is not compiled"),
    "a value added to itself": (L.Residual(L.Dropout(0.5)), "2: adds a value to itself, which is not compiled"),
    "a negative slope": (L.LeakyReLU(-0.5), "2: a negative slope is not compiled"),
}


def said_of(caplog):
    return [record.message for record in caplog.records if "layer by layer" in record.message]


@pytest.mark.parametrize(("part", "reason"), REASONS.values(), ids=REASONS)
def test_a_network_that_runs_layer_by_layer_says_so_once_and_why(part, reason, caplog):
    net = network(part)
    wanted = f"layer by layer, which is slower than compiled: {reason}"
    params = net.init(IN_SHAPE, np.random.default_rng(0))
    execution._said.clear()
    with caplog.at_level(logging.INFO, "audioconv"):
        for _ in range(3):
            execution.inference(net, params, IN_SHAPE)(np.zeros((1, *IN_SHAPE), np.float32))
    assert said_of(caplog) == [f"the network runs {wanted}"]
    assert execution.how_it_runs(net, IN_SHAPE) == wanted
    summary = L.summary(net, IN_SHAPE)
    assert summary.remarks == (f"runs {wanted}",)
    assert str(summary).splitlines()[-1] == f"runs {wanted}"


def test_a_training_says_so_too_and_once(caplog):
    execution._said.clear()
    data = ArrayData(np.random.default_rng(0).standard_normal((12, *IN_SHAPE)), np.arange(12) % 3)
    with caplog.at_level(logging.INFO, "audioconv"):
        fit(network(NOT_COMPILED), data, epochs=2, validation=data)
    assert len(said_of(caplog)) == 1


def test_nothing_is_said_of_what_is_compiled_or_of_a_part_of_a_network(caplog):
    net = network(L.ReLU())
    with caplog.at_level(logging.INFO, "audioconv"):
        execution.inference(net, net.init(IN_SHAPE, np.random.default_rng(0)), IN_SHAPE)
    assert said_of(caplog) == []
    assert execution.how_it_runs(net, IN_SHAPE) == ""
    assert L.summary(net, IN_SHAPE).remarks == L.summary(L.Concat([L.ReLU()]), IN_SHAPE).remarks == ()


@pytest.mark.parametrize(("part", "wanted"), [(L.Tanh(), "compiled"), (NOT_COMPILED, None)], ids=["compiled", "not"])
def test_info_says_how_a_model_runs(part, wanted, tmp_path, capsys):
    net, path = network(part), tmp_path / "model.safetensors"
    Model(net, net.init(IN_SHAPE, np.random.default_rng(0)), ("a", "b", "c"), IN_SHAPE).save(path)
    assert run(["info", str(path), "--json"]) == 0
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert runs == (wanted or execution.how_it_runs(net, IN_SHAPE))
    assert run(["info", str(path)]) == 0
    assert (f"runs        {runs}" in capsys.readouterr().out) == (wanted is None)


# --- layers that do not learn ----------------------------------------------------------------------------------------

BLOCK = (L.Conv(5, (3, 3), padding="same", bias=False), L.BatchNorm(), L.ReLU())
HEAD = (L.GlobalAvgPool(), L.Dense(3))
WITH_FROZEN = {
    "the first layers": (L.Chain([L.Conv(4, (3, 3)), L.LeakyReLU(0.2), L.MaxPool((2, 2)), *BLOCK, *HEAD]), ("0.",)),
    "a convolution and its normalisation": (
        L.Chain([*BLOCK, L.MaxPool((2, 2)), L.Conv(4, (3, 3)), *HEAD]),
        ("0.", "1."),
    ),
    "a convolution whose normalisation learns": (L.Chain([*BLOCK, *HEAD]), ("0.",)),
    "a layer between two that learn": (L.Chain([L.Conv(4, (3, 3)), L.ReLU(), *BLOCK, *HEAD]), ("2.", "3.")),
    "a bias": (L.Chain([L.Conv(4, (3, 3)), L.ReLU(), L.Conv(4, (3, 3)), *HEAD]), ("2.bias",)),
    "one of two branches": (L.Chain([L.Sum([L.Conv(4, 3), L.Conv(4, 3)]), L.ReLU(), *HEAD]), ("0.1.",)),
    "one of two inputs of a product": (L.Chain([L.Multiply([L.Conv(4, 3), L.Conv(4, 3)]), *HEAD]), ("0.0.",)),
    "a part of a concatenation": (L.Chain([L.Concat([L.Conv(4, 3), L.Conv(2, 3)]), L.ReLU(), *HEAD]), ("0.0.",)),
    "all layers": (L.Chain([*BLOCK, *HEAD]), ("",)),
    "a network that runs layer by layer": (L.Chain([L.Conv(4, (3, 3)), L.Concat([L.SiLU()]), *HEAD]), ("0.",)),
}


@pytest.mark.parametrize("name", WITH_FROZEN)
def test_frozen_parameters_have_no_gradient_and_change_no_other(name):
    net, beginnings = WITH_FROZEN[name]
    rng = np.random.default_rng(0)
    params = L.flatten(net.init(IN_SHAPE, rng))
    x, dy = rng.standard_normal((5, *IN_SHAPE), np.float32), rng.standard_normal((5, 3), np.float32)
    vector = WeightVector({path: array for path, array in params.items() if L.is_trained(path)})
    arrays = {path: vector.views.get(path, array) for path, array in params.items()}
    frozen = {path for path in vector.views if path.startswith(beginnings)}
    assert frozen

    def gradients(without):
        passes = execution.training_passes(net, vector, arrays, IN_SHAPE, 5, without)
        passes.forward(x, np.random.default_rng(1))
        vector.gradient.fill(7)
        passes.backward(dy)
        return {
            path: vector.gradient[vector.offsets[path] :][: array.size].copy() for path, array in vector.views.items()
        }

    every, some = gradients(()), gradients(frozen)
    for path, gradient in some.items():
        assert np.array_equal(gradient, 0 * every[path] if path in frozen else every[path]), path


def test_frozen_first_layers_cost_no_backward_pass():
    net = L.Chain([*BLOCK, L.MaxPool((2, 2)), *BLOCK, *HEAD])
    params = L.flatten(net.init(IN_SHAPE, np.random.default_rng(0)))
    vector = WeightVector({path: array for path, array in params.items() if L.is_trained(path)})
    tracked = {path: array for path, array in params.items() if path not in vector.views}

    def traffic(beginnings):
        frozen = {path for path in vector.views if path.startswith(beginnings)}
        return TrainingPasses(net, IN_SHAPE, 8, vector.offsets, tracked, frozen).traffic

    whole, without_first, without_both = traffic(()), traffic(("0.", "1.")), traffic(("0.", "1.", "4.", "5."))
    assert without_both < without_first < whole


def test_training_leaves_frozen_parameters_as_they_are():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    x = 0.1 * rng.standard_normal((60, *IN_SHAPE)) + labels[:, None, None, None]
    net = L.Chain([*BLOCK, *HEAD])
    begin = net.init(IN_SHAPE, rng)
    fitted = fit(
        net, ArrayData(x, labels), epochs=20, params=begin, optimizer=AdamW(rates=(("0.", 0.0),)), validation=None
    )
    before, after = L.flatten(begin), L.flatten(fitted.params)
    assert np.array_equal(before["0.weight"], after["0.weight"])
    assert not np.array_equal(before["4.weight"], after["4.weight"])
    assert fitted.history.rows[-1].train_loss < fitted.history.rows[0].train_loss
