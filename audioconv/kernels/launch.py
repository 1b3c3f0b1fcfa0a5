"""Launches a worker, by its address, on one thread or on several."""

from __future__ import annotations

import ctypes
from typing import Any

from llvmlite import ir
from numba import prange, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from audioconv.kernels.jit import kernel
from audioconv.kernels.llvm_vectors import I64, stack_slot
from audioconv.kernels.numba_internals import call_address, pointer_type

STACK_WORDS = 16
"""Room for the arguments of a worker."""


@intrinsic
def call_worker(context, address, arguments, thread):
    """Call the function ``(int64 *, int64) -> void`` at an address."""

    def codegen(context, builder, signature, values):
        address, arguments, thread = values
        kind = ir.FunctionType(ir.VoidType(), [pointer_type(I64), I64])
        call_address(builder, address, kind, [builder.inttoptr(arguments, pointer_type(I64)), thread])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


@intrinsic
def memory_on_stack(context):
    """Return the address of `STACK_WORDS` int64 on the stack of the function that calls this, until it returns."""

    def codegen(context, builder, signature, arguments):
        return builder.ptrtoint(stack_slot(builder, I64, STACK_WORDS), I64)

    return types.int64(), codegen


@kernel
def launch(address, arguments, threads):
    """Run the worker at `address` on so many threads; `arguments` is the address of its arguments (int64)."""
    if threads == 1:
        call_worker(address, arguments, 0)
    else:
        for thread in prange(threads):
            call_worker(address, arguments, thread)


def address_in_memory(array: NDArray[Any]) -> int:
    """Return the address of an array's first element."""
    buffer: Any = array
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(buffer))
    except (TypeError, ValueError, BufferError):  # read-only, empty or with gaps: a microsecond longer
        address: int = array.__array_interface__["data"][0]
        return address
