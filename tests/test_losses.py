import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioconv.errors import ConfigError, ShapeError
from audioconv.training.losses import LogitAdjusted, SoftmaxCrossEntropy, balanced_class_weights, logit_offsets


def draw(rng, count=7, classes=5):
    return rng.normal(size=(count, classes)).astype(np.float32) * 3, rng.integers(classes, size=count)


@given(st.integers(1, 9), st.integers(2, 6), st.floats(0, 0.9), st.booleans(), st.booleans(), st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_loss_and_gradient_are_those_of_pytorch(count, classes, smoothing, weighted, soft, seed):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    logits, labels = draw(rng, count, classes)
    weights = tuple(rng.uniform(0.2, 3, classes)) if weighted else None
    if soft:
        labels = rng.dirichlet(np.ones(classes), count)
    theirs = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(
        theirs,
        torch.tensor(labels),
        weight=None if weights is None else torch.tensor(weights, dtype=torch.float64),
        label_smoothing=smoothing,
    )
    expected.backward()
    loss, gradient = SoftmaxCrossEntropy(smoothing, weights)(logits, labels)
    assert loss == pytest.approx(expected.item(), rel=1e-9)
    assert gradient.dtype == np.float32
    np.testing.assert_allclose(gradient, theirs.grad.numpy(), rtol=1e-5, atol=1e-7)


def test_gradient_is_the_derivative_of_the_loss():
    rng = np.random.default_rng(0)
    logits, labels = draw(rng)
    loss = SoftmaxCrossEntropy(0.1, (1, 2, 3, 4, 5))
    direction = rng.normal(size=logits.shape)
    _, gradient = loss(logits, labels)
    wide = logits.astype(np.float64)
    step = 1e-5
    difference = (loss(wide + step * direction, labels)[0] - loss(wide - step * direction, labels)[0]) / (2 * step)
    assert (gradient * direction).sum() == pytest.approx(difference, rel=1e-5)


def test_equal_class_weights_change_nothing():
    logits, labels = draw(np.random.default_rng(1))
    assert SoftmaxCrossEntropy(class_weights=(7.0,) * 5)(logits, labels)[0] == pytest.approx(
        SoftmaxCrossEntropy()(logits, labels)[0]
    )


def test_large_logits_do_not_overflow():
    loss, gradient = SoftmaxCrossEntropy()(np.array([[1e30, -1e30]], np.float32), np.array([0]))
    assert loss == 0
    assert gradient.tolist() == [[0, 0]]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_that_are_not_finite_give_a_loss_that_is_not_and_no_warning(bad):
    loss, _ = SoftmaxCrossEntropy()(np.array([[bad, 0.0]], np.float32), np.array([1]))
    assert not np.isfinite(loss)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, np.nan])
def test_smoothing_out_of_range(smoothing):
    with pytest.raises(ConfigError, match="label smoothing must be at least 0 and less than 1"):
        SoftmaxCrossEntropy(smoothing)


@pytest.mark.parametrize("weights", [(), (1, 0), (1, -1), (1, np.nan)])
def test_class_weights_must_be_positive(weights):
    with pytest.raises(ConfigError, match="class weights must be positive"):
        SoftmaxCrossEntropy(class_weights=weights)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros((2, 3, 4)), [0, 1], r"needs logits \(batch, classes\), got shape \(2, 3, 4\)"),
        (np.zeros((0, 3)), [], "needs logits"),
        (np.zeros((2, 3)), [0, 3], "labels must be from 0 to 2 for logits of 3 classes; got 0 to 3"),
        (np.zeros((2, 3)), [-1, 0], "got -1 to 0"),
        (np.zeros((2, 3)), [0, 1, 2], "labels must be 2 integers or probabilities"),
        (np.zeros((2, 3)), [0.5, 1.0], "got float64"),
    ],
)
def test_what_does_not_fit_says_so(logits, labels, message):
    with pytest.raises(ShapeError, match=message):
        SoftmaxCrossEntropy()(logits, np.array(labels))


def test_class_weights_must_fit_the_logits():
    with pytest.raises(ShapeError, match="2 class weights do not fit logits of 3 classes"):
        SoftmaxCrossEntropy(class_weights=(1, 2))(np.zeros((1, 3)), np.array([0]))


def test_balanced_class_weights_are_those_of_scikit_learn():
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.array([0, 0, 0, 1, 2, 2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(balanced_class_weights(labels, 3), expected)
    with pytest.raises(ConfigError, match=r"each of the 4 classes; got counts \[3, 1, 2, 0\]"):
        balanced_class_weights(labels, 4)


# --- logit adjustment ---


@pytest.mark.parametrize("mixed", [False, True])
def test_shifted_logits_have_the_gradient_of_their_loss(mixed, rng):
    loss = LogitAdjusted(SoftmaxCrossEntropy(label_smoothing=0.1), (0.0, -2.0, 0.0))
    logits = rng.standard_normal((5, 3)).astype(np.float32)
    labels = rng.dirichlet(np.ones(3), 5) if mixed else np.array([0, 1, 2, 1, 2])
    _, gradient = loss(logits, labels)
    step = 1e-3
    for place in np.ndindex(5, 3):
        moved = [logits.copy(), logits.copy()]
        moved[0][place] -= step
        moved[1][place] += step
        low, high = (loss(one, labels)[0] for one in moved)
        assert gradient[place] == pytest.approx((high - low) / (2 * step), abs=1e-3)


def test_the_smaller_class_has_to_be_surer():
    loss = LogitAdjusted(SoftmaxCrossEntropy(), (0.0, -2.0))
    even = np.zeros((1, 2), np.float32)
    assert loss(even, np.array([1]))[0] > loss(even, np.array([0]))[0]


def test_offsets_of_classes_of_about_the_same_size_are_none():
    assert logit_offsets([100, 80, 90, 5], [True, True, True, False], 1.25) == (0.0, 0.0, 0.0, 0.0)
    assert logit_offsets([100, 0], [True, True], 1.25) == (0.0, 0.0)
    assert logit_offsets([3], [False], 1.25) == (0.0,)
    few, fewer = logit_offsets([100, 50, 10], [True] * 3, 1.0)[1:]
    assert (few, fewer) == (pytest.approx(np.log(0.5)), pytest.approx(np.log(0.1)))
