"""What users may rely on when they call `ops` on arrays of their own."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from audioconv import geometry, ops
from audioconv.errors import ShapeError

seeds = st.integers(0, 99)
SETTINGS = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 2}


@pytest.fixture
def case(rng):
    """Return x, weight and bias of a small 2-D convolution in two groups."""
    x = rng.standard_normal((2, 7, 8, 4), np.float32)
    return x, rng.standard_normal((3, 2, 2, 6), np.float32), rng.standard_normal(6, np.float32)


# --- what convolution is -------------------------------------------------------------------------------------------


@given(seed=seeds, a=st.floats(-3, 3), b=st.floats(-3, 3))
def test_convolution_is_linear_in_the_input_and_in_the_kernel(seed, a, b):
    rng = np.random.default_rng(seed)
    x1, x2 = rng.standard_normal((2, 2, 6, 7, 3))
    w1, w2 = rng.standard_normal((2, 3, 3, 3, 5))
    together = ops.conv2d(a * x1 + b * x2, w1, padding=1)
    np.testing.assert_allclose(
        together, a * ops.conv2d(x1, w1, padding=1) + b * ops.conv2d(x2, w1, padding=1), atol=1e-4
    )
    together = ops.conv2d(x1, a * w1 + b * w2, padding=1)
    np.testing.assert_allclose(
        together, a * ops.conv2d(x1, w1, padding=1) + b * ops.conv2d(x1, w2, padding=1), atol=1e-4
    )


@given(seed=seeds, down=st.integers(0, 3), right=st.integers(0, 3), stride=st.integers(1, 3))
def test_a_shifted_input_gives_the_shifted_output(seed, down, right, stride):
    rng = np.random.default_rng(seed)
    x = np.zeros((1, 18, 18, 2), np.float32)
    x[:, 3:9, 3:9] = rng.standard_normal((1, 6, 6, 2))
    moved = np.roll(x, (down * stride, right * stride), axis=(1, 2))
    weight = rng.standard_normal((3, 3, 2, 4))
    for direct in (True, False):
        y = ops.conv2d(x, weight, stride=stride, padding=3, direct=direct)
        rows, columns = y.shape[1] - down, y.shape[2] - right
        found = ops.conv2d(moved, weight, stride=stride, padding=3, direct=direct)[:, down:, right:]
        if direct:
            np.testing.assert_array_equal(found, y[:, :rows, :columns])
        else:  # in a transform's tile, rounding depends on the place
            np.testing.assert_allclose(found, y[:, :rows, :columns], rtol=0, atol=2e-6 * np.abs(y).max())


@given(
    seed=seeds,
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
    groups=st.sampled_from([1, 2]),
)
def test_one_dimension_is_two_with_height_one(seed, stride, padding, dilation, groups):
    rng = np.random.default_rng(seed)
    x, weight, bias = rng.standard_normal((3, 12, 4)), rng.standard_normal((3, 4 // groups, 6)), rng.standard_normal(6)
    flat = ops.conv1d(x, weight, bias, stride, padding, dilation, groups)
    high = ops.conv2d(x[:, None], weight[None], bias, (1, stride), (0, padding), (1, dilation), groups)
    np.testing.assert_array_equal(flat, high[:, 0])
    np.testing.assert_array_equal(ops.max_pool1d(x, 3, stride), ops.max_pool2d(x[:, None], (1, 3), (1, stride))[:, 0])
    np.testing.assert_array_equal(ops.avg_pool1d(x, 3, stride), ops.avg_pool2d(x[:, None], (1, 3), (1, stride))[:, 0])


def test_a_picture_on_its_side_gives_the_output_on_its_side(case):
    x, weight, bias = case
    turned = ops.conv2d(x.swapaxes(1, 2), weight.swapaxes(0, 1), bias, (1, 2), (2, 1), (2, 1), 2)
    np.testing.assert_allclose(turned.swapaxes(1, 2), ops.conv2d(x, weight, bias, **SETTINGS), atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "kernel", "padding"),
    [((1, 9), (1, 3), 0), ((9, 1), (3, 1), 0), ((1, 1), (1, 1), 0), ((1, 1), (3, 3), 1), ((1, 9), (3, 3), "same")],
)
def test_one_row_one_column_one_pixel(rng, shape, kernel, padding):
    x = rng.standard_normal((1, *shape, 3), np.float32)
    weight = rng.standard_normal((*kernel, 3, 17), np.float32)
    found = ops.conv2d(x, weight, padding=padding)
    np.testing.assert_allclose(found, reference.conv(x, weight, padding=padding), atol=1e-5)


# --- which arrays it takes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["float64", "float16", "int16", "list", "fortran", "strided", "reversed", "read-only"])
def test_any_kind_of_array_gives_the_same(case, kind):
    x, weight, bias = (np.round(8 * a) for a in case)  # numbers that every type here holds exactly

    def other(a):
        match kind:
            case "list":
                return a.tolist()
            case "fortran":
                return np.asfortranarray(a)
            case "strided":
                return np.repeat(a, 2, axis=-1)[..., ::2]
            case "reversed":
                return np.ascontiguousarray(a[::-1])[::-1]
            case "read-only":
                a = a.copy()
                a.setflags(write=False)
                return a
        return a.astype(kind)

    found = ops.conv2d(other(x), other(weight), other(bias), **SETTINGS)
    np.testing.assert_array_equal(found, ops.conv2d(x, weight, bias, **SETTINGS))
    np.testing.assert_array_equal(ops.max_pool2d(other(x), 2), ops.max_pool2d(x, 2))
    np.testing.assert_array_equal(ops.avg_pool2d(other(x), 2), ops.avg_pool2d(x, 2))


def test_results_are_new_arrays_and_arguments_stay_as_they_are(case):
    before = [a.copy() for a in case]
    x, weight, bias = case
    results = [
        ops.conv2d(x, weight, bias, **SETTINGS),
        ops.conv2d(x, np.ones((1, 1, 4, 4))),
        ops.max_pool2d(x, 1),
        ops.avg_pool2d(x, 1),
    ]
    for y in results:
        assert y.dtype == np.float32
        assert y.flags.writeable
        assert not any(np.shares_memory(y, a) for a in case)
        y[...] = 0
    for a, b in zip(case, before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_empty_batch_gives_an_empty_batch():
    x = np.zeros((0, 7, 8, 4), np.float32)
    assert ops.conv2d(x, np.ones((3, 3, 4, 5)), padding=1).shape == (0, 7, 8, 5)
    assert ops.conv2d(x, np.ones((1, 1, 4, 5))).shape == (0, 7, 8, 5)
    assert ops.conv2d(x, np.ones((3, 3, 1, 4)), groups=4).shape == (0, 5, 6, 4)
    assert ops.max_pool2d(x, 2).shape == ops.avg_pool2d(x, 2).shape == (0, 3, 4, 4)
    assert ops.dense(x.reshape(0, 224), np.ones((224, 3), np.float32)).shape == (0, 3)


def test_an_example_gives_the_same_alone_and_in_a_batch(case):
    x, weight, bias = case
    together = ops.conv2d(x, weight, bias, **SETTINGS)
    for n in range(len(x)):
        np.testing.assert_allclose(ops.conv2d(x[n : n + 1], weight, bias, **SETTINGS)[0], together[n], atol=1e-6)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_a_nan_reaches_what_sees_it_and_nothing_else(rng, groups):
    x = rng.standard_normal((2, 6, 6, 4), np.float32)
    x[1, 2, 3, 0] = np.nan
    weight = rng.standard_normal((3, 3, 4 // groups, 4), np.float32)
    found = np.isnan(ops.conv2d(x, weight, padding=1, groups=groups, direct=True))
    wanted = np.zeros_like(found)
    wanted[1, 1:4, 2:5, : 4 // groups] = True
    np.testing.assert_array_equal(found, wanted)
    # A transform computes tiles of outputs together: of this example alone, and at least what contains the NaN.
    found = np.isnan(ops.conv2d(x, weight, padding=1, groups=groups))
    assert found[wanted].all()
    assert not found[0].any()


def test_infinity_stays_infinite(rng):
    x = rng.standard_normal((1, 5, 1), np.float32)
    x[0, 2] = np.inf
    y = ops.conv1d(x, np.array([1.0, 2.0, 1.0]).reshape(3, 1, 1))
    np.testing.assert_array_equal(y, np.full((1, 3, 1), np.inf))


# --- what it refuses -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "weight", "settings", "message"),
    [
        ((2, 7, 4), (3, 3, 4, 5), {}, "x must have 4 axes, got shape (2, 7, 4)"),
        ((2, 7, 7, 4), (3, 4, 5), {}, "weight must have 4 axes, got shape (3, 4, 5)"),
        (
            (2, 7, 7, 4), (3, 3, 3, 5), {},
            "kernels of shape (3, 3, 3, 5) take 3 input channels (3 a group), the input has 4",
        ),
        ((2, 7, 7, 4), (3, 3, 2, 5), {"groups": 2}, "groups=2 must divide the 4 input channels and the 5 kernels"),
        ((2, 7, 7, 4), (3, 3, 4, 5), {"groups": 0}, "groups=0 must divide the 4 input channels and the 5 kernels"),
        (
            (2, 7, 7, 4), (3, 3, 4, 5), {"bias": np.zeros(4)},
            "bias must have one number for each of the 5 kernels, got shape (4,)",
        ),
        (
            (2, 7, 2, 4), (3, 3, 4, 5), {},
            "a kernel that spans 3 does not fit an input of 2 with padding 0 + 0; "
            "use a smaller kernel, more padding or a longer input",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(x, weight, settings, message):
    with pytest.raises(ShapeError) as caught:
        ops.conv2d(np.zeros(x), np.zeros(weight), **settings)
    assert str(caught.value) == message


def test_pool_padding_is_less_than_the_pool():
    with pytest.raises(ShapeError) as caught:
        ops.max_pool1d(np.zeros((1, 9, 1)), 2, padding=2)
    assert str(caught.value) == "padding 2 must be less than the pool size 2"


def test_gradients_of_another_shape_are_refused_before_a_kernel_reads_beyond_their_end(case):
    x, weight, _ = case
    window = geometry.window((3, 2), axes=2)
    dy = np.ones((2, 5, 7, 6), np.float32)  # the right shape
    ops.conv_input_gradient(dy, weight, x.shape, window, 2)
    pool = geometry.window(2, axes=2, stride=2)
    chosen = ops.max_pool(x, pool)[1]
    for wrong in (dy[:1], dy[:, :4], dy[..., :4], dy[0]):
        with pytest.raises(ShapeError, match="must have that shape"):
            ops.conv_input_gradient(wrong, weight, x.shape, window, 2)
        with pytest.raises(ShapeError, match="must have that shape"):
            ops.max_pool_input_gradient(wrong, chosen, x.shape, pool)
        with pytest.raises(ShapeError, match="must have that shape"):
            ops.avg_pool_input_gradient(wrong, x.shape, pool)
    with pytest.raises(ShapeError, match="must have that shape"):
        ops.conv_weight_gradient(x, dy[:1], window, 2)
