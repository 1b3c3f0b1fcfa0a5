"""Whole networks: those of PyTorch's exporter, and a published one, beside ONNX Runtime."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'audioconv[interop]'")

from onnx_models import compare, run_layers, run_onnx

from audioconv import interop
from audioconv import layers as L

try:
    import torch
    from torch import nn
except ImportError:
    torch = nn = None

beside_torch = pytest.mark.skipif(torch is None, reason="compares with PyTorch")

# --- networks in PyTorch -------------------------------------------------------------------------------------------

if nn is not None:

    def conv_norm(channels, filters, kernel, kind=None, **settings):
        conv, norm = (nn.Conv1d, nn.BatchNorm1d) if kind == 1 else (nn.Conv2d, nn.BatchNorm2d)
        return nn.Sequential(conv(channels, filters, kernel, bias=False, **settings), norm(filters))

    class ResidualBlock(nn.Module):
        def __init__(self, channels, filters, stride):
            super().__init__()
            self.conv1 = conv_norm(channels, filters, 3, stride=stride, padding=1)
            self.conv2 = conv_norm(filters, filters, 3, padding=1)
            same = channels == filters and stride == 1
            self.down = nn.Identity() if same else conv_norm(channels, filters, 1, stride=stride)

        def forward(self, x):
            return torch.relu(self.conv2(torch.relu(self.conv1(x))) + self.down(x))

    class SmallResNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(conv_norm(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
            self.layer1 = nn.Sequential(ResidualBlock(8, 8, 1), ResidualBlock(8, 8, 1))
            self.layer2 = nn.Sequential(ResidualBlock(8, 16, 2), ResidualBlock(16, 16, 1))
            self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5))

        def forward(self, x):
            return self.head(self.layer2(self.layer1(self.stem(x))))

    class SqueezeExcite(nn.Module):
        def __init__(self, channels, hard):
            super().__init__()
            self.down, self.up = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)
            self.act, self.gate = (nn.ReLU(), nn.Hardsigmoid()) if hard else (nn.SiLU(), nn.Sigmoid())

        def forward(self, x):
            return x * self.gate(self.up(self.act(self.down(x.mean((2, 3), keepdim=True)))))

    class InvertedResidual(nn.Module):
        """The block of MobileNetV2 with squeeze-and-excite, as in MobileNetV3."""

        def __init__(self, channels, hard):
            super().__init__()
            wide, act = 4 * channels, nn.Hardswish() if hard else nn.ReLU6()
            self.body = nn.Sequential(
                conv_norm(channels, wide, 1), act, conv_norm(wide, wide, 3, padding=1, groups=wide), act,
                SqueezeExcite(wide, hard), conv_norm(wide, channels, 1),
            )  # fmt: skip

        def forward(self, x):
            return x + self.body(x)

    def mobile(hard):
        stem = [conv_norm(1, 8, 3, stride=2, padding=1), nn.Hardswish() if hard else nn.ReLU6()]
        blocks = [InvertedResidual(8, hard), InvertedResidual(8, hard)]
        return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(8, 4))

    def ds_cnn():
        def block():
            depthwise = conv_norm(16, 16, 3, padding=1, groups=16)
            return [depthwise, nn.ReLU(), conv_norm(16, 16, 1), nn.ReLU()]

        first = conv_norm(1, 16, (10, 4), stride=(2, 2), padding=(5, 1))
        return nn.Sequential(
            first, nn.ReLU(), *block(), *block(), nn.AvgPool2d((13, 5)), nn.Flatten(), nn.Linear(16, 6)
        )

    class TcBlock(nn.Module):
        def __init__(self, channels, filters):
            super().__init__()
            first, second = (conv_norm(c, filters, 9, 1, stride=s, padding=4) for c, s in ((channels, 2), (filters, 1)))
            self.body = nn.Sequential(first, nn.ReLU(), second)
            self.shortcut = nn.Sequential(conv_norm(channels, filters, 1, 1, stride=2), nn.ReLU())

        def forward(self, x):
            return torch.relu(self.body(x) + self.shortcut(x))

    class TcResNet(nn.Module):
        """Takes (N, 1, frequencies, time), as front ends give it, and has the frequencies as channels."""

        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Conv1d(10, 8, 3, padding=1, bias=False), TcBlock(8, 12), TcBlock(12, 16))
            self.classify = nn.Linear(16, 5)

        def forward(self, x):
            return self.classify(self.net(x.squeeze(1)).mean(-1))

    class M5(nn.Module):
        """The network on samples, averaged over what is left, its features transposed before the last layer."""

        def __init__(self):
            super().__init__()

            def part(channels, filters, kernel, stride):
                return [conv_norm(channels, filters, kernel, 1, stride=stride), nn.ReLU(), nn.MaxPool1d(4)]

            self.body = nn.Sequential(*part(1, 8, 40, 8), *part(8, 8, 3, 1), *part(8, 16, 3, 1))
            self.classify = nn.Linear(16, 7)

        def forward(self, x):
            x = self.body(x)
            x = nn.functional.avg_pool1d(x, x.shape[-1]).permute(0, 2, 1)
            return nn.functional.log_softmax(self.classify(x), dim=2)

    class InceptionBlock(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.a = nn.Sequential(conv_norm(channels, 4, 1), nn.ReLU())
            self.b = nn.Sequential(
                conv_norm(channels, 4, 1), nn.ReLU(), conv_norm(4, 6, (1, 7), padding=(0, 3)), nn.ReLU()
            )
            self.c0 = nn.Sequential(conv_norm(channels, 5, 1), nn.ReLU())
            self.c1, self.c2 = conv_norm(5, 3, (1, 3), padding=(0, 1)), conv_norm(5, 3, (3, 1), padding=(1, 0))
            self.d = conv_norm(channels, 2, 1)

        def forward(self, x):
            c = self.c0(x)
            pooled = nn.functional.avg_pool2d(x, 3, stride=1, padding=1)
            return torch.cat([self.a(x), self.b(x), torch.cat([self.c1(c), self.c2(c)], 1), self.d(pooled)], 1)

    class DenseBlock(nn.Module):
        """Each convolution takes all that there is before it (Huang et al., 2017)."""

        def __init__(self):
            super().__init__()
            self.convs = nn.ModuleList([conv_norm(4 + 3 * n, 3, 3, padding=1) for n in range(3)])

        def forward(self, x):
            found = [x]
            for conv in self.convs:
                found.append(torch.relu(conv(torch.cat(found, 1))))
            return torch.cat(found, 1)

    class Attention(nn.Module):
        """Weights of places by a softmax over time, and their weighted sum."""

        def __init__(self):
            super().__init__()
            self.conv, self.score, self.out = nn.Conv1d(6, 8, 3), nn.Conv1d(8, 1, 1), nn.Linear(8, 3)

        def forward(self, x):
            x = torch.tanh(self.conv(x))
            return self.out((x * torch.softmax(self.score(x), dim=2)).mean(2))


NETWORKS = {
    "small ResNet": (lambda: SmallResNet(), (3, 32, 24)),
    "MobileNetV2 with squeeze-and-excite": (lambda: mobile(False), (1, 24, 20)),
    "MobileNetV3's block": (lambda: mobile(True), (1, 24, 20)),
    "DS-CNN": (lambda: ds_cnn(), (1, 49, 10)),
    "TC-ResNet": (lambda: TcResNet(), (1, 10, 51)),
    "M5": (lambda: M5(), (1, 4000)),
    "Inception": (lambda: nn.Sequential(InceptionBlock(3), nn.ReLU(), InceptionBlock(18)), (3, 9, 12)),
    "DenseNet": (lambda: nn.Sequential(nn.Conv2d(2, 4, 3), DenseBlock()), (2, 9, 8)),
    "attention over time": (lambda: Attention(), (6, 20)),
}


def exported(network, shape, path, train=False):
    """Write a network with random statistics to `path` by PyTorch's exporter."""
    torch.manual_seed(3)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
    mode = torch.onnx.TrainingMode.PRESERVE if train else torch.onnx.TrainingMode.EVAL
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(), (torch.zeros(2, *shape),), str(path), dynamo=False, training=mode, input_names=["input"],
            output_names=["output"], dynamic_axes={"input": {0: "batch"}}, do_constant_folding=not train,
        )  # fmt: skip
    return path


@beside_torch
@pytest.mark.parametrize("norms", ["folded", "apart"])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_exported_by_pytorch_compute_the_same(name, norms, tmp_path, rng):
    make, shape = NETWORKS[name]
    torch.manual_seed(5)
    path = exported(make(), shape, tmp_path / "network.onnx", train=norms == "apart")
    found, _ = compare(path, shape, rng)
    assert set(found.names) >= {path.rpartition(".")[0] for path in L.flatten(found.params)}
    again = L.from_config(L.to_config(found.network))
    assert again == found.network
    kinds = {row.label.partition("(")[0] for row in L.summary(found.network, found.in_shape).rows}
    assert ("BatchNorm" in kinds) == (norms == "apart" and name != "attention over time")


@beside_torch
def test_networks_have_the_layers_of_the_source(tmp_path, rng):
    found, _ = compare(exported(SmallResNet(), (3, 32, 24), tmp_path / "a.onnx"), (3, 32, 24), rng)
    kinds = [type(layer).__name__ for layer in found.network.layers]
    assert kinds == ["Conv", "ReLU", "MaxPool", *["Residual", "ReLU"] * 4, "GlobalAvgPool", "Dense"]
    block = found.network.layers[3]
    assert block.shortcut == L.Identity()
    assert [type(layer).__name__ for layer in block.body.layers] == ["Conv", "ReLU", "Conv"]
    assert found.names["3.body.0"] == "/layer1/layer1.0/conv1/conv1.0/Conv"
    found, _ = compare(exported(mobile(True), (1, 24, 20), tmp_path / "b.onnx"), (1, 24, 20), rng)
    assert found.network.layers[1] == L.HardSwish()
    assert "HardSigmoid()" in str(L.summary(found.network, found.in_shape))
    found, _ = compare(exported(mobile(False), (1, 24, 20), tmp_path / "c.onnx"), (1, 24, 20), rng)
    assert found.network.layers[1] == L.Clamp(0, 6)
    assert "SiLU()" in str(L.summary(found.network, found.in_shape))
    found, _ = compare(exported(TcResNet(), (1, 10, 51), tmp_path / "d.onnx"), (1, 10, 51), rng)
    assert found.in_shape == (51, 10)
    found, _ = compare(exported(M5(), (1, 4000), tmp_path / "e.onnx"), (1, 4000), rng)
    assert found.in_shape == (4000, 1)
    assert found.network.layers[-1] == L.Softmax(log=True)
    assert found.logits().network.layers[-2:] == (L.Conv(7, (1,)), L.Flatten())


@beside_torch
@pytest.mark.parametrize(
    ("until", "shape"),
    [("layer1", (16, 12, 8)), ("/layer2/layer2.0/Relu_1_output_0", (8, 6, 16)), ("/stem/stem.2/MaxPool", (16, 12, 8)),
     ("layer2.0", (8, 6, 16)), ("head", (5,))],
)  # fmt: skip
def test_a_network_is_cut_at_a_layer_a_tensor_or_a_node(until, shape, tmp_path, rng):
    path = exported(SmallResNet(), (3, 32, 24), tmp_path / "network.onnx")
    whole, found = interop.read_onnx(path), interop.read_onnx(path, until=until)
    assert found.out_shape == shape
    assert whole.network.layers[: len(found.network.layers)] == found.network.layers
    with pytest.raises(Exception, match="has no layer, node or tensor 'layer9'; did you mean 'layer"):
        interop.read_onnx(path, until="layer9")


@beside_torch
def test_an_imported_network_is_a_model_and_learns(tmp_path, rng):
    from audioconv import Model, fit

    found = interop.read_onnx(exported(SmallResNet(), (3, 32, 24), tmp_path / "network.onnx")).logits()
    labels = ("a", "b", "c", "d", "e")
    model = Model(found.network, found.params, labels, found.in_shape)
    model.save(tmp_path / "model.safetensors")
    again = Model.load(tmp_path / "model.safetensors")
    x = rng.standard_normal((8, 32, 24, 3), np.float32)
    np.testing.assert_allclose(again.logits(x), run_onnx(tmp_path / "network.onnx", x.transpose(0, 3, 1, 2)), atol=2e-5)
    assert callable(fit)


# --- the published speech network ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def speech(mirror):
    path = mirror / "embedding_model.onnx"
    if not path.is_file():
        pytest.skip(f"AUDIOCONV_MIRROR has no {path.name}")
    return path


def speech_features(test_data):
    """Return the front end's numbers of real speech, (frames, 32), as the network takes them."""
    from audioconv.audio.read import read
    from audioconv.features.front_ends import LogMel

    path = sorted((test_data / "librispeech-some").glob("*.flac"))[0]
    decibels = LogMel(sample_rate=16000, mel_bands=32)(32768 * read(path, 16000)[None, : 3 * 16000])[0]
    return (np.maximum(decibels, decibels.max() - 80) / 10 + 2).astype(np.float32)


@pytest.mark.parametrize("kind", ["random", "real"])
def test_the_speech_network_computes_the_same_window_by_window(speech, kind, request, rng):
    found = interop.read_onnx(speech)
    assert (found.in_shape, found.out_shape) == ((76, 32, 1), (1, 1, 96))
    assert {type(layer).__name__ for layer in found.network.layers} == {"Conv", "LeakyReLU", "Clamp", "MaxPool"}
    frames = 76 + 8 * 9
    if kind == "random":
        x = (2 + 2 * rng.standard_normal((frames, 32))).astype(np.float32)
    else:
        x = speech_features(request.getfixturevalue("test_data"))[:frames]
    windows = np.stack([x[start : start + 76, :, None] for start in range(0, frames - 75, 8)])
    wanted = run_onnx(speech, windows)
    largest = np.abs(wanted).max()
    np.testing.assert_allclose(run_layers(found, windows), wanted, atol=2e-6 * largest)
    # All frames at once give the vectors of all windows, for nothing is padded in time.
    at_once, _ = found.network.forward(found.params, x[None, :, :, None], L.Pass())
    assert at_once.shape == (1, 10, 1, 96)
    np.testing.assert_allclose(at_once[0], wanted[:, 0], atol=2e-6 * largest)


def test_the_speech_network_is_compiled(speech, rng):
    from compared import Compared

    found = interop.read_onnx(speech).logits()
    x = (2 + 2 * rng.standard_normal((3, *found.in_shape))).astype(np.float32)
    assert L.summary(found.network, found.in_shape).remarks == ()
    step = Compared(found.network, L.flatten(found.params), x)
    step.check(step.sensitivity())


def test_gradients_through_the_speech_network_are_those_of_differences(speech, rng):
    found = interop.read_onnx(speech)
    x = (2 + 2 * rng.standard_normal((2, *found.in_shape))).astype(np.float32)
    run = L.Pass(training=True)
    y, saved = found.network.forward(found.params, x, run)
    projection = rng.standard_normal(y.shape).astype(np.float32)
    dx, grads = found.network.backward(found.params, saved, projection, run)

    def loss(params, x):
        return float(np.vdot(projection.astype(np.float64), found.network.forward(params, x, L.Pass())[0]))

    flat, flat_grads = L.flatten(found.params), L.flatten(grads)
    assert set(flat) == set(flat_grads)
    for path in ("0.weight", "0.bias", "16.weight", "39.weight", "58.bias", "62.weight"):
        direction = flat_grads[path] / np.linalg.norm(flat_grads[path])  # up the slope, where rounding matters least
        step = np.float32(2e-4) * direction
        there, back = (loss(L.unflatten({**flat, path: flat[path] + way * step}), x) for way in (1, -1))
        np.testing.assert_allclose((there - back) / 4e-4, np.vdot(flat_grads[path], direction), rtol=2e-2)
    direction = dx / np.linalg.norm(dx)
    there, back = (loss(found.params, x + way * np.float32(1e-3) * direction) for way in (1, -1))
    np.testing.assert_allclose((there - back) / 2e-3, np.vdot(dx, direction), rtol=2e-2)
