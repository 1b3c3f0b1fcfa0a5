"""Inception-v3 beside the same network written anew in PyTorch: one training step at 299 x 299, and its use."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from compared import TOLERANCE, Compared, difference, draw_params

from audioconv import architectures
from audioconv import layers as L
from audioconv.compiler.inference import Inference
from audioconv.training.losses import SoftmaxCrossEntropy

torch = pytest.importorskip("torch", reason="compares with PyTorch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

pytestmark = pytest.mark.slow


class Unit(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, before, filters, kernel, stride=1, padding=0):
        super().__init__()
        self.conv = nn.Conv2d(before, filters, kernel, stride, padding, bias=False)
        self.norm = nn.BatchNorm2d(filters, eps=0.001)

    def forward(self, x):
        return F.relu(self.norm(self.conv(x)))


def row(before, *units):
    """Return units one after the other, each given by filters, kernel and more."""
    made = []
    for filters, *rest in units:
        made.append(Unit(before, filters, *rest))
        before = filters
    return nn.Sequential(*made)


class Side(nn.Module):
    """Branches side by side; `pool` is "average" with a unit behind, "greatest" without, or None."""

    def __init__(self, *branches, pool=None, unit=None):
        super().__init__()
        self.branches, self.pool = nn.ModuleList(branches), pool
        self.unit = unit

    def forward(self, x):
        found = [branch(x) for branch in self.branches]
        if self.pool == "average":
            found.append(self.unit(F.avg_pool2d(x, 3, stride=1, padding=1)))
        if self.pool == "greatest":
            found.append(F.max_pool2d(x, 3, stride=2))
        return torch.cat(found, 1)


def a(n, pooled):
    return Side(
        row(n, (64, 1)), row(n, (48, 1), (64, 5, 1, 2)), row(n, (64, 1), (96, 3, 1, 1), (96, 3, 1, 1)),
        pool="average", unit=row(n, (pooled, 1)),
    )  # fmt: skip


def c(h):
    flat, tall = ((1, 7), 1, (0, 3)), ((7, 1), 1, (3, 0))
    return Side(
        row(768, (192, 1)), row(768, (h, 1), (h, *flat), (192, *tall)),
        row(768, (h, 1), (h, *tall), (h, *flat), (h, *tall), (192, *flat)),
        pool="average", unit=row(768, (192, 1)),
    )  # fmt: skip


def e(n):
    def fork():
        return Side(row(384, (384, (1, 3), 1, (0, 1))), row(384, (384, (3, 1), 1, (1, 0))))

    return Side(
        row(n, (320, 1)), nn.Sequential(row(n, (384, 1)), fork()),
        nn.Sequential(row(n, (448, 1), (384, 3, 1, 1)), fork()), pool="average", unit=row(n, (192, 1)),
    )  # fmt: skip


def inception(classes):
    return nn.Sequential(
        row(3, (32, 3, 2), (32, 3), (64, 3, 1, 1)), nn.MaxPool2d(3, 2), row(64, (80, 1), (192, 3)), nn.MaxPool2d(3, 2),
        a(192, 32), a(256, 64), a(288, 64),
        Side(row(288, (384, 3, 2)), row(288, (64, 1), (96, 3, 1, 1), (96, 3, 2)), pool="greatest"),
        c(128), c(160), c(160), c(192),
        Side(
            row(768, (192, 1), (320, 3, 2)),
            row(768, (192, 1), (192, (1, 7), 1, (0, 3)), (192, (7, 1), 1, (3, 0)), (192, 3, 2)), pool="greatest",
        ),
        e(1280), e(2048), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, classes),
    )  # fmt: skip


def to_torch(array):
    """Return kernels (*kernel, C, K) as (K, C, *kernel), a matrix transposed."""
    return torch.tensor(array.transpose(-1, -2, *range(array.ndim - 2)).copy() if array.ndim > 1 else array)


def load(theirs, flat):
    """Give PyTorch's network our parameters: both have them in the order of the layers."""
    state = {name: None for name in theirs.state_dict() if not name.endswith("num_batches_tracked")}
    ours = [flat[path] for path in flat]
    assert len(state) == len(ours)
    theirs.load_state_dict({name: to_torch(a) for name, a in zip(state, ours, strict=True)}, strict=False)
    return list(zip(state, flat, strict=True))


def test_a_training_step_and_a_forward_pass():
    rng = np.random.default_rng(0)
    whole = architectures.build("inception-v3", num_classes=10)
    network = L.Chain([layer for layer in whole.layers if not isinstance(layer, L.Dropout)])
    in_shape = (299, 299, 3)
    params = network.init(in_shape, rng)
    theirs = inception(10).double()
    pairs = load(theirs, L.flatten(params))
    x, labels = rng.standard_normal((4, *in_shape), np.float32), np.array([1, 7, 3, 3])

    run = L.Pass(training=True, rng=rng)
    logits, saved = network.forward(params, x, run)
    loss, gradient = SoftmaxCrossEntropy()(logits, labels)
    grads = L.flatten(network.gradients(params, saved, gradient, run))
    tensor = torch.tensor(np.moveaxis(x, -1, 1).copy()).double()
    wanted = theirs(tensor)
    wanted_loss = F.cross_entropy(wanted, torch.tensor(labels))
    wanted_loss.backward()
    np.testing.assert_allclose(logits, wanted.detach().numpy(), rtol=1e-3, atol=1e-3)
    assert loss == pytest.approx(wanted_loss.item(), rel=1e-4)
    # Rounding moves numbers across the kinks of ReLU and pooling. How far that goes, PyTorch's own float32 shows: in
    # four draws, inputs being off by their last bit, since whether a kink lies near is chance, and the processor's.
    exact = {name: parameter.grad.numpy() for name, parameter in theirs.named_parameters()}
    rounded = copy.deepcopy(theirs).float()
    unavoidable, first = dict.fromkeys(exact, 0.0), {}
    for off in [0, *(1e-7 * rng.standard_normal(x.shape) for _ in range(3))]:
        rounded.zero_grad()
        nudged = np.moveaxis(x * (1 + off), -1, 1).astype(np.float32)
        F.cross_entropy(rounded(torch.tensor(nudged)), torch.tensor(labels)).backward()
        for name, parameter in rounded.named_parameters():
            unavoidable[name] = max(unavoidable[name], np.linalg.norm(parameter.grad.numpy() - exact[name]))
        first = first or dict(unavoidable)
    by_chance = []
    for name, path in pairs:
        if name in exact:
            norm, error = np.linalg.norm(exact[name]), np.linalg.norm(to_torch(grads[path]).numpy() - exact[name])
            assert error < 3 * unavoidable[name] + 1e-4 * norm, path
            assert error < 0.1 * norm, path
            if error >= 3 * first[name] + 1e-4 * norm:
                by_chance.append(path)
    # All but a few keep to the first draw alone.
    assert len(by_chance) < 0.01 * len(pairs), by_chance

    params = L.unflatten(L.flatten(params) | L.flatten(network.updates(params, saved)))
    theirs.eval()  # with the statistics of its one batch
    given, _ = network.forward(params, x, L.Pass())
    with torch.inference_mode():
        wanted = theirs(tensor).numpy()
    np.testing.assert_allclose(given, wanted, rtol=1e-3, atol=1e-3 * abs(wanted).max())


def without_kinks(layer):
    """Return the layer with a smooth activation for ReLU, and averages for greatest numbers."""
    if isinstance(layer, L.Chain):
        return L.Chain([without_kinks(part) for part in layer.layers])
    if isinstance(layer, L.Concat):
        return L.Concat([without_kinks(part) for part in layer.branches])
    if isinstance(layer, L.MaxPool):
        return L.AvgPool(layer.size, layer.stride, layer.padding)
    return L.SiLU() if isinstance(layer, L.ReLU) else layer


def test_gradients_where_no_kink_lies_near(monkeypatch):
    for place, kinked, smooth in (
        (F, "relu", F.silu),
        (F, "max_pool2d", F.avg_pool2d),
        (nn, "MaxPool2d", nn.AvgPool2d),
    ):
        monkeypatch.setattr(place, kinked, smooth)
    rng = np.random.default_rng(0)
    whole = architectures.build("inception-v3", num_classes=10)
    network = without_kinks(L.Chain([layer for layer in whole.layers if not isinstance(layer, L.Dropout)]))
    in_shape = (147, 147, 3)
    params = network.init(in_shape, rng)
    theirs = inception(10).double()
    pairs = load(theirs, L.flatten(params))
    x, labels = rng.standard_normal((4, *in_shape), np.float32), np.array([1, 7, 3, 3])

    run = L.Pass(training=True, rng=rng)
    logits, saved = network.forward(params, x, run)
    _, gradient = SoftmaxCrossEntropy()(logits, labels)
    grads = L.flatten(network.gradients(params, saved, gradient, run))
    tensor = torch.tensor(np.moveaxis(x, -1, 1).copy())
    rounded = copy.deepcopy(theirs).float()
    for module, given in ((theirs, tensor.double()), (rounded, tensor)):
        F.cross_entropy(module(given), torch.tensor(labels)).backward()
    exact, single = (dict(module.named_parameters()) for module in (theirs, rounded))
    for name, path in pairs:
        if name in exact:
            expected = exact[name].grad.numpy()
            unavoidable = np.linalg.norm(single[name].grad.numpy() - expected)
            error = np.linalg.norm(to_torch(grads[path]).numpy() - expected)
            assert error < 3 * unavoidable + 1e-5 * np.linalg.norm(expected), path


def test_the_compiled_step_is_that_of_the_plain_layers():
    network = without_kinks(architectures.build("inception-v3", num_classes=10))
    in_shape = (147, 147, 3)
    params = draw_params(network, in_shape, 0)
    x = np.random.default_rng(1).standard_normal((4, *in_shape), np.float32)
    step = Compared(network, params, x)
    step.check(step.sensitivity())
    wanted, _ = network.forward(L.unflatten(dict(params)), x, L.Pass())
    assert difference(Inference(network, params, in_shape)(x), wanted) < TOLERANCE
