from __future__ import annotations

import numpy as np
import pytest

from audioconv import architectures
from audioconv import layers as L
from audioconv.errors import ConfigError, ShapeError

IN_SHAPES = {"spectrogram-2d": (101, 40, 1), "spectrogram-1d": (101, 40), "samples": (8000, 1)}

# What the same networks have in PyTorch, at 12 classes.
PARAMETERS = {"cnn": 61_180, "cs231n": 11_862, "ds-cnn-s": 23_180, "tc-resnet8": 65_148, "m5": 25_420}

every_name = pytest.mark.parametrize("name", architectures.NAMES)


def built(name, num_classes=12):
    return architectures.build(name, num_classes=num_classes), IN_SHAPES[architectures.input_kind(name)]


def test_the_counts_name_every_architecture():
    assert set(PARAMETERS) == set(architectures.NAMES)


@every_name
def test_it_has_the_parameters_of_its_model(name):
    network, in_shape = built(name)
    assert L.count_parameters(network, in_shape) == PARAMETERS[name]
    assert L.summary(network, in_shape).parameters == PARAMETERS[name]


@every_name
def test_it_gives_a_logit_a_class_and_a_gradient_for_each_parameter(name, rng):
    network, in_shape = built(name, 3)
    assert network.out_shape(in_shape) == (3,)
    params = network.init(in_shape, rng)
    run = L.Pass(training=True, rng=rng)
    x = rng.standard_normal((2, *in_shape), np.float32)
    logits, saved = network.forward(params, x, run)
    assert logits.shape == (2, 3)
    # A first guess neither certain nor blown up: each layer keeps the size of what it is given.
    assert 0.01 < np.abs(logits).max() < 30
    dx, grads = network.backward(params, saved, np.ones_like(logits), run)
    assert dx.shape == x.shape
    flat = L.flatten(grads)
    assert set(flat) == {path for path in L.flatten(params) if L.is_trained(path)}
    assert all(np.isfinite(gradient).all() for gradient in flat.values())


@every_name
def test_its_configuration_builds_it_again(name):
    network, _ = built(name)
    assert L.from_config(L.to_config(network)) == network
    assert architectures.build(name, num_classes=np.int64(12)) == network


@every_name
def test_an_input_without_its_axes_is_refused_by_the_first_layer(name):
    network = built(name)[0]
    with pytest.raises(ShapeError, match=r"^0 Conv\(.*: needs .* spatial axes, got input of shape \(101,\)"):
        network.out_shape((101,))


@pytest.mark.parametrize(("name", "in_shape"), [("cnn", (7, 40, 1)), ("cs231n", (101, 7, 1)), ("m5", (1000, 1))])
def test_an_input_too_short_is_refused_with_the_place(name, in_shape):
    with pytest.raises(ShapeError, match=r"^\d+ (Conv|MaxPool)\(.*does not fit an input of"):
        architectures.build(name, num_classes=2).out_shape(in_shape)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cnnn", "there is no architecture 'cnnn'; did you mean cnn?"),
        ("resnet", "there is no architecture 'resnet'; did you mean tc-resnet8?"),
        ("zzz", "there is no architecture 'zzz' (known: cnn, cs231n, ds-cnn-s, tc-resnet8, m5)"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name, message):
    for ask in (architectures.input_kind, lambda name: architectures.build(name, num_classes=3)):
        with pytest.raises(ConfigError) as caught:
            ask(name)
        assert str(caught.value).startswith(message)


def test_one_class_is_nothing_to_learn():
    with pytest.raises(ConfigError, match="at least 2 classes, got 1"):
        architectures.build("cnn", num_classes=1)
