"""Layers: shape inference, initial parameters, forward and backward pass. See `base` for the contract.

>>> import numpy as np
>>> from audioconv import layers as L
>>> net = L.Chain([L.Conv(16, (3, 3), padding="same"), L.BatchNorm(), L.ReLU(), L.GlobalAvgPool(), L.Dense(10)])
>>> rng = np.random.default_rng(0)
>>> params = net.init((101, 40, 1), rng)
>>> run = L.Pass(training=True, rng=rng)
>>> y, saved = net.forward(params, rng.standard_normal((8, 101, 40, 1), np.float32), run)
>>> dx, grads = net.backward(params, saved, np.ones_like(y), run)
>>> y.shape, dx.shape, sorted(grads)
((8, 10), (8, 101, 40, 1), ['0', '1', '2', '3', '4'])
"""

from audioconv.layers.activation import (
    ELU,
    Clamp,
    HardSigmoid,
    HardSwish,
    LeakyReLU,
    Power,
    PReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
)
from audioconv.layers.arrange import Pad, Rearrange
from audioconv.layers.base import Layer, Params, Pass, flatten, from_config, to_config, unflatten
from audioconv.layers.combine import Chain, Concat, Identity, Multiply, Residual, Sum
from audioconv.layers.conv import Conv, DepthwiseConv
from audioconv.layers.dense import Dense, Flatten
from audioconv.layers.dropout import ChannelDropout, Dropout
from audioconv.layers.norm import BatchNorm, Scale, SubSpectralNorm
from audioconv.layers.pool import (
    AvgPool,
    AvgPoolExcludePadding,
    FrequencyAvgPool,
    GlobalAvgPool,
    GlobalMaxPool,
    MaxPool,
    Mean,
)
from audioconv.layers.summary import Summary, count_parameters, is_trained, summary

__all__ = [
    "ELU",
    "AvgPool",
    "AvgPoolExcludePadding",
    "BatchNorm",
    "Chain",
    "ChannelDropout",
    "Clamp",
    "Concat",
    "Conv",
    "Dense",
    "DepthwiseConv",
    "Dropout",
    "Flatten",
    "FrequencyAvgPool",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "Layer",
    "LeakyReLU",
    "MaxPool",
    "Mean",
    "Multiply",
    "PReLU",
    "Pad",
    "Params",
    "Pass",
    "Power",
    "ReLU",
    "Rearrange",
    "Residual",
    "Scale",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "SubSpectralNorm",
    "Sum",
    "Summary",
    "Tanh",
    "count_parameters",
    "flatten",
    "from_config",
    "is_trained",
    "summary",
    "to_config",
    "unflatten",
]
