"""The article's examples ("Short Introduction to Convolutions and Pooling", Packt, 2018) on a picture and on sound."""

from __future__ import annotations

import numpy as np
import pytest
import reference

from audioconv import geometry, ops
from audioconv.features.front_ends import LogMel

# The three kernels that it shows on a photograph, row by row; the last one brings out edges.
KERNELS = np.array(
    [
        [[-0.2, 0, 0.5], [1.0, 0.3, -0.6], [0, 0, 0.8]],
        [[0, 0, 0], [0.8, -0.5, 0.8], [0, -0.2, 0]],
        [[0.4, 0.2, -0.2], [-0.8, 0, 0.8], [0, -0.5, 0.2]],
    ]
)
EDGES = KERNELS[2]


def photograph():
    """Return (48, 64, 3): a bright disc over a gradient and a dark field, with grain, as a camera might see them."""
    h, w = np.mgrid[:48, :64]
    sky = 0.9 - 0.4 * h / 48
    picture = np.stack([sky * 0.7, sky * 0.8, sky], axis=-1)
    picture[h > 36] = [0.2, 0.35, 0.1]
    picture[(h - 18) ** 2 + (w - 40) ** 2 < 100] = [1.0, 0.9, 0.5]
    return np.clip(picture + 0.02 * np.random.default_rng(0).standard_normal(picture.shape), 0, 1).astype(np.float32)


def spectrogram():
    """Return (frames, bands, 1) in decibels: a rising tone in noise, half a second long."""
    time = np.arange(8000) / 16000
    noise = 0.01 * np.random.default_rng(0).standard_normal(time.size)
    return LogMel()((np.sin(2 * np.pi * (300 * time + 2000 * time**2)) + noise).astype(np.float32))[0, ..., None]


IMAGES = pytest.mark.parametrize("draw", [photograph, spectrogram])


def by_hand(image, kernel, stride, padding):
    """Return the article's sum ``w11*p11 + ... + w33*p33`` at each place, for one channel (H, W)."""
    H, W = image.shape
    padded = np.zeros((H + 2 * padding, W + 2 * padding))
    padded[padding : padding + H, padding : padding + W] = image
    D_h, D_w = ((size - 3 + 2 * padding) // stride + 1 for size in (H, W))
    out = np.zeros((D_h, D_w))
    for i in range(D_h):
        for j in range(D_w):
            for r in range(3):
                for s in range(3):
                    out[i, j] += kernel[r, s] * padded[i * stride + r, j * stride + s]
    return out


@IMAGES
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1])
def test_the_three_kernels_on_each_channel(draw, stride, padding):
    image = draw()
    channels = image.shape[-1]
    # Each channel by itself: a depthwise convolution with three kernels a channel.
    weight = np.tile(KERNELS.transpose(1, 2, 0)[:, :, None], (1, 1, 1, channels))
    found = ops.conv2d(image[None], weight, stride=stride, padding=padding, groups=channels)[0]
    for channel in range(channels):
        for number, kernel in enumerate(KERNELS):
            wanted = by_hand(image[..., channel], kernel, stride, padding)
            np.testing.assert_allclose(found[..., 3 * channel + number], wanted, rtol=1e-4, atol=2e-4)


def test_a_kernel_sees_all_channels_of_a_picture_and_adds_a_bias():
    image = photograph()
    weight = KERNELS.transpose(1, 2, 0)[:, :, :, None]  # another kernel for red, green and blue: one sum
    found = ops.conv2d(image[None], weight, [0.25], padding=1)[0, :, :, 0]
    wanted = 0.25 + sum(by_hand(image[..., c], KERNELS[c], 1, 1) for c in range(3))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_the_third_kernel_brings_out_edges():
    grey = photograph().mean(axis=-1)
    # Its weights add up to 0.1: an even field keeps a tenth of its brightness, whatever is more or less is an edge.
    response = np.abs(ops.conv2d(grey[None, ..., None], EDGES[..., None, None], padding=1)[0, ..., 0] - 0.1 * grey)
    h, w = np.mgrid[:48, :64]
    radius = np.hypot(h - 18, w - 40)
    rim = (np.abs(radius - 10) < 1) & (np.abs(w - 40) > 6)  # left and right of the disc
    inside = radius < 7
    assert response[rim].mean() > 3 * response[inside].mean()


# --- stride, padding and the size of the output --------------------------------------------------------------------


@pytest.mark.parametrize(("padding", "size"), [(1, 86), (0, 85)])
def test_the_output_size_of_its_example_is_86(padding, size):
    """It prints 85 for W=256, K=3, P=1, S=3; its formula gives 86, and so does the convolution. 85 is that of P=0."""
    assert 1 + (256 - 3 + 2 * padding) // 3 == size
    assert geometry.output_size(256, 3, padding=padding, stride=3) == size
    picture = np.zeros((1, 256, 256, 3), np.float32)
    assert ops.conv2d(picture, np.zeros((3, 3, 3, 1)), stride=3, padding=padding).shape == (1, size, size, 1)


@pytest.mark.parametrize(("stride", "share"), [(1, 1), (2, 1 / 4), (3, 1 / 9)])
def test_with_a_larger_stride_fewer_pixels_get_the_kernels_centre(stride, share):
    centre = np.zeros((3, 3, 1, 1))
    centre[1, 1] = 1
    image = np.arange(1, 36 * 36 + 1, dtype=np.float32).reshape(1, 36, 36, 1)
    seen = ops.conv2d(image, centre, stride=stride, padding=1)
    assert np.unique(seen).size == share * image.size
    np.testing.assert_array_equal(seen, image[:, ::stride, ::stride])


def test_three_by_three_windows_three_apart_do_not_overlap():
    ones = np.ones((3, 3, 1, 1), np.float32)
    shape = (1, 9, 9, 1)
    times_seen = {
        stride: ops.conv_input_gradient(
            np.ones((1, (9 - 3) // stride + 1, (9 - 3) // stride + 1, 1), np.float32),
            ones,
            shape,
            geometry.window(3, axes=2, stride=stride),
        )
        for stride in (1, 3)
    }
    assert times_seen[1].max() == 9
    assert (times_seen[3] == 1).all()


# --- pooling -------------------------------------------------------------------------------------------------------


@IMAGES
@pytest.mark.parametrize("size", [2, 3])
def test_max_and_average_pooling_take_each_pixel_once(draw, size):
    image = draw()
    H, W, C = image.shape
    P, Q = H // size, W // size
    tiles = image[: P * size, : Q * size].astype(np.float64).reshape(P, size, Q, size, C)
    np.testing.assert_array_equal(ops.max_pool2d(image[None], size)[0], tiles.max(axis=(1, 3)).astype(np.float32))
    np.testing.assert_allclose(ops.avg_pool2d(image[None], size)[0], tiles.mean(axis=(1, 3)), rtol=1e-5)
    np.testing.assert_array_equal(ops.max_pool2d(image[None], size)[0], reference.max_pool(image[None], size)[0])


def test_what_applies_to_a_spectrogram_in_two_dimensions_applies_along_time():
    """A 1-D network takes the mel bands as channels and slides along time alone."""
    bands = spectrogram()[None, :, :, 0]
    smooth = np.zeros((3, bands.shape[-1], bands.shape[-1]))
    smooth[:, range(bands.shape[-1]), range(bands.shape[-1])] = 1 / 3
    found = ops.conv1d(bands, smooth)
    wanted = ops.avg_pool1d(bands, 3, stride=1)
    np.testing.assert_allclose(found, wanted, rtol=1e-4)
