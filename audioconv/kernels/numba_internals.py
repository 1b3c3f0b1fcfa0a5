"""Every private or undocumented name of Numba and llvmlite that audioconv uses; no other module imports one.

They make compiling faster (see `parts`), keep compiled kernels where a damaged file does no harm (see `cache`), and
choose the threading layer (see `threads`). Kernels are correct without them: if one of them is missing or has other
parameters, or if the environment variable `AUDIOCONV_PLAIN_COMPILATION` is 1, kernels are compiled through the public
``numba.njit`` and ``numba.cfunc`` alone, which takes longer.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import os
import threading
from contextlib import suppress
from typing import Any

import llvmlite
import numba
from llvmlite import ir

logger = logging.getLogger("audioconv")

VARIABLE = "AUDIOCONV_PLAIN_COMPILATION"
"""Environment variable; 1 chooses the public ways to compile."""

RELIED_ON = {
    "numba.core.caching.FunctionCache": ("py_func",),
    "numba.core.caching.FunctionCache.flush": ("self",),
    "numba.core.caching.FunctionCache.load_overload": ("self", "sig", "target_context"),
    "numba.core.caching.FunctionCache.save_overload": ("self", "sig", "data"),
    "numba.core.ccallback.CFunc": ("pyfunc", "sig", "locals", "options"),
    "numba.core.ccallback.CFunc.compile": ("self",),
    "numba.core.codegen.JITCodeLibrary": ("codegen", "name"),
    "numba.core.codegen.JITCodeLibrary._ensure_finalized": ("self",),
    "numba.core.codegen.JITCodeLibrary._finalize_final_module": ("self",),
    "numba.core.codegen.JITCodeLibrary._optimize_final_module": ("self",),
    "numba.core.codegen.JITCodeLibrary.get_pointer_to_function": ("self", "name"),
    "numba.core.compiler.CompilerBase.define_pipelines": ("self",),
    "numba.core.compiler.DefaultPassBuilder.define_nopython_pipeline": ("state",),
    "numba.core.compiler_machinery.LoweringPass.run_pass": (),
    "numba.core.compiler_machinery.PassManager.add_pass_after": ("self", "pass_cls", "location"),
    "numba.core.compiler_machinery.PassManager.finalize": ("self",),
    "numba.core.compiler_machinery.register_pass": ("mutates_CFG", "analysis_only"),
    "numba.core.typed_passes.AnnotateTypes": (),
    "numba.core.dispatcher.Dispatcher.enable_caching": ("self",),  # sets `_cache`, as `jit._compiled` does
}
"""The names, and their first parameters."""


def find(name: str) -> Any:
    """Return what a dotted name stands for; raises ImportError or AttributeError."""
    module, *rest = name.split(".")
    found: Any = importlib.import_module(module)
    for part in rest:
        module = f"{module}.{part}"
        if inspect.ismodule(found) and not hasattr(found, part):
            importlib.import_module(module)
        found = getattr(found, part)
    return found


def difference() -> str | None:
    """Return how the installed Numba differs from `RELIED_ON`, in a few words; None if it does not."""
    for name, parameters in RELIED_ON.items():
        try:
            found = find(name)
            names = tuple(inspect.signature(found).parameters) if parameters else ()
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            return f"{name}: {error}"
        if names[: len(parameters)] != parameters:
            return f"{name} has other parameters: {', '.join(names)}"
    return None


def _plain() -> bool:
    """Tell whether kernels are compiled through public names alone."""
    if os.environ.get(VARIABLE) == "1":
        return True
    found = difference()
    if found is None:
        return False
    logger.warning("compiling kernels takes longer: this Numba (%s) is not known: %s", numba.__version__, found)
    return True


PLAIN = _plain()
"""True if kernels are compiled through public names alone."""

if not PLAIN:
    from numba.core.caching import FunctionCache as FunctionCache
    from numba.core.ccallback import CFunc as CFunc
    from numba.core.codegen import JITCodeLibrary as JITCodeLibrary
    from numba.core.compiler import CompilerBase as CompilerBase
    from numba.core.compiler import DefaultPassBuilder as DefaultPassBuilder
    from numba.core.compiler_machinery import LoweringPass as LoweringPass
    from numba.core.compiler_machinery import register_pass as register_pass
    from numba.core.typed_passes import AnnotateTypes as AnnotateTypes


def _global_compiler_lock() -> Any:
    """Return Numba's lock; without it, a process that is forked while another thread compiles may wait for ever."""
    try:
        return find("numba.core.compiler_lock.global_compiler_lock")
    except (ImportError, AttributeError):
        return threading.RLock()


global_compiler_lock = _global_compiler_lock()


def load_threading_layer(layer: str) -> bool:
    """Load Numba's library of a threading layer, ``"omp"`` or ``"tbb"``; tell whether it is there."""
    with suppress(ImportError):
        importlib.import_module(f"numba.np.ufunc.{layer}pool")
        return True
    return False


# Pointers. From llvmlite 0.45 on (LLVM 20), LLVM's pointers have no type; llvmlite's own, those that Numba makes among
# them, still do, and `store` and `call` compare it. llvmlite announces that this ends. In 0.44 (LLVM 15), unless its
# environment says otherwise, LLVM's have one, too.
_OPAQUE = getattr(llvmlite, "opaque_pointers_enabled", True)
_POINTER = ir.PointerType()  # one for all: in 0.44 two of them are not equal


def pointer_type(element: ir.Type) -> ir.Type:
    """Return LLVM's type of pointers, to `element` where pointers have a type."""
    return _POINTER if _OPAQUE else element.as_pointer()


def pointer_to(builder: ir.IRBuilder, pointer: ir.Value, element: ir.Type) -> ir.Value:
    """Return a pointer that values of type `element` can be loaded from and stored to: itself, if it has no type."""
    if getattr(pointer.type, "is_opaque", True):
        return pointer
    return builder.bitcast(pointer, element.as_pointer())


def call_address(builder: ir.IRBuilder, address: ir.Value, kind: ir.FunctionType, arguments: list[ir.Value]) -> None:
    """Call the function at an address: llvmlite learns its type from a typed pointer, and has no other way yet."""
    builder.call(builder.inttoptr(address, kind.as_pointer()), arguments)
