"""Gradients against differences of the reference in float64, along one random direction for each array.

Biases are drawn: a zero bias behind a ReLU would sit on its kink. Max-pool gets numbers far from each other.
"""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import reference

from audioconv import layers as L

STEP = 1e-6

LAYERS = {
    "conv 2-D": (L.Conv(5, (3, 2), padding="same"), (5, 6, 3)),
    "conv 2-D, strided": (L.Conv(17, 3, stride=(2, 3), padding=((1, 2), (3, 0))), (7, 8, 2)),
    "conv 2-D, dilated groups": (L.Conv(4, (2, 3), dilation=(2, 1), groups=2, padding=1), (6, 5, 6)),
    "conv 2-D, depthwise": (L.Conv(9, 3, stride=2, padding=1, groups=9), (6, 5, 9)),
    "conv 2-D, depth multiplier": (L.Conv(8, 3, groups=4, bias=False), (4, 5, 4)),
    "conv 2-D, 1 x 1": (L.Conv(6, 1), (3, 4, 5)),
    "conv 2-D, 1 x 1 strided": (L.Conv(6, 1, stride=2), (5, 4, 5)),
    "conv 2-D, padding beyond the kernel": (L.Conv(3, 2, stride=3, padding=4), (3, 4, 2)),
    "conv 2-D, inputs that no window sees": (L.Conv(3, 2, stride=4), (8, 7, 2)),
    "conv 1-D": (L.Conv(6, 5, stride=2, padding=2, dilation=2), (14, 4)),
    "conv 1-D, depthwise": (L.Conv(4, 3, groups=4, dilation=3, padding="same"), (9, 4)),
    "max pool 2-D": (L.MaxPool((2, 3)), (5, 7, 3)),
    "max pool 2-D, overlapping": (L.MaxPool(3, stride=2, padding=1), (6, 7, 2)),
    "max pool 1-D": (L.MaxPool(3, stride=1, padding="same"), (9, 4)),
    "average pool 2-D": (L.AvgPool((3, 2), stride=(2, 1), padding=1), (6, 5, 3)),
    "average pool 1-D": (L.AvgPool(4), (11, 2)),
    "global max pool 2-D": (L.GlobalMaxPool(), (4, 5, 3)),
    "global max pool 1-D": (L.GlobalMaxPool(), (7, 3)),
    "global average pool 2-D": (L.GlobalAvgPool(), (4, 5, 3)),
    "global average pool 1-D": (L.GlobalAvgPool(), (7, 3)),
    "dense": (L.Dense(7), (11,)),
    "dense without bias": (L.Dense(1, bias=False), (3,)),
    "flatten": (L.Flatten(), (2, 3, 4)),
    "batch norm 2-D": (L.BatchNorm(), (4, 5, 3)),
    "batch norm 1-D": (L.BatchNorm(epsilon=0.1), (9, 17)),
    "batch norm of features": (L.BatchNorm(), (6,)),
    "sub-spectral norm 2-D": (L.SubSpectralNorm(2), (3, 4, 3)),
    "sub-spectral norm 1-D": (L.SubSpectralNorm(3, epsilon=0.1), (9, 2)),
    "frequency average pool": (L.FrequencyAvgPool(), (3, 4, 3)),
    "depthwise conv": (L.DepthwiseConv(3, stride=2, padding=1), (7, 5)),
    "broadcasted residual": (
        L.Residual(L.Chain([L.FrequencyAvgPool(), L.Conv(3, (3, 1), padding=(1, 0)), L.SiLU()])), (4, 5, 3),
    ),
    "residual of one place": (L.Residual(L.AvgPool(4)), (4, 3)),
    "relu": (L.ReLU(), (4, 5, 3)),
    "leaky relu": (L.LeakyReLU(0.2), (9, 2)),
    "sigmoid": (L.Sigmoid(), (7,)),
    "silu": (L.SiLU(), (9, 2)),
    "tanh": (L.Tanh(), (4, 5, 3)),
    "clamp": (L.Clamp(-0.4, 0.7), (4, 5, 3)),
    "clamp below": (L.Clamp(low=-0.4), (9, 2)),
    "clamp above": (L.Clamp(high=0.3), (9, 2)),
    "hard sigmoid": (L.HardSigmoid(0.4, 0.4), (9, 2)),
    "hard swish": (L.Chain([L.Power(scale=3), L.HardSwish()]), (4, 5, 3)),
    "elu": (L.ELU(0.7), (4, 5, 3)),
    "power": (L.Power(3, scale=0.5, shift=0.2), (9, 2)),
    "power: reciprocal root": (L.Power(-0.5, scale=0.5, shift=2.1), (9, 2)),
    "power: straight line": (L.Power(scale=-2, shift=1), (9, 2)),
    "prelu": (L.PReLU(), (4, 5, 3)),
    "prelu, shared": (L.PReLU(shared=True), (9, 2)),
    "softmax": (L.Softmax(), (4, 5, 3)),
    "softmax over time": (L.Softmax(axis=-2), (5, 3)),
    "log softmax": (L.Softmax(log=True), (7,)),
    "scale": (L.Scale(), (4, 5, 3)),
    "scale of bands": (L.Scale(axes=(-2,)), (4, 5, 3)),
    "scale, weight alone": (L.Scale(bias=False), (9, 2)),
    "scale, bias of each place": (L.Scale(weight=False, axes=(-1, -2)), (9, 2)),
    "mean over time": (L.Mean((-3,)), (4, 5, 3)),
    "mean over channels": (L.Mean((-1,)), (9, 2)),
    "average pool without padding 2-D": (L.AvgPoolExcludePadding(3, stride=2, padding=((1, 2), (1, 0))), (6, 5, 3)),
    "average pool without padding 1-D": (L.AvgPoolExcludePadding(3, stride=1, padding="same"), (9, 2)),
    "rearrange": (L.Rearrange((1, (2, 0))), (4, 5, 3)),
    "rearrange: other axes": (L.Rearrange((2, (), 0)), (4, 1, 3)),
    "pad": (L.Pad(((1, 0), (0, 2), (1, 1)), value=0.5), (4, 5, 3)),
    "squeeze and excite": (
        L.Multiply([L.Conv(3, 3, padding=1), L.Chain([L.GlobalAvgPool(), L.Dense(3), L.Sigmoid()])]), (4, 5, 3),
    ),
    "multiply, three branches": (L.Multiply([L.Identity(), L.FrequencyAvgPool(), L.Conv(1, 1)]), (4, 5, 3)),
    "multiply features": (L.Multiply([L.Dense(4), L.Dense(4)]), (5,)),
    "residual": (L.Residual(L.Conv(3, 3, padding=1)), (5, 3)),
    "residual with shortcut": (L.Residual(L.Conv(4, 3, stride=2, padding=1), L.Conv(4, 1, stride=2)), (5, 6, 3)),
    "sum": (L.Sum([L.Conv(3, 3, padding=1), L.Identity(), L.MaxPool(3, 1, "same")]), (4, 5, 3)),
    "concat": (L.Concat([L.Conv(2, 3, padding=1), L.Identity(), L.MaxPool(3, 1, "same")]), (4, 5, 3)),
    "network 2-D": (
        L.Chain(
            [
                L.Conv(6, 3, padding="same", bias=False), L.BatchNorm(), L.ReLU(), L.MaxPool(2),
                L.Residual(L.Chain([L.Conv(6, 3, padding=1, groups=6), L.SiLU(), L.Conv(6, 1), L.BatchNorm()])),
                L.ReLU(),
                L.Concat([L.GlobalAvgPool(), L.GlobalMaxPool(), L.Chain([L.Flatten(), L.Dense(3), L.Tanh()])]),
                L.Dense(4),
            ]
        ),
        (8, 7, 2),
    ),
    "network 1-D": (
        L.Chain(
            [
                L.Conv(8, 5, stride=2), L.LeakyReLU(), L.AvgPool(2, stride=1),
                L.Residual(L.Conv(5, 3, dilation=2, padding=2), L.Conv(5, 1)), L.BatchNorm(), L.Sigmoid(),
                L.Flatten(), L.Dense(3),
            ]
        ),
        (20, 3),
    ),
}  # fmt: skip


def with_array(params, path, array):
    """Return params in which the array at `path` is another."""
    return L.unflatten({**L.flatten(params), path: array})


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_are_those_of_the_reference(name):
    layer, in_shape = LAYERS[name]
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    params = layer.init(in_shape, rng)
    for array in L.flatten(params).values():
        if array.ndim == 1:
            array += rng.uniform(-0.5, 0.5, array.shape).astype(np.float32)
    # All different by at least a thousandth: no two numbers change places within a step.
    count = 3 * int(np.prod(in_shape))
    x = ((rng.permutation(count) + rng.uniform(0.1, 0.9, count)) * (4 / count) - 2).astype(np.float32)
    x = x.reshape(3, *in_shape)

    run = L.Pass(training=True)
    y, saved = layer.forward(params, x, run)
    np.testing.assert_allclose(y, reference.forward(layer, params, x), rtol=1e-4, atol=2e-5)
    projection = rng.standard_normal(y.shape)
    dx, grads = layer.backward(params, saved, projection.astype(np.float32), run)

    def check(gradient, loss):
        direction = rng.standard_normal(gradient.shape)
        wanted = (loss(STEP * direction) - loss(-STEP * direction)) / (2 * STEP)
        assert gradient.dtype == np.float32
        tolerance = 2e-5 * np.linalg.norm(gradient) * np.linalg.norm(direction) + 1e-5
        assert abs(np.vdot(gradient.astype(np.float64), direction) - wanted) < tolerance

    check(dx, lambda step: np.vdot(projection, reference.forward(layer, params, x + step)))
    for path, gradient in L.flatten(grads).items():
        value = L.flatten(params)[path].astype(np.float64)

        def loss(step, path=path, value=value):
            return np.vdot(projection, reference.forward(layer, with_array(params, path, value + step), x))

        check(gradient, loss)


def test_every_layer_with_a_gradient_of_its_own_is_in_the_table():
    def kinds(layer):
        yield type(layer).__name__
        for part in (*getattr(layer, "layers", ()), *getattr(layer, "branches", ())):
            yield from kinds(part)

    covered = {kind for layer, _ in LAYERS.values() for kind in kinds(layer)}
    # Dropout is random: test_dropout holds its gradient to its own forward pass.
    public = {name for name, kind in L.Layer.kinds.items() if kind.__module__.startswith("audioconv.")}
    assert covered == public - {"Dropout", "ChannelDropout"}


@pytest.mark.parametrize("name", ["network 2-D", "network 1-D", "batch norm 1-D"])
def test_the_forward_pass_outside_training_uses_running_statistics(name, rng):
    layer, in_shape = LAYERS[name]
    params = layer.init(in_shape, rng)
    for path, array in L.flatten(params).items():
        if not L.is_trained(path):
            array[...] = rng.uniform(0.5, 2, array.shape)
    x = rng.standard_normal((2, *in_shape), np.float32)
    y, _ = layer.forward(params, x, L.Pass())
    np.testing.assert_allclose(y, reference.forward(layer, params, x, training=False), rtol=1e-4, atol=2e-5)
