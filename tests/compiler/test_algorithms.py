"""Convolution algorithms of compiled networks, against the plain layers."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
import reference
from compared import Compared, difference, draw_params
from hypothesis import given
from hypothesis import strategies as st

from audioconv import layers as L
from audioconv.compiler.graph import ConvNode, NormActivationPoolNode
from audioconv.compiler.inference import Inference
from audioconv.compiler.trace import trace
from audioconv.kernels.jit import LANES
from audioconv.layers.base import Pass
from audioconv.runtime import executable, few_channels, winograd
from audioconv.runtime.algorithms import DepthwiseRows
from audioconv.runtime.few_channels import FewChannels
from audioconv.runtime.winograd import Winograd1d, Winograd2d

CLASSES = 5
EXAMPLES = 37  # of which tasks get two or three


def algorithm_of(conv, in_shape):
    """Return the algorithm that computes `conv`."""
    node = trace(L.Chain([conv, L.GlobalAvgPool(), L.Dense(CLASSES)]), in_shape).nodes[0]
    assert isinstance(node, ConvNode)
    return node.conv.algorithm


def check(conv, in_shape, seed=0):
    """Compare the layer with the plain one: in use, for one clip by several threads, and all gradients."""
    network = L.Chain([L.Conv(in_shape[-1], 1), conv, L.GlobalAvgPool(), L.Dense(CLASSES)])
    params = draw_params(network, in_shape, seed)
    x = np.random.default_rng(seed).standard_normal((EXAMPLES, *in_shape), np.float32)
    step = Compared(network, params, x)
    step.check(step.sensitivity())
    wanted, _ = network.forward(L.unflatten(dict(params)), x, Pass())
    inference = Inference(network, params, in_shape)
    assert difference(inference(x), wanted) < 1e-6
    with mock.patch.object(executable, "MIN_WORK", 0):
        np.testing.assert_array_equal(inference(x[:1].copy()), inference(x)[:1])


# --- along a line ----------------------------------------------------------------------------------------------------

# Width and channels, kernels, weights, stride, padding.
LINES = [
    ((400, 1), 32, 80, 4, 0),  # the first of M5
    ((400, 1), 16, 79, 4, 3),  # one that the last step does not fill
    ((100, 32), 24, 3, 1, 0),
    ((33, 16), 24, 9, 1, "same"),
    ((41, 24), 8, 3, 1, "same"),
    ((37, 3), 40, 11, 2, 5),
    ((29, 33), 17, 7, 1, ((2, 3),)),
    ((4, 8), 8, 3, 1, "same"),  # a single tile
    ((5, 9), 10, 5, 1, "same"),
    ((1, 10), 8, 3, 1, "same"),
    ((500, 40), 9, 4, 1, 0),  # several strips
]


@pytest.mark.parametrize(("in_shape", "filters", "size", "stride", "padding"), LINES)
def test_lines_are_those_of_the_plain_layers(in_shape, filters, size, stride, padding):
    conv = L.Conv(filters, size, stride, padding)
    with mock.patch.object(winograd, "MAX_SHARE_1D", 100):
        assert isinstance(algorithm_of(conv, in_shape), Winograd1d)
        check(conv, in_shape)


@given(
    st.integers(1, 70), st.sampled_from([1, 2, 3, 8, 17, 32]), st.sampled_from([8, 9, 16, 17, 33]),
    st.integers(1, 14), st.integers(1, 4), st.integers(0, 7), st.integers(0, 99),
)  # fmt: skip
def test_any_line(width, channels, filters, size, stride, padding, seed):
    if width + 2 * padding < size:
        width = size
    with mock.patch.object(winograd, "MAX_SHARE_1D", 100):
        check(L.Conv(filters, size, stride, padding), (width, channels), seed)


def test_where_lines_pay():
    # Blocks of three, and outputs that tiles of four fit.
    assert isinstance(algorithm_of(L.Conv(32, 80, 4), (8000, 1)), Winograd1d)
    assert isinstance(algorithm_of(L.Conv(32, 3), (500, 32)), Winograd1d)
    assert isinstance(algorithm_of(L.Conv(24, 9, padding="same"), (51, 24)), Winograd1d)
    assert algorithm_of(L.Conv(32, 4), (500, 32)) is None
    assert algorithm_of(L.Conv(32, 3, padding="same"), (5, 32)) is None
    assert algorithm_of(L.Conv(32, 3, dilation=2), (500, 32)) is None
    assert algorithm_of(L.Conv(32, 3, groups=2), (500, 32)) is None
    assert algorithm_of(L.Conv(4, 3), (500, 32)) is None
    # Across a picture's lines there is no such algorithm.
    assert algorithm_of(L.Conv(32, (1, 3)), (6, 500, 32)) is None


@pytest.mark.parametrize(("channels", "size", "stride"), [(1, 80, 4), (16, 3, 1), (64, 3, 1), (32, 9, 1)])
def test_lines_round_little_more_than_direct_sums(channels, size, stride):
    rng = np.random.default_rng(0)
    filters, width = 16, 200
    layer = L.Conv(filters, size, stride, bias=False)
    outputs = layer.out_shape((width, channels))[0]
    network = L.Chain([layer, L.Flatten(), L.Dense(outputs * filters, bias=False)])
    weight = rng.standard_normal((size, channels, filters), np.float32)
    params = {"0.weight": weight, "2.weight": np.eye(outputs * filters, dtype=np.float32)}
    x = rng.standard_normal((4, width, channels), np.float32)
    wanted = reference.conv(x, weight, stride=stride).reshape(4, -1)
    direct, _ = network.forward(L.unflatten(dict(params)), x, Pass())
    found = Inference(network, params, x.shape[1:])(x)
    assert difference(found, wanted) < min(1e-6, 5 * difference(direct, wanted))


# --- planes, of which examples share the sums ------------------------------------------------------------------------


@pytest.mark.parametrize("padding", ["same", 3, ((4, 0), (0, 3))])
@pytest.mark.parametrize("in_shape", [(4, 4, 8), (8, 8, 16), (12, 5, 64), (12, 20, 10), (29, 33, 17)])
def test_planes_are_those_of_the_plain_layers(in_shape, padding):
    conv = L.Conv(16, 3, padding=padding)
    with (
        mock.patch.object(winograd, "MAX_SHARE_2D", 100),
        mock.patch.object(FewChannels, "fits", return_value=False),
    ):
        assert isinstance(algorithm_of(conv, in_shape), Winograd2d)
        check(conv, in_shape)


# --- few channels, whose vectors are pixels --------------------------------------------------------------------------

ALWAYS = mock.patch.object(few_channels, "_pays", return_value=True)


@pytest.mark.parametrize("padding", ["same", 0, 3, ((4, 0), (0, 3))])
@pytest.mark.parametrize(
    ("in_shape", "filters"),
    [
        ((12, 20, 10), 10),
        ((9, 7, 3), 5),
        ((6, 6, 1), 9),
        ((29, 33, 17), 3),
        ((3, 3, 2), 2),
        ((5, 40, 16), 24),
        ((101, 40, 10), 10),  # several strips
    ],
)
def test_few_channels_are_those_of_the_plain_layers(in_shape, filters, padding):
    conv = L.Conv(filters, 3, padding=padding)
    with ALWAYS:
        assert isinstance(algorithm_of(conv, in_shape), FewChannels)
        check(conv, in_shape)


@given(
    st.integers(1, 20), st.integers(1, 40), st.integers(1, 19), st.integers(1, 19), st.integers(0, 3),
    st.integers(0, 99),
)  # fmt: skip
def test_any_few_channels(height, width, channels, filters, padding, seed):
    height, width = (max(size, 3 - 2 * padding) for size in (height, width))
    with ALWAYS:
        check(L.Conv(filters, 3, padding=padding), (height, width, channels), seed)


@pytest.mark.parametrize("in_shape", [(12, 20, 10), (13, 7, 3), (2, 2, 4)])
def test_few_channels_with_a_pool_behind(in_shape):
    conv = L.Chain([L.Conv(10, 3, padding="same"), L.LeakyReLU(0.1), L.MaxPool(2)])
    with ALWAYS:
        check(conv, in_shape)


def test_where_vectors_of_pixels_pay():
    # Vectors of 16 leave more of each empty, but multiply so quickly that turning images costs more.
    for channels, filters in [(5, 5), (16, 3), (32, 4), (10, 2), *([(10, 10)] if LANES == 8 else [])]:
        assert isinstance(algorithm_of(L.Conv(filters, 3, padding="same"), (40, 40, channels)), FewChannels)
    # Full vectors of channels; a sum that is short; images that tiles of lines do not fit.
    assert isinstance(algorithm_of(L.Conv(32, 3, padding="same"), (40, 40, 16)), Winograd2d)
    assert algorithm_of(L.Conv(16, 3, padding="same"), (40, 40, 1)) is None
    assert algorithm_of(L.Conv(10, 3, padding="same"), (1, 40, 10)) is None


def test_few_channels_round_little_more_than_direct_sums():
    rng = np.random.default_rng(0)
    layer = L.Conv(10, 3, padding="same", bias=False)
    network = L.Chain([layer, L.Flatten(), L.Dense(1000, bias=False)])
    weight = rng.standard_normal((3, 3, 10, 10), np.float32)
    params = {"0.weight": weight, "2.weight": np.eye(1000, dtype=np.float32)}
    x = rng.standard_normal((4, 10, 10, 10), np.float32)
    wanted = reference.conv(x, weight, padding="same").reshape(4, -1)
    direct, _ = network.forward(L.unflatten(dict(params)), x, Pass())
    found = Inference(network, params, x.shape[1:])(x)
    assert difference(found, wanted) < min(1e-6, 3 * difference(direct, wanted))


# --- depthwise, along lines ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", [0, 1, 2, "same", ((0, 2), (3, 0))])
@pytest.mark.parametrize("in_shape", [(3, 3, 2), (6, 7, 33), (5, 3, 8), (3, 20, 64), (9, 4, 10)])
def test_depthwise_ones_are_those_of_the_plain_layers(in_shape, padding):
    conv = L.DepthwiseConv(3, padding=padding)
    assert isinstance(algorithm_of(conv, in_shape), DepthwiseRows)
    check(conv, in_shape)


@pytest.mark.parametrize("in_shape", [(1, 5, 3), (5, 1, 8), (1, 1, 17)])
def test_a_depthwise_one_of_a_single_line_or_column(in_shape):
    check(L.DepthwiseConv(3, padding="same"), in_shape)


def test_other_depthwise_ones_go_by_the_tile():
    for conv in (L.DepthwiseConv(3, stride=2), L.DepthwiseConv(3, dilation=2), L.DepthwiseConv(5)):
        assert algorithm_of(conv, (20, 20, 16)) is None


# --- activations -----------------------------------------------------------------------------------------------------

ACTIVATED = {
    "one after the other": L.Chain([L.Conv(9, 3, padding=1), L.ReLU(), L.Conv(8, 3, padding=1), L.LeakyReLU(0.2)]),
    "of the first": L.Chain([L.ReLU(), L.Conv(9, 1)]),
    "before a pool": L.Chain([L.Conv(9, 1), L.ReLU(), L.MaxPool(2)]),
    "twice": L.Chain([L.Conv(9, 1), L.LeakyReLU(0.2), L.LeakyReLU(0.3)]),
    "in a sum": L.Residual(L.Chain([L.Conv(8, 3, padding=1), L.LeakyReLU(0.1)]), L.Identity()),
    "whose gradient others hold": L.Chain(
        [L.Residual(L.Chain([L.Conv(8, 1), L.ReLU()]), L.Chain([L.Conv(8, 1), L.LeakyReLU(0.3)])), L.Conv(9, 1)]
    ),
    "behind what somebody else reads": L.Residual(L.Chain([L.ReLU(), L.Conv(8, 1)]), L.Identity()),
    "depthwise": L.Chain([L.DepthwiseConv(3, padding=1), L.ReLU(), L.Conv(9, 1), L.BatchNorm(), L.ReLU()]),
    "of features": L.Chain([L.Flatten(), L.Dense(20), L.ReLU()]),
}


@pytest.mark.parametrize("layer", ACTIVATED.values(), ids=ACTIVATED)
def test_activations_behind_convolutions(layer):
    in_shape = (6, 8, 3)
    end = [] if len(layer.out_shape((6, 8, 8))) == 1 else [L.GlobalAvgPool()]
    network = L.Chain([L.Conv(8, 3, padding=1), layer, *end, L.Dense(CLASSES)])
    params = draw_params(network, in_shape, 0)
    x = np.random.default_rng(3).standard_normal((EXAMPLES, *in_shape), np.float32)
    step = Compared(network, params, x)
    step.check(step.sensitivity())


def test_an_activation_goes_into_the_convolution_before_it():
    layers = [L.Conv(8, 3), L.ReLU(), L.Conv(8, 3), L.BatchNorm(), L.ReLU(), L.GlobalAvgPool(), L.Dense(4), L.ReLU()]
    graph = trace(L.Chain(layers), (9, 9, 1))
    graph.merge_activations()
    assert [node.slope for node in graph.nodes if isinstance(node, ConvNode)] == [0.0, 1.0, 0.0]
    assert [node.norm is None for node in graph.nodes if isinstance(node, NormActivationPoolNode)] == [False]
