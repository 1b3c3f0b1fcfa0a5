"""The register tile: the inner loop of every convolution and matrix product here.

A tile holds up to six rows by two vectors of sums in registers while one loop feeds them::

    C[c(i) + j] = biases[j] + sum over k of  A[a(i) + a(k)] * B[b(k) + j]

Where a row begins in A and in C, and where a term of the sum lies in A and in B, stand in two tables of pairs:
``rows (i) -> (a, c)`` and ``terms (k) -> (a, b)``. That is all that a convolution is: rows are its outputs, terms its
taps, whatever the stride, the dilation and the layout of the images. And it is the gradients as well: by the weights,
with the two tables exchanged (rows are taps, terms are outputs); by the input, with tables of its own.

In a depthwise convolution each channel has its own weight: the tile is the same, but A gives a vector where
otherwise one number is broadcast over all columns.

LLVM keeps the sums in registers because the code is emitted as operations on ``rows * vectors`` separate values; the
two tables cost one load each per term and row, and nothing is ever unrolled into a matrix (im2col).
"""

from __future__ import annotations

from numba import types
from numba.extending import intrinsic

from audioconv.kernels.jit import LANES, helper
from audioconv.kernels.llvm_vectors import (
    F32,
    I32,
    I64,
    VECTOR,
    broadcast,
    element_pointer,
    load_as,
    load_vector,
    loop,
    multiply_add,
    stack_slot,
    store_vectors,
)
from audioconv.kernels.simd_float32 import FLOATS, INTS, offset_pointer

# AVX2 has 16 registers: 6 x 2 sums, 2 of B and 1 of A. AVX-512 has 32, but 12 sums already hide the latency of an FMA.
ROWS = 6
FEWER = 4
"""Rows of the lower tile: any even number from four on is made of sixes and fours."""
SPARE = FEWER - 1
"""Tables of rows have so many more: the last is repeated, and may be written twice."""
VECTORS = 2
COLUMNS = VECTORS * LANES
TERMS = 160
"""Terms of a block: their part of B, at most 20 KiB, stays in the first-level cache while all rows go by."""


def _make_tile(rows, vectors, depthwise):
    """Return the tile of `rows` x `vectors` as an intrinsic."""

    @intrinsic
    def tile(context, columns, A, B, biases, accumulate, C, row_table, term_table, terms, activate, slope):
        kind = types.void(
            columns, FLOATS, FLOATS, FLOATS, types.boolean, FLOATS, INTS, INTS, terms, types.boolean, types.float32
        )

        def codegen(context, builder, signature, arguments):
            columns, A, B, biases, accumulate, C, row_table, term_table, terms, activate, slope = arguments

            def entry(table, number):
                return builder.zext(load_as(builder, element_pointer(builder, table, number, I32), I32), I64)

            row_numbers, vector_numbers = range(rows), range(vectors)
            a_rows = [element_pointer(builder, A, entry(row_table, I64(2 * i))) for i in row_numbers]
            c_rows = [element_pointer(builder, C, entry(row_table, I64(2 * i + 1))) for i in row_numbers]
            # Stack slots, which LLVM's mem2reg turns into registers.
            sums = [[stack_slot(builder, VECTOR) for _ in vector_numbers] for _ in row_numbers]
            with builder.if_else(accumulate) as (go_on, begin):
                with go_on:
                    for i in row_numbers:
                        for j in vector_numbers:
                            builder.store(load_vector(builder, c_rows[i], j), sums[i][j])
                with begin:
                    for j in vector_numbers:
                        value = load_vector(builder, biases, j)
                        for i in row_numbers:
                            builder.store(value, sums[i][j])
            with loop(builder, terms) as k:
                pair = builder.shl(k, I64(1))
                a = entry(term_table, pair)
                b = element_pointer(builder, B, entry(term_table, builder.add(pair, I64(1))))
                weights = [load_vector(builder, b, j) for j in vector_numbers]
                for i in row_numbers:
                    place = element_pointer(builder, a_rows[i], a)
                    if depthwise:
                        value = load_vector(builder, place)
                    else:
                        value = broadcast(builder, load_as(builder, place, F32))
                    for j in vector_numbers:
                        total = multiply_add(builder, value, weights[j], load_as(builder, sums[i][j], VECTOR))
                        builder.store(total, sums[i][j])
            with builder.if_then(activate):
                zeros, slopes = broadcast(builder, F32(0.0)), broadcast(builder, slope)
                for slot in (slot for row in sums for slot in row):
                    value = load_as(builder, slot, VECTOR)
                    negative = builder.fcmp_ordered("<", value, zeros)
                    builder.store(builder.select(negative, builder.fmul(value, slopes), value), slot)
            for j in vector_numbers:
                places = [element_pointer(builder, c_row, I64(j * LANES)) for c_row in c_rows]
                left = builder.sub(columns, I64(j * LANES))
                store_vectors(builder, [load_as(builder, row[j], VECTOR) for row in sums], places, left)
            return context.get_dummy_value()

        return kind, codegen

    return tile


# Both heights, two vectors and one, written out because Numba has to know each call's target.
_two6, _two4 = _make_tile(ROWS, 2, False), _make_tile(FEWER, 2, False)
_one6, _one4 = _make_tile(ROWS, 1, False), _make_tile(FEWER, 1, False)
_own6, _own4 = _make_tile(ROWS, 1, True), _make_tile(FEWER, 1, True)


@helper
def correlate(A, B, biases, accumulate, C, columns, row_table, rows, term_table, terms, depthwise, activate, slope):
    """Compute all `columns` of all rows of C, in blocks as wide as the tile.

    If `accumulate`, the sums are added to C, otherwise to `biases`. If `activate`, results below zero are multiplied by
    `slope` in the end. Reads up to two vectors beyond the end of B, C and `biases` (of A too, if `depthwise`), and
    writes nothing beyond.
    """
    width = LANES if depthwise else COLUMNS
    first = 0
    while True:
        some = min(TERMS, terms - first)
        last = activate and first + TERMS >= terms
        for j in range(0, columns, width):
            left = columns - j
            b = offset_pointer(B, j)
            c = offset_pointer(C, j)
            s = offset_pointer(biases, j)
            a = offset_pointer(A, j) if depthwise else A
            chosen = offset_pointer(term_table, 2 * first)
            i = 0
            while i < rows:
                r = offset_pointer(row_table, 2 * i)
                high = rows - i > FEWER and not ROWS < rows - i <= 2 * FEWER
                i += ROWS if high else FEWER
                if depthwise:
                    if high:
                        _own6(left, a, b, s, accumulate, c, r, chosen, some, last, slope)
                    else:
                        _own4(left, a, b, s, accumulate, c, r, chosen, some, last, slope)
                elif left > LANES:
                    if high:
                        _two6(left, a, b, s, accumulate, c, r, chosen, some, last, slope)
                    else:
                        _two4(left, a, b, s, accumulate, c, r, chosen, some, last, slope)
                elif high:
                    _one6(left, a, b, s, accumulate, c, r, chosen, some, last, slope)
                else:
                    _one4(left, a, b, s, accumulate, c, r, chosen, some, last, slope)
        first += TERMS
        if first >= terms:
            break
        accumulate = True
