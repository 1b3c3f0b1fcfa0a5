"""Weights of PyTorch, Keras and Caffe onto networks, and pickles that want more."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
import safetensors.numpy
from caffe_files import layer as caffe_layer
from caffe_files import message

from audioconv import architectures, interop
from audioconv import layers as L
from audioconv.errors import AudioconvError, ConfigError, DataError, ModelFileError
from audioconv.interop.pytorch import pytorch_tensors
from audioconv.interop.safetensors_file import safetensors_tensors

try:
    import torch
    from torch import nn
except ImportError:
    torch = nn = None

beside_torch = pytest.mark.skipif(torch is None, reason="compares with PyTorch")

NETWORK = L.Chain(
    [
        L.Conv(6, (3, 3), padding=1, bias=False), L.BatchNorm(), L.ReLU(), L.MaxPool(2),
        L.DepthwiseConv((3, 3), padding=1), L.Conv(8, (1, 1)), L.BatchNorm(), L.ReLU(),
        L.Flatten(), L.Dropout(0.1), L.Dense(5), L.ReLU(), L.Dense(3),
    ]
)  # fmt: skip
IN_SHAPE = (8, 6, 2)


def torch_network():
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.Conv2d(6, 8, 1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Flatten(), nn.Dropout(0.1), nn.Linear(96, 5), nn.ReLU(), nn.Linear(5, 3),
    )  # fmt: skip


def started(network):
    torch.manual_seed(4)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            for buffer in (module.running_mean, module.running_var, module.weight.data, module.bias.data):
                buffer.uniform_(0.5, 2)
    return network.eval()


def agrees(found, network, rng):
    x = rng.standard_normal((3, *found.in_shape), np.float32)
    y, _ = found.network.forward(found.params, x, L.Pass())
    with torch.no_grad():
        wanted = network(torch.tensor(np.moveaxis(x, -1, 1).copy())).numpy()
    np.testing.assert_allclose(y, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


class Renamed(nn.Module if nn is not None else object):
    """The same layers, other names, defined in the order in which they run."""

    def __init__(self):
        super().__init__()
        self.features = nn.ModuleDict({f"part{n}": layer for n, layer in enumerate(torch_network())})

    def forward(self, x):
        for layer in self.features.values():
            x = layer(x)
        return x


@beside_torch
@pytest.mark.parametrize("how", ["by names", "with a prefix", "by shapes", "a checkpoint", "half precision", "strided"])
def test_a_state_dict_is_read_without_pytorch(how, tmp_path, rng):
    network = started(Renamed() if how == "by shapes" else torch_network())
    content = network.state_dict()
    if how == "with a prefix":
        content = {f"module.{name}": tensor for name, tensor in content.items()}
    if how == "half precision":
        network.load_state_dict({name: tensor.half().float() for name, tensor in content.items()})
        content = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in content.items()}
    if how == "strided":
        content = {name: tensor.mT.contiguous().mT if tensor.ndim > 1 else tensor for name, tensor in content.items()}
    if how == "a checkpoint":
        optimizer = torch.optim.Adam(network.parameters())
        content = {"epoch": 3, "state_dict": content, "optimizer": optimizer.state_dict(), "loss": 0.5}
    torch.save(content, tmp_path / "network.pt")
    found = interop.read(tmp_path / "network.pt", onto=NETWORK, in_shape=IN_SHAPE)
    agrees(found, network, rng)
    assert found.names["12"] == ("features.part12" if how == "by shapes" else "12")


@beside_torch
def test_safetensors_of_others_and_our_own(tmp_path, rng):
    network = started(torch_network())
    arrays = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    safetensors.numpy.save_file(arrays, tmp_path / "network.safetensors")
    found = interop.read(tmp_path / "network.safetensors", onto=NETWORK, in_shape=IN_SHAPE)
    agrees(found, network, rng)
    with pytest.raises(ModelFileError, match="weights of others need onto="):
        interop.read(tmp_path / "network.safetensors")
    from audioconv.model import Model

    Model(found.network, found.params, ("a", "b", "c"), IN_SHAPE).save(tmp_path / "model.safetensors")
    again = interop.read(tmp_path / "model.safetensors")
    assert (again.network, again.in_shape) == (NETWORK, IN_SHAPE)
    agrees(again, network, rng)


def test_bfloat16_is_read(tmp_path):
    values = np.asarray([1.5, -2.25, 0.0], np.float32)
    header = json.dumps({"x": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}}).encode()
    content = struct.pack("<Q", len(header)) + header + (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    (tmp_path / "x.safetensors").write_bytes(content)
    np.testing.assert_array_equal(safetensors_tensors(tmp_path / "x.safetensors")["x"], values)
    for broken in (
        content[:-1],
        content[:20],
        b"",
        header,
        content.replace(b"[3]", b"[4]"),
        content.replace(b"BF16", b"F8_X"),
    ):
        (tmp_path / "x.safetensors").write_bytes(broken)
        with pytest.raises(ModelFileError, match="truncated or damaged"):
            safetensors_tensors(tmp_path / "x.safetensors")


ARCHITECTURES = {"tc-resnet8": (50, 20), "ds-cnn-s": (49, 10, 1), "m5": (8000, 1)}
"""Names, and the shape of one example."""


@pytest.fixture(params=ARCHITECTURES)
def architecture(request, rng):
    """Return a name, the shape of an example, the network for seven classes, and parameters that all differ."""
    in_shape = ARCHITECTURES[request.param]
    network = architectures.build(request.param, 7)
    params = network.init(in_shape, rng)
    for array in L.flatten(params).values():
        array += rng.uniform(0.1, 0.5, array.shape).astype(np.float32)
    return request.param, in_shape, network, params


def by_layer(params):
    """Return the arrays of each layer by its path."""
    found = {}
    for path, array in L.flatten(params).items():
        layer, _, kind = path.rpartition(".")
        found.setdefault(layer, {})[kind] = array
    return found


def lies_on(path, architecture):
    """Assert that a file's arrays are the parameters of the architecture."""
    name, in_shape, network, params = architecture
    found = interop.read(path, onto=name, in_shape=in_shape)
    assert found.network == network  # seven classes, as the last layer in the file has
    assert L.flatten(found.params).keys() == L.flatten(params).keys()
    for key, array in L.flatten(params).items():
        np.testing.assert_array_equal(L.flatten(found.params)[key], array)
    return found


@beside_torch
def test_weights_of_pytorch_onto_a_named_architecture(architecture, tmp_path):
    """The file is written from our own parameters, in PyTorch's order of axes and with other names."""
    tensors = {}
    for path, array in L.flatten(architecture[-1]).items():
        moved = array.transpose(-1, -2, *range(array.ndim - 2)) if array.ndim > 1 else array
        tensors["net_" + path.replace(".", "_", path.count(".") - 1)] = torch.tensor(np.ascontiguousarray(moved))
    torch.save(tensors, tmp_path / "network.pth")
    lies_on(tmp_path / "network.pth", architecture)


@pytest.mark.parametrize("how", ["{}", "network.{}", "part_{}"])
def test_weights_of_safetensors_onto_a_named_architecture(how, architecture, tmp_path):
    """Such files are in the order of the alphabet, in which 10 is before 2."""
    tensors = {}
    for path, array in L.flatten(architecture[-1]).items():
        moved = array.transpose(-1, -2, *range(array.ndim - 2)) if array.ndim > 1 else array
        name = path if "part" not in how else path.replace(".", "_", path.count(".") - 1)
        tensors[how.format(name)] = np.ascontiguousarray(moved)
    safetensors.numpy.save_file(tensors, tmp_path / "weights.safetensors")
    lies_on(tmp_path / "weights.safetensors", architecture)


NAMES = {"by names": lambda number, path: path, "by shapes": lambda number, path: f"layer_{number}"}


@pytest.mark.parametrize("how", NAMES)
@pytest.mark.parametrize("form", ["keras", "weights.h5", "h5"])
def test_weights_of_keras_onto_a_named_architecture(form, how, architecture, tmp_path):
    """A convolution of each channel has its kernel as Keras has it, (*kernel, channels, 1)."""
    pytest.importorskip("h5py", reason="needs the extra: pip install 'audioconv[interop]'")
    from keras_files import layer, sequential, write_h5, write_keras, write_weights

    weights = {}
    for number, (path, arrays) in enumerate(by_layer(architecture[-1]).items()):
        values = [arrays[kind] for kind in ("weight", "bias", "running_mean", "running_var") if kind in arrays]
        if values[0].ndim > 2 and values[0].shape[-2] == 1 and number:
            values[0] = values[0].swapaxes(-1, -2)
        weights[NAMES[how](number, path)] = values
    config = sequential([layer("Dense", name) for name in weights])
    file = tmp_path / f"model.{form}"
    if form == "keras":
        write_keras(file, config, weights)
    elif form == "h5":
        write_h5(file, config, weights)
    else:
        write_weights(file, weights)
    found = lies_on(file, architecture)
    assert set(found.names.values()) == set(weights)


@pytest.mark.parametrize("how", NAMES)
def test_weights_of_caffe_onto_a_named_architecture(how, architecture, tmp_path):
    """A normalisation is two layers in the file, and all kernels have two axes."""
    layers = []
    for number, (path, arrays) in enumerate(by_layer(architecture[-1]).items()):
        name, weight = NAMES[how](number, path), arrays["weight"]
        bias = [arrays["bias"]] if "bias" in arrays else []
        if "running_mean" in arrays:
            statistics = [2 * arrays["running_mean"], 2 * arrays["running_var"], np.asarray([2], np.float32)]
            layers.append(caffe_layer("BatchNorm", name, ["x"], ["x"], [], statistics))
            layers.append(caffe_layer("Scale", f"{name}, scale", ["x"], ["x"], [(5, 1)], [weight, *bias]))
            continue
        kind = "InnerProduct" if weight.ndim == 2 else "Convolution"
        if weight.ndim == 3:
            weight = weight[:, None]
        weight = weight.transpose(-1, -2, *range(weight.ndim - 2))
        layers.append(caffe_layer(kind, name, ["x"], ["x"], [(1, len(weight))], [weight, *bias]))
    (tmp_path / "network.caffemodel").write_bytes(message(*layers))
    lies_on(tmp_path / "network.caffemodel", architecture)


@beside_torch
def test_what_does_not_fit_is_named(tmp_path):
    torch.save(torch_network().state_dict(), tmp_path / "network.pt")
    path = tmp_path / "network.pt"
    other = L.Chain([L.Conv(6, (3, 3), padding=1, bias=False), L.BatchNorm(), L.GlobalAvgPool(), L.Dense(4)])
    with pytest.raises(
        ConfigError, match=r"nothing fits 3 Dense\(4\) \(weight \(6, 4\), bias \(4,\)\); left are 4: weight"
    ):
        interop.read(path, onto=other, in_shape=IN_SHAPE)
    short = L.Chain([*NETWORK.layers[:8], L.GlobalAvgPool()])
    with pytest.raises(
        ConfigError, match=r"2 layers of the file are not in the network: 10, 12; leave them out by ignore="
    ):
        interop.read(path, onto=short, in_shape=IN_SHAPE)
    found = interop.read(path, onto=short, in_shape=IN_SHAPE, ignore=("10", "12"))
    assert set(found.params) == {"0", "1", "4", "5", "6"}
    with pytest.raises(ConfigError, match="holds weights alone: give onto="):
        interop.read(path)
    with pytest.raises(ConfigError, match="onto= needs in_shape="):
        interop.read(path, onto=NETWORK)
    with pytest.raises(ConfigError, match=r"networks are read from \.onnx, \.keras"):
        interop.read(tmp_path / "network.tflite")
    with pytest.raises(DataError, match="cannot be read"):
        interop.read(tmp_path / "missing.pt", onto=NETWORK, in_shape=IN_SHAPE)


# --- pickles -------------------------------------------------------------------------------------------------------


def archive(path, content, **members):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", content)
        for name, data in members.items():
            file.writestr(f"archive/data/{name}", data)
    return path


class Call:
    """Pickled, this is a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    "content",
    [Call(os.system, "touch hacked"), Call(eval, "1"), Call(getattr, {}, "get"), Call(io.open, "hacked", "w")],
)
def test_a_pickle_that_calls_anything_is_refused_and_nothing_is_called(content, protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = archive(tmp_path / "network.pt", pickle.dumps({"weight": content}, protocol))
    with pytest.raises(
        ModelFileError, match=r"network\.pt: (holds \S+, which is code and not read|its pickle has the)"
    ):
        pytorch_tensors(path)
    assert not (tmp_path / "hacked").exists()


@beside_torch
def test_a_pickled_module_is_refused_by_name(tmp_path):
    torch.save(torch_network(), tmp_path / "network.pt")
    message = (
        r"holds torch\.nn\.modules\.container\.Sequential, which is code and not read; save the network's state_dict"
    )
    with pytest.raises(ModelFileError, match=message):
        pytorch_tensors(tmp_path / "network.pt")
    torch.save(torch_network().state_dict(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(ModelFileError, match=r"PyTorch before 1\.6 wrote other files"):
        pytorch_tensors(tmp_path / "old.pt")


# Instructions, each of which would do harm if it were followed: numbers far apart, state that is set.
HARMFUL = {
    "many numbered objects": (b"\x80\x02}r\xff\xff\xff\x7f.", "numbers more objects than it has"),
    "a function's state": (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x01\x00\x00\x00aK\x01sb.", "sets the state"),
    "a storage's state": (b"\x80\x02ctorch\nFloatStorage\nX\x01\x00\x00\x00ab.", "sets the state"),
    "a registered extension": (b"\x80\x02\x82\x01.", "EXT1, which is not allowed"),
    "an instance": (b"(S'x'\nios\nsystem\n.", "which is not allowed"),
    "bytes without end": (b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f.", "which is not allowed|damaged"),
    "a stack that is empty": (b"\x80\x02R.", "damaged"),
    "nothing": (b"", "damaged"),
    "no tensors": (pickle.dumps({"a": 1, "b": "text"}, 2), "holds no state_dict"),
}


@pytest.mark.parametrize("name", HARMFUL)
def test_harmful_pickles_are_refused(name, tmp_path):
    content, message = HARMFUL[name]
    with pytest.raises(ModelFileError, match=message):
        pytorch_tensors(archive(tmp_path / "network.pt", content))


def tensor_pickle(offset=0, size=(2, 3), stride=(3, 1), key="0", count=6):
    """Return the pickle of one tensor, written by hand."""

    def integers(values):
        return b"(" + b"".join(pickle.dumps(value, 2)[2:-1] for value in values) + b"t"

    storage = b"(" + b"X\x07\x00\x00\x00storage" + b"ctorch\nFloatStorage\n"
    storage += b"X" + struct.pack("<I", len(key)) + key.encode() + b"X\x03\x00\x00\x00cpu"
    storage += pickle.dumps(count, 2)[2:-1] + b"tQ"
    arguments = b"(" + storage + pickle.dumps(offset, 2)[2:-1] + integers(size) + integers(stride)
    arguments += b"\x89ccollections\nOrderedDict\n)Rt"
    return b"\x80\x02}X\x08\x00\x00\x00a.weight" + b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"Rs."


def test_a_tensor_by_hand_is_read_and_one_beyond_its_storage_is_not(tmp_path):
    numbers = np.arange(6, dtype="<f4")
    path = archive(tmp_path / "network.pt", tensor_pickle(), **{"0": numbers.tobytes()})
    np.testing.assert_array_equal(pytorch_tensors(path)["a.weight"], numbers.reshape(2, 3))
    for settings in (
        {"offset": 1}, {"offset": -1}, {"size": (3, 3)}, {"stride": (4, 1)}, {"stride": (-3, 1)},
        {"size": (10**9, 10**9)}, {"stride": (2**62, 2**62)}, {"size": (2,)}, {"count": 7}, {"key": "../../etc/passwd"},
        {"key": "1"},
    ):  # fmt: skip
        path = archive(tmp_path / "network.pt", tensor_pickle(**settings), **{"0": numbers.tobytes()})
        with pytest.raises(ModelFileError):
            pytorch_tensors(path)


def test_damaged_archives_end_in_an_error_of_the_house(tmp_path, rng):
    numbers = np.arange(6, dtype="<f4")
    whole = archive(tmp_path / "network.pt", tensor_pickle(), **{"0": numbers.tobytes()}).read_bytes()
    path = tmp_path / "damaged.pt"
    for number in range(400):
        damaged = bytearray(whole[: rng.integers(len(whole))] if number % 4 == 0 else whole)
        for place in rng.integers(0, len(damaged), 2) if damaged else ():
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            pytorch_tensors(path)
        except AudioconvError:
            continue
