"""Compiled networks against the plain layers, which define what they compute."""

from __future__ import annotations

from unittest import mock

import numba
import numpy as np
import pytest
import reference
from compared import TOLERANCE, Compared, difference, draw_params
from drawn_networks import CLASSES, networks
from hypothesis import assume, given
from hypothesis import strategies as st

from audioconv import architectures
from audioconv import layers as L
from audioconv.compiler.graph import NotCompiledError
from audioconv.compiler.inference import Inference
from audioconv.compiler.trace import trace
from audioconv.errors import ShapeError
from audioconv.layers.base import Pass
from audioconv.runtime import executable, memory_plan, winograd
from audioconv.runtime.few_channels import FewChannels
from audioconv.runtime.weights import WeightVector


@given(networks(), st.sampled_from([1, 2, 5]), st.integers(0, 99))
def test_inference_is_the_plain_forward_pass(case, examples, seed):
    network, in_shape = case
    params = draw_params(network, in_shape, seed)
    x = np.random.default_rng(seed).standard_normal((examples, *in_shape), np.float32)
    wanted, _ = network.forward(L.unflatten(dict(params)), x, Pass())
    compiled = Inference(network, params, in_shape)
    assert difference(compiled(x), wanted) < TOLERANCE
    with mock.patch.object(executable, "MIN_WORK", 0):  # a single example is shared out among threads
        assert difference(compiled(x[:1].copy()), wanted[:1]) < TOLERANCE


@given(networks(), st.sampled_from([2, 3, 5]), st.integers(0, 99))
def test_a_training_step_is_that_of_the_plain_layers(case, examples, seed):
    network, in_shape = case
    params = draw_params(network, in_shape, seed)
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((examples, *in_shape), np.float32)
    compared = Compared(network, params, x, seed)
    # Where a channel is the same everywhere, normalising it makes large numbers of rounding errors.
    for path, new in compared.updates.items():
        if path.endswith("running_var"):
            assume(((new - 0.9 * params[path]) / 0.1 > 1e-3).all())
    # A number within rounding of a kink, or two that are equal but for rounding before a max-pool, may fall to either
    # side. Then the plain layers themselves give another gradient after a change of the last bits.
    nudged = Compared(network, params, (x * np.float32(1 + 1e-6)).astype(np.float32), seed)
    scale = np.sqrt(sum(np.square(g, dtype=np.float64).sum() for g in compared.gradients.values()))
    assume(np.isfinite(scale))
    for path, wanted in compared.gradients.items():
        assume(difference(nudged.gradients[path], wanted, 0.1 * scale) < 0.3 * TOLERANCE)
    compared.check()


IN_SHAPES = {"spectrogram-2d": (101, 40, 1), "spectrogram-1d": (101, 40), "samples": (8000, 1)}


every_compiled = pytest.mark.parametrize(
    "name",
    [
        "cnn", "cs231n", "ds-cnn-s", "ds-cnn-m", "tc-resnet8", "tc-resnet14", "matchboxnet-3x2x64", "m5-32", "m11",
        "resnet20", "bc-resnet-1", "bc-resnet-3",
    ],
)  # fmt: skip


@every_compiled
@pytest.mark.parametrize("examples", [1, 2, 7])
def test_named_networks_in_use(name, examples):
    network = architectures.build(name, CLASSES)
    in_shape = IN_SHAPES[architectures.input_kind(name)]
    params = draw_params(network, in_shape, 0)
    x = np.random.default_rng(1).standard_normal((examples, *in_shape), np.float32)
    wanted, _ = network.forward(L.unflatten(dict(params)), x, Pass())
    assert difference(Inference(network, params, in_shape)(x), wanted) < TOLERANCE


@every_compiled
def test_named_networks_in_training(name):
    network = architectures.build(name, CLASSES)
    # Without kinks, which a few of a million numbers lie at: the derivative of ReLU and of max-pooling is tested above.
    smooth = _without_kinks(network)
    in_shape = IN_SHAPES[architectures.input_kind(name)]
    params = draw_params(smooth, in_shape, 0)
    x = np.random.default_rng(1).standard_normal((4, *in_shape), np.float32)
    step = Compared(smooth, params, x)
    step.check(step.sensitivity())


def _without_kinks(layer):
    if isinstance(layer, L.Chain):
        return L.Chain([_without_kinks(part) for part in layer.layers])
    if isinstance(layer, L.Residual):
        return L.Residual(_without_kinks(layer.body), _without_kinks(layer.shortcut))
    if isinstance(layer, L.MaxPool):
        return L.AvgPool(layer.size, layer.stride, layer.padding)
    return L.Identity() if isinstance(layer, L.ReLU) else layer


def conv(channels=3, size=1):
    return L.Conv(channels, size, padding="same")


SUMS = {
    "of sums": L.Residual(L.Chain([conv(), L.Residual(L.Chain([conv(), L.Residual(conv())]))])),
    "activated, of sums": L.Chain([L.Residual(L.Chain([conv(), L.Residual(conv()), L.LeakyReLU(0.3)])), L.ReLU()]),
    "with one that waits for the batch": L.Residual(L.Residual(conv()), L.Chain([conv(), L.BatchNorm()])),
    "read after one of its terms": L.Residual(
        L.Residual(L.Chain([conv(), L.Residual(conv()), L.LeakyReLU(0.3)])),
        L.Chain([L.FrequencyAvgPool(), conv(), L.BatchNorm()]),
    ),
    "along both axes": L.Residual(L.Chain([L.AvgPool((9, 1)), conv()]), L.Chain([L.FrequencyAvgPool(), L.Tanh()])),
    "of bands": L.Residual(
        L.Chain([L.SubSpectralNorm(2), L.Residual(L.Chain([L.FrequencyAvgPool(), conv(), L.SiLU()]))])
    ),
    "of three": L.Sum([conv(), L.Identity(), L.Chain([conv(), L.BatchNorm(), L.ReLU()])]),
    "of whole networks": L.Sum([L.Chain([conv(size=3), L.ReLU()]), L.Chain([conv(), L.Residual(conv()), L.ReLU()])]),
    "pooled": L.Chain([L.SubSpectralNorm(3), L.ReLU(), L.MaxPool(2), L.Residual(L.MaxPool(3, 1, 1)), L.ReLU()]),
}


@pytest.mark.parametrize("layer", SUMS.values(), ids=SUMS)
def test_sums_give_each_term_its_gradient(layer):
    network = L.Chain([conv(size=3), layer, conv(), L.GlobalAvgPool(), L.Dense(CLASSES)])
    params = draw_params(network, (9, 6, 1), 0)
    x = np.random.default_rng(4).standard_normal((4, 9, 6, 1), np.float32)
    step = Compared(network, params, x)
    step.check(step.sensitivity())


@pytest.mark.parametrize("norm", [[], [L.BatchNorm()]], ids=["", "normalised"])
@pytest.mark.parametrize("pool", [[], [L.MaxPool(2)], [L.MaxPool(3, 1, 1)]], ids=["", "pooled", "overlapping"])
@pytest.mark.parametrize(
    ("slope", "clamp"), [(0.2, L.Clamp(low=-0.04)), (1.0, L.Clamp(-0.3, 0.2)), (0.0, L.Clamp(high=0.3))]
)
def test_an_activation_and_a_clamp_are_one_node(norm, pool, slope, clamp):
    activation = [] if slope == 1 else [L.LeakyReLU(slope)]
    network = L.Chain([L.Conv(20, 3, padding=1), *norm, *activation, clamp, *pool, conv(7, 3), L.Flatten(), L.Dense(5)])
    kinds = [type(node).__name__ for node in trace(network, (9, 8, 3)).nodes]
    assert kinds == ["ConvNode", "NormActivationPoolNode", "ConvNode", "ConvNode"]
    params = draw_params(network, (9, 8, 3), 0)
    x = np.random.default_rng(4).standard_normal((4, 9, 8, 3), np.float32)
    wanted, _ = network.forward(L.unflatten(dict(params)), x, Pass())
    assert difference(Inference(network, params, (9, 8, 3))(x), wanted) < TOLERANCE
    step = Compared(network, params, x)
    step.check(step.sensitivity())


def test_clamps_that_are_not_behind_an_activation_stay_in_order():
    layers = [L.Clamp(-0.1, 0.5), L.LeakyReLU(0.5), L.Clamp(low=-0.02), L.Clamp(high=0.2), L.Clamp(), L.MaxPool(2)]
    network = L.Chain([conv(4, 3), *layers, L.Clamp(low=0.01), L.Residual(conv(4, 3)), L.Clamp(0, 6), L.GlobalAvgPool(),
                       L.Dense(CLASSES)])  # fmt: skip
    params = draw_params(network, (9, 8, 3), 0)
    x = np.random.default_rng(4).standard_normal((4, 9, 8, 3), np.float32)
    wanted, _ = network.forward(L.unflatten(dict(params)), x, Pass())
    assert difference(Inference(network, params, (9, 8, 3))(x), wanted) < TOLERANCE
    step = Compared(network, params, x)
    step.check(step.sensitivity())


# --- batches, threads, memory -------------------------------------------------------------------------------------


def small_case(examples):
    network = _without_kinks(architectures.build("cnn", CLASSES))
    params = draw_params(network, (21, 12, 1), 0)
    return network, params, np.random.default_rng(2).standard_normal((examples, 21, 12, 1), np.float32)


@pytest.mark.parametrize("directly", [True, False])
def test_batches_of_other_sizes_find_nothing_of_the_last(directly):
    network, params, x = small_case(9)
    with mock.patch.object(winograd, "MIN_CHANNELS", 2**30 if directly else winograd.MIN_CHANNELS):
        whole = Compared(network, params, x)
        parts = [Compared(network, params, x[:examples]) for examples in (8, 2, 9)]
    whole.check(whole.sensitivity())
    for part in parts:
        part.check(part.sensitivity())
        inputs = part.vector.values, part.x, part.tracked
        own = part.passes.forward(*inputs, np.random.default_rng(0)).copy()
        found = whole.passes.forward(*inputs, np.random.default_rng(0))
        assert difference(found, part.logits) < TOLERANCE
        assert difference(found, own) < 0.1 * TOLERANCE
        own = part.vector.gradient.copy()  # by a program of just that size
        whole.passes.backward(part.dy, part.vector.gradient)
        allowed = part.sensitivity()
        for path, wanted in part.gradients.items():
            these = slice(part.vector.offsets[path], part.vector.offsets[path] + wanted.size)
            found = part.vector.gradient[these]
            assert difference(found, own[these]) < TOLERANCE, path
            if directly:  # the transform rounds more, which shows in what nearly cancels, biases before a normalisation
                assert difference(found, wanted.ravel()) < max(TOLERANCE, allowed[path]), path


def test_a_batch_that_is_too_large_is_refused():
    network, params, x = small_case(3)
    passes = Compared(network, params, x[:2]).passes
    vector = WeightVector({path: array for path, array in params.items() if L.is_trained(path)})
    tracked = {path: array for path, array in params.items() if not L.is_trained(path)}
    with pytest.raises(ShapeError, match=r"at most 2 examples of shape \(21, 12, 1\), got an input of shape \(3, "):
        passes.forward(vector.values, x, tracked, np.random.default_rng(0))


def test_an_input_of_another_shape_is_refused():
    network, params, x = small_case(2)
    with pytest.raises(ShapeError, match=r"examples of shape \(21, 12, 1\), got an input of shape \(2, 20"):
        Inference(network, params, (21, 12, 1))(np.ascontiguousarray(x[:, :20]))


@pytest.mark.parametrize(("name", "in_shape"), [("cnn", (21, 12, 1)), ("bc-resnet-1", (21, 40, 1))])
def test_the_bits_do_not_depend_on_the_threads(name, in_shape):
    network = architectures.build(name, CLASSES)
    params = draw_params(network, in_shape, 0)
    x = np.random.default_rng(2).standard_normal((9, *in_shape), np.float32)
    found = []
    count = numba.get_num_threads()
    try:
        for threads in {1, count}:
            numba.set_num_threads(threads)
            step = Compared(network, params, x)
            logits = step.passes.forward(step.vector.values, x, step.tracked, np.random.default_rng(0)).tobytes()
            step.passes.backward(step.dy, step.vector.gradient)
            use = Inference(network, params, in_shape)
            found.append((logits, step.vector.gradient.tobytes(), use(x).tobytes(), use(x[:1].copy()).tobytes()))
    finally:
        numba.set_num_threads(count)
    assert all(other == found[0] for other in found)


POOLS = [
    ({"size": 2, "stride": 1, "padding": "same"}, (7, 9, 16)),
    ({"size": 2, "padding": "same"}, (7, 9, 40)),
    ({"size": 2}, (7, 9, 5)),
    ({"size": 2, "stride": 3}, (8, 9, 33)),
    ({"size": (1, 4)}, (3, 11, 32)),
    ({"size": (4, 1)}, (11, 3, 48)),
    ({"size": (1, 4), "padding": "same"}, (3, 11, 16)),
    ({"size": (4, 1), "stride": 2}, (11, 3, 10)),
]


@pytest.mark.parametrize("clamp", [[], [L.Clamp(-0.05, 1.2)]], ids=["", "clamped"])
@pytest.mark.parametrize(("pool", "in_shape"), POOLS, ids=[str(pool) for pool, _ in POOLS])
def test_windows_of_four_are_those_of_the_plain_layers(pool, in_shape, clamp):
    activation = [L.LeakyReLU(0.1), *clamp]
    network = L.Chain(
        [L.Conv(in_shape[-1], 1), L.BatchNorm(), *activation, L.MaxPool(**pool), L.Flatten(), L.Dense(CLASSES)]
    )
    params = draw_params(network, in_shape, 0)
    params["1.bias"] -= 2  # what lies beyond the border, zeros or the next line, would win
    x = np.random.default_rng(1).standard_normal((5, *in_shape), np.float32)
    wanted, _ = network.forward(L.unflatten(dict(params)), x, Pass())
    assert difference(Inference(network, params, in_shape)(x), wanted) < TOLERANCE
    step = Compared(network, params, x)
    step.check(step.sensitivity())


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("behind", [[], [L.ReLU()], [L.BatchNorm(), L.LeakyReLU(0.3)]], ids=str)
@pytest.mark.parametrize("in_shape", [(6, 8, 16), (7, 9, 33), (4, 4, 16), (7, 3, 40)])
def test_a_pool_is_one_with_the_tiles_before_it(in_shape, behind, threads):
    pool = L.MaxPool(2)
    network = L.Chain([L.Conv(35, 3, padding="same"), *behind, pool, L.Conv(3, 3, padding="same"), L.GlobalMaxPool()])
    params = draw_params(network, in_shape, 0)
    x = np.random.default_rng(1).standard_normal((threads, *in_shape), np.float32)
    wanted, _ = network.forward(L.unflatten(dict(params)), x, Pass())
    with mock.patch.object(executable, "MIN_WORK", 0):
        inference = Inference(network, params, in_shape)
        assert inference._graph.nodes[0].pooled
        assert difference(inference(x), wanted) < TOLERANCE
        x[0, 0, 0] = np.nan  # not hidden by the maximum
        found = inference(x[:1])
    assert np.isnan(found).all() == np.isnan(network.forward(L.unflatten(dict(params)), x[:1], Pass())[0]).all()


@pytest.mark.parametrize("channels", [8, 16, 64])
def test_the_transform_rounds_little_more_than_the_direct_sum(channels):
    rng = np.random.default_rng(0)
    filters, (height, width) = 16, (10, 9)
    pixels = height * width
    # The dense layer hands on what the convolution gives, number by number.
    network = L.Chain([L.Conv(filters, 3, padding=1, bias=False), L.Flatten(), L.Dense(pixels * filters, bias=False)])
    weight = rng.standard_normal((3, 3, channels, filters), np.float32)
    params = {"0.weight": weight, "2.weight": np.eye(pixels * filters, dtype=np.float32)}
    x = rng.standard_normal((4, height, width, channels), np.float32)
    wanted = reference.conv(x, weight, padding=1).reshape(4, -1)
    # Vectors of 16 numbers, half of which 8 channels leave empty, are better filled with pixels.
    with mock.patch.object(FewChannels, "fits", return_value=False):
        inference = Inference(network, params, x.shape[1:])
    assert isinstance(inference._graph.nodes[0].conv.algorithm, winograd.Winograd2d)
    direct, _ = network.forward(L.unflatten(dict(params)), x, Pass())
    assert difference(inference(x), wanted) < min(1e-6, 5 * difference(direct, wanted))


@pytest.mark.parametrize("name", ["cnn", "cs231n", "ds-cnn-s", "tc-resnet8", "bc-resnet-1"])
def test_what_goes_past_the_caches_comes_back_to_the_bit(name):
    network = architectures.build(name, CLASSES)
    in_shape = (24, 40) if architectures.input_kind(name) == "spectrogram-1d" else (21, 40, 1)
    params = draw_params(network, in_shape, 0)
    x = np.random.default_rng(2).standard_normal((9, *in_shape), np.float32)
    found = []
    for least in (0, 2**62):
        with mock.patch.object(memory_plan, "MIN_SPILL_BYTES", least), mock.patch.object(executable, "MIN_WORK", 0):
            step = Compared(network, params, x)
            step.check(step.sensitivity())
        found.append([array.tobytes() for array in (step.vector.gradient, *step.passes.tracked.values())])
    assert found[0] == found[1]


def test_nothing_of_the_callers_is_changed():
    network, params, x = small_case(3)
    step = Compared(network, params, x)
    for array in (x, step.dy, step.vector.values, *step.tracked.values()):
        array.flags.writeable = False
    before = [array.copy() for array in (x, step.dy, step.vector.values)]
    step.check(step.sensitivity())
    Inference(network, params, (21, 12, 1))(x)
    for array, old in zip((x, step.dy, step.vector.values), before, strict=True):
        np.testing.assert_array_equal(array, old)


@pytest.mark.parametrize("in_shape", [(1, 70_000, 1), (40_000, 1, 1)])
def test_a_border_may_be_of_any_size(in_shape):
    padding = tuple((0, 0) if size == 1 else (size - 1, 0) for size in in_shape[:2])
    network = L.Chain([L.Conv(1, 1), L.Conv(2, (1, 1), (1, 1), padding), L.GlobalAvgPool(), L.Dense(2)])
    params = draw_params(network, in_shape, 0)
    x = np.random.default_rng(0).standard_normal((1, *in_shape), np.float32)
    wanted, _ = network.forward(L.unflatten(dict(params)), x, Pass())
    assert difference(Inference(network, params, in_shape)(x), wanted) < TOLERANCE


SMOOTH = {
    L.Sigmoid(): lambda v: 1 / (1 + np.exp(-v)),
    L.SiLU(): lambda v: v / (1 + np.exp(-v)),
    L.Tanh(): np.tanh,
    L.ELU(0.7): lambda v: np.where(v > 0, v, 0.7 * np.expm1(np.minimum(v, 0))),
}


@pytest.mark.parametrize("layer", SMOOTH, ids=lambda layer: type(layer).__name__)
def test_smooth_activations_are_exact_from_the_smallest_to_the_largest(layer):
    sizes = np.geomspace(1e-30, 1e4, 500)
    x = np.concatenate([-sizes, [0], sizes]).astype(np.float32)
    use = Inference(L.Chain([layer, L.GlobalAvgPool()]), {}, (1, x.size))
    with np.errstate(over="ignore"):  # of exp, whose infinity is right here
        wanted = SMOOTH[layer](x.astype(np.float64))
    np.testing.assert_allclose(use(x[None, None])[0], wanted, rtol=1e-6, atol=1e-33)
    x[3] = np.nan
    assert np.isnan(use(x[None, None])).nonzero()[1].tolist() == [3]


HARD = {
    L.HardSigmoid(): lambda v: np.clip(v / 6 + 0.5, 0, 1),
    L.HardSigmoid(0.2, 0.4): lambda v: np.clip(0.2 * v + 0.4, 0, 1),
    L.HardSwish(): lambda v: v * np.clip(v / 6 + 0.5, 0, 1),
}


@pytest.mark.parametrize("layer", HARD, ids=repr)
def test_hard_activations_are_straight_between_their_bends(layer):
    sizes = np.concatenate([np.geomspace(1e-30, 1e4, 500), [3.0, 2.0]])
    x = np.concatenate([-sizes, [0], sizes]).astype(np.float32)
    use = Inference(L.Chain([layer, L.GlobalAvgPool()]), {}, (1, x.size))
    # The line is rounded once at about 1, so errors near its end are absolute ones.
    np.testing.assert_allclose(use(x[None, None])[0], HARD[layer](x.astype(np.float64)), rtol=1e-6, atol=2e-7)
    x[3] = np.nan
    assert np.isnan(use(x[None, None])).nonzero()[1].tolist() == [3]


@pytest.mark.parametrize("pool", [L.MaxPool(2), L.GlobalMaxPool()])
def test_nan_is_not_hidden_by_a_maximum(pool):
    layers = [L.Conv(3, 3), L.ReLU(), pool, *([L.GlobalMaxPool()] if isinstance(pool, L.MaxPool) else []), L.Dense(2)]
    network = L.Chain(layers)
    params = draw_params(network, (8, 8, 1), 0)
    x = np.ones((2, 8, 8, 1), np.float32)
    x[1, 4, 4] = np.nan
    found = Inference(network, params, (8, 8, 1))(x)
    wanted, _ = network.forward(L.unflatten(dict(params)), x, Pass())
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    assert np.isnan(found[1]).all()
    assert not np.isnan(found[0]).any()


@pytest.mark.parametrize("layer", [L.Power(2.0), L.PReLU()])
def test_what_has_no_fused_form_is_named(layer):
    network = L.Chain([L.Conv(4, 3), layer, L.GlobalAvgPool(), L.Dense(2)])
    with pytest.raises(NotCompiledError, match=f"1 is {type(layer).__name__}"):
        trace(network, (8, 3))
