from __future__ import annotations

import numpy as np
import pytest
import reference
from hypothesis import assume, given
from hypothesis import strategies as st

from audioconv import geometry
from audioconv.errors import ShapeError

small = st.integers(1, 9)


def test_the_articles_example_is_86_and_85_without_padding():
    assert geometry.output_size(256, 3, padding=1, stride=3) == 86
    assert geometry.output_size(256, 3, padding=0, stride=3) == 85


@given(size=st.integers(1, 40), kernel=small, stride=small, dilation=small, before=st.integers(0, 9), after=small)
def test_output_size_counts_the_places_where_the_kernel_fits(size, kernel, stride, dilation, before, after):
    extent = geometry.extent(kernel, dilation)
    starts = [start for start in range(0, size + before + after, stride) if start + extent <= size + before + after]
    assume(starts)
    found = geometry.output_size(size, kernel, padding=(before, after), stride=stride, dilation=dilation)
    assert found == len(starts)


@given(size=st.integers(1, 40), kernel=small, stride=small, dilation=small)
def test_same_padding_keeps_the_size_divided_by_the_stride(size, kernel, stride, dilation):
    window = geometry.window(kernel, axes=1, stride=stride, padding="same", dilation=dilation)
    assert window.out_size([size]) == (-(-size // stride),)
    assert window.padding == reference.padding_pairs("same", (kernel,), (dilation,))


@pytest.mark.parametrize(
    ("padding", "pairs"),
    [
        (2, ((2, 2), (2, 2))),
        ((1, 2), ((1, 1), (2, 2))),
        (((1, 2), (0, 3)), ((1, 2), (0, 3))),
        ([[1, 2], 3], ((1, 2), (3, 3))),
        ("valid", ((0, 0), (0, 0))),
        ("same", ((1, 1), (1, 2))),
        (np.int64(1), ((1, 1), (1, 1))),
    ],
)
def test_every_way_to_write_padding(padding, pairs):
    assert geometry.window((3, 4), axes=2, padding=padding).padding == pairs


def test_lifting_adds_an_axis_of_height_one():
    window = geometry.window(3, axes=1, stride=2, padding=1, dilation=2)
    assert window.lifted() == geometry.window((1, 3), axes=2, stride=(1, 2), padding=(0, 1), dilation=(1, 2))
    assert window.lifted().lifted() == window.lifted()
    assert window.extent == (5,)


def test_a_kernel_larger_than_its_padded_input_is_refused():
    with pytest.raises(ShapeError) as caught:
        geometry.output_size(5, 4, padding=(1, 0), dilation=2)
    assert str(caught.value) == (
        "a kernel that spans 7 does not fit an input of 5 with padding 1 + 0; "
        "use a smaller kernel, more padding or a longer input"
    )
    assert geometry.output_size(6, 4, padding=(1, 0), dilation=2) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kernel": 0}, "kernel must be an integer >= 1 or 2 of them, one per spatial axis; got 0"),
        ({"kernel": 2.5}, "kernel must be an integer >= 1 or 2 of them, one per spatial axis; got 2.5"),
        ({"kernel": (3,)}, "kernel must be an integer >= 1 or 2 of them, one per spatial axis; got (3,)"),
        ({"kernel": "3"}, "kernel must be an integer >= 1 or 2 of them, one per spatial axis; got '3'"),
        ({"kernel": None}, "kernel must be an integer >= 1 or 2 of them, one per spatial axis; got None"),
        (
            {"kernel": 3, "stride": (1, 0)},
            "stride must be an integer >= 1 or 2 of them, one per spatial axis; got (1, 0)",
        ),
        ({"kernel": 3, "dilation": -1}, "dilation must be an integer >= 1 or 2 of them, one per spatial axis; got -1"),
        ({"kernel": 3, "padding": "full"}, 'padding must be "same", "valid" or numbers; got \'full\''),
        ({"kernel": 3, "padding": (1, 2, 3)}, "padding must be one number or 2, one per spatial axis; got (1, 2, 3)"),
    ],
)
def test_settings_that_cannot_work_are_named(settings, message):
    with pytest.raises(ShapeError) as caught:
        geometry.window(axes=2, **settings)
    assert str(caught.value) == message


@pytest.mark.parametrize("padding", [-1, 1.5, ((0, -1), 0), ((1, 2, 3), 0)])
def test_padding_that_is_no_count_of_zeros_is_refused(padding):
    with pytest.raises(ShapeError, match="padding must be an integer >= 0"):
        geometry.window(3, axes=2, padding=padding)


def test_an_input_of_the_wrong_number_of_axes_is_refused():
    with pytest.raises(ShapeError) as caught:
        geometry.window(3, axes=2).out_size((40,))
    assert str(caught.value).startswith("needs 2 spatial axes, got 1 (size (40,))")
