"""Caffe's models, written by a small writer of protocol buffers."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import reference

from audioconv import interop
from audioconv import layers as L
from audioconv.errors import AudioconvError, ConfigError, ModelFileError

RNG = np.random.default_rng(8)


def numbers(*shape, low=-0.6, high=0.6):
    return RNG.uniform(low, high, shape).astype(np.float32)


# --- a writer of protocol buffers ----------------------------------------------------------------------------------


def varint(value):
    found = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        found.append(low | (0x80 if value else 0))
        if not value:
            return bytes(found)


def field(number, value):
    """Return a field: an integer, a float, text, or a message or packed numbers as bytes."""
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def message(*fields):
    return b"".join(field(number, value) for number, value in fields)


def blob(array, old=False, packed=True):
    data = [(5, array.astype("<f4").tobytes())] if packed else [(5, float(value)) for value in array.reshape(-1)]
    if old:
        return message(*zip((1, 2, 3, 4), (1,) * (4 - array.ndim) + array.shape, strict=True), *data)
    return message((7, message((1, b"".join(map(varint, array.shape))))), *data)


def layer(kind, name, bottoms, tops, settings=None, blobs=(), **how):
    places = {
        "Convolution": 106, "InnerProduct": 117, "Pooling": 121, "ReLU": 123, "BatchNorm": 139, "Scale": 142,
        "Eltwise": 110, "Concat": 104, "Input": 143, "Power": 122, "ELU": 140, "Softmax": 125,
    }  # fmt: skip
    fields = [(1, name), (2, kind), *((3, bottom) for bottom in bottoms), *((4, top) for top in tops)]
    fields += [(7, blob(array, **how)) for array in blobs]
    if settings:
        fields.append((places[kind], message(*settings)))
    return (100, message(*fields))


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
