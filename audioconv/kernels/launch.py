"""Letting threads work: a worker is called by its address, on one thread or on several."""

from __future__ import annotations

import ctypes
from typing import Any

from llvmlite import ir
from numba import prange, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from audioconv.kernels.jit import kernel
from audioconv.kernels.llvm_vectors import I64


@intrinsic
def _call(context, address, arguments, thread):
    """Call the function ``(int64 *, int64) -> void`` at an address."""

    def codegen(context, builder, signature, values):
        address, arguments, thread = values
        kind = ir.FunctionType(ir.VoidType(), [I64.as_pointer(), I64])
        function = builder.inttoptr(address, kind.as_pointer())
        builder.call(function, [builder.inttoptr(arguments, I64.as_pointer()), thread])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


@kernel
def launch(address, arguments, threads):
    """Let `threads` threads work: `address` is the worker's, `arguments` that of its arguments (int64)."""
    if threads == 1:
        _call(address, arguments, 0)
    else:
        for thread in prange(threads):
            _call(address, arguments, thread)


def address_in_memory(array: NDArray[Any]) -> int:
    """Return where the numbers of an array begin, as arguments and operands have it."""
    buffer: Any = array
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(buffer))
    except (TypeError, ValueError, BufferError):  # read-only, empty or with gaps: a microsecond longer
        address: int = array.__array_interface__["data"][0]
        return address
