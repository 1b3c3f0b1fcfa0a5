"""Convolution and its gradients, each a small program for the machine, against the reference loops."""

from __future__ import annotations

import numba
import numpy as np
import pytest
import reference
from hypothesis import assume, given
from hypothesis import strategies as st

from audioconv import geometry, ops
from audioconv.kernels import opcodes
from audioconv.kernels.jit import LANES
from audioconv.kernels.tile import COLUMNS, TERMS
from audioconv.ops import programs
from audioconv.runtime import copies, executable, shares, sums
from audioconv.runtime.copies import CallerArray
from audioconv.runtime.executable import Executable
from audioconv.runtime.program import Constants, Memory, Phase, Section, Tables
from audioconv.runtime.sums import MAX_PARTS, SHARED_PARTS

# Around the tile: parts of a vector, one vector, parts of two, several blocks.
CHANNELS = st.sampled_from([1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 40])


def clear_programs():
    for plan in (programs.forward, programs.input_gradient, programs.weight_gradient):
        plan.cache_clear()


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


@pytest.mark.parametrize("border", [(0, 0, 0, 0), (1, 2, 3, 4), (0, 3, 0, 0), (0, 0, 0, 5), (2, 0, 40000, 0)])
@pytest.mark.parametrize("channels", [1, 3, LANES + 1])
def test_an_image_is_copied_with_zeros_around_it_and_into_nothing_else(rng, border, channels):
    x = rng.standard_normal((2, 4, 5, channels), np.float32)
    section = Section([], [], Tables(), Memory(), Constants())
    top, bottom, left, right = border
    copies.copy(section, CallerArray(x.shape[1:]), CallerArray(x.shape[1:], border, opcodes.OUTPUT))
    program = Executable([[Phase(opcodes.EXAMPLES, 2, section.instructions)]], section.tables, section.memory, 1)
    wanted = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    found = np.full(wanted.size + 2 * LANES, np.nan, np.float32)
    space, constants = program.new_workspace(2), section.constants.array()
    for base, array in ((opcodes.INPUT, x), (opcodes.OUTPUT, found), (opcodes.CONSTANTS, constants)):
        space.point(base, array)
    program.run(0, space, 2, 2)
    np.testing.assert_array_equal(found[: wanted.size].reshape(wanted.shape), wanted)
    assert np.isnan(found[wanted.size :]).all()


@pytest.mark.parametrize("time", [191, 192, 193, 391])
@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("batch", [1, 2])
def test_long_lines_are_cut_without_a_seam(rng, monkeypatch, time, groups, batch):
    monkeypatch.setattr(programs, "STRIP_ELEMENTS", 1)  # strips of few rows
    monkeypatch.setattr(shares, "TASK_WORK", 1)  # and as many tasks as there may be
    clear_programs()
    x = rng.standard_normal((batch, time + 2, 4), np.float32)
    weight = rng.standard_normal((3, 4 // groups, 4), np.float32)
    dy = rng.standard_normal((batch, time, 4), np.float32)
    window = geometry.window(3, axes=1)
    close(ops.conv1d(x, weight, groups=groups), reference.conv(x, weight, groups=groups))
    close(
        ops.conv_input_gradient(dy, weight, x.shape, window, groups),
        reference.conv_input_gradient(dy, weight, x.shape, groups=groups),
    )
    clear_programs()


@pytest.mark.parametrize("channels", [31, 32, 33, 65])
def test_weight_gradient_over_more_terms_than_a_block_has(rng, channels):
    x = rng.standard_normal((2, 18, 13, channels), np.float32)
    dy = rng.standard_normal((2, 16, 11, COLUMNS + 1), np.float32)
    assert TERMS < 16 * 11 < 2 * TERMS
    window = geometry.window((3, 3), axes=2)
    close(ops.conv_weight_gradient(x, dy, window), reference.conv_weight_gradient(x, dy, (3, 3)))


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2, 4])
def test_input_gradient_of_few_channels(rng, channels, stride):
    x = rng.standard_normal((2, 13, 11, channels), np.float32)
    weight = rng.standard_normal((3, 3, channels, 2 * LANES), np.float32)
    settings = {"stride": stride, "padding": 1}
    window = geometry.window((3, 3), axes=2, **settings)
    dy = rng.standard_normal((2, *window.out_size((13, 11)), 2 * LANES), np.float32)
    found = ops.conv_input_gradient(dy, weight, x.shape, window)
    close(found, reference.conv_input_gradient(dy, weight, x.shape, **settings))


@pytest.mark.parametrize("shape", [(1, 16, 15, 20), (5, 7, 8, 20)])
@pytest.mark.parametrize("groups", [1, 4, 20])
def test_several_threads_give_the_same_bits_as_one(rng, monkeypatch, shape, groups):
    monkeypatch.setattr(executable, "MIN_WORK", 0)
    x = rng.standard_normal(shape, np.float32)
    weight = rng.standard_normal((3, 3, 20 // groups, 40 if groups < 20 else 20), np.float32)
    window = geometry.window((3, 3), axes=2, padding=1)
    dy = rng.standard_normal((*shape[:3], weight.shape[-1]), np.float32)

    def results():
        return (
            ops.conv(x, weight, None, window, groups),
            ops.conv_input_gradient(dy, weight, x.shape, window, groups),
            ops.conv_weight_gradient(x, dy, window, groups),
        )

    threads = numba.get_num_threads()
    found = results()
    try:
        numba.set_num_threads(1)
        alone = results()
    finally:
        numba.set_num_threads(threads)
    for together, one in zip(found, alone, strict=True):
        np.testing.assert_array_equal(together, one)
    close(found[0], reference.conv(x, weight, padding=1, groups=groups))
    close(found[1], reference.conv_input_gradient(dy, weight, x.shape, padding=1, groups=groups))
    close(found[2], reference.conv_weight_gradient(x, dy, (3, 3), padding=1, groups=groups))


def test_programs_are_kept_for_the_shape_and_not_without_end():
    clear_programs()
    weight, window = np.ones((3, 1, 1), np.float32), geometry.window(3, axes=1)
    for _ in range(2):
        for time in range(3, programs.CACHE_SIZE + 13):
            ops.conv(np.ones((2, time, 1), np.float32), weight, None, window)
    kept = programs.forward.cache_info()
    assert kept.currsize == programs.CACHE_SIZE
    ops.conv(np.ones((7, programs.CACHE_SIZE + 12, 1), np.float32), weight, None, window)  # any number of examples
    assert programs.forward.cache_info().hits == kept.hits + 1


@pytest.mark.parametrize("batch", [1, SHARED_PARTS - 1, SHARED_PARTS, SHARED_PARTS + 1, MAX_PARTS, 2 * MAX_PARTS + 3])
@pytest.mark.parametrize("groups", [1, 6])
def test_weight_gradient_of_any_batch_size(rng, batch, groups):
    x, dy = rng.standard_normal((2, batch, 5, 6), np.float32)
    window = geometry.window(3, axes=1, padding=1)
    wanted = reference.conv_weight_gradient(x, dy, (3,), padding=1, groups=groups)
    close(ops.conv_weight_gradient(x, dy, window, groups), wanted)


def test_weight_gradient_of_a_layer_too_large_for_many_partial_sums(rng, monkeypatch):
    x, dy = rng.standard_normal((2, 20, 5, 6), np.float32)
    window = geometry.window(3, axes=1, padding=1)
    monkeypatch.setattr(sums, "LEAST_PARTS", 2)
    monkeypatch.setattr(sums, "MAX_PARTIAL_ELEMENTS", 3 * 6 * 6 * 3 + 1)
    close(ops.conv_weight_gradient(x, dy, window), reference.conv_weight_gradient(x, dy, (3,), padding=1))
    monkeypatch.setattr(sums, "MAX_PARTIAL_ELEMENTS", 1)
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
