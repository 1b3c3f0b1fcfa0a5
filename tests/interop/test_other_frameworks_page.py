"""The page docs/guides/other-frameworks.md: its blocks run, and its tables are those of the code."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
import safetensors.numpy
import sandbox

pytest.importorskip("onnx", reason="needs the extra: pip install 'audioconv[interop]'")
pytest.importorskip("h5py", reason="needs the extra: pip install 'audioconv[interop]'")

from caffe_files import layer as caffe_layer
from caffe_files import message
from keras_files import conv_settings, layer, sequential, write_h5, write_keras, write_weights
from onnx_models import model, node, save

from audioconv import architectures, interop
from audioconv import layers as L
from audioconv.compiler.execution import how_it_runs
from audioconv.interop import caffe, constants, keras_layers
from audioconv.interop.onnx_operators import convert
from audioconv.recipe.pretrained_base import BODY_RATE

PAGE = sandbox.ROOT / "docs" / "guides" / "other-frameworks.md"

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="the scripts are not beside the tests")

RNG = np.random.default_rng(21)
SHAPE = (98, 40, 1)


def numbers(*shape, low=-0.5, high=0.5):
    return RNG.uniform(low, high, shape).astype(np.float32)


def blocks(*languages):
    """Return the blocks of the page in these languages; none of them says that it is not run."""
    found = sandbox.FENCE.findall(PAGE.read_text("utf-8"))
    assert not any(not_run for not_run, _, _ in found)
    return [(language, code) for _, language, code in found if language in languages]


def put_networks(folder):
    """Write the files that hold networks: ONNX and Keras."""
    conv1, bias1 = numbers(3, 3, 1, 16), numbers(16)
    norm = [numbers(16), numbers(16), numbers(16), numbers(16, low=0.5, high=1.5)]
    dense = [numbers(16, 12), numbers(12)]
    nodes = [
        node("Conv", ["x", "w", "b"], "conv1", pads=[1, 1, 1, 1]), node("Relu", ["conv1"], "relu1"),
        node("Conv", ["relu1", "w2"], "conv2"), node("Relu", ["conv2"], "relu2"),
        node("GlobalAveragePool", ["relu2"], "mean"), node("Flatten", ["mean"], "flat"),
        node("Gemm", ["flat", "wd"], "dense"), node("Softmax", ["dense"]),
    ]  # fmt: skip
    weights = {"w": conv1.transpose(3, 2, 0, 1), "b": bias1, "w2": numbers(8, 16, 3, 3), "wd": numbers(8, 12)}
    save(model(nodes, (1, "time", 40), weights), folder)
    config = sequential([
        layer("InputLayer", "input_layer", batch_shape=[None, *SHAPE]),
        layer("Conv2D", "conv2d", **conv_settings(2, kernel_size=[3, 3], padding="same")),
        layer("BatchNormalization", "norm", axis=-1, momentum=0.99, epsilon=0.001, center=True, scale=True),
        layer("ReLU", "re_lu", max_value=None, negative_slope=0.0, threshold=0.0),
        layer("GlobalAveragePooling2D", "mean", keepdims=False),
        layer("Dense", "dense", units=12, activation="linear", use_bias=True),
    ])  # fmt: skip
    arrays = {"conv2d": [conv1, bias1], "norm": norm, "dense": dense}
    write_keras(folder / "network.keras", config, arrays)
    write_h5(folder / "network.h5", config, arrays)
    write_weights(folder / "network.weights.h5", arrays)
    return arrays


def put_weights(folder, arrays):
    """Write the files of PyTorch and Caffe; the latter has no shape of its input."""
    torch = pytest.importorskip("torch")
    (conv, bias), norm, (dense, dense_bias) = arrays.values()
    conv = conv.transpose(3, 2, 0, 1)
    keys = ("weight", "bias", "running_mean", "running_var")
    tensors = {"0.weight": conv, "0.bias": bias, "4.weight": dense.T, "4.bias": dense_bias, "aux.weight": dense.T}
    tensors |= {f"1.{key}": array for key, array in zip(keys, norm, strict=True)}
    torch.save({key: torch.tensor(array.copy()) for key, array in tensors.items()}, folder / "weights.pt")
    flat = L.flatten(architectures.build("ds-cnn-s", 7).init((49, 10, 1), RNG))
    moved = {
        path: np.ascontiguousarray(array.transpose(-1, -2, *range(array.ndim - 2)) if array.ndim > 1 else array)
        for path, array in flat.items()
    }
    safetensors.numpy.save_file(moved, folder / "weights.safetensors")
    statistics = [norm[2], norm[3], np.ones(1, np.float32)]
    (folder / "network.caffemodel").write_bytes(message(
        caffe_layer("Data", "data", [], ["data", "label"]),
        caffe_layer("Convolution", "conv", ["data"], ["c"], [(1, 16), (3, 1), (4, 3)], [conv, bias]),
        caffe_layer("BatchNorm", "norm", ["c"], ["c"], [(3, 1e-3)], statistics),
        caffe_layer("Scale", "scale", ["c"], ["c"], [(5, 1)], norm[:2]),
        caffe_layer("ReLU", "relu", ["c"], ["c"]),
        caffe_layer("Pooling", "mean", ["c"], ["m"], [(1, 1), (12, 1)]),
        caffe_layer("InnerProduct", "dense", ["m"], ["d"], [(1, 12)], [dense.T.copy(), dense_bias]),
    ))  # fmt: skip


def test_the_code_runs(tmp_path, monkeypatch, capsys):
    put_weights(tmp_path, put_networks(tmp_path))
    monkeypatch.chdir(tmp_path)
    namespace = {}
    found = blocks("python")
    assert len(found) == 4
    for number, (_, code) in enumerate(found):
        code = code.replace('until="relu1")', 'until="relu1", shape=(1, 98, 40))') if number == 0 else code
        exec(compile(code, f"{PAGE.name}, block {number}", "exec"), namespace)
    assert namespace["y"].shape == (8, 98, 40, 16)
    assert "Conv(16, (3, 3), padding=1)" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="the scripts are for bash on Unix")
def test_the_commands_run(tmp_path):
    folder = sandbox.fill(tmp_path)
    put_networks(folder)
    written = [sandbox.run(folder, language, code) for language, code in blocks("bash")]
    assert len(written) == 4
    assert "relu1" in written[0]
    assert (folder / "early" / "model.safetensors").is_file()


# --- tables ----------------------------------------------------------------------------------------------------------


def section(head):
    """Return the text below a heading."""
    return re.split(r"^## ", PAGE.read_text("utf-8").partition(f"\n## {head}\n")[2], flags=re.MULTILINE)[0]


def cells(head, column):
    """Return what is in backticks in a column of the section's table."""
    rows = [line.split("|") for line in section(head).splitlines() if line.startswith("| ")]
    found = [name for row in rows[1:] for name in re.findall(r"`(\w+)`", row[column])]
    assert len(set(found)) == len(found)
    return set(found)


def test_operators_of_onnx():
    constant = {*constants.OPERATIONS, "Constant", "Shape"} - set(convert.RULES)
    assert cells("Operators of ONNX", 2) == set(convert.RULES) | constant


def test_layers_of_keras():
    assert cells("Layers of Keras", 2) == set(keras_layers.RULES)
    activations = section("Layers of Keras").partition("Activations: ")[2]
    assert re.findall(r"`(\w+)`", activations) == sorted(keras_layers.ACTIVATIONS)


def test_layers_of_caffe():
    assert cells("Layers of Caffe", 2) == set(caffe.RULES)


def test_endings_of_files():
    first = PAGE.read_text("utf-8").partition("\n## ")[0]
    assert {*re.findall(r"`(\.\w+)`", first)} | {".hdf5"} == {*interop.NETWORKS, *interop.WEIGHTS}


def test_the_learning_rate_of_layers_of_the_file():
    assert BODY_RATE == 1 / 20
    for page in (PAGE, sandbox.ROOT / "docs" / "recipes.md"):
        text = " ".join(page.read_text("utf-8").split())
        assert re.search(r"the layers of the file|the file's layers", text)
        assert "learn with a twentieth of the rate" in text


ONE = (4, 9, 7)
# Layer: nodes on (4, 9, 7) and constants, from which it comes; a convolution before it, and a mean and Dense behind it.
LAYER_BY_LAYER = {
    "AvgPoolExcludePadding": ([node("AveragePool", ["c"], "d", kernel_shape=[3, 3], pads=[1, 1, 1, 1])], {}),
    "Mean": ([node("ReduceMean", ["c"], "d", axes=[2])], {}),
    "PReLU": ([node("PRelu", ["c", "k"], "d")], {"k": numbers(6, 1, 1)}),
    "Pad": ([node("Pad", ["c", "k"], "d")], {"k": np.asarray([0, 0, 1, 1, 0, 0, 1, 1])}),
    "Power": ([node("Mul", ["c", "k"], "d")], {"k": np.float32(2)}),
    "Rearrange": (
        [node("Transpose", ["c"], "t", perm=[0, 2, 1, 3]), node("Conv", ["t", "v"], "d")], {"v": numbers(5, 7, 1, 1)},
    ),
    "Scale": ([node("Mul", ["c", "k"], "d")], {"k": numbers(6, 1, 1)}),
    "Softmax": ([node("Softmax", ["c"], "d", axis=1)], {}),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYER_BY_LAYER)
def test_layers_that_are_not_compiled(name, tmp_path):
    nodes, more = LAYER_BY_LAYER[name]
    nodes = [node("Conv", ["x", "w"], "c"), *nodes, node("GlobalAveragePool", ["d"], "g"), node("Flatten", ["g"])]
    path = save(model(nodes, ONE, {"w": numbers(6, 4, 3, 1), **more}), tmp_path)
    found = interop.read(path)
    assert f"is {name}, which is not compiled" in how_it_runs(found.network, found.in_shape)
    before = interop.read(path, until="c").network
    pooled = L.Chain([*before.layers, L.GlobalAvgPool(), L.Dense(3)])
    assert how_it_runs(pooled, found.in_shape) == ""


def test_the_table_of_layers_that_are_not_compiled_is_whole():
    from audioconv.compiler.trace import _RULES

    kinds = {getattr(L, name) for name in L.__all__ if isinstance(getattr(L, name), type)}
    layers = {kind.__name__ for kind in kinds if issubclass(kind, L.Layer) and kind is not L.Layer}
    assert cells("What runs layer by layer", 1) == layers - {kind.__name__ for kind in _RULES}
    assert cells("What runs layer by layer", 1) == set(LAYER_BY_LAYER)


def test_the_named_networks_are_compiled():
    """As docs/recipes.md says."""
    table = (sandbox.ROOT / "docs" / "recipes.md").read_text("utf-8").partition("## The networks")[2]
    assert "All of them run compiled." in " ".join(table.split())
    for name in architectures.NAMES:
        shape = {"inception-v3": (75, 75, 3), "speech-embedding": (101, 32, 1)}.get(name, (101, 40, 1))
        shape = (8000, 1) if name.startswith("m") and name[1].isdecimal() else shape
        assert how_it_runs(architectures.build(name, 5), shape) == "", name
