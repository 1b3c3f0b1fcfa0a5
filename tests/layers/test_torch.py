"""Every layer beside PyTorch's: output, gradients, running statistics."""

from __future__ import annotations

import numpy as np
import pytest

from audioconv import layers as L

torch = pytest.importorskip("torch")
nn = torch.nn


class SubSpectralNorm(nn.BatchNorm2d):
    """The bands' normalisation, each band a set of channels."""

    def __init__(self, channels, bands):
        super().__init__(bands * channels)
        self.bands = bands

    def forward(self, x):
        N, C, T, F = x.shape
        bands = x.view(N, C, T, self.bands, F // self.bands).permute(0, 3, 1, 2, 4)
        y = super().forward(bands.reshape(N, self.bands * C, T, F // self.bands))
        return y.view(N, self.bands, C, T, F // self.bands).permute(0, 2, 3, 1, 4).reshape(x.shape)


PAIRS = {
    "conv 2-D": (
        L.Conv(12, (3, 5), stride=(2, 1), padding=(1, 2), dilation=(1, 2)), (9, 11, 5),
        lambda: nn.Conv2d(5, 12, (3, 5), stride=(2, 1), padding=(1, 2), dilation=(1, 2)),
    ),
    "conv 2-D, same": (L.Conv(20, (4, 3), padding="same"), (9, 8, 3), lambda: nn.Conv2d(3, 20, (4, 3), padding="same")),
    "conv 2-D, groups": (
        L.Conv(6, 3, groups=3, bias=False), (6, 7, 9), lambda: nn.Conv2d(9, 6, 3, groups=3, bias=False),
    ),
    "conv 2-D, depthwise": (
        L.Conv(16, 3, stride=2, padding=1, groups=16), (8, 7, 16),
        lambda: nn.Conv2d(16, 16, 3, stride=2, padding=1, groups=16),
    ),
    "conv 1-D": (
        L.Conv(24, 9, stride=2, padding=4), (101, 40), lambda: nn.Conv1d(40, 24, 9, stride=2, padding=4),
    ),
    "conv 1-D on samples": (L.Conv(32, 80, stride=4), (800, 1), lambda: nn.Conv1d(1, 32, 80, stride=4)),
    "max pool 2-D": (L.MaxPool((3, 2), stride=2, padding=1), (7, 8, 5), lambda: nn.MaxPool2d((3, 2), 2, 1)),
    "max pool 1-D": (L.MaxPool(4), (30, 5), lambda: nn.MaxPool1d(4)),
    "average pool 2-D": (L.AvgPool((3, 2), padding=1), (7, 8, 5), lambda: nn.AvgPool2d((3, 2), padding=1)),
    "average pool 1-D": (L.AvgPool(3, stride=2), (20, 5), lambda: nn.AvgPool1d(3, 2)),
    "global average pool": (
        L.GlobalAvgPool(), (6, 5, 4), lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    ),
    "global max pool": (L.GlobalMaxPool(), (9, 4), lambda: nn.Sequential(nn.AdaptiveMaxPool1d(1), nn.Flatten())),
    "batch norm 2-D": (L.BatchNorm(momentum=0.2), (6, 5, 4), lambda: nn.BatchNorm2d(4, momentum=0.2)),
    "batch norm 1-D": (L.BatchNorm(epsilon=1e-3), (20, 7), lambda: nn.BatchNorm1d(7, eps=1e-3)),
    "batch norm of features": (L.BatchNorm(), (7,), lambda: nn.BatchNorm1d(7)),
    "sub-spectral norm": (L.SubSpectralNorm(3), (7, 6, 4), lambda: SubSpectralNorm(4, 3)),
    "frequency average pool": (L.FrequencyAvgPool(), (6, 5, 4), lambda: nn.AdaptiveAvgPool2d((None, 1))),
    "depthwise conv": (
        L.DepthwiseConv((5, 3), padding=1, dilation=(2, 1)), (9, 6, 4),
        lambda: nn.Conv2d(4, 4, (5, 3), padding=1, dilation=(2, 1), groups=4),
    ),
    "dense": (L.Dense(33), (50,), lambda: nn.Linear(50, 33)),
    "dense without bias": (L.Dense(2, bias=False), (5,), lambda: nn.Linear(5, 2, bias=False)),
    "flatten": (L.Flatten(), (9,), lambda: nn.Flatten()),
    "relu": (L.ReLU(), (6, 5, 4), nn.ReLU),
    "leaky relu": (L.LeakyReLU(), (6, 4), nn.LeakyReLU),
    "sigmoid": (L.Sigmoid(), (6, 4), nn.Sigmoid),
    "silu": (L.SiLU(), (6, 5, 4), nn.SiLU),
    "tanh": (L.Tanh(), (7,), nn.Tanh),
    "clamp": (L.Clamp(0, 0.5), (6, 5, 4), lambda: nn.Hardtanh(0, 0.5)),
    "hard sigmoid": (L.HardSigmoid(), (6, 4), nn.Hardsigmoid),
    "hard swish": (L.HardSwish(), (6, 4), nn.Hardswish),
    "elu": (L.ELU(0.7), (6, 4), lambda: nn.ELU(0.7)),
    "prelu": (L.PReLU(), (6, 5, 4), lambda: nn.PReLU(4)),
    "prelu, shared": (L.PReLU(shared=True), (6, 4), nn.PReLU),
    "softmax": (L.Softmax(), (6, 4), lambda: nn.Softmax(1)),
    "log softmax": (L.Softmax(log=True), (7,), lambda: nn.LogSoftmax(1)),
    "average pool without padding": (
        L.AvgPoolExcludePadding(3, stride=2, padding=1), (6, 7, 4),
        lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    ),
    "pad": (L.Pad(((1, 2), (3, 0), (0, 0)), 0.5), (6, 5, 4), lambda: nn.ConstantPad2d((3, 0, 1, 2), 0.5)),
    "mean over time": (L.Mean((-3,)), (6, 5, 4), lambda: nn.AdaptiveAvgPool2d((1, None))),
    "identity": (L.Identity(), (6, 4), nn.Identity),
}  # fmt: skip

# Combinators are plain sums, products and slices; tests/test_against_pytorch.py trains networks of them.
OTHERS = {"Chain", "Residual", "Concat", "Sum", "Multiply", "Dropout", "ChannelDropout", "Power", "Scale", "Rearrange"}


def test_every_layer_with_a_counterpart_is_in_the_table():
    public = {name for name, kind in L.Layer.kinds.items() if kind.__module__.startswith("audioconv.")}
    assert {type(layer).__name__ for layer, _, _ in PAIRS.values()} == public - OTHERS


def to_torch(array):
    """Return a tensor (N, C, *spatial)."""
    return torch.tensor(np.moveaxis(array, -1, 1).copy()) if array.ndim > 2 else torch.tensor(array)


def to_array(tensor):
    array = tensor.detach().numpy()
    return np.moveaxis(array, 1, -1) if array.ndim > 2 else array


def weight_to_torch(array):
    """Return kernels (*kernel, C, K) as (K, C, *kernel), a matrix (features, units) transposed."""
    return torch.tensor(array.transpose(-1, -2, *range(array.ndim - 2)).copy() if array.ndim > 1 else array)


def weight_to_array(tensor):
    array = tensor.detach().numpy()
    return array.transpose(*range(2, array.ndim), 1, 0) if array.ndim > 1 else array


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")  # PyTorch's own, about its speed
@pytest.mark.parametrize("name", PAIRS)
def test_it_computes_what_pytorch_computes(name, rng):
    layer, in_shape, make = PAIRS[name]
    params = layer.init(in_shape, rng)
    for array in params.values():
        array += rng.uniform(0.1, 0.5, array.shape).astype(np.float32)
    theirs = make()
    theirs.load_state_dict({path: weight_to_torch(array) for path, array in params.items()}, strict=False)
    x = rng.standard_normal((4, *in_shape), np.float32)
    run = L.Pass(training=True)

    y, saved = layer.forward(params, x, run)
    tensor = to_torch(x).requires_grad_()
    wanted = theirs(tensor)
    close(y, to_array(wanted))

    dy = rng.standard_normal(y.shape, np.float32)
    dx, grads = layer.backward(params, saved, dy, run)
    wanted.backward(to_torch(dy))
    close(dx, to_array(tensor.grad))
    assert set(grads) == {path for path, _ in theirs.named_parameters()}
    for path, parameter in theirs.named_parameters():
        close(grads[path], weight_to_array(parameter.grad))

    updates = layer.updates(params, saved)
    for path, value in updates.items():
        close(value, theirs.get_buffer(path).numpy())
    theirs.eval()
    y, _ = layer.forward({**params, **updates}, x, L.Pass())
    close(y, to_array(theirs(to_torch(x))))


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=2e-5 * max(1, np.abs(wanted).max()))
