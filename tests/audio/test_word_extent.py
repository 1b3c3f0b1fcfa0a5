"""Where in a window the word is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioconv.audio.endpoints import word_extent


def levels(*parts: tuple[int, int, float], noise: float = 0.0, count: int = 100) -> np.ndarray:
    """Return a background of -60 dB with louder parts (begin, end, dB)."""
    found = -60 + noise * np.random.default_rng(0).standard_normal(count)
    for begin, end, level in parts:
        found[begin:end] = level
    return found


@given(begin=st.integers(2, 60), length=st.integers(5, 30), level=st.floats(-50, 0), noise=st.floats(0, 1))
def test_a_word_in_quiet(begin, length, level, noise):
    found = word_extent(levels((begin, begin + length, level), noise=noise), 0.01)
    assert abs(found[0] - begin) <= 1
    assert abs(found[1] - begin - length) <= 1


def test_a_plosive_does_not_cut_a_word():
    assert word_extent(levels((40, 50, -20), (58, 66, -20)), 0.01) == (40, 66)


def test_of_two_words_the_one_in_the_middle():
    assert word_extent(levels((0, 20, -15), (45, 65, -20)), 0.01) == (45, 65)
    assert word_extent(levels((35, 55, -20), (85, 100, -20)), 0.01) == (35, 55)


def test_a_click_is_no_word():
    assert word_extent(levels((30, 32, -10), (55, 80, -20)), 0.01) == (55, 80)


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_what_does_not_stand_out_is_the_whole_window(count):
    assert word_extent(np.full(count, -60.0), 0.01) == (0, count)
    assert word_extent(levels(noise=1.0, count=count), 0.01) == (0, count)


def test_a_word_that_is_cut_by_the_window():
    assert word_extent(levels((0, 40, -20)), 0.01) == (0, 40)
    assert word_extent(levels((70, 100, -20)), 0.01) == (70, 100)
