"""Files that Keras itself writes, with its PyTorch backend, beside what it computes."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("h5py", reason="needs the extra: pip install 'audioconv[interop]'")

from audioconv import interop
from audioconv import layers as L
from audioconv.interop.keras_layers import ACTIVATIONS, RULES

# Keras' tensors on PyTorch do not know an argument of NumPy 2.
QUIET = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
pytestmark = [QUIET, pytest.mark.slow]  # 20 s, half of which import Keras and PyTorch

RNG = np.random.default_rng(12)
SOUND, PICTURE = (17, 6), (13, 11, 6)


@pytest.fixture(scope="module")
def keras(tmp_path_factory):
    """Return Keras on PyTorch; its settings lie in a folder of the test."""
    pytest.importorskip("torch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "torch")
        patch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras")))
        return pytest.importorskip("keras", reason="needs the extra: pip install 'audioconv[dev]'")


def both(name, **settings):
    """Return cases of a layer for one spatial axis and for two."""
    return {
        f"{name.format(axes)}{''.join(f', {key} {value}' for key, value in settings.items())}": (
            (SOUND, PICTURE)[axes - 1],
            lambda k, axes=axes: [getattr(k, name.format(axes))(**settings)],
        )
        for axes in (1, 2)
    }


# Name, which begins with that of the layer's class: shape of the input, and the layers.
SEQUENTIAL = {
    **both("Conv{}D", filters=5, kernel_size=3),
    **both("Conv{}D", filters=5, kernel_size=2, strides=3, padding="same", use_bias=False),
    **both("Conv{}D", filters=4, kernel_size=3, dilation_rate=2, groups=2, padding="same", activation="relu"),
    "Conv1D, causal": (SOUND, lambda k: [k.Conv1D(4, 3, padding="causal", dilation_rate=2)]),
    "Conv2D, all": (PICTURE, lambda k: [k.Conv2D(4, (3, 2), strides=(1, 2), padding="same", activation="swish")]),
    **both("DepthwiseConv{}D", kernel_size=3),
    **both("DepthwiseConv{}D", kernel_size=3, depth_multiplier=2, padding="same", strides=2, activation="elu"),
    **both("SeparableConv{}D", filters=5, kernel_size=3),
    **both("SeparableConv{}D", filters=5, kernel_size=3, depth_multiplier=2, padding="same", activation="sigmoid"),
    **both("MaxPooling{}D"),
    **both("MaxPooling{}D", pool_size=3, strides=2, padding="same"),
    **both("AveragePooling{}D", pool_size=2),
    **both("AveragePooling{}D", pool_size=3, strides=2, padding="same"),
    **both("GlobalAveragePooling{}D"),
    **both("GlobalAveragePooling{}D", keepdims=True),
    **both("GlobalMaxPooling{}D"),
    **both("GlobalMaxPooling{}D", keepdims=True),
    **both("ZeroPadding{}D"),
    "ZeroPadding1D, both sides": (SOUND, lambda k: [k.ZeroPadding1D((2, 0)), k.Conv1D(3, 3)]),
    "ZeroPadding2D, all sides": (PICTURE, lambda k: [k.ZeroPadding2D(((0, 1), (2, 3))), k.Conv2D(3, 3)]),
    "ZeroPadding2D, both axes": (PICTURE, lambda k: [k.ZeroPadding2D((1, 2))]),
    **both("SpatialDropout{}D", rate=0.3),
    "BatchNormalization": (PICTURE, lambda k: [k.BatchNormalization()]),
    "BatchNormalization, no scale": (SOUND, lambda k: [k.BatchNormalization(scale=False, epsilon=0.01)]),
    "BatchNormalization, no shift": (SOUND, lambda k: [k.BatchNormalization(center=False, momentum=0.9)]),
    "BatchNormalization, neither": ((9,), lambda k: [k.BatchNormalization(center=False, scale=False)]),
    "Dense": ((9,), lambda k: [k.Dense(5, activation="softmax")]),
    "Dense, several axes": (PICTURE, lambda k: [k.Dense(5, use_bias=False)]),
    "Dense, behind Flatten": (PICTURE, lambda k: [k.Conv2D(4, 3), k.Flatten(), k.Dense(3)]),
    "Flatten": (SOUND, lambda k: [k.Flatten()]),
    "Reshape": (SOUND, lambda k: [k.Reshape((17, 1, 6)), k.Conv2D(3, (3, 1))]),
    "Reshape, minus one": (PICTURE, lambda k: [k.Reshape((13, -1)), k.Conv1D(3, 3)]),
    "Permute": (SOUND, lambda k: [k.Permute((2, 1)), k.Conv1D(4, 3)]),
    "Permute, two axes": (PICTURE, lambda k: [k.Conv2D(4, 2), k.Permute((2, 1, 3)), k.Conv2D(3, (3, 2))]),
    "Permute, the channels": (PICTURE, lambda k: [k.Permute((3, 1, 2))]),
    "Dropout": ((9,), lambda k: [k.Dropout(0.5)]),
    "AlphaDropout": ((9,), lambda k: [k.AlphaDropout(0.5)]),
    "GaussianDropout": ((9,), lambda k: [k.GaussianDropout(0.5)]),
    "GaussianNoise": ((9,), lambda k: [k.GaussianNoise(0.5)]),
    "ActivityRegularization": ((9,), lambda k: [k.ActivityRegularization(l2=0.1)]),
    "Activation, of a layer": (PICTURE, lambda k: [k.Conv2D(3, 3), k.Activation("tanh")]),
    "ReLU": (PICTURE, lambda k: [k.ReLU()]),
    "ReLU, slope and limit": (SOUND, lambda k: [k.ReLU(max_value=0.5, negative_slope=0.1)]),
    "LeakyReLU": (SOUND, lambda k: [k.LeakyReLU()]),
    "LeakyReLU, slope": (SOUND, lambda k: [k.LeakyReLU(0.05)]),
    "PReLU": (PICTURE, lambda k: [k.PReLU(shared_axes=[1, 2])]),
    "PReLU, of features": ((9,), lambda k: [k.PReLU()]),
    "ELU": (SOUND, lambda k: [k.ELU()]),
    "ELU, alpha": (SOUND, lambda k: [k.ELU(0.6)]),
    "Softmax": (PICTURE, lambda k: [k.Softmax()]),
    "Softmax, over places": (SOUND, lambda k: [k.Softmax(axis=1)]),
    "Rescaling": (PICTURE, lambda k: [k.Rescaling(1 / 127.5, offset=-1)]),
    "Rescaling, of channels": (PICTURE, lambda k: [k.Rescaling([1.0, 2, 3, 4, 5, 6], offset=[0.5, 0, 0, 1, 2, 3])]),
}  # fmt: skip


def squeeze_and_excite(k, x):
    y = k.Dense(6, activation="hard_sigmoid")(k.Dense(2, activation="relu")(k.GlobalAveragePooling2D()(x)))
    return k.Multiply()([x, k.Reshape((1, 1, 6))(y)])


def separable_block(k, x):
    y = k.SeparableConv2D(6, 3, padding="same")(k.ReLU(6.0)(k.BatchNormalization()(x)))
    z = k.Add()([x, y])
    return k.Dense(4, activation="softmax")(k.GlobalMaxPooling2D()(z))


# As above; what returns the output for an input.
FUNCTIONAL = {
    "Add, of three": (SOUND, lambda k, x: k.Add()([x, k.Conv1D(6, 1)(x), k.Activation("tanh")(x)])),
    "Add, a block": (PICTURE, separable_block),
    "Subtract": (SOUND, lambda k, x: k.Subtract()([k.Conv1D(6, 3, padding="same")(x), x])),
    "Subtract, of features": ((9,), lambda k, x: k.Subtract()([k.Dense(4)(x), k.Dense(4)(x)])),
    "Multiply": (SOUND, lambda k, x: k.Multiply()([x, k.Conv1D(6, 1, activation="sigmoid")(x)])),
    "Multiply, squeeze and excite": (PICTURE, squeeze_and_excite),
    "Concatenate": (PICTURE, lambda k, x: k.Concatenate()([k.Conv2D(3, 1)(x), x, k.ReLU()(x)])),
    "Concatenate, along time": (SOUND, lambda k, x: k.Concatenate(axis=1)([k.Conv1D(6, 3)(x), x])),
}  # fmt: skip


def test_every_layer_that_has_a_rule_is_here():
    assert {name.partition(",")[0] for name in (*SEQUENTIAL, *FUNCTIONAL)} == set(RULES)


def started(model):
    """Return the model with random weights."""
    for weight in model.weights:
        low = 0.5 if "variance" in weight.path else -0.6
        weight.assign(RNG.uniform(low, low + 1.2, weight.shape).astype(np.float32))
    return model


def agrees(model, path, shape, **settings):
    """Assert that a file of the model computes what Keras does; return the imported network."""
    found = interop.read(path, **settings)
    x = RNG.standard_normal((3, *shape)).astype(np.float32)
    wanted = model(x, training=False).detach().numpy()
    y, _ = found.network.forward(found.params, found.from_file_order(x), L.Pass())
    y = found.to_file_order(y)
    assert y.shape == wanted.shape
    np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-5 * max(1, np.abs(wanted).max()))
    return found


def saved(model, folder, *names):
    for name in names:
        model.save(folder / name)
        yield folder / name


def sequential(keras, name):
    shape, layers = SEQUENTIAL[name]
    return started(keras.Sequential([keras.Input(shape), *layers(keras.layers)])), shape


def functional(keras, name):
    shape, output = FUNCTIONAL[name]
    x = keras.Input(shape)
    return started(keras.Model(x, output(keras.layers, x))), shape


@pytest.mark.parametrize("name", [*SEQUENTIAL, *FUNCTIONAL])
def test_a_layer_computes_what_keras_computes(name, keras, tmp_path):
    model, shape = (sequential if name in SEQUENTIAL else functional)(keras, name)
    assert name.partition(",")[0] in {type(layer).__name__ for layer in model.layers}
    for path in saved(model, tmp_path, "model.keras", "model.h5"):
        agrees(model, path, shape)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_an_activation_computes_what_keras_computes(activation, keras, tmp_path):
    layers = [keras.Input(PICTURE), keras.layers.Conv2D(4, 3, activation=activation)]
    model = started(keras.Sequential([*layers, keras.layers.Activation(activation)]))
    for path in saved(model, tmp_path, "model.keras", "model.h5"):
        agrees(model, path, PICTURE)


@pytest.mark.parametrize("name", ["Add, a block", "Multiply, squeeze and excite", "Concatenate"])
def test_weights_alone_go_onto_a_network(name, keras, tmp_path):
    model, shape = functional(keras, name)
    model.save_weights(tmp_path / "model.weights.h5")
    (path,) = saved(model, tmp_path, "model.keras")
    own = agrees(model, path, shape)
    for file in (tmp_path / "model.weights.h5", path):
        found = interop.read(file, onto=own.network, in_shape=shape)
        assert L.flatten(found.params).keys() == L.flatten(own.params).keys()
        for key, array in L.flatten(own.params).items():
            np.testing.assert_array_equal(L.flatten(found.params)[key], array)


@pytest.mark.parametrize("file", ["model.keras", "model.h5", "model.weights.h5"])
def test_layers_of_one_shape_keep_their_order(file, keras, tmp_path):
    k, names = keras.layers, "zyxwvutsrqpo"
    dense = [k.Dense(5, activation="tanh", name=None if file.endswith("weights.h5") else name) for name in names]
    model = started(keras.Sequential([keras.Input((5,)), *dense]))
    (model.save_weights if "weights" in file else model.save)(tmp_path / file)
    network = L.Chain([layer for _ in names for layer in (L.Dense(5), L.Tanh())])
    found = interop.read(tmp_path / file, onto=network, in_shape=(5,))
    for number, layer in enumerate(dense):
        np.testing.assert_array_equal(found.params[str(2 * number)]["weight"], layer.get_weights()[0])
