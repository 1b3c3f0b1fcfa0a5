import numpy as np
import pytest

from audioconv.errors import ConfigError, ShapeError
from audioconv.kernels.elementwise import BLOCK
from audioconv.runtime.program import ALIGNMENT
from audioconv.runtime.weights import WeightVector
from audioconv.training.optimizers import SGD, AdamW, clip_gradients

SHAPES = {"0.weight": (3, 3, 1, 5), "0.bias": (5,), "1.scale": (5,), "2.weight": (700, 31), "2.bias": (31,)}


def draw(rng):
    return {path: rng.normal(size=shape).astype(np.float32) for path, shape in SHAPES.items()}


OPTIMIZERS = [
    (SGD(0.0), "SGD", {}),
    (SGD(0.9), "SGD", {"momentum": 0.9}),
    (SGD(0.9, weight_decay=0.1), "SGD", {"momentum": 0.9, "weight_decay": 0.1}),
    (SGD(0.8, nesterov=True, weight_decay=0.1), "SGD", {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1}),
    (AdamW(), "AdamW", {"weight_decay": 0.01}),
    (AdamW(0.8, 0.95, 1e-3, 0.2), "AdamW", {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.2}),
]


@pytest.mark.parametrize(("optimizer", "name", "options"), OPTIMIZERS, ids=lambda value: str(value))
def test_steps_are_those_of_pytorch(optimizer, name, options):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    start = draw(rng)
    weights = WeightVector(start)
    state = optimizer.init(weights)
    theirs = {path: torch.tensor(array, requires_grad=True) for path, array in start.items()}
    groups = [
        {"params": [theirs[path]], **options, **({} if len(shape) > 1 else {"weight_decay": 0.0})}
        for path, shape in SHAPES.items()
    ]
    reference = getattr(torch.optim, name)(groups, lr=0.1)
    for step in range(20):
        gradients = draw(rng)
        rate = 0.02 * (1 + step % 3)
        for path, array in gradients.items():
            theirs[path].grad = torch.tensor(array)
        for group in reference.param_groups:
            group["lr"] = rate
        reference.step()
        weights.gather(gradients)
        optimizer.step(weights, state, rate)
    for path, view in weights.views.items():
        np.testing.assert_allclose(view, theirs[path].detach().numpy(), rtol=1e-4, atol=1e-5, err_msg=path)


def test_views_share_one_aligned_vector_with_the_decayed_arrays_first():
    start = draw(np.random.default_rng(1))
    weights = WeightVector(start)
    for path, array in start.items():
        view = weights.views[path]
        np.testing.assert_array_equal(view, array)
        assert np.shares_memory(view, weights.values)
        assert view.flags.c_contiguous
        assert view.ctypes.data % (4 * ALIGNMENT) == 0
        offset = (view.ctypes.data - weights.values.ctypes.data) // 4
        assert (offset < weights.decayed) == (array.ndim > 1)
    assert list(weights.views) == list(SHAPES)


def test_weights_that_already_fit_the_gradient_are_left_alone_by_padding():
    weights = WeightVector({"bias": np.ones(3, np.float32)})
    state = AdamW().init(weights)
    weights.gather({"bias": np.ones(3, np.float32)})
    AdamW().step(weights, state, 0.1)
    assert not weights.values[3:].any()


def test_a_network_without_parameters_can_step():
    weights = WeightVector({})
    weights.gather({})
    for optimizer in (SGD(), AdamW()):
        optimizer.step(weights, optimizer.init(weights), 0.1)
    assert clip_gradients(weights, 1.0) == 0


@pytest.mark.parametrize("max_norm", [0.5, 1e6, None])
def test_clipping_is_that_of_pytorch(max_norm):
    torch = pytest.importorskip("torch")
    gradients = draw(np.random.default_rng(2))
    weights = WeightVector(gradients)
    weights.gather(gradients)
    theirs = [torch.zeros(shape, requires_grad=True) for shape in SHAPES.values()]
    for tensor, gradient in zip(theirs, gradients.values(), strict=True):
        tensor.grad = torch.tensor(gradient)
    expected = torch.nn.utils.clip_grad_norm_(theirs, np.inf if max_norm is None else max_norm)
    assert weights.values.size > 2 * BLOCK
    assert clip_gradients(weights, max_norm) == pytest.approx(expected.item(), rel=1e-5)
    clipped = WeightVector({path: tensor.grad.numpy() for path, tensor in zip(SHAPES, theirs, strict=True)})
    np.testing.assert_allclose(weights.gradient, clipped.values, rtol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30])
def test_the_norm_of_a_bad_gradient_is_not_finite_and_nothing_is_scaled(bad):
    weights = WeightVector({"weight": np.zeros(4, np.float32)})
    weights.gather({"weight": np.array([1, bad, 2, 3], np.float32)})
    assert not np.isfinite(clip_gradients(weights, 1.0))
    assert weights.gradient[0] == 1


def test_gradients_that_do_not_fit_say_so():
    weights = WeightVector({"0.weight": np.zeros((2, 3), np.float32)})
    with pytest.raises(ShapeError, match=r"gradients \['1.weight'\] do not fit the trainable arrays \['0.weight'\]"):
        weights.gather({"1.weight": np.zeros((2, 3), np.float32)})
    with pytest.raises(ShapeError, match=r"0.weight: gradient has shape \(3, 2\), but the parameter \(2, 3\)"):
        weights.gather({"0.weight": np.zeros((3, 2), np.float32)})


@pytest.mark.parametrize(
    "make",
    [
        lambda: SGD(momentum=1.0),
        lambda: SGD(momentum=0.0, nesterov=True),
        lambda: SGD(weight_decay=-1),
        lambda: AdamW(beta1=1.0),
        lambda: AdamW(beta2=-0.1),
        lambda: AdamW(epsilon=0),
        lambda: AdamW(weight_decay=np.inf),
    ],
)
def test_bad_settings_are_refused(make):
    with pytest.raises(ConfigError, match=r"must be|needs"):
        make()


def test_the_first_means_of_adamw_are_the_gradients_shares_to_the_last_digits():
    weights = WeightVector({"weight": np.zeros((40, 50), np.float32)})
    gradient = np.random.default_rng(0).normal(size=(40, 50)).astype(np.float32)
    weights.gather({"weight": gradient})
    optimizer = AdamW(0.9, 0.999)
    state = optimizer.init(weights)
    optimizer.step(weights, state, 0.1)
    np.testing.assert_allclose(state["mean"][: gradient.size], 0.1 * gradient.ravel(), rtol=3e-7)
    np.testing.assert_allclose(state["mean_square"][: gradient.size], 0.001 * gradient.ravel() ** 2, rtol=3e-7)


# --- groups of parameters ---


def test_each_group_steps_with_its_own_rate():
    """Two groups beside a float64 loop over arrays, each with AdamW's rule and its own learning rate."""
    rng = np.random.default_rng(3)
    start = draw(rng)
    optimizer = AdamW(0.8, 0.95, 1e-6, 0.2, rates=(("2.", 0.25), ("0.", 0.5)))
    weights = WeightVector(start)
    state = optimizer.init(weights)
    wanted = {path: array.astype(np.float64) for path, array in start.items()}
    mean, square = ({path: np.zeros(shape) for path, shape in SHAPES.items()} for _ in range(2))
    for step in range(1, 11):
        gradients, rate = draw(rng), 0.02 * (1 + step % 3)
        weights.gather(gradients)
        optimizer.step(weights, state, rate)
        for path, gradient in gradients.items():
            own = rate * {"0": 0.5, "1": 1.0, "2": 0.25}[path[0]]
            mean[path] = 0.8 * mean[path] + 0.2 * gradient
            square[path] = 0.95 * square[path] + 0.05 * gradient.astype(np.float64) ** 2
            if gradient.ndim > 1:
                wanted[path] *= 1 - own * 0.2
            direction = (mean[path] / (1 - 0.8**step)) / (np.sqrt(square[path] / (1 - 0.95**step)) + 1e-6)
            wanted[path] -= own * direction
    for path, view in weights.views.items():
        np.testing.assert_allclose(view, wanted[path], rtol=1e-4, atol=1e-5, err_msg=path)


def test_one_rate_for_all_is_the_same_bits_as_none():
    found = []
    for rates in ((), (("0.", 1.0), ("2.", 1.0))):
        rng = np.random.default_rng(4)
        weights, optimizer = WeightVector(draw(rng)), AdamW(rates=rates)
        state = optimizer.init(weights)
        for _ in range(3):
            weights.gather(draw(rng))
            optimizer.step(weights, state, 0.1)
        found.append(weights.values.copy())
    np.testing.assert_array_equal(*found)


def test_with_rate_0_the_parameters_stay():
    rng = np.random.default_rng(5)
    start = draw(rng)
    weights, optimizer = WeightVector(start), AdamW(rates=(("0.", 0.0),))
    state = optimizer.init(weights)
    for _ in range(3):
        weights.gather(draw(rng))
        optimizer.step(weights, state, 0.1)
    for path, array in start.items():
        assert (weights.views[path] == array).all() == path.startswith("0."), path


@pytest.mark.parametrize("factor", [-0.1, np.inf, np.nan])
def test_a_rate_that_is_none_is_refused(factor):
    with pytest.raises(ConfigError, match=r"the rate's factor for '0\.' must be a number of at least 0"):
        AdamW(rates=(("0.", factor),))
