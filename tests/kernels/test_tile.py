"""The register tile by itself, against plain NumPy: whatever the tables say, it reads and writes that and no more."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import prange

from audioconv.kernels.jit import LANES, kernel
from audioconv.kernels.simd_float32 import address_of, floats_at, ints_at
from audioconv.kernels.tile import COLUMNS, TERMS, correlate
from audioconv.runtime import offsets

SLACK = 2 * LANES  # what the tile may read beyond


@kernel
def run(A, B, start, onward, C, columns, row_table, row_count, term_table, terms, depthwise, activate, slope):
    for _ in prange(1):  # what is compiled for parallel launch is kept for the next process
        correlate(
            floats_at(address_of(A), 0), floats_at(address_of(B), 0), floats_at(address_of(start), 0), onward,
            floats_at(address_of(C), 0), columns, ints_at(address_of(row_table), 0), row_count,
            ints_at(address_of(term_table), 0), terms, depthwise, activate, slope,
        )  # fmt: skip


def expected(A, B, start, onward, C, columns, row_pairs, term_pairs, depthwise, slope):
    """Return what C holds afterwards, summed in float64."""
    wanted = C.astype(np.float64)
    j = np.arange(columns)
    for a_row, c_row in row_pairs:
        total = (C[c_row + j] if onward else start[:columns]).astype(np.float64)
        for a, b in term_pairs:
            total += A[a_row + a + (j if depthwise else 0)].astype(np.float64) * B[b + j]
        wanted[c_row + j] = np.where(total < 0, slope * total, total)
    return wanted


def check(row_count, columns, terms, onward=False, depthwise=False, slope=1.0, seed=0):
    rng = np.random.default_rng(seed)
    # Rows of A overlap, as windows do; those of B and C stand apart by an odd number, as channels may.
    row_pairs = offsets.pairs(rng.permutation(3 * row_count)[:row_count], np.arange(row_count) * (columns + 3))
    term_pairs = offsets.pairs(rng.integers(0, 2 * terms + 1, terms), rng.permutation(terms) * (columns + 1))
    A = rng.standard_normal(3 * row_count + 2 * terms + 1 + columns + SLACK, np.float32)
    B = rng.standard_normal(terms * (columns + 1) + columns + SLACK, np.float32)
    start = rng.standard_normal(columns + SLACK, np.float32)
    C = rng.standard_normal(row_count * (columns + 3) + SLACK, np.float32)
    wanted = expected(A, B, start, onward, C, columns, row_pairs, term_pairs, depthwise, slope)
    table = offsets.rows(row_pairs)
    arguments = np.ascontiguousarray(table), row_count, np.ascontiguousarray(term_pairs.reshape(-1, 2)), terms
    before = C.copy()
    run(A, B, start, onward, C, columns, *arguments, depthwise, slope != 1.0, np.float32(slope))
    np.testing.assert_allclose(C, wanted, rtol=1e-5, atol=1e-5 * max(1.0, np.abs(wanted).max()))
    written = np.zeros(C.size, bool)
    for _, c_row in row_pairs:
        written[c_row : c_row + columns] = True
    np.testing.assert_array_equal(C[~written], before[~written])  # to the bit: nothing beyond is written


@given(
    row_count=st.integers(1, 20),
    columns=st.integers(1, COLUMNS + LANES + 2),
    terms=st.integers(0, 40),
    onward=st.booleans(),
    depthwise=st.booleans(),
    slope=st.sampled_from([1.0, 0.0, 0.25]),
    seed=st.integers(0, 99),
)
def test_any_number_of_rows_columns_and_terms(row_count, columns, terms, onward, depthwise, slope, seed):
    check(row_count, columns, terms, onward, depthwise, slope, seed)


@pytest.mark.parametrize("columns", [LANES - 1, LANES, LANES + 1, COLUMNS - 1, COLUMNS, COLUMNS + 1])
@pytest.mark.parametrize("terms", [TERMS - 1, TERMS, TERMS + 1, 2 * TERMS, 2 * TERMS + 3])
@pytest.mark.parametrize("depthwise", [False, True])
def test_blocks_of_columns_and_of_terms_have_no_seam(columns, terms, depthwise):
    # The slope shows that it is the whole sum that is activated, not what a block of terms left.
    check(7, columns, terms, depthwise=depthwise, slope=0.25)
    check(6, columns, terms, onward=True, depthwise=depthwise, slope=0.0)


def test_rows_keep_their_bits_wherever_they_stand_among_rows():
    """Whoever shares out rows among threads or in strips gets the same sums."""
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((2, 4000), np.float32)
    columns, terms = LANES + 3, 90
    table = offsets.pairs(np.arange(9) * 7, np.arange(9) * 40)
    term_pairs = offsets.pairs(np.arange(terms), np.arange(terms) * 40)
    together, apart = np.zeros((2, 9 * 40 + SLACK), np.float32)
    options = term_pairs, terms, False, False, np.float32(1)
    run(A, B, np.zeros(80, np.float32), False, together, columns, offsets.rows(table), 9, *options)
    for begin in (0, 3, 6):
        run(A, B, np.zeros(80, np.float32), False, apart, columns, offsets.rows(table[begin : begin + 3]), 3, *options)
    np.testing.assert_array_equal(together, apart)
