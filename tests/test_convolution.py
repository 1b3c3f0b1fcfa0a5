"""The article's examples, and docs/convolution.md, which tells them again."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import reference

from audioconv import ops
from audioconv.geometry import output_size

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "convolution.md"

KERNELS = np.array([
    [[-0.2, 0.0, 0.5], [1.0, 0.3, -0.6], [0.0, 0.0, 0.8]],
    [[0.0, 0.0, 0.0], [0.8, -0.5, 0.8], [0.0, -0.2, 0.0]],
    [[0.4, 0.2, -0.2], [-0.8, 0.0, 0.8], [0.0, -0.5, 0.2]],
])  # fmt: skip


@pytest.fixture
def picture(rng):
    """Return a small RGB picture (1, H, W, 3)."""
    return rng.random((1, 21, 18, 3))


def test_a_kernel_gives_the_weighted_sum_and_the_bias(rng):
    p, w, b = rng.random((3, 3)), KERNELS[0], 0.25
    s = sum(w[i, j] * p[i, j] for i in range(3) for j in range(3)) + b
    np.testing.assert_allclose(ops.conv2d(p[None, :, :, None], w[:, :, None, None], [b]).item(), s, rtol=1e-6)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", KERNELS, ids=["1", "2", "3"])
def test_the_kernels_on_each_channel(picture, kernel, stride):
    weight = np.repeat(kernel[:, :, None, None], 3, axis=3)
    y = ops.conv2d(picture, weight, stride=stride, padding=1, groups=3)
    for channel in range(3):
        alone = picture[..., channel : channel + 1], kernel[:, :, None, None]
        expected = reference.conv(*alone, stride=(stride, stride), padding=((1, 1), (1, 1)))
        np.testing.assert_allclose(y[..., channel : channel + 1], expected, atol=1e-5)


def test_the_last_kernel_brings_out_edges_and_leaves_planes_nearly_dark():
    picture = np.full((1, 9, 9, 1), 0.5)
    picture[:, :, 5:] = 1.0
    y = np.abs(ops.conv2d(picture, KERNELS[2][:, :, None, None]))[0, :, :, 0]
    assert y[:, 3:5].min() > 2.5 * np.delete(y, [3, 4], axis=1).max()


def test_the_size_of_the_output_is_86_and_not_85():
    assert output_size(256, 3, padding=1, stride=3) == 86
    assert output_size(256, 3, padding=0, stride=3) == 85
    picture, weight = np.zeros((1, 256, 256, 1)), np.zeros((3, 3, 1, 1))
    assert ops.conv2d(picture, weight, stride=3, padding=1).shape == (1, 86, 86, 1)
    assert ops.conv2d(picture, weight, stride=3).shape == (1, 85, 85, 1)


def test_with_stride_3_a_kernel_of_3_never_sees_a_pixel_twice():
    seen = ops.conv2d(np.arange(81.0).reshape(1, 9, 9, 1), np.ones((3, 3, 1, 1)), stride=3)
    assert seen.sum() == np.arange(81).sum()


def test_pooled_regions_do_not_overlap(rng):
    x = rng.random((1, 6, 6, 1)).astype(np.float32)
    regions = x.reshape(3, 2, 3, 2).swapaxes(1, 2)
    np.testing.assert_array_equal(ops.max_pool2d(x, 2)[0, :, :, 0], regions.max(axis=(2, 3)))
    np.testing.assert_allclose(ops.avg_pool2d(x, 2)[0, :, :, 0], regions.mean(axis=(2, 3)), rtol=1e-6)


def test_the_page_runs():
    failures, tests = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert tests > 10
    assert not failures


def test_the_page_shows_every_picture():
    text = PAGE.read_text("utf-8")
    pictures = {path.name for path in (PAGE.parent / "images").glob("*.png")}
    assert set(re.findall(r"\]\(images/([^)]+)\)", text)) == pictures
    for path in (PAGE.parent / "images").glob("*.png"):
        assert path.stat().st_size < 150_000, path.name


def test_the_pictures_are_those_that_the_script_draws():
    pytest.importorskip("matplotlib")
    command = [sys.executable, str(ROOT / "scripts" / "draw_convolution"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
