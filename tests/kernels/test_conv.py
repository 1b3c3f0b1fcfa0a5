"""Convolution kernels, reached through `ops`, which pads and packs for them, against the reference loops."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from hypothesis import assume, given
from hypothesis import strategies as st

from audioconv import geometry, ops
from audioconv.kernels import conv as kernels
from audioconv.kernels.jit import PARTS
from audioconv.kernels.simd import COLUMNS
from audioconv.ops import convolution

# Around the tile: parts of a vector, one vector, parts of two, several blocks.
CHANNELS = st.sampled_from([1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 40])


def close(found, wanted):
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * max(1, np.abs(wanted).max(initial=0)))


@st.composite
def convolutions(draw):
    """Draw (settings, x, weight, bias) with every combination that has an output."""
    axes = draw(st.integers(1, 2))
    each = {"min_size": axes, "max_size": axes}
    kernel = draw(st.lists(st.integers(1, 5), **each))
    dilation = draw(st.lists(st.sampled_from([1, 1, 2, 3]), **each))
    stride = draw(st.lists(st.integers(1, 4), **each))
    padding = draw(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), **each))
    size = []
    for k, d, (before, after) in zip(kernel, dilation, padding, strict=True):
        least = max(1, geometry.extent(k, d) - before - after)
        size.append(draw(st.integers(least, least + 8)))
    groups = draw(st.sampled_from([1, 1, 2, 3, 7]))
    if draw(st.integers(0, 4)) == 0:
        group_in = group_out = 1  # depthwise
        groups = draw(CHANNELS)
    elif groups == 1:
        group_in, group_out = draw(st.integers(1, 6)), draw(CHANNELS)
    else:
        group_in, group_out = draw(st.integers(1, 3)), draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = rng.standard_normal((draw(st.integers(1, 3)), *size, groups * group_in), np.float32)
    weight = rng.standard_normal((*kernel, group_in, groups * group_out), np.float32)
    settings = {"stride": tuple(stride), "padding": tuple(padding), "dilation": tuple(dilation), "groups": groups}
    return settings, x, weight, rng.standard_normal(groups * group_out, np.float32)


def window_of(settings, weight):
    kernel = weight.shape[:-2]
    parts = {name: settings[name] for name in ("stride", "padding", "dilation")}
    return geometry.window(kernel, axes=len(kernel), **parts)


@given(convolutions())
def test_forward(case):
    settings, x, weight, bias = case
    convolve = ops.conv1d if x.ndim == 3 else ops.conv2d
    close(convolve(x, weight, bias, **settings), reference.conv(x, weight, bias, **settings))


@given(convolutions())
def test_gradients(case):
    settings, x, weight, _ = case
    window, groups = window_of(settings, weight), settings["groups"]
    dy = np.random.default_rng(1).standard_normal((len(x), *window.out_size(x.shape[1:-1]), weight.shape[-1]))
    dy = dy.astype(np.float32)
    close(
        ops.conv_input_gradient(dy, weight, x.shape, window, groups),
        reference.conv_input_gradient(dy, weight, x.shape, **settings),
    )
    close(
        ops.conv_weight_gradient(x, dy, window, groups),
        reference.conv_weight_gradient(x, dy, weight.shape[:-2], **settings),
    )


@given(
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    corner=st.tuples(st.integers(-4, 4), st.integers(-4, 4)),
    step=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    out_size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_embed_lays_an_image_on_zeros_and_crops_it(size, corner, step, out_size):
    x = 1 + np.arange(2 * size[0] * size[1] * 3, dtype=np.float32).reshape(2, *size, 3)
    out = np.full((2, *out_size, 3), np.nan, np.float32)
    kernels.embed(x, *corner, *step, out)
    wanted = np.zeros_like(out)
    for h, w in np.ndindex(*size):
        i, j = corner[0] + h * step[0], corner[1] + w * step[1]
        if 0 <= i < out_size[0] and 0 <= j < out_size[1]:
            wanted[:, i, j] = x[:, h, w]
    np.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize("time", [kernels.LINE - 1, kernels.LINE, kernels.LINE + 1, 2 * kernels.LINE + 7])
@pytest.mark.parametrize("groups", [1, 4])
def test_long_lines_are_cut_without_a_seam(rng, time, groups):
    x = rng.standard_normal((2, time + 2, 4), np.float32)
    weight = rng.standard_normal((3, 4 // groups, 4), np.float32)
    close(ops.conv1d(x, weight, groups=groups), reference.conv(x, weight, groups=groups))


@pytest.mark.parametrize("channels", [31, 32, 33, 65])
def test_weight_gradient_over_more_rows_than_one_task_takes(rng, channels):
    # Three columns of 32 channels are just one block of rows.
    assert kernels.ROW_BLOCK == 96
    x = rng.standard_normal((2, 6, 5, channels), np.float32)
    dy = rng.standard_normal((2, 4, 3, COLUMNS + 1), np.float32)
    window = geometry.window((3, 3), axes=2)
    close(ops.conv_weight_gradient(x, dy, window), reference.conv_weight_gradient(x, dy, (3, 3)))


@pytest.mark.parametrize("batch", [1, PARTS - 1, PARTS, PARTS + 1, 2 * PARTS + 3])
@pytest.mark.parametrize("groups", [1, 6])
def test_weight_gradient_of_any_batch_size(rng, batch, groups):
    x, dy = rng.standard_normal((2, batch, 5, 6), np.float32)
    window = geometry.window(3, axes=1, padding=1)
    wanted = reference.conv_weight_gradient(x, dy, (3,), padding=1, groups=groups)
    close(ops.conv_weight_gradient(x, dy, window, groups), wanted)


def test_weight_gradient_of_a_layer_too_large_for_sixteen_partial_sums(rng, monkeypatch):
    x, dy = rng.standard_normal((2, 20, 5, 6), np.float32)
    window = geometry.window(3, axes=1, padding=1)
    monkeypatch.setattr(convolution, "_MAX_PARTIAL", 3 * 6 * 6 * 2 + 1)
    close(ops.conv_weight_gradient(x, dy, window), reference.conv_weight_gradient(x, dy, (3,), padding=1))
    monkeypatch.setattr(convolution, "_MAX_PARTIAL", 1)
    close(ops.conv_weight_gradient(x, dy, window), reference.conv_weight_gradient(x, dy, (3,), padding=1))


@given(rows=st.integers(1, 30), features=st.integers(1, 70), units=CHANNELS)
def test_dense_is_a_matrix_product(rows, features, units):
    rng = np.random.default_rng(rows)
    x = rng.standard_normal((rows, features), np.float32)
    weight = rng.standard_normal((features, units), np.float32)
    bias = rng.standard_normal(units, np.float32)
    dy = rng.standard_normal((rows, units), np.float32)
    close(ops.dense(x, weight, bias), reference.dense(x, weight, bias))
    close(ops.dense_input_gradient(dy, weight), reference.dense(dy, weight.T))
    close(ops.dense_weight_gradient(x, dy), reference.dense(x.T, dy))


@given(convolutions(), st.integers(0, 99))
def test_the_gradients_are_the_adjoints_of_the_forward_pass(case, seed):
    """<dy, conv(x, w)> = <dx, x> = <dw, w>, in float32 itself: no reference needed, so also for larger arrays."""
    settings, x, weight, _ = case
    window, groups = window_of(settings, weight), settings["groups"]
    y = ops.conv(x, weight, None, window, groups)
    assume(y.size)
    dy = np.random.default_rng(seed).standard_normal(y.shape).astype(np.float32)
    scale = np.linalg.norm(dy) * np.linalg.norm(y) + 1
    forward = np.vdot(dy.astype(np.float64), y)
    by_x = np.vdot(ops.conv_input_gradient(dy, weight, x.shape, window, groups).astype(np.float64), x)
    by_weight = np.vdot(ops.conv_weight_gradient(x, dy, window, groups).astype(np.float64), weight)
    assert abs(by_x - forward) < 1e-5 * scale
    assert abs(by_weight - forward) < 1e-5 * scale
