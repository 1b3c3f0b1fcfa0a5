"""Every layer class with an input that it takes: what the tests of the contract and of exported files go through."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audioconv import layers as L

SPATIAL = "shapes are (*spatial, channels)"


@dataclass(frozen=True)
class Case:
    """A layer, an input that it takes, and what it says of one that it does not take (None: it takes all)."""

    layer: L.Layer
    in_shape: tuple[int, ...]
    wrong_shape: tuple[int, ...] | None = None
    message: str | None = None


def residual(filters=3):
    body = [L.Conv(filters, 3, padding="same", bias=False), L.BatchNorm(), L.ReLU(), L.Conv(filters, 3, padding=1)]
    return L.Residual(L.Chain(body))


CASES = [
    Case(
        L.Conv(5, (3, 3), padding="same"), (7, 6, 3), (7, 6),
        "Conv(5, (3, 3), padding='same'): needs 2 spatial axes, got input of shape (7, 6); add a channel axis",
    ),
    Case(
        L.Conv(8, 3, stride=2, padding=((1, 2),), dilation=2, groups=2, bias=False), (9, 4), (9, 3),
        "Conv(8, 3, stride=2, padding=((1, 2),), dilation=2, groups=2, bias=False): "
        "groups=2 must divide the 3 input channels and the 8 kernels",
    ),
    Case(
        L.Conv(4, [2, 3], stride=[2, 1], groups=4), (6, 7, 4), (1, 7, 4),
        "Conv(4, (2, 3), stride=(2, 1), groups=4): a kernel that spans 2 does not fit an input of 1 "
        "with padding 0 + 0; use a smaller kernel, more padding or a longer input",
    ),
    Case(
        L.MaxPool((2, 2)), (5, 6, 3), (5, 6),
        "MaxPool((2, 2)): needs 2 spatial axes, got input of shape (5, 6); add a channel axis",
    ),
    Case(
        L.MaxPool(3, stride=2, padding=1), (8, 2), (8, 8, 8, 2),
        f"MaxPool(3, stride=2, padding=1): needs 1 or 2 spatial axes, got input of shape (8, 8, 8, 2); {SPATIAL}",
    ),
    Case(
        L.AvgPool(2), (5, 6, 3), (1, 6, 3),
        "AvgPool(2): a kernel that spans 2 does not fit an input of 1 with padding 0 + 0; "
        "use a smaller kernel, more padding or a longer input",
    ),
    Case(
        L.AvgPool([3], stride=1, padding="same"), (8, 2), (8, 8, 2),
        f"AvgPool((3,), stride=1, padding='same'): needs 1 spatial axes, got input of shape (8, 8, 2); {SPATIAL}",
    ),
    Case(
        L.GlobalMaxPool(), (4, 5, 3), (3,),
        f"GlobalMaxPool(): needs 1 or 2 spatial axes, got input of shape (3,); {SPATIAL}",
    ),
    Case(
        L.GlobalAvgPool(), (7, 3), (3,),
        f"GlobalAvgPool(): needs 1 or 2 spatial axes, got input of shape (3,); {SPATIAL}",
    ),
    Case(L.Flatten(), (4, 5, 3)),
    Case(
        L.Dense(5), (7,), (4, 7),
        "Dense(5): needs one axis of features, got input of shape (4, 7); put Flatten() or a global pool before it",
    ),
    Case(
        L.Dense(units=np.int64(1), bias=False), (3,), (),
        "Dense(1, bias=False): needs one axis of features, got input of shape (); "
        "put Flatten() or a global pool before it",
    ),
    Case(L.BatchNorm(), (4, 5, 3), (), "BatchNorm(): needs an axis of channels, got input of shape ()"),
    Case(
        L.SubSpectralNorm(3), (4, 6, 2), (4, 5, 2),
        "SubSpectralNorm(3): the bands must divide the last spatial axis, got input of shape (4, 5, 2)",
    ),
    Case(L.SubSpectralNorm(2, momentum=0.3, epsilon=1e-3), (6, 3)),
    Case(
        L.FrequencyAvgPool(), (4, 5, 3), (4, 5),
        "FrequencyAvgPool(): needs 2 spatial axes, got input of shape (4, 5); add a channel axis",
    ),
    Case(
        L.DepthwiseConv(3, stride=2, padding="same", bias=False), (7, 4), (4,),
        "DepthwiseConv(3, stride=2, padding='same', bias=False): needs 1 or 2 spatial axes, got input of shape (4,); "
        f"{SPATIAL}",
    ),
    Case(L.DepthwiseConv((3, 2), dilation=(2, 1)), (7, 4, 3)),
    Case(L.BatchNorm(momentum=0.3, epsilon=1e-3), (6,)),
    Case(L.ReLU(), (4, 5, 3)),
    Case(L.LeakyReLU(slope=0.2), (4, 3)),
    Case(L.Sigmoid(), (3,)),
    Case(L.SiLU(), (4, 3)),
    Case(L.Tanh(), (4, 5, 3)),
    Case(L.Clamp(-0.4, 0.5), (4, 5, 3)),
    Case(L.Clamp(low=np.float32(0.25)), (4, 3)),
    Case(L.HardSigmoid(0.2), (4, 3)),
    Case(L.HardSwish(), (4, 5, 3)),
    Case(L.ELU(0.7), (7,)),
    Case(L.Power(2, scale=3, shift=-0.5), (4, 3)),
    Case(L.PReLU(), (4, 5, 3), (), "PReLU(): needs an axis of channels, got input of shape ()"),
    Case(L.PReLU(shared=True), (4, 3)),
    Case(
        L.Softmax(-2), (4, 3), (3,),
        "Softmax(axis=-2): needs at least 2 axes, got input of shape (3,); add a channel axis",
    ),
    Case(L.Softmax(log=True), (5,)),
    Case(L.Scale(), (4, 5, 3), (), "Scale(): needs at least 1 axes, got input of shape (); add a channel axis"),
    Case(L.Scale(bias=False, axes=(-3, -2)), (4, 5, 3)),
    Case(
        L.Mean((-3, -1)), (4, 5, 3), (4, 5),
        "Mean((-3, -1)): needs at least 3 axes, got input of shape (4, 5); add a channel axis",
    ),
    Case(
        L.AvgPoolExcludePadding(3, stride=2, padding=1), (6, 7, 3), (6,),
        f"AvgPoolExcludePadding(3, stride=2, padding=1): needs 1 or 2 spatial axes, got input of shape (6,); {SPATIAL}",
    ),
    Case(
        L.Rearrange([[2, 0], (), 1]), (4, 5, 3), (4, 5),
        "Rearrange(((2, 0), (), 1)): needs axes [0, 1, 2], and others only of size 1, got input of shape (4, 5)",
    ),
    Case(
        L.Rearrange((0, 2)), (4, 1, 3), (4, 2, 3),
        "Rearrange((0, 2)): needs axes [0, 2], and others only of size 1, got input of shape (4, 2, 3)",
    ),
    Case(
        L.Pad([[1, 0], (0, 2), (1, 1)], value=-1.5), (4, 5, 3), (4, 5),
        "Pad(((1, 0), (0, 2), (1, 1)), value=-1.5): needs 3 axes, got input of shape (4, 5); give a pair for each",
    ),
    Case(L.Dropout(0.3), (4, 5, 3)),
    Case(L.Dropout(0), (4, 3)),
    Case(L.ChannelDropout(0.5), (4, 5, 3)),
    Case(L.Identity(), (4, 3)),
    Case(
        L.Chain([L.Conv(4, 3), L.BatchNorm(), L.Chain([L.ReLU(), L.MaxPool(2)]), L.Flatten(), L.Dense(2)]), (9, 3),
        (3, 3),
        "2.1 MaxPool(2): a kernel that spans 2 does not fit an input of 1 with padding 0 + 0; "
        "use a smaller kernel, more padding or a longer input",
    ),
    Case(L.Chain([]), (4, 3)),
    Case(
        residual(), (6, 5, 3), (6, 5, 4),
        "Residual: body gives (6, 5, 3) and shortcut (6, 5, 4) for input (6, 5, 4); they must be equal to be added: "
        "give a shortcut such as Conv(filters, 1, stride=...)",
    ),
    Case(
        L.Residual(L.Conv(4, 3, stride=2, padding=1), L.Chain([L.Conv(4, 1, stride=2), L.BatchNorm()])), (7, 3), (7,),
        f"body Conv(4, 3, stride=2, padding=1): needs 1 or 2 spatial axes, got input of shape (7,); {SPATIAL}",
    ),
    Case(L.Residual(L.Chain([L.FrequencyAvgPool(), L.Conv(3, (3, 1), padding=(1, 0))])), (6, 5, 3)),
    Case(
        L.Concat([L.Conv(2, 1), L.Chain([L.Conv(3, 3, padding=1), L.ReLU()]), L.Identity()]), (5, 4, 3), (3,),
        f"0 Conv(2, 1): needs 1 or 2 spatial axes, got input of shape (3,); {SPATIAL}",
    ),
    Case(L.Concat([L.GlobalAvgPool(), L.GlobalMaxPool()]), (5, 3)),
    Case(
        L.Sum([L.Chain([L.Conv(3, 3, padding=1), L.BatchNorm()]), L.Identity(), L.Conv(3, 1)]), (5, 4, 3), (5, 4, 2),
        "Sum: branches must agree in all axes, got (5, 4, 3), (5, 4, 2), (5, 4, 3)",
    ),
    Case(
        L.Multiply([L.Conv(3, 1), L.Chain([L.GlobalAvgPool(), L.Dense(3), L.BatchNorm()]), L.FrequencyAvgPool()]),
        (5, 4, 3), (5, 4, 2),
        "Multiply: branches must agree in all axes that are not 1, got (5, 4, 3), (3,), (5, 1, 2)",
    ),
    Case(L.Multiply([L.GlobalAvgPool(), L.Conv(1, 3, padding=1)]), (5, 3)),
]  # fmt: skip


def name_of(case):
    return f"{type(case.layer).__name__}-{len(case.in_shape)}"


def started(case, batch, rng):
    """Return params, none of them at its special first value, and an input."""
    params = case.layer.init(case.in_shape, rng)
    for array in L.flatten(params).values():
        array += rng.uniform(0.1, 0.5, array.shape).astype(np.float32)
    return params, rng.standard_normal((batch, *case.in_shape), np.float32)
