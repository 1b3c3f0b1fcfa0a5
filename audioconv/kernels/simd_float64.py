"""SIMD vectors of float64 in Numba code: one element, real or complex, of each of `FRAMES` frames.

As in `simd_float32`, the operations say which values stay in a register. Signal processing on them needs no shuffles:
frames lie side by side, and every operation treats all of them alike. Memory is a contiguous array counted in rows, of
one element of each frame; a complex row is two rows, the real parts and the imaginary parts. Nothing is checked.
"""

from __future__ import annotations

import math
import operator

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

from audioconv.kernels.jit import LANES, helper
from audioconv.kernels.llvm_vectors import F32, F64, I32, I64, element_pointer, load_as, store_as
from audioconv.kernels.simd_float32 import address_of

FRAMES = LANES // 2
"""float64 elements in a vector register of this machine: so many frames stand side by side."""

_DOUBLES = ir.VectorType(F64, FRAMES)
_FLOATS = ir.VectorType(F32, FRAMES)
_LONGS = ir.VectorType(I64, FRAMES)
_COMPLEX = ir.ArrayType(_DOUBLES, 2)
_CONTRACT = ("contract",)  # a product and a sum may become one fused operation


class _RegisterType(types.Type):
    """Numba's type of one element of each frame of a block."""


class _ComplexType(types.Type):
    """Numba's type of one complex number of each frame of a block: two registers."""


doubles = _RegisterType(name=f"float64x{FRAMES}")
complexes = _ComplexType(name=f"complex128x{FRAMES}")


@register_model(_RegisterType)
class _RegisterModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, _DOUBLES)


@register_model(_ComplexType)
class _ComplexModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, _COMPLEX)


def _parts(builder, value):
    return builder.extract_value(value, 0), builder.extract_value(value, 1)


def _complex(builder, real, imaginary):
    half = builder.insert_value(ir.Constant(_COMPLEX, ir.Undefined), real, 0)
    return builder.insert_value(half, imaginary, 1)


def _add(builder, a, b):
    return builder.fadd(a, b, flags=_CONTRACT)


def _subtract(builder, a, b):
    return builder.fsub(a, b, flags=_CONTRACT)


def _multiply(builder, a, b):
    return builder.fmul(a, b, flags=_CONTRACT)


def _multiply_complex(builder, a, b):
    (a, b), (c, d) = _parts(builder, a), _parts(builder, b)
    real = _subtract(builder, _multiply(builder, a, c), _multiply(builder, b, d))
    return _complex(builder, real, _add(builder, _multiply(builder, a, d), _multiply(builder, b, c)))


def _part_by_part(operation):
    def apply(builder, a, b):
        (a, b), (c, d) = _parts(builder, a), _parts(builder, b)
        return _complex(builder, operation(builder, a, c), operation(builder, b, d))

    return apply


def _operation(function, kind, emit):
    """Make Python's operator `function` on two elements of `kind` what `emit` writes."""

    @type_callable(function)
    def type_operation(context):
        return lambda a, b: kind if a == b == kind else None

    @lower_builtin(function, kind, kind)
    def lower(context, builder, signature, arguments):
        return emit(builder, *arguments)


for _function, _of_real in ((operator.add, _add), (operator.sub, _subtract)):
    _operation(_function, doubles, _of_real)
    _operation(_function, complexes, _part_by_part(_of_real))
_operation(operator.mul, doubles, _multiply)
_operation(operator.mul, complexes, _multiply_complex)


def _data(context, builder, kind, memory):
    """Return where an array or what a pointer points to begins."""
    return context.make_array(kind)(context, builder, memory).data if isinstance(kind, types.Array) else memory


def _row(context, builder, kind, memory, row):
    data = _data(context, builder, kind, memory)
    return element_pointer(builder, data, builder.mul(row, I64(FRAMES)), F64)


def _next_row(builder, pointer, number=1):
    return element_pointer(builder, pointer, I64(number * FRAMES), F64)


def _load(builder, pointer):
    return load_as(builder, pointer, _DOUBLES, 8)


def _broadcast(builder, scalar):
    undefined = ir.Constant(_DOUBLES, ir.Undefined)
    zeros = ir.Constant(ir.VectorType(I32, FRAMES), [0] * FRAMES)
    return builder.shuffle_vector(builder.insert_element(undefined, scalar, I32(0)), undefined, zeros)


@intrinsic
def load(context, memory, row):
    """Return a row of a block."""

    def codegen(context, builder, signature, arguments):
        return _load(builder, _row(context, builder, signature.args[0], *arguments))

    return doubles(memory, types.int64), codegen


@intrinsic
def store(context, memory, row, value):
    """Write a row of a block."""

    def codegen(context, builder, signature, arguments):
        memory, row, value = arguments
        store_as(builder, value, _row(context, builder, signature.args[0], memory, row), 8)
        return context.get_dummy_value()

    return types.void(memory, types.int64, doubles), codegen


@intrinsic
def load_complex(context, memory, row):
    """Return a row of real parts and that of imaginary parts behind it."""

    def codegen(context, builder, signature, arguments):
        place = _row(context, builder, signature.args[0], *arguments)
        return _complex(builder, _load(builder, place), _load(builder, _next_row(builder, place)))

    return complexes(memory, types.int64), codegen


@intrinsic
def store_complex(context, memory, row, value):
    """Write a row of real parts and that of imaginary parts behind it."""

    def codegen(context, builder, signature, arguments):
        memory, row, value = arguments
        place = _row(context, builder, signature.args[0], memory, row)
        for number, part in enumerate(_parts(builder, value)):
            store_as(builder, part, _next_row(builder, place, number), 8)
        return context.get_dummy_value()

    return types.void(memory, types.int64, complexes), codegen


@intrinsic
def splat(context, number):
    """Return the same number for all frames."""
    return doubles(types.float64), lambda context, builder, signature, arguments: _broadcast(builder, arguments[0])


@intrinsic
def splat_complex(context, numbers, k):
    """Return the same complex number for all frames: number k of an array of real and imaginary parts in turn."""

    def codegen(context, builder, signature, arguments):
        numbers, k = arguments
        data = _data(context, builder, signature.args[0], numbers)
        place = element_pointer(builder, data, builder.mul(k, I64(2)), F64)
        real = load_as(builder, place, F64)
        imaginary = load_as(builder, element_pointer(builder, place, I64(1), F64), F64)
        return _complex(builder, _broadcast(builder, real), _broadcast(builder, imaginary))

    return complexes(numbers, types.int64), codegen


@intrinsic
def power(context, value):
    """Return the squared magnitude of complex numbers."""

    def codegen(context, builder, signature, arguments):
        real, imaginary = _parts(builder, arguments[0])
        return _add(builder, _multiply(builder, real, real), _multiply(builder, imaginary, imaginary))

    return doubles(value), codegen


@intrinsic
def real_and_imaginary(context, value):
    """Return both parts of complex numbers."""
    pair = types.UniTuple(doubles, 2)
    return pair(value), lambda context, builder, signature, arguments: context.make_tuple(
        builder, pair, _parts(builder, arguments[0])
    )


@intrinsic
def conjugate(context, value):
    """Return the complex conjugates."""

    def codegen(context, builder, signature, arguments):
        real, imaginary = _parts(builder, arguments[0])
        return _complex(builder, real, builder.fneg(imaginary))

    return complexes(value), codegen


@intrinsic
def times_minus_i(context, value):
    """Return complex numbers times -i."""

    def codegen(context, builder, signature, arguments):
        real, imaginary = _parts(builder, arguments[0])
        return _complex(builder, imaginary, builder.fneg(real))

    return complexes(value), codegen


@intrinsic
def store_windowed(context, samples, start, hop, window, k, memory):
    """Write rows k to k + `FRAMES` of the windowed frames; frame i begins at float32 ``samples[start + i * hop]``."""

    def codegen(context, builder, signature, arguments):
        samples, start, hop, window, k, memory = arguments
        data = _data(context, builder, signature.args[0], samples)
        weights = element_pointer(builder, _data(context, builder, signature.args[3], window), k, F64)
        rows = []
        for frame in range(FRAMES):
            place = element_pointer(builder, data, builder.add(builder.add(start, k), builder.mul(hop, I64(frame))))
            rows.append(load_as(builder, place, _FLOATS, 4))
        # Interleave first half and second half until rows are columns.
        half = FRAMES // 2
        for _ in range(FRAMES.bit_length() - 1):
            rows = [
                builder.shuffle_vector(rows[i], rows[half + i], _indices(first))
                for i in range(half)
                for first in (0, half)
            ]
        place = _row(context, builder, signature.args[5], memory, k)
        for i, row in enumerate(rows):
            weight = _broadcast(builder, load_as(builder, element_pointer(builder, weights, I64(i), F64), F64))
            value = builder.fmul(builder.fpext(row, _DOUBLES), weight)
            store_as(builder, value, _next_row(builder, place, i), 8)
        return context.get_dummy_value()

    return types.void(samples, types.int64, types.int64, window, types.int64, memory), codegen


def _indices(first):
    """Return the mask that takes ``a[first], b[first], a[first + 1], b[first + 1] ...``."""
    pairs = [(i, FRAMES + i) for i in range(first, first + FRAMES // 2)]
    return ir.Constant(ir.VectorType(I32, FRAMES), [index for pair in pairs for index in pair])


@intrinsic
def decibels(context, energy, floor):
    """Return ``10 log10(max(energy, floor))`` to 1e-12; NaN stays NaN.

    The logarithm of a mantissa between sqrt(1/2) and sqrt(2) is ``2 artanh((m - 1) / (m + 1))``, whose series converges
    by a factor of 34 a term.
    """

    def codegen(context, builder, signature, arguments):
        energy, floor = arguments[0], _broadcast(builder, arguments[1])
        energy = builder.select(builder.fcmp_ordered("<", energy, floor), floor, energy)
        # Times 2^54, so that no number is subnormal: the bits of those do not hold their exponent.
        bits = builder.bitcast(builder.fmul(energy, _every(2.0**54)), _LONGS)
        above = builder.sub(bits, _every(int(np.float64(math.sqrt(0.5)).view(np.int64))))
        exponent = builder.ashr(above, _every(52))
        mantissa = builder.bitcast(builder.sub(bits, builder.shl(exponent, _every(52))), _DOUBLES)
        exponent = builder.fsub(builder.sitofp(exponent, _DOUBLES), _every(54.0))
        ratio = builder.fdiv(builder.fsub(mantissa, _every(1.0)), builder.fadd(mantissa, _every(1.0)))
        square = builder.fmul(ratio, ratio)
        series = _every(1 / 17)
        for odd in range(15, 0, -2):
            series = _add(builder, _multiply(builder, series, square), _every(1 / odd))
        from_mantissa = _multiply(builder, _multiply(builder, ratio, series), _every(20 / math.log(10)))
        value = _add(builder, _multiply(builder, exponent, _every(10 * math.log10(2))), from_mantissa)
        return builder.select(builder.fcmp_unordered("uno", energy, energy), energy, value)

    return doubles(doubles, types.float64), codegen


def _every(number):
    """Return a constant register."""
    return ir.Constant(_LONGS if isinstance(number, int) else _DOUBLES, [number] * FRAMES)


@helper
def empty_rows(count):
    """Return memory of `count` rows, none of which lies on two cache lines: that would cost twice."""
    memory = np.empty((count + 1) * FRAMES, np.float64)
    return memory[-address_of(memory) % (8 * FRAMES) // 8 :]
