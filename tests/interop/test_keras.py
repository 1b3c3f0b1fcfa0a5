"""Keras' files: layers beside the reference, in float64 loops, channels last like Keras itself."""

from __future__ import annotations

import json

import numpy as np
import pytest
import reference

pytest.importorskip("h5py", reason="needs the extra: pip install 'audioconv[interop]'")

import h5py
from keras_files import conv_settings, functional, layer, sequential, write_h5, write_keras

from audioconv import interop
from audioconv import layers as L
from audioconv.errors import AudioconvError, ConfigError, ModelFileError

RNG = np.random.default_rng(5)


def numbers(*shape, low=-0.6, high=0.6):
    return RNG.uniform(low, high, shape).astype(np.float32)


def picture_model():
    """Return the configuration and the weights of a sequential model of most layers, and how a person computes it."""
    weights = {
        "conv2d": [numbers(3, 3, 2, 6), numbers(6)],
        "batch_normalization": [numbers(6), numbers(6), numbers(6), numbers(6, low=0.5, high=1.5)],
        "depthwise_conv2d": [numbers(3, 2, 6, 2), numbers(12)],
        "separable_conv2d": [numbers(3, 3, 12, 1), numbers(1, 1, 12, 5), numbers(5)],
        "dense": [numbers(80, 7), numbers(7)],
        "dense_1": [numbers(7, 3), numbers(3)],
    }
    pool = {"pool_size": [2, 2], "data_format": "channels_last"}
    config = sequential([
        layer("InputLayer", "input_layer", batch_shape=[None, 21, 12, 2]),
        layer("Conv2D", "conv2d", **conv_settings(2, kernel_size=[3, 3], strides=[2, 2], padding="same")),
        layer("BatchNormalization", "batch_normalization", axis=-1, momentum=0.99, epsilon=0.001, center=True,
              scale=True),
        layer("ReLU", "re_lu", max_value=6.0, negative_slope=0.0, threshold=0.0),
        layer("DepthwiseConv2D", "depthwise_conv2d", **conv_settings(2, kernel_size=[3, 2], padding="same")),
        layer("LeakyReLU", "leaky_re_lu", negative_slope=0.2),
        layer("SeparableConv2D", "separable_conv2d", **conv_settings(2, kernel_size=[3, 3], activation="swish")),
        layer("MaxPooling2D", "max_pooling2d", strides=[2, 2], padding="valid", **pool),
        layer("AveragePooling2D", "average_pooling2d", strides=[1, 1], padding="same", **pool),
        layer("ZeroPadding2D", "zero_padding2d", padding=[[0, 0], [1, 1]], data_format="channels_last"),
        layer("Flatten", "flatten"),
        layer("Dropout", "dropout", rate=0.2),
        layer("Dense", "dense", units=7, activation="elu", use_bias=True),
        layer("Dense", "dense_1", units=3, activation="softmax", use_bias=True),
    ])  # fmt: skip
    depthwise = weights["depthwise_conv2d"][0].reshape(3, 2, 1, 12)

    def compute(x):
        x = reference.conv(x, *weights["conv2d"], stride=2, padding=((1, 1), (0, 1)))
        gamma, beta, mean, variance = weights["batch_normalization"]
        x = np.clip(reference.batch_norm(x, gamma, beta, mean, variance, 0.001), 0, 6)
        x = reference.conv(x, depthwise, weights["depthwise_conv2d"][1], padding=((1, 1), (0, 1)), groups=6)
        x = np.where(x > 0, x, 0.2 * x)
        separable, pointwise, bias = weights["separable_conv2d"]
        x = reference.conv(x, separable.reshape(3, 3, 1, 12), groups=12)
        x = reference.conv(x, pointwise, bias)
        x = x / (1 + np.exp(-x))
        x = reference.max_pool(x, 2)
        padding = ((0, 1), (0, 1))
        shares = reference.avg_pool(np.ones_like(x), 2, 1, padding)
        x = np.pad(reference.avg_pool(x, 2, 1, padding) / shares, ((0, 0), (0, 0), (1, 1), (0, 0)))
        x = reference.dense(x.reshape(len(x), -1), *weights["dense"])
        x = np.exp(reference.dense(np.where(x > 0, x, np.exp(x) - 1), *weights["dense_1"]))
        return x / x.sum(axis=1, keepdims=True)

    return config, weights, compute


def sound_model():
    """Return a functional model of branches on (time, channels), its weights, and how a person computes it."""
    weights = {
        "conv1d": [numbers(5, 8, 6), numbers(6)], "p_re_lu": [numbers(1, 6)], "conv1d_1": [numbers(1, 8, 6)],
        "dense": [numbers(14, 14), numbers(14)], "dense_1": [numbers(14, 4), numbers(4)],
    }  # fmt: skip
    config = functional([
        layer("InputLayer", "input", [], batch_shape=[None, 40, 8]),
        layer("Conv1D", "conv1d", ["input"], **conv_settings(
            1, kernel_size=[5], padding="causal", dilation_rate=[2], activation="relu6")),
        layer("PReLU", "p_re_lu", ["conv1d"], shared_axes=[1]),
        layer("Conv1D", "conv1d_1", ["input"], **conv_settings(1, kernel_size=[1], use_bias=False)),
        layer("Add", "add", ["p_re_lu", "conv1d_1"]),
        layer("Concatenate", "concatenate", ["add", "input"], axis=-1),
        layer("GlobalAveragePooling1D", "mean", ["concatenate"], keepdims=False),
        layer("Dense", "dense", ["mean"], units=14, activation="sigmoid", use_bias=True),
        layer("Reshape", "reshape", ["dense"], target_shape=[1, 14]),
        layer("Multiply", "multiply", ["concatenate", "reshape"]),
        layer("GlobalMaxPooling1D", "max", ["multiply"], keepdims=False),
        layer("Dense", "dense_1", ["max"], units=4, activation="linear", use_bias=True),
    ], "dense_1")  # fmt: skip

    def compute(x):
        a = np.clip(reference.conv(x, *weights["conv1d"], padding=((8, 0),), dilation=2), 0, 6)
        a = a + reference.conv(x, weights["conv1d_1"][0])
        x = np.concatenate([a, x], axis=-1)
        gate = 1 / (1 + np.exp(-reference.dense(x.mean(axis=1), *weights["dense"])))
        return reference.dense((x * gate[:, None]).max(axis=1), *weights["dense_1"])

    return config, weights, compute


MODELS = {"a sequential model": (picture_model, (21, 12, 2)), "a functional model": (sound_model, (40, 8))}


@pytest.mark.parametrize("form", ["keras", "keras without names", "h5"])
@pytest.mark.parametrize("name", MODELS)
def test_a_model_computes_what_its_layers_mean(name, form, tmp_path, rng):
    make, in_shape = MODELS[name]
    config, weights, compute = make()
    if form == "h5":
        path = write_h5(tmp_path / "model.h5", config, weights)
    else:
        path = write_keras(tmp_path / "model.keras", config, weights, named=form == "keras")
    found = interop.read(path)
    assert found.in_shape == in_shape
    x = rng.standard_normal((3, *in_shape), np.float32)
    y, _ = found.network.forward(found.params, found.from_file_order(x), L.Pass())
    np.testing.assert_allclose(found.to_file_order(y), compute(x), rtol=1e-4, atol=1e-5)
    assert set(found.names.values()) >= set(weights) - {"p_re_lu"}


def test_a_model_is_cut_at_a_layer(tmp_path):
    config, weights, _ = picture_model()
    path = write_keras(tmp_path / "model.keras", config, weights)
    found = interop.read(path, until="max_pooling2d")
    assert found.out_shape == (4, 2, 5)
    assert found.network.layers[-1] == L.MaxPool((2, 2))
    with pytest.raises(ConfigError, match="has no layer, node or tensor 'max_pooling'; did you mean 'max_pooling2d'"):
        interop.read(path, until="max_pooling")


@pytest.mark.parametrize("legacy", [False, True])
def test_weights_alone_go_onto_a_network(legacy, tmp_path):
    weights = {
        "conv2d": [numbers(3, 3, 2, 6), numbers(6)],
        "batch_normalization": [numbers(6), numbers(6), numbers(6), numbers(6, low=0.5, high=1.5)],
        "depthwise_conv2d": [numbers(3, 3, 6, 1), numbers(6)],
        "dense": [numbers(6 * 6 * 4, 3), numbers(3)],
    }
    network = L.Chain([
        L.Conv(6, (3, 3), padding="same"), L.BatchNorm(), L.DepthwiseConv((3, 3), padding=0), L.Flatten(), L.Dense(3),
    ])  # fmt: skip
    if legacy:
        path = write_h5(tmp_path / "weights.h5", None, weights)
    else:
        path = tmp_path / "model.weights.h5"
        with h5py.File(path, "w") as file:
            for name, arrays in weights.items():
                for number, array in enumerate(arrays):
                    file[f"layers/{name}/vars/{number}"] = array
    found = interop.read(path, onto=network, in_shape=(8, 6, 2))
    # HDF5 sorts the names; shapes bring the layers back into order.
    for place, name in zip(["0", "1", "2", "4"], weights, strict=True):
        for array, wanted in zip(found.params[place].values(), weights[name], strict=True):
            np.testing.assert_array_equal(array, wanted.reshape(array.shape))
    with pytest.raises(ModelFileError, match="holds weights alone; read it onto a network"):
        interop.read(path)


REFUSED = {
    "a lambda": (layer("Lambda", "my_lambda", function="..."),
                 r"layer 'my_lambda' \(Lambda\): the layer is not supported; cut the network before it"),
    "a recurrent layer": (layer("GRU", "gru", units=3), r"layer 'gru' \(GRU\): the layer is not supported"),
    "an activation": (layer("Activation", "activation", activation="mish"), "the activation 'mish' is not supported"),
    "channels first": (layer("Flatten", "flatten", data_format="channels_first"), "channels_first is not supported"),
    "weights that are missing": (layer("Dense", "dense", units=3, activation="linear"), "has 0 arrays in the file"),
    "another axis": (layer("BatchNormalization", "norm", axis=1), "normalises another axis than the last"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_there_is_no_layer_for_is_named(name, tmp_path):
    added, message = REFUSED[name]
    config = sequential([
        layer("InputLayer", "input_layer", batch_shape=[None, 9, 8, 2]),
        layer("Conv2D", "conv2d", **conv_settings(2, kernel_size=[3, 3])), added,
    ])  # fmt: skip
    path = write_keras(tmp_path / "model.keras", config, {"conv2d": [numbers(3, 3, 2, 6), numbers(6)]})
    with pytest.raises(ModelFileError, match=message):
        interop.read(path)


def test_links_into_other_files_are_not_followed(tmp_path):
    config = sequential([
        layer("InputLayer", "input_layer", batch_shape=[None, 2]),
        layer("Dense", "dense", units=3, activation="linear"),
    ])  # fmt: skip
    path = write_h5(tmp_path / "model.h5", config, {"dense": [numbers(2, 3), numbers(3)]})
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["secret"] = numbers(2, 3)
    with h5py.File(path, "a") as file:
        group = file["model_weights/dense/dense"]
        del group["array_0:0"]
        group["array_0:0"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "secret")
    with pytest.raises(ModelFileError, match="a link into another file, which is not followed"):
        interop.read(path)
    with h5py.File(path, "a") as file:
        group = file["model_weights/dense/dense"]
        del group["array_0:0"]
        (tmp_path / "raw.bin").write_bytes(bytes(24))
        group.create_dataset("array_0:0", (2, 3), "f4", external=[(str(tmp_path / "raw.bin"), 0, 24)])
    with pytest.raises(ModelFileError, match="lies in another file, which is not read"):
        interop.read(path)


def test_damaged_files_end_in_an_error_of_the_house(tmp_path, rng):
    config, weights, _ = sound_model()
    whole = write_keras(tmp_path / "model.keras", config, weights).read_bytes()
    path = tmp_path / "damaged.keras"
    for number in range(60):
        damaged = bytearray(whole[: rng.integers(len(whole))] if number % 3 == 0 else whole)
        for place in rng.integers(0, len(damaged), 3) if damaged else ():
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            interop.read(path)
        except AudioconvError:
            continue
    for broken in (
        {},
        [],
        {"class_name": "Sequential", "config": {"layers": [3]}},
        {"class_name": "Mine", "config": {}},
    ):
        text = json.dumps(broken)
        with pytest.raises(ModelFileError):
            interop.read(write_keras(path, json.loads(text), {"dense": []}))
