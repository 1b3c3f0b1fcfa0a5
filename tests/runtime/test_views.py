"""What parts of an image, and images whose lines are taken for pixels, consist of."""

from __future__ import annotations

import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from audioconv.geometry import POINT, Window
from audioconv.runtime.program import NO_BORDER, Buffer
from audioconv.runtime.views import elementwise_views, view, views

BORDERS = st.tuples(*[st.integers(0, 2)] * 4)
HALVES = Window((2, 2), (2, 2), (1, 1), ((0, 0), (0, 0)))


def offsets(image, border=NO_BORDER):
    """Return where the numbers of a view lie, of its border too."""
    (H, W, C), (top, bottom, left, right) = image.shape, border
    pixels = itertools.product(range(-top, H + bottom), range(-left, W + right), range(C))
    return [image.origin.offset + h * image.line + w * image.pixel + c for h, w, c in pixels]


@given(st.integers(1, 12), st.integers(1, 4), st.integers(1, 5), st.integers(1, 3), BORDERS, st.booleans())
def test_bands_are_all_of_an_image_and_of_its_border(height, bands, width, channels, border, pooled):
    buffer = Buffer((height, bands * width, channels), border)
    parts = [part for (part,) in views(HALVES if pooled else POINT, bands, buffer)]
    around = [offset for part in parts for offset in offsets(part, part.border)]
    assert set(around) == set(range(buffer.size))
    inside = sorted(offset for part in parts for offset in offsets(part))
    every = itertools.product(range(height), range(bands * width), range(channels))
    assert inside == sorted(buffer.at(*place).offset for place in every)


@given(st.integers(1, 12), st.integers(1, 5), st.integers(1, 5), BORDERS)
def test_windows_see_lines_as_lines(height, width, channels, border):
    ((image,),) = views(HALVES, 1, Buffer((height, width, channels), border))
    assert image.shape == (height, width, channels)


@given(st.integers(1, 12), st.integers(1, 5), st.integers(1, 40), st.tuples(BORDERS, BORDERS))
def test_numbers_of_two_images_are_paired_whatever_their_borders(height, width, channels, borders):
    buffers = [Buffer((height, width, channels), border) for border in borders]
    images = elementwise_views(*map(view, buffers))
    assert len({image.shape for image in images}) == 1
    assert math.prod(images[0].shape) == height * width * channels
    places = [
        [buffer.at(*place).offset for place in itertools.product(*map(range, buffer.shape))] for buffer in buffers
    ]
    assert set(zip(*places, strict=True)) == set(zip(*map(offsets, images), strict=True))


@given(st.integers(1, 12), st.integers(1, 5), st.integers(1, 40), st.tuples(BORDERS, BORDERS))
def test_numbers_without_their_borders_are_the_same_numbers(height, width, channels, borders):
    buffers = [Buffer((height, width, channels), border) for border in borders]
    images = elementwise_views(*(view(buffer).without_border for buffer in buffers))
    places = [
        [buffer.at(*place).offset for place in itertools.product(*map(range, buffer.shape))] for buffer in buffers
    ]
    assert set(zip(*places, strict=True)) == set(zip(*map(offsets, images), strict=True))
    assert all(image.border == (0, 0, 0, 0) for image in images)
