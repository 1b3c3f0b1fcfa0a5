"""The register tile: the inner loop of every convolution and matrix product here.

A tile holds ``rows x columns`` sums in vector registers while three nested strided loops feed them::

    C[i, j] = start[i, j] + sum over o, m, k of  A[i, o, m, k] * B[o, m, k, j]

Each of ``A``, ``B``, ``C`` and ``start`` is a place in memory with a stride for each of its indices (``B``, ``C`` and
``start`` are contiguous over j). Free strides make one tile serve the forward pass, the input gradient, the weight
gradient and the dense layer, without ever unrolling the input into a matrix (im2col). LLVM keeps the sums in registers
because the code is emitted as vector operations on ``rows * vectors`` separate values; a Numba loop would spill them.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from audioconv.kernels.jit import LANES, helper

# AVX2 has 16 registers: 6 x 2 sums, 2 of B and 1 of A. AVX-512 has 32, but 12 sums already hide the latency of an FMA.
ROWS = 6
VECTORS = 2
COLUMNS = VECTORS * LANES

_F32, _I32, _I64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(_F32, LANES)
_MASK = ir.VectorType(ir.IntType(1), LANES)
_LANE_NUMBERS = ir.Constant(ir.VectorType(_I64, LANES), list(range(LANES)))


class _Emitter:
    """Vector loads and stores, of all lanes or of the first few."""

    def __init__(self, builder, columns=None):
        self.builder = builder
        self.columns = columns  # None: every lane of every vector counts
        declare = cgutils.get_or_insert_function
        pointer = _VECTOR.as_pointer()
        name = f"v{LANES}f32"
        self.fma = declare(builder.module, ir.FunctionType(_VECTOR, [_VECTOR] * 3), f"llvm.fma.{name}")
        self.masked_load = declare(
            builder.module, ir.FunctionType(_VECTOR, [pointer, _I32, _MASK, _VECTOR]), f"llvm.masked.load.{name}.p0"
        )
        self.masked_store = declare(
            builder.module,
            ir.FunctionType(ir.VoidType(), [_VECTOR, pointer, _I32, _MASK]),
            f"llvm.masked.store.{name}.p0",
        )

    def at(self, base, offset):
        return self.builder.gep(base, [offset])

    def vector_at(self, base, vector):
        """Pointer to vector number `vector` from `base`, and its mask (None: all lanes)."""
        builder = self.builder
        pointer = builder.bitcast(self.at(base, _I64(vector * LANES)), _VECTOR.as_pointer())
        if self.columns is None:
            return pointer, None
        left = builder.sub(self.columns, _I64(vector * LANES))
        return pointer, builder.icmp_signed("<", _LANE_NUMBERS, self.splat(left, _I64))

    def splat(self, scalar, kind):
        vector = ir.VectorType(kind, LANES)
        lane0 = self.builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, _I32(0))
        zeros = ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES)
        return self.builder.shuffle_vector(lane0, ir.Constant(vector, ir.Undefined), zeros)

    def load(self, base, vector):
        pointer, mask = self.vector_at(base, vector)
        if mask is None:
            value = self.builder.load(pointer)
            value.align = 4
            return value
        zeros = ir.Constant(_VECTOR, [0.0] * LANES)
        return self.builder.call(self.masked_load, [pointer, _I32(4), mask, zeros])

    def store(self, value, base, vector):
        pointer, mask = self.vector_at(base, vector)
        if mask is None:
            self.builder.store(value, pointer).align = 4
        else:
            self.builder.call(self.masked_store, [value, pointer, _I32(4), mask])


def _make_tile(rows, vectors, masked):
    """Return the tile of `rows` x `vectors` as an intrinsic; `masked` ones keep to the first `columns` numbers."""

    @intrinsic
    def tile(
        context, columns,
        A, a_row, a_outer, a_middle, a_inner,
        B, b_outer, b_middle, b_inner,
        start, start_row, C, c_row,
        outer, middle, inner,
    ):  # fmt: skip
        signature = types.void(
            columns, A, a_row, a_outer, a_middle, a_inner, B, b_outer, b_middle, b_inner,
            start, start_row, C, c_row, outer, middle, inner,
        )  # fmt: skip

        def codegen(context, builder, signature, args):
            (columns, A, a_row, a_outer, a_middle, a_inner, B, b_outer, b_middle, b_inner,
             start, start_row, C, c_row, outer, middle, inner) = args  # fmt: skip
            emit = _Emitter(builder, columns if masked else None)
            row_numbers = range(rows)
            a_rows = [builder.mul(a_row, _I64(i)) for i in row_numbers]
            # Stack slots, which LLVM's mem2reg turns into registers.
            sums = [[cgutils.alloca_once(builder, _VECTOR) for _ in range(vectors)] for _ in row_numbers]
            for i in row_numbers:
                start_of_row = emit.at(start, builder.mul(start_row, _I64(i)))
                for j in range(vectors):
                    builder.store(emit.load(start_of_row, j), sums[i][j])
            with cgutils.for_range(builder, outer) as o:
                a_o = emit.at(A, builder.mul(o.index, a_outer))
                b_o = emit.at(B, builder.mul(o.index, b_outer))
                with cgutils.for_range(builder, middle) as m:
                    a_m = emit.at(a_o, builder.mul(m.index, a_middle))
                    b_m = emit.at(b_o, builder.mul(m.index, b_middle))
                    with cgutils.for_range(builder, inner) as k:
                        a_k = emit.at(a_m, builder.mul(k.index, a_inner))
                        b_k = emit.at(b_m, builder.mul(k.index, b_inner))
                        weights = [emit.load(b_k, j) for j in range(vectors)]
                        for i in row_numbers:
                            value = emit.splat(builder.load(emit.at(a_k, a_rows[i])), _F32)
                            for j in range(vectors):
                                total = builder.load(sums[i][j])
                                builder.store(builder.call(emit.fma, [value, weights[j], total]), sums[i][j])
            for i in row_numbers:
                row_of_c = emit.at(C, builder.mul(c_row, _I64(i)))
                for j in range(vectors):
                    emit.store(builder.load(sums[i][j]), row_of_c, j)
            return context.get_dummy_value()

        return signature, codegen

    return tile


@intrinsic
def address(context, array, offset):
    """Return a pointer to element `offset` of a contiguous array."""

    def codegen(context, builder, signature, args):
        return builder.gep(context.make_array(signature.args[0])(context, builder, args[0]).data, [args[1]])

    return types.CPointer(types.float32)(array, offset), codegen


# A tile for each number of rows up to ROWS, and for one or two vectors, whole or masked at the right edge. They are
# written out because Numba has to know each call's target when it compiles.
_one1, _one2, _one3, _one4, _one5, _one6 = (_make_tile(rows, 1, True) for rows in range(1, 7))
_two1, _two2, _two3, _two4, _two5, _two6 = (_make_tile(rows, 2, False) for rows in range(1, 7))
_cut1, _cut2, _cut3, _cut4, _cut5, _cut6 = (_make_tile(rows, 2, True) for rows in range(1, 7))


def _make_panel(tile1, tile2, tile3, tile4, tile5, tile6):
    """Return a function that lays tiles down any number of rows: sixes, then what is left."""

    @helper
    def panel(rows, columns, a, a_at, a_row, a_outer, a_middle, a_inner, b, b_at, b_outer, b_middle, b_inner,
              start, start_at, start_row, c, c_at, c_row, outer, middle, inner):  # fmt: skip
        B = address(b, b_at)
        for i in range(0, rows, 6):
            A = address(a, a_at + i * a_row)
            S = address(start, start_at + i * start_row)
            C = address(c, c_at + i * c_row)
            left = rows - i
            if left >= 6:
                tile6(columns, A, a_row, a_outer, a_middle, a_inner, B, b_outer, b_middle, b_inner,
                      S, start_row, C, c_row, outer, middle, inner)  # fmt: skip
            elif left == 5:
                tile5(columns, A, a_row, a_outer, a_middle, a_inner, B, b_outer, b_middle, b_inner,
                      S, start_row, C, c_row, outer, middle, inner)  # fmt: skip
            elif left == 4:
                tile4(columns, A, a_row, a_outer, a_middle, a_inner, B, b_outer, b_middle, b_inner,
                      S, start_row, C, c_row, outer, middle, inner)  # fmt: skip
            elif left == 3:
                tile3(columns, A, a_row, a_outer, a_middle, a_inner, B, b_outer, b_middle, b_inner,
                      S, start_row, C, c_row, outer, middle, inner)  # fmt: skip
            elif left == 2:
                tile2(columns, A, a_row, a_outer, a_middle, a_inner, B, b_outer, b_middle, b_inner,
                      S, start_row, C, c_row, outer, middle, inner)  # fmt: skip
            else:
                tile1(columns, A, a_row, a_outer, a_middle, a_inner, B, b_outer, b_middle, b_inner,
                      S, start_row, C, c_row, outer, middle, inner)  # fmt: skip

    return panel


_panel_one = _make_panel(_one1, _one2, _one3, _one4, _one5, _one6)
_panel_two = _make_panel(_two1, _two2, _two3, _two4, _two5, _two6)
_panel_cut = _make_panel(_cut1, _cut2, _cut3, _cut4, _cut5, _cut6)


@helper
def panel(rows, columns, a, a_at, a_row, a_outer, a_middle, a_inner, b, b_at, b_outer, b_middle, b_inner,
          start, start_at, start_row, c, c_at, c_row, outer, middle, inner):  # fmt: skip
    """Compute ``rows`` x ``columns`` (at most COLUMNS) sums as in the module's equation.

    ``a``, ``b``, ``start`` and ``c`` are contiguous float32 arrays; ``*_at`` is the offset of their first element, the
    other ``a_``, ``b_``, ``start_`` and ``c_`` arguments are strides, all in elements.
    """
    if columns == COLUMNS:
        _panel_two(rows, columns, a, a_at, a_row, a_outer, a_middle, a_inner, b, b_at, b_outer, b_middle, b_inner,
                   start, start_at, start_row, c, c_at, c_row, outer, middle, inner)  # fmt: skip
    elif columns > LANES:
        _panel_cut(rows, columns, a, a_at, a_row, a_outer, a_middle, a_inner, b, b_at, b_outer, b_middle, b_inner,
                   start, start_at, start_row, c, c_at, c_row, outer, middle, inner)  # fmt: skip
    else:
        _panel_one(rows, columns, a, a_at, a_row, a_outer, a_middle, a_inner, b, b_at, b_outer, b_middle, b_inner,
                   start, start_at, start_row, c, c_at, c_row, outer, middle, inner)  # fmt: skip
