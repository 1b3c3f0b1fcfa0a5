"""The register tile: the inner loop of every convolution and matrix product here.

A tile holds up to six rows by two vectors of sums in registers while one loop feeds them::

    C[c(i) + j] = start[j] + sum over k of  A[a(i) + a(k)] * B[b(k) + j]

Where a row begins in A and in C, and where a term of the sum lies in A and in B, stand in two tables of pairs:
``rows (i) -> (a, c)`` and ``terms (k) -> (a, b)``. That is all that a convolution is: rows are its outputs, terms its
taps, whatever the stride, the dilation and the layout of the images. And it is the gradients as well: by the weights,
with the two tables exchanged (rows are taps, terms are outputs); by the input, with tables of its own.

In a depthwise convolution each channel meets its own weight: the tile is the same, but A gives a vector where
otherwise one number is spread over all columns.

LLVM keeps the sums in registers because the code is emitted as operations on ``rows * vectors`` separate values; the
two tables cost one load each per term and row, and nothing is ever unrolled into a matrix (im2col).
"""

from __future__ import annotations

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from audioconv.kernels.jit import LANES, helper
from audioconv.kernels.llvm_vectors import F32, I64, REGISTER, at, load_register, multiply_add, spread, store_registers
from audioconv.kernels.simd_float32 import FLOATS, INTS, ahead

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
    def tile(context, columns, A, B, start, onward, C, row_table, term_table, terms, activate, slope):
        kind = types.void(
            columns, FLOATS, FLOATS, FLOATS, types.boolean, FLOATS, INTS, INTS, terms, types.boolean, types.float32
        )

        def codegen(context, builder, signature, arguments):
            columns, A, B, start, onward, C, row_table, term_table, terms, activate, slope = arguments

            def entry(table, number):
                return builder.zext(builder.load(at(builder, table, number)), I64)

            row_numbers, vector_numbers = range(rows), range(vectors)
            a_rows = [at(builder, A, entry(row_table, I64(2 * i))) for i in row_numbers]
            c_rows = [at(builder, C, entry(row_table, I64(2 * i + 1))) for i in row_numbers]
            # Stack slots, which LLVM's mem2reg turns into registers.
            sums = [[cgutils.alloca_once(builder, REGISTER) for _ in vector_numbers] for _ in row_numbers]
            with builder.if_else(onward) as (go_on, begin):
                with go_on:
                    for i in row_numbers:
                        for j in vector_numbers:
                            builder.store(load_register(builder, c_rows[i], j), sums[i][j])
                with begin:
                    for j in vector_numbers:
                        value = load_register(builder, start, j)
                        for i in row_numbers:
                            builder.store(value, sums[i][j])
            with cgutils.for_range(builder, terms) as k:
                pair = builder.shl(k.index, I64(1))
                a = entry(term_table, pair)
                b = at(builder, B, entry(term_table, builder.add(pair, I64(1))))
                weights = [load_register(builder, b, j) for j in vector_numbers]
                for i in row_numbers:
                    place = at(builder, a_rows[i], a)
                    value = load_register(builder, place) if depthwise else spread(builder, builder.load(place), F32)
                    for j in vector_numbers:
                        total = multiply_add(builder, value, weights[j], builder.load(sums[i][j]))
                        builder.store(total, sums[i][j])
            with builder.if_then(activate):
                zeros, slopes = spread(builder, F32(0.0), F32), spread(builder, slope, F32)
                for slot in (slot for row in sums for slot in row):
                    value = builder.load(slot)
                    negative = builder.fcmp_ordered("<", value, zeros)
                    builder.store(builder.select(negative, builder.fmul(value, slopes), value), slot)
            for j in vector_numbers:
                places = [at(builder, c_row, I64(j * LANES)) for c_row in c_rows]
                left = builder.sub(columns, I64(j * LANES))
                store_registers(builder, [builder.load(row[j]) for row in sums], places, left)
            return context.get_dummy_value()

        return kind, codegen

    return tile


# Both heights, two vectors and one, written out because Numba has to know each call's target.
_two6, _two4 = _make_tile(ROWS, 2, False), _make_tile(FEWER, 2, False)
_one6, _one4 = _make_tile(ROWS, 1, False), _make_tile(FEWER, 1, False)
_own6, _own4 = _make_tile(ROWS, 1, True), _make_tile(FEWER, 1, True)


@helper
def correlate(A, B, start, onward, C, columns, row_table, rows, term_table, terms, depthwise, activate, slope):
    """Compute all `columns` of all rows of C, in blocks as wide as the tile.

    `onward` adds to what is in C, otherwise sums begin with `start`. Where `activate`, what comes out below zero is
    multiplied by `slope` in the end. Reads up to two vectors beyond what it needs of
    B, C and `start` (of A too, where `depthwise`), and writes nothing beyond.
    """
    width = LANES if depthwise else COLUMNS
    first = 0
    while True:
        some = min(TERMS, terms - first)
        last = activate and first + TERMS >= terms
        for j in range(0, columns, width):
            left = columns - j
            b = ahead(B, j)
            c = ahead(C, j)
            s = ahead(start, j)
            a = ahead(A, j) if depthwise else A
            chosen = ahead(term_table, 2 * first)
            i = 0
            while i < rows:
                r = ahead(row_table, 2 * i)
                high = rows - i > FEWER and not ROWS < rows - i <= 2 * FEWER
                i += ROWS if high else FEWER
                if depthwise:
                    if high:
                        _own6(left, a, b, s, onward, c, r, chosen, some, last, slope)
                    else:
                        _own4(left, a, b, s, onward, c, r, chosen, some, last, slope)
                elif left > LANES:
                    if high:
                        _two6(left, a, b, s, onward, c, r, chosen, some, last, slope)
                    else:
                        _two4(left, a, b, s, onward, c, r, chosen, some, last, slope)
                elif high:
                    _one6(left, a, b, s, onward, c, r, chosen, some, last, slope)
                else:
                    _one4(left, a, b, s, onward, c, r, chosen, some, last, slope)
        first += TERMS
        if first >= terms:
            break
        onward = True
