"""Operands of an instruction, as the interpreter and its routines read them."""

from __future__ import annotations

from audioconv.kernels.jit import helper
from audioconv.kernels.opcodes import (
    FIRST_OPERAND,
    OPERAND_BASE,
    OPERAND_OFFSET,
    OPERAND_STRIDE,
    OPERAND_WORDS,
    PARTIAL,
    SCRATCH,
)
from audioconv.kernels.simd_float32 import doubles_at, floats_at, offset_pointer


@helper
def operand(bases, word, number, n, task, scratch):
    """Return the pointer to float32 operand `number` of an instruction, for example n."""
    fields = offset_pointer(word, FIRST_OPERAND + OPERAND_WORDS * number)
    base, offset = fields[OPERAND_BASE], fields[OPERAND_OFFSET]
    if base == SCRATCH:
        offset += scratch
    elif base == PARTIAL:
        offset += task * fields[OPERAND_STRIDE]
    else:
        offset += n * fields[OPERAND_STRIDE]
    return floats_at(bases[base], offset)


@helper
def doubles(bases, word, number, n):
    """Return the pointer to float64 operand `number` of an instruction, for example n."""
    fields = offset_pointer(word, FIRST_OPERAND + OPERAND_WORDS * number)
    return doubles_at(bases[fields[OPERAND_BASE]], fields[OPERAND_OFFSET] + n * fields[OPERAND_STRIDE])


@helper
def stride(word, number):
    """Return the distance of operand `number` from example to example, or from task to task."""
    return offset_pointer(word, FIRST_OPERAND + OPERAND_WORDS * number)[OPERAND_STRIDE]
