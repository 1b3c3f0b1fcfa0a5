"""Caffe's models, as `caffe_files` writes them."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from caffe_files import blob, field, layer, message, varint

from audioconv import interop
from audioconv import layers as L
from audioconv.errors import AudioconvError, ConfigError, ModelFileError
from audioconv.interop.caffe import RULES

RNG = np.random.default_rng(8)


def numbers(*shape, low=-0.6, high=0.6):
    return RNG.uniform(low, high, shape).astype(np.float32)


def image_model(data_layer=False):
    """Return the bytes of a network with branches, its weights and how a person computes it, on (N, C, H, W)."""
    w = {
        "conv1": [numbers(6, 2, 3, 3), numbers(6)], "conv2": [numbers(6, 3, 3, 1)],
        "conv3": [numbers(4, 6, 1, 1), numbers(4)],
        "norm": [numbers(6) * 2, numbers(6, low=1, high=3), np.asarray([2.0], np.float32)],
        "scale": [numbers(6), numbers(6)], "fc": [numbers(5, 10 * 4 * 3), numbers(5)],
    }  # fmt: skip
    shape = message((1, message((1, b"".join(map(varint, (1, 2, 9, 7)))))))
    first = layer("Input", "input", [], ["data"])[1] + field(143, shape)
    if data_layer:
        first = layer("Data", "data", [], ["data", "label"])[1]
    content = message(
        (1, "test"), (100, first),
        layer("Convolution", "conv1", ["data"], ["conv1"], [(1, 6), (3, 1), (4, 3)], w["conv1"]),
        layer("BatchNorm", "norm", ["conv1"], ["conv1"], [(3, 1e-3)], w["norm"]),
        layer("Scale", "scale", ["conv1"], ["conv1"], [(5, 1)], w["scale"]),
        layer("ReLU", "relu", ["conv1"], ["conv1"], [(1, 0.1)]),
        layer("Convolution", "conv2", ["conv1"], ["conv2"],
              [(1, 6), (2, 0), (5, 2), (9, 1), (10, 0), (11, 3), (12, 1)], w["conv2"]),
        layer("Eltwise", "sum", ["conv1", "conv2"], ["sum"]),
        layer("Pooling", "pool", ["sum"], ["pool"], [(1, 0), (2, 3), (3, 2)]),
        layer("Convolution", "conv3", ["pool"], ["conv3"], [(1, 4), (4, 1)], w["conv3"]),
        layer("TanH", "tanh", ["conv3"], ["conv3"]),
        layer("Concat", "concat", ["conv3", "pool"], ["concat"]),
        layer("Pooling", "mean", ["concat"], ["mean"], [(1, 1), (2, 2), (3, 1), (4, 1)]),
        layer("Pooling", "mean2", ["mean"], ["mean2"], [(1, 1), (2, 2), (3, 1)]),
        layer("Dropout", "drop", ["mean2"], ["mean2"]),
        layer("InnerProduct", "fc", ["mean2"], ["fc"], [(1, 5)], w["fc"], packed=False),
        layer("Softmax", "prob", ["fc"], ["prob"]),
        *([layer("Accuracy", "accuracy", ["fc", "label"], ["accuracy"])] if data_layer else []),
    )  # fmt: skip

    def last(weight):
        return weight.transpose(2, 3, 1, 0)

    def compute(x):
        x = np.moveaxis(x, 1, -1)
        x = reference.conv(x, last(w["conv1"][0]), w["conv1"][1], padding=1)
        mean, variance = w["norm"][0] / 2, w["norm"][1] / 2
        x = reference.batch_norm(x, *w["scale"], mean, variance, 1e-3)
        x = np.where(x > 0, x, 0.1 * x)
        x = x + reference.conv(x, last(w["conv2"][0]), padding=(1, 0), groups=2)
        x = reference.max_pool(x, 3, 2, ((0, 0), (0, 0)))
        x = np.concatenate([np.tanh(reference.conv(x, last(w["conv3"][0]), w["conv3"][1])), x], axis=-1)
        x = reference.avg_pool(x, 2, 1, 1)
        x = reference.avg_pool(x, 2, 1)
        return x, w

    return content, compute


def features(x, w):
    """Return the probabilities of features (N, H, W, C), which Caffe flattens channels first."""
    x = np.exp(reference.dense(np.moveaxis(x, -1, 1).reshape(len(x), -1), w["fc"][0].T, w["fc"][1]))
    return x / x.sum(axis=1, keepdims=True)


@pytest.fixture
def saved(tmp_path):
    def save(content):
        path = tmp_path / "network.caffemodel"
        path.write_bytes(content)
        return path

    return save


@pytest.mark.parametrize("data_layer", [False, True])
def test_a_model_computes_what_its_layers_mean(data_layer, saved, rng):
    content, compute = image_model(data_layer)
    path = saved(content)
    if data_layer:
        with pytest.raises(ConfigError, match="give its shape without the batch"):
            interop.read(path)
    found = interop.read(path, shape=(2, 9, 7) if data_layer else None)
    x = rng.standard_normal((3, 2, 9, 7), np.float32)
    y, _ = found.network.forward(found.params, found.from_file_order(x), L.Pass())
    wanted, w = compute(x)
    np.testing.assert_allclose(y, features(wanted, w), rtol=1e-4, atol=1e-6)
    norms = [layer for layer in found.network.layers if isinstance(layer, L.BatchNorm)]
    assert norms == [L.BatchNorm(momentum=0.001, epsilon=0.001)]  # with the scale behind it
    cut = interop.read(path, until="mean2", shape=(2, 9, 7))
    y, _ = cut.network.forward(cut.params, cut.from_file_order(x), L.Pass())
    np.testing.assert_allclose(y, wanted, rtol=1e-4, atol=1e-5)


def test_the_old_form_of_layers_is_read(saved, rng):
    w, b = numbers(3, 2, 3, 3), numbers(3)
    conv = message((4, "conv"), (5, 4), (2, "data"), (3, "conv"), (6, blob(w, old=True)), (6, blob(b, old=True)),
                   (10, message((1, 3), (4, 3))))  # fmt: skip
    relu = message((4, "relu"), (5, 18), (2, "conv"), (3, "conv"))
    path = saved(message((1, "old"), (3, "data"), (4, 1), (4, 2), (4, 8), (4, 6), (2, conv), (2, relu)))
    found = interop.read(path)
    x = rng.standard_normal((2, 8, 6, 2), np.float32)
    y, _ = found.network.forward(found.params, x, L.Pass())
    np.testing.assert_allclose(y, np.maximum(reference.conv(x, w.transpose(2, 3, 1, 0), b), 0), rtol=1e-4, atol=1e-5)


def test_weights_go_onto_a_network_of_ours(saved, rng):
    w = {"conv": [numbers(6, 2, 3, 3), numbers(6)], "fc": [numbers(3, 6 * 6 * 4), numbers(3)]}
    norm = [numbers(6), numbers(6, low=0.5, high=1), np.ones(1, np.float32)]
    path = saved(message(
        layer("Convolution", "conv", ["data"], ["conv"], [(1, 6), (4, 3)], w["conv"]),
        layer("BatchNorm", "norm", ["conv"], ["conv"], [], norm),
        layer("Scale", "scale", ["conv"], ["conv"], [(5, 1)], [numbers(6), numbers(6)]),
        layer("InnerProduct", "fc", ["conv"], ["fc"], [(1, 3)], w["fc"]),
    ))  # fmt: skip
    network = L.Chain([L.Conv(6, (3, 3)), L.BatchNorm(), L.ReLU(), L.Flatten(), L.Dense(3)])
    found = interop.read(path, onto=network, in_shape=(8, 6, 2))
    np.testing.assert_array_equal(found.params["0"]["weight"], w["conv"][0].transpose(2, 3, 1, 0))
    rows = w["fc"][0].T.reshape(6, 6, 4, 3).transpose(1, 2, 0, 3).reshape(-1, 3)
    np.testing.assert_array_equal(found.params["4"]["weight"], rows)
    assert found.names == {"0": "conv", "1": "norm", "4": "fc"}


# --- one layer after the other -------------------------------------------------------------------------------------

SLOPES, FACTORS, SHIFTS = numbers(2), numbers(2), numbers(2)


def relu(x):
    return np.maximum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_channel(values):
    return values[:, None, None]


GATE = [layer("ReLU", "r", ["data"], ["r"]), layer("Sigmoid", "s", ["data"], ["s"])]

# Name, which begins with the layer's type: the layers, which take "data", and what they compute, (N, C, H, W).
LAYERS = {
    "ELU": ([layer("ELU", "e", ["data"], ["y"], [(1, 0.7)])], lambda x: np.where(x > 0, x, 0.7 * (np.exp(x) - 1))),
    "ELU, default": ([layer("ELU", "e", ["data"], ["y"])], lambda x: np.where(x > 0, x, np.exp(x) - 1)),
    "PReLU": (
        [layer("PReLU", "p", ["data"], ["y"], [], [SLOPES])], lambda x: np.where(x > 0, x, by_channel(SLOPES) * x),
    ),
    "PReLU, one slope": (
        [layer("PReLU", "p", ["data"], ["y"], [(2, 1)], [SLOPES[:1]])], lambda x: np.where(x > 0, x, SLOPES[0] * x),
    ),
    "Power": (
        [layer("Power", "p", ["data"], ["y"], [(1, 3.0), (2, 0.5), (3, 1.5)])], lambda x: (1.5 + 0.5 * x) ** 3,
    ),
    "Power, scale alone": ([layer("Power", "p", ["data"], ["y"], [(2, -0.25)])], lambda x: -0.25 * x),
    "Sigmoid": ([layer("Sigmoid", "s", ["data"], ["y"])], sigmoid),
    "Split": (
        [layer("Split", "two", ["data"], ["a", "b"]), layer("TanH", "t", ["b"], ["c"]),
         layer("Eltwise", "sum", ["a", "c"], ["y"])], lambda x: x + np.tanh(x),
    ),
    "Flatten": ([layer("Flatten", "f", ["data"], ["y"])], lambda x: x.reshape(len(x), -1)),
    "Scale, factors alone": (
        [layer("Scale", "s", ["data"], ["y"], [], [FACTORS])], lambda x: by_channel(FACTORS) * x,
    ),
    "Scale, factors and shifts": (
        [layer("Scale", "s", ["data"], ["y"], [(5, 1)], [FACTORS, SHIFTS])],
        lambda x: by_channel(FACTORS) * x + by_channel(SHIFTS),
    ),
    "Scale, by another layer": ([*GATE, layer("Scale", "m", ["r", "s"], ["y"])], lambda x: relu(x) * sigmoid(x)),
    "Eltwise, a product": (
        [*GATE, layer("Eltwise", "m", ["r", "s"], ["y"], [(1, 0)])], lambda x: relu(x) * sigmoid(x),
    ),
    "Eltwise, a sum of three": (
        [*GATE, layer("Eltwise", "m", ["r", "s", "data"], ["y"], [(1, 1)])], lambda x: relu(x) + sigmoid(x) + x,
    ),
    "Pooling, global, maximum": (
        [layer("Pooling", "g", ["data"], ["y"], [(1, 0), (12, 1)])], lambda x: x.max(axis=(2, 3), keepdims=True),
    ),
    "Pooling, global, mean": (
        [layer("Pooling", "g", ["data"], ["y"], [(1, 1), (12, 1)])], lambda x: x.mean(axis=(2, 3), keepdims=True),
    ),
    "ReLU": ([layer("ReLU", "r", ["data"], ["y"])], relu),
    "Dropout": ([layer("ReLU", "r", ["data"], ["a"]), layer("Dropout", "d", ["a"], ["y"])], relu),
    "TanH": ([layer("TanH", "t", ["data"], ["y"])], np.tanh),
    "Softmax": (
        [layer("Softmax", "s", ["data"], ["y"])], lambda x: np.exp(x) / np.exp(x).sum(axis=1, keepdims=True),
    ),
}  # fmt: skip
IN_THE_MODEL = {"BatchNorm", "Concat", "Convolution", "InnerProduct"}
"""Types of layers with weights that `image_model` alone has."""


def test_every_layer_that_has_a_rule_is_here():
    assert {name.partition(",")[0] for name in LAYERS} | IN_THE_MODEL == set(RULES)
    content, _ = image_model()
    assert all(kind.encode() in content for kind in IN_THE_MODEL)


def with_input(*layers):
    """Return a network whose input "data" is (1, 2, 9, 7)."""
    shape = field(143, message((1, message((1, b"".join(map(varint, (1, 2, 9, 7))))))))
    return message((100, layer("Input", "input", [], ["data"])[1] + shape), *layers)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_computes_what_it_means(name, saved, rng):
    layers, compute = LAYERS[name]
    found = interop.read(saved(with_input(*layers)))
    x = rng.standard_normal((3, 2, 9, 7)).astype(np.float32)
    y, _ = found.network.forward(found.params, found.from_file_order(x), L.Pass())
    y, wanted = found.to_file_order(y), compute(x.astype(np.float64))
    assert y.shape == wanted.shape
    np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-6)


REFUSED = {
    "a maximum of two": (layer("Eltwise", "m", ["a", "data"], ["y"], [(1, 2)]), "only plain sums and products"),
    "stochastic pooling": (layer("Pooling", "p", ["a"], ["y"], [(1, 2), (2, 2)]), "stochastic pooling"),
    "another axis": (layer("Scale", "s", ["a"], ["y"], [(1, 2)], [numbers(9)]), "another axis than 1"),
    "no arrays": (layer("Convolution", "c", ["a"], ["y"], [(1, 3), (4, 1)]), "has 0 arrays in the file; at least 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_setting_there_is_no_layer_for_is_named_with_a_remedy(name, saved):
    added, text = REFUSED[name]
    with pytest.raises(ModelFileError, match=rf"network\.caffemodel: layer '\w' \(\w+\): {text}.*until='relu'"):
        interop.read(saved(with_input(layer("ReLU", "relu", ["data"], ["a"]), added)))


def test_what_there_is_no_layer_for_is_named(saved):
    shape = field(143, message((1, message((1, b"".join(map(varint, (1, 2, 9, 7))))))))
    first = (100, layer("Input", "input", [], ["data"])[1] + shape)
    path = saved(message(first, layer("ReLU", "relu", ["data"], ["a"]), layer("LRN", "norm1", ["a"], ["b"])))
    with pytest.raises(
        ModelFileError,
        match=r"layer 'norm1' \(LRN\): the layer is not supported; cut the network before it \(until='relu'",
    ):
        interop.read(path)
    path = saved(message(first, layer("ReLU", "relu", ["nothing"], ["a"])))
    with pytest.raises(ModelFileError, match=r"layer 'relu' \(ReLU\): takes 'nothing', which no layer before it gives"):
        interop.read(path)


def test_damaged_files_end_in_an_error_of_the_house(saved, rng):
    whole, _ = image_model()
    for number in range(300):
        damaged = bytearray(whole[: rng.integers(len(whole))] if number % 3 == 0 else whole)
        for place in rng.integers(0, min(len(damaged), 600), 2) if damaged else ():
            damaged[place] = rng.integers(256)
        try:
            interop.read(saved(bytes(damaged)))
        except AudioconvError:
            continue
